package learn

import (
	"context"

	"gnothi/learn/countdown"
	"gnothi/monitor"
	"gnothi/monitor/judge"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

var variantAsk = prompt.Template{Name: "countdown-variant", Version: 1, Text: "A puzzle: {puzzle}\nWrite a new puzzle of the same kind and about as hard, with as many numbers, that has a solution. Reply with one line of the form \"Numbers: 3, 5, 7. Target: 22\" and nothing else."}

// falseAccepts is the largest share of wrong solutions that may be accepted before the
// rewards are withheld.
const falseAccepts = 0.1

// SelfImproving is the recipe `self-rewarding-self-improving` (Simonds et al.
// 2025; the part without gradients): from each Countdown puzzle the model writes
// a new one, solves it n times, and is asked of each solution, in a fresh context
// without reference, whether it is right; that verdict is the reward. The exact checker only
// watches: the report has how often the judge agrees with it and how many wrong
// solutions it accepts, and where that is more than a tenth of them no row is
// given out, since training on it would teach to please the judge. A new puzzle
// that has no solution, found by trying all, is counted and not used. With
// generate false the puzzle itself is solved. 1 + n + 2n calls.
//
// Prompts without a puzzle are taken as they are, and checked by their answers.
func SelfImproving(n int, generate bool, j *judge.Judge) Recipe {
	return Recipe{
		Name: "self-rewarding-self-improving", About: "the model's own verdict on its solutions as reward, watched by a checker",
		Needs: "Countdown puzzles, or prompts with answers; a judge",
		Rows: func(ctx context.Context, t *monitor.Trial, p Prompt, m *Made) error {
			if !p.Checked() {
				return errUnchecked
			}
			if generate && p.Countdown != nil {
				reply, err := t.Aside(ctx, monitor.Aside{Role: "generate", Text: variantAsk.Fill("puzzle", p.Countdown.String()), MaxTokens: 48, Temperature: 1})
				if err != nil {
					return err
				}
				variant, err := countdown.Parse(reply.Text)
				if err != nil {
					m.Drop("new puzzle: cannot be read")
					return nil
				}
				if _, ok := variant.Solve(); !ok {
					m.Drop("new puzzle: has no solution")
					return nil
				}
				p.Countdown, p.Question, p.Context = &variant, variant.String(), ""
				t = asideTrial(t, "variant", 0, monitor.Question{Text: p.Question, Kind: p.Kind}, t.Request.MaxTokens)
			}
			cs, err := m.pool(ctx, t, monitor.Sampling{Temperature: 1}, n, false)
			if err != nil {
				return err
			}
			for _, c := range cs {
				v, err := j.Verify(ctx, t, c)
				if other := m.heard(j, err, func(b *judge.Tally) { b.Verified(v, err) }, "verdict that could not be read"); other != nil {
					return other
				} else if err != nil {
					continue
				}
				o, err := p.Check(ctx, t, c)
				if err != nil {
					return err
				}
				reward := 0.0
				if v.Holds {
					reward = 1
				}
				m.Score(v.P)
				right := o == text.Right // what cannot be read solves nothing
				m.Label(v.P, right)
				m.Count("judge agrees with the checker", right == v.Holds)
				m.Add(Row{Kind: Reward, Prompt: question(p), Completion: said(c), Reward: &reward, Right: &right, Scores: map[string]float64{"p": v.P}})
			}
			return nil
		},
		All: func(rows []Row, m *Made) []Row {
			for _, r := range rows {
				if !*r.Right {
					m.Count("wrong solutions accepted", *r.Reward == 1)
				}
			}
			if s := m.shares["wrong solutions accepted"]; s[1] > 0 && float64(s[0]) > falseAccepts*float64(s[1]) {
				m.DropN("row: withheld by the guard", len(rows))
				m.Note("the judge accepts %d of %d wrong solutions, more than a tenth: its verdicts are no rewards, and no row is given out", s[0], s[1])
				return nil
			}
			return rows
		},
	}
}
