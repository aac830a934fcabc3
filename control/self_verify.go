package control

import (
	"context"
	"fmt"

	"gnothi/monitor"
	"gnothi/monitor/prompt"
)

var verifyAsk = Ask{Role: "judge", MaxTokens: 256, Template: prompt.Template{Name: "verify-solution", Version: 1, Text: "Question: {question}\nA proposed solution: {answer}\nCheck it step by step. End with one line: Yes if the solution is correct, No if it is not."}}

// SelfVerify is the policy `self-verify` (self-prm, Feng et al. 2025): n samples,
// each judged by the model itself in a fresh context, step by step, with votes
// verdicts each; the majority among the accepted ones, or among all where none
// is. A judge that always says yes makes it majority voting. n·(1 + votes)
// calls. A suite reports the acceptance precision beside it; on hard questions
// the paper finds it below 10 %. Verdicts that cannot be read accept nothing.
func SelfVerify(n, votes int) Policy {
	accepts := monitor.Each(SelfVerified(votes).Name(), func(ctx context.Context, t *monitor.Trial, c *monitor.Candidate) (monitor.Reading, error) {
		v, err := monitor.Get(ctx, t, selfVerified{c, votes})
		return monitor.Reading{Score: v.share(), Raw: v.share(), Source: "asked", Reads: v.read}, err
	})
	return Vote{Sampler: Independent{Sampling: monitor.DefaultSampling}, Stop: Fixed(n), Scorer: accepts, Aggregate: Accepted{}}
}

// SelfVerified is the signal judge/self-verify: the share of so many verdicts of
// the model on a solution that are yes, unreadable ones left out; with one vote
// greedily, else at temperature 0.7.
func SelfVerified(votes int) monitor.Signal {
	name := "judge/self-verify"
	if votes > 1 {
		name = fmt.Sprintf("%s-%d", name, votes)
	}
	return monitor.Each(name, func(ctx context.Context, t *monitor.Trial, c *monitor.Candidate) (monitor.Reading, error) {
		v, err := monitor.Get(ctx, t, selfVerified{c, votes})
		if err == nil && v.read == 0 {
			err = &monitor.MissingError{Needs: "a yes or no in reply; the model gave none"}
		}
		return monitor.Reading{Score: v.share(), Raw: v.share(), Source: "asked", Reads: v.read}, err
	})
}

// selfVerified is the evidence of the model's verdicts on a candidate.
type selfVerified struct {
	candidate *monitor.Candidate
	votes     int
}

// verdicts counts verdicts: those that say yes, and those that say anything.
type verdicts struct{ accepted, read int }

func (v verdicts) share() float64 { return float64(v.accepted) / max(1, float64(v.read)) }

// Gather implements monitor.Evidence.
func (e selfVerified) Gather(ctx context.Context, t *monitor.Trial) (v verdicts, err error) {
	ask := verifyAsk
	if e.votes > 1 {
		ask.Temperature = 0.7
	}
	replies, err := ask.Replies(ctx, t, max(1, e.votes), "answer", e.candidate.Words())
	if len(replies) == 0 {
		return v, err
	}
	for _, r := range replies {
		if verdict, ok := yes(r.Text); ok {
			v.read++
			if verdict {
				v.accepted++
			}
		}
	}
	return v, nil
}

// Accepted gives a vote to each score above one half; where there is none,
// everybody has one.
type Accepted struct{}

// Weights implements Aggregator.
func (Accepted) Weights(scores []float64) []float64 {
	w := make([]float64, len(scores))
	none := true
	for i, s := range scores {
		if s > 0.5 {
			w[i], none = 1, false
		}
	}
	for i := range w {
		if none {
			w[i] = 1
		}
	}
	return w
}

func (Accepted) String() string { return "accepted" }
