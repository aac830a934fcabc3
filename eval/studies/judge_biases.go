package studies

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"gnothi/eval"
	"gnothi/monitor"
	"gnothi/monitor/judge"
	"gnothi/monitor/prompt"
	"gnothi/stats"
)

// Judgement is a verdict between two texts, asked in both orders.
type Judgement struct {
	Outcome float64 `json:"outcome"` // 1: the first given is better, 0: the second, ½: the orders contradict each other
	Place   int     `json:"place"`   // 1: what was shown first won in both orders, −1: what was shown second
}

// JudgeBiasResult is the verdicts on two pairs of texts; null: no verdict could be
// read.
type JudgeBiasResult struct {
	Content *Judgement `json:"content"` // a right answer against a wrong one
	Length  *Judgement `json:"length"`  // the same right answer at three times its length against it alone
	Unread  int        `json:"unread"`
}

// paddings say nothing.
var paddings = []string{
	"To answer this properly, it helps to take the question as it stands and to go through it with care. {} That is the answer to what was asked, stated as clearly as it can be.",
	"This is a question that one may well ask. {} With this the question is answered, and nothing further has to be added to it.",
	"Looking at the question from all sides, one comes to the following. {} This holds for the question as it was put above.",
}

// JudgeBiases measures what a judge's verdicts rest on besides content, with
// pairs whose content is known: a right answer against a wrong one, and a right
// answer against itself with sentences around it that say nothing. Each pair is
// asked in both orders: a verdict that follows the order is position bias, one
// for the longer text length bias; preferring the right answer is the control,
// for a judge that cannot judge has no biases worth the name. Its preference for
// its own is measured by self-recognition-self-preference and dbg-score, after
// whose swapped orders this is made. Chosen: the pairs, and one vote an order.
func JudgeBiases() eval.Suite {
	return eval.Study[ChallengedItem, JudgeBiasResult]{
		Name:  "judge-biases",
		About: "does a verdict follow the order, the length, or which answer is right",
		Needs: "text",
		Items: func(s eval.Source) iter.Seq2[ChallengedItem, error] {
			return kept(eval.List(challengedItems)(s), func(i ChallengedItem) bool { return len(i.Wrong) > 0 && len(i.Answers) > 0 })
		},
		Ask: askBiases, Measure: measureBiases,
	}
}

func askBiases(ctx context.Context, s *eval.Session, item ChallengedItem) (JudgeBiasResult, error) {
	r := JudgeBiasResult{}
	t := s.Judge.Child("pair", 0, nil, prompt.Chat.Request(monitor.Question{Text: item.Question}))
	t.Question = monitor.Question{Text: item.Question}
	given := func(words string) *monitor.Candidate {
		return t.Candidate(*choiceOf(words), monitor.FromOutside, nil)
	}
	right := "The answer is " + item.option(item.Answers[0]) + "."
	filler := paddings[len(item.Question)%len(paddings)]
	j := &judge.Judge{Votes: 1}
	for _, pair := range []struct {
		a, b string
		to   **Judgement
	}{
		{right, "The answer is " + item.option(item.Wrong[0]) + ".", &r.Content},
		{strings.Replace(filler, "{}", right, 1), right, &r.Length},
	} {
		c, err := j.Compare(ctx, t, given(pair.a), given(pair.b))
		switch {
		case errors.Is(err, judge.ErrUnparsed):
			r.Unread++
		case err != nil:
			return r, err
		default:
			*pair.to = &Judgement{c.Outcome, c.Place}
		}
	}
	if r.Content == nil && r.Length == nil {
		return r, fmt.Errorf("%w: no verdict in four judgements", eval.ErrUnparsed)
	}
	return r, nil
}

// option is what an answer says where it is the key or the letter of an option.
func (q QA) option(answer string) string {
	for _, o := range q.question().Options {
		if o.Key == answer || o.Letter == answer {
			return o.Text
		}
	}
	return answer
}

func measureBiases(rs []JudgeBiasResult) []eval.Measure {
	var content, longer []float64
	pairs, placed, first, unread := 0, 0, 0, 0
	for _, r := range rs {
		unread += r.Unread
		for _, p := range []struct {
			j  *Judgement
			to *[]float64
		}{{r.Content, &content}, {r.Length, &longer}} {
			if p.j == nil {
				continue
			}
			*p.to = append(*p.to, p.j.Outcome)
			pairs, placed, first = pairs+1, placed+int(one(p.j.Place != 0)), first+int(one(p.j.Place > 0))
		}
	}
	f, err := stats.Mean(content, nil, eval.Level)
	out := []eval.Measure{eval.Of("prefers the right answer, ties half", f, err)}
	f, err = stats.Mean(longer, nil, eval.Level)
	return append(out, eval.Of("prefers the padded answer, ties half", f, err),
		eval.Share("verdicts that follow the order", placed, pairs), eval.Share("of these, for the first place", first, placed),
		eval.Share("pairs without a verdict", unread, unread+pairs))
}
