package page

import (
	"context"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"gnothi/eval"
	"gnothi/llm"
)

// DefaultItems is how many items report.html holds besides those that failed.
const DefaultItems = 5000

// mostFailures bounds how many failed items report.html holds in whole. Each one
// is named in its list of failures, however many there are.
const mostFailures = 10_000

// brief is what a report keeps of every item that is done.
type brief struct {
	index                 int
	failed, graded, right bool
	tokens, nanoUSD       int64
}

// briefs goes through the items that are done.
func briefs(ctx context.Context, f *eval.Folder) ([]brief, error) {
	done := make([]brief, 0, max(0, min(f.Header.Items, 1<<20)))
	for d, err := range f.Done(ctx) {
		if err != nil {
			return nil, err
		}
		right := d.Outcome == eval.OutcomeRight
		done = append(done, brief{d.Index, d.Outcome == eval.OutcomeFailed, right || d.Outcome == eval.OutcomeWrong, right,
			d.Spend.PromptTokens + d.Spend.CompletionTokens, d.Spend.NanoUSD})
	}
	return done, nil
}

// choose picks the items that a report holds: those that failed, and up to most
// of the others, by the seed of the run.
func choose(done []brief, most int, seed uint64) []int {
	var failed, others []int
	for _, d := range done {
		if d.failed {
			failed = append(failed, d.index)
		} else {
			others = append(others, d.index)
		}
	}
	if len(others) > most {
		rng := rand.New(rand.NewPCG(llm.Derive(seed, "eval/page", 0), llm.Derive(seed, "eval/page", 1)))
		rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		others = others[:most]
	}
	chosen := append(others, failed[:min(len(failed), mostFailures)]...)
	slices.Sort(chosen)
	return chosen
}

// confidence is the confidence in an item's answer, the first by name where there
// are several.
func confidence(suite eval.Suite, rec eval.Record) *float64 {
	all := eval.Confidences(suite, rec.Result)
	if len(all) == 0 {
		return nil
	}
	c := all[slices.Min(slices.Collect(maps.Keys(all)))]
	if math.IsNaN(c) || math.IsInf(c, 0) {
		return nil
	}
	return &c
}

// load reads one item whole.
func load(ctx context.Context, f *eval.Folder, index int) (rec eval.Record, calls []llm.Written, ok bool, err error) {
	for rec, err = range f.Records(ctx, index) {
		break
	}
	if err != nil || rec.Index != index || rec.Key == "" {
		return rec, nil, false, err
	}
	calls, err = f.Calls(ctx, index)
	return rec, calls, true, err
}

// failures are items that failed for the same reason.
type failures struct {
	Error string
	Items []int
}

// mostReasons bounds how many reasons are told apart, and shortError each of them.
const mostReasons = 500

var shortError = clip{text: 600}

// digits in messages tell items apart, not reasons.
var digits = strings.NewReplacer("0", "", "1", "", "2", "", "3", "", "4", "", "5", "", "6", "", "7", "", "8", "", "9", "")

// failed lists every item that failed, by reason, the most frequent first.
func failed(ctx context.Context, f *eval.Folder, done []brief) ([]failures, error) {
	var out []failures
	at := map[string]int{}
	for _, d := range done {
		if !d.failed {
			continue
		}
		for rec, err := range f.Records(ctx, d.index) {
			if err != nil {
				return nil, err
			}
			reason, words := digits.Replace(shortError.cut(rec.Error)), shortError.cut(rec.Error)
			if len(out) == mostReasons {
				reason, words = "", "other reasons"
			}
			i, ok := at[reason]
			if !ok {
				i = len(out)
				at[reason] = i
				out = append(out, failures{Error: words})
			}
			out[i].Items = append(out[i].Items, d.index)
			break
		}
	}
	slices.SortStableFunc(out, func(a, b failures) int { return len(b.Items) - len(a.Items) })
	return out, nil
}
