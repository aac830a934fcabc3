package control

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"gnothi/monitor"
	"gnothi/monitor/prompt"
)

var (
	reflectAsk     = Ask{Role: "judge", Template: prompt.Template{Name: "reflect", Version: 1, Text: "Question: {question}\nAn answer that was found to be wrong: {answer}\nWhat the check of it said: {why}\n{style}"}}
	againAsk       = Ask{Role: "rewrite", Template: prompt.Template{Name: "again", Version: 1, Text: "Question: {question}\nAn earlier attempt failed. A note on it: {feedback}\nAnswer the question afresh. " + answerLine}}
	wrongAsk       = Ask{Role: "rewrite", Template: prompt.Template{Name: "again-plain", Version: 1, Text: "Question: {question}\nAn earlier attempt was wrong. Answer the question afresh. " + answerLine}}
	reflectionAsks = map[string]string{
		"reflection":   "Reflect in two or three sentences on what went wrong and what to do differently.",
		"keywords":     "List the kinds of error that were made, as a few keywords.",
		"advice":       "Give general advice for avoiding such an error in questions like this one.",
		"instructions": "Write short step-by-step instructions for solving the question.",
		"explanation":  "Explain why the answer is wrong.",
		"solution":     "Write out a correct solution, step by step.",
		"composite":    "Explain the error, name it in keywords, outline a solution, and give instructions and advice, each in a sentence.",
	}
)

// ReflectionStyles names the kinds of reflection, sorted: what is written after
// a failure (self-reflection-agents, Renze and Guven 2024, whose eighth agent,
// unredacted, is all of them with the right answer left in). A suite that knows
// the right answer redacts it with text.Redact before the next attempt.
func ReflectionStyles() []string { return slices.Sorted(maps.Keys(reflectionAsks)) }

// ReflectRetry is the policy `reflect-retry` (reflect-retry-reward, Bensal et
// al. 2025): where the verifier fails an answer the model reflects on it and
// answers afresh with the reflection in sight; the verifier's own reason is told, until an answer passes or the
// retries are over. An answer that passes at once costs one call. style is one
// of [ReflectionStyles]; another is taken for "reflection". The reward for the
// tokens of reflections that led to a success needs training;
// [Step.Transcript] has their span.
//
// Chosen: the paper retries in the same chat; here the reflection is quoted.
// The control is [Retry] with the same verifier: retrying without reflection.
func ReflectRetry(v *Verifier, style string, retries int) Policy {
	words, ok := reflectionAsks[style]
	if !ok {
		words = reflectionAsks["reflection"]
	}
	ask := reflectAsk.With("style", words)
	reflect := func(ctx context.Context, t *monitor.Trial, sofar Result) (string, bool, error) {
		r, err := monitor.Get(ctx, t, verified{v, sofar.Best})
		if err != nil {
			return "", false, err
		}
		why := r.Why
		if why == "" {
			why = "nothing more than that"
		}
		words, err := ask.words(ctx, t, 0, "answer", sofar.Best.Text, "why", why)
		return words, false, err
	}
	return Loop{Name: named("reflect-retry "+v.String(), ask, againAsk), Feedback: Failing(v, reflect), Revise: againAsk.Reviser(), Keep: Passing(v), Rounds: retries}
}

// Retry is the policy `retry`, the control that every loop must beat: an
// independent sample of the same question in place of each revision, without
// feedback. With a verifier it retries only what fails and keeps what passes;
// without one the last that can be read stands.
func Retry(v *Verifier, retries int) Policy {
	l := Loop{Name: "retry", Revise: resample, Rounds: retries}
	if v != nil {
		l.Name, l.Feedback, l.Keep = "retry "+v.String(), Failing(v, nil), Passing(v)
	}
	return l
}

// RetryTold is retrying after being told that the answer was wrong, and nothing
// else: the study's own control of reflection.
func RetryTold(v *Verifier, retries int) Policy {
	return Loop{Name: named("retry-told "+v.String(), wrongAsk), Feedback: Failing(v, nil), Revise: wrongAsk.Reviser(), Keep: Passing(v), Rounds: retries}
}

func resample(ctx context.Context, t *monitor.Trial, round int, _ Result, _ string) ([]*monitor.Candidate, error) {
	cs, err := t.Samples(ctx, monitor.DefaultSampling, round)
	if len(cs) < round {
		if err == nil {
			err = fmt.Errorf("retry %d: the model gave no sample", round)
		}
		return nil, err
	}
	return cs[round-1 : round], nil
}

// UpTo turns a policy into a control at equal tokens: it goes on drawing or
// revising, as it would, until the trial has spent that many tokens. ok is
// false for a policy that has nothing to go on with.
func UpTo(p Policy, tokens int64) (control Policy, ok bool) {
	const many = 1000
	switch p := p.(type) {
	case Vote:
		p.Stop, p.Tokens = Fixed(many), tokens
		return p, true
	case Loop:
		p.Rounds, p.Tokens = many, tokens
		return p, true
	}
	return p, false
}
