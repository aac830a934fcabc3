package gateway

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadPieces(t *testing.T) {
	for _, n := range []int{0, 1, 511, 512, 513, 65535, 65536, 65537, 3 << 20} {
		want := bytes.Repeat([]byte("0123456789abcde"), n/15+1)[:n]
		for _, announced := range []int64{-1, 0, int64(n), int64(n) / 2} {
			for name, r := range map[string]io.Reader{"whole": bytes.NewReader(want), "halves": iotest.HalfReader(bytes.NewReader(want)), "with its end": iotest.DataErrReader(bytes.NewReader(want))} {
				got, err := readPieces(r, announced)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes, announced %d, %s: %d came, %v", n, announced, name, len(got), err)
				}
			}
		}
	}
	broken := errors.New("broken")
	if _, err := readPieces(io.MultiReader(strings.NewReader("a"), iotest.ErrReader(broken)), -1); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}
