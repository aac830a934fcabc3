package studies

import (
	"context"
	"errors"
	"iter"

	"gnothi/control"
	"gnothi/eval"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// SelfReflectResult is, by way of summing up, how much less the summary tells of
// a model's answers than the answers themselves: 0 is no less, 2 the most there
// is.
type SelfReflectResult struct {
	Related
	W map[string]float64 `json:"w"`
	// Same is how many of the answers that are tested with are the greedy one.
	Same  int               `json:"same"`
	Tests int               `json:"tests"`
	Says  map[string]string `json:"says"` // the summaries
}

const (
	reflectGreedy  = "greedy answer"
	reflectAsked   = "asked for all answers"
	reflectSampled = "sample and summarise"
)

const (
	reflectAnswers = 5   // to sum up, and as many to test with; the paper has 50
	reflectTop     = 100 // tokens whose probabilities are compared; the rest count as one
)

var nameAll = prompt.Template{Name: "all-answers", Version: 1, Text: "{question}\nGive every answer that you hold possible in one short sentence, with words for how likely each is."}

// SelfReflect is the study selfreflect (Kirchhof et al. 2025): how faithfully does
// one sentence state the whole distribution of a model's answers? Ways: the greedy
// answer, being asked for all answers and their likelihood, and summing up
// samples. Measure: [control.Faithfulness], by the judge (--judge) or by the model
// itself, which must score given text. Published: asked for it a model does no
// better than its greedy answer, and summing up samples is faithful. Chosen: 5
// answers and 5 to test with (the paper: 50 and 50), the 100 most probable tokens,
// which makes W a lower bound, and a fixed list of stop words.
func SelfReflect() eval.Suite {
	return eval.Study[QA, SelfReflectResult]{
		Name:  "selfreflect",
		About: "how faithfully a summary states the spread of a model's own answers",
		Needs: "distribution",
		Items: func(s eval.Source) iter.Seq2[QA, error] {
			return few(s, qaSource(s, 40, func(q QA) bool { return !q.Unanswerable && len(q.Options) == 0 }))
		},
		Ask: askSelfReflect, Measure: measureSelfReflect,
	}
}

func askSelfReflect(ctx context.Context, s *eval.Session, q QA) (SelfReflectResult, error) {
	r := SelfReflectResult{Related: Related{q.Group}, W: map[string]float64{}, Says: map[string]string{}}
	scorer := s.Judge.Model
	if !scorer.Can(llm.ScoreText) {
		return r, errors.New("the model that measures cannot score given text: name one that can with --judge, such as a local one")
	}
	res, err := control.Summarise(reflectAnswers).Run(ctx, q.on(s, "summary"))
	if err == nil {
		err = cutShort(res)
	}
	if err != nil {
		return r, err
	}
	var given, tests []string
	for _, c := range res.Pool[:min(reflectAnswers, len(res.Pool))] {
		given = append(given, words(c))
	}
	if len(res.Trace) > 0 {
		r.Says[reflectSampled] = text.SanitiseLine(res.Trace[0].After.Text)
	}
	greedy, err := monitor.Get(ctx, q.on(s, "question"), monitor.Greedy{})
	if err != nil {
		return r, err
	}
	r.Says[reflectGreedy] = words(greedy)
	reply, err := s.Aside(ctx, monitor.Aside{Role: "answer", Text: nameAll.Fill("question", q.Question), MaxTokens: 64})
	if err != nil {
		return r, err
	}
	r.Says[reflectAsked] = text.SanitiseLine(reply.Text)
	fresh, err := q.on(s, "tests").Samples(ctx, monitor.Sampling{Temperature: 1}, reflectAnswers)
	if err != nil {
		return r, err
	}
	for _, c := range fresh {
		if w := words(c); w != "" {
			tests = append(tests, w)
			r.Tests, r.Same = r.Tests+1, r.Same+int(one(c.Key != "" && c.Key == greedy.Key))
		}
	}
	if len(tests) == 0 || len(given) == 0 {
		return r, unparsed("answer", "")
	}
	ctx = llm.WithLedger(ctx, s.Ledger)
	for _, way := range []string{reflectGreedy, reflectAsked, reflectSampled} {
		if r.Says[way] == "" {
			continue // counted as missing
		}
		w, err := control.Faithfulness(ctx, scorer, q.Question, r.Says[way], given, tests, reflectTop)
		if err != nil {
			return r, err
		}
		r.W[way] = short(w)
	}
	return r, nil
}

// words are an answer's, or all of a reply's where none was read.
func words(c *monitor.Candidate) string {
	if c.Answer.Status == text.Parsed {
		return text.SanitiseLine(c.Answer.Text)
	}
	return text.SanitiseLine(c.Text)
}

func measureSelfReflect(rs []SelfReflectResult) []eval.Measure {
	var out []eval.Measure
	for _, way := range []string{reflectGreedy, reflectAsked, reflectSampled} {
		var w []float64
		var of []string
		for _, r := range rs {
			if v, ok := r.W[way]; ok {
				w, of = append(w, v), append(of, r.Group)
			}
		}
		out = append(out, clustered(way+": W, 0 is faithful", w, of), eval.Share(way+": says nothing", len(rs)-len(w), len(rs)))
	}
	for _, way := range []string{reflectAsked, reflectSampled} {
		var a, b []float64
		var of []string
		for _, r := range rs {
			v, ok := r.W[way]
			w, also := r.W[reflectGreedy]
			if ok && also {
				a, b, of = append(a, v), append(b, w), append(of, r.Group)
			}
		}
		out = append(out, pairedIn(way+" less "+reflectGreedy+", W", a, b, of))
	}
	same, tests := 0, 0
	for _, r := range rs {
		same, tests = same+r.Same, tests+r.Tests
	}
	return append(out, eval.Share("samples that are the greedy answer", same, tests))
}
