package control

import (
	"context"
	"fmt"
	"strings"

	"gnothi/monitor"
	"gnothi/text"
)

// StepSearch is the policy `step-search` (process-self-rewarding, Zhang et al.
// 2025; the part without gradients): an answer is written step by step, at each
// step the best of w continuations by duels is kept, until a final answer or 20
// steps. Continuations that are alike are one. A step costs w + w(w−1)/2 duels.
//
// Chosen: w; a step is a line; the beam is 1.
func StepSearch(w int, d Duel) Policy {
	return Vote{Sampler: &Steps{W: w, Max: 20, Duel: d}, Stop: Fixed(1)}
}

// Steps samples one answer by search over steps. [Steps.Path] has the pairs of
// steps that it preferred.
type Steps struct {
	W, Max int // continuations at a step, steps
	Duel   Duel
}

// Draw implements Sampler.
func (s *Steps) Draw(ctx context.Context, t *monitor.Trial, _ int) ([]*monitor.Candidate, error) {
	p, err := s.Path(ctx, t)
	if p.Candidate == nil {
		return nil, err
	}
	return []*monitor.Candidate{p.Candidate}, err
}

func (s *Steps) String() string {
	return fmt.Sprintf("steps %s w=%d max=%d", stepwise.ID(), s.W, s.Max)
}

// Path is how an answer was found: for each step at which one continuation was
// better than another, the text before, the best and the worst.
type Path struct {
	Candidate *monitor.Candidate
	Pairs     []StepPair
}

// StepPair is a preference between two next steps after a prefix; Gap is how
// many duels more the chosen one won.
type StepPair struct {
	Prefix, Chosen, Rejected string
	Gap                      float64
}

// Path searches, or gives what was found for the trial.
func (s *Steps) Path(ctx context.Context, t *monitor.Trial) (Path, error) {
	return monitor.Get(ctx, t, searched{s})
}

// searched is the evidence of a search.
type searched struct{ steps *Steps }

// stepTokens bounds a step.
const stepTokens = 96

// Gather implements monitor.Evidence.
func (e searched) Gather(ctx context.Context, t *monitor.Trial) (p Path, err error) {
	var g growing
	ended := false
	defer func() { // an error leaves what was found before it
		if err == nil || g.text != "" {
			p.Candidate = g.candidate(t, 0, ended)
		}
	}()
	for step := 0; step < e.steps.Max && !ended; step++ {
		next, ends, err := e.propose(ctx, t, g, step)
		if err != nil {
			return p, err
		}
		if len(next) == 0 {
			break
		}
		best, worst := 0, 0
		if len(next) > 1 {
			readings, err := WinShare(e.steps.Duel).Score(ctx, t, next)
			if err != nil {
				g.text += next[0].Answer.Text + "\n" // paid for, and no worse than nothing
				return p, err
			}
			for i, r := range readings {
				if r.Err != nil {
					continue
				}
				if r.Score > readings[best].Score {
					best = i
				}
				if r.Score < readings[worst].Score {
					worst = i
				}
			}
			if readings[worst].Err == nil && readings[best].Score > readings[worst].Score {
				p.Pairs = append(p.Pairs, StepPair{g.text, next[best].Answer.Text, next[worst].Answer.Text, readings[best].Raw - readings[worst].Raw})
			}
		}
		g.text += next[best].Answer.Text + "\n"
		g.tokens = append(g.tokens, next[best].Tokens...)
		ended = ends[best] || g.answered(t)
	}
	return p, nil
}

// propose asks for next steps and gives those that differ, each as the text so
// far with the step, which is its answer, and whether the answer ends with it.
func (e searched) propose(ctx context.Context, t *monitor.Trial, g growing, step int) (next []*monitor.Candidate, ends []bool, err error) {
	seen := map[string]bool{}
	for i := range e.steps.W {
		one := growing{text: g.text}
		if _, err := one.grow(ctx, t, "step", step*e.steps.W+i, stepTokens, monitor.DefaultSampling, "\n"); err != nil {
			return nil, nil, err
		}
		words := strings.TrimSpace(one.text[len(g.text):])
		if words == "" { // a blank line before the step: look past it
			if _, err := one.grow(ctx, t, "step past a blank", step*e.steps.W+i, stepTokens, monitor.DefaultSampling); err != nil {
				return nil, nil, err
			}
			words, _, _ = strings.Cut(strings.TrimSpace(one.text[len(g.text):]), "\n")
			one.text = g.text + words
		}
		if key := text.Normalise(words); words != "" && !seen[key] {
			seen[key] = true
			c := &monitor.Candidate{Origin: monitor.FromSample, Key: key, Answer: text.Answer{Text: words}}
			c.Index, c.Text, c.Tokens = i, g.text+words, one.tokens
			next, ends = append(next, c), append(ends, one.answered(t))
		}
	}
	return next, ends, nil
}
