package consistency

import (
	"context"

	"gnothi/monitor"
)

// Kernel is consistency/kernel-entropy (kernel language entropy, Nikitin et al.
// 2024): raw is the von Neumann entropy of the heat kernel over the graph of
// entailments between samples, divided by ln n ([KernelEntropy]); the score is
// 1 − raw.
func Kernel() monitor.Signal {
	return ofSamples("consistency/kernel-entropy", Entailment.needs(), func(ctx context.Context, t *monitor.Trial, _ []*monitor.Candidate) (float64, float64, error) {
		x, err := monitor.Get(ctx, t, Inferences{})
		if err != nil {
			return 0, 0, err
		}
		h, err := KernelEntropy(x)
		return 1 - h, h, err
	})
}
