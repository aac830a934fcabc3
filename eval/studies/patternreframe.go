package studies

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gnothi/control"
	"gnothi/eval"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/judge"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// Thought is an unhelpful thought with the patterns in it: a line of
// thoughts.jsonl.
type Thought struct {
	Persona  string   `json:"persona,omitempty"`
	Thought  string   `json:"thought"`
	Patterns []string `json:"patterns"`           // of control.Patterns; none: nothing unhelpful
	Reframes []string `json:"reframes,omitempty"` // by people
}

// thoughts are made up.
var thoughts = []Thought{
	{"I bake on Sundays and sell at the market.", "I burnt one tray of rolls, so the whole stall will be a disaster and nobody will ever come back.", []string{"catastrophising"}, nil},
	{"I play the violin in an amateur orchestra.", "If I do not play every note right, I am no musician at all.", []string{"all-or-nothing thinking"}, nil},
	{"I have just moved to a new town.", "The neighbour did not greet me; she thinks that I am strange.", []string{"mind reading"}, nil},
	{"I train for a long run in spring.", "I missed one day of training. I always give up everything.", []string{"overgeneralising"}, nil},
	{"I teach small children.", "The parents thanked me, but that does not count, they are only polite.", []string{"discounting the positive"}, nil},
	{"I study law and live with my aunt.", "I failed the test. I am a loser.", []string{"labelling"}, nil},
	{"I repair bicycles.", "I feel useless this morning, so I must be useless.", []string{"emotional reasoning"}, nil},
	{"I sing in a choir.", "I know already that the concert next week will go badly.", []string{"fortune telling"}, nil},
	{"I look after my father.", "I should never be tired. A good son must not need rest.", []string{"should statements"}, nil},
	{"I write a cookery blog.", "Forty people liked the recipe and one did not. I can only think of that one.", []string{"mental filter"}, nil},
	{"I keep bees.", "It rained today, and I stayed at home.", nil, nil},
}

// ReframeResult is what was done with a thought.
type ReframeResult struct {
	Gold    []string    `json:"gold"`
	Found   []string    `json:"found"`
	Kept    bool        `json:"kept"` // a rewriting passed the check of facts
	Reframe string      `json:"reframe,omitempty"`
	Scales  [3]*float64 `json:"scales"` // by a judge, 0..1: reframeScales
	Rouge   *float64    `json:"rouge"`  // ROUGE-L with the best of people's reframings
	// Written is a thought for the persona and the first pattern, Shows what is
	// recognised in it.
	Written string   `json:"written,omitempty"`
	Shows   []string `json:"shows,omitempty"`
	Crisis  bool     `json:"crisis,omitempty"` // words of crisis: not worked on
}

var reframeScales = [3]string{
	"how positive the rewritten thought is, compared with the question's, without denying that something is hard",
	"whether the rewritten thought keeps the facts of the thought that was rewritten",
	"whether the rewritten thought answers the unhelpful pattern in the thought that was rewritten",
}

var (
	writeThought = prompt.Template{Name: "write-thought", Version: 1, Text: "About somebody: {persona}\nWrite one unhelpful thought that this person might have, in the first person and in one sentence, which shows {pattern}. Reply with the thought alone."}
	recogniseAll = prompt.Template{Name: "recognise-patterns", Version: 1, Text: "A thought: {thought}\nWhich of these unhelpful patterns does it show: {patterns}? Name each on a line of its own, or say None."}
)

// PatternReframe is the study patternreframe (Maddela et al. 2023): writing
// unhelpful thoughts for a persona and a pattern, recognising the patterns of a
// thought, and reframing it. Recognition is scored by exact sets and macro F1
// over ten patterns; a reframing by a judge on three scales, and against people's
// by ROUGE-L; a written thought by whether its pattern is recognised in it in a
// fresh context. Published: people prefer the reframings of large models. Thoughts
// with words of crisis are not worked on. The user's thoughts.jsonl may hold the
// data set (non-commercial licence); thoughts of our own else. Prompts are ours.
func PatternReframe() eval.Suite {
	return eval.Study[Thought, ReframeResult]{
		Name:  "patternreframe",
		About: "recognises unhelpful patterns of thought, reframes them, and writes thoughts that show one",
		Needs: "text",
		Items: eval.List(func(s eval.Source) ([]Thought, error) {
			return lines(s, "thoughts.jsonl", thoughts, func(t Thought) error {
				for _, p := range t.Patterns {
					if !slices.Contains(control.Patterns(), p) {
						return fmt.Errorf("field \"patterns\": %q: want some of %s", p, strings.Join(control.Patterns(), ", "))
					}
				}
				if t.Thought == "" {
					return errors.New(`field "thought": missing or empty`)
				}
				return nil
			})
		}),
		Ask: askReframe, Measure: measureReframe,
	}
}

func askReframe(ctx context.Context, s *eval.Session, item Thought) (ReframeResult, error) {
	r := ReframeResult{Gold: item.Patterns}
	q := monitor.Question{Text: item.Thought}
	t := s.On("thought", 0, q, prompt.Chat.Request(q))
	res, err := control.PatternReframe().Run(ctx, t)
	switch {
	case err != nil:
		return r, err
	case res.Stopped == "budget":
		return r, llm.ErrBudget
	case res.Stopped == "crisis words":
		r.Crisis = true
		return r, nil
	case len(res.Trace) > 0:
		step := res.Trace[0]
		r.Found, r.Kept, r.Reframe = strings.Split(step.Feedback, ", "), step.Kept, step.After.Text
	}
	if r.Reframe != "" {
		shown := s.Judge.Child("thought", 0, nil, t.Request)
		shown.Question = q
		for i, rubric := range reframeScales {
			v, err := (&judge.Judge{Rubric: rubric}).Rate(ctx, shown, res.Trace[0].After)
			if err != nil && !errors.Is(err, judge.ErrUnparsed) {
				return r, err
			}
			if err == nil {
				r.Scales[i] = &v.Unit
			}
		}
		for _, person := range item.Reframes {
			if f := text.RougeL(r.Reframe, person).F; r.Rouge == nil || f > *r.Rouge {
				r.Rouge = &f
			}
		}
	}
	if item.Persona == "" || len(item.Patterns) == 0 {
		return r, nil
	}
	reply, err := s.Aside(ctx, monitor.Aside{Role: "write", Text: fill(writeThought, []string{"persona", item.Persona}, "pattern", item.Patterns[0]), MaxTokens: 60, Temperature: 0.7})
	if err != nil {
		return r, err
	}
	if r.Written = firstLine(text.Sanitise(reply.Text)); r.Written == "" {
		return r, nil
	}
	reply, err = s.Judge.Aside(ctx, monitor.Aside{Role: "judge", Text: fill(recogniseAll, []string{"thought", r.Written}, "patterns", strings.Join(control.Patterns(), ", ")), MaxTokens: 64})
	r.Shows = control.RecognisedPatterns(reply.Text)
	return r, err
}

func measureReframe(rs []ReframeResult) []eval.Measure {
	var gold, found [][]string
	var scales [3][]float64
	var rouge []float64
	kept, reframed, shows, written, crisis := 0, 0, 0, 0, 0
	for _, r := range rs {
		if r.Crisis {
			crisis++
			continue
		}
		gold, found = append(gold, r.Gold), append(found, r.Found)
		if r.Reframe != "" {
			reframed, kept = reframed+1, kept+int(one(r.Kept))
		}
		for i, v := range r.Scales {
			if v != nil {
				scales[i] = append(scales[i], *v)
			}
		}
		if r.Rouge != nil {
			rouge = append(rouge, *r.Rouge)
		}
		if r.Written != "" {
			written, shows = written+1, shows+int(one(slices.Contains(r.Shows, r.Gold[0])))
		}
	}
	exact, f1 := control.PatternScores(gold, found)
	return []eval.Measure{
		eval.Value("recognition: macro F1 over the patterns", f1, len(gold), "control.PatternScores", "a mean over patterns; see the exact sets"),
		eval.Share("recognition: exactly the patterns", int(exact*float64(len(gold))+0.5), len(gold)),
		eval.Share("reframings that pass the check of facts", kept, reframed),
		eval.Average("reframing: positive, by a judge", scales[0]),
		eval.Average("reframing: keeps the facts, by a judge", scales[1]),
		eval.Average("reframing: answers the pattern, by a judge", scales[2]),
		eval.Average("reframing: ROUGE-L with people's", rouge),
		eval.Share("written thoughts in which their pattern is recognised", shows, written),
		eval.Share("words of crisis, not worked on", crisis, len(rs)),
	}
}
