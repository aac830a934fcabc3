package jsonl

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// What is read ahead comes in the order of the lines, with the errors of a plain
// reading, whatever line they are of and wherever it is left off.
func TestEachAhead(t *testing.T) {
	defer goleak.VerifyNone(t)
	const n = 3000
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"id\":%d}\n\n", i)
	}
	stop := errors.New("stop")
	for name, content := range map[string]string{
		"a.jsonl": b.String(), "b.jsonl.gz": b.String(), "none.jsonl": "",
		"broken.jsonl": b.String() + "{\"id\":\n" + b.String(), "utf8.jsonl": b.String() + "\"\xff\"\n", "first.jsonl": "nonsense\n" + b.String(),
	} {
		for _, most := range []int{0, 1, 1700, 1 << 30} {
			path := write(t, name, content)
			run := func(each func(use func(int, row) error) error) (got []string) {
				err := each(func(n int, r row) error {
					if len(got) == most {
						return stop
					}
					got = append(got, fmt.Sprint(n, r.ID))
					return nil
				})
				return append(got, fmt.Sprint(err), fmt.Sprint(errors.Is(err, stop)))
			}
			decode := func(_ int, line []byte) (r row, err error) { return r, Decode(line, &r) }
			want := run(func(use func(int, row) error) error {
				return Each(path, func(n int, line []byte) error {
					r, err := decode(n, line)
					if err != nil {
						return err
					}
					return use(n, r)
				}, nil)
			})
			got := run(func(use func(int, row) error) error { return EachAhead(path, decode, use) })
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%s, %d: %d lines, %s; want %d, %s", name, most, len(got)-2, got[len(got)-2:], len(want)-2, want[len(want)-2:])
			}
		}
	}
}
