package stats

import (
	"fmt"
	"math"
)

// Detector notices when outcomes leave the intervals that their probabilities were given with, however often it is
// looked at. It bets against the hypothesis that each outcome's probability, given all before it, lies in the interval
// that was told: a bet is a likelihood ratio against the nearest end of the interval, which is no more than 1 on average
// where the hypothesis holds. Bets begin anew at each outcome (the e-detector of Shin, Ramdas and Rinaldo 2023, in the
// manner of Shiryaev and Roberts), so that a change is found however long all was well before it. A mixture of bets
// looks for outcomes that are less or more frequent than told, and for probabilities that are too extreme or not extreme
// enough, each for odds that are off by e^½, e and e². The zero Detector is ready.
type Detector struct {
	n   int
	sum [4][3]float64
}

// odds are how far the bets think that odds are off, in log-odds.
var odds = [3]float64{0.5, 1, 2}

// Add takes an outcome, 1 or 0, whose probability was told to be p, in [low, high].
func (d *Detector) Add(p, low, high, y float64) error {
	if err := checkUnit([]float64{p, low, high, y}); err != nil {
		return err
	}
	if low > high || y != 0 && y != 1 {
		return fmt.Errorf("stats: outcome %v with an interval of %v to %v: %w", y, low, high, ErrNotBinary)
	}
	const edge = 1e-3 // nobody is surer than this with good reason
	low, high = min(max(low, edge), 1-edge), min(max(high, edge), 1-edge)
	d.n++
	for k, shift := range odds {
		more := ratio(high, Sigmoid(Logit(high, edge)+shift), y)
		less := ratio(low, Sigmoid(Logit(low, edge)-shift), y)
		extreme, timid := less, more // a high probability that is too extreme comes true less often
		if p < 0.5 {
			extreme, timid = more, less
		}
		for i, bet := range [4]float64{more, less, extreme, timid} {
			d.sum[i][k] = min((d.sum[i][k]+1)*bet, math.MaxFloat64/1e9)
		}
	}
	return nil
}

// ratio is how much more likely an outcome is with probability q than with p.
func ratio(p, q, y float64) float64 {
	if y == 1 {
		return q / p
	}
	return (1 - q) / (1 - p)
}

// N is how many outcomes were taken.
func (d *Detector) N() int { return d.n }

// Evidence is what the bets have come to. An alarm where it reaches A is false at most once in A outcomes, on average.
func (d *Detector) Evidence() float64 {
	var s float64
	for _, row := range d.sum {
		for _, v := range row {
			s += v / float64(len(d.sum)*len(row))
		}
	}
	return s
}
