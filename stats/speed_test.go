package stats

import "testing"

// BenchmarkSummarise: 200,000 items are what a large run has.
func BenchmarkSummarise(b *testing.B) {
	for name, n := range map[string]int{"1000": 1000, "200000": 200_000} {
		p, y := draws(seeded(1), n, overconfident)
		group, cluster := make([]int, n), make([]int, n)
		for i := range group {
			group[i], cluster[i] = i%7, i/4
		}
		for kind, o := range map[string]Options{"items": {}, "clusters": {Cluster: cluster, Group: group}} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				for b.Loop() {
					if _, err := Summarise(seeded(2), p, y, o); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
