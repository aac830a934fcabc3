package stats

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// What a bootstrap of many figures needs: the items are ordered once, a resample is how often each unit was drawn, and
// every figure is computed from runs of equal scores weighed by those counts. A resample costs O(n) for all figures
// together, without sorting, and memory does not grow with the number of resamples but for the values themselves.

// unitsOf gives each item the unit that is drawn for it: itself, or its cluster.
func unitsOf(cluster []int, n int) (unit []int32, count int, over string) {
	unit = make([]int32, n)
	if cluster == nil {
		for i := range unit {
			unit[i] = int32(i)
		}
		return unit, n, "items"
	}
	for i, g := range Groups(cluster) {
		unit[i] = int32(g)
		count = max(count, g+1)
	}
	return unit, count, "clusters"
}

// estimate is one of the figures of a bootstrap.
type estimate struct {
	kind IntervalKind // Percentile or Basic
	into *Figure
	stat func() (float64, error) // of the resample weighed last
}

// together resamples once for all estimates. weigh gets how often each unit was drawn, before the estimates are asked. A
// figure that is undefined on the items themselves is missing, with the reason.
func (b Bootstrap) together(rng *rand.Rand, n, units int, over string, weigh func(count []int32), estimates []estimate) {
	count := make([]int32, units)
	fill(count, 1)
	weigh(count)
	values := make([][]float64, len(estimates))
	for k, e := range estimates {
		v, err := finite(e.stat())
		*e.into = Figure{Value: v, N: n}
		if err != nil {
			*e.into = Missing(n, err)
			continue
		}
		values[k] = make([]float64, 0, b.Resamples)
	}
	if units > 1 {
		for range b.Resamples {
			draw(rng, count)
			weigh(count)
			for k, e := range estimates {
				if values[k] == nil {
					continue
				}
				if v, err := finite(e.stat()); err == nil {
					values[k] = append(values[k], v)
				}
			}
			b.drawn()
		}
	}
	for k, e := range estimates {
		if values[k] != nil {
			b.Kind = e.kind
			*e.into = b.interval(e.into.Value, n, units, over, values[k], nil)
		}
	}
}

// interval turns the values on resamples into a figure, sorting them. levels moves the quantile levels; nil leaves them.
func (b Bootstrap) interval(value float64, n, units int, over string, values []float64, levels func(sorted []float64, low, high float64) (float64, float64, error)) Figure {
	method := methodf(fmt.Sprintf("bootstrap %s over %d %s, %d resamples", [...]string{"percentile", "basic", "BCa"}[b.Kind], units, over, b.Resamples), b.Level)
	if units < 2 {
		return pointOnly(value, n, method, "an interval needs two items or clusters")
	}
	if 10*len(values) < 9*b.Resamples {
		return pointOnly(value, n, method, fmt.Sprintf("undefined on %d of %d resamples", b.Resamples-len(values), b.Resamples))
	}
	slices.Sort(values)
	low, high := (1-b.Level)/2, (1+b.Level)/2
	if levels != nil {
		var err error
		if low, high, err = levels(values, low, high); err != nil {
			return pointOnly(value, n, method, err.Error())
		}
	}
	f := Figure{Value: value, Low: quantile(values, low), High: quantile(values, high), N: n, Method: method}
	if b.Kind == Basic {
		f.Low, f.High = 2*value-f.High, 2*value-f.Low
	}
	if b.null && b.Kind != BCa {
		f = f.tested(signP(values, value, b.Kind))
	}
	return f
}

// signP is the level at which an interval of resampled values would just reach 0.
func signP(values []float64, value float64, kind IntervalKind) float64 {
	var below, above float64
	for _, v := range values {
		if kind == Basic {
			v = 2*value - v
		}
		if v <= 0 {
			below++
		}
		if v >= 0 {
			above++
		}
	}
	return min(1, 2*(min(below, above)+1)/float64(len(values)+1))
}

func fill(count []int32, v int32) {
	for u := range count {
		count[u] = v
	}
}

// draw counts how often each unit comes in as many draws with replacement, two draws for each random word (Lemire 2019).
func draw(rng *rand.Rand, count []int32) {
	clear(count)
	n := uint32(len(count))
	reject := -n % n
	for left := len(count); left > 0; {
		word := rng.Uint64()
		for _, half := range [2]uint32{uint32(word), uint32(word >> 32)} {
			p := uint64(half) * uint64(n)
			if uint32(p) < reject || left == 0 {
				continue
			}
			count[p>>32]++
			left--
		}
	}
}

// ranking is the order of the items from the highest score down.
type ranking struct {
	items []rankedItem
	score []float64 // of the runs
	runs  []tied    // room for those of a resample
}

type rankedItem struct {
	y    float64
	unit int32 // whose count weighs the item
	last bool  // of its run of equal scores
}

func newRanking(score, y []float64, unit []int32) *ranking {
	order := ascending(score)
	slices.Reverse(order)
	r := &ranking{items: make([]rankedItem, len(y))}
	for k, i := range order {
		last := k+1 == len(order) || score[order[k+1]] != score[i]
		if r.items[k] = (rankedItem{y[i], unit[i], last}); last {
			r.score = append(r.score, score[i])
		}
	}
	r.runs = make([]tied, len(r.score))
	return r
}

// weigh returns the runs of a resample; they are valid until the next call.
func (r *ranking) weigh(count []int32) []tied {
	var n, y float64
	run, kept := 0, 0
	for _, it := range r.items {
		c := float64(count[it.unit])
		n += c
		y += c * it.y
		if it.last {
			r.runs[kept] = tied{r.score[run], n, y}
			if n > 0 { // written first: whether a unit was drawn is what a processor cannot predict
				kept++
			}
			run++
			n, y = 0, 0
		}
	}
	return r.runs[:kept]
}

// within is one ranking for each group.
func within(score, y []float64, unit []int32, group []int) []*ranking {
	var out []*ranking
	for _, items := range members(group) {
		own := make([]int32, len(items))
		for k, i := range items {
			own[k] = unit[i]
		}
		out = append(out, newRanking(take(nil, score, items), take(nil, y, items), own))
	}
	return out
}

// reversed ranks for finding the items that are wrong, into a buffer.
func reversed(into, runs []tied) []tied {
	into = into[:0]
	for _, r := range slices.Backward(runs) {
		into = append(into, tied{-r.score, r.n, r.n - r.y})
	}
	return into
}

// cut makes bins of runs (highest first): one up to and including each of the ascending upper edges, and one beyond. Only
// P, Y and N are filled in, empty bins left out: [Bins] of a resample.
func cut(into []Bin, runs []tied, upper []float64) []Bin {
	into = into[:0]
	var b Bin
	var n float64
	flush := func() {
		if n > 0 {
			into = append(into, Bin{P: b.P / n, Y: b.Y / n, N: int(n)})
		}
		b, n = Bin{}, 0
	}
	k := 0
	for _, r := range slices.Backward(runs) {
		for k < len(upper) && r.score > upper[k] {
			flush()
			k++
		}
		b.P += r.n * r.score
		b.Y += r.y
		n += r.n
	}
	flush()
	return into
}

// massEdges are the edges of [MassQuantile]: linear quantiles of the scores of runs.
func massEdges(into []float64, runs []tied, m int) []float64 {
	n, _ := sums(runs)
	into = into[:0]
	k, upTo := len(runs)-1, 0.0 // run of the order statistic looked at, and how many lie in lower ones
	at := func(rank float64) float64 {
		for rank >= upTo+runs[k].n {
			upTo += runs[k].n
			k--
		}
		return runs[k].score
	}
	for i := 1; i < m; i++ {
		pos := float64(i) * (1 / float64(m)) * (n - 1)
		rank := float64(int(pos))
		low := at(rank)
		edge := low
		if rank+1 < n {
			high := low
			if rank+1 >= upTo+runs[k].n {
				high = runs[k-1].score
			}
			edge = low + (pos-rank)*(high-low)
		}
		into = append(into, edge)
	}
	return into
}

// widthEdges are the upper edges of [WidthRight] but the last, which is 1.
func widthEdges(m int) []float64 {
	upper := make([]float64, m-1)
	for i := range upper {
		upper[i] = float64(i+1) * (1 / float64(m))
	}
	return upper
}

// skills sums the log losses of a resample.
type skills struct {
	unit         []int32
	loss, y      []float64
	group        []int
	count, right []float64 // by group
}

func newSkills(p, y []float64, unit []int32, group []int) (*skills, error) {
	loss, err := logLosses(p, y, Clip)
	if err != nil {
		return nil, err
	}
	groups := 1
	if group != nil {
		group = Groups(group)
		groups = slices.Max(group) + 1
	}
	return &skills{unit, loss, y, group, make([]float64, groups), make([]float64, groups)}, nil
}

// of is the log-loss skill over the base rates of the groups.
func (s *skills) of(count []int32) (float64, error) {
	clear(s.count)
	clear(s.right)
	var own, base float64
	g := 0
	for i, u := range s.unit {
		c := float64(count[u])
		if s.group != nil {
			g = s.group[i]
		}
		own += c * s.loss[i]
		s.count[g] += c
		s.right[g] += c * s.y[i]
	}
	for g, n := range s.count {
		if n > 0 {
			r := min(1, s.right[g]/n) // a sum of tenths may pass 1 by rounding
			base += n * crossEntropy(r, r)
		}
	}
	if base == 0 {
		return 0, fmt.Errorf("stats: log-loss skill: every group is all right or all wrong: %w", ErrOneClass)
	}
	return 1 - own/base, nil
}
