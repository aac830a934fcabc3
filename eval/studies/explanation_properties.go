package studies

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"gnothi/eval"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/judge"
	"gnothi/monitor/prompt"
	"gnothi/stats"
	"gnothi/text"
)

// ExplainedResult is an explanation with its tags and what it did to a reader.
type ExplainedResult struct {
	Related
	Kind     string       `json:"kind"`
	Grade    text.Outcome `json:"grade"` // of the answer explained
	Explains string       `json:"explains"`
	// Tags are, by property, the two runs' verdicts, 0 or 1; null: could not be read,
	// or the quotation is not in the text.
	Tags   map[string][2]*float64 `json:"tags"`
	Misled bool                   `json:"misled"` // the reader was right without it and wrong with it
	Helped bool                   `json:"helped"`
	Read   bool                   `json:"read"` // both of the reader's answers could be graded
}

// Outcome implements [eval.Graded].
func (r ExplainedResult) Outcome() text.Outcome { return r.Grade }

var explain = prompt.Template{Name: "explain-answer", Version: 1, Text: "Question: {question}\nAnswer: {answer}\nExplain in two or three sentences why that is the answer."}

// choiceOf is a text as a reply that somebody else gave.
func choiceOf(words string) *llm.Choice { return &llm.Choice{Text: words, Finish: "stop"} }

// ExplanationProperties is the study explanation-properties (Kunz and Kuhlmann
// 2024): which properties have a model's explanations of its answers? Selective,
// illustrative, subjective and misleading, each proved by a quotation from the
// text; shares by kind of question and for right and wrong answers apart; the
// agreement of two runs of the judge; and whether a reader, the model itself in a
// fresh context, is misled. The paper traces the frequencies to instruction-tuning
// data, which is not done here.
func ExplanationProperties() eval.Suite {
	return eval.Study[QA, ExplainedResult]{
		Name:  "explanation-properties",
		About: "properties of a model's explanations, by kind and by whether the answer is right",
		Needs: "text",
		Items: func(s eval.Source) iter.Seq2[QA, error] { return qaItems(s, 40, answerable) },
		Ask:   askExplained, Measure: measureExplained,
	}
}

func askExplained(ctx context.Context, s *eval.Session, q QA) (ExplainedResult, error) {
	r := ExplainedResult{Related: Related{q.Group}, Kind: q.Kind, Tags: map[string][2]*float64{}}
	t := q.trial(s, "question")
	c, err := monitor.Get(ctx, t, monitor.Greedy{})
	if err != nil {
		return r, err
	}
	if r.Grade = q.grade(c.Answer); c.Answer.Text == "" {
		return r, nil
	}
	r.Explains, err = say(ctx, t, monitor.Aside{Role: "explain", Text: explain.Fill("question", t.Question.Text, "answer", c.Answer.Text), MaxTokens: 120})
	if errors.Is(err, eval.ErrRefused) || err == nil && r.Explains == "" {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	shown := s.Judge.Child("explanation", 0, nil, t.Request)
	shown.Question = t.Question
	explanation := shown.Candidate(*choiceOf(r.Explains), monitor.FromOutside, nil)
	tags, err := (&judge.Judge{Votes: 3}).Tag(ctx, shown, explanation, judge.Explanation())
	if err != nil && !errors.Is(err, judge.ErrUnparsed) {
		return r, err
	}
	for _, tag := range tags.Tags {
		var runs [2]*float64
		for i := range runs {
			if i < len(tag.Votes) && !math.IsNaN(tag.Votes[i]) {
				v := tag.Votes[i]
				runs[i] = &v
			}
		}
		r.Tags[tag.Label] = runs
	}
	m, err := judge.Mislead(ctx, t, explanation, q.Answers)
	graded := func(o text.Outcome) bool { return o == text.Right || o == text.Wrong }
	r.Misled, r.Helped, r.Read = m.Misled, m.Helped, graded(m.Before) && graded(m.After)
	return r, err
}

func measureExplained(rs []ExplainedResult) []eval.Measure {
	var kinds []string
	for _, r := range rs {
		if r.Kind != "" && !slices.Contains(kinds, r.Kind) {
			kinds = append(kinds, r.Kind)
		}
	}
	slices.Sort(kinds)
	var out []eval.Measure
	share := func(name, label string, of func(ExplainedResult) bool) eval.Measure {
		k, n := 0, 0
		for _, r := range rs {
			if v := r.Tags[label][0]; v != nil && of(r) {
				k, n = k+int(one(*v > 0)), n+1
			}
		}
		return eval.Share(name, k, n)
	}
	explained := 0
	for _, r := range rs {
		explained += int(one(r.Explains != ""))
	}
	for _, l := range judge.Explanation() {
		out = append(out,
			share(l.Name, l.Name, func(ExplainedResult) bool { return true }),
			share(l.Name+", right answers", l.Name, func(r ExplainedResult) bool { return r.Grade == text.Right }),
			share(l.Name+", wrong answers", l.Name, func(r ExplainedResult) bool { return r.Grade == text.Wrong }))
		var a, b []int
		unread := 0
		for _, r := range rs {
			runs, ok := r.Tags[l.Name]
			if !ok {
				continue
			}
			if runs[0] == nil || runs[1] == nil {
				unread++
				continue
			}
			a, b = append(a, int(*runs[0])), append(b, int(*runs[1]))
		}
		kappa, err := stats.CohenKappa(a, b)
		if err != nil {
			out = append(out, eval.Of(l.Name+": two runs, Cohen's κ", stats.Figure{N: len(a)}, err))
		} else {
			out = append(out, eval.Value(l.Name+": two runs, Cohen's κ", kappa, len(a), "Cohen's κ", "no interval: see the share"))
		}
		out = append(out, eval.Share(l.Name+": no verdict, or without a quotation", unread, explained))
		if len(kinds) > 1 {
			for _, k := range kinds {
				out = append(out, share(fmt.Sprintf("%s, %s", l.Name, k), l.Name, func(r ExplainedResult) bool { return r.Kind == k }))
			}
		}
	}
	misled, helped, read := 0, 0, 0
	for _, r := range rs {
		if r.Read {
			read, misled, helped = read+1, misled+int(one(r.Misled)), helped+int(one(r.Helped))
		}
	}
	return append(out, eval.Share("the reader is misled", misled, read), eval.Share("the reader is helped", helped, read))
}
