package page_test

import (
	"bytes"
	"fmt"
	"iter"
	"strings"
	"testing"

	"gnothi/eval"
	"gnothi/eval/page"
	"gnothi/text"
)

// second is the same run once more, with other answers where i is even.
func second(n int) func(yield func(thing) bool) {
	return func(yield func(thing) bool) {
		for x := range ordinaries(n) {
			switch {
			case x.rec.Index%2 == 1:
			case x.rec.Outcome == eval.OutcomeWrong:
				x.rec.Outcome, x.rec.Result = eval.OutcomeRight, encode(result{Grade: text.Right, Sure: 0.9})
			case x.rec.Outcome == eval.OutcomeFailed:
				x.rec.Outcome, x.rec.Error = eval.OutcomeRefused, ""
			}
			if !yield(x) {
				return
			}
		}
	}
}

func compared(t *testing.T, n int) (string, *eval.Comparison) {
	t.Helper()
	a, b := open(t, made(t, n, ordinaries(n))), open(t, made(t, n, second(n)))
	side := func(name string, f *eval.Folder) eval.Side {
		return eval.Side{Name: name, N: n, Records: func() iter.Seq2[eval.Record, error] { return f.Records(t.Context(), 0) }}
	}
	c, err := eval.Compare(suite(), side("<b>first</b>", a), side("second", b))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := page.WriteComparison(t.Context(), &out, c, a, b); err != nil {
		t.Fatal(err)
	}
	return out.String(), c
}

func TestComparison(t *testing.T) {
	s, c := compared(t, 200)
	elements(t, s)
	if len(c.Changed) < 20 || strings.Count(s, `<details class="item"`) != len(c.Changed) {
		t.Errorf("%d of %d changed items are shown", strings.Count(s, `<details class="item"`), len(c.Changed))
	}
	if strings.Contains(s, "<b>first</b>") {
		t.Error("a name became markup")
	}
	for _, part := range []string{
		fmt.Sprintf("came out otherwise: %d", len(c.Changed)), fmt.Sprintf("<b>%d</b><small>won</small>", c.Right.WrongRight), "<b>0</b><small>lost</small>",
		"wrong → right", "failed → refused", "A · item", "B · item", "default-src &#39;none&#39;",
	} {
		if !strings.Contains(s, part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	if many, c := compared(t, 2500); strings.Count(many, `<details class="item"`) != 500 || !strings.Contains(many, fmt.Sprintf("And %d more", len(c.Changed)-500)) {
		t.Error("more than 500 items are shown, or it does not say how many are not")
	}
}
