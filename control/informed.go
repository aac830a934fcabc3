package control

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"gnothi/monitor"
	"gnothi/text"
)

// Informed samples answers each of which is given in the light of one piece of
// information that the model wrote first: a perspective, an explanation. What
// Inform gives is asked for once; where it gives fewer pieces than answers are
// wanted, there are no more samples.
type Informed struct {
	Name   string
	Inform func(ctx context.Context, t *monitor.Trial) ([]string, error)
	Answer Ask // slots: question, feedback
}

// Draw implements Sampler.
func (s *Informed) Draw(ctx context.Context, t *monitor.Trial, n int) ([]*monitor.Candidate, error) {
	pieces, err := monitor.Get(ctx, t, pieces{s})
	if err != nil {
		return nil, err
	}
	var cs []*monitor.Candidate
	for i := range min(n, len(pieces)) {
		c, err := monitor.Get(ctx, t, informed{s, i, pieces[i]})
		if err != nil {
			return cs, err
		}
		cs = append(cs, c)
	}
	return cs, nil
}

func (s *Informed) String() string { return "informed by " + s.Name }

// pieces is the evidence of what a sampler informs by.
type pieces struct{ sampler *Informed }

// Gather implements monitor.Evidence.
func (e pieces) Gather(ctx context.Context, t *monitor.Trial) ([]string, error) {
	p, err := e.sampler.Inform(ctx, t)
	if err == nil && len(p) == 0 {
		err = errors.New("there is nothing to inform the answer by")
	}
	return p, err
}

// informed is the evidence of one answer.
type informed struct {
	sampler *Informed
	i       int
	piece   string
}

// Gather implements monitor.Evidence.
func (e informed) Gather(ctx context.Context, t *monitor.Trial) (*monitor.Candidate, error) {
	return e.sampler.Answer.candidate(ctx, t, e.i, nil, "feedback", e.piece)
}

var bullet = regexp.MustCompile(`^\s*(?:[-*•]|\(?\d{1,3}[.):])\s+`)

// listed reads at most n items of a list as models write it: the lines that
// begin with a number or a bullet, with the lines that continue them; if there
// is none, every line that is not empty.
func listed(reply string, n int) []string {
	var items, plain []string
	for line := range strings.Lines(text.Sanitise(reply)) {
		rest := strings.TrimSpace(bullet.ReplaceAllString(line, ""))
		switch {
		case rest == "":
		case bullet.MatchString(line):
			items = append(items, rest)
		case len(items) > 0:
			items[len(items)-1] += " " + rest
		default:
			plain = append(plain, rest)
		}
	}
	if items == nil {
		items = plain
	}
	return items[:min(n, len(items))]
}
