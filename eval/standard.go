package eval

import (
	"errors"
	"hash/maphash"
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

// standard gathers what the results say, as columns of numbers: of two hundred
// thousand items some megabytes.
type standard struct {
	right, graded, done int
	clusters            Clusters           // of the items that were asked
	is                  []bits             // what became of each of them
	scores              map[string]*scores // by name
	chosen              bool               // some results are of choices
	judge, truth        []float64
	known               []bool
}

// bits are what is known of an item besides its scores.
type bits uint8

const (
	isRight bits = 1 << iota
	isGraded
	isRevised // there was a first answer that was right or wrong
	wasRight  // and which
	isChoice
	stimulus // of a choice: 1
	response
)

func when(ok bool, b bits) bits {
	if ok {
		return b
	}
	return 0
}

// scores are those of one name: of the items at, in their order.
type scores struct {
	at []int32
	v  []float64
}

// Clusters numbers items that are related. Names are kept as their hashes: of a
// million two are taken for the same with a probability of one in ten million.
type Clusters struct {
	seed maphash.Seed
	ids  map[uint64]int32
	next int32
	of   []int32 // by item
}

// Add says the cluster of the next item; one without a name is one of its own.
func (c *Clusters) Add(name string) {
	if name != "" {
		if c.ids == nil {
			c.seed, c.ids = maphash.MakeSeed(), map[uint64]int32{}
		}
		h := maphash.String(c.seed, name)
		id, ok := c.ids[h]
		if ok {
			c.of = append(c.of, id)
			return
		}
		c.ids[h] = c.next
	}
	c.of = append(c.of, c.next)
	c.next++
}

// Groups numbers the clusters of some of the items, in the order in which they
// come; nil where no two of the items are related.
func (c *Clusters) Groups(items []int32) []int {
	again := make([]int32, c.next) // 0: not seen
	next := int32(0)
	out := make([]int, len(items))
	for k, i := range items {
		id := c.of[i]
		if again[id] == 0 {
			next++
			again[id] = next
		}
		out[k] = int(again[id] - 1)
	}
	if int(next) == len(items) {
		return nil
	}
	return out
}

// fixed seeds the resampling: the same records, the same intervals.
func fixed() *rand.Rand { return rand.New(rand.NewPCG(1, 1)) }

func (s *standard) add(rec Record, result any) {
	if rec.Outcome == OutcomeUnasked {
		return
	}
	at := int32(s.done)
	s.done++
	right, graded := rec.Outcome == OutcomeRight, gradedOutcome(rec.Outcome)
	is := when(right, isRight) | when(graded, isGraded)
	name := ""
	if c, ok := result.(Clustered); ok {
		name = c.Cluster()
	}
	s.clusters.Add(name)
	if right {
		s.right++
	}
	if graded {
		s.graded++
	}
	if result != nil {
		if r, ok := result.(Revised); ok {
			if first, ok := r.First(); ok && graded && (first == text.Right || first == text.Wrong) {
				is |= isRevised | when(first == text.Right, wasRight)
			}
		}
		if j, ok := result.(Judged); ok {
			if judge, truth, known, ok := j.Judged(); ok {
				s.judge, s.truth, s.known = append(s.judge, judge), append(s.truth, truth), append(s.known, known)
			}
		}
		if graded {
			is |= s.scored(at, result)
		}
	}
	s.is = append(s.is, is)
}

// scored takes the confidences of a graded result, and its choice.
func (s *standard) scored(at int32, result any) (is bits) {
	if c, ok := result.(Confident); ok {
		for name, v := range c.Confidences() {
			if s.scores == nil {
				s.scores = map[string]*scores{}
			}
			column := s.scores[name]
			if column == nil {
				column = &scores{}
				s.scores[name] = column
			}
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				column.at, column.v = append(column.at, at), append(column.v, v)
			}
		}
	}
	if c, ok := result.(Chosen); ok {
		if was, said, ok := c.Choice(); ok {
			s.chosen = true
			is = isChoice | when(was == 1, stimulus) | when(said == 1, response)
		}
	}
	return is
}

// ones are a bit of items as numbers; those of which keep is wanted, or of all.
func (s *standard) ones(bit, keep bits) []float64 {
	out := make([]float64, 0, s.done)
	for _, is := range s.is {
		if is&keep == keep {
			out = append(out, one(is&bit != 0))
		}
	}
	return out
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// related numbers the clusters of the items that have a bit; nil where no two of
// them share one.
func (s *standard) related(keep bits) []int {
	at := make([]int32, 0, s.done)
	for i, is := range s.is {
		if is&keep == keep {
			at = append(at, int32(i))
		}
	}
	return s.clusters.Groups(at)
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
func share(name string, y []float64, groups []int) Measure {
	if groups != nil {
		f, err := stats.WilsonClustered(y, groups, Level)
		f.Unit = stats.Share
		return Of(name, f, err)
	}
	return Average(name, y)
}

func (s *standard) sum() Standard {
	var out Standard
	if s.graded > 0 {
		y, groups := s.ones(isRight, isGraded), s.related(isGraded)
		out.Headline = append(out.Headline, share(rightOfAnswered, y, groups))
		out.Detectable = detectable(y, groups)
		if s.done > s.graded {
			out.Headline = append(out.Headline, share("right, if all others were wrong", s.ones(isRight, 0), s.related(0)))
		}
	}
	if m := s.corrected(); m != nil {
		out.Headline = append(out.Headline, *m)
	}
	for _, name := range slices.Sorted(maps.Keys(s.scores)) {
		out.Signals = append(out.Signals, s.signal(name))
	}
	out.Detection = s.detection()
	if before := pairs(s.ones(wasRight, isRevised)); len(before) > 0 {
		after := pairs(s.ones(isRight, isRevised))
		if c, err := (stats.Bootstrap{Cluster: s.related(isRevised)}).Correction(fixed(), before, after); err == nil {
			out.Revision = &c
		}
	}
	return out
}

// pairs are answers as [stats.Bootstrap.Correction] takes them: one of each item.
func pairs(y []float64) [][]bool {
	all, out := make([]bool, len(y)), make([][]bool, len(y))
	for i, v := range y {
		all[i] = v == 1
		out[i] = all[i : i+1 : i+1]
	}
	return out
}

// detection reads the confidence that most choices have, the first by name among
// those.
func (s *standard) detection() *DetectionReport {
	if !s.chosen {
		return nil
	}
	r := &DetectionReport{}
	for _, name := range slices.Sorted(maps.Keys(s.scores)) {
		n := 0
		for _, i := range s.scores[name].at {
			if s.is[i]&isChoice != 0 {
				n++
			}
		}
		if n > r.N {
			r.Confidence, r.N = name, n
		}
	}
	if r.N == 0 {
		return nil
	}
	decisions := make([]stats.Decision, 0, r.N)
	for k, i := range s.scores[r.Confidence].at {
		if is := s.is[i]; is&isChoice != 0 {
			decisions = append(decisions, stats.Decision{Stimulus: int(one(is&stimulus != 0)), Response: int(one(is&response != 0)), Confidence: s.scores[r.Confidence].v[k]})
		}
	}
	var err error
	if r.Metacognitive, err = (stats.Bootstrap{Level: Level}).Metacognition(fixed(), decisions, 0); err != nil {
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
	column := s.scores[name]
	y := make([]float64, len(column.v))
	for k, i := range column.at {
		y[k] = one(s.is[i]&isRight != 0)
	}
	var err error
	r.Summary, err = stats.Summarise(fixed(), column.v, y, stats.Options{Level: Level, Cluster: s.clusters.Groups(column.at)})
	if err != nil {
		r.N, r.Why = len(y), append(r.Why, err.Error())
		return r
	}
	if points, err := stats.RiskCoverage(column.v, y); err == nil {
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
func detectable(y []float64, groups []int) *Measure {
	right := 0.0
	for _, v := range y {
		right += v
	}
	n := float64(len(y))
	plan := stats.Plan{}
	if groups != nil {
		if deff, err := stats.ObservedDesignEffect(y, groups); err == nil {
			plan.DesignEffect = max(1, deff)
		}
	}
	f, err := stats.MinimumDetectable(len(y), stats.PairedRates{Rate: min(max(right/n, 0.5/n), 1-0.5/n), Correlation: 0.5}, plan)
	m := Of("smallest difference that two runs on these items would show", f, err)
	return &m
}
