package stats

import "math"

// DeLong is the AUROC with the interval of DeLong, DeLong and Clarke-Pearson (1988), computed from mid-ranks in O(n log n)
// (Sun and Xu 2014) and cut to [0,1]. Where its variance is 0 (perfect separation) the interval is Newcombe's (2006,
// method 5), which keeps an honest length. Items are taken as independent; for clusters use [Bootstrap].
func DeLong(score, y []float64, level float64) (Figure, error) {
	if err := checkLevel(level); err != nil {
		return Figure{}, err
	}
	c, err := components(y, score)
	if err != nil {
		return Figure{}, err
	}
	auc := c.auc[0]
	half := normalQuantile(level) * math.Sqrt(c.cov(0, 0))
	f := Figure{Value: auc, Low: max(0, auc-half), High: min(1, auc+half), N: len(y), Method: methodf("DeLong", level)}
	if half < 1e-9 {
		f.Low, f.High = newcombeAUC(auc, float64(len(c.pos[0])), float64(len(c.neg[0])), normalQuantile(level))
		f.Method = methodf("Newcombe", level)
	}
	return f, nil
}

// Paired compares two scores on the same items.
type Paired struct {
	A, B       float64
	Difference Figure // A − B
	Test       Test
}

// DeLongPaired tests whether two scores of the same items have the same AUROC. Two rankings that never differ have
// variance 0: p is then 1 and there is no interval.
func DeLongPaired(a, b, y []float64, level float64) (Paired, error) {
	if err := checkLevel(level); err != nil {
		return Paired{}, err
	}
	c, err := components(y, a, b)
	if err != nil {
		return Paired{}, err
	}
	n := len(y)
	d := c.auc[0] - c.auc[1]
	se := math.Sqrt(max(0, c.cov(0, 0)+c.cov(1, 1)-2*c.cov(0, 1)))
	out := Paired{A: c.auc[0], B: c.auc[1], Test: Test{0, 1, n, "DeLong paired z"}}
	method := methodf("DeLong paired", level)
	if se < 1e-9 {
		out.Difference = pointOnly(d, n, method, "the variance of the difference is 0").tested(1)
		return out, nil
	}
	half := normalQuantile(level) * se
	out.Difference = Figure{Value: d, Low: max(-1, d-half), High: min(1, d+half), N: n, Method: method}
	out.Test.Statistic = d / se
	out.Test.P = twoSidedNormal(d / se)
	out.Difference = out.Difference.tested(out.Test.P)
	return out, nil
}

// structural holds, for each score, DeLong's placement values: for a right item the share of wrong ones it beats, for a
// wrong item the share of right ones that beat it.
type structural struct {
	auc      []float64
	pos, neg [][]float64
}

func components(y []float64, scores ...[]float64) (structural, error) {
	var s structural
	for _, score := range scores {
		ones, err := checkBinary(score, y)
		if err != nil {
			return structural{}, err
		}
		zeros := len(y) - ones
		var right, wrong []float64
		for i, v := range score {
			if y[i] == 1 {
				right = append(right, v)
			} else {
				wrong = append(wrong, v)
			}
		}
		all, own := Ranks(append(append([]float64(nil), right...), wrong...)), Ranks(right)
		pos := make([]float64, ones)
		for i := range pos {
			pos[i] = (all[i] - own[i]) / float64(zeros)
		}
		own = Ranks(wrong)
		neg := make([]float64, zeros)
		for i := range neg {
			neg[i] = 1 - (all[ones+i]-own[i])/float64(ones)
		}
		s.auc = append(s.auc, mean(pos))
		s.pos = append(s.pos, pos)
		s.neg = append(s.neg, neg)
	}
	return s, nil
}

func (s structural) cov(i, j int) float64 {
	part := func(a, b []float64, ma, mb float64) float64 {
		if len(a) < 2 {
			return 0
		}
		var sum float64
		for k := range a {
			sum += (a[k] - ma) * (b[k] - mb)
		}
		return sum / float64(len(a)-1) / float64(len(a))
	}
	return part(s.pos[i], s.pos[j], s.auc[i], s.auc[j]) + part(s.neg[i], s.neg[j], s.auc[i], s.auc[j])
}

// newcombeAUC solves |auc − θ| = z √V(θ) with V of Newcombe (2006), method 5.
func newcombeAUC(auc, pos, neg, z float64) (low, high float64) {
	half := (pos+neg)/2 - 1
	excess := func(t float64) float64 {
		v := t * (1 - t) * (1 + half*(1-t)/(2-t) + half*t/(1+t)) / (pos * neg)
		return math.Abs(auc-t) - z*math.Sqrt(v)
	}
	bound := func(end float64) float64 { // excess ≤ 0 at auc, ≥ 0 at the end of the range
		in, out := auc, end
		for range 60 {
			if mid := (in + out) / 2; excess(mid) > 0 {
				out = mid
			} else {
				in = mid
			}
		}
		return (in + out) / 2
	}
	low, high = bound(0), bound(1)
	if auc == 0 {
		low = 0
	}
	if auc == 1 {
		high = 1
	}
	return low, high
}
