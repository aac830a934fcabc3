package mcp

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"gnothi"
	"gnothi/control"
	"gnothi/llm"
	"gnothi/stats"
)

// Budget is the ceilings of one call.
type Budget struct {
	Calls  int64   `json:"calls,omitempty" jsonschema:"most calls of the model"`
	Tokens int64   `json:"tokens,omitempty" jsonschema:"most tokens, of prompts and answers"`
	USD    float64 `json:"usd,omitempty" jsonschema:"most dollars"`
}

// call is one use of a tool.
type call struct {
	*Server
	ledger   *llm.Ledger
	start    time.Time
	progress func(done int, what string)
}

// tool describes one, for [add].
type tool struct{ name, title, about string }

// add registers a tool whose input has a budget. What run returns as an error
// becomes a tool error, in words that tell the caller what to do.
func add[In interface{ ceilings() *Budget }, Out any](s *Server, d tool, run func(context.Context, *call, In) (Out, error)) error {
	schemas := &jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[stats.Figure]():     figureSchema(),
		reflect.TypeFor[control.Decision](): {Type: "string", Enum: []any{"answer", "hedge", "clarify", "abstain", "defer"}},
	}}
	out, err := jsonschema.For[Out](schemas)
	if err != nil {
		return fmt.Errorf("tool %s: %w", d.name, err)
	}
	open, closed := true, false
	sdk.AddTool(s.server, &sdk.Tool{
		Name: d.name, Title: d.title, Description: d.about, OutputSchema: out,
		Annotations: &sdk.ToolAnnotations{Title: d.title, ReadOnlyHint: true, DestructiveHint: &closed, OpenWorldHint: &open},
	}, func(ctx context.Context, req *sdk.CallToolRequest, in In) (_ *sdk.CallToolResult, res Out, err error) {
		ctx, stop := s.hungUp(ctx, req)
		defer stop()
		c := &call{Server: s, start: time.Now(), progress: progress(ctx, req)}
		defer func() {
			if err != nil {
				err = errors.New(s.words(err))
			}
			s.Log.Info("call", "tool", d.name, "ms", time.Since(c.start).Milliseconds(), "calls", c.calls(), "failed", err != nil)
		}()
		defer s.recovered(d.name, &err)
		limits, err := s.limits(in.ceilings())
		if err != nil {
			return nil, res, err
		}
		c.ledger = llm.NewLedger(limits)
		if err := s.slots.Acquire(ctx, 1); err != nil {
			return nil, res, err
		}
		defer s.slots.Release(1)
		res, err = run(llm.WithLedger(ctx, c.ledger), c, in)
		return nil, res, err
	})
	return nil
}

// figureSchema is the JSON form of a figure, which its Go type does not show.
func figureSchema() *jsonschema.Schema {
	number := func() *jsonschema.Schema { return &jsonschema.Schema{Types: []string{"null", "number"}} }
	return &jsonschema.Schema{
		Type: "object", Description: "a figure with its interval at 95 %, how many items it rests on, and why a part is missing",
		Properties: map[string]*jsonschema.Schema{
			"value": number(), "low": number(), "high": number(), "n": {Type: "integer"},
			"unit": {Type: "string"}, "method": {Type: "string"}, "why": {Type: "string"},
		},
		Required: []string{"value", "n"},
	}
}

func (c *call) calls() int64 {
	if c.ledger == nil {
		return 0
	}
	return c.ledger.Spent().Calls
}

func (c *call) spend() gnothi.Spend { return gnothi.SpendOf(c.ledger, time.Since(c.start)) }

// limits are the server's ceilings, lowered by the call's.
func (s *Server) limits(b *Budget) (llm.Limits, error) {
	if b == nil {
		return s.Limits, nil
	}
	if b.Calls < 0 || b.Tokens < 0 || !(b.USD >= 0 && b.USD <= 1e6) {
		return llm.Limits{}, errors.New("budget: ceilings have to be above 0")
	}
	least := func(a, b int64) int64 {
		if a == 0 || b == 0 {
			return max(a, b)
		}
		return min(a, b)
	}
	return llm.Limits{
		Calls: least(s.Limits.Calls, b.Calls), Tokens: least(s.Limits.Tokens, b.Tokens), NanoUSD: least(s.Limits.NanoUSD, int64(math.Ceil(b.USD*1e9))),
	}, nil
}

// progress tells the client how many samples there are, if it wants to know. The
// number only grows, as the protocol has it.
func progress(ctx context.Context, req *sdk.CallToolRequest) func(int, string) {
	token := req.Params.GetProgressToken()
	if token == nil {
		return func(int, string) {}
	}
	var mu sync.Mutex
	told := 0
	return func(done int, what string) {
		mu.Lock()
		defer mu.Unlock()
		if done <= told {
			return
		}
		told = done
		// A client that cannot be told learns the result, or has left.
		_ = req.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{ProgressToken: token, Progress: float64(done), Message: fmt.Sprintf("%s: %d", what, done)})
	}
}

// words tells the caller of an error what happened and what to do.
func (s *Server) words(err error) string {
	var budget *llm.BudgetError
	switch {
	case errors.As(err, &budget):
		return fmt.Sprintf("the budget was reached before there was a result: %v; raise budget, or ask for less", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("the model did not answer within %v: try again, or ask for less", s.Timeout)
	case errors.Is(err, context.Canceled):
		return "the call was cancelled"
	}
	return err.Error()
}

// filled says what is wrong with a text that has to be there.
func filled(name, text string) error {
	if strings.TrimSpace(text) == "" {
		return fmt.Errorf("%s: is empty", name)
	}
	return readable(name, text)
}

// readable says what is wrong with a text that may be there.
func readable(name, text string) error {
	if strings.IndexByte(text, 0) >= 0 || !utf8.ValidString(text) {
		return fmt.Errorf("%s: is not text: it is binary, or not UTF-8", name)
	}
	return nil
}

// within says that a number is out of its range.
func within(name string, n, low, high int) error {
	if n < low || n > high {
		return fmt.Errorf("%s: %d: want %d to %d", name, n, low, high)
	}
	return nil
}

// rule is the server's, with the thresholds of a call.
func (s *Server) rule(threshold, hedge *float64) (control.Rule, error) {
	r := s.Rule
	for name, v := range map[string]*float64{"threshold": threshold, "hedge": hedge} {
		if v != nil && !(*v >= 0 && *v <= 1) {
			return r, fmt.Errorf("%s: %v is not a probability", name, *v)
		}
	}
	if threshold != nil {
		r.Threshold = *threshold
	}
	if hedge != nil {
		r.Hedge = *hedge
	}
	if r.Hedge > 0 && r.Hedge <= r.Threshold {
		if hedge != nil {
			return r, fmt.Errorf("hedge %v: has to be above threshold %v", r.Hedge, r.Threshold)
		}
		r.Hedge = 0 // the server's, which the call's threshold has passed
	}
	return r, nil
}

// orElse is a count of a call, or its default where the call has none.
func orElse(n *int, otherwise int) int {
	if n == nil {
		return otherwise
	}
	return *n
}
