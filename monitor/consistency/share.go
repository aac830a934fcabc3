package consistency

import (
	"context"
	"math"

	"gnothi/monitor"
	"gnothi/stats"
)

// AnswerPrior is what is believed of how often a model at temperature 0.7 gives
// its greedy answer, and of how the rest spreads, before samples tell. Fitted by
// maximum likelihood on 40 samples for each question of the half of our own
// questions that is for fitting, on the default model (`make recordings`
// fits it again); where log-probabilities are missing, on the same without them.
var AnswerPrior = stats.UrnPrior{Strength: 15.1, Base: 0.945, Slope: 0.884, Unknown: 0.464, UnknownStrength: 1.76, Discount: 0.760, Concentration: 0.120}

// Standing is where the answers to a question stand: the classes of what was
// drawn, one candidate for each, and the posterior over their shares.
type Standing struct {
	Urn *stats.Urn
	// Classes has a candidate for each answer of the urn. The first is the greedy
	// one, or nil if that could not be read; an unread sample's is nil too.
	Classes []*monitor.Candidate
	index   map[string]int
}

// Stand counts a greedy answer, nil if there is none, and samples.
func Stand(prior stats.UrnPrior, greedy *monitor.Candidate, samples []*monitor.Candidate) *Standing {
	s := &Standing{index: map[string]int{}, Classes: []*monitor.Candidate{nil}}
	logP := math.Inf(-1)
	if greedy != nil && greedy.Key != "" {
		s.Classes[0], s.index[greedy.Key] = greedy, 0
		logP = logProb(greedy)
	}
	s.Urn = prior.Urn(logP)
	s.Add(samples)
	return s
}

// Add counts more samples.
func (s *Standing) Add(samples []*monitor.Candidate) {
	for _, c := range samples {
		k, known := s.index[c.Key]
		if !known || c.Key == "" {
			k = s.Urn.Answers()
			if c.Key != "" {
				s.index[c.Key] = k
				s.Classes = append(s.Classes, c)
			} else {
				s.Classes = append(s.Classes, nil)
			}
		}
		s.Urn.Draw(k)
	}
}

// Introduce makes an answer known that was not drawn, such as another model's,
// and gives its number. Its share is what the first answer's prior leaves it:
// that of one draw.
func (s *Standing) Introduce(c *monitor.Candidate) int {
	s.Add([]*monitor.Candidate{c})
	return s.Urn.Answers() - 1
}

// Class gives the number of a candidate's answer, −1 if it is not among them.
func (s *Standing) Class(c *monitor.Candidate) int {
	if k, ok := s.index[c.Key]; ok && c.Key != "" {
		return k
	}
	return -1
}

// logProb is the log-probability of a reply's text, NaN where it is not known or
// makes no sense.
func logProb(c *monitor.Candidate) float64 {
	if len(c.Tokens) == 0 {
		return math.NaN()
	}
	sum := 0.0
	for _, t := range c.Tokens {
		if !(t.LogProb <= 1e-3) {
			return math.NaN()
		}
		sum += t.LogProb
	}
	return sum
}

// Share is consistency/share: raw and score are the posterior mean of the share
// of the candidate's answer among all that the model would give, from the
// samples drawn so far and from the probability of the greedy answer's text. It
// is there before any sample, and means the same however many were drawn, which
// the share among the drawn does not. It draws nothing.
func Share() monitor.Signal {
	return monitor.Each("consistency/share", func(_ context.Context, t *monitor.Trial, c *monitor.Candidate) (monitor.Reading, error) {
		var greedy *monitor.Candidate
		if cs := t.Has(monitor.Sampling{}); len(cs) > 0 {
			greedy = cs[0]
		}
		drawn, _ := t.Drawn()
		if greedy == nil && len(drawn) == 0 {
			return monitor.Reading{}, &monitor.MissingError{Needs: "a greedy answer or samples"}
		}
		s := Stand(AnswerPrior, greedy, drawn)
		k := s.Class(c)
		if k < 0 {
			return monitor.Reading{}, &monitor.MissingError{Needs: "an answer that can be read and was drawn"}
		}
		p := s.Urn.Shares()[k]
		return monitor.Reading{Score: p, Raw: p, Source: "posterior", Reads: len(drawn)}, nil
	})
}
