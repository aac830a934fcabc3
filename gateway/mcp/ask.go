package mcp

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"gnothi"
	"gnothi/text"
)

type askIn struct {
	Question  string            `json:"question" jsonschema:"the question, complete in itself"`
	Context   string            `json:"context,omitempty" jsonschema:"text to answer from"`
	Options   map[string]string `json:"options,omitempty" jsonschema:"the answers to choose from, by key: 2 to 26"`
	Threshold *float64          `json:"threshold,omitempty" jsonschema:"abstain where the answer is less likely than this to be right, 0 to 1"`
	Hedge     *float64          `json:"hedge,omitempty" jsonschema:"give the answer with its doubt where it is less likely than this to be right; above threshold"`
	Policy    string            `json:"policy,omitempty" jsonschema:"how calls are spent: NAME[?key=value&…], such as direct, auto or self-consistency?n=10; default: the server's"`
	Budget    *Budget           `json:"budget,omitempty" jsonschema:"ceilings of this call"`
}

func (in askIn) ceilings() *Budget { return in.Budget }

func addAsk(s *Server) error {
	return add(s, tool{"ask", "Ask with a probability", "Ask the model behind this server a question. Gives its answer, the probability that it is right and what calibrated it, " +
		"the decision (answer, hedge, clarify, abstain), the evidence, other answers it gave, and the cost."}, ask)
}

// ask answers as `gnothi ask --json` does.
func ask(ctx context.Context, c *call, in askIn) (gnothi.Belief, error) {
	q, err := question(in.Question, in.Context, in.Options)
	if err != nil {
		return gnothi.Belief{}, err
	}
	rule, err := c.rule(in.Threshold, in.Hedge)
	if err != nil {
		return gnothi.Belief{}, err
	}
	mind, err := c.Mind(in.Policy, gnothi.WithRule(rule), gnothi.WithProgress(func(n int) { c.progress(n, "samples") }))
	if err != nil {
		return gnothi.Belief{}, err
	}
	b, err := mind.Ask(ctx, q)
	if err != nil && b.Spend.Calls > 0 {
		err = fmt.Errorf("after %d calls: %w", b.Spend.Calls, err)
	}
	return b, err
}

// question is what a caller asks.
func question(q, given string, options map[string]string) (gnothi.Question, error) {
	if err := cmp.Or(filled("question", q), readable("context", given)); err != nil {
		return gnothi.Question{}, err
	}
	out := gnothi.Question{Text: q, Context: given}
	if len(options) == 0 {
		return out, nil
	}
	if err := within("options", len(options), 2, 26); err != nil {
		return out, err
	}
	for _, key := range slices.Sorted(maps.Keys(options)) {
		if err := filled(fmt.Sprintf("options: %q", key), options[key]); err != nil {
			return out, err
		}
		out.Options = append(out.Options, text.Option{Key: key, Text: options[key]})
	}
	return out, nil
}
