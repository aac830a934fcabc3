package verbal

import (
	"context"
	"math"
	"strings"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// PTrue is verbal/p-true (p-true-p-ik, Kadavath et al. 2022): the model is
// shown question and proposed answer and asked whether the answer is correct;
// raw and score are P(Yes) renormalised over all spellings of yes and no.
func PTrue() monitor.Signal {
	return monitor.Each("verbal/p-true", func(ctx context.Context, t *monitor.Trial, c *monitor.Candidate) (monitor.Reading, error) {
		v, err := monitor.Get(ctx, t, Verdict{c})
		return monitor.Reading{Score: v.Yes, Raw: v.Yes, Source: v.Source, Reads: v.Reads}, err
	})
}

var verdictTemplate = prompt.Template{Name: "verdict", Version: 1, Text: "Question: {question}\nProposed answer: {answer}\nIs the proposed answer correct? Answer Yes or No."}

// Verdict is the evidence of the model's own yes or no to a candidate.
type Verdict struct{ Candidate *monitor.Candidate }

// VerdictReading is a verdict. Mass is the probability that the reply began
// with a yes or a no at all; below one half the log-probabilities are not
// trusted and Samples replies are counted instead.
type VerdictReading struct {
	Yes    float64
	Mass   float64
	Source string // logprobs or samples
	Reads  int
}

// Samples is how many replies are counted where log-probabilities do not serve.
const Samples = 5

// Gather implements monitor.Evidence.
func (v Verdict) Gather(ctx context.Context, t *monitor.Trial) (VerdictReading, error) {
	if v.Candidate.Answer.Status == text.Refused {
		return VerdictReading{}, &monitor.MissingError{Needs: "an answer; this reply declines to give one"}
	}
	return decide(ctx, t, question(t, verdictTemplate, v.Candidate, 4), "verdict", v.Candidate.Index, yesNo, text.ReadBool)
}

// decide asks for one of two words: by log-probabilities where they cover at
// least half of the mass, else by counting sampled replies. name and index make
// the samples' seed.
func decide(ctx context.Context, t *monitor.Trial, op llm.Op, name string, index int, is func(token string) (yes, no bool), read func(reply string) (yes, ok bool)) (VerdictReading, error) {
	if t.Model.Can(llm.LogProbs) {
		op.Request.LogProbs, op.Request.TopLogProbs = true, 20
		reply, err := t.Ask(ctx, op)
		if err != nil {
			return VerdictReading{}, err
		}
		if yes, mass := yesMass(reply.Tokens, is); mass >= 0.5 && mass <= 1+roundOff {
			return VerdictReading{Yes: yes / mass, Mass: mass, Source: "logprobs", Reads: 1}, nil
		}
	}
	warm := 1.0
	op.Request.Temperature, op.Request.LogProbs, op.Request.TopLogProbs = &warm, false, 0
	op.Request.MaxTokens, op.Indices, op.Seed = 16, llm.Range(0, Samples), t.SeedFor(name, index)
	res, err := t.Do(ctx, op)
	if err != nil {
		return VerdictReading{}, err
	}
	yes, count := 0, 0
	for _, c := range res.Choices {
		if verdict, ok := read(text.Sanitise(c.Text)); ok {
			count++
			if verdict {
				yes++
			}
		}
	}
	if count == 0 {
		return VerdictReading{}, &monitor.MissingError{Needs: "a yes or no in reply; the model gave none"}
	}
	return VerdictReading{Yes: (float64(yes) + 0.5) / float64(count+1), Source: "samples", Reads: count}, nil
}

// roundOff is how far above 1 probabilities may sum for rounding.
const roundOff = 1e-3

// yesNo tells the spellings of yes from those of no.
func yesNo(token string) (yes, no bool) {
	switch strings.ToLower(strings.Trim(token, " \n\t.,!\"'*(")) {
	case "yes", "true":
		return true, false
	case "no", "false":
		return false, true
	}
	return false, false
}

// yesMass sums the probability of every spelling of yes, and of yes and no
// together, at the first token that is not blank.
func yesMass(tokens []llm.Token, is func(token string) (yes, no bool)) (yes, mass float64) {
	for _, tok := range tokens {
		if strings.TrimSpace(tok.Text) == "" {
			continue
		}
		for _, alt := range tok.Top {
			switch y, n := is(alt.Text); {
			case y:
				yes += math.Exp(alt.LogProb)
				mass += math.Exp(alt.LogProb)
			case n:
				mass += math.Exp(alt.LogProb)
			}
		}
		break
	}
	return yes, mass
}

// YesShare is the probability of yes among yes and no at the first token that is
// not blank. ok is false where the two have less than half of the mass: then the
// log-probabilities say nothing.
func YesShare(tokens []llm.Token) (p float64, ok bool) {
	yes, mass := yesMass(tokens, yesNo)
	return yes / mass, mass >= 0.5 && mass <= 1+roundOff
}
