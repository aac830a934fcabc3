package eval

import (
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"gnothi/stats"
	"gnothi/text"
)

// What follows is measured of every study whose results say what it takes,
// whatever else the study measures. A result says it by these methods, next to
// [Graded]'s.
type (
	// Confident results carry confidences in the answer that was graded, by name:
	// higher is more trustworthy, and one within [0,1] is read as a probability.
	Confident interface{ Confidences() map[string]float64 }
	// Clustered results are not independent of those with the same name: the same
	// source, the same template. Empty is a cluster of its own.
	Clustered interface{ Cluster() string }
	// Chosen results are of a choice between two: which of them was right, and
	// which was chosen, 0 or 1.
	Chosen interface {
		Choice() (stimulus, response int, ok bool)
	}
	// Revised results were answered before: what the first answer was.
	Revised interface{ First() (text.Outcome, bool) }
	// Judged results were called right by a judge, whose errors are known where
	// the truth is: 0 or 1 each.
	Judged interface {
		Judged() (judge, truth float64, known, ok bool)
	}
)

// Standard is what is measured of every study.
type Standard struct {
	// Headline has what is right of the answers given, and of all items if
	// whatever is neither right nor wrong counts as wrong.
	Headline []Measure `json:"headline,omitempty"`
	// Signals is how far each confidence tells right answers from wrong ones.
	Signals []SignalReport `json:"signals,omitempty"`
	// Detection is the signal detection theory of choices between two, and of the
	// confidence in them.
	Detection *DetectionReport `json:"detection,omitempty"`
	// Revision is what second answers did to right and to wrong first ones.
	Revision *stats.Correction `json:"revision,omitempty"`
	// Detectable is the smallest difference between two runs on these items that
	// would be found four times in five, at 5 %.
	Detectable *Measure `json:"detectable,omitempty"`
}

// SignalReport is how far a confidence tells right answers from wrong ones.
type SignalReport struct {
	Name string `json:"name"`
	stats.Summary
	// Risk is the risk–coverage curve, thinned to a hundred points.
	Risk []stats.Point `json:"risk"`
}

// DetectionReport is what choices between two and their confidence tell.
type DetectionReport struct {
	Confidence string `json:"confidence"` // the name of the confidence that was read
	N          int    `json:"n"`
	stats.Metacognitive
	Why string `json:"why,omitempty"` // there are no figures
}

// standard gathers what the results say.
type standard struct {
	right, graded, done int
	y                   []float64 // of the graded
	all                 []float64 // of all that were asked; what is not right is 0
	clusters            []string  // of the graded
	allClusters         []string
	scores              map[string][]float64        // by name, as long as y; NaN where there is none
	decisions           map[string][]stats.Decision // by the name of the confidence
	before, after       [][]bool
	revised             []string // clusters
	judge, truth        []float64
	known               []bool
}

// fixed seeds the resampling: the same records, the same intervals.
func fixed() *rand.Rand { return rand.New(rand.NewPCG(1, 1)) }

func (s *standard) add(rec Record, result any) {
	if rec.Outcome == OutcomeUnasked {
		return
	}
	s.done++
	cluster := clusterOf(rec, result)
	y := 0.0
	if rec.Outcome == OutcomeRight {
		y = 1
		s.right++
	}
	s.all, s.allClusters = append(s.all, y), append(s.allClusters, cluster)
	if result == nil {
		return
	}
	if r, ok := result.(Revised); ok {
		if first, ok := r.First(); ok && gradedOutcome(rec.Outcome) && (first == text.Right || first == text.Wrong) {
			s.before, s.after = append(s.before, []bool{first == text.Right}), append(s.after, []bool{y == 1})
			s.revised = append(s.revised, cluster)
		}
	}
	if j, ok := result.(Judged); ok {
		if judge, truth, known, ok := j.Judged(); ok {
			s.judge, s.truth, s.known = append(s.judge, judge), append(s.truth, truth), append(s.known, known)
		}
	}
	if !gradedOutcome(rec.Outcome) {
		return
	}
	s.graded++
	s.y, s.clusters = append(s.y, y), append(s.clusters, cluster)
	confidences := map[string]float64{}
	if c, ok := result.(Confident); ok {
		confidences = c.Confidences()
	}
	for name, v := range confidences {
		if s.scores == nil {
			s.scores = map[string][]float64{}
		}
		column := s.scores[name]
		for len(column) < len(s.y)-1 {
			column = append(column, math.NaN())
		}
		s.scores[name] = append(column, v)
	}
	if c, ok := result.(Chosen); ok {
		if stimulus, response, ok := c.Choice(); ok {
			for name, v := range confidences {
				if s.decisions == nil {
					s.decisions = map[string][]stats.Decision{}
				}
				s.decisions[name] = append(s.decisions[name], stats.Decision{Stimulus: stimulus, Response: response, Confidence: v})
			}
		}
	}
}

// clusterOf names the items that one is not independent of.
func clusterOf(rec Record, result any) string {
	if c, ok := result.(Clustered); ok && c.Cluster() != "" {
		return c.Cluster()
	}
	return "\x00" + strconv.Itoa(rec.Index)
}

func gradedOutcome(o string) bool { return o == OutcomeRight || o == OutcomeWrong }

// shared numbers clusters; nil where no two items share one.
func shared(clusters []string) []int {
	groups := stats.Groups(clusters)
	if len(groups) == 0 || slices.Max(groups)+1 == len(groups) {
		return nil
	}
	return groups
}

// share is the share of ones, with clustered errors where items share one.
func share(name string, y []float64, clusters []string) Measure {
	if groups := shared(clusters); groups != nil {
		f, err := stats.WilsonClustered(y, groups, Level)
		return Of(name, f, err)
	}
	return Average(name, y)
}

func (s *standard) sum() Standard {
	var out Standard
	if s.graded > 0 {
		out.Headline = append(out.Headline, share(rightOfAnswered, s.y, s.clusters))
		if s.done > s.graded {
			out.Headline = append(out.Headline, share("right, if all others were wrong", s.all, s.allClusters))
		}
		out.Detectable = detectable(s.y, s.clusters)
	}
	if m := s.corrected(); m != nil {
		out.Headline = append(out.Headline, *m)
	}
	for _, name := range slices.Sorted(maps.Keys(s.scores)) {
		out.Signals = append(out.Signals, s.signal(name))
	}
	out.Detection = s.detection()
	if len(s.before) > 0 {
		if c, err := (stats.Bootstrap{Cluster: shared(s.revised)}).Correction(fixed(), s.before, s.after); err == nil {
			out.Revision = &c
		}
	}
	return out
}

// detection reads the confidence that most choices have, the first by name among
// those.
func (s *standard) detection() *DetectionReport {
	r := &DetectionReport{}
	for _, name := range slices.Sorted(maps.Keys(s.decisions)) {
		if n := len(s.decisions[name]); n > r.N {
			r.Confidence, r.N = name, n
		}
	}
	if r.N == 0 {
		return nil
	}
	var err error
	if r.Metacognitive, err = (stats.Bootstrap{Level: Level}).Metacognition(fixed(), s.decisions[r.Confidence], 0); err != nil {
		r.Why = err.Error()
		none := stats.Missing(r.N, err)
		r.DPrime, r.Criterion, r.MetaD, r.MRatio, r.Type2 = none, none, none, none, none
	}
	return r
}

// rightOfAnswered names the first headline.
const rightOfAnswered = "right, of those answered"

// riskPoints is how many points of a risk–coverage curve a report keeps.
const riskPoints = 100

func (s *standard) signal(name string) SignalReport {
	r := SignalReport{Name: name}
	var score, y []float64
	var clusters []string
	for i, v := range s.scores[name] {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			score, y, clusters = append(score, v), append(y, s.y[i]), append(clusters, s.clusters[i])
		}
	}
	var err error
	r.Summary, err = stats.Summarise(fixed(), score, y, stats.Options{Level: Level, Cluster: shared(clusters)})
	if err != nil {
		r.N, r.Why = len(y), append(r.Why, err.Error())
		return r
	}
	if points, err := stats.RiskCoverage(score, y); err == nil {
		r.Risk = thinned(points, riskPoints)
	}
	return r
}

// thinned keeps the ends and, between them, points that lie evenly.
func thinned(points []stats.Point, most int) []stats.Point {
	if len(points) <= most {
		return points
	}
	out := make([]stats.Point, 0, most)
	for i := range most {
		out = append(out, points[i*(len(points)-1)/(most-1)])
	}
	return out
}

// corrected is the share of right answers where a judge called them so: it
// counts all that the judge saw, corrected by its errors on those whose truth is
// known.
func (s *standard) corrected() *Measure {
	known, n := 0, len(s.judge)
	for _, k := range s.known {
		if k {
			known++
		}
	}
	if n == 0 || known == n {
		return nil
	}
	name := "right, as the judge has it, corrected for its errors"
	if known == 0 {
		m := Of(name, stats.Figure{N: n}, errors.New("no item's truth is known: the judge's errors are not known either"))
		return &m
	}
	var truth, judged, rest []float64
	for i, k := range s.known {
		if k {
			truth, judged = append(truth, s.truth[i]), append(judged, s.judge[i])
		} else {
			rest = append(rest, s.judge[i])
		}
	}
	f, err := stats.PPI{Level: Level}.Mean(truth, judged, rest)
	f.N = n
	m := Of(name, f, err)
	return &m
}

// detectable is the smallest difference in what is right that two runs on these
// items would show, half of what is right or wrong in one being so in the other.
func detectable(y []float64, clusters []string) *Measure {
	right := 0.0
	for _, v := range y {
		right += v
	}
	n := float64(len(y))
	plan := stats.Plan{}
	if groups := shared(clusters); groups != nil {
		if deff, err := stats.ObservedDesignEffect(y, groups); err == nil {
			plan.DesignEffect = max(1, deff)
		}
	}
	f, err := stats.MinimumDetectable(len(y), stats.PairedRates{Rate: min(max(right/n, 0.5/n), 1-0.5/n), Correlation: 0.5}, plan)
	m := Of("smallest difference that two runs on these items would show", f, err)
	return &m
}
