package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"gnothi/internal/plot"
	"gnothi/llm"
	"gnothi/monitor/judge"
	"gnothi/stats"
)

// judgeLabels are what people said of a line's candidates.
type judgeLabels struct {
	single  *float64
	byKey   map[string]float64
	winner  string
	ranking []string
	tags    map[string]map[string]float64
}

// of is the label of a candidate of rate or verify.
func (l judgeLabels) of(key string) (float64, bool) {
	if l.single != nil {
		return *l.single, true
	}
	v, ok := l.byKey[key]
	return v, ok
}

func (l judgeLabels) best() (string, bool) { return l.winner, l.winner != "" }

// places are the places of a ranking, nil without one.
func (l judgeLabels) places() map[string]int {
	if l.ranking == nil {
		return nil
	}
	out := map[string]int{}
	for i, key := range l.ranking {
		out[key] = i
	}
	return out
}

func (l judgeLabels) tag(key, label string) (float64, bool) {
	v, ok := l.tags[key][label]
	return v, ok
}

// readLabel reads a label as the verb has it.
func (g *judging) readLabel(l *judgeLine) (out judgeLabels, err error) {
	if len(l.Label) == 0 || string(l.Label) == "null" {
		return out, nil
	}
	candidate := func(key string) error {
		if _, ok := l.Candidates[key]; !ok {
			return fmt.Errorf("field \"label\": %q is no candidate", key)
		}
		return nil
	}
	bad := func(want string) error {
		return fmt.Errorf("field \"label\": want %s, found %.60s", want, l.Label)
	}
	number := func(v any) (float64, bool) {
		switch n := v.(type) {
		case bool:
			return float64(btoi(n)), true
		case float64:
			return n, true
		}
		return 0, false
	}
	var v any
	if err := json.Unmarshal(l.Label, &v); err != nil {
		return out, err
	}
	switch g.verb {
	case "rate", "verify":
		want := "a number, or {key: number}"
		if g.verb == "verify" {
			want = "true or false, or {key: true or false}"
		}
		if n, ok := number(v); ok && len(l.keys) == 1 {
			out.single = &n
			return out, nil
		}
		byKey, ok := v.(map[string]any)
		if !ok {
			return out, bad(want)
		}
		out.byKey = map[string]float64{}
		for key, v := range byKey {
			if err := candidate(key); err != nil {
				return out, err
			}
			if out.byKey[key], ok = number(v); !ok {
				return out, bad(want)
			}
		}
	case "compare":
		key, ok := v.(string)
		if !ok {
			return out, bad(`the better key, or "tie"`)
		}
		out.winner = key
		if key != "tie" {
			return out, candidate(key)
		}
	case "rank":
		keys, ok := v.([]any)
		for _, v := range keys {
			key, is := v.(string)
			if ok = ok && is && !slices.Contains(out.ranking, key); ok {
				if err := candidate(key); err != nil {
					return out, err
				}
				out.ranking = append(out.ranking, key)
			}
		}
		if !ok || len(out.ranking) != len(l.keys) {
			return out, bad("every key once, best first")
		}
	case "tag":
		byKey, ok := v.(map[string]any)
		if !ok {
			return out, bad("{label: grade}, or {key: {label: grade}}")
		}
		if len(l.keys) == 1 {
			if _, deep := byKey[l.keys[0]].(map[string]any); !deep {
				byKey = map[string]any{l.keys[0]: byKey}
			}
		}
		out.tags = map[string]map[string]float64{}
		for key, v := range byKey {
			if err := candidate(key); err != nil {
				return out, err
			}
			byLabel, ok := v.(map[string]any)
			out.tags[key] = map[string]float64{}
			for label, v := range byLabel {
				if !slices.ContainsFunc(g.labels, func(l judge.Label) bool { return l.Name == label }) {
					return out, fmt.Errorf("field \"label\": %q is none of --labels", label)
				}
				if out.tags[key][label], ok = number(v); !ok {
					break
				}
			}
			if !ok {
				return out, bad("{label: grade}, or {key: {label: grade}}")
			}
		}
	}
	return out, nil
}

// judgeReport is what stands beside the verdicts.
type judgeReport struct {
	Verb     string                  `json:"verb"`
	Judges   []string                `json:"judges"`
	Gold     []string                `json:"gold,omitempty"` // the panel of --self-preference
	Lines    int                     `json:"lines"`
	Verdicts int                     `json:"verdicts"`
	Missing  int                     `json:"missing"` // verdicts that could not be read
	Failed   int                     `json:"failed"`  // lines
	NoGold   int                     `json:"no_gold,omitempty"`
	Bias     judge.Bias              `json:"bias"`
	Labels   *judge.Agreement        `json:"agreement_with_labels,omitempty"`
	Votes    stats.Figure            `json:"agreement_of_votes"` // Krippendorff's alpha, between replies or members of the panel
	Shares   map[string]stats.Figure `json:"shares,omitempty"`   // compare, rank: by key; tag: by label, and by label and kind
	// Compounded is the share of texts in which two labels reach grade 2 (rose-frame).
	Compounded *stats.Figure `json:"compounded,omitempty"`
	Spend      judgeSpend    `json:"spend"`

	tally            judge.Tally
	votes            [][]float64
	verdicts, labels []int
	won              map[string][]float64
	held             map[string][2]int // of a label: texts in which it holds, texts
	graded           bool
	compounded       [2]int
	self             []judge.Judged
	first            error
}

func newJudgeReport(g *judging) *judgeReport {
	r := &judgeReport{Verb: g.verb, won: map[string][]float64{}, held: map[string][2]int{}}
	for _, m := range g.base.Panel {
		r.Judges = append(r.Judges, m.ID().String())
	}
	if r.Judges == nil {
		r.Judges = []string{g.model.ID().String()}
	}
	for _, m := range g.gold {
		r.Gold = append(r.Gold, m.ID().String())
		if family := judge.Family(m.ID()); family != "" && family == judge.Family(g.model.ID()) {
			r.tally.SameFamily = append(r.tally.SameFamily, "the panel's "+m.ID().String()+" and the judge")
		}
	}
	for _, l := range g.labels {
		r.graded = r.graded || l.Max > 1
	}
	return r
}

// count adds a line.
func (r *judgeReport) count(l judged) {
	r.Lines++
	r.Spend.Calls += l.Spend.Calls
	r.Spend.PromptTokens += l.Spend.PromptTokens
	r.Spend.CompletionTokens += l.Spend.CompletionTokens
	if l.err != nil {
		r.Failed++
		if r.first == nil {
			r.first = l.err
		}
	}
	l.add(r)
	for _, name := range l.line.Models {
		for _, j := range r.Judges {
			if family := judge.Family(modelNamed(name)); family != "" && family == judge.Family(modelNamed(j)) {
				if s := name + " is judged by " + j; !slices.Contains(r.tally.SameFamily, s) {
					r.tally.SameFamily = append(r.tally.SameFamily, s)
				}
			}
		}
	}
}

// modelNamed reads a model's name, with its provider or without.
func modelNamed(s string) llm.ID {
	if _, name, ok := strings.Cut(s, ":"); ok {
		s = name
	}
	name, _, _ := strings.Cut(s, "@")
	return llm.ID{Name: name}
}

func (r *judgeReport) read(err error) {
	r.Verdicts++
	if err != nil {
		r.Missing++
	}
}

func (r *judgeReport) agree(verdict, label int) {
	r.verdicts, r.labels = append(r.verdicts, verdict), append(r.labels, label)
}

func (r *judgeReport) winners(scores map[string]*float64) {
	for key, s := range scores {
		if s != nil {
			r.won[key] = append(r.won[key], *s)
		}
	}
}

func (r *judgeReport) tagged(kind string, v judge.Tags) {
	for _, tag := range v.Tags {
		names := []string{tag.Label}
		if kind != "" {
			names = append(names, tag.Label+", "+kind)
		}
		for _, name := range names {
			if h := r.held[name]; tag.Err == nil {
				r.held[name] = [2]int{h[0] + btoi(tag.Grade > 0), h[1] + 1}
			}
		}
	}
	r.compounded[1]++
	if judge.Compounded(v) {
		r.compounded[0]++
	}
}

// own adds a pair to what self-preference is measured on: from the side of the
// judge's own response, or of the first one where neither is its own.
func (r *judgeReport) own(id llm.ID, l judgeLine, a, b string, v, gold judge.Comparison) {
	mine := func(key string) bool {
		name := l.Models[key]
		return name != "" && (name == id.String() || name == id.Name)
	}
	if mine(a) && mine(b) {
		return // its own against its own says nothing
	}
	it := judge.Judged{Own: mine(a) || mine(b), Score: v.Outcome}
	flip := mine(b)
	if flip {
		it.Score = 1 - it.Score
	}
	for _, p := range gold.Panel {
		g := p.Outcome
		if flip {
			g = 1 - g
		}
		it.Panel = append(it.Panel, g)
	}
	r.self = append(r.self, it)
}

// finish makes the figures.
func (r *judgeReport) finish(g *judging) error {
	rng := rand.New(rand.NewPCG(g.seed, 0))
	if g.self {
		dbg, err := judge.SelfPreference(rng, r.self)
		if err != nil {
			dbg.Own = stats.Missing(len(r.self), err)
			dbg.Others, dbg.Naive = dbg.Own, dbg.Own
		}
		r.tally.Self = &dbg
	}
	r.Bias = r.tally.Bias()
	if len(r.labels) > 0 {
		a := judge.Agree(r.verdicts, r.labels, r.Verb == "rate" || r.Verb == "rank" || r.graded)
		r.Labels = &a
	}
	r.Votes = r.alpha()
	r.Shares = map[string]stats.Figure{}
	if len(r.won) <= 20 { // keys of systems, not of answers
		for key, shares := range r.won {
			if len(shares) > 1 {
				r.Shares[key] = judge.WinRate(shares, "")
			}
		}
	}
	for label, h := range r.held {
		f, err := stats.Wilson(h[0], h[1], 0.95)
		if err != nil {
			f = stats.Missing(h[1], err)
		}
		r.Shares[label] = f
	}
	if r.graded {
		f, err := stats.Wilson(r.compounded[0], r.compounded[1], 0.95)
		if err != nil {
			f = stats.Missing(r.compounded[1], err)
		}
		r.Compounded = &f
	}
	return nil
}

// alpha is the agreement between votes on the same thing.
func (r *judgeReport) alpha() stats.Figure {
	most := 0
	for _, v := range r.votes {
		most = max(most, len(v))
	}
	if most < 2 {
		return stats.Missing(len(r.votes), errors.New("one vote each: --votes or --panel"))
	}
	rows := make([][]float64, most)
	for i := range rows {
		for _, v := range r.votes {
			x := math.NaN()
			if i < len(v) {
				x = v[i]
			}
			rows[i] = append(rows[i], x)
		}
	}
	a, err := stats.Krippendorff(rows, stats.Interval)
	if err != nil {
		return stats.Missing(len(r.votes), err)
	}
	return stats.Figure{Value: a, Low: math.NaN(), High: math.NaN(), N: len(r.votes), Method: "Krippendorff's alpha, interval"}
}

// String is the report in lines.
func (r *judgeReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s by %s: %d lines, %d verdicts", r.Verb, strings.Join(r.Judges, ", "), r.Lines, r.Verdicts)
	for _, c := range []struct {
		n    int
		what string
	}{{r.Missing, "of them missing"}, {r.Failed, "lines failed"}, {r.NoGold, "pairs without gold"}} {
		if c.n > 0 {
			fmt.Fprintf(&b, ", %d %s", c.n, c.what)
		}
	}
	fmt.Fprintf(&b, "; %d calls, %d + %d tokens\n", r.Spend.Calls, r.Spend.PromptTokens, r.Spend.CompletionTokens)
	for _, key := range slices.Sorted(maps.Keys(r.Shares)) {
		fmt.Fprintf(&b, "%-24s %v\n", key, r.Shares[key])
	}
	if r.Compounded != nil {
		fmt.Fprintf(&b, "%-24s %v\n", "two at grade 2 or more", *r.Compounded)
	}
	b.WriteString(r.Bias.String())
	if r.Labels != nil {
		fmt.Fprintf(&b, "%-24s %v\n%-24s %v\n%-24s %v\n", "kappa with labels", r.Labels.Kappa, "same as label", r.Labels.Exact, "macro F1", r.Labels.MacroF1)
	}
	if !math.IsNaN(r.Votes.Value) {
		fmt.Fprintf(&b, "%-24s %v\n", "alpha between votes", r.Votes)
	}
	return b.String()
}

// draw writes the picture.
func (r *judgeReport) draw(path string) error {
	f := plot.Forest{Title: "What the verdicts may rest on", X: "share, or correlation", Note: fmt.Sprintf("%s by %s, %d verdicts; bars are 95 %% intervals", r.Verb, strings.Join(r.Judges, ", "), r.Verdicts)}
	row := func(name string, v stats.Figure, less float64) {
		if v.N > 0 {
			f.Rows = append(f.Rows, plot.Row{Name: name, Value: v.Value - less, Low: v.Low - less, High: v.High - less})
		}
	}
	row("position bias", r.Bias.Position, 0)
	row("length slope", r.Bias.LengthSlope, 0)
	row("longer one wins, over ½", r.Bias.Longer, 0.5)
	if r.Bias.Self != nil {
		row("self-preference (DBG)", r.Bias.Self.Own, 0)
		row("same, of others' answers", r.Bias.Self.Others, 0)
	}
	row("unparsed", r.Bias.Unparsed, 0)
	if r.Labels != nil {
		row("kappa with labels", r.Labels.Kappa, 0)
	}
	file, err := os.Create(path)
	if err != nil {
		return usage(err)
	}
	_, err = f.WriteTo(file)
	return errors.Join(err, file.Close())
}
