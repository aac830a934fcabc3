package studies

import (
	"context"
	"fmt"
	"iter"
	"math"

	"gnothi/eval"
	"gnothi/learn"
	"gnothi/monitor"
	"gnothi/monitor/likelihood"
)

// BStarResult has, for each temperature of bStarTemperatures, the different
// samples of a question: whether each is right and its reward, 0..1.
type BStarResult struct {
	Related
	Right  [][]bool    `json:"right"`
	Reward [][]float64 `json:"reward"`
}

var bStarTemperatures = []float64{0.5, 0.7, 0.9, 1.1}

const (
	bStarSamples = 16 // at each temperature
	bStarTarget  = 4  // n*: so many right ones are enough
)

// BStar is the monitor of b-star (Zeng et al. 2024, B-STaR): the balance score
// of exploration and exploitation over a grid of sampling temperature and reward
// threshold, whose best point a round of self-training should draw its data
// with. It is to be run again after every round. Published: Mistral-7B keeps
// improving where fixed settings stand still.
//
// Chosen: the reward is the model's own mean token probability, since no reward
// model is at hand; 16 samples at each of four temperatures (the paper: 64 at
// 15), equal texts counted once, thresholds from 0 to 0.95 by 0.05, a target of
// 4 right samples. The mean is over all questions, as in the paper; the paper's
// code leaves out those of which nothing is selected, which is shown beside it.
func BStar() eval.Suite {
	return eval.Study[QA, BStarResult]{
		Name:  "b-star",
		About: "balance of exploration and exploitation over temperature and reward threshold",
		Needs: "logprobs",
		Items: func(s eval.Source) iter.Seq2[QA, error] { return qaItems(s, 60, answerable) },
		Ask:   askBStar, Measure: measureBStar,
	}
}

func askBStar(ctx context.Context, s *eval.Session, q QA) (BStarResult, error) {
	r := BStarResult{Related: Related{q.Group}}
	for _, t := range bStarTemperatures {
		d, err := q.pool(ctx, s, fmt.Sprintf("temperature %g", t), monitor.Sampling{Temperature: t}, bStarSamples)
		if err != nil {
			return r, err
		}
		rewards, err := likelihood.MeanLogProb().Score(ctx, d.trial, d.cs)
		if err != nil {
			return r, err
		}
		right, first := d.right(), d.once()
		var rs []bool
		var ws []float64
		for i := range d.cs {
			if first[i] == i && rewards[i].Err == nil {
				rs, ws = append(rs, right[i]), append(ws, rewards[i].Score)
			}
		}
		r.Right, r.Reward = append(r.Right, rs), append(r.Reward, ws)
	}
	return r, nil
}

// balances are the query scores at a point of the grid, and which of the
// questions have a selected sample.
func balances(rs []BStarResult, temperature int, threshold float64) (scores []float64, some []bool) {
	for _, r := range rs {
		correct, selected := 0, 0
		for i, w := range r.Reward[temperature] {
			if w >= threshold {
				selected++
				correct += int(one(r.Right[temperature][i]))
			}
		}
		scores, some = append(scores, learn.Balance(correct, selected, bStarTarget)), append(some, selected > 0)
	}
	return scores, some
}

func measureBStar(rs []BStarResult) []eval.Measure {
	mean := func(x []float64) float64 {
		sum := 0.0
		for _, v := range x {
			sum += v
		}
		return sum / math.Max(1, float64(len(x)))
	}
	bestAt, bestT, best := 0.0, 0, -1.0
	var out []eval.Measure
	for t, temperature := range bStarTemperatures {
		at, top := 0.0, -1.0
		for step := range 20 {
			threshold := float64(step) / 20
			if scores, _ := balances(rs, t, threshold); mean(scores) > top {
				at, top = threshold, mean(scores)
			}
		}
		if top > best {
			bestAt, bestT, best = at, t, top
		}
		scores, _ := balances(rs, t, at)
		var right, different, rewarded []float64
		for _, r := range rs {
			n, highest, ofHighest := 0, -1.0, false
			for i, w := range r.Reward[t] {
				n += int(one(r.Right[t][i]))
				if w > highest {
					highest, ofHighest = w, r.Right[t][i]
				}
			}
			right, different = append(right, one(n > 0)), append(different, float64(n))
			rewarded = append(rewarded, one(ofHighest))
		}
		name := func(s string) string { return fmt.Sprintf("temperature %g: %s", temperature, s) }
		out = append(out,
			eval.Average(name(fmt.Sprintf("balance at its best threshold, %.2f", at)), scores),
			eval.Average(name(fmt.Sprintf("exploration, pass@%d", bStarSamples)), right),
			eval.Average(name("exploration, different right samples"), different),
			eval.Average(name("exploitation, right of the highest reward"), rewarded),
		)
	}
	scores, some := balances(rs, bestT, bestAt)
	var only []float64
	for i, s := range scores {
		if some[i] {
			only = append(only, s)
		}
	}
	return append([]eval.Measure{
		eval.Value("best temperature", bStarTemperatures[bestT], len(rs), "argmax of the mean balance", "a choice has no interval"),
		eval.Value("best threshold", bestAt, len(rs), "argmax of the mean balance", "a choice has no interval"),
		eval.Average("balance there", scores),
		eval.Average("balance there, questions with a selected sample (the code's mean)", only),
	}, out...)
}
