package studies

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"

	"gnothi/eval"
	"gnothi/eval/questions"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/stats"
	"gnothi/text"
)

// ICFResult is a distribution over the options of a question.
type ICFResult struct {
	Related
	P        []float64 `json:"p"`     // by option in the order of their keys, summing to 1; null: could not be read
	Right    int       `json:"right"` // index of the right option, in that order
	Disputed bool      `json:"disputed,omitempty"`
	// Refused: the reply declines.
	Refused bool `json:"refused,omitempty"`
}

// Outcome implements [eval.Graded].
func (r ICFResult) Outcome() text.Outcome {
	switch {
	case r.Refused:
		return text.Refused
	case r.P == nil:
		return text.Unparsed
	case r.choice() == r.Right:
		return text.Right
	}
	return text.Wrong
}

// Confidences is what the chosen option got.
func (r ICFResult) Confidences() map[string]float64 {
	if r.P == nil {
		return nil
	}
	return map[string]float64{"stated": r.P[r.choice()]}
}

// Choice is of a question with two options.
func (r ICFResult) Choice() (stimulus, response int, ok bool) {
	if len(r.P) != 2 {
		return 0, 0, false
	}
	return r.Right, r.choice(), true
}

// choice is the option with most probability, of equals the first.
func (r ICFResult) choice() int { return slices.Index(r.P, slices.Max(r.P)) }

var distribution = prompt.Template{Name: "distribution-over-options", Version: 1, Text: "{question}\n{options}For each option say how likely it is to be the right one, in per cent; together they make 100. Reply with one line for each option and nothing else, for example:\n{example}"}

// ICFExam is the study icf-exam-metacognition (of an examination of coaches in
// which every option is given a probability): sensitivity, accuracy and bias of
// the probabilities. The examination is not public, so any multiple-choice
// questions serve; without the user's own, statements to be called true or false.
// Followed: percentages over all options, normalised. Meta-d′ needs a decision
// between two alternatives, so it is of the questions with two options alone, with
// confidence in four steps; the type-2 AUROC is of all.
func ICFExam() eval.Suite {
	return eval.Study[QA, ICFResult]{
		Name:  "icf-exam-metacognition",
		About: "spreads 100 % over the options of each question: sensitivity, accuracy and bias",
		Needs: "text",
		Items: func(s eval.Source) iter.Seq2[QA, error] {
			return turned(s, few(s, asked(qaSource(s, 200, func(q QA) bool {
				return !q.Unanswerable && (len(q.Options) > 0 || q.Kind == questions.YesNo || q.Reads == text.Bool)
			}))))
		},
		Ask:     askICF,
		Measure: measureICF,
	}
}

// asked gives questions without options those that a yes-or-no question has.
func asked(items iter.Seq2[QA, error]) iter.Seq2[QA, error] {
	return func(yield func(QA, error) bool) {
		for q, err := range items {
			if err == nil && len(q.Options) == 0 {
				right, _ := text.ReadBool(q.Answers[0])
				q.Options, q.Answers, q.Reads = map[string]string{"no": "No", "yes": "Yes"}, []string{yesNo(right)}, text.Free
			}
			if !yield(q, err) {
				return
			}
		}
	}
}

func askICF(ctx context.Context, s *eval.Session, q QA) (ICFResult, error) {
	question := q.question()
	r := ICFResult{Related: Related{q.Group}, Right: -1, Disputed: q.Disputed}
	keys := slices.Sorted(maps.Keys(q.Options))
	for _, o := range question.Options {
		a := text.Answer{Kind: text.Letter, Text: o.Letter, Status: text.Parsed}
		if question.Task().Grade(a, q.Answers) == text.Right {
			r.Right = slices.Index(keys, o.Key)
		}
	}
	if r.Right < 0 {
		return r, errors.New("no option is among the accepted answers")
	}
	options, example := "", ""
	for _, o := range question.Options {
		options += o.Letter + ") " + prompt.Quote(o.Text) + "\n"
		example += o.Letter + ": 0\n"
	}
	ask := fill(distribution, []string{"question", q.Question}, "options", options, "example", example)
	reply, err := say(ctx, s.Trial, monitor.Aside{Role: "answer", Text: ask, MaxTokens: 16 * len(question.Options)})
	if errors.Is(err, eval.ErrRefused) {
		r.Refused = true
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if shown := spread(reply, question.Options); shown != nil {
		r.P = make([]float64, len(keys))
		for i, o := range question.Options {
			r.P[slices.Index(keys, o.Key)] = shown[i]
		}
	}
	return r, nil
}

// spread reads a percentage for every option and normalises them; nil if one is
// missing, if there is one below 0 or above 100, or if all are 0.
func spread(reply string, options []text.Option) []float64 {
	p, sum := make([]float64, len(options)), 0.0
	for i, o := range options {
		words, ok := field(reply, o.Letter)
		if !ok {
			if words, ok = field(reply, o.Letter+")"); !ok {
				return nil
			}
		}
		v, ok := percent(words)
		if !ok {
			return nil
		}
		p[i], sum = v, sum+v
	}
	if sum == 0 {
		return nil
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// ratings is how many steps confidence has for meta-d′.
const ratings = 4

func measureICF(rs []ICFResult) []eval.Measure {
	var p [][]float64
	var right []int
	var confidence, y, disputed []float64
	s1, s2 := make([]int, 2*ratings), make([]int, 2*ratings)
	two := 0
	for _, r := range rs {
		if r.P == nil {
			continue
		}
		p, right = append(p, r.P), append(right, r.Right)
		top, correct := r.P[r.choice()], one(r.choice() == r.Right)
		confidence, y = append(confidence, top), append(y, correct)
		if r.Disputed {
			disputed = append(disputed, correct)
		}
		if len(r.P) == 2 && r.Right < 2 {
			two++
			step := min(ratings-1, int((top-0.5)*2*ratings)) // 0: least sure
			at := ratings - 1 - step
			if r.choice() == 1 {
				at = ratings + step
			}
			[][]int{s1, s2}[r.Right][at]++
		}
	}
	brier, err := stats.BrierOptions(p, right)
	out := []eval.Measure{eval.Average("accuracy", y)}
	if err != nil {
		out = append(out, eval.Of("Brier score over the options", stats.Figure{}, err))
	} else {
		out = append(out, eval.Value("Brier score over the options", brier, len(p), "multi-class", "a mean; see the other figures for intervals"))
	}
	auroc, err := stats.Bootstrap{}.AUROC(fixed(), confidence, y)
	out = append(out, eval.Of("sensitivity: type-2 AUROC", auroc, err), eval.Average("mean confidence", confidence), paired("bias: confidence less accuracy", confidence, y))
	if len(disputed) > 0 {
		out = append(out, eval.Average("accuracy where experts disagree", disputed))
	}
	for _, v := range []struct {
		name string
		of   func(stats.Metacognition) float64
	}{
		{"d′", func(m stats.Metacognition) float64 { return m.DPrime }}, {"meta-d′", func(m stats.Metacognition) float64 { return m.MetaD }},
		{"M-ratio", func(m stats.Metacognition) float64 { return m.MRatio }},
	} {
		f, err := stats.Bootstrap{Resamples: 300}.MetaD(fixed(), s1, s2, 1/(2.0*ratings), v.of)
		f.N = two
		out = append(out, eval.Of(v.name, f, err))
	}
	return out
}
