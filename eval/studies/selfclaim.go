package studies

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gnothi/eval"
	"gnothi/stats"
	"gnothi/text"
)

// SelfClaim is what a model says of itself in one fresh context against what it
// does in another. Both are words of a small vocabulary (a label, a property, an
// answer's key), so that saying and doing can be compared by ==.
type SelfClaim struct {
	Kind string `json:"kind,omitempty"` // what agreement is also given by
	Said string `json:"said"`           // empty: the reply could not be read
	Done string `json:"done"`
	// Refused: one of the two was a refusal.
	Refused bool `json:"refused,omitempty"`
}

// Outcome implements [eval.Graded]: right is agreement.
func (c SelfClaim) Outcome() text.Outcome {
	switch {
	case c.Refused:
		return text.Refused
	case c.Said == "" || c.Done == "":
		return text.Unparsed
	case c.Said == c.Done:
		return text.Right
	}
	return text.Wrong
}

// claim asks for both sides. A side that ends with ErrRefused or ErrUnparsed
// leaves the claim without it; any other error is the item's.
func claim(ctx context.Context, kind string, said, done func(context.Context) (string, error)) (SelfClaim, error) {
	c := SelfClaim{Kind: kind}
	for _, side := range []struct {
		name string
		ask  func(context.Context) (string, error)
		to   *string
	}{{"claim", said, &c.Said}, {"behaviour", done, &c.Done}} {
		word, err := side.ask(ctx)
		switch {
		case errors.Is(err, eval.ErrRefused):
			c.Refused = true
		case errors.Is(err, eval.ErrUnparsed):
		case err != nil:
			return c, fmt.Errorf("%s: %w", side.name, err)
		default:
			*side.to = word
		}
	}
	return c, nil
}

// agreement measures how often saying and doing agree, over the claims of which
// both sides could be read: in all, beyond chance, and by kind.
func agreement(claims []SelfClaim, name string, published ...eval.Published) []eval.Measure {
	var said, done, kinds []string
	right := map[string]int{}
	n := map[string]int{}
	for _, c := range claims {
		o := c.Outcome()
		if o != text.Right && o != text.Wrong {
			continue
		}
		said, done = append(said, c.Said), append(done, c.Done)
		if c.Kind != "" && !slices.Contains(kinds, c.Kind) {
			kinds = append(kinds, c.Kind)
		}
		for _, k := range slices.Compact([]string{"", c.Kind}) {
			n[k]++
			if o == text.Right {
				right[k]++
			}
		}
	}
	out := []eval.Measure{eval.Share(name, right[""], n[""], published...)}
	if kappa, err := stats.CohenKappa(said, done); err == nil {
		out = append(out, eval.Value(name+", beyond chance (Cohen's κ)", kappa, n[""], "Cohen's κ", "no interval: see the share"))
	}
	if len(kinds) > 1 {
		slices.Sort(kinds)
		for _, k := range kinds {
			out = append(out, eval.Share(name+": "+k, right[k], n[k]))
		}
	}
	return out
}
