package learn

import (
	"context"
	"strings"

	"gnothi/control"
	"gnothi/monitor"
)

// LanguageFeedback is the recipe `self-language-feedback` (SELF, Lu et al. 2023;
// the part without gradients): answer, criticise, refine, until the model's own
// critique is content, for at most so many rounds ([control.SelfRefine]). Rows:
// the final answer, if it is qualified, to fine-tune on; and for the meta-skill,
// under the role critic, each critique with its verdict, and under the role
// reviser each refinement. A critique without a verdict never qualifies: then there are no
// rows but those of the critic. Where answers can be checked the report says
// how many qualified answers are right beside how many first ones are.
// 2 + 2·rounds calls at most.
func LanguageFeedback(rounds int) Recipe {
	policy := control.SelfRefine(rounds)
	return Recipe{
		Name: "self-language-feedback", About: "answers refined until the model's own critique is content",
		Needs: "prompts",
		Rows: func(ctx context.Context, t *monitor.Trial, p Prompt, m *Made) error {
			res, err := policy.Run(ctx, t)
			if err != nil {
				return err
			}
			if stopped(&res) != nil {
				return stopped(&res)
			}
			if res.Best == nil {
				m.Drop("prompt: no answer")
				return nil
			}
			for _, s := range res.Trace {
				m.Add(Row{Kind: SFT, Role: "critic", Prompt: critiquePrompt(p, said(s.Before)), Completion: s.Feedback})
			}
			qualified := res.Stopped == "content"
			if qualified && res.Verdict != "" {
				m.Add(Row{Kind: SFT, Role: "critic", Prompt: critiquePrompt(p, said(res.Best)), Completion: res.Verdict})
			}
			if p.Checked() {
				for name, c := range map[string]*monitor.Candidate{"first answers that are right": res.First(), "qualified answers that are right": res.Best} {
					o, err := p.Check(ctx, t, c)
					if err != nil {
						return err
					}
					if right := truth(o); right != nil && (qualified || c == res.First()) {
						m.Count(name, *right)
					}
				}
			}
			if !qualified {
				m.Drop("prompt: not qualified")
				return nil
			}
			row := Row{Kind: SFT, Completion: said(res.Best), Scores: map[string]float64{"rounds": float64(len(res.Trace))}}
			if p.Checked() {
				o, err := p.Check(ctx, t, res.Best)
				if err != nil {
					return err
				}
				row.Right = truth(o)
			}
			m.Add(row)
			for _, s := range res.Trace {
				if s.After == res.Best {
					m.Add(Row{Kind: SFT, Role: "reviser", Prompt: critiquePrompt(p, said(s.Before)) + "\n\nFeedback: " + s.Feedback, Completion: said(s.After)})
				}
			}
			return nil
		},
	}
}

// critiquePrompt is what a critic is trained to reply to.
func critiquePrompt(p Prompt, answer string) string {
	return question(p) + "\n\nAnswer: " + strings.TrimSpace(answer)
}

// stopped is the error that ended a loop early; nil where it ended by itself.
func stopped(res *control.Result) error {
	switch res.Stopped {
	case "content", "rounds", "tokens":
		return nil
	}
	if res.Stopped == "budget" {
		return errBudget
	}
	return &loopError{res.Stopped}
}
