package studies

import (
	"context"
	"math"
	"strings"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/monitor/verbal"
	"gnothi/text"
)

// chosen is what a model picks of texts shown under letters.
type chosen struct {
	At      int       // place, from 0; -1: no letter could be read
	P       []float64 // by place: of the letters' log-probabilities where the model gives them, else all on At; nil without either
	Refused bool      // it declined to choose
}

// choose shows texts under letters in the order given and asks for one of them.
// The words are ours; the texts are quoted.
func choose(ctx context.Context, t *monitor.Trial, role string, index int, ask string, texts []string) (chosen, error) {
	var b strings.Builder
	task := text.Task{Kind: text.Letter}
	b.WriteString(ask + "\n")
	for i, s := range texts {
		letter := string(rune('A' + i))
		b.WriteString(letter + ") " + prompt.Quote(s) + "\n")
		task.Options = append(task.Options, text.Option{Letter: letter, Text: s})
	}
	b.WriteString("Reply with the letter alone.")
	reply, err := t.Aside(ctx, monitor.Aside{Role: role, Index: index, Text: b.String(), MaxTokens: 8, TopLogProbs: 20})
	if err != nil {
		return chosen{}, err
	}
	c := chosen{At: -1, P: letterShares(reply.Tokens, len(texts))}
	a := task.Extract(text.Sanitise(reply.Text))
	if c.Refused = a.Status == text.Refused; a.Status == text.Parsed && len(a.Text) == 1 {
		c.At = int(a.Text[0] - 'A')
	}
	if c.P == nil && c.At >= 0 {
		c.P = make([]float64, len(texts))
		c.P[c.At] = 1
	}
	return c, nil
}

// letterShares is the distribution over the first n letters at the first token
// that is not blank, renormalised; nil where they have less than half the mass.
func letterShares(tokens []llm.Token, n int) []float64 {
	for _, tok := range tokens {
		if strings.TrimSpace(tok.Text) == "" {
			continue
		}
		p, mass := make([]float64, n), 0.0
		for _, alt := range tok.Top {
			if s := strings.Trim(alt.Text, " \n\t().*\""); len(s) == 1 && s[0] >= 'A' && int(s[0]-'A') < n {
				p[s[0]-'A'] += math.Exp(alt.LogProb)
				mass += math.Exp(alt.LogProb)
			}
		}
		if !(mass >= 0.5 && mass <= 1.001) {
			return nil
		}
		for i := range p {
			p[i] /= mass
		}
		return p
	}
	return nil
}

// rotations are the cyclic orders of n things.
func rotations(n int) [][]int {
	out := make([][]int, n)
	for r := range n {
		for i := range n {
			out[r] = append(out[r], (i+r)%n)
		}
	}
	return out
}

// orderOf is the order of n things turned by so many places to the left.
func orderOf(n, turn int) []int { return rotations(n)[(turn%n+n)%n] }

// preambles begin what gives an author away more than what the author says.
var preambles = []string{"sure", "certainly", "of course", "here is", "here's", "here are", "absolutely", "great question", "okay", "as an ai", "happy to"}

// withoutPreamble drops a first line or sentence that only announces the rest.
func withoutPreamble(s string) string {
	s = strings.TrimSpace(s)
	spans := text.Sentences(s)
	if len(spans) < 2 {
		return s
	}
	first := strings.ToLower(spans[0].In(s))
	for _, p := range preambles {
		if strings.HasPrefix(first, p) {
			return strings.TrimSpace(s[spans[0].End:])
		}
	}
	return s
}

// yesShare is the probability of yes by log-probabilities; without them 1 or 0 as
// the reply has it, nil where it has neither.
func yesShare(tokens []llm.Token, reply string) *float64 {
	if p, ok := verbal.YesShare(tokens); ok {
		return &p
	}
	if v, ok := text.ReadBool(text.Sanitise(reply)); ok {
		p := one(v)
		return &p
	}
	return nil
}
