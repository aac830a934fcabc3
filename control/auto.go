package control

import "gnothi/monitor"

// Auto is the default policy: the greedy answer and, after it, samples in small
// batches until the leading answer is settled.
func Auto() Policy {
	return Vote{
		Sampler: Independent{Sampling: monitor.DefaultSampling, First: true},
		Stop:    Settled{Conf: 0.95, Batch: 4, Max: 13},
	}
}
