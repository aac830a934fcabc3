package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"gnothi/gateway"
	"gnothi/llm"
	"gnothi/llm/llmtest"
	"gnothi/llm/openai"
	"gnothi/llm/script"
)

const (
	goodAnswer = `{"id":"c1","object":"chat.completion","model":"big","choices":[{"index":0,"message":{"role":"assistant","content":"Paris"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}`
	goodPiece  = `{"id":"c1","object":"chat.completion.chunk","model":"big","choices":[{"index":0,"delta":{"role":"assistant","content":"Paris"},"finish_reason":null}]}`
	goodEnd    = `{"id":"c1","object":"chat.completion.chunk","model":"big","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}`
)

var good = sends(goodAnswer, goodPiece, goodEnd)

// failing answers with a status and what it says.
func failing(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// chain makes a model as the command does: paid, limited, behind the breaker and
// the retry budget of its upstream. Waits are short.
func chain(t testing.TB, guards *llm.Guards, name string, o openai.Options, price *llm.Price) llm.Model {
	t.Helper()
	o.APIKey = upstreamKey
	p, err := openai.New(name, o)
	if err != nil {
		t.Fatal(err)
	}
	limited := llm.NewLimiter(llm.LimitOptions{Adaptive: true}).Wrap(llm.Metered(p, price))
	return guards.Of(p.ID()).Wrap(limited, llm.RetryOptions{Wait: time.Millisecond})
}

// ways are the ways to ask: plain and streamed, direct and deliberated.
func ways(t *testing.T, each func(t *testing.T, model string, streaming bool)) {
	t.Helper()
	for _, model := range []string{"big", "big+self-consistency?n=2"} {
		for _, streaming := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", model, streaming), func(t *testing.T) { each(t, model, streaming) })
		}
	}
}

// complete asks a question and gives the content and the whole of the answer, its
// chunks joined.
func complete(t *testing.T, url, model string, streaming bool) (content, whole string, err error) {
	t.Helper()
	if streaming {
		chunks, err := streamed(t, client(url), ask(model, "Where?"))
		return text(chunks), strings.Join(chunks, "\n"), err
	}
	c := client(url)
	res, err := c.Chat.Completions.New(t.Context(), ask(model, "Where?"))
	if err != nil {
		return "", "", err
	}
	return res.Choices[0].Message.Content, res.RawJSON(), nil
}

// A failure is told as one: never 200 with words about it, never an HTML page or
// no choices as an empty answer.
func TestFailureIsNoAnswer(t *testing.T) {
	page := "<!DOCTYPE html><html><body>Welcome to nginx</body></html>"
	for name, answer := range map[string]http.HandlerFunc{
		"a 500":              failing(500, `{"error":{"message":"CUDA out of memory"}}`),
		"an HTML page":       failing(200, page, "Content-Type", "text/html"),
		"no choices":         failing(200, `{"id":"c1","choices":[]}`),
		"an error as 200":    failing(200, `{"error":{"message":"overloaded"}}`),
		"nothing":            failing(200, ``),
		"a proxy's own page": failing(503, page, "Content-Type", "text/html"),
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, answer)
			url, _ := serve(t, behind(t, u))
			ways(t, func(t *testing.T, model string, streaming bool) {
				content, whole, err := complete(t, url, model, streaming)
				if err == nil {
					t.Fatalf("sold as the answer %q: %s", content, whole)
				}
				if e := apiError(t, err); e.StatusCode < 500 {
					t.Errorf("status %d", e.StatusCode)
				}
			})
		})
	}
}

// Each limit of time ends the call by itself, while the others are far away.
func TestHungUpstream(t *testing.T) {
	silent := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	half := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, goodAnswer[:40])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	const soon, far = 50 * time.Millisecond, 10 * time.Minute
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		o     openai.Options
	}{
		"no connection": {nil, openai.Options{BaseURL: "https://" + mute(t) + "/v1", Connect: soon, FirstByte: far, Idle: far}},
		"no first byte": {silent, openai.Options{Connect: far, FirstByte: soon, Idle: far}},
		"no more bytes": {half, openai.Options{Connect: far, FirstByte: far, Idle: soon}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.serve != nil {
				c.o.BaseURL = newUpstream(t, c.serve).URL + "/v1"
			}
			p, err := openai.New("big", c.o)
			if err != nil {
				t.Fatal(err)
			}
			url, _ := serve(t, gateway.Options{Model: llm.Metered(p, nil)})
			ways(t, func(t *testing.T, model string, streaming bool) {
				_, whole, err := complete(t, url, model, streaming)
				if err == nil {
					t.Fatalf("an answer: %s", whole)
				}
				if e := apiError(t, err); e.StatusCode != http.StatusGatewayTimeout || e.Code != "timeout" {
					t.Errorf("status %d, want 504: %v", e.StatusCode, err)
				}
			})
		})
	}
	t.Run("slow trickle", func(t *testing.T) { // within its limit for silence, so the request's own ends it
		synctest.Test(t, func(t *testing.T) {
			near := llmtest.Pipe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", "application/json")
				for r.Context().Err() == nil {
					io.WriteString(w, " ")
					w.(http.Flusher).Flush()
					select {
					case <-time.After(time.Second):
					case <-r.Context().Done():
					}
				}
			}))
			p, err := openai.New("big", openai.Options{BaseURL: "http://upstream/v1", HTTPClient: near, Idle: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			g, err := gateway.New(gateway.Options{Model: p, Timeout: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1/v1/chat/completions", strings.NewReader(`{"model":"big","messages":[{"role":"user","content":"x"}]}`))
			start := time.Now()
			g.ServeHTTP(w, r)
			if took := time.Since(start); w.Code != http.StatusGatewayTimeout || took != time.Minute {
				t.Errorf("%d after %v", w.Code, took)
			}
		})
	})
}

// mute is the address of a host that takes connections and says nothing: one that
// is to speak first, as of TLS, never comes about.
func mute(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// What an upstream asks to wait reaches the client, whichever way it says so.
func TestRetryAfterReachesTheClient(t *testing.T) {
	date := time.Now().Add(90 * time.Second)
	for name, c := range map[string]struct {
		header      []string
		least, most int
	}{
		"seconds":      {[]string{"Retry-After", "77"}, 77, 77},
		"date":         {[]string{"Retry-After", date.UTC().Format(http.TimeFormat)}, 1, 90},
		"milliseconds": {[]string{"Retry-After-Ms", "65500"}, 66, 66},
	} {
		for _, status := range []int{429, 503} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				u := newUpstream(t, failing(status, `{"error":{"message":"slow down","code":"rate_limit_exceeded"}}`, c.header...))
				url, _ := serve(t, behind(t, u))
				ways(t, func(t *testing.T, model string, streaming bool) {
					_, _, err := complete(t, url, model, streaming)
					e := apiError(t, err)
					after, _ := strconv.Atoi(e.Response.Header.Get("Retry-After"))
					if e.StatusCode != status || after < c.least || after > c.most {
						t.Errorf("status %d, Retry-After %q", e.StatusCode, e.Response.Header.Get("Retry-After"))
					}
				})
			})
		}
	}
}

// It is waited for that long before the next try, and not longer than a client
// would.
func TestRetryAfterIsHeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Time
		m := llm.Retry(script.New(func(llm.Op, int) script.Reply {
			if tries = append(tries, time.Now()); len(tries) == 1 {
				return script.Reply{Err: &llm.APIError{Status: 429, Message: "slow down", Temporary: true, RetryAfter: 7 * time.Second}}
			}
			return script.Reply{Text: "Paris"}
		}).Named(llm.ID{Provider: "script", Name: "small"}), llm.RetryOptions{})
		g, err := gateway.New(gateway.Options{Model: m})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		g.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1/v1/chat/completions", strings.NewReader(`{"model":"small","messages":[{"role":"user","content":"x"}]}`)))
		if w.Code != 200 || len(tries) != 2 || tries[1].Sub(tries[0]) < 7*time.Second {
			t.Errorf("%d, tries at %v", w.Code, tries)
		}
	})
}

// A refusal keeps its status and its words.
func TestRefusalsKeepTheirStatus(t *testing.T) {
	for _, status := range []int{400, 401, 402, 403, 404, 409, 413, 415, 422, 429} {
		u := newUpstream(t, failing(status, `{"error":{"message":"no, because","type":"some_error","param":"messages","code":"why_not"}}`))
		url, _ := serve(t, behind(t, u))
		ways(t, func(t *testing.T, model string, streaming bool) {
			_, _, err := complete(t, url, model, streaming)
			if e := apiError(t, err); e.StatusCode != status || !strings.Contains(e.Message, "no, because") || e.Type != "some_error" || e.Param != "messages" || e.Code != "why_not" {
				t.Errorf("%d became %v", status, err)
			}
		})
	}
}

// A refusal that quotes the key is passed on without it.
func TestUpstreamKeyIsNotQuoted(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		sent := r.Header.Get("Authorization")
		failing(401, `{"error":{"message":"Incorrect API key provided: `+strings.TrimPrefix(sent, "Bearer ")+` (`+sent+`)","type":"t `+sent+`","code":"invalid_api_key"}}`)(w, r)
	})
	url, log := serve(t, behind(t, u))
	ways(t, func(t *testing.T, model string, streaming bool) {
		_, _, err := complete(t, url, model, streaming)
		e := apiError(t, err)
		if e.StatusCode != 401 || !strings.Contains(e.Message, "Incorrect API key") || strings.Contains(err.Error()+e.RawJSON()+log.String(), upstreamKey) {
			t.Errorf("%s", e.RawJSON())
		}
	})
}

// A client that leaves ends the calls that are under way and those that were to
// follow.
func TestNothingIsPaidForWhoLeft(t *testing.T) {
	for _, streaming := range []bool{false, true} {
		t.Run(fmt.Sprint(streaming), func(t *testing.T) {
			const parallel = 4
			var begun, inFlight atomic.Int64
			full := make(chan struct{}, 100)
			u := newUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
				begun.Add(1)
				inFlight.Add(1)
				full <- struct{}{}
				<-r.Context().Done()
				inFlight.Add(-1)
			})
			p, err := openai.New("big", openai.Options{BaseURL: u.URL + "/v1", Concurrency: parallel, Abilities: map[llm.Ability]bool{llm.Several: false}})
			if err != nil {
				t.Fatal(err)
			}
			m := llm.Retry(llm.Metered(p, nil), llm.RetryOptions{Wait: time.Millisecond})
			url, _ := serve(t, gateway.Options{Model: m})
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			body := fmt.Sprintf(`{"model":"big+self-consistency?n=20","stream":%v,"messages":[{"role":"user","content":"x"}]}`, streaming)
			req, _ := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(body))
			done := make(chan struct{})
			go func() {
				defer close(done)
				if resp, err := http.DefaultClient.Do(req); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}()
			for range parallel {
				<-full
			}
			leave()
			<-done
			until(t, "the calls under way end", func() bool { return inFlight.Load() == 0 })
			if n := begun.Load(); n != parallel {
				t.Errorf("%d calls were made, %d of them when the client had left", n, n-parallel)
			}
		})
	}
}

// until waits for a condition; the ceiling is for one that never holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not come about that %s", what)
		}
	}
}

// Clients that send slowly, however many, keep nobody waiting, and are cut off.
func TestSlowClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slow = 200
		g, err := gateway.New(gateway.Options{Model: named(script.Texts("Paris"))})
		if err != nil {
			t.Fatal(err)
		}
		listener, near := llmtest.Pipes()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- gateway.Serve(ctx, listener, g, logTo(io.Discard)) }()
		dial := near.Transport.(*http.Transport).DialContext
		var cut, answered atomic.Int64
		var wg sync.WaitGroup
		start := time.Now()
		for i := range slow {
			conn, err := dial(ctx, "tcp", "gateway")
			if err != nil {
				t.Fatal(err)
			}
			head := "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n"
			if i%2 == 1 { // the head is whole, the body is slow
				head += "\r\n"
			}
			wg.Go(func() {
				defer conn.Close()
				wg.Go(func() { _, _ = io.Copy(io.Discard, conn); answered.Add(1) }) // what it says, until it closes
				if _, err := io.WriteString(conn, head); err != nil {
					return
				}
				for time.Since(start) < time.Hour {
					time.Sleep(3 * time.Second)
					if _, err := io.WriteString(conn, "X"); err != nil {
						cut.Add(1)
						return
					}
				}
			})
		}
		time.Sleep(5 * time.Second)
		before := time.Now()
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1/v1/chat/completions", strings.NewReader(`{"model":"small","messages":[{"role":"user","content":"x"}]}`))
		resp, err := near.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || time.Since(before) > time.Second {
			t.Errorf("beside %d slow clients: %d after %v: %s", slow, resp.StatusCode, time.Since(before), b)
		}
		wg.Wait()
		if took := time.Since(start); cut.Load() != slow || took > 2*time.Minute {
			t.Errorf("%d of %d slow clients were cut off, after %v", cut.Load(), slow, took)
		}
		near.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A client's Idempotency-Key is the same over all tries of its call, and no two
// samples of a deliberation have one in common.
func TestIdempotencyKeyIsKept(t *testing.T) {
	var calls atomic.Int64
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1)%3 != 0 {
			failing(503, `{"error":{"message":"ill"}}`)(w, r)
			return
		}
		good(w, r)
	})
	o := behind(t, u)
	o.Model = chain(t, &llm.Guards{}, "big", openai.Options{BaseURL: u.URL + "/v1", Abilities: map[llm.Ability]bool{llm.Several: false}}, nil)
	url, _ := serve(t, o)
	for _, stream := range []string{"false", "true"} {
		u.heads = nil
		status, answer, _ := post(t, url+"/v1/chat/completions", `{"model":"big","stream":`+stream+`,"messages":[{"role":"user","content":"x"}]}`, "Idempotency-Key", "idem-1")
		if status != 200 || len(u.heads) != 3 {
			t.Fatalf("%d after %d tries: %s", status, len(u.heads), answer)
		}
		for _, h := range u.heads {
			if h.Get("Idempotency-Key") != "idem-1" {
				t.Errorf("a try with the key %q", h.Get("Idempotency-Key"))
			}
		}
	}
	u.heads = nil
	status, answer, _ := post(t, url+"/v1/chat/completions", `{"model":"big+self-consistency?n=3","messages":[{"role":"user","content":"x"}]}`, "Idempotency-Key", "idem-1")
	if status != 200 || len(u.heads) < 3 {
		t.Fatalf("%d: %s", status, answer)
	}
	for _, h := range u.heads {
		if h.Get("Idempotency-Key") == "idem-1" {
			t.Error("samples share the client's key: an upstream would give them all the first one's answer")
		}
	}
}

// What broke off when a part of it was out is not asked for again: the client
// hears of the error.
func TestNoTryAfterTheFirstByte(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: "+goodPiece+"\n\n")
	})
	second := newUpstream(t, good)
	guards := &llm.Guards{}
	o := gateway.Options{
		Model:    chain(t, guards, "big", openai.Options{BaseURL: u.URL + "/v1"}, nil),
		Fallback: []llm.Model{chain(t, guards, "spare", openai.Options{BaseURL: second.URL + "/v1"}, nil)},
	}
	url, _ := serve(t, o)
	status, answer, _ := post(t, url+"/v1/chat/completions", `{"model":"big","stream":true,"messages":[{"role":"user","content":"x"}]}`)
	if status != 200 || len(u.bodies) != 1 || len(second.bodies) != 0 || !strings.Contains(answer, "Paris") || !strings.Contains(answer, `data: {"error":`) || strings.Contains(answer, "data: [DONE]") {
		t.Errorf("%d after %d and %d calls: %s", status, len(u.bodies), len(second.bodies), answer)
	}
}

// An upstream that is down is asked little more often than one that is well.
func TestRetriesDoNotPileUp(t *testing.T) {
	u := newUpstream(t, failing(429, `{"error":{"message":"slow down"}}`))
	o := behind(t, u)
	o.Model = chain(t, &llm.Guards{}, "big", openai.Options{BaseURL: u.URL + "/v1"}, nil)
	url, _ := serve(t, o)
	const requests = 200
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range requests / 8 {
				status, answer, _ := post(t, url+"/v1/chat/completions", `{"model":"big","messages":[{"role":"user","content":"x"}]}`)
				if status != 429 {
					t.Errorf("%d %s", status, answer)
				}
			}
		})
	}
	wg.Wait()
	// A fifth of the calls, ten to begin with, and one for every ten seconds.
	if extra := len(u.bodies) - requests; extra < 10 || extra > requests/5+10+30 {
		t.Errorf("%d further tries of %d calls", extra, requests)
	}
}

// While the breaker is open, the client gets 503 with Retry-After at once, readyz
// and the metrics tell of it, and one call finds out when it is over.
func TestBreaker(t *testing.T) {
	var ill atomic.Bool
	ill.Store(true)
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if ill.Load() {
			failing(500, `{"error":{"message":"ill"}}`)(w, r)
			return
		}
		good(w, r)
	})
	guards := &llm.Guards{Breaker: llm.BreakerOptions{Failures: 3, Open: 200 * time.Millisecond}}
	o := behind(t, u)
	o.Model, o.Guards = chain(t, guards, "big", openai.Options{BaseURL: u.URL + "/v1"}, nil), guards
	url, _ := serve(t, o)
	if status, answer := get(t, url+"/readyz"); status != 200 {
		t.Errorf("readyz before: %d %s", status, answer)
	}
	body := `{"model":"big","messages":[{"role":"user","content":"x"}]}`
	_, _, _ = post(t, url+"/v1/chat/completions", body)
	until(t, "it opens, is asked again and stays open", func() bool {
		calls := len(u.bodies)
		status, answer, head := post(t, url+"/v1/chat/completions", body)
		if status < 500 {
			t.Fatalf("%d %s", status, answer)
		}
		if gjson.Get(answer, "error.code").String() == "circuit_open" {
			if status != 503 || head.Get("Retry-After") == "" || len(u.bodies) > calls+1 || !strings.Contains(answer, "ill") {
				t.Errorf("%d %v after %d calls: %s", status, head, len(u.bodies)-calls, answer)
			}
			return guards.States()[0].Opened > 1
		}
		return false
	})
	until(t, "readyz and the metrics tell of it", func() bool {
		_, _, _ = post(t, url+"/v1/chat/completions", body)
		status, _ := get(t, url+"/readyz")
		_, figures := get(t, url+"/metrics")
		return status == 503 && strings.Contains(figures, `gnothi_breaker_open{upstream="`+u.URL+`/v1"} 1`)
	})
	ill.Store(false)
	until(t, "it is well again", func() bool {
		status, _, _ := post(t, url+"/v1/chat/completions", body)
		return status == 200
	})
	if status, answer := get(t, url+"/readyz"); status != 200 {
		t.Errorf("readyz after: %d %s", status, answer)
	}
}

// Where the model fails, another one stands in, under any policy, and the answer
// says which and what both cost.
func TestFallback(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"500": failing(500, ``), "429": failing(429, ``), "401": failing(401, `{"error":{"message":"expired"}}`),
		"a page": failing(200, "<html></html>", "Content-Type", "text/html"), "a stream that is cut before its first event": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, ": wait\n\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			u, spare := newUpstream(t, answer), newUpstream(t, good)
			guards := &llm.Guards{Breaker: llm.BreakerOptions{Failures: 5, Open: time.Hour}}
			url, _ := serve(t, gateway.Options{
				Model: chain(t, guards, "big", openai.Options{BaseURL: u.URL + "/v1"}, nil), Guards: guards,
				Fallback: []llm.Model{
					chain(t, guards, "nobody", openai.Options{BaseURL: "http://127.0.0.1:1/v1"}, nil),
					chain(t, guards, "spare", openai.Options{BaseURL: spare.URL + "/v1"}, nil),
				},
			})
			ways(t, func(t *testing.T, model string, streaming bool) {
				content, whole, err := complete(t, url, model, streaming)
				if err != nil || content != "Paris" {
					t.Fatalf("%q, %v", content, err)
				}
				i := strings.LastIndex(whole, "\n") + 1
				b := belief(t, whole[i:])
				if b.Get("model").String() != "openai:spare@"+spare.URL+"/v1" || b.Get("instead_of").String() != "openai:big@"+u.URL+"/v1" || b.Get("spend.calls").Int() < 2 {
					t.Errorf("%s", b.Raw)
				}
			})
			if status, _ := get(t, url+"/readyz"); status != 200 {
				t.Errorf("readyz: %d, though another model answers", status)
			}
		})
	}
	t.Run("not for the request's own fault", func(t *testing.T) {
		u, spare := newUpstream(t, failing(400, `{"error":{"message":"bad roles"}}`)), newUpstream(t, good)
		guards := &llm.Guards{}
		url, _ := serve(t, gateway.Options{
			Model: chain(t, guards, "big", openai.Options{BaseURL: u.URL + "/v1"}, nil), Fallback: []llm.Model{chain(t, guards, "spare", openai.Options{BaseURL: spare.URL + "/v1"}, nil)},
		})
		if _, _, err := complete(t, url, "big", false); err == nil || apiError(t, err).StatusCode != 400 || len(spare.bodies) != 0 {
			t.Errorf("%v", err)
		}
	})
}

// What was paid for before a call failed is the answer.
func TestPaidSamplesAreKept(t *testing.T) {
	for _, streaming := range []bool{false, true} {
		var calls atomic.Int64
		u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
			if calls.Add(1) > 5 {
				failing(500, `{"error":{"message":"ill"}}`)(w, r)
				return
			}
			good(w, r)
		})
		p, err := openai.New("big", openai.Options{BaseURL: u.URL + "/v1", Concurrency: 1, Abilities: map[llm.Ability]bool{llm.Several: false}})
		if err != nil {
			t.Fatal(err)
		}
		url, _ := serve(t, gateway.Options{Model: llm.Metered(p, nil)})
		content, whole, err := complete(t, url, "big+self-consistency?n=8", streaming)
		if err != nil || content != "Paris" {
			t.Fatalf("%q, %v", content, err)
		}
		b := belief(t, whole[strings.LastIndex(whole, "\n")+1:])
		if !strings.Contains(b.Get("stopped").String(), "ill") || b.Get("spend.completion_tokens").Int() != 5 {
			t.Errorf("%s", b.Raw)
		}
	}
}

// An answer of 100 MB is refused for what it announces, or when it has become too
// large, and costs no memory to speak of.
func TestHugeAnswer(t *testing.T) {
	if testing.Short() {
		t.Skip("moves 100 MB: slow under the race detector")
	}
	for _, announced := range []bool{true, false} {
		u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if announced {
				w.Header().Set("Content-Length", strconv.Itoa(100<<20))
			}
			block := strings.Repeat("a", 1<<16)
			for range 100 << 20 / len(block) {
				if _, err := io.WriteString(w, block); err != nil {
					return
				}
			}
		})
		const most = 4 << 20
		p, err := openai.New("big", openai.Options{BaseURL: u.URL + "/v1", MaxBody: most})
		if err != nil {
			t.Fatal(err)
		}
		url, _ := serve(t, gateway.Options{Model: p})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err = complete(t, url, "big", false)
		runtime.ReadMemStats(&after)
		if e := apiError(t, err); e.StatusCode != 502 || !strings.Contains(e.Message, "larger than") {
			t.Errorf("announced %v: %v", announced, err)
		}
		if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > 5*most {
			t.Errorf("announced %v: %d MiB were allocated", announced, grown>>20)
		}
	}
}

// A request of 100 MB is refused without being read.
func TestHugeRequest(t *testing.T) {
	url, _ := serve(t, gateway.Options{Model: named(script.Texts("Paris"))})
	var sent atomic.Int64
	body := io.LimitReader(counted{&sent}, 100<<20)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/chat/completions", body)
	req.ContentLength = 100 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	resp, err := http.DefaultClient.Do(req)
	runtime.ReadMemStats(&after)
	if err == nil {
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Error(resp.Status)
		}
	}
	if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > 16<<20 {
		t.Errorf("%d MiB were allocated", grown>>20)
	}
}

type counted struct{ n *atomic.Int64 }

func (c counted) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	c.n.Add(int64(len(p)))
	return len(p), nil
}
