package learn

import (
	"context"
	"errors"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/claims"
	"gnothi/text"
)

// FineGrained is the recipe `rlfh-fine-grained-knowledge` (Wen et al. 2024; the part without
// gradients): n answers, each taken apart into facts, each fact judged by the
// prompt's context (or what the model knows) for truth and informativeness, and
// its reward placed on the last token of its words ([claims.TokenRewards]). A row is an answer whose spans are the
// tokens that earn something; its reward is the bonus for saying much that is
// true ([claims.Bonus]). Where a model gives no tokens the spans are the facts.
// Each token earns for at most one fact. n + sentences + facts/10 calls.
func FineGrained(n int) Recipe {
	return Recipe{
		Name: "rlfh-fine-grained-knowledge", About: "rewards of tokens from verdicts on facts",
		Needs: "prompts, best with \"context\" to judge by",
		Rows: func(ctx context.Context, t *monitor.Trial, p Prompt, m *Made) error {
			cs, err := m.pool(ctx, t, monitor.Sampling{Temperature: 1}, n, true)
			if err != nil {
				return err
			}
			m.self = true
			for _, c := range cs {
				g, err := monitor.Get(ctx, t, claims.Grades{Candidate: c})
				switch {
				case errors.Is(err, llm.ErrBudget) || ctx.Err() != nil || err != nil && !unread(err):
					return err
				case err != nil:
					m.Drop("answer: no fact with a verdict")
					continue
				case g.Err != nil && !unread(g.Err):
					return g.Err
				}
				var facts []claims.Graded
				for _, f := range g.Facts {
					if f.Truth == claims.Unjudged {
						m.Drop("fact: no verdict")
						continue
					}
					facts = append(facts, f)
					m.Count("facts that are true", f.Truth == claims.Correct || f.Truth == claims.HedgedCorrect)
					m.Score(f.Reward())
				}
				spans, lost, err := factSpans(c, facts)
				if err != nil {
					return err
				}
				m.DropN("fact: its tokens are taken", lost)
				m.Add(Row{Kind: Reward, Completion: c.Text, Reward: number(claims.Bonus(facts)), Spans: spans})
			}
			return nil
		},
	}
}

// factSpans are the parts of an answer that earn something.
func factSpans(c *monitor.Candidate, facts []claims.Graded) (out []Span, lost int, err error) {
	tokens, at := c.Tokens, make([]text.Span, 0, len(c.Tokens))
	joined := 0
	for _, tok := range tokens {
		at = append(at, text.Span{Start: joined, End: joined + len(tok.Text)})
		joined += len(tok.Text)
	}
	if len(tokens) == 0 || joined != len(c.Text) { // no tokens, or others than those of the text: words do
		tokens, at = tokens[:0:0], at[:0]
		end := 0
		for i := 1; i <= len(c.Text); i++ {
			if i == len(c.Text) || c.Text[i] == ' ' || c.Text[i] == '\n' {
				tokens = append(tokens, llm.Token{Text: c.Text[end:i]})
				at = append(at, text.Span{Start: end, End: i})
				end = i
			}
		}
	}
	rewards, owner, lost, err := claims.TokenRewards(c.Text, tokens, facts)
	if err != nil {
		return nil, lost, err
	}
	for i, r := range rewards {
		if r != 0 {
			out = append(out, Span{Start: at[i].Start, End: at[i].End, What: facts[owner[i]].Truth.String(), Reward: number(r)})
		}
	}
	return out, lost, nil
}
