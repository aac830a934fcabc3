package probe

import (
	"context"

	"gnothi/llm"
	"gnothi/monitor"
)

// Depth is where a probe reads the residual stream: after half of the layers,
// where small models tell best what they know (measured on the default model:
// a third, two thirds and the last layer tell less).
const Depth = 0.5

// State is the evidence of the hidden state after the question, before anything
// is answered.
type State struct{ Depth float64 }

// Gather implements monitor.Evidence.
func (s State) Gather(ctx context.Context, t *monitor.Trial) ([]float32, error) {
	if !t.Model.Can(llm.Hidden) {
		return nil, &monitor.MissingError{Needs: "hidden states (a local model)"}
	}
	traced, err := t.Ask(ctx, llm.Op{Kind: llm.Trace, Request: t.Request, Depth: s.Depth, Role: "trace"})
	return traced.State, err
}
