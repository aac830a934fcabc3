package verifier

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"gnothi/monitor"
)

// Timeout is how long a program of the user's may take; chosen.
const Timeout = time.Minute

// The other bounds of one run; chosen.
const (
	maxOutput = 1 << 20 // bytes of standard output
	maxErrors = 4 << 10 // bytes of standard error that are kept
	grace     = time.Second
)

// Verdict is what a verifier says of an answer. As evidence it is gathered once
// for each answer, however many candidates gave it.
type Verdict struct {
	Score float64
	Why   string
}

// New makes the signal verifier/NAME of a program and its arguments; NAME is the
// program's file name without its folder. Each answer is one run: the program
// reads {"question", "answer"} and writes {"score": 0..1, "why"}, both JSON.
// Raw is the score. No shell is involved, and nothing that a model said stands in
// the command line.
func New(command []string) monitor.Signal {
	return limited(command, Timeout)
}

func limited(command []string, limit time.Duration) monitor.Signal {
	name := "verifier/"
	if len(command) > 0 {
		name += filepath.Base(command[0])
	}
	return monitor.Each(name, func(ctx context.Context, t *monitor.Trial, c *monitor.Candidate) (monitor.Reading, error) {
		if len(command) == 0 {
			return monitor.Reading{}, errors.New("verifier: the command is empty")
		}
		answer, _ := t.Question.Said(c)
		v, err := monitor.Get(ctx, t, run{strings.Join(command, "\x00"), limit, answer})
		if err != nil {
			return monitor.Reading{}, err
		}
		return monitor.Reading{Score: v.Score, Raw: v.Score, Source: "verifier", Reads: 1, Why: v.Why}, nil
	})
}

// run is one run of a verifier, as evidence.
type run struct {
	command string // words with zero bytes between them: an argument cannot hold one
	limit   time.Duration
	answer  string
}

// Gather implements [monitor.Evidence].
func (r run) Gather(ctx context.Context, t *monitor.Trial) (Verdict, error) {
	words := strings.Split(r.command, "\x00")
	var v struct {
		Score *float64 `json:"score"`
		Why   string   `json:"why"`
	}
	const want = `one JSON object {"score": 0..1, "why": "…"}`
	if err := Run(ctx, words, r.limit, map[string]string{"question": t.Question.Text, "answer": r.answer}, &v, want); err != nil {
		return Verdict{}, fmt.Errorf("verifier %s: %w", words[0], err)
	}
	if v.Score == nil || !(*v.Score >= 0 && *v.Score <= 1) {
		return Verdict{}, fmt.Errorf(`verifier %s: it wrote no "score" that is a number from 0 to 1: want %s`, words[0], want)
	}
	return Verdict{*v.Score, v.Why}, nil
}

// Run runs a program of the user's with one JSON value on its standard input and
// reads one from its standard output into out; want says in a message what that
// should be. Time and output are bounded. No shell is involved.
func Run(ctx context.Context, words []string, limit time.Duration, in, out any, want string) error {
	if len(words) == 0 {
		return errors.New("the command is empty")
	}
	raw, err := json.Marshal(in)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	wrote, said := &bounded{most: maxOutput, stop: cancel}, &bounded{most: maxErrors}
	cmd := exec.CommandContext(limited, words[0], words[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = bytes.NewReader(append(raw, '\n')), wrote, said, grace
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case wrote.over:
		return fmt.Errorf("it wrote more than %d bytes", maxOutput)
	case errors.Is(limited.Err(), context.DeadlineExceeded):
		return fmt.Errorf("it did not end within %v", limit)
	case errors.As(err, &exit):
		if line := lastLine(said.kept.String()); line != "" {
			return fmt.Errorf("%w: %s", err, line)
		}
		return err
	case err != nil && strings.Contains(err.Error(), "broken pipe"): // it does not read its input, which is its affair
	case err != nil:
		return err
	}
	d := json.NewDecoder(bytes.NewReader(wrote.kept.Bytes()))
	if err := d.Decode(out); err != nil || d.More() {
		return fmt.Errorf("it wrote %.80q: want %s", wrote.kept.String(), want)
	}
	return nil
}

// bounded keeps the beginning of what is written, and calls stop when there is more.
type bounded struct {
	kept bytes.Buffer // not embedded: its ReadFrom would take everything
	most int
	over bool
	stop func()
}

func (b *bounded) Write(p []byte) (int, error) {
	room := b.most - b.kept.Len()
	if len(p) <= room {
		return b.kept.Write(p)
	}
	b.kept.Write(p[:room])
	if b.over = true; b.stop != nil {
		b.stop()
	}
	return len(p), nil
}

func lastLine(s string) string {
	s = strings.TrimSpace(strings.ToValidUTF8(s, "�"))
	return s[strings.LastIndexByte(s, '\n')+1:]
}
