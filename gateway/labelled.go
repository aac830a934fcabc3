package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"gnothi"
	"gnothi/monitor"
	"gnothi/monitor/calibrate"
	"gnothi/store"
	"gnothi/text"
)

// Labels are answers of one model, policy, form and kind that have verdicts, each
// with what it stands for: what a calibrator is fitted on.
type Labels struct {
	Key      calibrate.Key
	Name     string // for people: model and policy
	Examples []calibrate.Example
	// Own counts those whose verdict came of its own accord, Marked those that were
	// sought of answers marked at random; Waiting are marked ones without a verdict.
	Own, Marked, Waiting int
}

// label is a verdict on its way to [Labels].
type label struct {
	id      string
	key     calibrate.Key
	name    string
	own     bool
	marked  bool
	chance  float64
	example calibrate.Example
}

// LabelledTrials gathers what verdicts say of the trials in a store, by what a
// calibrator holds for.
func LabelledTrials(ctx context.Context, trials *store.Trials) ([]Labels, error) {
	judged, _, err := trials.List(ctx, store.TrialQuery{Judged: true, ByVerdict: true, Outcome: text.Parsed.String(), Limit: figuresMost, Bodies: true})
	if err != nil {
		return nil, err
	}
	waiting, _, err := trials.List(ctx, store.TrialQuery{Marked: true, Unjudged: true, Outcome: text.Parsed.String(), Limit: figuresMost, Bodies: true})
	if err != nil {
		return nil, err
	}
	var all []label
	for _, t := range judged {
		var k Kept
		if err := json.Unmarshal(t.Body, &k); err != nil {
			return nil, fmt.Errorf("trial %q: %w", t.ID, err)
		}
		all = append(all, label{
			id: t.ID, key: k.Explanation.Key, name: k.Belief.Model + " " + k.Belief.Policy, own: t.Own, marked: t.Marked, chance: t.Audit,
			example: calibrate.Example{Right: *t.Correct, Readings: readings(k.Belief.Signals), Cluster: k.Belief.Question},
		})
	}
	wait := map[calibrate.Key]int{}
	for _, t := range waiting {
		var k Kept
		if err := json.Unmarshal(t.Body, &k); err != nil {
			return nil, fmt.Errorf("trial %q: %w", t.ID, err)
		}
		wait[k.Explanation.Key]++
	}
	return gather(all, wait), nil
}

// FeedbackLines gathers the verdicts of a feedback file, line by line: the latest
// on an answer counts. The file does not know how many marked answers wait.
type FeedbackLines struct {
	order []string
	byID  map[string]label
}

// Add takes a line. One of another kind is an error.
func (f *FeedbackLines) Add(line []byte) error {
	var v verdict
	if err := json.Unmarshal(line, &v); err != nil {
		return err
	}
	switch {
	case v.ID == "":
		return errors.New(`field "id": missing: this is no line that serve --feedback wrote`)
	case v.Schema != 1:
		return fmt.Errorf(`field "schema": %d, this version of gnothi knows 1`, v.Schema)
	case v.Key == (calibrate.Key{}):
		return errors.New(`field "calibrator_key": missing: an older gnothi wrote this line, and it does not tell what a calibrator would hold for`)
	}
	if f.byID == nil {
		f.byID = map[string]label{}
	}
	before, again := f.byID[v.ID]
	if !again {
		f.order = append(f.order, v.ID)
	}
	f.byID[v.ID] = label{
		id: v.ID, key: v.Key, name: v.Model + " " + v.Policy, own: before.own || v.By != store.ByAudit, marked: v.Marked, chance: v.Audit,
		example: calibrate.Example{Right: v.Correct, Readings: readings(v.Signals)},
	}
	return nil
}

// Labels are what has been gathered.
func (f *FeedbackLines) Labels() []Labels {
	var all []label
	for _, id := range f.order {
		all = append(all, f.byID[id])
	}
	return gather(all, nil)
}

// gather sorts labels by what a calibrator holds for, in the order in which they
// come, and weighs them as figures are weighed (see labelled).
func gather(all []label, waiting map[calibrate.Key]int) []Labels {
	var keys []calibrate.Key
	by := map[calibrate.Key][]label{}
	for _, l := range all {
		if len(l.example.Readings) == 0 {
			continue
		}
		if by[l.key] == nil {
			keys = append(keys, l.key)
		}
		by[l.key] = append(by[l.key], l)
	}
	var out []Labels
	for _, key := range keys {
		group := by[key]
		audited := slices.ContainsFunc(group, func(l label) bool { return l.marked && !l.own })
		g := Labels{Key: key, Name: group[0].name, Waiting: waiting[key]}
		for _, l := range group {
			if !l.own && l.marked && l.chance > 0 {
				g.Marked++
			}
		}
		for _, l := range group {
			switch {
			case audited && l.chance == 0: // before answers were marked
				continue
			case l.own:
				g.Own++
				l.example.Weight = 1
			case l.marked && l.chance > 0:
				l.example.Weight = float64(g.Marked+g.Waiting) / float64(g.Marked) / l.chance
			default:
				continue
			}
			g.Examples = append(g.Examples, l.example)
		}
		if len(g.Examples) > 0 {
			out = append(out, g)
		}
	}
	return out
}

func readings(signals []gnothi.Signal) []calibrate.Named {
	var out []calibrate.Named
	for _, s := range signals {
		out = append(out, calibrate.Named{Name: s.Name, Reading: monitor.Reading{Score: s.Score, Raw: s.Raw, Source: s.Source, Reads: s.Reads}})
	}
	return out
}
