package consistency

import "math"

// EntailmentClasses sorts texts into classes of meaning (Kuhn et al. 2023): a
// text joins the first class whose first member entails it and is entailed by
// it, entailment being the likeliest of the three relations in both directions;
// else it opens a class. Each text is in one class; classes are numbered from 0
// as they open.
func EntailmentClasses(x NLI) []int {
	likeliest := func(i, j int) bool {
		e, c := x.Entail.At(i, j), x.Contra.At(i, j)
		return e > c && e > 1-e-c
	}
	class := make([]int, x.Entail.N)
	var first []int
next:
	for i := range class {
		for k, f := range first {
			if likeliest(f, i) && likeliest(i, f) {
				class[i] = k
				continue next
			}
		}
		class[i] = len(first)
		first = append(first, i)
	}
	return class
}

// SemanticSets is the number of sets of texts that hang together by pairs in
// which each is entailed by the other rather than contradicted (Lin et al. 2023).
func SemanticSets(x NLI) int {
	n := x.Entail.N
	up := make([]int, n)
	for i := range up {
		up[i] = i
	}
	find := func(i int) int {
		for up[i] != i {
			up[i] = up[up[i]]
			i = up[i]
		}
		return i
	}
	sets := n
	for i := range n {
		for j := i + 1; j < n; j++ {
			if x.Entail.At(i, j) > x.Contra.At(i, j) && x.Entail.At(j, i) > x.Contra.At(j, i) {
				if a, b := find(i), find(j); a != b {
					up[b] = a
					sets--
				}
			}
		}
	}
	return sets
}

// ClassEntropy is −Σ p ln p over classes whose probabilities are in proportion to
// the sum of e^logWeight over their members: they are normalised, so it is never
// negative. It is sure to be computed over classes, each once, and does not
// underflow however small the weights. class numbers from 0.
func ClassEntropy(logWeights []float64, class []int) float64 {
	top, classes := math.Inf(-1), 0
	for i, l := range logWeights {
		top = math.Max(top, l)
		classes = max(classes, class[i]+1)
	}
	mass := make([]float64, classes)
	total := 0.0
	for i, l := range logWeights {
		w := math.Exp(l - top)
		mass[class[i]] += w
		total += w
	}
	h := 0.0
	for _, m := range mass {
		if m > 0 {
			h -= m / total * math.Log(m/total)
		}
	}
	return math.Max(0, h)
}

// sarTemperature is the t of SAR's shift by relevance.
const sarTemperature = 1e-3

// SAR is the shifted entropy of sentences (Duan et al. 2023, "Shifting Attention
// to Relevance"): the mean of −ln(p_i + Σ_{j≠i} p_j·sim(i,j)/0.001). With the
// log-probabilities of whole samples it is their sentSAR, with −tokenSAR of each
// sample their SAR. It is negative where samples are alike.
func SAR(logP []float64, similarity Matrix) float64 {
	p := make([]float64, len(logP))
	for i, l := range logP {
		p[i] = math.Exp(l)
	}
	sum := 0.0
	for i := range p {
		relevance := 0.0
		for j := range p {
			if i != j {
				relevance += p[j] * similarity.At(i, j)
			}
		}
		sum -= math.Log(p[i] + relevance/sarTemperature)
	}
	return sum / float64(len(p))
}

// LUQ is 1 − the mean, over ordered pairs of different texts, of
// P(entailment)/(P(entailment)+P(contradiction)) (Zhang et al. 2024, without
// the splitting into sentences); in [0,1].
func LUQ(x NLI) float64 {
	n, sum := x.Entail.N, 0.0
	for i := range n {
		for j := range n {
			if e, c := x.Entail.At(i, j), x.Contra.At(i, j); i != j && e+c > 0 {
				sum += e / (e + c)
			} else if i != j {
				sum += 0.5 // neither: no leaning
			}
		}
	}
	return 1 - sum/float64(n*(n-1))
}

// SemanticDensity is the density of an answer among answers in meaning (Qiu and
// Miikkulainen 2024): Σ p_i·K_i / Σ p_i over the answers, where p is a
// length-normalised probability and K = 1 − d², d² = P(contradiction) +
// ½·P(neutral) of the answer as premise, 0 where d² is above 1. In [0,1].
func SemanticDensity(logP, contra, neutral []float64) float64 {
	above, below := 0.0, 0.0
	for i, l := range logP {
		p := math.Exp(l)
		above += p * math.Max(0, 1-contra[i]-neutral[i]/2)
		below += p
	}
	return above / below
}
