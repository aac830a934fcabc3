package stats

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// Ranking is the strength of competitors from who beat whom.
type Ranking struct {
	Theta []float64 // log-strengths, sum 0: i beats j with probability Sigmoid(Theta[i] − Theta[j])
	SE    []float64 // their standard errors, for the same constraint
}

// BradleyTerry is the maximum-likelihood fit (Bradley and Terry 1952), wins[i][j] being how often i beat j (a tie may be
// ½ to each). l2 ≥ 0 penalises Σ Theta²·l2/2; without it every competitor must have won and lost, directly or through
// others, against every other one, else ErrSeparated.
func BradleyTerry(wins [][]float64, l2 float64) (Ranking, error) {
	n := len(wins)
	if n < 2 {
		return Ranking{}, fmt.Errorf("stats: Bradley–Terry: %d competitors: %w", n, ErrEmpty)
	}
	if err := checkFinite(wins...); err != nil {
		return Ranking{}, err
	}
	if len(wins[0]) != n {
		return Ranking{}, fmt.Errorf("stats: Bradley–Terry: %d rows of %d: %w", n, len(wins[0]), ErrLength)
	}
	if !(l2 >= 0) || math.IsInf(l2, 0) {
		return Ranking{}, rangeError("l2", l2, "at least 0")
	}
	for i, row := range wins {
		for j, w := range row {
			if w < 0 || i == j && w != 0 {
				return Ranking{}, rangeError(fmt.Sprintf("wins[%d][%d]", i, j), w, "at least 0, and 0 against oneself")
			}
		}
	}
	if l2 == 0 && !connected(wins) {
		return Ranking{}, fmt.Errorf("stats: Bradley–Terry: some never lost to, or never met, the rest: %w", ErrSeparated)
	}
	theta := make([]float64, n)
	loss := func(theta []float64) (l float64) {
		for i := range n {
			l += l2 / 2 * theta[i] * theta[i]
			for j := range n {
				if wins[i][j] > 0 {
					d := theta[i] - theta[j]
					l += wins[i][j] * (math.Log1p(math.Exp(-math.Abs(d))) + max(0, -d))
				}
			}
		}
		return l
	}
	// information is the Hessian; 1/n in every cell fixes the sum without moving the differences.
	information := func(constraint float64) (*mat.SymDense, *mat.VecDense) {
		h, g := mat.NewSymDense(n, nil), mat.NewVecDense(n, nil)
		for i := range n {
			gi := l2 * theta[i]
			for j := range n {
				p := Sigmoid(theta[i] - theta[j])
				games := wins[i][j] + wins[j][i]
				gi += games*p - wins[i][j]
				if i != j {
					h.SetSym(i, i, h.At(i, i)+games*p*(1-p))
					if i < j {
						h.SetSym(i, j, -games*p*(1-p))
					}
				}
			}
			h.SetSym(i, i, h.At(i, i)+l2)
			g.SetVec(i, gi)
		}
		for i := range n {
			for j := i; j < n; j++ {
				h.SetSym(i, j, h.At(i, j)+constraint)
			}
		}
		return h, g
	}
	shift := 1 / float64(n)
	settled := false
	for range 100 {
		h, g := information(shift)
		var chol mat.Cholesky
		if !chol.Factorize(h) {
			return Ranking{}, fmt.Errorf("stats: Bradley–Terry: %w", ErrSeparated)
		}
		var step mat.VecDense
		if err := chol.SolveVecTo(&step, g); err != nil {
			return Ranking{}, fmt.Errorf("stats: Bradley–Terry: %w", ErrSeparated)
		}
		before, largest := loss(theta), mat.Norm(&step, math.Inf(1))
		next := make([]float64, n)
		for size := 1.0; ; size /= 2 {
			for i := range next {
				next[i] = theta[i] - size*step.AtVec(i)
			}
			if loss(next) <= before || size < 1e-6 {
				break
			}
		}
		copy(theta, next)
		if largest < 1e-10 {
			settled = true
			break
		}
	}
	if !settled {
		return Ranking{}, fmt.Errorf("stats: Bradley–Terry: the fit does not settle: %w", ErrSeparated)
	}
	centre := mean(theta)
	for i := range theta {
		theta[i] -= centre
	}
	h, _ := information(shift)
	var inv mat.SymDense
	var chol mat.Cholesky
	if !chol.Factorize(h) {
		return Ranking{}, fmt.Errorf("stats: Bradley–Terry: %w", ErrSeparated)
	}
	if err := chol.InverseTo(&inv); err != nil {
		return Ranking{}, fmt.Errorf("stats: Bradley–Terry: %w", ErrSeparated)
	}
	out := Ranking{theta, make([]float64, n)}
	for i := range n {
		// The constraint's own direction has eigenvalue l2 + 1 in h, none in the pseudo-inverse.
		out.SE[i] = math.Sqrt(max(0, inv.At(i, i)-shift/(1+l2)))
	}
	return out, nil
}

// connected says whether everyone reaches everyone along wins.
func connected(wins [][]float64) bool {
	reach := func(won func(i, j int) bool) bool {
		seen, stack := make([]bool, len(wins)), []int{0}
		seen[0] = true
		count := 0
		for len(stack) > 0 {
			i := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			count++
			for j := range wins {
				if !seen[j] && won(i, j) {
					seen[j] = true
					stack = append(stack, j)
				}
			}
		}
		return count == len(wins)
	}
	return reach(func(i, j int) bool { return wins[i][j] > 0 }) && reach(func(i, j int) bool { return wins[j][i] > 0 })
}

// Elo rates n competitors from games (winner, loser) in their order, all starting at start; k is the largest change and 400
// points are odds of ten to one. Unlike [BradleyTerry] it hangs on the order.
func Elo(n int, games [][2]int, k, start float64) ([]float64, error) {
	r := make([]float64, n)
	for i := range r {
		r[i] = start
	}
	for g, p := range games {
		if min(p[0], p[1]) < 0 || max(p[0], p[1]) >= n || p[0] == p[1] {
			return nil, rangeError(fmt.Sprintf("game %d", g), p, fmt.Sprintf("two of 0 to %d", n-1))
		}
		gain := k / (1 + math.Pow(10, (r[p[0]]-r[p[1]])/400))
		r[p[0]] += gain
		r[p[1]] -= gain
	}
	return r, nil
}
