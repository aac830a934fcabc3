package likelihood_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/likelihood"
)

// read scores one candidate with these tokens; no signal here needs a trial.
func read(t *testing.T, s monitor.Signal, tokens []llm.Token) (monitor.Reading, error) {
	t.Helper()
	return monitor.ScoreOne(t.Context(), s, nil, &monitor.Candidate{Choice: llm.Choice{Tokens: tokens}})
}

func token(p float64, d *llm.Dist) llm.Token {
	return llm.Token{Text: "x", LogProb: math.Log(p), Dist: d}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-6 }

// peaked is p = (.7,.1,.1,.1): its entropy is .940448, its KL from uniform, the
// golden value of the specification, .429813. even is the uniform distribution.
var (
	peaked = &llm.Dist{Entropy: 0.940448, KLUniform: 0.429813, Vocab: 4}
	even   = &llm.Dist{Entropy: math.Log(4), KLUniform: 0, Vocab: 4}
)

func TestValues(t *testing.T) {
	one, two := token(0.5, peaked), token(0.25, even)
	for _, c := range []struct {
		signal     monitor.Signal
		name       string
		tokens     []llm.Token
		score, raw float64
		source     string
	}{
		{likelihood.MeanLogProb(), "likelihood/mean-logprob", []llm.Token{one, two}, math.Sqrt(0.125), math.Log(0.125) / 2, "logprobs"},
		{likelihood.MinLogProb(), "likelihood/min-logprob", []llm.Token{one, two}, 0.25, math.Log(0.25), "logprobs"},
		{likelihood.SequenceLogProb(), "likelihood/sequence-logprob", []llm.Token{one, two}, 0.125, math.Log(0.125), "logprobs"},
		{likelihood.TokenEntropy(), "likelihood/token-entropy", []llm.Token{one, one}, 1 - 0.940448/math.Log(4), 0.940448, "distribution"},
		{likelihood.TokenEntropy(), "likelihood/token-entropy", []llm.Token{one, two}, (1 - 0.940448/math.Log(4)) / 2, (0.940448 + math.Log(4)) / 2, "distribution"},
		{likelihood.SelfCertainty(), "likelihood/self-certainty", []llm.Token{one}, 1 - math.Exp(-0.429813), 0.429813, "distribution"},
		{likelihood.SelfCertainty(), "likelihood/self-certainty", []llm.Token{one, two}, 1 - math.Exp(-0.429813/2), 0.429813 / 2, "distribution"},
		// Certain and impossible-looking ends.
		{likelihood.MeanLogProb(), "likelihood/mean-logprob", []llm.Token{token(1, nil)}, 1, 0, "logprobs"},
		{likelihood.SequenceLogProb(), "likelihood/sequence-logprob", []llm.Token{{LogProb: -9999}}, 0, -9999, "logprobs"},
		// A hair above 0 is rounding and counts as certain.
		{likelihood.MeanLogProb(), "likelihood/mean-logprob", []llm.Token{{LogProb: 1e-7}, one}, math.Sqrt(0.5), math.Log(0.5) / 2, "logprobs"},
		{likelihood.MinLogProb(), "likelihood/min-logprob", []llm.Token{{LogProb: 1e-7}}, 1, 0, "logprobs"},
		// The uniform distribution is the bottom, whatever rounding does to it.
		{likelihood.TokenEntropy(), "likelihood/token-entropy", []llm.Token{token(0.25, &llm.Dist{Entropy: math.Log(4) + 1e-12, Vocab: 4})}, 0, math.Log(4), "distribution"},
	} {
		r, err := read(t, c.signal, c.tokens)
		if err != nil || c.signal.Name() != c.name || !near(r.Score, c.score) || !near(r.Raw, c.raw) || r.Source != c.source || r.Reads != len(c.tokens) {
			t.Errorf("%s of %d tokens: %+v, %v; want score %v, raw %v from %s", c.signal.Name(), len(c.tokens), r, err, c.score, c.raw, c.source)
		}
		if r.Score < 0 || r.Score > 1 {
			t.Errorf("%s: score %v is not in [0,1]", c.name, r.Score)
		}
	}
}

func TestMissingInputIsAnErrorThatSaysWhatIsMissing(t *testing.T) {
	plain, full := token(0.5, nil), token(0.5, peaked)
	all := []monitor.Signal{likelihood.MeanLogProb(), likelihood.MinLogProb(), likelihood.SequenceLogProb(), likelihood.TokenEntropy(), likelihood.SelfCertainty()}
	for _, s := range all {
		for name, c := range map[string]struct {
			tokens []llm.Token
			needs  string
		}{
			"no tokens":         {nil, "token log-probabilities"},
			"NaN":               {[]llm.Token{full, {Text: "bad", LogProb: math.NaN(), Dist: peaked}}, `token 1 ("bad")`},
			"above 0":           {[]llm.Token{{Text: "bad", LogProb: 0.5, Dist: peaked}, full}, `token 0 ("bad")`},
			"infinite":          {[]llm.Token{{LogProb: math.Inf(-1), Dist: peaked}}, "log-probabilities"},
			"infinitely likely": {[]llm.Token{{LogProb: math.Inf(1), Dist: peaked}}, "log-probabilities"},
		} {
			r, err := read(t, s, c.tokens)
			if !errors.Is(err, monitor.ErrMissing) || !strings.Contains(err.Error(), c.needs) || r.Score != 0 {
				t.Errorf("%s, %s: %+v, %v; want an error about %q", s.Name(), name, r, err, c.needs)
			}
		}
	}
	for _, s := range all[3:] {
		for name, tokens := range map[string][]llm.Token{"without distributions": {plain}, "one without": {full, plain}, "no vocabulary": {token(0.5, &llm.Dist{})}} {
			if r, err := read(t, s, tokens); !errors.Is(err, monitor.ErrMissing) || !strings.Contains(err.Error(), "distributions") {
				t.Errorf("%s, %s: %+v, %v", s.Name(), name, r, err)
			}
		}
		broken := &llm.Dist{Entropy: math.NaN(), KLUniform: math.NaN(), Vocab: 4}
		if r, err := read(t, s, []llm.Token{token(0.5, broken)}); err == nil {
			t.Errorf("%s of NaN is %+v", s.Name(), r)
		}
	}
}

func TestHigherIsMoreTrustworthy(t *testing.T) {
	sure := []llm.Token{token(0.9, &llm.Dist{Entropy: 0.3, KLUniform: 3, Vocab: 100}), token(0.8, &llm.Dist{Entropy: 0.5, KLUniform: 2, Vocab: 100})}
	unsure := []llm.Token{token(0.4, &llm.Dist{Entropy: 2, KLUniform: 1, Vocab: 100}), token(0.2, &llm.Dist{Entropy: 3, KLUniform: 0.5, Vocab: 100})}
	for _, s := range []monitor.Signal{likelihood.MeanLogProb(), likelihood.MinLogProb(), likelihood.SequenceLogProb(), likelihood.TokenEntropy(), likelihood.SelfCertainty()} {
		a, err1 := read(t, s, sure)
		b, err2 := read(t, s, unsure)
		if err1 != nil || err2 != nil || a.Score <= b.Score {
			t.Errorf("%s: sure %v, unsure %v (%v, %v)", s.Name(), a.Score, b.Score, err1, err2)
		}
	}
}
