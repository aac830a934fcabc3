package control

import (
	"context"

	"gnothi/monitor"
	"gnothi/monitor/prompt"
)

var (
	reviewAsk = Ask{Role: "rewrite", Template: prompt.Template{Name: "review", Version: 1, Text: "Question: {question}\nYour earlier answer: {answer}\nReview the earlier answer. If you are {strength} that it is right, keep it; otherwise update it. " + answerLine}}
	decideAsk = Ask{Role: "rewrite", Template: prompt.Template{Name: "decide", Version: 1, Text: "Question: {question}\nTwo different answers were given to it.\nFirst: {first}\nSecond: {second}\nCheck both of them and give the best one. " + answerLine}}
)

// Review is the policy `review`, the if-or-else prompt (if-or-else-ioe, Li et
// al. 2024): the model keeps its answer if it is sure of it and updates it
// otherwise; only where the answers differ it is shown both and decides. Two
// calls, three where the answer changed. strength is how sure is sure enough,
// in words; empty: "very confident", the paper's (its code says "confident").
//
// Chosen: the paper goes on in one chat, here the earlier answer is quoted in a
// fresh context; a second answer that cannot be read leaves the first, a
// decision that cannot be read leaves the second.
func Review(strength string) Policy {
	if strength == "" {
		strength = "very confident"
	}
	review := reviewAsk.With("strength", strength)
	return Loop{Name: named("review", review, decideAsk), Revise: review.Reviser(), Keep: decide, Rounds: 1}
}

// decide asks which of two different answers stands.
func decide(ctx context.Context, t *monitor.Trial, sofar Result, revised []*monitor.Candidate) (*monitor.Candidate, error) {
	first, second := sofar.Best, revised[0]
	switch {
	case second.Key == "" || second.Key == first.Key:
		return first, nil
	case first.Key == "":
		return second, nil
	}
	third, err := decideAsk.candidate(ctx, t, 2, second, "first", first.Text, "second", second.Text)
	if err != nil {
		return nil, err
	}
	if third.Key == "" {
		return second, nil
	}
	return third, nil
}
