package learn

import (
	"context"

	"gnothi/control"
	"gnothi/monitor"
	"gnothi/monitor/judge"
)

// ProcessSelfRewarding is the recipe `process-self-rewarding` (Zhang et al. 2025;
// the part without gradients): an answer is searched step by step, at each step w
// continuations are compared in pairs and both orders, and the most-won one is
// taken. A row is a pair of next steps: its prompt is the question with the
// steps taken before, so that only the one step is trained. Steps count as a
// pair where the better won at least gap duels more. w + w(w−1) calls a step.
//
// Chosen: w 6, gap 2 (with w 2 or 3 there are fewer duels: give a smaller one).
func ProcessSelfRewarding(w int, gap float64, j *judge.Judge) Recipe {
	return Recipe{
		Name: "process-self-rewarding", About: "the step that wins most duels against the one that wins fewest",
		Needs: "prompts that are solved in steps; a judge",
		Rows: func(ctx context.Context, t *monitor.Trial, p Prompt, m *Made) error {
			steps := &control.Steps{W: w, Max: 20, Duel: m.duel(j)}
			path, err := steps.Path(ctx, t)
			if err != nil {
				return err
			}
			if path.Candidate != nil && p.Checked() {
				o, err := p.Check(ctx, t, path.Candidate)
				if err != nil {
					return err
				}
				if right := truth(o); right != nil {
					m.Count("searched answers that are right", *right)
				}
			}
			if len(path.Pairs) == 0 {
				m.Drop("prompt: no two steps of different worth")
			}
			for _, s := range path.Pairs {
				m.Score(s.Gap)
				if s.Gap < gap {
					m.Drop("step: the gap in duels won is too small")
					continue
				}
				m.Add(Row{Kind: Pair, Role: "step", Prompt: question(p) + "\n\n" + s.Prefix, Chosen: s.Chosen, Rejected: s.Rejected, Margin: number(s.Gap)})
			}
			return nil
		},
	}
}
