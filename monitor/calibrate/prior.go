package calibrate

import (
	"fmt"
	"math"

	"gnothi/stats"
)

// Prior is what other models say of a signal: the line of log-odds on which,
// over models, scores become probabilities. A new model's own line differs, by
// as much as the models differ among themselves; the interval says so. A few
// labelled answers of the new model narrow it ([Prior.Update]).
type Prior struct {
	Schema int      `json:"schema"`
	Signal string   `json:"signal"`
	Models []string `json:"models"` // what was pooled
	N      int      `json:"n"`
	Own    int      `json:"own,omitempty"` // labelled answers of the new model itself, by Update
	// Coef is intercept and slope on the signal's log-odds, Cov the covariance
	// of that mean over models, Between the covariance among models.
	Coef    [2]float64    `json:"coef"`
	Cov     [2][2]float64 `json:"cov"`
	Between [2][2]float64 `json:"between"`
}

// Apply estimates the probability for a model that has no calibrator. The
// probability is averaged over what the model's own line may be, so it is drawn
// towards one half by as much as is not known.
func (p *Prior) Apply(rs []Named) (Estimate, error) {
	odds, err := Features([]string{p.Signal}, rs)
	if err != nil {
		return Estimate{}, err
	}
	x := [2]float64{1, odds[0]}
	variance := 0.0
	for i := range x {
		for j := range x {
			variance += x[i] * x[j] * (p.Cov[i][j] + p.Between[i][j])
		}
	}
	variance = max(variance, 0)
	logit, half := p.Coef[0]+p.Coef[1]*x[1], z90*math.Sqrt(variance)
	// The mean of a logistic normal, by the usual probit approximation.
	mean := logit / math.Sqrt(1+math.Pi*variance/8)
	return Estimate{
		P:   stats.Sigmoid(mean),
		Low: stats.Sigmoid(logit - half), High: stats.Sigmoid(logit + half),
		Terms: []Term{{"base", p.Coef[0]}, {p.Signal, p.Coef[1] * x[1]}, {"how models differ", mean - logit}},
	}, nil
}

func (p *Prior) method() string {
	if p.Own > 0 {
		return fmt.Sprintf("logistic on %s, shrunk towards other models", p.Signal)
	}
	return "pooled logistic on " + p.Signal
}

// z90 is the normal quantile of an interval at Level.
const z90 = 1.6448536269514722

func (p *Prior) validate() error {
	if p.Schema != Schema {
		return fmt.Errorf("schema %d, want %d", p.Schema, Schema)
	}
	if !finite(p.Coef[:]...) || !finite(p.Cov[0][:]...) || !finite(p.Cov[1][:]...) || !finite(p.Between[0][:]...) || !finite(p.Between[1][:]...) {
		return fmt.Errorf("prior of %s: a number is not finite", p.Signal)
	}
	return nil
}
