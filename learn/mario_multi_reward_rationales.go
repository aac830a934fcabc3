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

var rationaleAsk = prompt.Template{Name: "rationale", Version: 1, Text: "Question: {question}\nExplain in two or three sentences what speaks for the answer. Then end with one line: \"Answer:\" and only the answer."}

// Plausibility is the judge of rationales.
func Plausibility() judge.Judge {
	return judge.Judge{Rubric: "whether the explanation is plausible: its facts are true and its steps follow, whatever the answer"}
}

// marioProperties are the rewards, in the order in which they are added.
var marioProperties = []string{"plausibility", "consistency", "diversity", "accuracy"}

// marioBins is how many control tokens each has.
const marioBins = 5

// MultiReward is the recipe `mario-multi-reward-rationales` (Ramnath et al.
// 2023; the part without gradients): n rationales a question; each is scored for
// plausibility (the judge), consistency (how much likelier the right answer is
// with the rationale than without, in nats), diversity ([Diversity]) and accuracy (0 or 1); over all rationales each
// score becomes one of five control tokens of equal size; a row is the rationale
// to fine-tune on, with its tokens in front of the question. At use all tokens
// are the best. The first properties ones are taken, so that rewards can be
// added one after another. n + n calls, and 2n more where given text can be scored.
//
// Without that ability consistency is missing and has no token. That one reward
// is gamed at another's expense shows in the values of each. Chosen: our judge in place of a trained one; one model's
// log-probabilities in place of two small models; temperature 1.
func MultiReward(n, properties int, j *judge.Judge) Recipe {
	return Recipe{
		Name: "mario-multi-reward-rationales", About: "rationales under control tokens of their quality in several respects",
		Needs: "prompts with answers; a judge; log-probabilities of given text for consistency",
		Rows: func(ctx context.Context, t *monitor.Trial, p Prompt, m *Made) error {
			if len(p.Answers) == 0 {
				return &monitor.MissingError{Needs: "\"answers\": the right ones"}
			}
			replies, err := t.Asides(ctx, monitor.Aside{Role: "sample", Text: rationaleAsk.Fill("question", question(p)), MaxTokens: max(128, t.Request.MaxTokens), Temperature: 1}, n)
			if err != nil {
				return err
			}
			var cs []*monitor.Candidate
			for _, r := range replies {
				cs = append(cs, t.Candidate(r, monitor.FromSample, nil))
			}
			without := math.NaN()
			for _, c := range m.sift(cs, t, true) {
				o, err := p.Check(ctx, t, c)
				if err != nil {
					return err
				}
				scores := map[string]float64{"diversity": Diversity(c.Text), "accuracy": 0}
				if o == text.Right {
					scores["accuracy"] = 1
				}
				if properties > 0 {
					r, err := m.rate(ctx, j, t, c)
					if err != nil {
						return err
					}
					if !math.IsNaN(r.Unit) {
						scores["plausibility"] = r.Unit
						m.Score(r.Unit)
					}
				}
				if properties > 1 && t.Model.Can(llm.ScoreText) {
					if math.IsNaN(without) {
						if without, err = t.Likelihood(ctx, "judge", question(p), "Answer:", p.Answers[0]); err != nil {
							return err
						}
					}
					with, err := t.Likelihood(ctx, "judge", question(p)+"\n\n"+rationaleOnly(c), "Answer:", p.Answers[0])
					if err != nil {
						return err
					}
					scores["consistency"] = with - without
				}
				for name, v := range scores {
					m.Value(name, v)
				}
				m.Add(Row{Kind: SFT, Completion: said(c), Scores: scores, Right: truth(o)})
			}
			return nil
		},
		All: func(rows []Row, _ *Made) []Row { return ControlTokens(rows, marioProperties[:properties]) },
	}
}

// ControlTokens puts a token such as <diversity_5> in front of the prompt of each
// row, for each of the named scores: its quantile over all rows, 1 the lowest
// of five. A score that a row lacks has no token.
func ControlTokens(rows []Row, names []string) []Row {
	tokens := make([]string, len(rows))
	for _, name := range names {
		scores := make([]float64, len(rows))
		for i, r := range rows {
			var ok bool
			if scores[i], ok = r.Scores[name]; !ok {
				scores[i] = math.NaN()
			}
		}
		for i, bin := range Quantiles(scores, marioBins) {
			if bin >= 0 {
				tokens[i] += fmt.Sprintf("<%s_%d> ", name, bin+1)
			}
		}
	}
	out := make([]Row, len(rows))
	for i, r := range rows {
		r.Prompt = tokens[i] + r.Prompt
		out[i] = r
	}
	return out
}

// rationaleOnly is a reply without its last line of the answer, which would give
// it away.
func rationaleOnly(c *monitor.Candidate) string {
	s := said(c)
	if i := strings.LastIndex(strings.ToLower(s), "answer:"); i >= 0 {
		s = s[:i]
	}
	return strings.TrimSpace(s)
}
