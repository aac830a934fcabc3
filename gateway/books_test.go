package gateway_test

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"gnothi/gateway"
	"gnothi/llm"
	"gnothi/llm/openai"
	"gnothi/llm/script"
	"gnothi/store"
)

func openBooks(t *testing.T, path string, now func() time.Time) *gateway.Books {
	t.Helper()
	var kept *store.Books
	if path != "" {
		var err error
		if kept, err = store.OpenBooks(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { kept.Close() })
	}
	b, err := gateway.OpenBooks(t.Context(), gateway.BookOptions{Store: kept, Report: func(err error) { t.Error(err) }, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// newKey makes a key and its name.
func newKey(t *testing.T, name string) (string, gateway.Key) {
	t.Helper()
	key, hash := gateway.NewKey()
	sum, err := gateway.ParseHash(hash)
	if err != nil {
		t.Fatal(err)
	}
	return key, gateway.Key{Name: name, Hash: sum}
}

const smallBody = `{"model":"small","messages":[{"role":"user","content":"x"}]}`

// The ceilings of a key and of all together hold however many ask at once, and
// the books have every call.
func TestCeilingsHoldUnderConcurrency(t *testing.T) {
	for what, c := range map[string]struct {
		alice, all llm.Limits
		most       func(alice, all llm.Spend) bool
	}{
		"calls of a key":   {llm.Limits{Calls: 17}, llm.Limits{}, func(a, _ llm.Spend) bool { return a.Calls == 17 }},
		"calls of all":     {llm.Limits{}, llm.Limits{Calls: 33}, func(_, all llm.Spend) bool { return all.Calls == 33 }},
		"tokens of a key":  {llm.Limits{Tokens: 20000}, llm.Limits{}, func(a, _ llm.Spend) bool { return a.Tokens() <= 20000 && a.Tokens() > 0 }},
		"dollars of a key": {llm.Limits{NanoUSD: 100_000}, llm.Limits{}, func(a, _ llm.Spend) bool { return a.NanoUSD <= 100_000 && a.NanoUSD > 0 }},
	} {
		t.Run(what, func(t *testing.T) {
			var served atomic.Int64
			u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { served.Add(1); good(w, r) })
			p, err := openai.New("big", openai.Options{BaseURL: u.URL + "/v1"})
			if err != nil {
				t.Fatal(err)
			}
			books := openBooks(t, filepath.Join(t.TempDir(), "books.sqlite"), nil)
			aliceKey, alice := newKey(t, "alice")
			bobKey, bob := newKey(t, "bob")
			alice.Day = c.alice
			url, _ := serve(t, gateway.Options{Model: llm.Metered(p, &llm.Price{Input: 100, Output: 1000, Cached: 10}), Keys: []gateway.Key{alice, bob}, Day: c.all, Books: books})
			var refused atomic.Int64
			var wg sync.WaitGroup
			for i := range 16 {
				wg.Go(func() {
					key := []string{aliceKey, bobKey}[i%2]
					for k := range 6 {
						body := fmt.Sprintf(`{"model":%q,"stream":%v,"max_tokens":20,"messages":[{"role":"user","content":"x"}]}`, []string{"big", "big+self-consistency?n=2"}[k%2], k%3 == 0)
						status, answer, _ := post(t, url+"/v1/chat/completions", body, "Authorization", "Bearer "+key)
						switch {
						case status == http.StatusPaymentRequired && gjson.Get(answer, "error.code").String() == "budget_reached" && strings.Contains(answer, "today"):
							refused.Add(1)
						case status != 200:
							t.Errorf("%d %s", status, answer)
						}
					}
				})
			}
			wg.Wait()
			a, _ := books.Spent("alice")
			b, _ := books.Spent("bob")
			all, _ := books.Spent("")
			if all.Calls != a.Calls+b.Calls || all.Calls != served.Load() || all.Tokens() != 6*served.Load() || all.NanoUSD != 1500*served.Load() {
				t.Errorf("alice %+v, bob %+v, all %+v; the upstream served %d", a, b, all, served.Load())
			}
			if needs := c.alice.NanoUSD == 0; needs && c.alice.Tokens == 0 && refused.Load() == 0 || !c.most(a, all) {
				t.Errorf("%d refused; alice %+v, all %+v", refused.Load(), a, all)
			}
		})
	}
}

// What was spent is known after a restart, and what was under way when a server
// died counts as spent.
func TestBooksSurvive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "books.sqlite")
	limits := llm.Limits{Calls: 10, Tokens: 1000}
	kept, err := store.OpenBooks(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	books, err := gateway.OpenBooks(t.Context(), gateway.BookOptions{Store: kept})
	if err != nil {
		t.Fatal(err)
	}
	alice := books.Account("alice", limits)
	settle, err := alice.Reserve(llm.Spend{Calls: 3, PromptTokens: 300}, "a")
	if err != nil {
		t.Fatal(err)
	}
	settle(llm.Spend{Calls: 3, PromptTokens: 100, CompletionTokens: 20})
	if err := errors.Join(books.Close(), kept.Close()); err != nil {
		t.Fatal(err)
	}

	books = openBooks(t, path, nil)
	alice = books.Account("alice", limits)
	if spent, lost := books.Spent("alice"); spent.Calls != 3 || spent.Tokens() != 120 || lost != (store.Bound{}) {
		t.Errorf("after an orderly end: %+v, lost %+v", spent, lost)
	}
	if left := alice.Left(); left.Calls != 7 || left.Tokens != 880 {
		t.Errorf("left %+v", left)
	}
	// Now it dies with a call under way: the file is read as it stands.
	if _, err := alice.Reserve(llm.Spend{Calls: 2, PromptTokens: 400}, "a"); err != nil {
		t.Fatal(err)
	}
	again := openBooks(t, path, nil)
	after := again.Account("alice", limits)
	if left := after.Left(); left.Calls > 5 || left.Calls < 4 || left.Tokens > 480 || left.Tokens < 450 {
		t.Errorf("left %+v after a death with 2 calls and 400 tokens under way", left)
	}
	if _, err := after.Reserve(llm.Spend{Calls: 6}, "a"); !errors.Is(err, llm.ErrBudget) {
		t.Errorf("beyond it: %v", err)
	}
	if spent, lost := again.Spent("alice"); spent.Calls != 3 || lost.Calls < 2 || lost.Tokens < 400 {
		t.Errorf("spent %+v, lost %+v", spent, lost)
	}
}

// A day's ceiling is the day's, of UTC; a call belongs to the day on which it was
// begun.
func TestDaysEnd(t *testing.T) {
	now := time.Date(2026, 11, 24, 23, 59, 0, 0, time.UTC)
	var mu sync.Mutex
	books := openBooks(t, filepath.Join(t.TempDir(), "books.sqlite"), func() time.Time { mu.Lock(); defer mu.Unlock(); return now })
	account := books.Account("alice", llm.Limits{Calls: 1})
	settle, err := account.Reserve(llm.Spend{Calls: 1}, "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := account.Reserve(llm.Spend{Calls: 1}, "a"); !errors.Is(err, llm.ErrBudget) {
		t.Error(err)
	}
	mu.Lock()
	now = now.Add(2 * time.Minute)
	mu.Unlock()
	next, err := account.Reserve(llm.Spend{Calls: 1}, "a")
	if err != nil {
		t.Errorf("the next day: %v", err)
	}
	settle(llm.Spend{Calls: 1})
	next(llm.Spend{})
	if spent, _ := books.Spent("alice"); spent.Calls != 0 {
		t.Errorf("the new day has %+v", spent)
	}
}

// An answer that would have needed more is the best so far, marked, or an error:
// as the request says, else the server.
func TestOverBudget(t *testing.T) {
	for _, server := range []string{"", "answer", "error"} {
		for _, request := range []string{"", "answer", "error"} {
			for _, stream := range []bool{false, true} {
				m := script.Texts("Paris")
				url, _ := serve(t, gateway.Options{Model: named(m), OverBudget: server})
				body := fmt.Sprintf(`{"model":"small+self-consistency?n=20","stream":%v,"messages":[{"role":"user","content":"Where?"}],"gnothi":{"budget":{"calls":3,"over":%q}}}`, stream, request)
				if request == "" {
					body = strings.Replace(body, `,"over":""`, "", 1)
				}
				status, answer, _ := post(t, url+"/v1/chat/completions", body)
				failed := request == "error" || request == "" && server == "error"
				switch {
				case failed && !strings.Contains(answer, `"code":"budget_reached"`) || failed && !stream && status != http.StatusPaymentRequired:
					t.Errorf("%q, %q: %d %s", server, request, status, answer)
				case !failed && (status != 200 || !strings.Contains(answer, `"over_budget":"calls"`) || !strings.Contains(answer, `"stopped":"budget"`) || !strings.Contains(answer, "Paris")):
					t.Errorf("%q, %q: %d %s", server, request, status, answer)
				}
			}
		}
	}
	url, _ := serve(t, gateway.Options{Model: named(script.Texts("Paris"))})
	if status, answer, _ := post(t, url+"/v1/chat/completions", strings.Replace(smallBody, `{`, `{"gnothi":{"budget":{"over":"maybe"}},`, 1)); status != 400 || gjson.Get(answer, "error.param").String() != "gnothi.budget.over" {
		t.Errorf("%d %s", status, answer)
	}
	if _, err := gateway.New(gateway.Options{Model: named(script.Texts("Paris")), OverBudget: "maybe"}); err == nil {
		t.Error("taken")
	}
}

// A ceiling of dollars refuses a model whose price is not known.
func TestDollarsWithoutAPrice(t *testing.T) {
	m := script.Texts("Paris")
	url, _ := serve(t, gateway.Options{Model: named(m), Day: llm.Limits{NanoUSD: 1e9}})
	for _, model := range []string{"small", "small+self-consistency?n=2"} {
		status, answer, _ := post(t, url+"/v1/chat/completions", strings.Replace(smallBody, "small", model, 1))
		if status != http.StatusPaymentRequired || !strings.Contains(answer, "price") || m.Calls() != 0 {
			t.Errorf("%d %s after %d calls", status, answer, m.Calls())
		}
	}
}

// What is passed through is paid like anything else, and given a longest answer
// where a ceiling needs one.
func TestPassedThroughIsPaid(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		failing(200, `{"id":"r1","object":"response","status":"completed","model":"big","output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Paris"}]}],"usage":{"input_tokens":7,"output_tokens":3,"total_tokens":10}}`)(w, r)
	})
	o := behind(t, u)
	o.Books = openBooks(t, "", nil)
	o.Day = llm.Limits{Tokens: 2500}
	url, _ := serve(t, o)
	status, answer, _ := post(t, url+"/v1/responses", `{"model":"big","input":"Where?"}`)
	sent, _, _ := u.last()
	if status != 200 || gjson.Get(sent, "max_output_tokens").Int() != 1024 {
		t.Fatalf("%d %s for %s", status, answer, sent)
	}
	if spent, _ := o.Books.Spent(""); spent.Calls != 1 || spent.Tokens() != 10 {
		t.Errorf("%+v", spent)
	}
	if status, answer, _ = post(t, url+"/v1/responses", `{"model":"big","input":"Where?","max_output_tokens":9000}`); status != http.StatusPaymentRequired || len(u.bodies) != 1 {
		t.Errorf("%d %s", status, answer)
	}
}
