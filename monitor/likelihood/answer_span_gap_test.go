package likelihood_test

import (
	"errors"
	"math"
	"testing"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/likelihood"
	"gnothi/text"
)

func TestAnswerSpanGap(t *testing.T) {
	tok := func(s string, p, second float64) llm.Token {
		return llm.Token{Text: s, LogProb: math.Log(p), Top: []llm.TopToken{{Text: s, LogProb: math.Log(p)}, {Text: "?", LogProb: math.Log(second)}}}
	}
	short := tok("71", .9, .05)
	short.Top = short.Top[:1]
	for name, c := range map[string]struct {
		tokens []llm.Token
		answer text.Answer
		want   float64
		reads  int
		err    error
	}{
		"the specification's": {[]llm.Token{tok("It is", .5, .4), tok(" 7", .9, .05), tok("1", .8, .1)}, text.Answer{Text: "71", Status: text.Parsed}, .775, 2, nil},
		"the last occurrence": {[]llm.Token{tok("71", .5, .4), tok(" or ", .5, .1), tok("71", .9, .2)}, text.Answer{Text: "71", Status: text.Parsed}, .7, 1, nil},
		"not the likeliest":   {[]llm.Token{tok("71", .2, .5)}, text.Answer{Text: "71", Status: text.Parsed}, 0, 1, nil},
		"no span":             {[]llm.Token{tok("many", .5, .4)}, text.Answer{Text: "71", Status: text.Parsed}, 0, 0, monitor.ErrMissing},
		"no answer":           {[]llm.Token{tok("many", .5, .4)}, text.Answer{}, 0, 0, monitor.ErrMissing},
		"one alternative":     {[]llm.Token{short}, text.Answer{Text: "71", Status: text.Parsed}, 0, 0, monitor.ErrMissing},
		"no tokens":           {nil, text.Answer{Text: "71", Status: text.Parsed}, 0, 0, monitor.ErrMissing},
	} {
		r, err := monitor.ScoreOne(t.Context(), likelihood.AnswerSpanGap(), nil, &monitor.Candidate{Choice: llm.Choice{Tokens: c.tokens}, Answer: c.answer})
		if !errors.Is(err, c.err) || !near(r.Score, c.want) || r.Reads != c.reads {
			t.Errorf("%s: %+v, %v; want %v over %d, %v", name, r, err, c.want, c.reads, c.err)
		}
	}
}
