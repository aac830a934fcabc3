package judge

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gnothi/monitor"
	"gnothi/stats"
)

// Additive is the rubric that meta-rewarding judges by, in our words: five
// points, each earned on top of the ones before.
const Additive = "give one point each, added up, if it is relevant and says something of use; if it answers a substantial part of the request; if it answers the basic request in a useful way; if it is clearly written from the standpoint of an assistant and complete; and if it is the work of an expert, tailored to the request, with nothing superfluous"

// AdditiveJudge rates from 0 to 5 by [Additive], reasoning first, so often
// (meta-rewarding, Wu et al. 2024: 11 times). Its ratings leave out what could
// not be read.
func AdditiveJudge(votes int) *Judge {
	return &Judge{Rubric: Additive, Low: 0, High: 5, Votes: votes, Temperature: 0.8, Reason: true}
}

// PickPair chooses a response to prefer and one to reject from mean scores and
// lengths (meta-rewarding's length control): of those that score at least
// (1 − rho)·max + rho·min the shortest, against the longest of those that score
// at most (1 − rho)·min + rho·max (the mirror image of the paper's band; chosen).
// rho is in [0,½); it grows by round until the average length stands still.
// Scores that are NaN are missing and chosen by nothing. ok is false where all
// scores are equal.
func PickPair(scores []float64, lengths []int, rho float64) (chosen, rejected int, ok bool, err error) {
	if len(scores) != len(lengths) {
		return 0, 0, false, fmt.Errorf("judge: pair: %d scores, %d lengths", len(scores), len(lengths))
	}
	if !(rho >= 0 && rho < 0.5) {
		return 0, 0, false, fmt.Errorf("judge: pair: band %v: want at least 0 and below 0.5", rho)
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, s := range scores {
		if !math.IsNaN(s) {
			low, high = min(low, s), max(high, s)
		}
	}
	if !(low < high) {
		return 0, 0, false, nil
	}
	chosen, rejected = -1, -1
	for i, s := range scores {
		if s >= (1-rho)*high+rho*low && (chosen < 0 || lengths[i] < lengths[chosen]) {
			chosen = i
		}
		if s <= (1-rho)*low+rho*high && (rejected < 0 || lengths[i] > lengths[rejected]) {
			rejected = i
		}
	}
	return chosen, rejected, true, nil
}

// MetaGame is one verdict of a meta-judge over two judgements of one response.
type MetaGame struct {
	First, Second int     // the judgements shown first and second
	Won           float64 // by the first: 1, ½ or 0
}

// MetaPair is what a meta-judge's games say of n judgements.
type MetaPair struct {
	Theta   []float64  // Bradley–Terry log-strengths, sum 0
	Weights [2]float64 // of a win in first and in second place; they sum to 1
	Best    int
	Worst   int
	OK      bool // false where all judgements are equally strong: there is no pair
}

// FitMeta rates judgements from their games in both orders (meta-rewarding). A
// win in first place weighs ω₁ = win₂/(win₁ + win₂), in second place 1 − ω₁,
// where win₁ and win₂ count the wins in each place over all games, so that a
// place that wins too often counts less. The strengths are Bradley–Terry's with
// the mild penalty of .01, which keeps a judgement that always won finite
// (chosen; Elo with a constant K hangs on the order of games).
func FitMeta(n int, games []MetaGame) (MetaPair, error) {
	if n < 2 {
		return MetaPair{}, fmt.Errorf("judge: meta-judge: %d judgements: want at least two", n)
	}
	var place [2]float64
	for i, g := range games {
		if min(g.First, g.Second) < 0 || max(g.First, g.Second) >= n || g.First == g.Second || !(g.Won >= 0 && g.Won <= 1) {
			return MetaPair{}, fmt.Errorf("judge: meta-judge: game %d: %+v: want two of %d judgements and a share in [0,1]", i+1, g, n)
		}
		place[0] += g.Won
		place[1] += 1 - g.Won
	}
	out := MetaPair{Weights: [2]float64{0.5, 0.5}}
	if total := place[0] + place[1]; total > 0 {
		out.Weights = [2]float64{place[1] / total, place[0] / total}
	}
	wins := make([][]float64, n)
	for i := range wins {
		wins[i] = make([]float64, n)
	}
	for _, g := range games {
		wins[g.First][g.Second] += 2 * out.Weights[0] * g.Won
		wins[g.Second][g.First] += 2 * out.Weights[1] * (1 - g.Won)
	}
	fit, err := stats.BradleyTerry(wins, 0.01)
	if err != nil {
		return MetaPair{}, fmt.Errorf("judge: meta-judge: %w", err)
	}
	out.Theta = fit.Theta
	for i, theta := range fit.Theta {
		if theta > fit.Theta[out.Best] {
			out.Best = i
		}
		if theta < fit.Theta[out.Worst] {
			out.Worst = i
		}
	}
	out.OK = fit.Theta[out.Best]-fit.Theta[out.Worst] > 1e-6
	return out, nil
}

// MetaRubric is what a meta-judge compares judgements by.
const MetaRubric = "which of the two judgements of the same reply follows the rubric more faithfully, argues from what the reply really says, and draws the verdict that its argument supports"

// Meta plays every pair of judgements of one response against each other, in
// both orders: n(n − 1) verdicts. The trial's question should show what was
// judged; Rubric is usually [MetaRubric]. A pair without a verdict has no game.
func (j *Judge) Meta(ctx context.Context, t *monitor.Trial, judgements []*monitor.Candidate) (MetaPair, []MetaGame, error) {
	var games []MetaGame
	for a := range judgements {
		for b := a + 1; b < len(judgements); b++ {
			c, err := j.Compare(ctx, t, judgements[a], judgements[b])
			if errors.Is(err, ErrUnparsed) {
				continue
			}
			if err != nil {
				return MetaPair{}, games, err
			}
			games = append(games, MetaGame{a, b, c.Orders[0]}, MetaGame{b, a, 1 - c.Orders[1]})
		}
	}
	pair, err := FitMeta(len(judgements), games)
	return pair, games, err
}

// Histogram counts scores on the whole numbers from low to high, so that
// inflation over rounds of training shows; NaN is left out.
func Histogram(scores []float64, low, high int) []int {
	out := make([]int, max(0, high-low+1))
	for _, s := range scores {
		if i := int(math.Round(s)) - low; !math.IsNaN(s) && i >= 0 && i < len(out) {
			out[i]++
		}
	}
	return out
}

// Disputed is the candidate whose ratings spread most, whose judgements teach a
// judge most; −1 where no ratings differ.
func Disputed(ratings []Rating) int {
	best := -1
	for i, r := range ratings {
		if r.Spread > 0 && (best < 0 || r.Spread > ratings[best].Spread) {
			best = i
		}
	}
	return best
}
