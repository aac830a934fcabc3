package studies

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"gnothi/eval"
	"gnothi/eval/questions"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/stats"
	"gnothi/text"
)

// QA is a question with accepted answers: a line of questions.jsonl, in the
// layout that `ask --in` reads. With options, the answers are their keys or texts.
type QA struct {
	ID           string            `json:"id,omitempty"`
	Set          string            `json:"set,omitempty"` // the public set that it is of
	Question     string            `json:"question"`
	Context      string            `json:"context,omitempty"` // what it is to be answered from
	Images       []string          `json:"images,omitempty"`  // URLs
	Answers      []string          `json:"answers"`
	Options      map[string]string `json:"options,omitempty"`
	Reads        text.Kind         `json:"reads,omitempty"` // how replies are read where there are no options
	Kind         string            `json:"kind,omitempty"`
	Group        string            `json:"cluster,omitempty"` // questions of one cluster are related
	Level        int               `json:"level,omitempty"`   // of difficulty; 0: not known
	Unanswerable bool              `json:"unanswerable,omitempty"`
	Disputed     bool              `json:"disputed,omitempty"` // experts disagree about it
	// Turn is by how many places the options, in the order of their keys, are turned:
	// see [turned].
	Turn int `json:"turn,omitempty"`
}

// qaItems are the questions of the user's folder, or n of gnothi's own (s.N if
// that is set), those which no calibrator was fitted on; keep nil keeps all. The
// options of each are turned.
func qaItems(s eval.Source, n int, keep func(QA) bool) iter.Seq2[QA, error] {
	return turned(s, few(s, qaSource(s, n, keep)))
}

// qaSource are the questions as they come. Only the suite qa shows images: to
// others a question that has some is an error.
func qaSource(s eval.Source, n int, keep func(QA) bool) iter.Seq2[QA, error] {
	return func(yield func(QA, error) bool) {
		for q, err := range qaAll(s, n, keep) {
			if len(q.Images) > 0 {
				err = fmt.Errorf("question %s has images, which only the study qa shows", q.ID)
			}
			if !yield(q, err) || err != nil {
				return
			}
		}
	}
}

// qaAll are the questions, images and all.
func qaAll(s eval.Source, n int, keep func(QA) bool) iter.Seq2[QA, error] {
	items, ok := loaded(s)
	if ok {
		return func(yield func(QA, error) bool) {
			some := false
			for q, err := range kept(items, keep) {
				if some = true; !yield(q, err) {
					return
				}
			}
			if !some {
				yield(QA{}, fmt.Errorf("%s: no question there suits this study", s.Dir))
			}
		}
	}
	return func(yield func(QA, error) bool) {
		own, given := questions.Split(questions.Apart), 0
		for _, i := range s.Rand.Perm(len(own)) {
			q := own[i]
			item := QA{ID: q.ID, Question: q.Question, Answers: q.Answers, Kind: q.Kind, Group: q.Cluster, Level: q.Level, Unanswerable: q.Unanswerable}
			if keep != nil && !keep(item) {
				continue
			}
			if given++; given > cmp.Or(s.N, n) || !yield(item, nil) {
				return
			}
		}
	}
}

// kept leaves out what a study has no use for. Errors stay.
func kept[I any](items iter.Seq2[I, error], keep func(I) bool) iter.Seq2[I, error] {
	return func(yield func(I, error) bool) {
		for item, err := range items {
			if err == nil && keep != nil && !keep(item) {
				continue
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

// few draws N of the items where so many are asked for and keeps their order, so
// that what a study balances over its items is balanced over those that it asks.
func few[I any](s eval.Source, items iter.Seq2[I, error]) iter.Seq2[I, error] {
	if s.N <= 0 {
		return items
	}
	type at struct {
		place int
		item  I
	}
	return func(yield func(I, error) bool) {
		var pool []at
		n := 0
		for item, err := range items {
			if err != nil {
				yield(item, err)
				return
			}
			if n++; len(pool) < s.N {
				pool = append(pool, at{n, item})
			} else if k := s.Rand.IntN(n); k < s.N {
				pool[k] = at{n, item}
			}
		}
		slices.SortFunc(pool, func(a, b at) int { return a.place - b.place })
		for _, p := range pool {
			if !yield(p.item, nil) {
				return
			}
		}
	}
}

// on gives a trial of the question under a name.
func (q QA) on(s *eval.Session, name string) *monitor.Trial {
	question := q.question()
	form, _ := prompt.Select("auto", s.Model, question)
	return s.On(name, 0, question, form.Request(question))
}

func (q QA) question() monitor.Question {
	out := monitor.Question{Text: q.Question, Context: q.Context, Images: q.Images, Kind: q.Reads}
	keys := slices.Sorted(maps.Keys(q.Options))
	if n := len(keys); n > 0 {
		turn := (q.Turn%n + n) % n
		keys = slices.Concat(keys[turn:], keys[:turn])
	}
	for i, key := range keys {
		out.Kind = text.Letter
		out.Options = append(out.Options, text.Option{Letter: string(rune('A' + i)), Key: key, Text: q.Options[key]})
	}
	return out
}

// said is the key of the option that an answer is, or "".
func (q QA) said(a text.Answer) string {
	for _, o := range q.question().Options {
		if a.Status == text.Parsed && strings.EqualFold(o.Letter, a.Text) {
			return o.Key
		}
	}
	return ""
}

// grade says what an answer is. To decline an unanswerable question is right. An
// option is compared by its key, never by the letter that it was shown under.
func (q QA) grade(a text.Answer) text.Outcome {
	o := a.Status
	if o == text.Parsed {
		o = text.Wrong
		if key := q.said(a); key != "" {
			if slices.ContainsFunc(q.Answers, func(answer string) bool { return slices.Contains(q.keys(answer), key) }) {
				o = text.Right
			}
		} else if len(q.Options) == 0 {
			o = q.question().Task().Grade(a, q.Answers)
		}
	}
	switch {
	case !q.Unanswerable || o == text.Unparsed:
		return o
	case o == text.Refused:
		return text.Right
	}
	return o
}

// answer asks greedily and grades.
func (q QA) answer(ctx context.Context, s *eval.Session) (*monitor.Candidate, text.Outcome, error) {
	c, err := monitor.Get(ctx, q.on(s, "question"), monitor.Greedy{})
	if err != nil {
		return nil, 0, err
	}
	return c, q.grade(c.Answer), nil
}

// Related is a result whose item is related to those of the same cluster.
type Related struct {
	Group string `json:"cluster,omitempty"`
}

// Cluster implements [eval.Clustered].
func (r Related) Cluster() string { return r.Group }

// groupOf is a cluster's name for a text: what is long goes by its beginning and
// a sum of all of it.
func groupOf(words string) string {
	if words = strings.Join(strings.Fields(words), " "); len(words) <= 60 {
		return words
	}
	sum := sha256.Sum256([]byte(words))
	return text.Clip(words, 40) + " " + hex.EncodeToString(sum[:4])
}

// Answered is a result that is a graded answer.
type Answered struct {
	Related
	Grade text.Outcome `json:"grade"`
}

// Outcome implements [eval.Graded].
func (a Answered) Outcome() text.Outcome { return a.Grade }

// answered is the result of a question that is not asked yet.
func (q QA) answered() Answered { return Answered{Related: Related{q.Group}} }

// graded tells whether there is an answer that is right or wrong, and which.
func (a Answered) graded() (y float64, ok bool) {
	return one(a.Grade == text.Right), a.Grade == text.Right || a.Grade == text.Wrong
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// related gives items of equal cluster the same number; an item without a cluster
// stands for itself. Nil where no two items are related.
func related(of []string) []int {
	labels, seen, some := slices.Clone(of), map[string]bool{}, false
	for i, l := range labels {
		if l == "" {
			labels[i] = "\x00" + strconv.Itoa(i)
		}
		some = some || seen[labels[i]]
		seen[labels[i]] = true
	}
	if !some {
		return nil
	}
	return stats.Groups(labels)
}

// clustered measures a mean over items of which those of equal cluster are
// related.
func clustered(name string, x []float64, of []string, published ...eval.Published) eval.Measure {
	return grouped(name, x, related(of), published...)
}

// grouped does so where clusters are numbered; nil: no two items are related.
func grouped(name string, x []float64, cluster []int, published ...eval.Published) eval.Measure {
	if cluster == nil {
		return eval.Average(name, x, published...)
	}
	f, err := stats.Mean(x, cluster, eval.Level)
	if !slices.ContainsFunc(x, func(v float64) bool { return v != 0 && v != 1 }) {
		f, err = stats.WilsonClustered(x, cluster, eval.Level)
	}
	return eval.Of(name, f, err, published...)
}

// fixed seeds the resampling of measures: the same results, the same intervals.
func fixed() *rand.Rand { return rand.New(rand.NewPCG(1, 1)) }

// calibration measures probabilities against what came out, of items by cluster.
func calibration(prefix string, p, y []float64, of []string, published map[string][]eval.Published) []eval.Measure {
	s, err := stats.Summarise(fixed(), p, y, stats.Options{Cluster: related(of)})
	var out []eval.Measure
	for _, m := range []struct {
		name string
		f    stats.Figure
	}{
		{"accuracy of the answers", s.Accuracy}, {"ECE, 10 bins", s.ECE}, {"ECE that a perfect forecaster would show", s.ECEPerfect}, {"ECE, bins of equal mass", s.ECEMass},
		{"Brier score", s.Brier}, {"AUROC", s.AUROC}, {"log-loss skill over the base rate", s.Skill},
	} {
		out = append(out, eval.Of(prefix+m.name, m.f, err, published[m.name]...))
	}
	return out
}

// paired measures the mean of a − b over items.
func paired(name string, a, b []float64, published ...eval.Published) eval.Measure {
	return pairedIn(name, a, b, nil, published...)
}

// pairedIn does so over items of which those of equal cluster are related.
func pairedIn(name string, a, b []float64, of []string, published ...eval.Published) eval.Measure {
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
	}
	f, err := stats.Mean(d, related(of), eval.Level)
	return eval.Of(name, f, err, published...)
}

// signed measures the mean of differences. A t interval, also where all happen to
// be 0 or 1: they are no share.
func signed(name string, d []float64, published ...eval.Published) eval.Measure {
	f, err := stats.Mean(d, nil, eval.Level)
	if t, terr := stats.TTest(d, 0); err == nil && terr == nil { // none where nothing differs
		f.P = t.P
	}
	return eval.Of(name, f, err, published...)
}

// correlation measures a rank correlation with the interval of Fisher's
// transformation.
func correlation(name string, x, y []float64, published ...eval.Published) eval.Measure {
	r, err := stats.Spearman(x, y)
	if err != nil {
		return eval.Of(name, stats.Figure{N: len(x)}, err, published...)
	}
	f, err := stats.FisherZ(r, len(x), eval.Level)
	if err != nil {
		return eval.Value(name, r, len(x), "Spearman", err.Error(), published...)
	}
	f.Method = "Spearman, " + f.Method
	if t, err := stats.CorrelationTest(r, len(x)); err == nil {
		f.P = t.P
	}
	return eval.Of(name, f, nil, published...)
}

// percent reads a number from 0 to 100 in words; ok is false for anything else.
func percent(words string) (float64, bool) {
	c, err := text.ParseConfidence(words, text.PercentScale)
	return c.P, err == nil
}

// number reads the only whole number of a reply, or its last one on a line by
// itself.
func number(reply string) (int, bool) {
	a := text.Task{Kind: text.Number}.Extract(text.Sanitise(reply))
	if a.Status != text.Parsed || a.Value == nil || !a.Value.IsInt() {
		return 0, false
	}
	n, err := strconv.Atoi(a.Value.Num().String())
	return n, err == nil
}
