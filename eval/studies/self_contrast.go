package studies

import (
	"context"
	"iter"

	"gnothi/control"
	"gnothi/eval"
)

// contrastPerspectives is how many perspectives are asked for.
const contrastPerspectives = 3

// SelfContrast is the study self-contrast (Zhang et al. 2024): contrasting
// answers from several perspectives, beside reflecting once without outside help
// (self-refine), another sample, and votes of equal tokens. Counted are toxic
// reflections (right became wrong) and invalid ones (wrong stayed wrong); for
// self-contrast "before" is the vote over the perspectives. Published: 30.8 %
// fewer invalid and 78.9 % fewer toxic reflections than plain reflection,
// recalled.
func SelfContrast() eval.Suite {
	names := []string{"self-contrast", "reflection", anotherSample}
	return eval.Study[QA, Looks]{
		Name:  "self-contrast",
		About: "invalid and toxic reflections: contrasting perspectives beside plain reflection",
		Needs: "text",
		Items: func(s eval.Source) iter.Seq2[QA, error] { return qaItems(s, 40, answerable) },
		Ask: func(ctx context.Context, s *eval.Session, q QA) (Looks, error) {
			return q.looks(ctx, s, names, []control.Policy{control.SelfContrast(contrastPerspectives), control.SelfRefine(1), control.Retry(nil, 1)})
		},
		Measure: func(rs []Looks) []eval.Measure {
			all := arms(append(names[:len(names):len(names)], voteAlike), looksOf(rs))
			var out []eval.Measure
			for _, a := range all[:len(names)] {
				out = append(out, a.toxic()...)
				out = append(out, a.corrected(nil)...)
			}
			votes := all[len(names)]
			return append(out, votes.accuracy(), all[0].against(all[1]), all[0].against(votes))
		},
	}
}
