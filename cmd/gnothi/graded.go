package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"gnothi"
	"gnothi/eval/questions"
	"gnothi/monitor"
	"gnothi/monitor/calibrate"
	"gnothi/text"
)

// graded is a belief and what became of it. It is also a line of a file of
// labelled beliefs: what was asked once can be fitted again without a model.
type graded struct {
	gnothi.Belief
	Grade   string        `json:"grade"` // right, wrong, refused, unparsed, failed
	Label   bool          `json:"label"` // whether the answer is right
	Kind    string        `json:"kind,omitempty"`
	Cluster string        `json:"cluster,omitempty"`
	Half    string        `json:"half,omitempty"`
	Key     calibrate.Key `json:"calibrator_key"`
	State   []float32     `json:"state,omitempty"` // the hidden state after the question
}

// builtin gives gnothi's own questions, or those of one half.
func builtin(half string) []questionLine {
	var out []questionLine
	for _, q := range questions.All() {
		if half == "" || q.Half == half {
			out = append(out, questionLine{ID: lineID(q.ID), Question: q.Question, Answers: q.Answers, Kind: q.Kind, Cluster: q.Cluster, Unanswerable: q.Unanswerable, Half: q.Half})
		}
	}
	return out
}

// grade says what became of an answer. Of an unanswerable question, declining
// is the right answer and anything else is wrong.
func (q questionLine) grade(b gnothi.Belief, err error) text.Outcome {
	if err != nil || b.Study == nil || b.Study.Result.Best == nil {
		return text.Unparsed
	}
	return q.gradeAnswer(b.Study.Question, b.Study.Result.Best)
}

// gradeAnswer grades what was said to the question as it was shown: an option by
// its key, or by its text where no key is accepted.
func (q questionLine) gradeAnswer(asked gnothi.Question, c *monitor.Candidate) text.Outcome {
	answer := c.Answer
	if said, key := asked.Said(c); key != "" {
		accepted := func(s string) bool { return slices.Contains(q.Answers, s) }
		byKey := slices.ContainsFunc(asked.Options, func(o text.Option) bool { return accepted(o.Key) })
		if accepted(key) || !byKey && accepted(said) {
			return text.Right
		}
		return text.Wrong
	}
	if !q.Unanswerable {
		return asked.Task().Grade(answer, q.Answers)
	}
	switch answer.Status {
	case text.Refused:
		return text.Right
	case text.Unparsed:
		return text.Unparsed
	}
	if g := asked.Task().Grade(answer, q.Answers); g == text.Right {
		return g
	}
	return text.Wrong
}

// gradeAll asks every question and grades the answers, in order.
func gradeAll(ctx context.Context, cmd *cobra.Command, mind *gnothi.Mind, qs []questionLine, workers int, what string, emit func(graded) error) error {
	bar := newProgress(cmd, len(qs), what)
	done := 0
	defer bar.done()
	ask, err := asking(ctx, mind, qs)
	if err != nil {
		return err
	}
	_, err = inOrder(ctx, qs, workers, func(ctx context.Context, q questionLine) graded {
		b, err := ask(ctx, q)
		b.ID, b.Question = string(q.ID), q.Question
		outcome := q.grade(b, err)
		g := graded{Belief: b, Grade: outcome.String(), Label: outcome == text.Right, Kind: q.Kind, Cluster: q.Cluster, Half: q.Half}
		if b.Study != nil {
			g.Key, g.State = b.Study.Key, b.Study.State
		}
		if err != nil {
			g.Grade = "failed"
		}
		return g
	}, func(g graded) error {
		bar.add()
		done++
		return emit(g)
	})
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted: %s: %d of %d questions done: %w", what, done, len(qs), context.Canceled)
	}
	return err
}

// example is what a calibrator is fitted on.
func (g graded) example() calibrate.Example {
	return calibrate.Example{Right: g.Label, Cluster: g.Cluster, State: g.State, Readings: readings(g.Signals)}
}

func readings(signals []gnothi.Signal) []calibrate.Named {
	var out []calibrate.Named
	for _, s := range signals {
		out = append(out, calibrate.Named{Name: s.Name, Reading: monitor.Reading{Score: s.Score, Raw: s.Raw, Source: s.Source, Reads: s.Reads}})
	}
	return out
}

// gradeable says why questions cannot be graded.
func gradeable(qs []questionLine) error {
	for i, q := range qs {
		if len(q.Answers) == 0 && !q.Unanswerable {
			return usagef("question %d (id %s): field \"answers\" is missing: without accepted answers nothing can be graded", i+1, q.ID)
		}
	}
	return nil
}

// gradedQuestions reads the questions of a file, or the built-in ones.
func gradedQuestions(in, half string, own bool, limit int) ([]questionLine, error) {
	if own == (in != "") {
		return nil, usage(errors.New("give either --in FILE or --builtin"))
	}
	if limit < 0 {
		return nil, usagef("--limit %d: want 0, for all, or more", limit)
	}
	qs := builtin(half)
	if in != "" {
		var err error
		if qs, err = readQuestions(in); err != nil {
			return nil, err
		}
	}
	if err := gradeable(qs); err != nil {
		return nil, err
	}
	if limit > 0 && limit < len(qs) {
		qs = spread(qs, limit)
	}
	return qs, nil
}

// spread picks n questions evenly over the list, which is sorted by kind.
func spread(qs []questionLine, n int) []questionLine {
	out := make([]questionLine, 0, n)
	for i := range n {
		out = append(out, qs[i*len(qs)/n])
	}
	return out
}

func counted(grades map[string]int, n int) string {
	return fmt.Sprintf("%d right, %d wrong, %d refused, %d unparsed, %d failed of %d", grades["right"], grades["wrong"], grades["refused"], grades["unparsed"], grades["failed"], n)
}
