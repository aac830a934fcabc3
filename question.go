package gnothi

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"gnothi/llm"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// maxOptions is how many letters there are.
const maxOptions = 26

// pose gives a question the form in which it is asked, and its options the
// letters under which they are shown this time.
func (m *Mind) pose(q Question) (Question, string, llm.Request, error) {
	fail := func(err error) (Question, string, llm.Request, error) { return q, "", llm.Request{}, err }
	if strings.TrimSpace(q.Text) == "" {
		return fail(errors.New("the question is empty"))
	}
	if n := len(q.Options); n == 1 || n > maxOptions {
		return fail(fmt.Errorf("the question has %d options: want 2 to %d", n, maxOptions))
	}
	if len(q.Images) > 0 && !m.model.Can(llm.Images) {
		return fail(fmt.Errorf("%w: ask a model that takes images, such as openai:NAME", &llm.UnsupportedError{Model: m.model.ID(), Ability: llm.Images}))
	}
	q = m.present(q)
	form, ok := prompt.Select(m.form, m.model, q)
	if !ok {
		return fail(fmt.Errorf("form %q: want auto, shots or chat", m.form))
	}
	return q, form.ID(), form.Request(q), nil
}

// present puts the options into an order drawn from the seed and gives them
// letters by it: a letter belongs to one presentation, a key to its option.
// Options that come with letters keep them.
func (m *Mind) present(q Question) Question {
	if len(q.Options) == 0 {
		return q
	}
	q.Kind, q.Options = text.Letter, slices.Clone(q.Options)
	if slices.ContainsFunc(q.Options, func(o text.Option) bool { return o.Letter != "" }) {
		return q
	}
	r := rand.New(rand.NewPCG(m.seed, llm.Derive(m.seed, "options/"+q.Text, 0)))
	r.Shuffle(len(q.Options), func(i, j int) { q.Options[i], q.Options[j] = q.Options[j], q.Options[i] })
	for i := range q.Options {
		q.Options[i].Letter = string(rune('A' + i))
	}
	return q
}
