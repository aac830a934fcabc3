package llmtest

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"gnothi/llm"
)

// Fixture says how to try a model.
type Fixture struct {
	// Op is a request whose answer has at least four tokens; by default a chat
	// that asks for the numbers from one to twelve.
	Op *llm.Op
	// Slow is an operation that goes on until it is cancelled, or for many seconds.
	Slow *llm.Op
	// Unknown is the name of a field that the upstream adds and gnothi does not know.
	Unknown string
	// Close, if set, is called after a test, before leaks are looked for.
	Close func()
}

// Question makes a chat of one user message, greedy.
func Question(text string) llm.Op {
	greedy := 0.0
	return llm.Op{Role: "test", Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: text}}, Temperature: &greedy, MaxTokens: 64}}
}

// Run tries a model against the contract of [llm.Model]. What depends on an
// ability is skipped without it. open gives a fresh model for each test.
func Run(t *testing.T, open func(*testing.T) (llm.Model, Fixture)) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*suite)
	}{
		{"identity", (*suite).identity},
		{"choices", (*suite).choices},
		{"no choices", (*suite).none},
		{"seeded", (*suite).seeded},
		{"operation unchanged", (*suite).unchanged},
		{"cancelled before", (*suite).cancelledBefore},
		{"cancelled during", (*suite).cancelledDuring},
		{"unknown fields", (*suite).unknown},
		{"streaming", (*suite).streaming},
		{"stream stopped by its reader", (*suite).streamStopped},
		{"usage", (*suite).usage},
		{"log-probabilities", (*suite).logProbs},
		{"stop strings", (*suite).stop},
		{"max tokens", (*suite).maxTokens},
		{"raw prompt", (*suite).rawPrompt},
		{"score", (*suite).score},
		{"trace", (*suite).trace},
		{"concurrent use", (*suite).concurrent},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			m, f := open(t)
			if f.Op == nil {
				op := Question("Write the numbers from one to twelve in words.")
				f.Op = &op
			}
			c.test(&suite{t, m, f})
			if f.Close != nil {
				f.Close()
			}
			NoLeaks(t, before)
		})
	}
}

type suite struct {
	*testing.T
	m llm.Model
	f Fixture
}

// op is the fixture's operation for some repeat indexes.
func (s *suite) op(indices ...int) llm.Op {
	op := *s.f.Op
	op.Indices = indices
	return op
}

func (s *suite) do(op llm.Op) *llm.Result {
	s.Helper()
	res, err := s.m.Do(s.Context(), op)
	if err != nil {
		s.Fatalf("Do: %v", err)
	}
	return res
}

func (s *suite) need(a llm.Ability) {
	s.Helper()
	if !s.m.Can(a) {
		s.Skipf("%s lacks the ability %q", s.m.ID(), a)
	}
}

func (s *suite) identity() {
	id := s.m.ID()
	if id.Provider == "" || id.Name == "" {
		s.Errorf("ID %+v lacks provider or name", id)
	}
	s.do(s.op())
	if again := s.m.ID(); again != id {
		s.Errorf("ID changed from %+v to %+v", id, again)
	}
}

func (s *suite) choices() {
	for _, indices := range [][]int{nil, {0, 1, 2}, {5, 2}} {
		op := s.op(indices...)
		res := s.do(op)
		if len(res.Choices) != op.N() {
			s.Fatalf("%d choices for indices %v", len(res.Choices), indices)
		}
		for k, c := range res.Choices {
			if c.Index != op.Index(k) {
				s.Errorf("choice %d of indices %v has index %d", k, indices, c.Index)
			}
			if c.Text == "" || c.Finish == "" {
				s.Errorf("choice %d: text %q, finish %q", k, c.Text, c.Finish)
			}
		}
	}
}

func (s *suite) none() {
	op := s.op()
	op.Indices = []int{}
	if res := s.do(op); len(res.Choices) != 0 {
		s.Errorf("%d choices, none asked for", len(res.Choices))
	}
}

func (s *suite) seeded() {
	s.need(llm.Seeded)
	hot := 1.0
	ask := func(indices ...int) map[int]string {
		op := s.op(indices...)
		op.Seed, op.Request.Temperature = 7, &hot
		texts := map[int]string{}
		for _, c := range s.do(op).Choices {
			texts[c.Index] = c.Text
		}
		return texts
	}
	all, alone, reverse := ask(0, 1, 2, 3), ask(2), ask(3, 1)
	if all[2] != alone[2] || all[3] != reverse[3] || all[1] != reverse[1] {
		s.Errorf("a choice depends on what else is asked for: %v, %v, %v", all, alone, reverse)
	}
}

func (s *suite) unchanged() {
	op := s.op(0, 1)
	op.Seed = 3
	op.Request.Extra = map[string]json.RawMessage{"user": json.RawMessage(`"u1"`)}
	op.Request.Stop = []string{"\u0000never"}
	before := op
	before.Request.Messages = append([]llm.Message(nil), op.Request.Messages...)
	before.Request.Extra = map[string]json.RawMessage{"user": json.RawMessage(`"u1"`)}
	s.do(op)
	if d := cmp.Diff(before.Request, op.Request); d != "" {
		s.Errorf("Do changed its operation:\n%s", d)
	}
}

func (s *suite) cancelledBefore() {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	if res, err := s.m.Do(ctx, s.op()); !errors.Is(err, context.Canceled) {
		s.Errorf("got %v, %v; want the context's error", res, err)
	}
}

func (s *suite) cancelledDuring() {
	if s.f.Slow == nil {
		s.Skip("the fixture has no slow operation")
	}
	for _, streamed := range []bool{false, true} {
		if streamed && !s.m.Can(llm.Streaming) {
			continue
		}
		op := *s.f.Slow
		cause := errors.New("the client left")
		ctx, cancel := context.WithCancelCause(s.Context())
		late := 0
		if streamed {
			op.Stream = func(llm.Event) error {
				if ctx.Err() != nil {
					late++
				}
				return nil
			}
		}
		timer := time.AfterFunc(50*time.Millisecond, func() { cancel(cause) })
		_, err := s.m.Do(ctx, op)
		early := timer.Stop()
		cancel(nil)
		if early {
			s.Fatalf("the slow operation was over within 50 ms: %v", err)
		}
		if !errors.Is(err, cause) && !errors.Is(err, context.Canceled) {
			s.Errorf("streamed %v: got %v, want the context's error", streamed, err)
		}
		if late > 2 { // at most what was on its way
			s.Errorf("%d events after the context ended", late)
		}
	}
}

func (s *suite) unknown() {
	if s.f.Unknown == "" {
		s.Skip("the fixture adds no unknown field")
	}
	res := s.do(s.op())
	if raw := string(res.Raw) + string(res.Choices[0].Raw); !strings.Contains(raw, s.f.Unknown) {
		s.Errorf("%q did not survive in %s", s.f.Unknown, raw)
	}
}

func (s *suite) streaming() {
	s.need(llm.Streaming)
	op := s.op(0, 1)
	op.Request.LogProbs = s.m.Can(llm.LogProbs)
	whole := s.do(op)
	texts, tokens, finish, events := map[int]string{}, map[int]int{}, map[int]string{}, 0
	op.Stream = func(e llm.Event) error { // calls do not overlap: the race detector would tell
		texts[e.Index] += e.Text
		tokens[e.Index] += len(e.Tokens)
		if e.Finish != "" {
			finish[e.Index] = e.Finish
		}
		events++
		return nil
	}
	streamed := s.do(op)
	if len(streamed.Choices) != len(whole.Choices) {
		s.Fatalf("streamed %d choices, otherwise %d", len(streamed.Choices), len(whole.Choices))
	}
	if events < 2*len(whole.Choices) {
		s.Errorf("%d events for %d choices is no stream", events, len(whole.Choices))
	}
	for k, a := range whole.Choices {
		b := streamed.Choices[k]
		if a.Index != b.Index || a.Text != b.Text || a.Finish != b.Finish || a.Reasoning != b.Reasoning || len(a.Tokens) != len(b.Tokens) {
			s.Errorf("streamed choice %+v, otherwise %+v", b, a)
		}
		if texts[a.Index] != a.Text || finish[a.Index] != a.Finish || tokens[a.Index] != len(a.Tokens) {
			s.Errorf("events of choice %d: %q, %q, %d tokens; the choice: %q, %q, %d", a.Index, texts[a.Index], finish[a.Index], tokens[a.Index], a.Text, a.Finish, len(a.Tokens))
		}
	}
}

func (s *suite) streamStopped() {
	s.need(llm.Streaming)
	op := s.op()
	enough := errors.New("enough")
	n := 0
	op.Stream = func(llm.Event) error { n++; return enough }
	if _, err := s.m.Do(s.Context(), op); !errors.Is(err, enough) {
		s.Errorf("got %v, want the reader's error", err)
	}
	if n != 1 {
		s.Errorf("%d events after the reader's error", n-1)
	}
}

func (s *suite) usage() {
	one, three := s.do(s.op()).Usage, s.do(s.op(0, 1, 2)).Usage
	for _, u := range []llm.Usage{one, three} {
		if u.PromptTokens <= 0 || u.CompletionTokens <= 0 || u.NanoUSD < 0 {
			s.Errorf("usage %+v", u)
		}
	}
	if three.CompletionTokens <= one.CompletionTokens {
		s.Errorf("three choices have %d completion tokens, one has %d", three.CompletionTokens, one.CompletionTokens)
	}
}

func (s *suite) logProbs() {
	if plain := s.do(s.op()); plain.Choices[0].Tokens != nil {
		s.Errorf("tokens that were not asked for")
	}
	s.need(llm.LogProbs)
	op := s.op(0, 1)
	op.Request.LogProbs, op.Request.TopLogProbs = true, 3
	res := s.do(op)
	s.need(llm.LogProbs) // the answer may have shown otherwise
	for _, c := range res.Choices {
		text := ""
		for i, t := range c.Tokens {
			text += t.Text
			if !valid(t.LogProb) || len(t.Top) > 3 {
				s.Errorf("token %d: %+v", i, t)
			}
			for k, top := range t.Top {
				if !valid(top.LogProb) || k > 0 && top.LogProb > t.Top[k-1].LogProb {
					s.Errorf("token %d: alternatives %+v", i, t.Top)
				}
			}
			if s.m.Can(llm.Distribution) {
				d := t.Dist
				if d == nil || d.Vocab <= 0 || !(d.Entropy >= 0 && d.Entropy <= math.Log(float64(d.Vocab))+1e-6) || !(d.KLUniform >= -1e-6) || math.IsNaN(d.LogZ) || math.IsInf(d.LogZ, 0) {
					s.Errorf("token %d: distribution %+v", i, d)
				}
			}
		}
		if text != c.Text {
			s.Errorf("the tokens make %q, the text is %q", text, c.Text)
		}
	}
}

func valid(lp float64) bool { return lp <= 0 && !math.IsInf(lp, 0) && !math.IsNaN(lp) }

func (s *suite) stop() {
	full := s.do(s.op()).Choices[0].Text
	words := strings.Fields(full)
	if len(words) < 4 {
		s.Fatalf("the fixture's answer is too short: %q", full)
	}
	op := s.op()
	op.Request.Stop = []string{words[2]}
	c := s.do(op).Choices[0]
	if want, _, _ := strings.Cut(full, words[2]); c.Text != want || c.Finish != "stop" {
		s.Errorf("stopped at %q: %q (%s), want %q", words[2], c.Text, c.Finish, want)
	}
}

func (s *suite) maxTokens() {
	op := s.op()
	op.Request.MaxTokens = 2
	res := s.do(op)
	if c := res.Choices[0]; res.Usage.CompletionTokens > 2 || c.Finish != "length" {
		s.Errorf("max_tokens 2: %d tokens, %q (%s)", res.Usage.CompletionTokens, c.Text, c.Finish)
	}
}

func (s *suite) rawPrompt() {
	op := s.op()
	op.Request.Messages, op.Request.Prompt = nil, "one two three"
	res, err := s.m.Do(s.Context(), op)
	var unsupported *llm.UnsupportedError
	switch {
	case errors.As(err, &unsupported):
		if unsupported.Ability != llm.RawPrompt || s.m.Can(llm.RawPrompt) {
			s.Errorf("Can(raw) is %v, Do says %v", s.m.Can(llm.RawPrompt), err)
		}
	case err != nil:
		s.Errorf("Do: %v", err)
	case res.Choices[0].Text == "" || !s.m.Can(llm.RawPrompt):
		s.Errorf("continued with %q; Can(raw) is %v", res.Choices[0].Text, s.m.Can(llm.RawPrompt))
	}
}

func (s *suite) score() {
	const continuation = " four five"
	op := s.op()
	op.Kind, op.Continuation = llm.Score, continuation
	op.Request.Messages, op.Request.Prompt = nil, "one two three"
	if !s.m.Can(llm.ScoreText) {
		var unsupported *llm.UnsupportedError
		if _, err := s.m.Do(s.Context(), op); !errors.As(err, &unsupported) || unsupported.Ability != llm.ScoreText {
			s.Errorf("a score without the ability: %v", err)
		}
		return
	}
	res := s.do(op)
	if len(res.Choices) != 1 {
		s.Fatalf("%d choices", len(res.Choices))
	}
	text := ""
	for i, t := range res.Choices[0].Tokens {
		if text += t.Text; !valid(t.LogProb) {
			s.Errorf("token %d: %+v", i, t)
		}
	}
	if !strings.HasSuffix(text, continuation) {
		s.Errorf("scored %q, want %q", text, continuation)
	}
}

func (s *suite) trace() {
	op := s.op()
	op.Kind, op.Depth = llm.Trace, 1
	if !s.m.Can(llm.Hidden) {
		var unsupported *llm.UnsupportedError
		if _, err := s.m.Do(s.Context(), op); !errors.As(err, &unsupported) || unsupported.Ability != llm.Hidden {
			s.Errorf("a trace without the ability: %v", err)
		}
		return
	}
	res := s.do(op)
	if len(res.Choices) != 1 || len(res.Choices[0].State) == 0 || res.Choices[0].Text != "" {
		s.Fatalf("%d choices: %+v", len(res.Choices), res.Choices)
	}
	for i, v := range res.Choices[0].State {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			s.Errorf("component %d of the state is %v", i, v)
			break
		}
	}
}

func (s *suite) concurrent() {
	want := s.do(s.op()).Choices[0].Text
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			op := s.op(0, g+1)
			if g%2 == 0 && s.m.Can(llm.Streaming) {
				op.Stream = func(llm.Event) error { return nil }
			}
			res, err := s.m.Do(s.Context(), op)
			if err != nil || len(res.Choices) != 2 || res.Choices[0].Text != want {
				s.Errorf("%d: %+v, %v", g, res, err)
			}
			s.m.Can(llm.LogProbs)
		})
	}
	wg.Wait()
}
