package studies

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"gnothi/control"
	"gnothi/eval"
	"gnothi/monitor"
	"gnothi/stats"
	"gnothi/text"
)

// PRMResult is a question with two pools of samples: the first is judged by the
// model itself, the second only tells how hard the question is.
type PRMResult struct {
	Related
	Right    []bool       `json:"right"`
	Accepted []*bool      `json:"accepted"`  // by the model's own verdict; null: could not be read
	PassRate float64      `json:"pass_rate"` // of the other pool, 0..1
	Majority text.Outcome `json:"majority"`
	Selected text.Outcome `json:"selected"` // the majority among the accepted, or among all where none is
	// Single: the first sample, for pass@1.
	Single text.Outcome `json:"single"`
}

// Outcome implements [eval.Graded]: of the selected answer.
func (r PRMResult) Outcome() text.Outcome { return r.Selected }

// prmSamples is how many samples each pool has.
const prmSamples = 8

// SelfPRM is the study self-prm (Feng et al. 2025): a reasoning model judges its
// own samples, and the majority among those it accepts is the answer. It reports
// pass@1, pass@N, majority voting and self-selection, and how often an accepted
// solution is right, by difficulty. Published: external reward models do worse
// than voting on strong reasoners, self-selection helps, and the precision of
// acceptance on hard problems is below 10 %. Chosen: difficulty is the pass rate
// of a second, independent pool, so that the bins are not made by what they
// measure; an external scorer is a user's --judge and is not asked here.
func SelfPRM() eval.Suite {
	return eval.Study[QA, PRMResult]{
		Name:  "self-prm",
		About: "judges its own samples: precision of acceptance by difficulty, and what selection gains",
		Needs: "text",
		Items: func(s eval.Source) iter.Seq2[QA, error] { return qaItems(s, 60, answerable) },
		Ask:   askPRM, Measure: measurePRM,
	}
}

func askPRM(ctx context.Context, s *eval.Session, q QA) (PRMResult, error) {
	r := PRMResult{Related: Related{q.Group}}
	other, err := q.pool(ctx, s, "difficulty", monitor.DefaultSampling, prmSamples)
	if err != nil {
		return r, err
	}
	for _, right := range other.right() {
		r.PassRate += one(right) / prmSamples
	}
	d, err := q.pool(ctx, s, "pool", monitor.DefaultSampling, prmSamples)
	if err != nil {
		return r, err
	}
	r.Right, r.Single = d.right(), q.grade(d.cs[0].Answer)
	accepts := control.SelfVerified(1)
	verdicts, err := d.scored(func(c *monitor.Candidate) (float64, error) {
		v, err := monitor.ScoreOne(ctx, accepts, d.trial, c)
		return v.Score, err
	})
	if err != nil {
		return r, err
	}
	votes := func(accepted bool) text.Outcome {
		var in []text.Answer
		var of []int
		for i, c := range d.cs {
			if !accepted || verdicts[i] != nil && *verdicts[i] > 0.5 {
				in, of = append(in, c.Answer), append(of, i)
			}
		}
		classes := q.question().Task().Classes(in)
		if len(classes) == 0 {
			return text.Unparsed
		}
		top := classes[0]
		for _, c := range classes {
			if len(c) > len(top) {
				top = c
			}
		}
		return q.grade(d.cs[of[top[0]]].Answer)
	}
	for _, v := range verdicts {
		var accepted *bool
		if v != nil {
			yes := *v > 0.5
			accepted = &yes
		}
		r.Accepted = append(r.Accepted, accepted)
	}
	r.Majority, r.Selected = votes(false), votes(true)
	if r.Selected == text.Unparsed {
		r.Selected = r.Majority
	}
	return r, nil
}

func measurePRM(rs []PRMResult) []eval.Measure {
	var pools [][]stats.Verified
	var rates []float64
	var single, majority, selected, any []float64
	unread, verdicts := 0, 0
	for _, r := range rs {
		var pool []stats.Verified
		for i, right := range r.Right {
			verdicts++
			if r.Accepted[i] == nil {
				unread++
				continue
			}
			pool = append(pool, stats.Verified{Right: right, Accepted: *r.Accepted[i]})
		}
		pools, rates = append(pools, pool), append(rates, r.PassRate)
		single, any = append(single, one(r.Single == text.Right)), append(any, one(slices.Contains(r.Right, true)))
		majority, selected = append(majority, one(r.Majority == text.Right)), append(selected, one(r.Selected == text.Right))
	}
	out := []eval.Measure{
		eval.Average("pass@1", single), eval.Average(fmt.Sprintf("pass@%d", prmSamples), any),
		eval.Average("majority voting", majority), eval.Average("majority among the accepted", selected),
		paired("self-selection less majority voting", selected, majority),
		eval.Share("verdicts that could not be read", unread, verdicts),
	}
	bins, err := stats.AcceptancePrecision(pools, rates, eval.Level)
	if err != nil {
		return append(out, eval.Of("precision of acceptance", stats.Figure{N: len(rs)}, err))
	}
	for _, b := range bins {
		where := fmt.Sprintf("pass rate over %g to %g", b.Over, b.UpTo)
		if b.UpTo == 0 {
			where = "pass rate 0"
		}
		out = append(out, eval.Of("precision of acceptance, "+where, b.Precision, nil), eval.Of("share accepted, "+where, b.Accepted, nil))
	}
	return out
}
