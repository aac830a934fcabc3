package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"gnothi/llm"
	"gnothi/llm/llmtest"
	"gnothi/llm/script"
)

func TestListen(t *testing.T) {
	for address, wantErr := range map[string]bool{
		"127.0.0.1:0": false, "localhost:0": false, "127.8.9.1:0": false,
		":0": true, "0.0.0.0:0": true, "[::]:0": true, "192.0.2.1:0": true,
	} {
		l, err := Listen(t.Context(), address, "")
		if err == nil {
			l.Close()
		}
		if errors.Is(err, ErrOpen) != wantErr {
			t.Errorf("%s without a key: %v", address, err)
		}
	}
	l, err := Listen(t.Context(), "0.0.0.0:0", "key")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := Listen(t.Context(), "no port", ""); err == nil || errors.Is(err, ErrOpen) {
		t.Errorf("a bad address: %v", err)
	}
}

// A server that is told to end finishes what it can and cuts the rest, which
// learns why.
func TestServeEnds(t *testing.T) { synctest.Test(t, testServeEnds) }

func testServeEnds(t *testing.T) {
	begun := make(chan string, 2)
	m := script.New(func(op llm.Op, _ int) script.Reply {
		q := script.Prompt(op.Request)
		begun <- q
		if q == "hang" {
			return script.Reply{Hang: true}
		}
		return script.Reply{Text: "done", Delay: 200 * time.Millisecond}
	}).Named(llm.ID{Provider: "script", Name: "small"})
	g, err := New(Options{Model: m})
	if err != nil {
		t.Fatal(err)
	}
	l, client := llmtest.Pipes()
	defer client.CloseIdleConnections()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, l, g, slog.New(slog.DiscardHandler), 500*time.Millisecond) }()
	type reply struct {
		status int
		body   string
	}
	ask := func(q string) chan reply {
		c := make(chan reply, 1)
		go func() {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1/v1/chat/completions",
				strings.NewReader(`{"model":"small","messages":[{"role":"user","content":"`+q+`"}]}`))
			resp, err := client.Do(req)
			if err != nil {
				c <- reply{body: err.Error()}
				return
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			c <- reply{resp.StatusCode, string(b)}
		}()
		return c
	}
	short, long := ask("short"), ask("hang")
	<-begun
	<-begun
	stop()
	if r := <-short; r.status != 200 || gjson.Get(r.body, "choices.0.message.content").String() != "done" {
		t.Errorf("the request in flight: %+v", r)
	}
	if r := <-long; r.status != 503 || gjson.Get(r.body, "error.code").String() != "shutting_down" {
		t.Errorf("the request that hangs: %+v", r)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if r := <-ask("late"); !strings.Contains(r.body, net.ErrClosed.Error()) {
		t.Errorf("it still listens: %+v", r)
	}
}
