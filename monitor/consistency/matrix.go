package consistency

import (
	"fmt"
	"math"
)

// Matrix is a square matrix of figures for pairs of texts, in rows: of n texts
// the figure of texts i and j is V[i*N+j].
type Matrix struct {
	N int
	V []float64
}

// NewMatrix makes a matrix of zeroes.
func NewMatrix(n int) Matrix { return Matrix{n, make([]float64, n*n)} }

// At gives the figure of texts i and j.
func (m Matrix) At(i, j int) float64 { return m.V[i*m.N+j] }

// Set puts the figure of texts i and j.
func (m Matrix) Set(i, j int, v float64) { m.V[i*m.N+j] = v }

// From leaves out the texts before k.
func (m Matrix) From(k int) Matrix {
	out := NewMatrix(m.N - k)
	for i := range out.N {
		copy(out.V[i*out.N:(i+1)*out.N], m.V[(i+k)*m.N+k:])
	}
	return out
}

// Symmetric is the mean of the matrix and its transpose.
func (m Matrix) Symmetric() Matrix {
	out := NewMatrix(m.N)
	for i := range m.N {
		for j := range m.N {
			out.Set(i, j, (m.At(i, j)+m.At(j, i))/2)
		}
	}
	return out
}

// check says what is wrong with a matrix of figures in [0,1].
func (m Matrix) check(what string) error {
	if len(m.V) != m.N*m.N {
		return fmt.Errorf("%s: %d figures for %d × %d", what, len(m.V), m.N, m.N)
	}
	for i, v := range m.V {
		if !(v >= 0 && v <= 1+roundOff) {
			return fmt.Errorf("%s: row %d, column %d is %v: want 0 to 1", what, i/m.N, i%m.N, v)
		}
	}
	return nil
}

// roundOff is how far from its range a figure may be for rounding.
const roundOff = 1e-3

// NLI is what natural language inference says of all pairs of texts: the
// probability that text i as premise entails text j, and that it contradicts it;
// the rest is neutral.
type NLI struct{ Entail, Contra Matrix }

// From leaves out the texts before k.
func (x NLI) From(k int) NLI { return NLI{x.Entail.From(k), x.Contra.From(k)} }

// Consistent is 1 − P(contradiction) for each pair.
func (x NLI) Consistent() Matrix {
	out := NewMatrix(x.Contra.N)
	for i, v := range x.Contra.V {
		out.V[i] = 1 - v
	}
	return out
}

// Check says what is wrong with the figures, if anything.
func (x NLI) Check() error {
	if x.Entail.N != x.Contra.N {
		return fmt.Errorf("entailments of %d texts, contradictions of %d", x.Entail.N, x.Contra.N)
	}
	if err := x.Entail.check("entailment"); err != nil {
		return err
	}
	if err := x.Contra.check("contradiction"); err != nil {
		return err
	}
	for i := range x.Entail.V {
		if s := x.Entail.V[i] + x.Contra.V[i]; s > 1+roundOff {
			return fmt.Errorf("entailment and contradiction of pair %d, %d sum to %v", i/x.Entail.N, i%x.Entail.N, s)
		}
	}
	return nil
}

// finite says whether a figure came out.
func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
