package learn

import (
	"context"
	"slices"

	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

var hintedAsk = prompt.Template{Name: "rationalise", Version: 1, Text: "Question: {question}\nThe answer is: {answer}\nWrite the reasoning that leads to this answer, step by step, as if you did not know it before. End with one line: \"Answer:\" and the answer."}

// SelfMotivated is the recipe `self-motivated-learning` (Feng et al. 2024): n
// chains of reasoning for a question whose answer is known; those that reach it
// rank above those that do not, within each side they tie. Rows: one ranking, for
// a reward model, and at most four pairs. A question with only right or only
// wrong chains gives none. With hint, a question without a right chain gets one
// written with the answer in sight, marked "hinted" in its scores. n calls, one
// more for a hint.
//
// Chosen: temperature 1; of chains with nine tenths of their words in common the
// first stands; the number of pairs.
func SelfMotivated(n int, hint bool) Recipe {
	return Recipe{
		Name: "self-motivated-learning", About: "chains with the right answer above those with a wrong one",
		Needs: "prompts with answers",
		Rows: func(ctx context.Context, t *monitor.Trial, p Prompt, m *Made) error {
			if !p.Checked() {
				return errUnchecked
			}
			cs, err := m.pool(ctx, t, monitor.Sampling{Temperature: 1}, n, true)
			if err != nil {
				return err
			}
			cs = m.unlike(cs)
			right, wrong, err := m.divide(ctx, t, p, cs)
			if err != nil {
				return err
			}
			hinted := -1
			if hint && len(right) == 0 && len(wrong) > 0 && len(p.Answers) > 0 {
				reply, err := t.Aside(ctx, monitor.Aside{Role: "rewrite", Text: hintedAsk.Fill("question", question(p), "answer", p.Answers[0]), MaxTokens: max(256, t.Request.MaxTokens), Temperature: 0})
				if err != nil {
					return err
				}
				c := t.Candidate(reply, monitor.FromRevision, nil)
				if o, err := p.Check(ctx, t, c); err != nil {
					return err
				} else if o == text.Right {
					hinted = len(cs)
					cs, right = append(cs, c), append(right, hinted)
				} else {
					m.Drop("hinted chain that misses the answer")
				}
			}
			switch {
			case len(right)+len(wrong) < 2:
				m.Drop("prompt: fewer than two chains that could be checked")
				return nil
			case len(right) == 0:
				m.Drop("prompt: only wrong chains")
				return nil
			case len(wrong) == 0:
				m.Drop("prompt: only right chains")
				return nil
			}
			list := Row{Kind: Ranking}
			for _, i := range right {
				list.Ranking = append(list.Ranking, Ranked{said(cs[i]), 1, 1})
			}
			for _, i := range wrong {
				list.Ranking = append(list.Ranking, Ranked{said(cs[i]), 2, 0})
			}
			m.Add(list)
			for _, d := range RightWrong(right, wrong, 4) {
				row := pair(cs[d.Chosen], cs[d.Rejected], d.Margin)
				if d.Chosen == hinted {
					row.Scores = map[string]float64{"hinted": 1}
				}
				m.Add(row)
			}
			return nil
		},
	}
}

// unlike leaves out what nearly repeats an earlier candidate.
func (m *Made) unlike(cs []*monitor.Candidate) (out []*monitor.Candidate) {
	for _, c := range cs {
		if slices.ContainsFunc(out, func(o *monitor.Candidate) bool { return text.Jaccard(said(o), said(c)) >= 0.9 && o.Key == c.Key }) {
			m.Drop("sample: nearly the same as another")
			continue
		}
		out = append(out, c)
	}
	return out
}

// divide sorts candidates by what the checker says, and counts the rest.
func (m *Made) divide(ctx context.Context, t *monitor.Trial, p Prompt, cs []*monitor.Candidate) (right, wrong []int, err error) {
	for i, c := range cs {
		o, err := p.Check(ctx, t, c)
		if err != nil {
			return nil, nil, err
		}
		switch o {
		case text.Right:
			right = append(right, i)
		case text.Wrong:
			wrong = append(wrong, i)
		default:
			m.Drop("sample: " + o.String())
			continue
		}
		m.Count("samples that are right", o == text.Right)
	}
	return right, wrong, nil
}
