package openai_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gnothi/llm"
	"gnothi/llm/llmtest"
	"gnothi/llm/openai"
)

// server speaks the OpenAI protocol. What it says is a walk over number words
// that depends on the seed, like a model's; greedy calls count.
type server struct {
	*httptest.Server
	noN, noStream    bool
	noLogProbs       bool // leaves them out
	refuseLogProbs   int  // a status
	maxTop           int  // refuses more alternatives
	refuseN          bool
	newMaxName       bool
	noCompletions    bool
	slow             time.Duration // a token
	mu               sync.Mutex
	bodies           []map[string]any
	auth             []string
	disconnected     chan struct{}
	failSeed         float64
	busy, mostlyBusy int
}

var numbers = strings.Fields("one two three four five six seven eight nine ten eleven twelve")

func serve(t *testing.T) *server {
	s := &server{disconnected: make(chan struct{}, 100)}
	s.Server = httptest.NewServer(http.HandlerFunc(s.handle))
	t.Cleanup(s.Close)
	return s
}

func (s *server) seen() []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.bodies)
}

func fail(w http.ResponseWriter, code int, param, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": message, "type": "invalid_request_error", "param": param}})
}

func (s *server) handle(w http.ResponseWriter, r *http.Request) {
	data, _ := io.ReadAll(r.Body)
	var body map[string]any
	if err := json.Unmarshal(data, &body); err != nil {
		fail(w, 400, "", err.Error())
		return
	}
	s.mu.Lock()
	s.bodies = append(s.bodies, body)
	s.auth = append(s.auth, strings.Join(r.Header.Values("Authorization"), ","))
	s.busy++
	s.mostlyBusy = max(s.mostlyBusy, s.busy)
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.busy--; s.mu.Unlock() }()

	completion := strings.HasSuffix(r.URL.Path, "/completions") && !strings.HasSuffix(r.URL.Path, "/chat/completions")
	num := func(name string) float64 { v, _ := body[name].(float64); return v }
	_, wantsLogProbs := body["logprobs"]
	top := int(num("top_logprobs"))
	if completion {
		top = int(num("logprobs"))
	}
	switch {
	case completion && s.noCompletions:
		http.NotFound(w, r)
		return
	case wantsLogProbs && s.refuseLogProbs != 0:
		fail(w, s.refuseLogProbs, "", "This model does not support logprobs.")
		return
	case s.maxTop > 0 && top > s.maxTop:
		fail(w, 400, "top_logprobs", "top_logprobs is too large")
		return
	case s.refuseN && num("n") > 1:
		fail(w, 422, "n", "only 1 is allowed")
		return
	case s.newMaxName && body["max_tokens"] != nil:
		fail(w, 400, "max_tokens", "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")
		return
	case s.failSeed != 0 && num("seed") == s.failSeed:
		fail(w, 503, "", "overloaded")
		return
	}
	n := max(1, int(num("n")))
	if s.noN {
		n = 1
	}
	limit := 12
	for _, name := range []string{"max_tokens", "max_completion_tokens"} {
		if v := num(name); v > 0 {
			limit = min(limit, int(v))
		}
	}
	var choices []any
	var chunks [][]any
	total := 0
	for i := range n {
		var tokens []string
		rng := rand.New(rand.NewPCG(uint64(num("seed")), uint64(i)))
		for k := range 12 {
			word := numbers[k]
			if num("temperature") > 0 {
				word = numbers[rng.IntN(12)]
			}
			if k > 0 {
				word = " " + word
			}
			tokens = append(tokens, word)
		}
		finish := "stop"
		if stops, _ := body["stop"].([]any); len(stops) > 0 {
			full := strings.Join(tokens, "")
			if before, _, found := strings.Cut(full, stops[0].(string)); found {
				tokens = strings.SplitAfter(before, " ")
			}
		}
		if len(tokens) > limit {
			tokens, finish = tokens[:limit], "length"
		}
		prompt, _ := body["prompt"].(string)
		if body["echo"] == true {
			tokens = strings.SplitAfter(prompt, " ")
		}
		total += len(tokens)
		text := strings.Join(tokens, "")
		var content, parts []any
		var lp, alts []any
		for k, tok := range tokens {
			entry := map[string]any{"token": tok, "logprob": -0.5, "bytes": []byte(nil), "top_logprobs": []any{}}
			alt := map[string]any{}
			for a := range top {
				name, p := fmt.Sprint(tok, a), -0.5-float64(a)
				if a == 0 {
					name = tok
				}
				entry["top_logprobs"] = append(entry["top_logprobs"].([]any), map[string]any{"token": name, "logprob": p})
				alt[name] = p
			}
			content = append(content, entry)
			if lp = append(lp, -0.5); k == 0 && body["echo"] == true {
				lp[0] = nil
			}
			alts = append(alts, alt)
			delta := map[string]any{"content": tok}
			if k == 0 {
				delta["role"] = "assistant"
				delta["reasoning_content"] = "hm"
			}
			part := map[string]any{"index": i, "delta": delta, "finish_reason": nil, "x_choice": 9007199254740993}
			if completion {
				part = map[string]any{"index": i, "text": tok, "finish_reason": nil}
			}
			if wantsLogProbs && !s.noLogProbs {
				part["logprobs"] = map[string]any{"content": []any{entry}}
			}
			parts = append(parts, part)
		}
		parts = append(parts, map[string]any{"index": i, "delta": map[string]any{}, "finish_reason": finish})
		c := map[string]any{"index": i, "finish_reason": finish, "message": map[string]any{"role": "assistant", "content": text, "reasoning_content": "hm", "refusal": nil}, "logprobs": nil, "x_choice": 9007199254740993}
		if completion {
			delete(c, "message")
			c["text"] = text
		}
		if wantsLogProbs && !s.noLogProbs {
			c["logprobs"] = map[string]any{"content": content}
			if completion {
				c["logprobs"] = map[string]any{"tokens": tokens, "token_logprobs": lp, "top_logprobs": alts, "text_offset": []int{}}
			}
		}
		choices, chunks = append(choices, c), append(chunks, parts)
	}
	usage := map[string]any{"prompt_tokens": 5, "completion_tokens": total, "total_tokens": total + 5, "x_details": map[string]any{"cached": 0}}
	response := map[string]any{"id": "c1", "object": "chat.completion", "created": 1, "model": body["model"].(string) + "-0613", "x_vendor": json.RawMessage("9007199254740993"), "usage": usage}
	pause := func() bool {
		select {
		case <-time.After(s.slow):
			return true
		case <-r.Context().Done():
			s.disconnected <- struct{}{}
			return false
		}
	}
	w.Header().Set("X-Request-Id", "r1")
	if body["stream"] != true || s.noStream {
		if s.slow > 0 && !pause() {
			return
		}
		response["choices"] = choices
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		json.NewEncoder(w).Encode(response)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	response["object"] = "chat.completion.chunk"
	delete(response, "usage")
	send := func(v any) {
		b, _ := json.Marshal(v)
		fmt.Fprintf(w, "data: %s\n\n", b)
		w.(http.Flusher).Flush()
	}
	for k := range 13 {
		for _, parts := range chunks {
			if k < len(parts) {
				response["choices"] = []any{parts[k]}
				send(response)
				if s.slow > 0 && !pause() {
					return
				}
			}
		}
	}
	if options, _ := body["stream_options"].(map[string]any); options["include_usage"] == true {
		response["choices"], response["usage"] = []any{}, usage
		send(response)
	}
	fmt.Fprint(w, "data: [DONE]\n\n")
}

func open(t *testing.T, s *server, o openai.Options) *openai.Provider {
	t.Helper()
	o.BaseURL = s.URL + "/v1"
	p, err := openai.New("m", o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestConformance runs the suite against servers that can do more or less.
func TestConformance(t *testing.T) {
	for name, c := range map[string]struct {
		server  func(*server)
		options openai.Options
	}{
		"all":            {func(s *server) {}, openai.Options{Abilities: map[llm.Ability]bool{llm.ScoreText: true}, StreamUsage: true}},
		"seeded":         {func(s *server) {}, openai.Options{Abilities: map[llm.Ability]bool{llm.Seeded: true}}},
		"no n":           {func(s *server) { s.noN = true }, openai.Options{}},
		"n refused":      {func(s *server) { s.refuseN = true }, openai.Options{}},
		"no logprobs":    {func(s *server) { s.refuseLogProbs = 400 }, openai.Options{}},
		"silent":         {func(s *server) { s.noLogProbs = true }, openai.Options{}},
		"bare, new name": {func(s *server) { s.newMaxName, s.noCompletions = true, true }, openai.Options{}},
	} {
		t.Run(name, func(t *testing.T) {
			llmtest.Run(t, func(t *testing.T) (llm.Model, llmtest.Fixture) {
				s := serve(t)
				c.server(s)
				o := c.options
				transport := &http.Transport{MaxIdleConnsPerHost: 64}
				o.HTTPClient = &http.Client{Transport: transport}
				if strings.Contains(t.Name(), "during") {
					s.slow = time.Hour
				}
				slow := llmtest.Question("slowly")
				return open(t, s, o), llmtest.Fixture{Slow: &slow, Unknown: "x_vendor", Close: func() { transport.CloseIdleConnections(); s.Close() }}
			})
		})
	}
}

func TestFaults(t *testing.T) {
	for _, f := range llmtest.Faults() {
		for _, streamed := range []bool{false, true} {
			if streamed && !f.Stream || !streamed && !f.Plain {
				continue
			}
			t.Run(fmt.Sprintf("%s/stream=%v", f.Name, streamed), func(t *testing.T) {
				t.Parallel()
				if f.Hangs { // until a limit of the client's, in time that passes only while all wait
					synctest.Test(t, func(t *testing.T) {
						fault(t, f, streamed, openai.Options{BaseURL: "http://upstream", HTTPClient: llmtest.Pipe(t, f.Serve)})
					})
					return
				}
				s := httptest.NewServer(f.Serve)
				defer s.Close()
				fault(t, f, streamed, openai.Options{BaseURL: s.URL})
			})
		}
	}
}

func fault(t *testing.T, f llmtest.Fault, streamed bool, o openai.Options) {
	t.Helper()
	o.APIKey = llmtest.Secret
	p, err := openai.New("m", o)
	if err != nil {
		t.Fatal(err)
	}
	op := llmtest.Question("What is the capital of France?")
	text, delivered := "", false
	if streamed {
		op.Stream = func(e llm.Event) error { text += e.Text; delivered = true; return nil }
	}
	res, err := p.Do(t.Context(), op)
	if f.Fine {
		if err != nil || res.Choices[0].Text != "Paris" || res.Choices[0].Finish != "stop" || streamed && text != "Paris" {
			t.Errorf("got %+v, %v; streamed %q", res, err, text)
		}
		return
	}
	var e *llm.APIError
	if !errors.As(err, &e) {
		t.Fatalf("got %+v, %v; want an APIError", res, err)
	}
	if e.Status != f.Status || e.Temporary != f.Temporary || e.RetryAfter < f.RetryAfter || !strings.Contains(err.Error(), f.Message) {
		t.Errorf("got %+v (%v), want %+v", e, err, f)
	}
	if delivered && e.Temporary {
		t.Error("an error after delivery is not worth another try")
	}
	if strings.Contains(err.Error(), llmtest.Secret) || strings.Contains(fmt.Sprintf("%+v", e), llmtest.Secret) {
		t.Errorf("the key is shown: %v", err)
	}
}

func ask(n int) llm.Op {
	op := llmtest.Question("count")
	op.Request.Temperature = nil
	op.Indices = llm.Range(0, n)
	return op
}

func do(t *testing.T, m llm.Model, op llm.Op) *llm.Result {
	t.Helper()
	res, err := m.Do(t.Context(), op)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestNothingIsAdded(t *testing.T) {
	s := serve(t)
	p := open(t, s, openai.Options{})
	body := []byte(`{"model":"m","messages":[{"role":"developer","content":"x","name":"d"},{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,"}},{"type":"text","text":"hi"}]},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"42"}],"max_completion_tokens":7,"temperature":0,"metadata":{"a":null},"x":9007199254740993,"seed":-3,"tools":[],"logprobs":false}`)
	r, call, err := openai.DecodeRequest(body)
	if err != nil || call.Model != "m" {
		t.Fatalf("%+v, %v", call, err)
	}
	do(t, p, llm.Op{Request: r})
	var want map[string]any
	if err := json.Unmarshal(body, &want); err != nil {
		t.Fatal(err)
	}
	got, wanted := fmt.Sprint(s.seen()[0]), fmt.Sprint(want)
	if got != wanted {
		t.Errorf("upstream got\n%s\nthe client sent\n%s", got, wanted)
	}
	if s.auth[0] != "" {
		t.Errorf("without a key there is an Authorization header %q", s.auth[0])
	}
	do(t, open(t, s, openai.Options{APIKey: "k"}), ask(1))
	if s.auth[1] != "Bearer k" {
		t.Errorf("Authorization %q", s.auth[1])
	}
}

func TestManyChoices(t *testing.T) {
	s := serve(t)
	p := open(t, s, openai.Options{})
	op := ask(5)
	op.Seed = 42
	do(t, p, op)
	if b := s.seen(); len(b) != 1 || b[0]["n"] != 5.0 || b[0]["seed"] != float64(llm.SeedOf(42, 0)) {
		t.Errorf("want one call with n and one seed: %v", b)
	}

	s = serve(t)
	s.noN = true
	p = open(t, s, openai.Options{Concurrency: 3})
	s.slow = 20 * time.Millisecond
	for range 2 {
		res := do(t, p, op)
		if res.Usage.CompletionTokens != 60 || res.Usage.PromptTokens != 25 {
			t.Errorf("usage %+v is not the sum of five calls", res.Usage)
		}
	}
	bodies := s.seen()
	if len(bodies) != 10 || bodies[0]["n"] != 5.0 {
		t.Fatalf("%d calls, want 5 and 5, the first with n", len(bodies))
	}
	seeds := map[any]bool{}
	for _, b := range bodies[5:] {
		if b["n"] != nil {
			t.Error("n again, though the server ignores it")
		}
		seeds[b["seed"]] = true
	}
	for i := range 5 {
		if !seeds[float64(llm.SeedOf(42, i))] {
			t.Errorf("the seed of choice %d is not among %v", i, seeds)
		}
	}
	if s.mostlyBusy > 3 {
		t.Errorf("%d calls side by side, at most 3 allowed", s.mostlyBusy)
	}
}

func TestFailedCallLeavesTheOthers(t *testing.T) {
	s := serve(t)
	s.noN = true
	p := open(t, s, openai.Options{Abilities: map[llm.Ability]bool{llm.Seeded: true}})
	s.failSeed = float64(llm.SeedOf(42, 2))
	op := ask(4)
	op.Seed = 42
	res, err := p.Do(t.Context(), op)
	var e *llm.APIError
	if !errors.As(err, &e) || e.Status != 503 || res == nil || len(res.Choices) != 3 || res.Choices[2].Index != 3 {
		t.Errorf("got %+v, %v", res, err)
	}
}

func TestLogProbsLearned(t *testing.T) {
	op := ask(1)
	op.Request.LogProbs, op.Request.TopLogProbs = true, 20
	for name, c := range map[string]struct {
		server     func(*server)
		calls, can int // of the first operation; whether log-probabilities are there after
		top        int
	}{
		"taken":         {func(s *server) {}, 1, 1, 20},
		"refused 400":   {func(s *server) { s.refuseLogProbs = 400 }, 2, 0, 0},
		"refused 422":   {func(s *server) { s.refuseLogProbs = 422 }, 2, 0, 0},
		"refused 500":   {func(s *server) { s.refuseLogProbs = 500 }, 2, 0, 0},
		"left out":      {func(s *server) { s.noLogProbs = true }, 1, 0, 0},
		"five at most":  {func(s *server) { s.maxTop = 5 }, 2, 1, 5},
		"three at most": {func(s *server) { s.maxTop = 3 }, 3, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			c.server(s)
			p := open(t, s, openai.Options{})
			if !p.Can(llm.LogProbs) {
				t.Error("not optimistic")
			}
			res := do(t, p, op)
			if len(s.seen()) != c.calls || p.Can(llm.LogProbs) != (c.can == 1) {
				t.Errorf("%d calls, Can %v", len(s.seen()), p.Can(llm.LogProbs))
			}
			if c.can == 1 && (len(res.Choices[0].Tokens) != 12 || len(res.Choices[0].Tokens[3].Top) != c.top) {
				t.Errorf("tokens %+v", res.Choices[0].Tokens)
			}
			do(t, p, op)
			if len(s.seen()) != c.calls+1 {
				t.Error("what was learned is asked again")
			}
		})
	}
}

func TestRawPromptAndScore(t *testing.T) {
	s := serve(t)
	p := open(t, s, openai.Options{Abilities: map[llm.Ability]bool{llm.ScoreText: true}})
	if p.Can(llm.RawPrompt) {
		t.Error("raw prompts are not known to work yet")
	}
	raw := llm.Op{Request: llm.Request{Prompt: "one two", LogProbs: true, TopLogProbs: 2}}
	res := do(t, p, raw)
	if !p.Can(llm.RawPrompt) || len(res.Choices[0].Tokens[0].Top) != 2 || res.Choices[0].Tokens[0].Top[0].LogProb != -0.5 {
		t.Errorf("%+v", res.Choices[0])
	}
	score := llm.Op{Kind: llm.Score, Continuation: " four five", Request: llm.Request{Prompt: "one two three"}}
	c := do(t, p, score).Choices[0]
	if c.Text != " four five" || len(c.Tokens) != 3 { // "three " begins in the prompt
		t.Errorf("%+v", c)
	}
}

func TestStreamStopsUpstream(t *testing.T) {
	s := serve(t)
	s.slow = time.Hour // after the first token
	p := open(t, s, openai.Options{})
	op := ask(1)
	enough := errors.New("enough")
	op.Stream = func(e llm.Event) error {
		if e.Text == "" {
			return nil
		}
		return enough
	}
	if _, err := p.Do(t.Context(), op); !errors.Is(err, enough) {
		t.Fatalf("got %v", err)
	}
	select {
	case <-s.disconnected:
	case <-time.After(time.Minute):
		t.Error("the upstream was not told")
	}
}

func TestNew(t *testing.T) {
	for _, base := range []string{"ftp://x", "http://", "::", "localhost:80"} {
		if _, err := openai.New("m", openai.Options{BaseURL: base}); err == nil {
			t.Errorf("base URL %q is taken", base)
		}
	}
	p, err := openai.New("m", openai.Options{BaseURL: "http://user:pass@h:1/v1/?api-version=2"})
	if err != nil || p.ID().String() != "openai:m@http://h:1/v1" {
		t.Errorf("%v, %v", p.ID(), err)
	}
	if p, _ := openai.New("m", openai.Options{}); p.ID().String() != "openai:m" {
		t.Errorf("%v", p.ID())
	}
}

func ExampleProvider() {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.Copy(w, bytes.NewBufferString(`{"choices":[{"index":0,"message":{"role":"assistant","content":"Paris"},"finish_reason":"stop"}],"usage":{"prompt_tokens":14,"completion_tokens":1}}`))
	}))
	defer upstream.Close()

	m, err := openai.New("some-model", openai.Options{BaseURL: upstream.URL + "/v1"})
	if err != nil {
		panic(err)
	}
	res, err := m.Do(context.Background(), llm.Op{Request: llm.Request{
		Messages: []llm.Message{{Role: "user", Text: "What is the capital of France?"}},
	}})
	if err != nil {
		panic(err)
	}
	fmt.Println(res.Choices[0].Text, res.Usage.PromptTokens)
	// Output: Paris 14
}
