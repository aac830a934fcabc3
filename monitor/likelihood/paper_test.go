package likelihood_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/likelihood"
	"gnothi/text"
)

func TestPaper(t *testing.T) {
	t.Run("rlsf-self-feedback", func(t *testing.T) {
		span := func(s string, p, second float64) llm.Token {
			return llm.Token{Text: s, LogProb: math.Log(p), Top: tops(math.Log(p), math.Log(second))}
		}
		c := &monitor.Candidate{
			Choice: llm.Choice{Tokens: []llm.Token{span("so ", .3, .2), span("7", .9, .05), span("1", .8, .1)}},
			Answer: text.Answer{Text: "71", Status: text.Parsed},
		}
		for i := range c.Tokens {
			c.Tokens[i].Top[0].Text = c.Tokens[i].Text
		}
		r, err := monitor.ScoreOne(t.Context(), likelihood.AnswerSpanGap(), nil, c)
		if err != nil || !near(r.Score, .775) || r.Reads != 2 {
			t.Errorf("%+v, %v; want (.85 + .7)/2 over two tokens", r, err)
		}
	})
	// From the k likeliest alone there is no self-certainty: what is published as its approximation orders answers as the
	// mass of their tails does.
	t.Run("self-certainty-bon", func(t *testing.T) {
		const vocab, k = 1000.0, 5
		rng := rand.New(rand.NewPCG(1, 2))
		type answer struct{ tail, approximation float64 }
		var answers []answer
		for range 50 {
			tail := rng.Float64()
			var logP []float64
			for range k {
				logP = append(logP, math.Log((1-tail)/k))
			}
			r, err := read(t, likelihood.TailMass(), []llm.Token{{Text: "x", LogProb: logP[0], Top: tops(logP...)}})
			if err != nil || !near(r.Raw, tail) || !near(r.Score, 1-tail) {
				t.Fatalf("%+v, %v; want a tail of %v", r, err, tail)
			}
			approximation := -(k*math.Log(vocab*(1-tail)/k) + (vocab-k)*math.Log(vocab*tail/(vocab-k))) / vocab
			answers = append(answers, answer{r.Raw, approximation})
		}
		slices.SortFunc(answers, func(a, b answer) int { return int(math.Copysign(1, a.tail-b.tail)) })
		falling := slices.IsSortedFunc(answers, func(a, b answer) int { return int(math.Copysign(1, b.approximation-a.approximation)) })
		if !falling {
			t.Error("the approximation does not fall as the tail grows")
		}
		if r, err := read(t, likelihood.SelfCertainty(), []llm.Token{{Text: "x", LogProb: -1, Top: tops(-1, -2)}}); err == nil {
			t.Errorf("self-certainty from alternatives: %+v", r)
		}
	})
}
