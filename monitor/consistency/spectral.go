package consistency

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/mat"
)

// What can be read from a graph whose nodes are answers and whose edges weigh
// how alike they are. Weights are symmetric, in [0,1], 1 on the diagonal. The
// first three are of Lin et al. 2023 ("Generating with Confidence"), the last of
// Nikitin et al. 2024 ("Kernel Language Entropy").

// DegreeUncertainty is U_Deg: the mean dissimilarity of all ordered pairs, a
// text with itself included, in [0, 1−1/n].
func DegreeUncertainty(w Matrix) float64 {
	sum := 0.0
	for _, v := range w.V {
		sum += v
	}
	n := float64(w.N)
	return 1 - sum/(n*n)
}

// EigenvalueSum is U_EigV: Σ max(0, 1−λ) over the eigenvalues of the normalised
// Laplacian, in [1, n]; of groups of equal texts it is their number.
func EigenvalueSum(w Matrix) (float64, error) {
	values, _, err := laplacian(w, false)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, l := range values {
		sum += math.Max(0, 1-l)
	}
	return sum, nil
}

// eccentricityCut is the eigenvalue below which an eigenvector is kept (Lin et
// al. take 0.9).
const eccentricityCut = 0.9

// Eccentricity is U_Ecc: the Frobenius norm of the texts' coordinates, each
// less its mean, in the eigenvectors of the normalised Laplacian whose
// eigenvalue is below 0.9. In [0, √n]. Written as √(k − ‖P·1‖²/n), with P the
// projection on those k eigenvectors, so that it does not depend on which basis a
// repeated eigenvalue is given.
func Eccentricity(w Matrix) (float64, error) {
	values, vectors, err := laplacian(w, true)
	if err != nil {
		return 0, err
	}
	total := 0.0
	for k, l := range values {
		if l >= eccentricityCut {
			break // ascending
		}
		sum := 0.0
		for i := range w.N {
			sum += vectors.At(i, k)
		}
		total += 1 - sum*sum/float64(w.N)
	}
	return math.Sqrt(math.Max(0, total)), nil
}

// laplacian gives the eigenvalues of I − D^(−½) W D^(−½), ascending, and the
// eigenvectors where they are wanted.
func laplacian(w Matrix, want bool) ([]float64, *mat.Dense, error) {
	root := make([]float64, w.N)
	for i := range w.N {
		for j := range w.N {
			root[i] += w.At(i, j)
		}
		if !(root[i] > 0) {
			return nil, nil, errors.New("an answer that is not even like itself")
		}
		root[i] = 1 / math.Sqrt(root[i])
	}
	l := make([]float64, w.N*w.N)
	for i := range w.N {
		for j := range w.N {
			l[i*w.N+j] = -w.At(i, j) * root[i] * root[j]
		}
		l[i*w.N+i]++
	}
	return eigen(mat.NewSymDense(w.N, l), want)
}

func eigen(s *mat.SymDense, want bool) ([]float64, *mat.Dense, error) {
	var e mat.EigenSym
	if !e.Factorize(s, want) {
		return nil, nil, errors.New("eigenvalues: no convergence")
	}
	if !want {
		return e.Values(nil), nil, nil
	}
	var v mat.Dense
	e.VectorsTo(&v)
	return e.Values(nil), &v, nil
}

// kernelTime is the t of the heat kernel; 0.3 is the paper's.
const kernelTime = 0.3

// KernelEntropy is the von Neumann entropy of the heat kernel exp(−0.3·L) on the
// graph whose edges weigh entailment 1 and neutral ½, both directions added,
// each row of the kernel scaled to a unit diagonal; divided by ln n, so in [0,1].
// n is 2 or more.
func KernelEntropy(x NLI) (float64, error) {
	n := x.Entail.N
	l := make([]float64, n*n)
	for i := range n {
		for j := range n {
			if i == j {
				continue // a loop leaves a Laplacian as it is
			}
			// entail + ½·neutral = ½(1 + entail − contra), for each direction
			w := 1 + (x.Entail.At(i, j)+x.Entail.At(j, i)-x.Contra.At(i, j)-x.Contra.At(j, i))/2
			l[i*n+j] = -w
			l[i*n+i] += w
		}
	}
	values, vectors, err := eigen(mat.NewSymDense(n, l), true)
	if err != nil {
		return 0, err
	}
	raw := vectors.RawMatrix()
	kernel := make([]float64, n*n)
	for k, v := range values {
		heat := math.Exp(-kernelTime * v)
		for i := range n {
			a := heat * raw.Data[i*raw.Stride+k]
			for j := i; j < n; j++ {
				kernel[i*n+j] += a * raw.Data[j*raw.Stride+k]
			}
		}
	}
	scale := make([]float64, n)
	for i := range n {
		scale[i] = 1 / math.Sqrt(kernel[i*n+i]*float64(n))
	}
	for i := range n {
		for j := i; j < n; j++ {
			kernel[i*n+j] *= scale[i] * scale[j]
		}
	}
	if values, _, err = eigen(mat.NewSymDense(n, kernel), false); err != nil {
		return 0, err
	}
	h := 0.0
	for _, v := range values {
		if v > 1e-8 {
			h -= v * math.Log(v)
		}
	}
	return h / math.Log(float64(n)), nil
}
