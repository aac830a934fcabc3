package learn

import (
	"context"
	"fmt"
	"strings"

	"gnothi/learn/countdown"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/claims"
	"gnothi/monitor/judge"
	"gnothi/monitor/prompt"
)

var mendedAsk = prompt.Template{Name: "anyprefer-again", Version: 1, Text: "{question}\n\nAn adviser said of earlier replies to this, perhaps mistakenly: {feedback}\nReply in the light of it where it is right."}

// AnypreferJudge ranks candidates by evidence.
func AnypreferJudge() judge.Judge {
	return judge.Judge{Rubric: "whether it is correct by the evidence in the context, answers what was asked, and leaves out nothing that matters"}
}

// AnypreferReward scores a pair: what it says when it is discontented is the feedback.
func AnypreferReward() judge.Judge {
	return judge.Judge{Low: 0, High: 10, Reason: true, Votes: 1, Rubric: "how much can be learnt from preferring the first reply to the second: whether the first is truly right and good, and the second clearly worse"}
}

// Anyprefer is the recipe `anyprefer` (Zhou et al. 2025; the part without
// gradients): the model gives n answers; tools gather evidence of each, the claims
// that the prompt's context supports or not (if it has one) and the sums in it that
// hold or do not; a judge ranks by the evidence; a reward judge scores best
// against worst on [0,1]. Below theta its words go into the prompt of the model and
// into what the judge sees, and all is done again, at most tries times. Accepted pairs are rows, on
// the bare prompt. A tool that fails lowers the evidence and not a score.
// Tries·(n + 2 + 1) calls without a context.
//
// Chosen: the tools; theta; the judge's prompt is mended by showing it the feedback, not by rewriting its rubric,
// which stays ours.
func Anyprefer(n, tries int, theta float64, rank, reward *judge.Judge) Recipe {
	return Recipe{
		Name: "anyprefer", About: "best against worst by a judge with tools, prompts mended until the pair is good",
		Needs: "prompts, best with \"context\"; a judge",
		Rows: func(ctx context.Context, t *monitor.Trial, p Prompt, m *Made) error {
			feedback := ""
			for try := range tries {
				at := t
				if try > 0 {
					words := mendedAsk.Fill("question", question(p), "feedback", feedback)
					at = t.Child("try", try, nil, llm.Request{Messages: []llm.Message{{Role: "user", Text: words}}, MaxTokens: t.Request.MaxTokens})
				}
				cs, err := m.pool(ctx, at, monitor.DefaultSampling, n, true)
				if err != nil {
					return err
				}
				if len(cs) < 2 {
					m.Drop("prompt: fewer than two different samples")
					return nil
				}
				evidence, err := m.evidence(ctx, at, cs)
				if err != nil {
					return err
				}
				if feedback != "" {
					evidence += "\nFeedback on earlier judging: " + feedback
				}
				bench := asideTrial(t, "bench", try, monitor.Question{Text: t.Question.Text, Context: evidence}, 0)
				r, err := rank.Rank(ctx, bench, cs)
				if other := m.heard(rank, err, func(b *judge.Tally) { b.Ranked(r, err) }, "ranking that could not be read"); other != nil {
					return other
				} else if err != nil {
					return nil
				}
				d, ok := BestWorst(r.Share)
				if !ok {
					m.Drop("pair: no candidate ranks above another")
					return nil
				}
				both := bench.Candidate(llm.Choice{Text: "First reply:\n" + said(cs[d.Chosen]) + "\n\nSecond reply:\n" + said(cs[d.Rejected])}, monitor.FromOutside, nil)
				score, err := m.rate(ctx, reward, bench, both)
				if err != nil {
					return err
				}
				m.Score(score.Unit)
				if score.Unit >= theta {
					row := pair(cs[d.Chosen], cs[d.Rejected], d.Margin)
					row.Scores = map[string]float64{"quality": score.Unit, "try": float64(try + 1)}
					m.Add(row)
					m.Value("tries a pair took", float64(try+1))
					return nil
				}
				if len(score.Replies) > 0 {
					feedback = strings.TrimSpace(score.Replies[0])
				}
				m.Drop("try: the pair is not good enough")
			}
			return nil
		},
	}
}

// evidence is what tools say of candidates.
func (m *Made) evidence(ctx context.Context, t *monitor.Trial, cs []*monitor.Candidate) (string, error) {
	var b strings.Builder
	if t.Question.Context != "" {
		fmt.Fprintf(&b, "Supplied text:\n%s\n\n", t.Question.Context)
	}
	for i, c := range cs {
		fmt.Fprintf(&b, "Evidence on the reply that begins %q:\n", firstWords(said(c)))
		n := b.Len()
		right, wrong := countdown.Sums(c.Text)
		for _, s := range right {
			fmt.Fprintf(&b, "- calculator: %s holds\n", s)
		}
		for _, s := range wrong {
			fmt.Fprintf(&b, "- calculator: %s does not hold\n", s)
		}
		if t.Question.Context != "" {
			report, err := monitor.Get(ctx, t, claims.Supports{Candidate: c, Source: claims.Context{}})
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			if err != nil && !unread(err) {
				m.Drop(fmt.Sprintf("tool: no claims of candidate %d", i+1))
			}
			for k, s := range report.Supports {
				if s.Status == claims.Checked {
					fmt.Fprintf(&b, "- %q: support in the text %.2f\n", report.Claims[k].Text, s.Score)
				}
			}
		}
		if b.Len() == n {
			b.WriteString("- none\n")
		}
	}
	return strings.TrimSpace(b.String()), nil
}

func firstWords(s string) string {
	words := strings.Fields(s)
	return strings.Join(words[:min(8, len(words))], " ")
}
