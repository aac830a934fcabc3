package judge

import (
	"errors"
	"fmt"

	"gnothi/stats"
)

// Agreement is how far verdicts and labels, or two runs of a judge, agree.
type Agreement struct {
	Kappa   stats.Figure `json:"kappa"`    // Cohen's, for ordered grades quadratically weighted
	Exact   stats.Figure `json:"exact"`    // share that is the same
	MacroF1 stats.Figure `json:"macro_f1"` // mean over the labels' classes of F1
}

// MacroF1 is the unweighted mean of F1 = 2·tp/(2·tp + fp + fn) over the classes
// that occur among the labels.
func MacroF1[K comparable](verdicts, labels []K) (float64, error) {
	if len(labels) == 0 || len(labels) != len(verdicts) {
		return 0, fmt.Errorf("judge: macro F1: %d verdicts, %d labels", len(verdicts), len(labels))
	}
	type counts struct{ tp, fp, fn float64 }
	class := map[K]*counts{}
	var order []K
	for _, k := range labels {
		if class[k] == nil {
			class[k] = &counts{}
			order = append(order, k)
		}
	}
	for i, k := range labels {
		v := verdicts[i]
		if v == k {
			class[k].tp++
			continue
		}
		class[k].fn++
		if c := class[v]; c != nil {
			c.fp++
		}
	}
	sum := 0.0
	for _, k := range order {
		c := class[k]
		sum += 2 * c.tp / (2*c.tp + c.fp + c.fn)
	}
	return sum / float64(len(order)), nil
}

// Agree compares whole-numbered verdicts with labels; ordered says that they are
// grades, so that near misses count for something. A missing verdict is no pair:
// leave it out, and say how many.
func Agree(verdicts, labels []int, ordered bool) Agreement {
	n := len(labels)
	if n == 0 || n != len(verdicts) {
		none := stats.Missing(0, errors.New("nothing has both a verdict and a label"))
		return Agreement{none, none, none}
	}
	same, method := 0, "Cohen's kappa"
	for i := range labels {
		if verdicts[i] == labels[i] {
			same++
		}
	}
	kappa, err := stats.CohenKappa(verdicts, labels)
	if ordered {
		method = "Cohen's kappa, quadratic weights"
		kappa, err = weighted(verdicts, labels)
	}
	out := Agreement{Kappa: figure(kappa, n, method, err)}
	if out.Exact, err = stats.Wilson(same, n, 0.95); err != nil {
		out.Exact = stats.Missing(n, err)
	}
	f1, err := MacroF1(verdicts, labels)
	out.MacroF1 = figure(f1, n, "macro F1", err)
	return out
}

// weighted is the quadratically weighted kappa over the grades themselves, used
// or not: 1 − n·Σ(v − l)² / ΣΣ(v − l)².
func weighted(verdicts, labels []int) (float64, error) {
	var seen, chance float64
	for i, v := range verdicts {
		d := float64(v - labels[i])
		seen += d * d
		for _, l := range labels {
			d := float64(v - l)
			chance += d * d
		}
	}
	if chance == 0 {
		return 0, fmt.Errorf("judge: kappa: one grade only: %w", stats.ErrConstant)
	}
	return 1 - float64(len(labels))*seen/chance, nil
}
