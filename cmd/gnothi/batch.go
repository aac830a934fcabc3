package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"gnothi"
	"gnothi/internal/images"
	"gnothi/internal/jsonl"
	"gnothi/text"
)

// questionLine is a line of a file of questions.
type questionLine struct {
	ID           lineID            `json:"id"`
	Question     string            `json:"question"`
	Answers      []string          `json:"answers"`
	Options      map[string]string `json:"options"`
	Context      string            `json:"context"`
	Images       []string          `json:"images"` // files, from the folder of the file of questions, or URLs
	Kind         string            `json:"kind"`
	Cluster      string            `json:"cluster"`
	Unanswerable bool              `json:"unanswerable"`
	Half         string            `json:"-"` // of gnothi's own questions
	dir          string            // what images are relative to
}

// lineID is an id that is text or a number.
type lineID string

// UnmarshalJSON keeps a number as it is written.
func (id *lineID) UnmarshalJSON(raw []byte) error {
	var number json.Number
	if json.Unmarshal(raw, &number) == nil {
		*id = lineID(number)
		return nil
	}
	return json.Unmarshal(raw, (*string)(id))
}

// question is what is put to the model. The error is of an image.
func (q questionLine) question() (gnothi.Question, error) {
	out := gnothi.Question{Text: q.Question, Context: q.Context}
	for _, key := range slices.Sorted(maps.Keys(q.Options)) {
		out.Options = append(out.Options, text.Option{Key: key, Text: q.Options[key]})
	}
	var err error
	out.Images, err = images.URLs(q.dir, q.Images)
	return out, err
}

func (q questionLine) ask(ctx context.Context, mind *gnothi.Mind) (gnothi.Belief, error) {
	question, err := q.question()
	if err != nil {
		return gnothi.Belief{}, err
	}
	return mind.Ask(ctx, question)
}

func readQuestions(path string) ([]questionLine, error) {
	var qs []questionLine
	seen := map[lineID]int{}
	err := jsonl.Each(path, func(n int, line []byte) error {
		var q questionLine
		if err := jsonl.Decode(line, &q); err != nil {
			return err
		}
		if strings.TrimSpace(q.Question) == "" {
			return errors.New(`field "question": missing or empty`)
		}
		if q.ID == "" {
			q.ID = lineID(fmt.Sprint(n))
		}
		if at, dup := seen[q.ID]; dup {
			return fmt.Errorf("field \"id\": %q is also the id of line %d", q.ID, at)
		}
		seen[q.ID] = n
		if len(q.Options) == 1 {
			return errors.New(`field "options": want two or more`)
		}
		q.dir = filepath.Dir(path)
		qs = append(qs, q)
		return nil
	}, nil)
	if err == nil && len(qs) == 0 {
		err = usagef("%s holds no questions", path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = usage(err)
	}
	return qs, err
}

// batch is `ask --in`.
type batch struct {
	in, out string
	workers int
}

func askFile(cmd *cobra.Command, c *config, b batch) error {
	if b.workers < 1 || b.workers > 10_000 {
		return usagef("concurrency %d: want 1 to 10000", b.workers)
	}
	qs, err := readQuestions(b.in)
	if err != nil {
		return err
	}
	var done int
	w := cmd.OutOrStdout()
	if b.out != "" {
		f, n, err := reopen(b.out, qs, c.String("policy"))
		if err != nil {
			return err
		}
		defer f.Close()
		w, done = f, n
	}
	if done == len(qs) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s already holds all %d answers\n", b.out, done)
		return nil
	}
	ctx := cmd.Context()
	mind, closeModel, err := c.mind(cmd)
	if err != nil {
		return err
	}
	defer closeModel()
	bar := newProgress(cmd, len(qs), "questions")
	bar.set(done)
	tally := map[string]int{}
	out := bufio.NewWriter(w)
	ask, err := asking(ctx, mind, qs[done:])
	if err != nil {
		return err
	}
	written, err := inOrder(ctx, qs[done:], b.workers, func(ctx context.Context, q questionLine) gnothi.Belief {
		belief, err := ask(ctx, q)
		belief.ID = string(q.ID)
		if err != nil {
			belief.Question, belief.Answer, belief.Probability, belief.Error = q.Question, nil, nil, err.Error()
		}
		return belief
	}, func(belief gnothi.Belief) error {
		tally[fate(belief)]++
		bar.add()
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(belief); err != nil {
			return err
		}
		return out.Flush() // a line is whole or not there, whenever we are killed
	})
	bar.done()
	if ctx.Err() != nil {
		again := "nothing is kept: use --out FILE to be able to go on"
		if b.out != "" {
			again = "the same command goes on from there"
		}
		return fmt.Errorf("interrupted: %d of %d questions answered; %s: %w", done+written, len(qs), again, context.Canceled)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%d questions: %d answered, %d refused, %d unparsed, %d withheld, %d failed\n", written, tally["answered"], tally["refused"], tally["unparsed"], tally["withheld"], tally["failed"])
	if tally["failed"] == written {
		return errors.New("every question failed; the lines say why")
	}
	return nil
}

// asking gives how each of the questions is asked: one by one, or, where the
// policy gains from it, all of them now.
func asking(ctx context.Context, mind *gnothi.Mind, qs []questionLine) (func(context.Context, questionLine) (gnothi.Belief, error), error) {
	if !mind.Batch() {
		return func(ctx context.Context, q questionLine) (gnothi.Belief, error) { return q.ask(ctx, mind) }, nil
	}
	questions := make([]gnothi.Question, len(qs))
	for i, q := range qs {
		var err error
		if questions[i], err = q.question(); err != nil {
			return nil, fmt.Errorf("question %s: %w", q.ID, err)
		}
	}
	beliefs, err := mind.AskAll(ctx, questions)
	if err != nil {
		return nil, err
	}
	known := make(map[lineID]gnothi.Belief, len(qs))
	for i, b := range beliefs {
		known[qs[i].ID] = b
	}
	return func(_ context.Context, q questionLine) (gnothi.Belief, error) {
		b := known[q.ID]
		if b.Error != "" {
			return b, errors.New(b.Error)
		}
		return b, nil
	}, nil
}

// fate sorts a belief into what is counted apart.
func fate(b gnothi.Belief) string {
	switch {
	case b.Error != "":
		return "failed"
	case b.Outcome == text.Refused.String():
		return "refused"
	case b.Outcome == text.Unparsed.String():
		return "unparsed"
	case b.Decision != "answer" && b.Decision != "hedge":
		return "withheld"
	}
	return "answered"
}

// inOrder works on so many items at a time and emits the results in the order
// of the items. It returns how many were emitted.
func inOrder[T, R any](ctx context.Context, items []T, workers int, work func(context.Context, T) R, emit func(R) error) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	slots := make([]chan R, len(items))
	for i := range slots {
		slots[i] = make(chan R, 1)
	}
	var g errgroup.Group
	g.SetLimit(workers + 1)
	ahead := make(chan struct{}, 4*workers) // results may wait for a slow one, but not without bound
	g.Go(func() error {
		for i, item := range items {
			select {
			case ahead <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			g.Go(func() error {
				slots[i] <- work(ctx, item)
				return nil
			})
		}
		return nil
	})
	emitted := 0
	var err error
	for i := range items {
		var r R
		select {
		case r = <-slots[i]:
		case <-ctx.Done():
		}
		if err = ctx.Err(); err != nil {
			break
		}
		if err = emit(r); err != nil {
			break
		}
		emitted++
		<-ahead
	}
	cancel()
	_ = g.Wait() // the cancellation, which is told already
	return emitted, err
}

// reopen opens a file of answers to go on after those it holds: it checks that
// they belong to these questions and this policy, and cuts off half a line that
// a kill may have left.
func reopen(path string, qs []questionLine, policy string) (*os.File, int, error) {
	if strings.HasSuffix(path, ".gz") || strings.HasSuffix(path, ".zst") {
		return nil, 0, usagef("--out %s: answers are appended one by one, so the file cannot be compressed", path)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, 0, err
	}
	fail := func(err error) (*os.File, int, error) { return nil, 0, errors.Join(err, f.Close()) }
	r := bufio.NewReader(f)
	var size int64
	n := 0
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // what there is of a last line is not whole
		}
		if err != nil {
			return fail(err)
		}
		var old struct {
			ID     lineID `json:"id"`
			Policy string `json:"policy"`
		}
		if err := jsonl.Decode(bytes.TrimSpace(line), &old); err != nil {
			return fail(&jsonl.LineError{File: path, Line: n + 1, Err: err})
		}
		switch {
		case n >= len(qs) || old.ID != qs[n].ID:
			return fail(usagef("%s:%d: answers question %q, which the input does not have there: the file belongs to other questions; name another --out", path, n+1, old.ID))
		case old.Policy != "" && old.Policy != policy:
			return fail(usagef("%s:%d: was answered by policy %s, not %s; name another --out", path, n+1, old.Policy, policy))
		}
		n++
		size += int64(len(line))
	}
	if err := f.Truncate(size); err != nil {
		return fail(err)
	}
	if _, err := f.Seek(size, io.SeekStart); err != nil {
		return fail(err)
	}
	return f, n, nil
}
