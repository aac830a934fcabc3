package gateway_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"gnothi/gateway"
	"gnothi/llm"
	"gnothi/llm/openai"
	"gnothi/store"
)

// soaking is an upstream that fails in many ways, and counts what it sold: of the
// patient client, whose answers it sends whole or not at all, to the token.
type soaking struct {
	seq                atomic.Uint64
	requests, sold     atomic.Int64
	prompt, completion atomic.Int64
	most               atomic.Int64 // tokens that the hasty client may have been sold
}

const soakPrompt, soakWords = 7, 3

func (s *soaking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	random := rand.New(rand.NewPCG(4, s.seq.Add(1)))
	s.requests.Add(1)
	hasty := strings.Contains(gjson.GetBytes(b, "messages.0.content").String(), "hasty")
	streaming := gjson.GetBytes(b, "stream").Bool()
	kind := random.IntN(40)
	switch kind {
	case 0:
		failing(500, `{"error":{"message":"ill"}}`)(w, r)
		return
	case 1:
		failing(429, `{"error":{"message":"slow down"}}`, "Retry-After-Ms", "5")(w, r)
		return
	case 2:
		failing(200, `<html>nginx</html>`, "Content-Type", "text/html")(w, r)
		return
	case 3:
		failing(200, "\x01garbage{")(w, r)
		return
	case 4: // reset
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			conn.Close()
		}
		return
	case 5: // hang, until the client has had enough
		if hasty {
			<-r.Context().Done()
			return
		}
	case 6:
		failing(200, `{"id":"c1","choices":[]}`)(w, r)
		return
	case 7:
		failing(401, `{"error":{"message":"bad key `+r.Header.Get("Authorization")+`"}}`)(w, r)
		return
	}
	sell := func() {
		if hasty {
			s.most.Add(soakPrompt + soakWords)
			return
		}
		s.sold.Add(1)
		s.prompt.Add(soakPrompt)
		s.completion.Add(soakWords)
	}
	usage := fmt.Sprintf(`"usage":{"prompt_tokens":%d,"completion_tokens":%d}`, soakPrompt, soakWords)
	if !streaming {
		sell()
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"c%d","model":"big","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"one two three"}}],%s}`, random.Uint32(), usage)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	if kind == 8 { // nothing came, nothing is sold
		io.WriteString(w, ": wait\n\n")
		return
	}
	sell()
	for i, word := range []string{"one ", "two ", "three"} {
		if hasty && kind == 9 && i == 2 {
			return // cut
		}
		fmt.Fprintf(w, ": c\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":%q},\"finish_reason\":null}]}\r\n\r\n", word)
		w.(http.Flusher).Flush()
	}
	fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],%s}\n\ndata: [DONE]\n\n", usage)
}

// Under load and faults the books balance with what the upstream sold, no failure
// is sold as an answer, and nothing is left behind. GNOTHI_SOAK says for how long,
// such as 10m.
func TestSoak(t *testing.T) {
	d := 2 * time.Second
	if s := os.Getenv("GNOTHI_SOAK"); s != "" {
		var err error
		if d, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	s := &soaking{}
	u := httptest.NewServer(s)
	defer u.Close()
	path := filepath.Join(t.TempDir(), "books.sqlite")
	kept, err := store.OpenBooks(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	books, err := gateway.OpenBooks(t.Context(), gateway.BookOptions{Store: kept, Report: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	trials, err := store.OpenTrials(t.Context(), "", store.TrialOptions{MaxBytes: 1 << 20, Report: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	patientKey, patient := newKey(t, "patient")
	hastyKey, hasty := newKey(t, "hasty")
	patient.Day = llm.Limits{Calls: 1 << 40, Tokens: 1 << 40, NanoUSD: 1 << 50}
	guards := &llm.Guards{Breaker: llm.BreakerOptions{Failures: 5, Open: 20 * time.Millisecond}}
	o := openai.Options{BaseURL: u.URL + "/v1", Abilities: map[llm.Ability]bool{llm.Several: false}}
	price := &llm.Price{Input: 100, Output: 1000, Cached: 100}
	g, err := gateway.New(gateway.Options{
		Model: chain(t, guards, "big", o, price), Fallback: []llm.Model{chain(t, guards, "spare", o, price)}, Guards: guards,
		Keys: []gateway.Key{patient, hasty}, Books: books, Trials: trials, Policies: policies, Log: logTo(io.Discard),
	})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(g)
	near := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	var answers, failures, left atomic.Int64
	ask := func(ctx context.Context, key, who string, random *rand.Rand) {
		streaming := random.IntN(2) == 0
		model := []string{"big", "big", "big+self-consistency?n=3", "big+auto"}[random.IntN(4)]
		body := fmt.Sprintf(`{"model":%q,"stream":%v,"max_tokens":20,"messages":[{"role":"user","content":"%s asks"}]}`, model, streaming, who)
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, front.URL+"/v1/chat/completions", strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := near.Do(req)
		if err != nil {
			left.Add(1)
			if ctx.Err() == nil {
				t.Errorf("the gateway: %v", err)
			}
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		said := string(b)
		switch {
		case err != nil && ctx.Err() != nil:
			left.Add(1)
		case err != nil:
			t.Errorf("%d: %v", resp.StatusCode, err)
		case strings.Contains(said, upstreamKey):
			t.Errorf("the upstream's key shows: %s", said)
		case resp.StatusCode == 200 && streaming && strings.HasSuffix(said, "data: [DONE]\n\n"), resp.StatusCode == 200 && !streaming:
			answers.Add(1)
			if !strings.Contains(said, "one") || !strings.Contains(said, `"gnothi":`) {
				t.Errorf("sold as an answer: %s", said)
			}
		default:
			failures.Add(1)
			if !strings.Contains(said, `"error":`) {
				t.Errorf("%d %s", resp.StatusCode, said)
			}
		}
	}
	until := time.Now().Add(d)
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(7, uint64(i)))
			for time.Now().Before(until) {
				if i%3 > 0 {
					ask(t.Context(), patientKey, "patient", random)
					continue
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(20))*time.Millisecond)
				ask(ctx, hastyKey, "hasty", random)
				cancel()
			}
		})
	}
	wg.Wait()
	near.CloseIdleConnections()
	front.Close() // waits for what is under way
	got, lost := books.Spent("patient")
	want := llm.Spend{Calls: got.Calls, PromptTokens: s.prompt.Load(), CompletionTokens: s.completion.Load(), NanoUSD: 100*s.prompt.Load() + 1000*s.completion.Load()}
	if got != want || got.Calls < s.sold.Load() || lost != (store.Bound{}) {
		t.Errorf("the books have %+v, the upstream sold %+v in %d", got, want, s.sold.Load())
	}
	other, _ := books.Spent("hasty")
	if all, _ := books.Spent(""); all != got.Plus(other) || other.Tokens() > s.most.Load()+other.Calls*soakPrompt*10 {
		t.Errorf("patient %+v and hasty %+v are not all %+v", got, other, all)
	}
	if err := books.Close(); err != nil {
		t.Error(err)
	}
	entries, err := kept.Since(t.Context(), "")
	tokens := int64(0)
	for _, e := range entries {
		if e.Key == "patient" {
			tokens += e.Spent.Prompt + e.Spent.Completion
		}
	}
	if err != nil || tokens != got.Tokens() {
		t.Errorf("the file has %d tokens, the books %d: %v", tokens, got.Tokens(), err)
	}
	if err := kept.Close(); err != nil {
		t.Error(err)
	}
	if err := trials.Close(); err != nil {
		t.Error(err)
	}
	if answers.Load() == 0 {
		t.Error("no answers: no soak")
	}
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	state := guards.States()[0]
	t.Logf("%v: %d requests upstream, %d answers, %d failures told, %d left; %d further tries (%d not allowed), the breaker opened %d times; %d MiB in use, %d goroutines", d, s.requests.Load(), answers.Load(), failures.Load(), left.Load(), state.Retries, state.Withheld, state.Opened, memory.HeapAlloc>>20, runtime.NumGoroutine())
}
