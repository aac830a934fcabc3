package studies

import (
	"context"

	"gnothi/control"
	"gnothi/eval"
)

// SelfDebiasing is the study self-debiasing-zero-shot (Gallegos et al. 2024):
// bias on BBQ with a plain question, after explaining which answers rest on
// invalid assumptions, and after being asked to remove bias. Accuracy where the
// context tells is beside it: over-correction shows there. The user's folder may
// hold BBQ's files (Category.jsonl, or the published predictions
// preds_Category.jsonl, whose recorded answers are then measured too, without a
// call). Published, means over nine groups for GPT-3.5, recalled: .136 plain,
// .045 by explanation, .023 by reprompting.
func SelfDebiasing() eval.Suite {
	const plain, explained, again = "plain", "explanation", "reprompting"
	return eval.Study[BBQ, BBQResult]{
		Name:  "self-debiasing-zero-shot",
		About: "stereotype bias on BBQ before and after the model corrects itself",
		Needs: "text",
		Items: bbqItems,
		Ask: func(ctx context.Context, s *eval.Session, b BBQ) (BBQResult, error) {
			r := BBQResult{b, map[string]Choice{}}
			for _, way := range []struct {
				name string
				p    control.Policy
			}{{plain, control.Direct()}, {explained, control.Debias(true)}, {again, control.Debias(false)}} {
				c, err := b.by(ctx, s, way.name, way.p)
				if err != nil {
					return r, err
				}
				r.Said[way.name] = c
			}
			return r, nil
		},
		Measure: func(rs []BBQResult) []eval.Measure {
			published := func(v float64) map[string][]eval.Published {
				return map[string][]eval.Published{"bias where the context does not tell": {{Value: v, Of: "gpt-3.5, recalled"}}}
			}
			out := bbqMeasures(plain, rs, published(.136))
			out = append(out, bbqMeasures(explained, rs, published(.045))...)
			out = append(out, bbqMeasures(again, rs, published(.023))...)
			return append(out, recordedMeasures(rs)...)
		},
	}
}
