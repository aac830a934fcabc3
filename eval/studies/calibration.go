package studies

import (
	"context"
	"errors"
	"iter"

	"gnothi/eval"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/likelihood"
	"gnothi/monitor/prompt"
	"gnothi/monitor/verbal"
	"gnothi/stats"
	"gnothi/text"
)

// SureResult is an answer with four probabilities that it is right, each in
// [0,1]; null: there is none, or none could be read.
type SureResult struct {
	Answered
	LogProb *float64 `json:"logprob"` // of all tokens of the answer
	Stated  *float64 `json:"stated"`  // in words, after the answer
	True    *float64 `json:"p_true"`  // asked back whether the answer is right, both orders
	Knows   *float64 `json:"p_ik"`    // asked before the answer whether it knows, both orders
	// Forced: how many of the four replies to yes-no questions were neither, so that
	// the probabilities of the two words were read instead.
	Forced int `json:"forced,omitempty"`
}

var (
	knowsIt = prompt.Template{Name: "knows-it", Version: 1, Text: "Question: {question}\nDo not answer it yet. Do you know the answer? Reply {order}."}
	isRight = prompt.Template{Name: "is-right", Version: 1, Text: "Question: {question}\nProposed answer: {answer}\nIs the proposed answer right? Reply {order}."}
)

// Calibration asks a question once and reads four confidences off the same
// answer, so that they can be compared: the probability of its tokens, what the
// model states in words (confidence-competence-gap,
// thinking-out-loud-lrm-calibration), P(True) and P(IK) (p-true-p-ik). Yes and No
// are shown in both orders and averaged. It is the cheap study of the four; the
// papers' own are under their names. Chosen: the wording, and that the two
// probabilities are of the words Yes and No, forced where a model that scores
// given text says neither.
func Calibration() eval.Suite {
	return eval.Study[QA, SureResult]{
		Name:  "calibration",
		About: "four confidences in the same answer: its tokens', stated, asked back, asked before",
		Needs: "text",
		Items: func(s eval.Source) iter.Seq2[QA, error] { return qaItems(s, 100, answerable) },
		Ask:   askSure, Measure: measureSure,
	}
}

func askSure(ctx context.Context, s *eval.Session, q QA) (SureResult, error) {
	r := SureResult{Answered: Answered{Related: Related{q.Group}}}
	shown := q.trial(s, "question").Question.Text
	var err error
	if r.Knows, err = r.bothOrders(ctx, s, "knows", knowsIt, "question", shown); err != nil {
		return r, err
	}
	t := q.on(s, "question")
	t.Request.LogProbs = s.Model.Can(llm.LogProbs)
	c, err := monitor.Get(ctx, t, monitor.Greedy{})
	if err != nil {
		return r, err
	}
	r.Grade = q.grade(c.Answer)
	if c.Answer.Status != text.Parsed {
		return r, nil // nothing to be sure of
	}
	reading, err := monitor.ScoreOne(ctx, likelihood.SequenceLogProb(), t, c)
	switch {
	case err == nil:
		r.LogProb = &reading.Score
	case !errors.Is(err, monitor.ErrMissing):
		return r, err
	}
	if r.True, err = r.bothOrders(ctx, s, "right", isRight, "question", shown, "answer", c.Answer.Text); err != nil {
		return r, err
	}
	p, err := monitor.Get(ctx, t, verbal.Confidence{Candidate: c})
	switch {
	case err == nil:
		r.Stated = &p
	case !errors.Is(err, text.ErrNoConfidence):
		return r, err
	}
	return r, nil
}

// bothOrders is the probability of yes, averaged over both orders of the words;
// nil where one of them could not be read.
func (r *SureResult) bothOrders(ctx context.Context, s *eval.Session, role string, ask prompt.Template, data ...string) (*float64, error) {
	mean := 0.0
	for i, order := range []string{"Yes or No", "No or Yes"} {
		words := fill(ask, data, "order", order)
		reply, err := s.Aside(ctx, monitor.Aside{Role: role, Index: i, Text: words, MaxTokens: 4, TopLogProbs: 20})
		if err != nil {
			return nil, err
		}
		p := yesShare(reply.Tokens, reply.Text)
		if p == nil && s.Model.Can(llm.ScoreText) {
			r.Forced++
			if p, err = forcedYes(ctx, s, role, words); err != nil {
				return nil, err
			}
		}
		if p == nil {
			return nil, nil
		}
		mean += *p / 2
	}
	return &mean, nil
}

// forcedYes compares how likely a reply is to begin with yes and with no.
func forcedYes(ctx context.Context, s *eval.Session, role, words string) (*float64, error) {
	var l [2]float64
	for i, word := range []string{"Yes", "No"} {
		var err error
		if l[i], err = s.Likelihood(ctx, role, words, "Answer:", word); err != nil {
			return nil, err
		}
	}
	p := stats.Sigmoid(l[0] - l[1])
	return &p, nil
}

// Confidences are the four by name.
func (r SureResult) Confidences() map[string]float64 {
	out := map[string]float64{}
	for _, k := range sureKinds {
		if p := k.of(r); p != nil {
			out[k.name] = *p
		}
	}
	return out
}

var sureKinds = []struct {
	name string
	of   func(SureResult) *float64
}{
	{"log-probabilities", func(r SureResult) *float64 { return r.LogProb }},
	{"stated", func(r SureResult) *float64 { return r.Stated }},
	{"P(True)", func(r SureResult) *float64 { return r.True }},
	{"P(IK)", func(r SureResult) *float64 { return r.Knows }},
}

func measureSure(rs []SureResult) []eval.Measure {
	var all []float64
	forced := 0
	for _, r := range rs {
		if y, ok := r.graded(); ok {
			all = append(all, y)
		}
		forced += r.Forced
	}
	out := []eval.Measure{eval.Average("accuracy", all)}
	for _, k := range sureKinds {
		var p, y []float64
		for _, r := range rs {
			if right, ok := r.graded(); ok && k.of(r) != nil {
				p, y = append(p, *k.of(r)), append(y, right)
			}
		}
		if len(p) > 0 { // what else there is to say of confidences, every report says
			out = append(out, eval.Average(k.name+": mean", p), paired(k.name+": over-confidence, mean less accuracy", p, y))
		}
	}
	return append(out, eval.Value("yes-no replies that were neither, forced", float64(forced), len(rs), "a count", "a count"))
}
