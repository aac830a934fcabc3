package studies

import (
	"context"
	"errors"
	"strings"

	"gnothi/control"
	"gnothi/eval"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// HistoricalEvent is an event to which a past one is sought: a line of
// events.jsonl.
type HistoricalEvent struct {
	Event string `json:"event"`
	Text  string `json:"text,omitempty"` // of an encyclopedia: past events that it mentions exist
}

// historicalEvents are of general knowledge.
var historicalEvents = []HistoricalEvent{
	{Event: "The dot-com bubble of 2000: shares of internet companies rose far above their worth and collapsed."},
	{Event: "The influenza pandemic of 1918, which spread over the world with the movement of troops."},
	{Event: "The fall of the Berlin Wall in 1989, after months of protest."},
	{Event: "The eruption of Krakatoa in 1883, whose waves destroyed the coasts around."},
	{Event: "The building of the Suez Canal, which shortened the way between two oceans."},
}

// aspectNames are the four aspects, as they are asked for and read.
var aspectNames = [4]string{"Topic", "Background", "Process", "Result"}

// Analogy is a past event with its likeness by aspect.
type Analogy struct {
	Event string `json:"event"`
	// Abstract is by a judge, 1 to 4, Literal the overlap of words, 0..1; a missing
	// aspect has no score.
	Abstract *control.Aspects `json:"abstract"`
	Literal  *control.Aspects `json:"literal"`
}

// score is the paper's measure; ok is false where an aspect is missing.
func (a Analogy) score() (v float64, ok bool) {
	if a.Abstract == nil || a.Literal == nil {
		return 0, false
	}
	return control.AnalogyScore(*a.Abstract, *a.Literal), true
}

// AnalogyResult is what each way proposed.
type AnalogyResult struct {
	Ways map[string]Analogy `json:"ways"`
}

const (
	directAnalogy  = "asked directly"
	checkedAnalogy = "proposed and checked"
	reflectAnalogy = "with reflection, 3 rounds"
)

var (
	directly     = prompt.Template{Name: "analogy-directly", Version: 1, Text: "Event: {event}\nName one past event of history that is most like it. Reply with the name alone."}
	fourAspects  = prompt.Template{Name: "event-aspects", Version: 1, Text: "Event: {event}\nSum it up in four lines of one sentence each, each beginning with its name and a colon: Topic, Background, Process, Result."}
	alikeAspects = prompt.Template{Name: "aspect-alike", Version: 1, Text: "Of two events, one sentence each.\nOne: {one}\nOther: {other}\nSetting names, places and dates aside, how alike is the situation, from 1 (not at all) to 4 (the same)? Reply with the number alone."}
)

// HistoricalAnalogy is the study historical-analogy (Li et al. 2024): a past event
// like a given one, asked for directly, proposed and checked, and with reflection
// on what is wanting. Score: abstract likeness of four aspects, 1 to 4 by a judge,
// times what literal overlap leaves of 0.35; 0.5·topic + background + 2·process +
// 2·result. It rewards likeness that is not in the words. Published: reflection
// raises the score for GPT-3.5 and GPT-4. Chosen: aspects are the model's own
// summaries; the paper takes them from an encyclopedia, which the user's
// events.jsonl may bring along.
func HistoricalAnalogy() eval.Suite {
	return eval.Study[HistoricalEvent, AnalogyResult]{
		Name:  "historical-analogy",
		About: "past events like a given one: asked directly, checked, and reflected upon",
		Needs: "text",
		Items: eval.List(func(s eval.Source) ([]HistoricalEvent, error) {
			return lines(s, "events.jsonl", historicalEvents, func(e HistoricalEvent) error {
				if strings.TrimSpace(e.Event) == "" {
					return errors.New(`field "event": missing or empty`)
				}
				return nil
			})
		}),
		Ask: askAnalogy,
		Measure: func(rs []AnalogyResult) []eval.Measure {
			var out []eval.Measure
			for _, way := range []string{directAnalogy, checkedAnalogy, reflectAnalogy} {
				var x []float64
				none := 0
				for _, r := range rs {
					if v, ok := r.Ways[way].score(); ok {
						x = append(x, v)
					} else {
						none++
					}
				}
				out = append(out, eval.Average(way+": score, 0 to 7.7", x), eval.Share(way+": no event, or an aspect is missing", none, len(rs)))
			}
			var with, without []float64
			for _, r := range rs {
				a, ok := r.Ways[reflectAnalogy].score()
				b, also := r.Ways[directAnalogy].score()
				if ok && also {
					with, without = append(with, a), append(without, b)
				}
			}
			return append(out, paired("reflection less asking directly, score", with, without))
		},
	}
}

func askAnalogy(ctx context.Context, s *eval.Session, e HistoricalEvent) (AnalogyResult, error) {
	r := AnalogyResult{map[string]Analogy{}}
	own, err := aspectsOf(ctx, s, 0, e.Event)
	if err != nil {
		return r, err
	}
	reply, err := s.Aside(ctx, monitor.Aside{Role: "answer", Text: directly.Fill("event", e.Event), MaxTokens: 32})
	if err != nil {
		return r, err
	}
	names := map[string]string{directAnalogy: firstLine(text.Sanitise(reply.Text))}
	q := monitor.Question{Text: e.Event, Context: e.Text}
	for _, rounds := range []int{0, 2} { // after the first proposals
		way := checkedAnalogy
		if rounds > 0 {
			way = reflectAnalogy
		}
		res, err := control.HistoricalAnalogy(rounds).Run(ctx, s.On("analogy", 0, q, prompt.Chat.Request(q)))
		if err == nil && res.Stopped == "budget" {
			err = llm.ErrBudget
		}
		if err != nil {
			return r, err
		}
		if res.Best != nil {
			names[way] = res.Best.Text
		}
	}
	for i, way := range []string{directAnalogy, checkedAnalogy, reflectAnalogy} {
		a := Analogy{Event: names[way]}
		if a.Event != "" {
			if a.Abstract, a.Literal, err = likeness(ctx, s, i+1, own, a.Event); err != nil {
				return r, err
			}
		}
		r.Ways[way] = a
	}
	return r, nil
}

// aspectsOf asks for the four aspects of an event; an empty one could not be read.
func aspectsOf(ctx context.Context, s *eval.Session, i int, event string) (out [4]string, err error) {
	reply, err := s.Aside(ctx, monitor.Aside{Role: "rewrite", Index: i, Text: fourAspects.Fill("event", event), MaxTokens: 160})
	for k, name := range aspectNames {
		out[k], _ = field(text.Sanitise(reply.Text), name)
	}
	return out, err
}

// likeness compares an event with the aspects of another; nil where one of them
// is missing.
func likeness(ctx context.Context, s *eval.Session, i int, own [4]string, event string) (abstract, literal *control.Aspects, err error) {
	other, err := aspectsOf(ctx, s, i, event)
	if err != nil {
		return nil, nil, err
	}
	var a, l [4]float64
	for k := range aspectNames {
		if own[k] == "" || other[k] == "" {
			return nil, nil, nil
		}
		reply, err := s.Judge.Aside(ctx, monitor.Aside{Role: "judge", Index: 4*i + k, Text: alikeAspects.Fill("one", own[k], "other", other[k]), MaxTokens: 8})
		if err != nil {
			return nil, nil, err
		}
		v := rating(reply.Text, 1, 4)
		if v == nil {
			return nil, nil, nil
		}
		a[k], l[k] = float64(*v), control.LiteralOverlap(own[k], other[k])
	}
	return &control.Aspects{Topic: a[0], Background: a[1], Process: a[2], Result: a[3]}, &control.Aspects{Topic: l[0], Background: l[1], Process: l[2], Result: l[3]}, nil
}
