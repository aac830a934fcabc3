package anthropic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gnothi/llm"
	"gnothi/llm/llmtest"
)

// server speaks the Messages API as its documentation describes it: it counts
// to twelve, word by word, as fast as it is told.
func server(t *testing.T, pace time.Duration) *httptest.Server {
	t.Helper()
	words := strings.SplitAfter("one two three four five six seven eight nine ten eleven twelve", " ")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in request
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.MaxTokens == 0 || r.Header.Get("anthropic-version") == "" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: field required"}}`)
			return
		}
		said, stop := words, "end_turn"
		if in.MaxTokens < len(words) {
			said, stop = words[:in.MaxTokens], "max_tokens"
		}
		text := strings.Join(said, "")
		for _, seq := range in.Stop {
			if i := strings.Index(text, seq); i >= 0 {
				text, stop = text[:i], "stop_sequence"
			}
		}
		wait := func() bool {
			select {
			case <-time.After(pace):
				return true
			case <-r.Context().Done():
				return false
			}
		}
		if !in.Stream {
			for range said {
				if !wait() {
					return
				}
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]any{"id": "msg_1", "type": "message", "role": "assistant", "model": in.Model, "x_unknown": 7,
				"content": []any{map[string]any{"type": "text", "text": text}}, "stop_reason": stop, "usage": map[string]int{"input_tokens": 9, "output_tokens": len(said)}})
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		send := func(name, data string) {
			fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, data)
			w.(http.Flusher).Flush()
		}
		send("message_start", `{"type":"message_start","message":{"type":"message","model":"`+in.Model+`","content":[],"usage":{"input_tokens":9,"output_tokens":1}}}`)
		send("ping", `{"type":"ping"}`)
		for _, word := range strings.SplitAfter(text, " ") {
			if !wait() {
				return
			}
			delta, _ := json.Marshal(word)
			send("content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":`+string(delta)+`}}`)
		}
		send("message_delta", fmt.Sprintf(`{"type":"message_delta","delta":{"stop_reason":%q},"usage":{"output_tokens":%d}}`, stop, len(said)))
		send("message_stop", `{"type":"message_stop"}`)
	}))
	t.Cleanup(s.Close)
	return s
}

func open(t *testing.T, url string) *Provider {
	t.Helper()
	p, err := New("claude-test", Options{BaseURL: url, APIKey: llmtest.Secret, HTTPClient: &http.Client{Transport: &http.Transport{}}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestConformance(t *testing.T) {
	llmtest.Run(t, func(t *testing.T) (llm.Model, llmtest.Fixture) {
		slow := llmtest.Question("Slowly, please.")
		pace := time.Duration(0)
		if strings.Contains(t.Name(), "cancelled") || strings.Contains(t.Name(), "stopped") {
			pace = 200 * time.Millisecond
		}
		s := server(t, pace)
		p := open(t, s.URL)
		return p, llmtest.Fixture{Slow: &slow, Unknown: "x_unknown", Close: func() {
			p.client.HTTP.CloseIdleConnections()
			s.Close()
		}}
	})
}

func TestRequest(t *testing.T) {
	hot := 1.7
	op := llm.Op{Request: llm.Request{Temperature: &hot, Stop: []string{"\n", "END"}, Messages: []llm.Message{
		{Role: "developer", Text: "Be brief."},
		{Role: "user", Text: "seen", Raw: json.RawMessage(`{"role":"user","content":[{"type":"image","source":{}},{"type":"text","text":"seen"}]}`)},
		{Role: "assistant", Text: "yes"},
	}}}
	got, err := encode("m", op)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"model":"m","max_tokens":1024,"system":"Be brief.","messages":[{"role":"user","content":[{"type":"image","source":{}},{"type":"text","text":"seen"}]},{"role":"assistant","content":"yes"}],"temperature":1,"stop_sequences":["END"]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, bad := range []llm.Op{
		{Request: llm.Request{Messages: []llm.Message{{Role: "tool", Text: "x"}}}},
		{Request: llm.Request{Messages: []llm.Message{{Role: "system", Text: "x"}}}},
	} {
		if _, err := encode("m", bad); err == nil {
			t.Errorf("%+v: no error", bad.Request.Messages)
		}
	}
}

func TestLacks(t *testing.T) {
	p := open(t, "http://127.0.0.1:1")
	for _, op := range []llm.Op{{Kind: llm.Score}, {Request: llm.Request{Prompt: "x"}}} {
		var lacks *llm.UnsupportedError
		if _, err := p.Do(context.Background(), op); !errors.As(err, &lacks) {
			t.Errorf("got %v, want an UnsupportedError", err)
		}
	}
}

func TestFaults(t *testing.T) {
	start := "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m\",\"usage\":{}}}\n\n"
	delta := "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"Par\"}}\n\n"
	for _, c := range []struct {
		name, contentType, body string
		status                  int
		want                    string
		temporary               bool
	}{
		{"overloaded", "application/json", `{"type":"error","error":{"type":"overloaded_error","message":"busy ` + llmtest.Secret + `"}}`, 529, "busy", true},
		{"HTML", "text/html", "<html>oops</html>", 200, "", false},
		{"empty", "application/json", `{"type":"message","content":[]}`, 200, "no content", true},
		{"error with status 200", "application/json", `{"type":"error","error":{"message":"odd"}}`, 200, "odd", true},
		{"cut stream", "text/event-stream", start + delta, 200, "broke off", false},
		{"cut before a word", "text/event-stream", start, 200, "broke off", true},
		{"error event", "text/event-stream", start + delta + "data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"late\"}}\n\n", 200, "late", false},
		{"garbage event", "text/event-stream", start + delta + "data: {nonsense\n\n", 200, "not JSON", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", c.contentType)
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			}))
			defer s.Close()
			op := llmtest.Question("Hello?")
			op.Stream = func(llm.Event) error { return nil }
			_, err := open(t, s.URL).Do(context.Background(), op)
			var api *llm.APIError
			if !errors.As(err, &api) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), llmtest.Secret) {
				t.Fatalf("got %v, want %q in it and no key", err, c.want)
			}
			if api.Temporary != c.temporary && c.want != "" {
				t.Errorf("temporary is %v, want %v: %v", api.Temporary, c.temporary, err)
			}
		})
	}
}
