package studies

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"

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
	Question     string            `json:"question"`
	Answers      []string          `json:"answers"`
	Options      map[string]string `json:"options,omitempty"`
	Kind         string            `json:"kind,omitempty"`
	Level        int               `json:"level,omitempty"` // of difficulty; 0: not known
	Unanswerable bool              `json:"unanswerable,omitempty"`
	Disputed     bool              `json:"disputed,omitempty"` // experts disagree about it
	// Turn is by how many places the options, in the order of their keys, are turned:
	// a study that shows options turns them from item to item.
	Turn int `json:"turn,omitempty"`
}

// qaItems reads the user's questions, or draws n of gnothi's own (s.N if that is
// set), those which no calibrator was fitted on.
func qaItems(s eval.Source, n int, keep func(QA) bool) ([]QA, error) {
	own := questions.Split(questions.Apart)
	var sample []QA
	for _, i := range s.Rand.Perm(len(own)) {
		q := own[i]
		item := QA{ID: q.ID, Question: q.Question, Answers: q.Answers, Kind: q.Kind, Level: q.Level, Unanswerable: q.Unanswerable}
		if len(sample) < cmp.Or(s.N, n) && (keep == nil || keep(item)) {
			sample = append(sample, item)
		}
	}
	items, err := eval.Lines(s, "questions.jsonl", sample)
	for i, q := range items {
		if err == nil && (q.Question == "" || len(q.Answers) == 0 && !q.Unanswerable) {
			err = fmt.Errorf("questions.jsonl: question %d: want a question and its answers", i+1)
		}
	}
	return items, err
}

// on gives a trial of the question under a name.
func (q QA) on(s *eval.Session, name string) *monitor.Trial {
	question := q.question()
	form, _ := prompt.Select("auto", s.Model, question)
	return s.On(name, 0, question, form.Request(question))
}

func (q QA) question() monitor.Question {
	out := monitor.Question{Text: q.Question}
	keys := slices.Sorted(maps.Keys(q.Options))
	if n := len(keys); n > 0 {
		turn := (q.Turn%n + n) % n
		keys = append(keys[turn:], keys[:turn]...)
	}
	for i, key := range keys {
		out.Kind = text.Letter
		out.Options = append(out.Options, text.Option{Letter: string(rune('A' + i)), Key: key, Text: q.Options[key]})
	}
	return out
}

// grade says what an answer is. To decline an unanswerable question is right.
func (q QA) grade(a text.Answer) text.Outcome {
	if q.Unanswerable {
		switch a.Status {
		case text.Refused:
			return text.Right
		case text.Parsed:
			if q.question().Task().Grade(a, q.Answers) != text.Right {
				return text.Wrong
			}
			return text.Right
		}
		return text.Unparsed
	}
	return q.question().Task().Grade(a, q.Answers)
}

// answer asks greedily and grades.
func (q QA) answer(ctx context.Context, s *eval.Session) (*monitor.Candidate, text.Outcome, error) {
	c, err := monitor.Get(ctx, q.on(s, "question"), monitor.Greedy{})
	if err != nil {
		return nil, 0, err
	}
	return c, q.grade(c.Answer), nil
}

// Answered is a result that is a graded answer.
type Answered struct {
	Grade text.Outcome `json:"grade"`
}

// Outcome implements [eval.Graded].
func (a Answered) Outcome() text.Outcome { return a.Grade }

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

// fixed seeds the resampling of measures: the same results, the same intervals.
func fixed() *rand.Rand { return rand.New(rand.NewPCG(1, 1)) }

// calibration measures probabilities against what came out.
func calibration(prefix string, p, y []float64, published map[string][]eval.Published) []eval.Measure {
	s, err := stats.Summarise(fixed(), p, y, stats.Options{})
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
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
	}
	return signed(name, d, published...)
}

// signed measures the mean of differences. A t interval, also where all happen to
// be 0 or 1: they are no share.
func signed(name string, d []float64, published ...eval.Published) eval.Measure {
	f, err := stats.Mean(d, nil, eval.Level)
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
