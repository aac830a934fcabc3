package studies

import (
	"context"
	"fmt"
	"strings"

	"gnothi/eval"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// LocationResult is where a model finds the first mistake of a chain.
type LocationResult struct {
	Task  string       `json:"task"`
	Steps int          `json:"steps"`
	True  int          `json:"true"`  // number of the first wrong step, from 1; 0: none
	Whole *int         `json:"whole"` // asked of the chain as a whole; null: could not be read
	Step  *int         `json:"step"`  // asked of one step after another, up to the first no
	Grade text.Outcome `json:"grade"` // of Whole
}

// Outcome implements [eval.Graded].
func (r LocationResult) Outcome() text.Outcome { return r.Grade }

// Choice is whether there is a mistake (1), and whether it says so.
func (r LocationResult) Choice() (stimulus, response int, ok bool) {
	if r.Whole == nil {
		return 0, 0, false
	}
	return int(one(r.True > 0)), int(one(*r.Whole > 0)), true
}

var (
	locateWhole = prompt.Template{Name: "locate-mistake", Version: 1, Text: "A task: {input}\nA solution, its steps numbered: {steps}\nWhich is the first step with a mistake? Reply with its number alone, or 0 if there is no mistake."}
	locateStep  = prompt.Template{Name: "step-right", Version: 1, Text: "A task: {input}\nThe beginning of a solution: {before}\nThe next step: {step}\nIs the next step right, given what stands before it? Reply Yes or No."}
)

// MistakeLocation is the study of Tyen et al. 2023 (LLMs cannot find reasoning
// errors, but can correct them!): where in a chain of thought is the first
// mistake? The chain is shown as a whole, or step by step until one is called
// wrong. Right is the very step, or that there is none. It measures what the
// critique of every correction loop rests on. The user's folder may hold the
// files of BIG-Bench Mistake; made-up sums else. Chosen: the prompts, without
// examples.
func MistakeLocation() eval.Suite {
	return eval.Study[Chain, LocationResult]{
		Name:  "mistake-location",
		About: "finds the first wrong step of a chain of thought, shown whole or step by step",
		Needs: "text",
		Items: eval.List(func(s eval.Source) ([]Chain, error) { return chainItems(s, 80) }),
		Ask:   askLocation, Measure: measureLocation,
	}
}

func askLocation(ctx context.Context, s *eval.Session, c Chain) (LocationResult, error) {
	r := LocationResult{Task: c.Task, Steps: len(c.Steps)}
	if c.Mistake != nil {
		r.True = *c.Mistake + 1
	}
	var numbered strings.Builder
	for i, step := range c.Steps {
		fmt.Fprintf(&numbered, "%d. %s\n", i+1, step)
	}
	reply, err := s.Aside(ctx, monitor.Aside{Role: "judge", Text: locateWhole.Fill("input", c.Input, "steps", numbered.String()), MaxTokens: 12})
	if err != nil {
		return r, err
	}
	_, refused := text.Refusal(text.Sanitise(reply.Text))
	switch n, ok := number(reply.Text); {
	case ok && n >= 0 && n <= len(c.Steps):
		r.Whole, r.Grade = &n, text.Wrong
		if n == r.True {
			r.Grade = text.Right
		}
	case refused:
		r.Grade = text.Refused
	}
	found := 0
	for i, step := range c.Steps {
		ask := locateStep.Fill("input", c.Input, "before", strings.Join(append([]string{"(nothing yet)"}, c.Steps[:i]...)[min(1, i):], "\n"), "step", step)
		reply, err := s.Aside(ctx, monitor.Aside{Role: "judge", Index: i + 1, Text: ask, MaxTokens: 4, TopLogProbs: 20})
		if err != nil {
			return r, err
		}
		p := yesShare(reply.Tokens, reply.Text)
		if p == nil {
			return r, nil // a step without a verdict leaves the place open
		}
		if *p < 0.5 {
			found = i + 1
			break
		}
	}
	r.Step = &found
	return r, nil
}

func measureLocation(rs []LocationResult) []eval.Measure {
	var out []eval.Measure
	for _, way := range []struct {
		name string
		of   func(LocationResult) *int
	}{{"whole", func(r LocationResult) *int { return r.Whole }}, {"step by step", func(r LocationResult) *int { return r.Step }}} {
		var right, n, place, wrong, clean, none, flagged, read int
		for _, r := range rs {
			at := way.of(r)
			if at == nil {
				continue
			}
			read++
			n, right = n+1, right+int(one(*at == r.True))
			if r.True > 0 {
				wrong, place, flagged = wrong+1, place+int(one(*at == r.True)), flagged+int(one(*at > 0))
			} else {
				clean, none = clean+1, none+int(one(*at == 0))
			}
		}
		out = append(out,
			eval.Share(way.name+": accuracy", right, n), eval.Share(way.name+": place of the mistake, chains with one", place, wrong),
			eval.Share(way.name+": says that there is a mistake, chains with one", flagged, wrong),
			eval.Share(way.name+": says that there is none, chains without", none, clean), eval.Share(way.name+": could be read", read, len(rs)),
		)
	}
	guess := 0.0
	for _, r := range rs {
		guess += 1 / float64(r.Steps+1) / float64(len(rs))
	}
	return append(out, eval.Value("accuracy of guessing a place or none", guess, len(rs), "mean of 1/(steps + 1)", "computed, not measured"))
}
