package learn

import (
	"context"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/judge"
	"gnothi/monitor/prompt"
)

var judgePrompt = prompt.Template{Name: "train-judge", Version: 1, Text: "The request: {question}\nThe reply to rate: {response}\nRate it from {low} to {high} by this: {rubric}. First say in a few sentences what speaks for and against it. Then end with one line: \"Verdict: \" and the number."}

// judgeRow is what a judge is trained to reply to. Rubric and scale are ours and
// stand unquoted.
func judgeRow(j *judge.Judge, p Prompt, response string) string {
	low, high := j.Low, j.High
	if low == 0 && high == 0 {
		low, high = 1, 5
	}
	rubric := j.Rubric
	if rubric == "" {
		rubric = judge.DefaultRubric
	}
	t := judgePrompt
	t.Text = strings.NewReplacer("{low}", strconv.Itoa(low), "{high}", strconv.Itoa(high), "{rubric}", rubric).Replace(t.Text)
	return t.Fill("question", question(p), "response", response)
}

// longJudgement is what a rejected judgement may be long at most, in characters.
const longJudgement = 4000

// MetaRewarding is the recipe `meta-rewarding` (Wu et al. 2024; the part without
// gradients): k answers (temperature .8, top-p .95), each rated n times by the
// model itself on the additive rubric; the shortest answer of the top band
// against the longest of the bottom one ([judge.PickPair], rho grows by round
// until the average length stands still). Then, of the answer whose ratings spread most, the judgements are compared
// pairwise by a meta-judge in both orders, and the strongest is paired with the weakest:
// rows of the role judge, a data set of their own. k(1 + n) + n(n−1) calls.
//
// A judgement that could not be read is missing, and no judgement either. Chosen: a rejected
// judgement of more than 4,000 characters gives no pair, and one of the same verdict as the
// chosen one gives none either.
func MetaRewarding(k int, rho float64, j, meta *judge.Judge) Recipe {
	return Recipe{
		Name: "meta-rewarding", About: "answers rated by the model itself, and its ratings judged in turn",
		Needs: "prompts; a judge",
		Rows: func(ctx context.Context, t *monitor.Trial, p Prompt, m *Made) error {
			cs, err := m.pool(ctx, t, monitor.Sampling{Temperature: 0.8, TopP: 0.95}, k, true)
			if err != nil {
				return err
			}
			scores, ratings := make([]float64, len(cs)), make([]judge.Rating, len(cs))
			for i, c := range cs {
				if ratings[i], err = m.rate(ctx, j, t, c); err != nil {
					return err
				}
				scores[i] = ratings[i].Score
			}
			m.Score(scores...)
			chosen, rejected, ok, err := judge.PickPair(scores, lengths(cs), rho)
			if err != nil {
				return err
			}
			if ok && chosen != rejected {
				m.Add(pair(cs[chosen], cs[rejected], scores[chosen]-scores[rejected]))
			} else {
				m.Drop("pair: all scores are equal")
			}
			at := judge.Disputed(ratings)
			if at < 0 {
				m.Drop("judge pair: no ratings that differ")
				return nil
			}
			return m.metaPair(ctx, t, p, j, meta, cs[at], ratings[at])
		},
	}
}

// metaPair compares the judgements of one answer.
func (m *Made) metaPair(ctx context.Context, t *monitor.Trial, p Prompt, j, meta *judge.Judge, c *monitor.Candidate, r judge.Rating) error {
	child := asideTrial(t, "meta", 0, monitor.Question{Text: "Judge this reply. The request: " + t.Question.Text, Context: "The reply: " + said(c)}, 0)
	var judgements []*monitor.Candidate
	var verdicts []float64
	for i, reply := range r.Replies {
		if math.IsNaN(r.Votes[i]) || strings.TrimSpace(reply) == "" {
			continue
		}
		judgements = append(judgements, child.Candidate(llm.Choice{Text: reply}, monitor.FromOutside, nil))
		verdicts = append(verdicts, r.Votes[i])
	}
	if len(judgements) < 2 {
		m.Drop("judge pair: fewer than two judgements that could be read")
		return nil
	}
	found, games, err := meta.Meta(ctx, child, judgements)
	if err != nil {
		return err
	}
	best, worst := judgements[found.Best], judgements[found.Worst]
	switch {
	case len(games) == 0 || !found.OK:
		m.Drop("judge pair: the meta-judge prefers none")
	case verdicts[found.Best] == verdicts[found.Worst]:
		m.Drop("judge pair: same verdict")
	case utf8.RuneCountInString(worst.Text) > longJudgement:
		m.Drop("judge pair: the rejected judgement is too long")
	default:
		row := pair(best, worst, found.Theta[found.Best]-found.Theta[found.Worst])
		row.Role, row.Prompt = "judge", judgeRow(j, p, said(c))
		row.Scores = map[string]float64{"chosen_verdict": verdicts[found.Best], "rejected_verdict": verdicts[found.Worst]}
		m.Add(row)
	}
	return nil
}
