package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// The mock's model names say how it answers: parts after "mock" separated by
// hyphens, lat100 (milliseconds before an answer), tok50 (tokens of an answer)
// and tps50 (tokens a second of a stream).
type behaviour struct {
	latency time.Duration
	tokens  int
	gap     time.Duration
}

func behaviourOf(model string) behaviour {
	b := behaviour{tokens: 16}
	for _, part := range strings.Split(model, "-") {
		for prefix, set := range map[string]func(int){
			"lat": func(n int) { b.latency = time.Duration(n) * time.Millisecond },
			"tok": func(n int) { b.tokens = n },
			"tps": func(n int) { b.gap = time.Second / time.Duration(max(1, n)) },
		} {
			if n, err := strconv.Atoi(strings.TrimPrefix(part, prefix)); err == nil && strings.HasPrefix(part, prefix) {
				set(n)
			}
		}
	}
	return b
}

// mock is an upstream that costs little: its share of the time is the same for
// whoever stands before it.
type mock struct {
	calls, choices, inFlight, left atomic.Int64
	leftAt                         chan time.Time // when a caller's leaving was seen
}

func newMock() http.Handler {
	m := &mock{leftAt: make(chan time.Time, 1<<16)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", m.chat)
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"object":"list","data":[{"id":"mock","object":"model","created":1700000000,"owned_by":"mock"}]}`)
	})
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	mux.HandleFunc("GET /stats", m.stats)
	return mux
}

// stats tells the counts, and forgets when callers left once it has told.
func (m *mock) stats(w http.ResponseWriter, _ *http.Request) {
	var left []int64
	for {
		select {
		case t := <-m.leftAt:
			left = append(left, t.UnixNano())
			continue
		default:
		}
		break
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"calls": m.calls.Load(), "choices": m.choices.Load(), "in_flight": m.inFlight.Load(), "left": m.left.Load(), "left_at": left,
	})
}

func (m *mock) chat(w http.ResponseWriter, r *http.Request) {
	m.inFlight.Add(1)
	defer m.inFlight.Add(-1)
	m.calls.Add(1)
	var q struct {
		Model  string `json:"model"`
		N      int    `json:"n"`
		Stream bool   `json:"stream"`
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &q) != nil {
		http.Error(w, `{"error":{"message":"bad JSON","type":"invalid_request_error"}}`, http.StatusBadRequest)
		return
	}
	q.N = max(1, q.N)
	m.choices.Add(int64(q.N))
	b := behaviourOf(q.Model)
	if !m.sleep(r, b.latency) {
		return
	}
	if q.Stream {
		m.stream(w, r, b, q.Model)
		return
	}
	out := make([]byte, 0, 1024)
	out = fmt.Appendf(out, `{"id":"chatcmpl-mock","object":"chat.completion","created":1700000000,"model":%q,"choices":[`, q.Model)
	for i := range q.N {
		if i > 0 {
			out = append(out, ',')
		}
		out = fmt.Appendf(out, `{"index":%d,"message":{"role":"assistant","content":%q},"finish_reason":"stop","logprobs":null}`, i, strings.Repeat(" word", b.tokens))
	}
	out = fmt.Appendf(out, `],"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}`, len(body)/4, q.N*b.tokens, len(body)/4+q.N*b.tokens)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Request-Id", "req_mock")
	w.Header().Set("Content-Length", strconv.Itoa(len(out)))
	_, _ = w.Write(out)
}

func (m *mock) stream(w http.ResponseWriter, r *http.Request, b behaviour, model string) {
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w)
	send := func(delta, finish string) bool {
		_, err := fmt.Fprintf(w, "data: {\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":%q,\"choices\":[{\"index\":0,\"delta\":%s,\"finish_reason\":%s}]}\n\n", model, delta, finish)
		return err == nil && flush.Flush() == nil
	}
	if !send(`{"role":"assistant","content":""}`, "null") {
		return
	}
	for range b.tokens {
		if !m.sleep(r, b.gap) {
			return
		}
		if !send(`{"content":" word"}`, "null") {
			return
		}
	}
	send("{}", `"stop"`)
	_, _ = io.WriteString(w, "data: [DONE]\n\n")
}

// sleep waits, and tells whether the caller is still there.
func (m *mock) sleep(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
		m.left.Add(1)
		select {
		case m.leftAt <- time.Now():
		default:
		}
		return false
	}
}
