package studies

import (
	"context"
	"iter"

	"gnothi/eval"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// ThinkingResult is an answer with the confidence stated beside it.
type ThinkingResult struct {
	Answered
	Level      int      `json:"level"`
	MayDecline bool     `json:"may_decline"`
	Confidence *float64 `json:"confidence"` // in [0,1]; null: none could be read
	Tokens     int64    `json:"tokens"`     // written for it, reasoning included
}

// Confidences is the stated one.
func (r ThinkingResult) Confidences() map[string]float64 {
	out := map[string]float64{}
	put(out, "stated", r.Confidence)
	return out
}

// thinkingItem is a question in one of the two arms.
type thinkingItem struct {
	QA
	MayDecline bool `json:"may_decline"`
}

var (
	statePlain   = prompt.Template{Name: "answer-with-confidence", Version: 1, Text: "{question}\n{options}Think as much as you need. Then end with these two lines:\nAnswer: your answer, as short as it can be\nConfidence: how sure you are that it is right, a number from 0 to 100"}
	stateDecline = prompt.Template{Name: "answer-or-decline-with-confidence", Version: 1, Text: "{question}\n{options}Think as much as you need. If you do not know, answer \"I don't know\". End with these two lines:\nAnswer: your answer, as short as it can be\nConfidence: how sure you are that it is right, a number from 0 to 100"}
)

// ThinkingOutLoud is the study thinking-out-loud-lrm-calibration (Zeng et al.
// 2025): are the confidences that a model states beside its answers calibrated,
// how often does it say that it does not know, and is it surer where it thought
// less. Followed: answer and confidence from 0 to 100 in fixed lines, an arm in
// which it may decline, ECE with bins of equal width and of equal mass, Brier
// score, AUROC, rank correlation of confidence and tokens within right and within
// wrong answers. Chosen: the wording, every other question in the arm that may
// decline, and tokens from the account, so that hidden reasoning counts too. To
// compare a reasoning model with its base, run it on both.
func ThinkingOutLoud() eval.Suite {
	return eval.Study[thinkingItem, ThinkingResult]{
		Name:  "thinking-out-loud-lrm-calibration",
		About: "states a confidence beside each answer, and may say that it does not know",
		Needs: "text",
		Items: func(s eval.Source) iter.Seq2[thinkingItem, error] {
			return func(yield func(thinkingItem, error) bool) {
				// Each arm has its own turns, so that both are balanced.
				plain, may, i := places{rng: s.Rand}, places{rng: s.Rand}, 0
				for q, err := range few(s, qaSource(s, 200, answerable)) {
					item := thinkingItem{q, i%2 == 1}
					next := &plain
					if item.MayDecline {
						next = &may
					}
					if i++; err == nil {
						item.Turn = next.of(q)
					}
					if !yield(item, err) {
						return
					}
				}
			}
		},
		Ask:     askThinking,
		Measure: measureThinking,
	}
}

func askThinking(ctx context.Context, s *eval.Session, item thinkingItem) (ThinkingResult, error) {
	r := ThinkingResult{Answered: item.answered(), Level: item.Level, MayDecline: item.MayDecline}
	template := statePlain
	if item.MayDecline {
		template = stateDecline
	}
	reply, err := s.Aside(ctx, monitor.Aside{Role: "answer", Text: withOptions(template, item.QA), MaxTokens: 4096})
	if err != nil {
		return r, err
	}
	r.Tokens = s.Ledger.Spent().CompletionTokens
	clean := text.Sanitise(reply.Text)
	words, ok := field(clean, "Answer")
	if !ok {
		words = clean
	}
	r.Grade = item.grade(item.question().Task().Extract(words))
	if words, ok := field(clean, "Confidence"); ok {
		if p, ok := percent(words); ok {
			r.Confidence = &p
		}
	}
	return r, nil
}

// withOptions fills a template with a question and its options, if it has any.
func withOptions(t prompt.Template, q QA) string {
	question := q.question()
	options := ""
	for _, o := range question.Options {
		options += o.Letter + ") " + prompt.Quote(o.Text) + "\n"
	}
	if options != "" {
		options += "Answer with the letter of one of them.\n"
	}
	return fill(t, []string{"question", q.Question}, "options", options)
}

func measureThinking(rs []ThinkingResult) []eval.Measure {
	var p, y, length, lengthRight, pRight, lengthWrong, pWrong []float64
	var of []string
	declined, may, stated := 0, 0, 0
	for _, r := range rs {
		if r.MayDecline {
			may++
			if r.Grade == text.Refused {
				declined++
			}
		}
		if r.Confidence != nil {
			stated++
		}
		right, ok := r.graded()
		if !ok || r.Confidence == nil {
			continue
		}
		p, y, of, length = append(p, *r.Confidence), append(y, right), append(of, r.Group), append(length, float64(r.Tokens))
		if right == 1 {
			pRight, lengthRight = append(pRight, *r.Confidence), append(lengthRight, float64(r.Tokens))
		} else {
			pWrong, lengthWrong = append(pWrong, *r.Confidence), append(lengthWrong, float64(r.Tokens))
		}
	}
	out := []eval.Measure{eval.Share("states a confidence that can be read", stated, len(rs)), eval.Average("mean confidence", p), paired("over-confidence: confidence less accuracy", p, y)}
	out = append(out, calibration("", p, y, of, nil)...)
	right, attempted := 0, 0
	for _, r := range rs {
		if _, ok := r.graded(); ok && r.MayDecline {
			attempted++
			if r.Grade == text.Right {
				right++
			}
		}
	}
	return append(out,
		eval.Share("may decline: says it does not know", declined, may), eval.Share("may decline: accuracy of what it attempts", right, attempted),
		correlation("confidence and tokens, right answers", pRight, lengthRight), correlation("confidence and tokens, wrong answers", pWrong, lengthWrong),
		correlation("confidence and tokens, all answers", p, length))
}
