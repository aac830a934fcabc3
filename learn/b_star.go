package learn

import (
	"cmp"
	"context"
	"math"
	"slices"

	"gnothi/monitor"
	"gnothi/monitor/likelihood"
	"gnothi/text"
)

// BStar is the recipe `b-star` (Zeng et al. 2024; the part without gradients):
// k samples of each question at each temperature; then, over all questions, the
// temperature and the reward threshold with the highest mean balance score are
// chosen ([Balance]), and the samples kept there, each text once, are the rows to
// fine-tune on. Questions that keep nothing count 0. k calls for each temperature.
// The values of the report show the choice; taken again each round, it is what
// keeps exploration alive.
//
// want is how many right samples a question should have, 8 in the authors' code.
// Chosen: the reward is 1{right} + q/5 with q in [−1,1] from the mean
// log-probability in place of their process reward model, 0 where there is none;
// thresholds are the rewards that occur, since rewards do not fill [−1,1].
func BStar(k int, temperatures []float64, want float64) Recipe {
	confidence := likelihood.MeanLogProb()
	return Recipe{
		Name: "b-star", About: "samples at the temperature and threshold that balance exploring and exploiting",
		Needs: "prompts with answers, a puzzle, or a verifier",
		Rows: func(ctx context.Context, t *monitor.Trial, p Prompt, m *Made) error {
			if !p.Checked() {
				return errUnchecked
			}
			for _, temperature := range temperatures {
				cs, err := m.pool(ctx, t, monitor.Sampling{Temperature: temperature}, k, true)
				if err != nil {
					return err
				}
				rs, err := confidence.Score(ctx, t, cs)
				if err != nil {
					return err
				}
				for i, c := range cs {
					o, err := p.Check(ctx, t, c)
					if err != nil {
						return err
					}
					right, reward := o == text.Right, 0.0
					if right {
						reward = 1
					}
					if rs[i].Err == nil {
						reward += (2*rs[i].Score - 1) / 5
					}
					m.Score(reward)
					m.Add(Row{Kind: SFT, Completion: said(c), Right: &right, Scores: map[string]float64{"temperature": temperature, "reward": reward}})
				}
			}
			return nil
		},
		All: func(rows []Row, m *Made) []Row {
			setting, ok := SearchBalance(rows, m.finished, want)
			if !ok {
				m.DropN("row: nothing that is right was kept anywhere", len(rows))
				return nil
			}
			m.Value("balance score", setting.Score)
			m.Value("temperature chosen", setting.Temperature)
			m.Value("threshold chosen", setting.Threshold)
			kept := rows[:0:0]
			for _, r := range rows {
				if r.Scores["temperature"] == setting.Temperature && r.Scores["reward"] >= setting.Threshold {
					kept = append(kept, r)
					m.Count("rows that are right", *r.Right)
				}
			}
			m.DropN("row: another temperature, or below the threshold", len(rows)-len(kept))
			return kept
		},
	}
}

// Setting is a point of the search of b-star.
type Setting struct{ Temperature, Threshold, Score float64 }

// SearchBalance finds the temperature and threshold with the highest mean balance
// over so many prompts, of rows that say of themselves temperature and reward
// (Scores) and whether they are right. Of equals the lower temperature and the
// higher threshold. ok is false where no setting scores above 0.
func SearchBalance(rows []Row, prompts int, want float64) (best Setting, ok bool) {
	byTemperature := map[float64][]Row{}
	var order []float64
	for _, r := range rows {
		at := r.Scores["temperature"]
		if byTemperature[at] == nil {
			order = append(order, at)
		}
		byTemperature[at] = append(byTemperature[at], r)
	}
	slices.Sort(order)
	best.Score = math.Inf(-1)
	for _, at := range order {
		all := byTemperature[at]
		slices.SortStableFunc(all, func(a, b Row) int { return cmp.Compare(b.Scores["reward"], a.Scores["reward"]) })
		// From the highest threshold down each row enters once, and changes only its prompt's balance.
		kept, right, sum := map[string]int{}, map[string]int{}, 0.0
		for i, r := range all {
			sum -= Balance(right[r.ID], kept[r.ID], want)
			kept[r.ID]++
			if *r.Right {
				right[r.ID]++
			}
			sum += Balance(right[r.ID], kept[r.ID], want)
			reward := r.Scores["reward"]
			if i+1 < len(all) && all[i+1].Scores["reward"] == reward {
				continue
			}
			if s := sum / float64(max(1, prompts)); s > best.Score+1e-12 {
				best = Setting{at, reward, s}
			}
		}
	}
	return best, best.Score > 0
}
