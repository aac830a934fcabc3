package judge

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"gnothi/llm"
	"gnothi/stats"
)

// DBG is how much better a judge likes its own answers than others do
// (dbg-score).
type DBG struct {
	// Own is mean(s − g) over the judge's own responses, in [−1,1]: its verdict
	// less the gold one. Others is the same over responses of others, which a fair
	// judge leaves at 0.
	Own    stats.Figure `json:"own"`
	Others stats.Figure `json:"others"`
	// Naive is the judge's verdict on its own less that on others' responses, which
	// takes a better answer for self-preference.
	Naive stats.Figure `json:"naive"`
}

// Judged is one response against a fixed opponent.
type Judged struct {
	Own   bool    // the judge's own response, else another's
	Score float64 // the judge's verdict, orders swapped: 1, ½ or 0 (or a rating in [0,1])
	// Panel are the verdicts of other judges or people on the same pair, each at
	// its own place throughout; no sibling of the judge.
	Panel []float64
}

// SelfPreference is the DBG score (dbg-score; the formula is the abstract's: the
// judge's score for its own less the gold judgement). Gold is the panel's
// majority of {0, ½, 1}, and without one ½; panels that grade more finely give
// their mean. The interval resamples prompts and, over all of them alike, the
// panel's members: how a verdict falls by chance shows between prompts, but that
// other members might have been asked shows only between members (chosen).
func SelfPreference(rng *rand.Rand, items []Judged) (DBG, error) {
	var own, others []Judged
	for i, it := range items {
		if len(it.Panel) == 0 {
			return DBG{}, fmt.Errorf("judge: self-preference: item %d: no panel: gold judgements have to come from others", i+1)
		}
		for _, v := range append([]float64{it.Score}, it.Panel...) {
			if !(v >= 0 && v <= 1) {
				return DBG{}, fmt.Errorf("judge: self-preference: item %d: verdict %v is outside 0 to 1", i+1, v)
			}
		}
		if it.Own {
			own = append(own, it)
		} else {
			others = append(others, it)
		}
	}
	if len(own) == 0 {
		return DBG{}, errors.New("judge: self-preference: no item is the judge's own")
	}
	out := DBG{}
	var err error
	if out.Own, err = excess(rng, own); err != nil {
		return DBG{}, err
	}
	none := errors.New("no responses of others were judged")
	if len(others) == 0 {
		out.Others, out.Naive = stats.Missing(0, none), stats.Missing(0, none)
		return out, nil
	}
	if out.Others, err = excess(rng, others); err != nil {
		return DBG{}, err
	}
	all := append(append([]Judged{}, own...), others...)
	mean := func(idx []int, own bool) (float64, error) {
		sum, n := 0.0, 0.0
		for _, i := range idx {
			if all[i].Own == own {
				sum, n = sum+all[i].Score, n+1
			}
		}
		if n == 0 {
			return 0, stats.ErrEmpty
		}
		return sum / n, nil
	}
	out.Naive, err = stats.Bootstrap{}.Figure(rng, len(all), func(idx []int) (float64, error) {
		a, err := mean(idx, true)
		if err != nil {
			return 0, err
		}
		b, err := mean(idx, false)
		return a - b, err
	})
	return out, err
}

// excess is mean(s − g) with its interval. The value is of the whole panel; each
// resample draws a panel from its members.
func excess(rng *rand.Rand, items []Judged) (stats.Figure, error) {
	members := 0
	for _, it := range items {
		members = max(members, len(it.Panel))
	}
	drawn := llm.Range(0, members) // the first call is for the value, of all as they are
	panel := make([]float64, 0, members)
	f, err := stats.Bootstrap{}.Figure(rng, len(items), func(idx []int) (float64, error) {
		sum := 0.0
		for _, i := range idx {
			panel = panel[:0]
			for _, k := range drawn {
				if own := items[i].Panel; k < len(own) {
					panel = append(panel, own[k])
				}
			}
			if len(panel) == 0 { // none of those drawn judged this one
				panel = append(panel, items[i].Panel...)
			}
			sum += items[i].Score - gold(panel)
		}
		for k := range drawn {
			drawn[k] = rng.IntN(members)
		}
		return sum / float64(len(idx)), nil
	})
	f.Method += fmt.Sprintf(", each with a panel drawn from %d", members)
	return f, err
}

// gold is a panel's verdict.
func gold(panel []float64) float64 {
	tally, sum, coarse := map[float64]int{}, 0.0, true
	for _, v := range panel {
		tally[v]++
		sum += v
		coarse = coarse && (v == 0 || v == 0.5 || v == 1)
	}
	if coarse {
		return majority(tally)
	}
	return sum / float64(len(panel))
}
