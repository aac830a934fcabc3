package learn

import (
	"context"
	"math"

	"gnothi/control"
	"gnothi/monitor"
	"gnothi/monitor/judge"
)

// SelfPlay is the recipe `self-play-preference-optimization-spo` (Swamy et al.
// 2024): n samples are set against each other by a judge in both orders, and a
// sample's reward is the share of the others that it beats; no reward model, and
// it holds for preferences that go in circles. Rows: the reward of each sample,
// and best against worst as a pair. n + n(n−1) calls.
func SelfPlay(n int, j *judge.Judge) Recipe {
	return Recipe{
		Name: "self-play-preference-optimization-spo", About: "the share of its siblings that a sample beats, as reward",
		Needs: "prompts; a judge",
		Rows: func(ctx context.Context, t *monitor.Trial, p Prompt, m *Made) error {
			cs, err := m.pool(ctx, t, monitor.DefaultSampling, n, true)
			if err != nil {
				return err
			}
			if len(cs) < 2 {
				m.Drop("prompt: fewer than two different samples")
				return nil
			}
			rs, err := control.WinShare(m.duel(j)).Score(ctx, t, cs)
			if err != nil {
				return err
			}
			shares := make([]float64, len(cs))
			for i, r := range rs {
				if shares[i] = r.Score; r.Err != nil {
					shares[i] = math.NaN()
					m.Drop("sample: no duel with a verdict")
					continue
				}
				m.Add(Row{Kind: Reward, Completion: said(cs[i]), Reward: number(r.Score), Scores: map[string]float64{"duels": float64(r.Reads)}})
			}
			m.Score(shares...)
			if d, ok := BestWorst(shares); ok {
				m.Add(pair(cs[d.Chosen], cs[d.Rejected], d.Margin))
			} else {
				m.Drop("pair: all samples won equally often")
			}
			return nil
		},
	}
}
