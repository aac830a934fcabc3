package control

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// Batch is a policy that gains from seeing many questions at once.
type Batch interface {
	Policy
	// RunAll answers all trials, which share a model. A failure of one is its own:
	// errs has an entry for each. The error is the context's.
	RunAll(ctx context.Context, ts []*monitor.Trial) (results []Result, errs []error, err error)
}

// DifficultyAdaptive spends samples on the hard questions of a batch
// (difficulty-adaptive-self-consistency, Wang et al. 2024): the model ranks the
// questions by difficulty; from the hardest down, each gets a first window of
// samples, until so many in a row were settled by it that all easier ones get one
// greedy answer; a hard question's first window is what its neighbours in rank
// needed. On a single question there is nothing to rank, and it is `adaptive`.
type DifficultyAdaptive struct {
	Sampling   monitor.Sampling
	Conf       float64 // Beta posterior that settles a question
	Window     int     // samples of each extension
	Max        int     // most samples a question
	Group      int     // questions ranked together
	Rounds     int     // rankings, each of other groups
	Streak     int     // settled questions in a row that make the rest easy
	Neighbours int     // finished questions a first window is taken from
}

// NewDifficultyAdaptive has the published settings; Streak and Neighbours are
// recalled, not re-read.
func NewDifficultyAdaptive() DifficultyAdaptive {
	return DifficultyAdaptive{Sampling: monitor.DefaultSampling, Conf: 0.95, Window: 5, Max: 40, Group: 8, Rounds: 5, Streak: 32, Neighbours: 16}
}

// least is the smallest first window: fewer samples settle nothing.
const least = 4

// batchWorkers bounds how many questions of a batch are asked at once.
const batchWorkers = 4

var rankTemplate = prompt.Template{Name: "rank-difficulty", Version: 1, Text: "Here are {n} questions.\n{questions}\nOrder them from the easiest to the hardest. Reply with their labels only, each once, separated by commas, such as Q2, Q1, Q3."}

// String implements Policy.
func (d DifficultyAdaptive) String() string {
	return fmt.Sprintf("difficulty-adaptive(%v, conf=%g window=%d max=%d group=%d rounds=%d streak=%d neighbours=%d, %s)",
		Independent{Sampling: d.Sampling}, d.Conf, d.Window, d.Max, d.Group, d.Rounds, d.Streak, d.Neighbours, rankTemplate.ID())
}

// Run implements Policy.
func (d DifficultyAdaptive) Run(ctx context.Context, t *monitor.Trial) (Result, error) {
	return d.vote(1).Run(ctx, t)
}

func (d DifficultyAdaptive) vote(first int) Vote {
	return Vote{Sampler: Independent{Sampling: d.Sampling}, Stop: windowed{first, Settled{Conf: d.Conf, Batch: d.Window, Max: d.Max}}}
}

// windowed draws a first window before it looks.
type windowed struct {
	first int
	Settled
}

// More implements Stopper.
func (w windowed) More(classes []int) int {
	if n := min(w.first, w.Max); len(classes) < n {
		return n - len(classes)
	}
	return w.Settled.More(classes)
}

// RunAll implements Batch.
func (d DifficultyAdaptive) RunAll(ctx context.Context, ts []*monitor.Trial) ([]Result, []error, error) {
	results, errs := make([]Result, len(ts)), make([]error, len(ts))
	if len(ts) == 1 {
		results[0], errs[0] = d.Run(ctx, ts[0])
		return results, errs, ctx.Err()
	}
	difficulty, err := d.rank(ctx, ts)
	if err != nil {
		return results, errs, err
	}
	order := make([]int, len(ts)) // the hardest first
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case difficulty[a] > difficulty[b]:
			return -1
		case difficulty[a] < difficulty[b]:
			return 1
		}
		return 0
	})
	hard, settled, err := d.partition(ctx, ts, order)
	if err != nil {
		return results, errs, err
	}
	if err := each(ctx, order[hard:], func(ctx context.Context, i int) {
		results[i], errs[i] = Direct().Run(ctx, ts[i])
	}); err != nil {
		return results, errs, err
	}
	drawn := make([]int, 0, hard) // samples that finished questions needed, in order
	for block := range slices.Chunk(order[:hard], batchWorkers) {
		// Questions side by side share what is known before them, so that the result
		// does not depend on which is answered first.
		first := d.window(drawn)
		if err := each(ctx, block, func(ctx context.Context, i int) {
			if settled[i] {
				results[i], errs[i] = d.vote(max(least, d.Window)).Run(ctx, ts[i]) // of what is drawn already
			} else {
				results[i], errs[i] = d.vote(first).Run(ctx, ts[i])
			}
		}); err != nil {
			return results, errs, err
		}
		for _, i := range block {
			drawn = append(drawn, len(results[i].Pool))
		}
	}
	return results, errs, nil
}

// partition walks from the hardest question down, giving each a first window of
// samples, and returns how many are hard: all before the first Streak in a row
// that their window settled, and those too; and which questions it settled. The
// samples stay in the trials' pools.
func (d DifficultyAdaptive) partition(ctx context.Context, ts []*monitor.Trial, order []int) (hard int, settled []bool, err error) {
	settled = make([]bool, len(ts))
	streak := 0
	first := Vote{Sampler: Independent{Sampling: d.Sampling}, Stop: Fixed(max(least, d.Window))}
	rule := Settled{Conf: d.Conf, Batch: 1, Max: first.Stop.More(nil) + 1}
	for block := range slices.Chunk(order, batchWorkers) {
		if err := each(ctx, block, func(ctx context.Context, i int) {
			res, err := first.Run(ctx, ts[i])
			settled[i] = err == nil && rule.More(ballot(res.Pool)) == 0
		}); err != nil {
			return 0, nil, err
		}
		for _, i := range block {
			hard++
			if streak++; !settled[i] {
				streak = 0
			}
			if streak >= d.Streak {
				return hard, settled, nil
			}
		}
	}
	return hard, settled, nil
}

// window is the first window of the next question: the mean of what the nearest
// finished ones in rank needed, which are those just before it.
func (d DifficultyAdaptive) window(drawn []int) int {
	near := drawn[max(0, len(drawn)-d.Neighbours):]
	if len(near) == 0 {
		return max(least, d.Window)
	}
	sum := 0
	for _, n := range near {
		sum += n
	}
	return min(d.Max, max(least, (sum+len(near)/2)/len(near)))
}

func each(ctx context.Context, indexes []int, do func(context.Context, int)) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(batchWorkers)
	for _, i := range indexes {
		g.Go(func() error {
			do(ctx, i)
			return ctx.Err()
		})
	}
	return g.Wait()
}

// rank gives each question's difficulty in (0,1]: its mean rank within groups
// that the model ordered. A group's first question pays. A ranking that fails
// says nothing of its group.
func (d DifficultyAdaptive) rank(ctx context.Context, ts []*monitor.Trial) ([]float64, error) {
	sum, n := make([]float64, len(ts)), make([]float64, len(ts))
	rng := rand.New(rand.NewPCG(ts[0].SeedFor("rank", 0), 0))
	for round := range d.Rounds {
		order := rng.Perm(len(ts))
		var groups [][]int
		for at := 0; at < len(order); at += d.Group {
			groups = append(groups, order[at:min(at+d.Group, len(order))])
		}
		places := make([][]float64, len(groups))
		all := make([]int, len(groups))
		for g := range all {
			all[g] = g
		}
		if err := each(ctx, all, func(ctx context.Context, g int) { places[g] = d.order(ctx, ts, groups[g], round) }); err != nil {
			return nil, err
		}
		for g, group := range groups {
			for k, i := range group {
				if places[g] != nil {
					sum[i] += places[g][k]
					n[i]++
				}
			}
		}
	}
	for i := range sum {
		if sum[i] /= max(1, n[i]); n[i] == 0 {
			sum[i] = 0.5
		}
	}
	return sum, nil
}

// order asks for one group's order and gives each member's place in (0,1], nil
// if there is none to be had.
func (d DifficultyAdaptive) order(ctx context.Context, ts []*monitor.Trial, group []int, round int) []float64 {
	if len(group) < 2 {
		return nil
	}
	var list strings.Builder
	for k, i := range group {
		fmt.Fprintf(&list, "Q%d: %s\n", k+1, prompt.Quote(ts[i].Question.Text))
	}
	ask := strings.NewReplacer("{n}", strconv.Itoa(len(group)), "{questions}", strings.TrimSpace(list.String())).Replace(rankTemplate.Text)
	reply, err := ts[group[0]].Aside(ctx, monitor.Aside{Role: "rank", Index: round, Text: ask, MaxTokens: 64})
	if err != nil {
		return nil
	}
	return placesOf(text.Sanitise(reply.Text), len(group))
}

var labelled = regexp.MustCompile(`\bQ(\d{1,3})\b`)

// placesOf reads an order of the labels Q1…Qn, each counted once where it comes
// first: the place of each in (0,1]. Labels that are missing share the mean
// place; with fewer than two there is no order.
func placesOf(reply string, n int) []float64 {
	places := make([]float64, n)
	given := 0
	for _, m := range labelled.FindAllStringSubmatch(reply, -1) {
		if k, err := strconv.Atoi(m[1]); err == nil && k >= 1 && k <= n && places[k-1] == 0 {
			given++
			places[k-1] = float64(given)
		}
	}
	if given < 2 {
		return nil
	}
	for k := range places {
		if places[k] == 0 {
			places[k] = float64(n+1) / 2
		}
		places[k] /= float64(n)
	}
	return places
}
