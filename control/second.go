package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/monitor/verifier"
)

// Second is the offer of a better answer from elsewhere, given greedily:
// another or bigger model ([AskModel]), or the same one with what a program of
// the user's finds ([AskWithContext]).
type Second struct {
	Name  string  // describes it with every setting that bears on answers
	Right float64 // how often its answers are right
	Cost  float64 // in first answers
	// Trial is the question as it is then put.
	Trial func(ctx context.Context, t *monitor.Trial) (*monitor.Trial, error)
}

// AskModel asks another model, in the form that suits it; effort, if not empty,
// is the reasoning_effort of the request.
func AskModel(m llm.Model, effort string, right, cost float64) Second {
	name := m.ID().String()
	if effort != "" {
		name += " with effort " + effort
	}
	return Second{Name: name, Right: right, Cost: cost, Trial: func(_ context.Context, t *monitor.Trial) (*monitor.Trial, error) {
		req := t.Request
		if req.Prompt != "" { // raw text to continue: in the form of the other model
			form, _ := prompt.Select("auto", m, t.Question)
			req = form.Request(t.Question)
		}
		if effort != "" {
			raw, err := json.Marshal(effort)
			if err != nil {
				return nil, err
			}
			extra := map[string]json.RawMessage{"reasoning_effort": raw}
			for k, v := range req.Extra {
				extra[k] = v
			}
			req.Extra = extra
		}
		return t.Child("second", 0, m, req), nil
	}}
}

// AskWithContext asks the same model again with a context: what the user's
// program, given {"question"} as JSON, writes as {"context"}. The context is
// quoted: it is what the answer is to rest on, not an instruction.
func AskWithContext(command []string, right, cost float64) Second {
	name := "context"
	if len(command) > 0 {
		name += " of " + filepath.Base(command[0])
	}
	return Second{Name: name, Right: right, Cost: cost, Trial: func(ctx context.Context, t *monitor.Trial) (*monitor.Trial, error) {
		var found struct{ Context string }
		if err := verifier.Run(ctx, command, verifier.Timeout, map[string]string{"question": t.Question.Text}, &found, `one JSON object {"context": "…"}`); err != nil {
			return nil, err
		}
		if strings.TrimSpace(found.Context) == "" {
			return nil, errors.New("it found nothing")
		}
		q := t.Question
		q.Context = found.Context
		form, _ := prompt.Select("auto", t.Model, q)
		child := t.Child("context", 0, nil, form.Request(q))
		child.Question = q
		return child, nil
	}}
}

// String implements Offer.
func (o Second) String() string {
	return fmt.Sprintf("second %s right=%g cost=%g", o.Name, o.Right, o.Cost)
}

// rivals is how many wrong answers it is taken to choose from.
const rivals = 4

func (o Second) ratio() float64 { return o.Right * rivals / (1 - o.Right) }

// Appraise implements Offer: the right answer comes with probability Right, else
// one of a few wrong ones.
func (o Second) Appraise(s *State) (gain, price float64) {
	if s.seen[o.String()] {
		return 0, o.Cost
	}
	worth, none := 0.0, 1.0
	wrong := (1 - o.Right) / rivals
	for k, pk := range s.p {
		none -= pk
		if pk == 0 {
			continue
		}
		says := pk*o.Right + (1-pk)*wrong
		best := pk * o.Right
		for j, pj := range s.p {
			if j != k {
				best = max(best, pj*wrong)
			}
		}
		worth += says * s.worth(best/says)
	}
	// A new answer: right where none of these is.
	if says := max(0, none)*o.Right + (1-none)*wrong; says > 0 {
		best := max(0, none) * o.Right
		for _, pj := range s.p {
			best = max(best, pj*wrong)
		}
		worth += says * s.worth(best/says)
	}
	return max(0, worth-s.now()), o.Cost
}

// Buy implements Offer.
func (o Second) Buy(ctx context.Context, t *monitor.Trial, s *State) (string, error) {
	s.once(o.String())
	child, err := o.Trial(ctx, t)
	var c *monitor.Candidate
	if err == nil {
		c, err = monitor.Get(ctx, child, monitor.Greedy{})
	}
	switch {
	case errors.Is(err, llm.ErrBudget):
		return "", err
	case err != nil:
		return fmt.Sprintf("%s: %v", o.Name, err), nil
	case c.Key == "":
		return fmt.Sprintf("%s: no answer that can be read", o.Name), nil
	}
	k := s.Class(c)
	if k < 0 {
		k = s.Introduce(c)
	}
	s.pool = append(s.pool, c)
	s.weigh(k, math.Log(o.ratio()))
	return fmt.Sprintf("%s says %s", o.Name, label(c)), nil
}
