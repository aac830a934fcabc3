package studies

import (
	"context"
	"iter"

	"gnothi/control"
	"gnothi/eval"
)

// voteAlike is the control at equal tokens: majority over samples.
const voteAlike = "votes of equal tokens"

// IfOrElse is the study if-or-else-ioe (Li et al. 2024, Confidence Matters): the
// second look with a condition, keep the answer if very confident and update it
// otherwise, with a third turn that decides where the two differ, beside asking
// for problems and improving (self-refine), beside another sample, and beside
// voting over samples of equal tokens. The strength of the word matters: the
// paper has "very confident", its code "confident"; both are asked. Published:
// the condition beats finding problems on GSM8K, SVAMP, HotpotQA, Sports and last
// letters; figures in the paper only.
func IfOrElse() eval.Suite {
	names := []string{"very confident", "confident", "find problems and improve", anotherSample}
	return eval.Study[QA, Looks]{
		Name:  "if-or-else-ioe",
		About: "a second look with a condition beside finding problems, another sample and votes",
		Needs: "text",
		Items: func(s eval.Source) iter.Seq2[QA, error] { return qaItems(s, 60, answerable) },
		Ask: func(ctx context.Context, s *eval.Session, q QA) (Looks, error) {
			return q.looks(ctx, s, names, []control.Policy{control.Review("very confident"), control.Review("confident"), control.SelfRefine(1), control.Retry(nil, 1)})
		},
		Measure: func(rs []Looks) []eval.Measure {
			all := arms(append(names[:len(names):len(names)], voteAlike), looksOf(rs))
			var out []eval.Measure
			for _, a := range all[:len(names)] {
				out = append(out, a.corrected(nil)...)
			}
			votes := all[len(names)]
			return append(out, votes.accuracy(), all[0].against(all[2]), all[0].against(votes))
		},
	}
}
