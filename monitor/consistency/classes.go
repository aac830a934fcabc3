package consistency

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// By is how answers are sorted into classes of meaning.
type By string

// The ways of sorting. A signal that does not sort by equal answers has the way
// at the end of its name.
const (
	ByAnswer    By = ""        // equal answers (text.Key): costs nothing
	ByMeaning   By = "meaning" // the model is asked about pairs of different answers ([Meanings])
	ByInference By = "nli"     // mutual entailment ([Inferences], [EntailmentClasses])
)

func (by By) name(base string) string {
	if by == ByAnswer {
		return base
	}
	return base + "-" + string(by)
}

// needs is what evidence suffices for classes.
func (by By) needs() monitor.Inputs {
	if by == ByInference {
		return monitor.Samples | monitor.Inference
	}
	return monitor.Samples
}

// give makes a signal say what evidence suffices for it; one that asks cannot.
func (by By) give(in monitor.Inputs, s monitor.Signal) monitor.Signal {
	if by == ByMeaning {
		return struct{ monitor.Signal }{s}
	}
	return monitor.Needs(in|by.needs(), s)
}

// classify numbers the classes of some candidates, in the order of their first
// members. Each candidate is in one class; one that could not be read is alone in
// its own, and where no sample could be read there are no classes.
func classify(ctx context.Context, t *monitor.Trial, by By, with *monitor.Candidate, cs []*monitor.Candidate) ([]int, error) {
	stands := func(key string) string { return key }
	switch by {
	case ByInference:
		x, err := monitor.Get(ctx, t, Inferences{with})
		if err != nil {
			return nil, err
		}
		if x.Entail.N != len(cs) {
			return nil, fmt.Errorf("inference over %d answers, of which there are %d", x.Entail.N, len(cs))
		}
		return EntailmentClasses(x), nil
	case ByMeaning:
		same, err := monitor.Get(ctx, t, Meanings{with, len(cs)})
		if err != nil {
			return nil, err
		}
		stands = func(key string) string { return cmp.Or(same[key], key) }
	}
	class := make([]int, len(cs))
	seen := make(map[string]int, len(cs))
	n, read := 0, false
	for i, c := range cs {
		key := stands(c.Key)
		k, known := seen[key]
		if !known || key == "" {
			k = n
			seen[key] = k
			n++
		}
		class[i] = k
		read = read || key != "" && c != with
	}
	if !read {
		return nil, &monitor.MissingError{Needs: "a sample whose answer can be read"}
	}
	return class, nil
}

// Meanings is the evidence of which different answers mean the same: it maps
// keys of answers to the key that stands for their class. The model is asked
// about pairs of representatives only, both ways round, and both must be a yes;
// classes are joined transitively, first match first. So each of K classes costs
// at most 2·K calls, however many samples there are.
type Meanings struct {
	With *monitor.Candidate // beside the samples; nil: nothing
	N    int                // how many, With included, of the samples drawn last
}

// Gather implements monitor.Evidence.
func (m Meanings) Gather(ctx context.Context, t *monitor.Trial) (map[string]string, error) {
	cs, _ := t.Drawn()
	if m.With != nil {
		cs = append([]*monitor.Candidate{m.With}, cs...)
	}
	same := map[string]string{}
	var stands []*monitor.Candidate
next:
	for _, c := range cs[:min(m.N, len(cs))] {
		if c.Key == "" || same[c.Key] != "" {
			continue
		}
		same[c.Key] = c.Key
		if c.Answer.Status == text.Parsed { // a refusal means no answer's meaning
			for _, s := range stands {
				there, err := monitor.Get(ctx, t, Same{s, c})
				if err != nil {
					return nil, err
				}
				if !there {
					continue
				}
				back, err := monitor.Get(ctx, t, Same{c, s})
				if err != nil {
					return nil, err
				}
				if back {
					same[c.Key] = s.Key
					continue next
				}
			}
			stands = append(stands, c)
		}
	}
	return same, nil
}

// Same is the evidence of whether the model takes two answers for the same, the
// first shown first. A reply that is neither yes nor no is a no: answers that
// nothing joins stay apart.
type Same struct{ First, Second *monitor.Candidate }

var sameTemplate = prompt.Template{Name: "same-answer", Version: 1, Text: "Question: {question}\nFirst answer: {first}\nSecond answer: {second}\nDo both answers say the same in reply to the question? Answer Yes or No."}

// Gather implements monitor.Evidence.
func (s Same) Gather(ctx context.Context, t *monitor.Trial) (bool, error) {
	first, _ := t.Question.Said(s.First)
	second, _ := t.Question.Said(s.Second)
	reply, err := t.Aside(ctx, monitor.Aside{Role: "same", Text: sameTemplate.Fill("question", t.Question.Text, "first", first, "second", second), MaxTokens: 8})
	if err != nil {
		return false, missing(err, "a model to ask which answers mean the same")
	}
	yes, ok := text.ReadBool(text.Sanitise(reply.Text))
	return yes && ok, nil
}

// missing says in its own words what a trial without a model lacks.
func missing(err error, needs string) error {
	if errors.Is(err, monitor.ErrMissing) {
		return &monitor.MissingError{Needs: needs}
	}
	return err
}

// Inferences is the evidence of what natural language inference says of the
// samples drawn last, after the candidate Of if that is not nil. Whoever has it
// from an NLI model gives it ([monitor.Know]); else the trial's model is asked
// about each ordered pair of different answers ([Inference]).
type Inferences struct{ Of *monitor.Candidate }

// Gather implements monitor.Evidence.
func (x Inferences) Gather(ctx context.Context, t *monitor.Trial) (NLI, error) {
	cs, err := withSamples(ctx, t, x.Of)
	if err != nil {
		return NLI{}, err
	}
	out := NLI{NewMatrix(len(cs)), NewMatrix(len(cs))}
	stands := map[string]*monitor.Candidate{} // equal answers stand in the same relations
	standing := func(c *monitor.Candidate) *monitor.Candidate {
		key := cmp.Or(c.Key, "\x00"+c.Text)
		if stands[key] == nil {
			stands[key] = c
		}
		return stands[key]
	}
	for _, greedy := range t.Has(monitor.Sampling{}) { // first, with the samples alone too, so that no pair is asked about twice
		standing(greedy)
	}
	for i, c := range cs {
		cs[i] = standing(c)
	}
	for i, a := range cs {
		for j, b := range cs {
			if a == b {
				out.Entail.Set(i, j, 1)
				continue
			}
			r, err := monitor.Get(ctx, t, Inference{a, b})
			if err != nil {
				return NLI{}, err
			}
			out.Entail.Set(i, j, r.Entail)
			out.Contra.Set(i, j, r.Contra)
		}
	}
	return out, nil
}

// withSamples is the candidate, if any, and the samples drawn last.
func withSamples(ctx context.Context, t *monitor.Trial, of *monitor.Candidate) ([]*monitor.Candidate, error) {
	cs, err := draw(ctx, t, 0)
	if err != nil {
		return nil, err
	}
	out := make([]*monitor.Candidate, 0, len(cs)+1)
	if of != nil {
		out = append(out, of)
	}
	return append(out, cs...), nil
}

// Inference is the evidence of how one answer stands to another, by the model's
// own judgement: entailment as a prompt, its probabilities where the model has
// them. A reply that is none of the three letters leans nowhere: neutral.
type Inference struct{ Premise, Hypothesis *monitor.Candidate }

// Relation is the probability of entailment and of contradiction; the rest is
// neutral.
type Relation struct{ Entail, Contra float64 }

var inferenceTemplate = prompt.Template{Name: "inference", Version: 1, Text: "Question: {question}\nFirst answer: {premise}\nSecond answer: {hypothesis}\nIf the first answer is right, then the second one is\nA) right as well\nB) perhaps right, perhaps not\nC) wrong\nReply with one letter: A, B or C."}

// Gather implements monitor.Evidence.
func (x Inference) Gather(ctx context.Context, t *monitor.Trial) (Relation, error) {
	premise, _ := t.Question.Said(x.Premise)
	hypothesis, _ := t.Question.Said(x.Hypothesis)
	reply, err := t.Aside(ctx, monitor.Aside{Role: "nli", Text: inferenceTemplate.Fill("question", t.Question.Text, "premise", premise, "hypothesis", hypothesis), MaxTokens: 4, TopLogProbs: 20})
	if err != nil {
		return Relation{}, missing(err, `natural language inference between the answers (field "nli")`)
	}
	return readInference(reply), nil
}

// readInference reads the letter of a reply, from the probabilities of its first
// token if at least half of them are letters.
func readInference(reply llm.Choice) Relation {
	var p [3]float64
	letter := func(s string) int {
		s = strings.TrimLeft(strings.TrimSpace(s), "(*")
		if k := strings.Index("ABC", strings.ToUpper(s[:min(1, len(s))])); len(s) > 0 && (len(s) == 1 || !isLetter(s[1])) {
			return k
		}
		return -1
	}
	if len(reply.Tokens) > 0 {
		for _, top := range reply.Tokens[0].Top {
			if k := letter(top.Text); k >= 0 && top.LogProb <= roundOff {
				p[k] += expOf(top.LogProb)
			}
		}
	}
	if sum := p[0] + p[1] + p[2]; sum >= 0.5 && sum <= 1+roundOff {
		return Relation{p[0] / sum, p[2] / sum}
	}
	switch letter(text.Sanitise(reply.Text)) {
	case 0:
		return Relation{Entail: 1}
	case 2:
		return Relation{Contra: 1}
	}
	return Relation{}
}

func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' || b >= 0x80 }
