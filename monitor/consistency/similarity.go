package consistency

import (
	"context"
	"fmt"
	"math"

	"gnothi/monitor"
	"gnothi/text"
)

// Measure is how alike two answers are, in [0,1].
type Measure string

// The measures. The lexical ones cost nothing; the others read [Inferences] and
// [Likenesses].
const (
	Rouge1     Measure = "rouge1"
	Rouge2     Measure = "rouge2"
	RougeL     Measure = "rougel"
	BLEU       Measure = "bleu"
	Jaccard    Measure = "jaccard"
	Entailment Measure = "entailment"    // P(entailment), the mean of both directions
	Consistent Measure = "contradiction" // 1 − P(contradiction), the mean of both directions
	Likeness   Measure = "likeness"      // as an embedding or a cross-encoder has it
)

// needs is what evidence suffices for a measure.
func (m Measure) needs() monitor.Inputs {
	switch m {
	case Entailment, Consistent:
		return monitor.Samples | monitor.Inference
	case Likeness:
		return monitor.Samples | monitor.Likeness
	}
	return monitor.Samples
}

// Pairwise is the evidence of how alike the samples drawn last are, after the
// candidate Of if that is not nil: symmetric, 1 on the diagonal and, by a lexical
// measure, for all equal texts.
type Pairwise struct {
	By Measure
	Of *monitor.Candidate
}

// Gather implements monitor.Evidence.
func (p Pairwise) Gather(ctx context.Context, t *monitor.Trial) (Matrix, error) {
	switch p.By {
	case Entailment, Consistent:
		x, err := monitor.Get(ctx, t, Inferences{p.Of})
		if err != nil {
			return Matrix{}, err
		}
		if p.By == Entailment {
			return x.Entail.Symmetric(), nil
		}
		return x.Consistent().Symmetric(), nil
	case Likeness:
		return monitor.Get(ctx, t, Likenesses{p.Of})
	}
	texts, err := monitor.Get(ctx, t, lexical{})
	if err != nil {
		return Matrix{}, err
	}
	measure := map[Measure]func(*text.Texts, int, int) float64{Rouge1: (*text.Texts).Rouge1, Rouge2: (*text.Texts).Rouge2, RougeL: (*text.Texts).RougeL, BLEU: (*text.Texts).BLEU, Jaccard: (*text.Texts).Jaccard}[p.By]
	if measure == nil {
		return Matrix{}, fmt.Errorf("no measure is called %q", p.By)
	}
	n, first := texts.Len(), 0
	if p.Of == nil {
		first = 1
	} else if given := t.Has(monitor.Sampling{}); len(given) == 0 || given[0] != p.Of {
		cs, err := withSamples(ctx, t, p.Of)
		if err != nil {
			return Matrix{}, err
		}
		texts = cut(cs)
	}
	out := NewMatrix(n - first)
	for i := range out.N {
		out.Set(i, i, 1)
		for j := i + 1; j < out.N; j++ {
			v := 1.0 // for equal texts, be they too short for the measure
			if !texts.Same(i+first, j+first) {
				v = measure(texts, i+first, j+first)
			}
			out.Set(i, j, v)
			out.Set(j, i, v)
		}
	}
	return out, nil
}

// lexical is the evidence of the words of the trial's greedy answer, an empty
// text if there is none, and of the samples drawn last.
type lexical struct{}

// Gather implements monitor.Evidence.
func (lexical) Gather(ctx context.Context, t *monitor.Trial) (*text.Texts, error) {
	cs, err := draw(ctx, t, 0)
	if err != nil {
		return nil, err
	}
	first := &monitor.Candidate{}
	if given := t.Has(monitor.Sampling{}); len(given) > 0 {
		first = given[0]
	}
	return cut(append([]*monitor.Candidate{first}, cs...)), nil
}

func cut(cs []*monitor.Candidate) *text.Texts {
	texts := make([]string, len(cs))
	for i, c := range cs {
		texts[i] = c.Text
	}
	return text.NewTexts(texts)
}

// Likenesses is the evidence of how alike answers are in meaning, with the
// texts as in [Pairwise]. It is given ([monitor.Know]): no model that gnothi asks
// measures it.
type Likenesses struct{ Of *monitor.Candidate }

// Gather implements monitor.Evidence.
func (Likenesses) Gather(context.Context, *monitor.Trial) (Matrix, error) {
	return Matrix{}, &monitor.MissingError{Needs: `how alike the answers are (field "likeness")`}
}

// CheckLikeness says what is wrong with given likenesses, if anything.
func CheckLikeness(m Matrix) error { return m.check("likeness") }

func expOf(l float64) float64 { return math.Exp(math.Min(l, 0)) }
