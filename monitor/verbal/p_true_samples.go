package verbal

import (
	"context"
	"fmt"
	"strings"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// Brainstormed is how many samples are shown.
const Brainstormed = 5

// PTrueSamples is verbal/p-true-samples (p-true-p-ik, Kadavath et al. 2022): the
// model is shown the question, answers that it has brainstormed and the proposed
// answer, under the options (A) True and (B) False; raw and score are
// p(A)/(p(A)+p(B)) over all spellings, averaged with the options swapped. Without
// log-probabilities either order is asked five times at temperature 1. n is how
// many samples are shown: 5 as in the paper; 0 shows none, which is the control
// and is called verbal/p-true-options. Chosen: samples are those of the trial (at
// the temperature at which it votes), and the few examples of the paper are left
// out.
func PTrueSamples(n int) monitor.Signal {
	name := "verbal/p-true-samples"
	switch {
	case n <= 0:
		n, name = 0, "verbal/p-true-options"
	case n != Brainstormed:
		name = fmt.Sprintf("%s-%d", name, n)
	}
	return monitor.Each(name, func(ctx context.Context, t *monitor.Trial, c *monitor.Candidate) (monitor.Reading, error) {
		v, err := monitor.Get(ctx, t, OptionVerdict{c, n})
		return monitor.Reading{Score: v.Yes, Raw: v.Yes, Source: v.Source, Reads: v.Reads}, err
	})
}

var optionTemplate = prompt.Template{Name: "p-true-options", Version: 1, Text: "Question: {question}\n{brainstormed}Proposed answer: {answer}\nIs the proposed answer:\n(A) {a}\n(B) {b}\nReply with A or B.\nThe proposed answer is: ("}

// OptionVerdict is the evidence of what the model says of a candidate under the
// options True and False, in both orders, after so many samples of its own.
type OptionVerdict struct {
	Candidate *monitor.Candidate
	Samples   int
}

// Gather implements monitor.Evidence.
func (v OptionVerdict) Gather(ctx context.Context, t *monitor.Trial) (VerdictReading, error) {
	if v.Candidate.Answer.Status == text.Refused {
		return VerdictReading{}, &monitor.MissingError{Needs: "an answer; this reply declines to give one"}
	}
	shown, err := v.brainstormed(ctx, t)
	if err != nil {
		return VerdictReading{}, err
	}
	var out VerdictReading
	for order, names := range [][2]string{{"True", "False"}, {"False", "True"}} {
		ask := strings.NewReplacer("{question}", prompt.Quote(t.Question.Text), "{answer}", prompt.Quote(v.Candidate.Text), "{brainstormed}", shown, "{a}", names[0], "{b}", names[1]).Replace(optionTemplate.Text)
		greedy := 0.0
		op := llm.Op{Role: "judge", Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: ask}}, MaxTokens: 4, Temperature: &greedy}}
		truth := func(token string) (yes, no bool) { return truthOf(token, names) }
		r, err := decide(ctx, t, op, "p-true-options", 2*v.Candidate.Index+order, truth, func(reply string) (bool, bool) {
			yes, no := truthOf(firstWord(reply), names)
			return yes, yes || no
		})
		if err != nil {
			return VerdictReading{}, err
		}
		out.Yes += r.Yes / 2
		out.Mass += r.Mass / 2
		out.Reads += r.Reads
		out.Source = r.Source
	}
	return out, nil
}

// truthOf reads a letter, or the word that stands under it.
func truthOf(token string, names [2]string) (yes, no bool) {
	token = strings.ToLower(strings.Trim(token, " \n\t.,:!\"'*()"))
	for i, letter := range []string{"a", "b"} {
		if token == letter || token == strings.ToLower(names[i]) {
			return names[i] == "True", names[i] == "False"
		}
	}
	return false, false
}

func firstWord(s string) string {
	if words := strings.Fields(s); len(words) > 0 {
		return words[0]
	}
	return ""
}

// brainstormed lists the samples, one a line. The proposed answer stands there at
// most once: more would show that the model often says it, in its own favour.
func (v OptionVerdict) brainstormed(ctx context.Context, t *monitor.Trial) (string, error) {
	if v.Samples == 0 {
		return "", nil
	}
	samples, err := t.Samples(ctx, monitor.DefaultSampling, v.Samples)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("Here are some brainstormed ideas:\n")
	same := v.Candidate.Origin == monitor.FromSample
	for _, c := range samples {
		if v.Candidate.Key != "" && c.Key == v.Candidate.Key {
			if same && c != v.Candidate {
				continue
			}
			if !same {
				same = true
			}
		}
		said := c.Answer.Text
		if c.Answer.Status != text.Parsed {
			said = text.Clip(c.Text, 200)
		}
		b.WriteString(prompt.Quote(said) + "\n")
	}
	return b.String(), nil
}
