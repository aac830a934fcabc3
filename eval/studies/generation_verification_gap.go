package studies

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"

	"gnothi/eval"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/judge"
)

// VerificationGapResult is a pool of samples with what each verifier says of them.
type VerificationGapResult struct {
	Related
	Right  []bool     `json:"right"`
	Choice []*float64 `json:"choice"` // probability of correct, from 0 to 1; null: could not be read
	Score  []*float64 `json:"score"`  // after reasoning, from 1 to 10
	Binary []*float64 `json:"binary"` // after reasoning, the probability of yes
	Winner int        `json:"winner"` // of the tournament: its place
	Calls  int64      `json:"calls"`
}

// gapSamples is how many samples a question has; the paper draws 128.
const gapSamples = 8

// aboveHalf lets through what is more likely right than not.
const aboveHalf = 0.5 + 1e-9

// verifyTokens bounds a verdict with its reasoning.
const verifyTokens = 256

// GenerationVerificationGap is the study generation-verification-gap (Song et al.
// 2024, Mind the Gap): how much better are the samples that a model's own
// verification lets through than all of them? Verifiers: multiple choice (the
// probability of correct), a score of 1 to 10 after reasoning (CoT-S), yes or no
// after reasoning (CoT-B), and a knock-out tournament. A sample's weight is 0 or
// 1: by a threshold (which for CoT-S is chosen on the other half of the
// questions), and by the better half of each pool, at which verifiers can be
// compared since all accept alike. gap = mean over questions of Σwu/Σw − mean u;
// relative gap = gap / (1 − mean u). A question of which nothing is accepted
// keeps all its samples, and is counted.
//
// Published: the relative gap of CoT-S grows almost linearly in the logarithm of
// training compute within a family and is about nil or negative on factual
// recall; models of several sizes show it (run it on each). Chosen: 8 samples at
// temperature 0.7 and top-p 0.9 (the paper: 128, and 32 is enough for a trend),
// equal texts verified once, verdicts asked in both wordings.
func GenerationVerificationGap() eval.Suite {
	return eval.Study[QA, VerificationGapResult]{
		Name:  "generation-verification-gap",
		About: "how much better is what a model's own verification lets through",
		Needs: "text",
		Items: func(s eval.Source) iter.Seq2[QA, error] { return qaItems(s, 60, answerable) },
		Ask:   askVerification, Measure: measureVerification,
	}
}

func answerable(q QA) bool { return !q.Unanswerable }

func askVerification(ctx context.Context, s *eval.Session, q QA) (VerificationGapResult, error) {
	r := VerificationGapResult{Related: Related{q.Group}}
	d, err := q.pool(ctx, s, "pool", monitor.Sampling{Temperature: 0.7, TopP: 0.9}, gapSamples)
	if err != nil {
		return r, err
	}
	r.Right = d.right()
	choice, binary := &judge.Judge{}, &judge.Judge{Reason: true, Votes: 1, MaxTokens: verifyTokens}
	score := &judge.Judge{Low: 1, High: 10, Reason: true, Votes: 1, MaxTokens: verifyTokens}
	holds := func(j *judge.Judge) func(*monitor.Candidate) (float64, error) {
		return func(c *monitor.Candidate) (float64, error) {
			v, err := j.Verify(ctx, d.trial, c)
			return v.P, err
		}
	}
	if r.Choice, err = d.scored(holds(choice)); err != nil {
		return r, fmt.Errorf("multiple choice: %w", err)
	}
	if r.Binary, err = d.scored(holds(binary)); err != nil {
		return r, fmt.Errorf("yes or no: %w", err)
	}
	if r.Score, err = d.scored(func(c *monitor.Candidate) (float64, error) {
		v, err := score.Rate(ctx, d.trial, c)
		return v.Score, err
	}); err != nil {
		return r, fmt.Errorf("score: %w", err)
	}
	if r.Winner, err = d.winner(ctx, choice); err != nil {
		return r, fmt.Errorf("tournament: %w", err)
	}
	r.Calls = d.trial.Ledger.Spent().Calls
	return r, nil
}

// accepts gives the places of the samples whose figure reaches the threshold.
func accepts(figures []*float64, threshold float64) (out []int) {
	for i, f := range figures {
		if f != nil && *f >= threshold {
			out = append(out, i)
		}
	}
	return out
}

// betterHalf gives the places of the half of the samples with the largest
// figures; the earlier ones among equals, those without a figure last.
func betterHalf(figures []*float64) []int {
	order := llm.Range(0, len(figures))
	value := func(i int) float64 {
		if figures[i] == nil {
			return math.Inf(-1)
		}
		return *figures[i]
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case value(a) > value(b):
			return -1
		case value(a) < value(b):
			return 1
		}
		return 0
	})
	return order[:(len(order)+1)/2]
}

func share(right []bool, of []int) float64 {
	n := 0.0
	for _, i := range of {
		n += one(right[i])
	}
	return n / float64(len(of))
}

// gapOf measures a way of accepting.
func gapOf(name string, rs []VerificationGapResult, accept func(i int, r VerificationGapResult) []int) []eval.Measure {
	var gap, room []float64
	accepted, samples, none := 0, 0, 0
	for i, r := range rs {
		all := share(r.Right, llm.Range(0, len(r.Right)))
		in := accept(i, r)
		accepted, samples = accepted+len(in), samples+len(r.Right)
		g := 0.0
		if len(in) == 0 {
			none++
		} else {
			g = share(r.Right, in) - all
		}
		gap, room = append(gap, g), append(room, 1-all)
	}
	return []eval.Measure{
		signed(name+": gap", gap),
		ratio(name+": relative gap", gap, room),
		eval.Share(name+": samples accepted", accepted, samples),
		eval.Share(name+": questions of which none is accepted", none, len(rs)),
	}
}

func measureVerification(rs []VerificationGapResult) []eval.Measure {
	var u, passed []float64
	var calls []float64
	for _, r := range rs {
		u = append(u, share(r.Right, llm.Range(0, len(r.Right))))
		passed = append(passed, one(slices.Contains(r.Right, true)))
		calls = append(calls, float64(r.Calls))
	}
	out := []eval.Measure{eval.Average("accuracy of the samples", u), eval.Average(fmt.Sprintf("pass@%d", gapSamples), passed)}
	at := [2]float64{scoreThreshold(rs, 1), scoreThreshold(rs, 0)} // each half's is chosen on the other
	for _, v := range []struct {
		name    string
		figures func(VerificationGapResult) []*float64
		cut     func(i int) float64
	}{
		{"MC", func(r VerificationGapResult) []*float64 { return r.Choice }, func(int) float64 { return aboveHalf }},
		{"CoT-B", func(r VerificationGapResult) []*float64 { return r.Binary }, func(int) float64 { return aboveHalf }},
		{"CoT-S", func(r VerificationGapResult) []*float64 { return r.Score }, func(i int) float64 { return at[i%2] }},
	} {
		out = append(out, gapOf(v.name, rs, func(i int, r VerificationGapResult) []int { return accepts(v.figures(r), v.cut(i)) })...)
		out = append(out, gapOf(v.name+", better half", rs, func(_ int, r VerificationGapResult) []int { return betterHalf(v.figures(r)) })[:2]...)
	}
	out = append(out, gapOf("tournament, winner", rs, func(_ int, r VerificationGapResult) []int { return []int{r.Winner} })[:2]...)
	return append(out, eval.Average("calls a question", calls))
}

// scoreThreshold is the whole score from 2 to 10 whose gap on one half of the
// questions (even or odd places) is largest, the lowest among equals.
func scoreThreshold(rs []VerificationGapResult, half int) float64 {
	var part []VerificationGapResult
	for i := half; i < len(rs); i += 2 {
		part = append(part, rs[i])
	}
	best, at := math.Inf(-1), 5.0
	for tau := 2.0; tau <= 10; tau++ {
		sum := 0.0
		for _, r := range part {
			if in := accepts(r.Score, tau); len(in) > 0 {
				sum += share(r.Right, in) - share(r.Right, llm.Range(0, len(r.Right)))
			}
		}
		if sum > best {
			best, at = sum, tau
		}
	}
	return at
}
