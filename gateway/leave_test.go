package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"go.uber.org/goleak"

	"gnothi/gateway"
	"gnothi/llm"
	"gnothi/llm/openai"
)

// cancelled is how many requests TestCancelledRequests leaves; GNOTHI_CANCELLED
// says otherwise, 10000 for the full number.
const cancelled = 400

// Clients that leave end the upstream's calls, plain and streamed, passed on and
// under a policy; no goroutine stays.
func TestCancelledRequests(t *testing.T) {
	n := cancelled
	if s := os.Getenv("GNOTHI_CANCELLED"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatalf("GNOTHI_CANCELLED: %v", err)
		}
	}
	var running, began atomic.Int64
	var mu sync.Mutex
	left := map[string]time.Time{} // when the client of a name left
	var told []time.Duration       // from then to the upstream's knowing
	leave := sync.Map{}            // name → context.CancelFunc
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		running.Add(1)
		defer running.Add(-1)
		b, _ := io.ReadAll(r.Body)
		name := gjson.GetBytes(b, "messages.0.content").String() + gjson.GetBytes(b, "input").String()
		began.Add(1)
		w.Header().Set("Content-Type", "text/event-stream")
		if gjson.GetBytes(b, "stream").Bool() {
			io.WriteString(w, "data: {\"type\":\"response.output_text.delta\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n")
		}
		w.(http.Flusher).Flush()
		cancel, _ := leave.Load(name)
		mu.Lock()
		if left[name].IsZero() {
			left[name] = time.Now()
		}
		mu.Unlock()
		cancel.(context.CancelFunc)()
		<-r.Context().Done()
		mu.Lock()
		told = append(told, time.Since(left[name]))
		mu.Unlock()
	}))
	defer u.Close()
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	defer transport.CloseIdleConnections()
	p, err := openai.New("big", openai.Options{BaseURL: u.URL + "/v1", HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Options{Model: llm.Retry(llm.Metered(p, nil), llm.RetryOptions{}), Policies: policies, Upstream: &gateway.Upstream{}})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(g)
	defer s.Close()
	own := &http.Transport{MaxIdleConnsPerHost: 64}
	defer own.CloseIdleConnections()
	c := &http.Client{Transport: own}
	before := goleak.IgnoreCurrent()

	var wg sync.WaitGroup
	places := make(chan struct{}, 32)
	for i := range n {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			name := fmt.Sprint("client ", i)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			leave.Store(name, cancel)
			stream := strconv.FormatBool(i%2 == 0)
			path, body := "/v1/chat/completions", `{"model":"`+[]string{"big", "big+self-consistency?n=3"}[i/2%2]+`","stream":`+stream+`,"messages":[{"role":"user","content":"`+name+`"}]}`
			if i%10 > 7 {
				path, body = "/v1/responses", `{"model":"big","stream":`+stream+`,"input":"`+name+`"}`
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+path, strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			resp, err := c.Do(req)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			if err == nil {
				t.Errorf("%s: a whole answer, status %d", name, resp.StatusCode)
			}
		})
	}
	wg.Wait()
	for deadline := time.Now().Add(2 * time.Minute); running.Load() > 0; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d calls of the upstream go on", running.Load(), began.Load())
		}
		time.Sleep(time.Millisecond)
	}
	own.CloseIdleConnections()
	transport.CloseIdleConnections()
	s.Close()
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(told)
	t.Logf("%d clients left, %d calls of the upstream ended: after %v (median), %v (p99), %v (longest)",
		n, len(told), told[len(told)/2], told[len(told)*99/100], told[len(told)-1])
}

// A client that does not read stops the upstream's writing, and nothing is piled
// up in between.
func TestSlowClientSlowsTheUpstream(t *testing.T) {
	const events, size = 4096, 64 << 10 // 256 MiB, much more than connections hold
	var written atomic.Int64
	ended := make(chan struct{})
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		defer close(ended)
		w.Header().Set("Content-Type", "text/event-stream")
		event := []byte(`data: {"choices":[{"index":0,"delta":{"content":"` + strings.Repeat("a", size) + `"},"finish_reason":null}]}` + "\n\n")
		for range events {
			if _, err := w.Write(event); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			written.Add(1)
		}
	})
	url, _ := serve(t, behind(t, u))
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(`{"model":"big","stream":true,"messages":[{"role":"user","content":"x"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	// Wherever it stands when nothing more happens for a while: a slow machine only
	// makes that earlier.
	for before := int64(-1); before != written.Load(); time.Sleep(300 * time.Millisecond) {
		before = written.Load()
	}
	if n := written.Load(); n > events/2 {
		t.Errorf("%d of %d events were taken from the upstream for a client that reads none", n, events)
	}
	leave()
	select {
	case <-ended:
	case <-time.After(2 * time.Minute):
		t.Error("the client left, and the upstream writes on")
	}
}
