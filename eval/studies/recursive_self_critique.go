package studies

import (
	"context"
	"fmt"
	"iter"

	"gnothi/control"
	"gnothi/eval"
	"gnothi/monitor"
	"gnothi/text"
)

// OrderResult is a question judged at each order of critique.
type OrderResult struct {
	Related
	Looks map[string]Look `json:"looks"`
	// Confidence is what the judge stated, 0..1 from its 1 to 5; an order at which
	// the two answers agreed, or nothing was stated, has none.
	Confidence map[string]float64 `json:"confidence"`
	Calls      map[string]int64   `json:"calls"`
}

// orders is the highest order of critique.
const orders = 3

func order(k int) string { return fmt.Sprintf("order %d", k) }

const (
	blindJudge = "order 1, critiques hidden"
	voteCalls  = "votes of as many calls as order 3"
)

// RecursiveCritique is the study recursive-self-critique (Wen et al. 2025): is it
// easier to judge a critique of a critique than the answer itself? Two answers,
// two critiques of them, two critiques of those, up to order 3, and a judge who
// sees the last order; accuracy, stated confidence and tokens by order. Beside
// it: voting over as many calls and over as many tokens, and the ablation in
// which the judge does not see the critiques. Published: among people accuracy
// and confidence rise with the order; between models the gains are smaller and
// hang on their ability. An order is worth its tokens only where it beats the
// votes; the measures say whether it does. All orders judge the same
// two answers.
func RecursiveCritique() eval.Suite {
	return eval.Study[QA, OrderResult]{
		Name:  "recursive-self-critique",
		About: "judging critiques of critiques by order, beside votes of equal calls",
		Needs: "text",
		Items: func(s eval.Source) iter.Seq2[QA, error] { return qaItems(s, 40, answerable) },
		Ask:   askOrders, Measure: measureOrders,
	}
}

func askOrders(ctx context.Context, s *eval.Session, q QA) (OrderResult, error) {
	r := OrderResult{Related{q.Group}, map[string]Look{}, map[string]float64{}, map[string]int64{}}
	run := func(name string, p control.Policy) error {
		before := s.Ledger.Spent().Calls
		// One trial name for all orders: the same two answers are judged by each.
		l, res, err := q.look(ctx, s, "orders", p)
		if err != nil {
			return err
		}
		r.Looks[name], r.Calls[name] = l, s.Ledger.Spent().Calls-before
		if len(res.Trace) > 0 {
			if c, err := text.ParseConfidence(res.Best.Text, text.LikertScale); err == nil {
				r.Confidence[name] = c.P
			}
		}
		return nil
	}
	for k := range orders + 1 {
		if err := run(order(k), control.RecursiveCritique(k, false)); err != nil {
			return r, err
		}
	}
	if err := run(blindJudge, control.RecursiveCritique(1, true)); err != nil {
		return r, err
	}
	votes := control.Vote{Sampler: control.Independent{Sampling: monitor.DefaultSampling}, Stop: control.Fixed(int(r.Calls[order(orders)]))}
	if err := run(voteCalls, votes); err != nil {
		return r, err
	}
	l, err := q.among(ctx, s, voteAlike, r.Looks[order(orders)].Tokens)
	r.Looks[voteAlike] = l
	return r, err
}

func measureOrders(rs []OrderResult) []eval.Measure {
	var names []string
	for k := range orders + 1 {
		names = append(names, order(k))
	}
	names = append(names, blindJudge, voteCalls, voteAlike)
	looks := make([]map[string]Look, len(rs))
	for i, r := range rs {
		looks[i] = r.Looks
	}
	all := arms(names, looks)
	var out []eval.Measure
	for _, a := range all {
		var sure, tokens []float64
		broke := 0
		for _, l := range a.looks {
			tokens = append(tokens, float64(l.Tokens))
			broke += int(one(l.Broke != ""))
		}
		for _, r := range rs {
			if c, ok := r.Confidence[a.name]; ok {
				sure = append(sure, c)
			}
		}
		out = append(out, a.accuracy(), eval.Average(a.name+": tokens a question", tokens))
		if a.name != voteCalls && a.name != voteAlike {
			out = append(out, eval.Average(a.name+": stated confidence of the judge, where answers differed", sure), eval.Share(a.name+": no critique named an answer", broke, len(a.looks)))
		}
	}
	last := all[orders]
	return append(out, all[1].against(all[0]), last.against(all[0]), last.against(all[orders+2]), last.against(all[orders+3]), all[orders+1].against(all[0]))
}
