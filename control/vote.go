package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gnothi/llm"
	"gnothi/monitor"
)

// Vote draws candidates until its stopper is content, weighs them, and takes
// the class of answers with the most weight. A class's representative is its
// heaviest member, the first among equals. Unread and degenerate replies do
// not vote, nor does one that the scorer cannot read where it can read others;
// a refusal is a class of its own and may win.
type Vote struct {
	Sampler   Sampler
	Stop      Stopper
	Scorer    monitor.Signal // what a candidate weighs; nil: each the same
	Aggregate Aggregator     // nil: Mass
	// Tokens, if positive, is what the trial may have spent before more is drawn:
	// the control of another method at equal tokens.
	Tokens int64
}

// String implements Policy.
func (v Vote) String() string {
	scorer := "equal"
	if v.Scorer != nil {
		scorer = v.Scorer.Name()
	}
	tokens := ""
	if v.Tokens > 0 {
		tokens = fmt.Sprintf(", tokens=%d", v.Tokens)
	}
	return fmt.Sprintf("vote(%v, %v, %s, %v%s)", v.Sampler, v.Stop, scorer, v.aggregate(), tokens)
}

func (v Vote) aggregate() Aggregator {
	if v.Aggregate == nil {
		return Mass{}
	}
	return v.Aggregate
}

// Run implements Policy. A budget or an upstream that gives out after some
// samples ends the drawing, not the vote: what was paid for is counted.
func (v Vote) Run(ctx context.Context, t *monitor.Trial) (Result, error) {
	var res Result
	for {
		more := v.Stop.More(ballot(res.Pool))
		if more <= 0 {
			res.Stopped = v.Stop.String()
			break
		}
		if v.Tokens > 0 {
			if len(res.Pool) > 0 && t.Ledger.Spent().Tokens() >= v.Tokens {
				res.Stopped = "tokens"
				break
			}
			more = 1
		}
		want := len(res.Pool) + more
		cs, err := v.Sampler.Draw(ctx, t, want)
		drew := len(cs) > len(res.Pool)
		res.Pool = cs
		if err != nil {
			if len(cs) == 0 || ctx.Err() != nil {
				return res, err
			}
			res.Stopped = err.Error()
			if errors.Is(err, llm.ErrBudget) {
				res.Stopped = "budget"
			}
			break
		}
		if !drew {
			res.Stopped = "no more samples"
			break
		}
	}
	if len(res.Pool) == 0 {
		return res, nil
	}
	err := v.count(ctx, t, &res)
	return res, err
}

// count groups the pool into classes and finds the winner.
func (v Vote) count(ctx context.Context, t *monitor.Trial, res *Result) error {
	var voters []int
	for i, c := range res.Pool {
		if c.Key != "" {
			voters = append(voters, i)
		}
	}
	if len(voters) == 0 {
		// Nothing readable: the first reply stands, as unparsed as it is.
		res.Best = res.Pool[0]
		return nil
	}
	scores := make([]float64, len(voters))
	for i := range scores {
		scores[i] = 1
	}
	if v.Scorer != nil {
		cs := make([]*monitor.Candidate, len(voters))
		for k, i := range voters {
			cs[k] = res.Pool[i]
		}
		readings, err := v.Scorer.Score(ctx, t, cs)
		if err != nil {
			return err
		}
		var read []int
		var given []float64
		for k, r := range readings {
			if r.Err == nil {
				read, given = append(read, voters[k]), append(given, r.Score)
			}
		}
		if len(read) == 0 {
			return fmt.Errorf("%s: %w", v.Scorer.Name(), readings[0].Err)
		}
		voters, scores = read, given
	}
	weights := v.aggregate().Weights(scores)
	best := map[string]int{} // class → index of its heaviest voter
	byKey := map[string]int{}
	for k, i := range voters {
		key := res.Pool[i].Key
		at, seen := byKey[key]
		if !seen {
			at = len(res.Classes)
			byKey[key] = at
			best[key] = k
			res.Classes = append(res.Classes, Class{Answer: res.Pool[i].Answer})
		}
		class := &res.Classes[at]
		class.Members = append(class.Members, i)
		class.Weight += weights[k]
		if weights[k] > weights[best[key]] {
			best[key] = k
		}
	}
	slices.SortStableFunc(res.Classes, func(a, b Class) int {
		if same(a.Weight, b.Weight) {
			return 0
		}
		return cmp.Compare(b.Weight, a.Weight)
	})
	res.Tie = len(res.Classes) > 1 && same(res.Classes[0].Weight, res.Classes[1].Weight)
	res.Best = res.Pool[voters[best[res.Pool[res.Classes[0].Members[0]].Key]]]
	return nil
}

// same takes weights that differ by rounding alone for equal.
func same(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Max(math.Abs(a), math.Abs(b)) }

// ballot numbers the class of each candidate in order; −1 does not vote.
func ballot(cs []*monitor.Candidate) []int {
	out := make([]int, len(cs))
	ids := map[string]int{}
	for i, c := range cs {
		if c.Key == "" {
			out[i] = -1
			continue
		}
		if _, ok := ids[c.Key]; !ok {
			ids[c.Key] = len(ids)
		}
		out[i] = ids[c.Key]
	}
	return out
}
