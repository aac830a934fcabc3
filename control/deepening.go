package control

import (
	"context"
	"fmt"
	"math"
	"strings"

	"gnothi/monitor"
	"gnothi/text"
)

// Deepening samples answers in budgets that grow (iterative-deepening-sampling,
// Chen et al. 2025): a sample is written until it ends or Start tokens are
// used; while it gives no final answer, a fixed trigger asks it to look back
// and it is continued to Growth times the budget, up to Max. Any stopper and
// aggregator stands above it. One sample costs its tokens where the model keeps
// the prefix, else up to Growth/(Growth−1) times as many.
//
// Chosen: the trigger's words; 512, 2 and 8,192 tokens; the trigger waits up to
// 64 tokens for the end of a sentence, and a sample that is cut off at Max is
// unparsed. A model that continues no raw text goes on in further turns.
type Deepening struct {
	Sampling monitor.Sampling
	Start    int     // tokens of the first budget
	Growth   float64 // > 1
	Max      int     // tokens of the last budget
}

// trigger makes a sample look back. It is the same for all.
const trigger = "\nWait, let me check the steps so far.\n"

// Draw implements Sampler.
func (s Deepening) Draw(ctx context.Context, t *monitor.Trial, n int) ([]*monitor.Candidate, error) {
	return remembered(n, func(i int) (*monitor.Candidate, error) { return monitor.Get(ctx, t, deepened{s, i}) })
}

func (s Deepening) String() string {
	return fmt.Sprintf("deepening start=%d growth=%g max=%d T=%g", s.Start, s.Growth, s.Max, s.Sampling.Temperature)
}

// remembered collects what is gathered one by one, until an error; what the
// failing one had by then counts.
func remembered(n int, get func(i int) (*monitor.Candidate, error)) (cs []*monitor.Candidate, err error) {
	for i := range n {
		c, err := get(i)
		if c != nil {
			cs = append(cs, c)
		}
		if err != nil {
			return cs, err
		}
	}
	return cs, nil
}

// deepened is the evidence of one sample.
type deepened struct {
	Deepening
	i int
}

// sentenceWait is how many tokens the trigger waits for the end of a sentence.
const sentenceWait = 64

// Gather implements monitor.Evidence.
func (s deepened) Gather(ctx context.Context, t *monitor.Trial) (*monitor.Candidate, error) {
	var g growing
	used := 0
	for piece, budget := 0, min(s.Start, s.Max); ; piece++ {
		ended, err := g.grow(ctx, t, fmt.Sprintf("deepen%d", s.i), 2*piece, budget-used, s.Sampling)
		if err != nil {
			return g.unfinished(t, s.i), err
		}
		used = budget
		if ended || g.answered(t) || budget >= s.Max {
			return g.candidate(t, s.i, ended), nil
		}
		if !sentenceEnds(g.text) {
			before := len(g.text)
			if ended, err = g.grow(ctx, t, fmt.Sprintf("deepen%d", s.i), 2*piece+1, sentenceWait, s.Sampling); err != nil {
				return g.unfinished(t, s.i), err
			}
			if ended || g.answered(t) {
				return g.candidate(t, s.i, ended), nil
			}
			if first := text.Sentences(g.text[before:]); len(first) > 1 {
				g.cut(before + first[0].End)
			}
		}
		g.text = strings.TrimRight(g.text, " \n") + trigger
		budget = min(s.Max, max(budget+1, int(math.Ceil(float64(budget)*s.Growth))))
	}
}

// unfinished is what there is of a sample that fails; nil before anything is.
func (g *growing) unfinished(t *monitor.Trial, index int) *monitor.Candidate {
	if g.text == "" {
		return nil
	}
	return g.candidate(t, index, false)
}

// cut drops what was written beyond the end, and its tokens.
func (g *growing) cut(end int) {
	drop := len(g.text) - end
	g.text = g.text[:end]
	for n := len(g.tokens); n > 0 && drop >= len(g.tokens[n-1].Text); n = len(g.tokens) {
		drop -= len(g.tokens[n-1].Text)
		g.tokens = g.tokens[:n-1]
	}
}

func sentenceEnds(s string) bool {
	s = strings.TrimRight(s, " ")
	return s == "" || strings.HasSuffix(s, "\n") || strings.ContainsRune(".!?。！？", lastRune(s))
}

func lastRune(s string) rune {
	r := []rune(s[max(0, len(s)-4):])
	return r[len(r)-1]
}
