package claims

import (
	"context"
	"errors"
	"slices"
	"strings"

	"gnothi/monitor"
	"gnothi/stats"
	"gnothi/text"
)

// Fused is claims/fused, selfcheckagent's last step without labels: the rank
// average of several sources. The score of a claim is the mean of its ranks among
// the text's claims, each scaled to (0,1), ties sharing theirs; raw is the same.
// It says which claims of a text stand worst, not how likely they are: of one
// claim alone it says one half. Sources that lack their input are left out.
type Fused struct {
	Of [3]Source // nil: none
}

// SelfCheck is the fusion of what selfcheckagent knows without training: the
// contextual agent, the symbolic one and the one for figures.
func SelfCheck() Fused { return Fused{Of: [3]Source{Samples{}, NGram{}, Particulars{}}} }

// Name implements [Source].
func (Fused) Name() string { return "claims/fused" }

// Support implements [Source].
func (s Fused) Support(ctx context.Context, t *monitor.Trial, c *monitor.Candidate, claims []text.Claim) ([]Support, error) {
	out := make([]Support, len(claims))
	sum, n := make([]float64, len(claims)), make([]int, len(claims))
	var names []string
	var errs []error
	for _, source := range s.Of {
		if source == nil {
			continue
		}
		f, err := monitor.Get(ctx, t, findings{c, source, len(claims)})
		if err != nil {
			return out, err
		}
		if f.err != nil {
			errs = append(errs, f.err)
		}
		var have []int
		var scores []float64
		for i, g := range f.supports {
			if g.Status == Checked {
				have, scores = append(have, i), append(scores, g.Score)
				if !slices.Contains(names, g.Source) {
					names = append(names, g.Source)
				}
			}
			out[i].Yes, out[i].No, out[i].Unclear, out[i].Failures = out[i].Yes+g.Yes, out[i].No+g.No, out[i].Unclear+g.Unclear, out[i].Failures+g.Failures
		}
		for k, r := range RankShares(scores) {
			sum[have[k]] += r
			n[have[k]]++
		}
	}
	for i := range out {
		if n[i] > 0 {
			out[i].Status, out[i].Score = Checked, sum[i]/float64(n[i])
			out[i].Raw = out[i].Score
		}
	}
	done(out, strings.Join(names, "+"))
	if errs = slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, monitor.ErrMissing) && len(names) > 0 }); len(errs) > 0 {
		return out, errs[0]
	}
	return out, nil
}

// RankShares gives the rank of each score, the lowest first, scaled to the
// middle of its n-th part of (0,1); ties share theirs.
func RankShares(scores []float64) []float64 {
	if len(scores) == 0 {
		return nil
	}
	out := stats.Ranks(scores)
	for i := range out {
		out[i] = (out[i] - 0.5) / float64(len(scores))
	}
	return out
}
