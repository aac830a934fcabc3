package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gnothi/monitor/calibrate"
	"gnothi/stats"
	"gnothi/store"
)

// Which verdicts tell whether calibrators hold. Those of answers marked at random
// are like all answers; those that come of their own accord are of wrong answers
// more often than not, and would raise an alarm by themselves, unless they come for
// all answers.
const (
	DriftAudit = "audit"
	DriftAll   = "all"
	DriftNone  = "none"
)

// falseAlarm is how many verdicts pass on average until a calibrator that holds is
// withdrawn by chance, at least.
const falseAlarm = 5000

// driftRecent is of how many verdicts an alarm tells.
const driftRecent = 100

// Watch looks whether calibrators still hold, by the verdicts that come, and
// withdraws those that do not: answers then have status prior and say why, until
// the calibrator is fitted anew. It outlives reloads of the configuration, and
// remembers in the store of trials.
type Watch struct {
	trials *store.Trials
	from   string

	mu        sync.Mutex
	watched   map[string]*watched // by the calibrator's digest
	withdrawn map[string]string   // digest to reason
	version   atomic.Int64        // of withdrawn
}

type watched struct {
	stats.Detector
	name   string
	recent []verdictLike
}

// verdictLike is an outcome and what was said of it.
type verdictLike struct{ p, y float64 }

// notedWithdrawn is the note in the store with the calibrators that hold no more.
const notedWithdrawn = "withdrawn calibrators"

// NewWatch goes through the verdicts that the trials hold. from is one of
// [DriftAudit], [DriftAll] and [DriftNone].
func NewWatch(ctx context.Context, trials *store.Trials, from string) (*Watch, error) {
	w := &Watch{trials: trials, from: from, watched: map[string]*watched{}, withdrawn: map[string]string{}}
	if from != DriftAudit && from != DriftAll && from != DriftNone {
		return nil, fmt.Errorf("drift from %q: want %s, %s or %s", from, DriftAudit, DriftAll, DriftNone)
	}
	noted, err := trials.Note(ctx, notedWithdrawn)
	if err != nil {
		return nil, err
	}
	if noted != nil {
		if err := json.Unmarshal(noted, &w.withdrawn); err != nil {
			return nil, fmt.Errorf("drift: what is noted of withdrawn calibrators: %w", err)
		}
	}
	judged, _, err := trials.List(ctx, store.TrialQuery{Judged: true, ByVerdict: true, Believed: true, Status: string(calibrate.Calibrated), Limit: figuresMost})
	if err != nil {
		return nil, err
	}
	for _, t := range slices.Backward(judged) { // the earliest first
		if err := w.verdict(ctx, t); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// verdict takes the first verdict on a trial.
func (w *Watch) verdict(ctx context.Context, t store.Trial) error {
	counts := w.from == DriftAll || w.from == DriftAudit && t.Marked
	if !counts || t.Calibrator == "" || t.Probability == nil || t.Low == nil || t.High == nil || t.Correct == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.watched[t.Calibrator]
	if d == nil {
		d = &watched{}
		w.watched[t.Calibrator] = d
	}
	d.name = t.Name + ", " + t.Policy + ", " + t.Form
	y := 0.0
	if *t.Correct {
		y = 1
	}
	if err := d.Add(*t.Probability, *t.Low, *t.High, y); err != nil {
		return fmt.Errorf("drift: trial %q: %w", t.ID, err)
	}
	d.recent = append(d.recent, verdictLike{*t.Probability, y})
	d.recent = d.recent[max(0, len(d.recent)-driftRecent):]
	if _, gone := w.withdrawn[t.Calibrator]; gone || d.Evidence() < falseAlarm {
		return nil
	}
	var p, right float64
	for _, v := range d.recent {
		p += v.p / float64(len(d.recent))
		right += v.y / float64(len(d.recent))
	}
	return w.withdraw(ctx, []string{t.Calibrator}, fmt.Sprintf(
		"the calibrator was withdrawn: of the latest %d verdicts %.0f %% were right where it had said %.0f %% on average, which is outside of its intervals (by chance at most once in %d verdicts); `gnothi calibrate --from-feedback` fits it anew",
		len(d.recent), 100*right, 100*p, falseAlarm))
}

// withdraw is called under the lock.
func (w *Watch) withdraw(ctx context.Context, digests []string, why string) error {
	for _, d := range digests {
		if _, already := w.withdrawn[d]; !already {
			w.withdrawn[d] = why
		}
	}
	w.version.Add(1)
	raw, err := json.Marshal(w.withdrawn)
	if err != nil {
		return err
	}
	return w.trials.SetNote(ctx, notedWithdrawn, raw)
}

// Withdraw takes calibrators, by their digests, out of force.
func (w *Watch) Withdraw(ctx context.Context, digests []string, why string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.withdraw(ctx, digests, why)
}

// standings tell how calibrators do, in the order of their names.
func (w *Watch) standings() []standing {
	w.mu.Lock()
	defer w.mu.Unlock()
	digests := map[string]bool{}
	for d := range w.watched {
		digests[d] = true
	}
	var out []standing
	for d := range digests {
		x := w.watched[d]
		s := standing{Name: x.name, N: x.N(), Standing: "holds"}
		s.Share = min(1, math.Log1p(x.Evidence())/math.Log1p(falseAlarm))
		s.Evidence = fmt.Sprintf("%.2g of %d", x.Evidence(), falseAlarm)
		if why, gone := w.withdrawn[d]; gone {
			s.Standing = why
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b standing) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// words say what the watch does.
func (w *Watch) words() string {
	from := "verdicts on answers marked at random count (--audit)"
	switch w.from {
	case DriftAll:
		from = "all verdicts count (--drift all)"
	case DriftNone:
		return "Verdicts do not withdraw calibrators (--drift none)."
	}
	return fmt.Sprintf("A calibrator is withdrawn when outcomes leave the intervals of its probabilities; %s. One that holds is withdrawn by chance at most once in %d verdicts on average.", from, falseAlarm)
}

// holding is the set of calibrators without those that were withdrawn.
type holding struct {
	version int64
	set     *calibrate.Set
}

// calibrators gives those in force.
func (g *Gateway) calibrators() *calibrate.Set {
	if g.Watch == nil {
		return g.Calibrators
	}
	version := g.Watch.version.Load()
	if f := g.holding.Load(); f != nil && f.version == version {
		return f.set
	}
	g.Watch.mu.Lock()
	gone := maps.Clone(g.Watch.withdrawn)
	g.Watch.mu.Unlock()
	why := map[calibrate.Key]string{}
	for key, digest := range g.digests {
		if reason, ok := gone[digest]; ok {
			why[key] = reason
		}
	}
	f := &holding{version: version, set: g.Calibrators.Without(why)}
	g.holding.Store(f)
	return f.set
}

// observe tells the watch of a verdict.
func (g *Gateway) observe(ctx context.Context, t store.Trial, now time.Time) {
	if g.Watch == nil || !t.Judged.Equal(now) { // the first verdict on an answer counts
		return
	}
	if err := g.Watch.verdict(ctx, t); err != nil && !errors.Is(err, context.Canceled) {
		g.Log.Error("drift", "error", err.Error())
	}
}

var (
	trialsTotal = prometheus.NewDesc("gnothi_trials_total", "Answers kept as trials, and those that came too fast to be kept.", []string{"fate"}, nil)
	trialsKept  = prometheus.NewDesc("gnothi_trials_kept", "Trials in the store.", nil, nil)
	trialBytes  = prometheus.NewDesc("gnothi_trials_bytes", "Bytes of texts and bodies of the trials in the store.", nil, nil)
	driftShare  = prometheus.NewDesc("gnothi_calibration_drift", "How much of the evidence has come that withdraws a calibrator, 0 to 1, on a logarithmic scale.", []string{"calibrator"}, nil)
	driftGone   = prometheus.NewDesc("gnothi_calibrators_withdrawn", "Calibrators that were withdrawn because they no longer hold.", nil, nil)
)

// TrialMetrics are the figures about trials and the drift of calibrators, for a
// Prometheus registry. Either may be nil.
func TrialMetrics(trials *store.Trials, watch *Watch) prometheus.Collector {
	return trialMetrics{trials, watch}
}

type trialMetrics struct {
	trials *store.Trials
	watch  *Watch
}

// Describe implements [prometheus.Collector].
func (m trialMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{trialsTotal, trialsKept, trialBytes, driftShare, driftGone} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (m trialMetrics) Collect(to chan<- prometheus.Metric) {
	if m.trials != nil {
		c := m.trials.Counts()
		to <- prometheus.MustNewConstMetric(trialsTotal, prometheus.CounterValue, float64(c.Written), "written")
		to <- prometheus.MustNewConstMetric(trialsTotal, prometheus.CounterValue, float64(c.Dropped), "dropped")
		to <- prometheus.MustNewConstMetric(trialsKept, prometheus.GaugeValue, float64(c.Kept))
		to <- prometheus.MustNewConstMetric(trialBytes, prometheus.GaugeValue, float64(c.Bytes))
	}
	if m.watch == nil {
		return
	}
	m.watch.mu.Lock()
	defer m.watch.mu.Unlock()
	for digest, x := range m.watch.watched {
		to <- prometheus.MustNewConstMetric(driftShare, prometheus.GaugeValue, min(1, math.Log1p(x.Evidence())/math.Log1p(falseAlarm)), digest)
	}
	to <- prometheus.MustNewConstMetric(driftGone, prometheus.GaugeValue, float64(len(m.watch.withdrawn)))
}
