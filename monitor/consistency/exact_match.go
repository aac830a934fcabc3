package consistency

import (
	"context"
	"strings"

	"gnothi/monitor"
)

// ExactMatch is consistency/exact-match: raw and score are the share of the
// samples whose text is the candidate's, letter by letter but for blanks around it. "Paris" and "Paris."
// do not match; consistency/agreement takes them for the same answer.
func ExactMatch() monitor.Signal {
	return ofAnswer("consistency/exact-match", 0, func(_ context.Context, _ *monitor.Trial, c *monitor.Candidate, cs []*monitor.Candidate) (float64, float64, error) {
		same := 0
		for _, s := range cs {
			if strings.TrimSpace(s.Words()) == strings.TrimSpace(c.Words()) {
				same++
			}
		}
		share := float64(same) / float64(len(cs))
		return share, share, nil
	})
}
