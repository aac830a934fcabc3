package studies

import (
	"context"
	"iter"

	"gnothi/control"
	"gnothi/eval"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
)

// Looks are the ways in which a question was answered, by name.
type Looks struct {
	Related
	Looks map[string]Look `json:"looks"`
}

// secondLooks are prompts for a second answer, from the one that asks for most
// confidence to the one that asks for most critique.
var secondLooks = []struct {
	name string
	ask  prompt.Template
}{
	{"keep", prompt.Template{Name: "second-keep", Version: 1, Text: "Question: {question}\nYour earlier answer: {answer}\nKeep it unless you are certain that it is wrong. Then end with one line that says \"Answer:\" and only the answer."}},
	{"if sure", prompt.Template{Name: "second-if-sure", Version: 1, Text: "Question: {question}\nYour earlier answer: {answer}\nIf you are very confident that it is right, keep it; otherwise update it. Then end with one line that says \"Answer:\" and only the answer."}},
	{"again", prompt.Template{Name: "second-again", Version: 1, Text: "Question: {question}\nYour earlier answer: {answer}\nAnswer the question again. Then end with one line that says \"Answer:\" and only the answer."}},
	{"find the problem", prompt.Template{Name: "second-find", Version: 1, Text: "Question: {question}\nYour earlier answer: {answer}\nFind the problem in the earlier answer and correct it. Then end with one line that says \"Answer:\" and only the answer."}},
	{"it is wrong", prompt.Template{Name: "second-wrong", Version: 1, Text: "Question: {question}\nYour earlier answer: {answer}\nThat answer is wrong. Give the right one. Then end with one line that says \"Answer:\" and only the answer."}},
}

// anotherSample is the control of every second look: the question again, from
// the beginning, with nothing said of the first answer.
const anotherSample = "another sample"

// ConfidenceVsCritique is the study confidence-vs-critique (Yang et al. 2025):
// what a second answer does splits into keeping right answers (confidence level
// CL) and mending wrong ones (critique score CS), Acc2 = Acc1·CL + (1−Acc1)·CS,
// and prompts trade one for the other. It asks for a second answer under five
// prompts and reports both, the relative score RSS, and which prompts lie on the
// frontier: no other keeps and mends more. The control is another sample.
// Published: the trade-off, and that training on mixed data moves the frontier;
// training is not done here. Chosen: the five prompts.
func ConfidenceVsCritique() eval.Suite {
	return eval.Study[QA, Looks]{
		Name:  "confidence-vs-critique",
		About: "right answers kept and wrong ones mended by a second answer, under five prompts",
		Needs: "text",
		Items: func(s eval.Source) iter.Seq2[QA, error] { return qaItems(s, 100, answerable) },
		Ask:   askCritique,
		Measure: func(rs []Looks) []eval.Measure {
			var names []string
			for _, l := range secondLooks {
				names = append(names, l.name)
			}
			all := arms(append(names, anotherSample), looksOf(rs))
			var out []eval.Measure
			for _, a := range all {
				out = append(out, a.corrected(nil)...)
			}
			for i, a := range all[:len(names)] {
				on := 1.0
				for j, b := range all[:len(names)] {
					if i != j && b.dominates(a) {
						on = 0
					}
				}
				out = append(out, eval.Value(a.name+": on the frontier of keeping and mending", on, len(a.looks), "1: no other prompt keeps and mends more", "a comparison of points, not of intervals"))
			}
			return out
		},
	}
}

func looksOf(rs []Looks) []map[string]Look {
	out := make([]map[string]Look, len(rs))
	for i, r := range rs {
		out[i] = r.Looks
	}
	return out
}

func askCritique(ctx context.Context, s *eval.Session, q QA) (Looks, error) {
	r := Looks{Related{q.Group}, map[string]Look{}}
	t := q.trial(s, "question")
	first, err := monitor.Get(ctx, t, monitor.Greedy{})
	if err != nil {
		return r, err
	}
	for i, l := range secondLooks {
		before := t.Ledger.Spent().Tokens()
		reply, err := t.Aside(ctx, monitor.Aside{Role: "rewrite", Index: i, Text: l.ask.Fill("question", t.Question.Text, "answer", first.Text), MaxTokens: 160})
		if err != nil {
			return r, err
		}
		second := t.Candidate(reply, monitor.FromRevision, first)
		r.Looks[l.name] = Look{
			Before: q.grade(first.Answer), After: q.grade(second.Answer),
			Changed: second.Key != "" && second.Key != first.Key, Tokens: t.Ledger.Spent().Tokens() - before,
		}
	}
	l, _, err := q.look(ctx, s, anotherSample, control.Retry(nil, 1))
	r.Looks[anotherSample] = l
	return r, err
}

// dominates tells whether a keeps and mends at least as much as b, and one of the
// two more.
func (a arm) dominates(b arm) bool {
	ka, ma := a.kept()
	kb, mb := b.kept()
	return ka >= kb && ma >= mb && (ka > kb || ma > mb)
}

// kept gives the shares of right answers kept and of wrong ones mended, 0 where
// there are none.
func (a arm) kept() (keep, mend float64) {
	n := map[[2]bool]float64{}
	for _, l := range a.looks {
		if before, after, ok := l.pair(); ok {
			n[[2]bool{before, after}]++
		}
	}
	part := func(x, y float64) float64 { return x / max(1, x+y) }
	return part(n[[2]bool{true, true}], n[[2]bool{true, false}]), part(n[[2]bool{false, true}], n[[2]bool{false, false}])
}

// toxic and invalid are self-contrast's words: right that became wrong, of the
// right ones; wrong that stayed wrong, of the wrong ones.
func (a arm) toxic() []eval.Measure {
	var right, wrong, spoilt, stayed int
	for _, l := range a.looks {
		before, after, ok := l.pair()
		switch {
		case !ok:
		case before:
			right, spoilt = right+1, spoilt+int(one(!after))
		default:
			wrong, stayed = wrong+1, stayed+int(one(!after))
		}
	}
	return []eval.Measure{
		eval.Share(a.name+": toxic, right that became wrong", spoilt, right),
		eval.Share(a.name+": invalid, wrong that stayed wrong", stayed, wrong),
	}
}
