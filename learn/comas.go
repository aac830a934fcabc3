package learn

import (
	"context"
	"fmt"
	"math"
	"strings"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/judge"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

var (
	evaluateAsk = prompt.Template{Name: "evaluate", Version: 1, Text: "Question: {question}\nA peer's solution: {solution}\nEvaluate it. Look for errors and say in a few sentences what is wrong with it, or why it stands."}
	scoreShown  = prompt.Template{Name: "score-evaluation", Version: 1, Text: "Question: {question}\nA solution: {solution}\nAn evaluation of it: {evaluation}\nDoes the solution stand? Score it from 1 (the evaluation shows a real error) to 3 (the solution stands)."}
	forumAsk    = prompt.Template{Name: "forum", Version: 1, Text: "Question: {question}\nWhat others have written, which may be mistaken: {forum}\nSolve the question yourself."}
)

// CoMASJudge scores a solution by an evaluation, 1 to 3.
func CoMASJudge() judge.Judge {
	return judge.Judge{Low: 1, High: 3, Rubric: "3 if the reply stands although the evaluation in the context looked for errors, 1 if the evaluation shows a real error in it, 2 if that is open. The evaluation may itself be wrong"}
}

// CoMAS is the recipe `comas` (Xue et al. 2025; the part without gradients):
// agents of one model on a forum. In each round every agent solves, the next one
// evaluates the solution and must look for errors, and a judge scores from 1 (the
// evaluation holds) to 3 (the solution stands); later rounds see what was said in
// the earlier ones. The solver earns (s − 1)/2 and the evaluator the rest, so what
// they earn together is always 1 ([ZeroSum]). An evaluation that is none earns −1; of a
// score that cannot be read only the scorer earns −1, and nobody else anything.
// Rows are by role, solver being "", evaluator, scorer, with the agent's number in
// scores. 3 calls for each agent and round.
//
// The mapping is from public summaries. Chosen: who evaluates whom; one model in
// all roles, as agents start from the same base.
func CoMAS(agents, rounds int, j *judge.Judge) Recipe {
	return Recipe{
		Name: "comas", About: "solver and evaluator share a reward that a scorer divides",
		Needs: "prompts; a judge",
		Rows: func(ctx context.Context, t *monitor.Trial, p Prompt, m *Made) error {
			solutions, err := t.Samples(ctx, monitor.DefaultSampling, agents)
			if err != nil {
				return err
			}
			var forum []string
			for round := range rounds {
				var said []string
				for a := range agents {
					at := round*agents + a
					asked := question(p)
					var c *monitor.Candidate
					if round == 0 {
						c = solutions[a]
					} else {
						words := forumAsk.Fill("question", question(p), "forum", strings.Join(forum, "\n\n"))
						reply, err := t.Aside(ctx, monitor.Aside{Role: "sample", Index: at, Text: words, MaxTokens: t.Request.MaxTokens, Temperature: monitor.DefaultSampling.Temperature})
						if err != nil {
							return err
						}
						asked, c = words, t.Candidate(reply, monitor.FromSample, nil)
					}
					exchange, err := m.exchange(ctx, t, p, j, at, asked, c, a, (a+1)%agents)
					if err != nil {
						return err
					}
					said = append(said, exchange)
				}
				forum = append(forum, said...)
			}
			return nil
		},
	}
}

// exchange is one solution with its evaluation and score. It returns what others see of it.
func (m *Made) exchange(ctx context.Context, t *monitor.Trial, p Prompt, j *judge.Judge, at int, asked string, c *monitor.Candidate, solver, evaluator int) (string, error) {
	agent := func(i int) map[string]float64 { return map[string]float64{"agent": float64(i)} }
	if len(m.sift([]*monitor.Candidate{c}, t, false)) == 0 {
		return "", nil // no attempt: nothing to evaluate
	}
	words := evaluateAsk.Fill("question", question(p), "solution", said(c))
	reply, err := t.Aside(ctx, monitor.Aside{Role: "judge", Index: at, Text: words, MaxTokens: 256, Temperature: monitor.DefaultSampling.Temperature})
	if err != nil {
		return "", err
	}
	evaluation := strings.TrimSpace(reply.Text)
	if _, bad := text.Degenerate(evaluation, ""); bad {
		m.Drop("evaluation: none")
		if evaluation != "" {
			m.Add(Row{Kind: Reward, Role: "evaluator", Prompt: words, Completion: evaluation, Reward: number(-1), Scores: agent(evaluator)})
		}
		return said(c), nil
	}
	child := asideTrial(t, "score", at, monitor.Question{Text: t.Question.Text, Context: "An evaluation of the reply: " + evaluation}, 0)
	r, err := m.rate(ctx, j, child, child.Candidate(llm.Choice{Text: said(c)}, monitor.FromOutside, nil))
	if err != nil {
		return "", err
	}
	if math.IsNaN(r.Score) {
		if len(r.Replies) > 0 && strings.TrimSpace(r.Replies[0]) != "" {
			m.Add(Row{Kind: Reward, Role: "scorer", Prompt: scoreShown.Fill("question", question(p), "solution", said(c), "evaluation", evaluation), Completion: strings.TrimSpace(r.Replies[0]), Reward: number(-1)})
		}
		return said(c), nil
	}
	solved, criticised := ZeroSum(r.Score)
	m.Score(r.Score)
	row := Row{Kind: Reward, Prompt: asked, Completion: said(c), Reward: &solved, Scores: agent(solver)}
	if p.Checked() {
		o, err := p.Check(ctx, t, c)
		if err != nil {
			return "", err
		}
		if row.Right = truth(o); row.Right != nil {
			m.Label(solved, *row.Right)
		}
	}
	m.Add(row)
	m.Add(Row{Kind: Reward, Role: "evaluator", Prompt: words, Completion: evaluation, Reward: &criticised, Scores: agent(evaluator)})
	return fmt.Sprintf("Solution: %s\nEvaluation: %s", said(c), evaluation), nil
}
