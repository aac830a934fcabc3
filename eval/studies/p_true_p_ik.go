package studies

import (
	"context"
	"errors"
	"iter"

	"gnothi/eval"
	"gnothi/monitor"
	"gnothi/monitor/verbal"
	"gnothi/stats"
	"gnothi/text"
)

// KnowsCandidate is a proposed answer with P(True).
type KnowsCandidate struct {
	Right  bool     `json:"right"`
	Alone  *float64 `json:"alone"`  // P(True) without samples; null: neither A nor B in its replies
	Beside *float64 `json:"beside"` // after five samples of the model's own
}

// KnowsResult is a question with what the model says that it knows of it.
type KnowsResult struct {
	Answered                   // the greedy answer
	Kind      string           `json:"kind"`
	Share     *float64         `json:"share"`       // of the samples that are right; null: none could be graded
	KnowsIt   *float64         `json:"p_ik"`        // P(IK) before any answer; null: neither yes nor no in its replies
	KnowsHint *float64         `json:"p_ik_hinted"` // with a source that holds the answer
	Proposed  []KnowsCandidate `json:"proposed"`
}

// Confidences are P(True) of the greedy answer and P(IK) before it.
func (r KnowsResult) Confidences() map[string]float64 {
	out := map[string]float64{}
	if _, ok := r.graded(); ok && len(r.Proposed) > 0 { // the first proposed is the greedy one
		put(out, "P(True)", r.Proposed[0].Alone)
		put(out, "P(True) after own samples", r.Proposed[0].Beside)
	}
	put(out, "P(IK)", r.KnowsIt)
	return out
}

// put enters a confidence that there is.
func put(to map[string]float64, name string, p *float64) {
	if p != nil {
		to[name] = *p
	}
}

// KnowWhatTheyKnow is the study p-true-p-ik (Kadavath et al. 2022): is P(True) of
// a model's own answers calibrated and better where it sees five of its own samples
// first, and does P(IK), asked before any answer, foretell how often it is right
// and rise when a source with the answer is put before the question? Followed: the
// options (A) True and (B) False, here in both orders. Chosen: P(IK) is asked for
// in words (verbal/can-i), since the paper's is a trained head: probe/p-ik reads it
// from the hidden state of a model that gives one; and the proposed answers are the
// greedy one and one sample that differs from it.
func KnowWhatTheyKnow() eval.Suite {
	return eval.Study[QA, KnowsResult]{
		Name:  "p-true-p-ik",
		About: "is its own answer true, with and without own samples; does it know, with and without a hint",
		Needs: "text",
		Items: func(s eval.Source) iter.Seq2[QA, error] {
			return qaItems(s, 200, func(q QA) bool { return !q.Unanswerable })
		},
		Ask:     askKnows,
		Measure: measureKnows,
	}
}

func askKnows(ctx context.Context, s *eval.Session, q QA) (KnowsResult, error) {
	r := KnowsResult{Answered: q.answered(), Kind: q.Kind}
	t := q.on(s, "question")
	greedy, err := monitor.Get(ctx, t, monitor.Greedy{})
	if err != nil {
		return r, err
	}
	r.Grade = q.grade(greedy.Answer)
	samples, err := t.Samples(ctx, monitor.DefaultSampling, verbal.Brainstormed)
	if err != nil {
		return r, err
	}
	right, n := 0.0, 0
	proposed := []*monitor.Candidate{}
	seen := map[string]bool{"": true}
	for i, c := range append([]*monitor.Candidate{greedy}, samples...) {
		g := q.grade(c.Answer)
		if i > 0 && (g == text.Right || g == text.Wrong) {
			n++
			right += one(g == text.Right)
		}
		if !seen[c.Key] && (g == text.Right || g == text.Wrong) && len(proposed) < 2 {
			seen[c.Key] = true
			proposed = append(proposed, c)
		}
	}
	if n > 0 {
		share := right / float64(n)
		r.Share = &share
	}
	for _, c := range proposed {
		k := KnowsCandidate{Right: q.grade(c.Answer) == text.Right}
		for _, p := range []struct {
			signal monitor.Signal
			to     **float64
		}{{verbal.PTrueSamples(0), &k.Alone}, {verbal.PTrueSamples(verbal.Brainstormed), &k.Beside}} {
			reading, err := monitor.ScoreOne(ctx, p.signal, t, c)
			switch {
			case err == nil:
				*p.to = &reading.Score
			case !errors.Is(err, monitor.ErrMissing):
				return r, err
			}
		}
		r.Proposed = append(r.Proposed, k)
	}
	hinted := q.on(s, "hinted")
	if len(q.Answers) > 0 {
		hinted.Question.Context = q.Question + " " + q.Answers[0] + "."
	}
	for _, p := range []struct {
		trial *monitor.Trial
		to    **float64
	}{{t, &r.KnowsIt}, {hinted, &r.KnowsHint}} {
		v, err := monitor.Get(ctx, p.trial, verbal.Able{})
		switch {
		case err == nil:
			*p.to = &v.Yes
		case !errors.Is(err, monitor.ErrMissing):
			return r, err
		}
	}
	return r, nil
}

func measureKnows(rs []KnowsResult) []eval.Measure {
	var alone, beside, y, knows, hinted, share, knowsOf []float64
	var cluster []int
	unread, asked := 0, 0
	for i, r := range rs {
		asked++
		if r.KnowsIt == nil || r.KnowsHint == nil {
			unread++
		} else {
			knows, hinted = append(knows, *r.KnowsIt), append(hinted, *r.KnowsHint)
		}
		if r.Share != nil && r.KnowsIt != nil {
			share, knowsOf = append(share, *r.Share), append(knowsOf, *r.KnowsIt)
		}
		for _, c := range r.Proposed {
			if asked++; c.Alone == nil || c.Beside == nil {
				unread++
				continue
			}
			alone, beside, y, cluster = append(alone, *c.Alone), append(beside, *c.Beside), append(y, one(c.Right)), append(cluster, i)
		}
	}
	boot := stats.Bootstrap{Cluster: cluster}
	of := func(name string, p []float64) []eval.Measure {
		auroc, err := boot.AUROC(fixed(), p, y)
		out := []eval.Measure{eval.Of(name+": AUROC", auroc, err)}
		brier, err := boot.Of(fixed(), stats.Brier, p, y)
		out = append(out, eval.Of(name+": Brier score", brier, err))
		ece, err := boot.Of(fixed(), stats.Binned(stats.WidthRight, 10, stats.ECE), p, y)
		return append(out, eval.Of(name+": ECE, 10 bins", ece, err))
	}
	out := append(of("P(True)", alone), of("P(True) after own samples", beside)...)
	difference, err := boot.AUROCDifference(fixed(), beside, alone, y)
	out = append(out, eval.Of("what own samples add to the AUROC", difference, err))
	known := make([]float64, len(share))
	for i, v := range share {
		known[i] = one(v > 0.5)
	}
	auroc, err := stats.Bootstrap{}.AUROC(fixed(), knowsOf, known)
	return append(out, eval.Average("P(IK)", knows), eval.Of("P(IK): AUROC of most samples being right", auroc, err), correlation("P(IK) and the share of right samples", knowsOf, share),
		eval.Average("P(IK) with a hint", hinted), paired("what a hint adds to P(IK)", hinted, knows),
		eval.Share("verdicts that could not be read", unread, asked))
}
