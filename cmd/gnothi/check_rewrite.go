package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"gnothi/internal/jsonl"
	"gnothi/monitor/calibrate"
	"gnothi/stats"
	"gnothi/text"
)

// claimCalibration is what labelled claims say of the support of others.
type claimCalibration struct {
	On       string        `json:"on"`
	Method   string        `json:"method"`
	N        int           `json:"n"`
	Clusters int           `json:"clusters"`
	Figures  stats.Summary `json:"figures"` // cross-fitted
	fit      stats.Map
	score, y []float64
}

// labelledClaim is a line of a calibration file, or a claim of a line that check
// wrote.
type labelledClaim struct {
	Score     *float64 `json:"score"`
	Supported *float64 `json:"supported"`
	Label     *bool    `json:"label"`
	Cluster   string   `json:"cluster"`
}

// calibration fits the probability that a claim is true, given its support: a
// logistic curve of the support, with Platt's smoothed targets. Its figures are cross-fitted over texts.
func (o checkOptions) calibration(by, model string) (*claimCalibration, error) {
	c := &claimCalibration{On: o.calibrate, Method: "platt"}
	var clusters []string
	add := func(l labelledClaim, cluster string) {
		score := l.Score
		if score == nil {
			score = l.Supported
		}
		if l.Label == nil || score == nil {
			return // a claim that nobody labelled, or that could not be scored
		}
		y := 0.0
		if *l.Label {
			y = 1
		}
		c.score, c.y, clusters = append(c.score, *score), append(c.y, y), append(clusters, cmp.Or(l.Cluster, cluster))
	}
	err := jsonl.Each(o.calibrate, func(n int, line []byte) error {
		var row struct {
			labelledClaim
			ID       lineID          `json:"id"`
			By       string          `json:"by"`
			ModelKey string          `json:"model_key"`
			Claims   []labelledClaim `json:"claims"`
		}
		if err := jsonl.Decode(line, &row); err != nil {
			return err
		}
		if row.Claims == nil {
			if row.Score == nil || row.Label == nil {
				return errors.New(`want "score" and "label", or "claims" that have them`)
			}
			add(row.labelledClaim, "#"+strconv.Itoa(n))
			return nil
		}
		if row.ModelKey != "" && row.ModelKey != model {
			return fmt.Errorf("the claims were checked by another model, %s: what its scores are worth says nothing about this one's", row.ModelKey)
		}
		if by != "" && row.By != "" && row.By != by {
			return fmt.Errorf("the claims were checked by %s, not by %s", row.By, by)
		}
		for _, l := range row.Claims {
			add(l, fmt.Sprint(row.ID, "#", n))
		}
		return nil
	}, nil)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = usage(err)
		}
		return nil, err
	}
	if c.N = len(c.y); c.N < calibrate.MinExamples {
		return nil, usagef("%s: %d labelled claims with a score: at least %d are needed", o.calibrate, c.N, calibrate.MinExamples)
	}
	groups := stats.Groups(clusters)
	c.Clusters = slices.Max(groups) + 1
	fit := func(score, y []float64) (stats.Map, error) {
		soft, err := stats.SmoothTargets(y) // so that labels which a threshold parts have a fit too
		if err != nil {
			return nil, err
		}
		return stats.FitPlatt(score, soft, false)
	}
	if c.fit, err = fit(c.score, c.y); err != nil {
		return nil, usagef("%s: %w", o.calibrate, err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	fold, err := stats.Folds(rng, c.N, min(10, c.Clusters), groups)
	if err != nil {
		return nil, usagef("%s: %d texts: %w", o.calibrate, c.Clusters, err)
	}
	held, err := stats.CrossFitMap(fold, c.score, c.y, fit)
	if err != nil {
		return nil, usagef("%s: %w", o.calibrate, err)
	}
	c.Figures, err = stats.Summarise(rng, held, c.y, stats.Options{Cluster: groups})
	return c, err
}

// rewritten is a text whose unsupported claims are gone or said with doubt.
type rewritten struct {
	Text      string           `json:"text"`
	Kept      int              `json:"kept"`
	Left      int              `json:"left_out"`
	Hedged    int              `json:"hedged"`
	Guarantee string           `json:"guarantee"` // what is promised of the claims that stay, and on what it rests
	Certified bool             `json:"certified"`
	Test      *stats.Guarantee `json:"test,omitempty"` // of the threshold
	// Expected is the mean probability that a claim which stayed is not true; null
	// without calibration, or where none stayed.
	Expected *float64 `json:"expected_unsupported"`
}

// hedgeWords go before a claim that is said with doubt.
const hedgeWords = "Possibly: "

// rewriteText leaves out or hedges the claims of a text that are not known to be
// supported; what was not checked is not.
func (c checker) rewriteText(s string, pieces []text.Piece, r checked) *rewritten {
	keep, out := c.selection(r)
	var b strings.Builder
	k := 0
	for _, p := range pieces {
		if p.Kind != text.Statement {
			b.WriteString(p.Whole.In(s))
			continue
		}
		stay := keep[k]
		k++
		switch {
		case stay:
			b.WriteString(p.Whole.In(s))
			out.Kept++
		case c.rewrite == "hedge":
			b.WriteString(s[p.Whole.Start:p.Span.Start] + hedgeWords + s[p.Span.Start:p.Whole.End])
			out.Hedged++
		default:
			// The paragraph ends where it ended.
			if gap := s[p.Span.End:p.Whole.End]; strings.Contains(gap, "\n") && b.Len() > 0 && !strings.HasSuffix(b.String(), "\n") {
				b.WriteString(gap)
			}
			out.Left++
		}
	}
	out.Text = strings.TrimSpace(b.String())
	return out
}

// selection says which claims stay, and what that promises.
func (c checker) selection(r checked) ([]bool, *rewritten) {
	keep := make([]bool, len(r.Claims))
	out := &rewritten{}
	if c.calibration == nil {
		for i, cl := range r.Claims {
			keep[i] = cl.Status == supported
		}
		out.Guarantee = fmt.Sprintf("none: support is not calibrated (--calibrate FILE); claims below %g are not kept", max(c.rule.Threshold, c.rule.Hedge))
		return keep, out
	}
	cal := c.calibration
	test, err := stats.LearnThenTest(cal.score, cal.y, c.alpha, c.delta)
	why := ""
	if err != nil {
		why = err.Error()
	} else if out.Test = &test; test.Holds {
		out.Certified = true
		for i, cl := range r.Claims {
			keep[i] = cl.Supported != nil && test.Gives(*cl.Supported)
		}
		out.Guarantee = fmt.Sprintf("of the claims that stay at most %s are unsupported, unless the %d labels mislead (at most %s of the time); it holds for claims from the same source as the labels, by Learn-then-Test",
			percent(c.alpha), cal.N, percent(c.delta))
		if cal.Clusters < cal.N {
			out.Guarantee += fmt.Sprintf("; the labels are of %d texts, and claims of one text go together, so take it with care", cal.Clusters)
		}
	} else {
		why = cmp.Or(test.Why, "no threshold passes the test")
	}
	if !out.Certified {
		keep = c.expected(r)
		out.Guarantee = fmt.Sprintf("in expectation at most %s of the claims that stay are unsupported, if the calibrated probabilities hold; not certified: %s", percent(c.alpha), why)
	}
	n, sum := 0, 0.0
	for i, cl := range r.Claims {
		if keep[i] {
			n, sum = n+1, sum+1-*cl.Probability
		}
	}
	if n > 0 {
		sum /= float64(n)
		out.Expected = &sum
	}
	return keep, out
}

// expected keeps as many of the likeliest claims as have, on average, at most
// alpha of a chance to be unsupported.
func (c checker) expected(r checked) []bool {
	var order []int
	for i, cl := range r.Claims {
		if cl.Probability != nil {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(*r.Claims[b].Probability, *r.Claims[a].Probability) })
	keep := make([]bool, len(r.Claims))
	sum := 0.0
	for k, i := range order {
		if sum += 1 - *r.Claims[i].Probability; sum > c.alpha*float64(k+1)+1e-12 {
			break
		}
		keep[i] = true
	}
	return keep
}
