package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"net/http/httptest"

	"github.com/tidwall/gjson"

	"gnothi/gateway"
	"gnothi/llm"
	"gnothi/llm/script"
)

func TestClientKeys(t *testing.T) {
	aliceKey, alice := newKey(t, "alice")
	bobKey, bob := newKey(t, "bob")
	adminKey, admin := newKey(t, "carol")
	alice.Policies, alice.Models, alice.Policy = []string{"auto", "self-consistency"}, []string{"small"}, "self-consistency?n=2"
	bob.Limits = llm.Limits{Calls: 3}
	admin.Admin = true
	const operatorKey = "sk-client-key-0123456789"
	m := script.Texts("Paris")
	url, log := serve(t, gateway.Options{Model: named(m), Keys: []gateway.Key{alice, bob, admin}, APIKey: operatorKey})
	policy := func(p string) string { return strings.Replace(smallBody, `{`, `{"gnothi":{"policy":"`+p+`"},`, 1) }
	for _, c := range []struct {
		name, key, path, body string
		status                int
		code                  string
	}{
		{"none", "", "/v1/chat/completions", smallBody, 401, "invalid_api_key"},
		{"wrong", aliceKey[:len(aliceKey)-1] + "x", "/v1/chat/completions", smallBody, 401, "invalid_api_key"},
		{"alice", aliceKey, "/v1/chat/completions", smallBody, 200, ""},
		{"alice's other policy", aliceKey, "/v1/chat/completions", policy("auto"), 200, ""},
		{"alice's, with parameters", aliceKey, "/v1/chat/completions", policy("self-consistency?n=3"), 200, ""},
		{"a policy that she may not use", aliceKey, "/v1/chat/completions", policy("direct"), 403, "not_allowed"},
		{"the same by the model's name", aliceKey, "/v1/chat/completions", strings.Replace(smallBody, "small", "small+direct", 1), 403, "not_allowed"},
		{"bob may", bobKey, "/v1/chat/completions", policy("direct"), 200, ""},
		{"the operator's own", operatorKey, "/v1/chat/completions", smallBody, 200, ""},
		{"carol", adminKey, "/v1/chat/completions", smallBody, 200, ""},
		{"metrics, client", bobKey, "/metrics", "", 403, "not_allowed"},
		{"metrics, admin", adminKey, "/metrics", "", 200, ""},
		{"metrics, operator", operatorKey, "/metrics", "", 200, ""},
		{"models, client", bobKey, "/v1/models", "", 200, ""},
		{"trials, client", bobKey, "/trials", "", 403, "not_allowed"},
	} {
		method := http.MethodPost
		if c.body == "" {
			method = http.MethodGet
		}
		req, _ := http.NewRequestWithContext(t.Context(), method, url+c.path, strings.NewReader(c.body))
		if c.key != "" {
			req.Header.Set("Authorization", "Bearer "+c.key)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		_ = resp.Write(&b)
		resp.Body.Close()
		if resp.StatusCode != c.status || c.code != "" && !strings.Contains(b.String(), `"code":"`+c.code+`"`) {
			t.Errorf("%s: %s", c.name, b.String())
		}
	}
	status, answer, _ := post(t, url+"/v1/chat/completions", smallBody, "Authorization", "Bearer "+aliceKey)
	if status != 200 || gjson.Get(answer, "gnothi.policy").String() != "self-consistency?n=2" || gjson.Get(answer, "gnothi.spend.calls").Int() != 2 {
		t.Errorf("her own policy: %s", answer)
	}
	status, answer, _ = post(t, url+"/v1/chat/completions", policy("self-consistency?n=9"), "Authorization", "Bearer "+bobKey)
	if status != 200 || gjson.Get(answer, "gnothi.spend.calls").Int() != 3 || gjson.Get(answer, "gnothi.over_budget").String() != "calls" {
		t.Errorf("his ceiling: %s", answer)
	}
	for _, key := range []string{aliceKey, bobKey, adminKey, operatorKey} {
		if strings.Contains(log.String(), key) {
			t.Error("a key is in the log")
		}
	}
	if !strings.Contains(log.String(), `"key":"alice"`) || strings.Contains(log.String(), `"prompt"`) {
		t.Errorf("the log:\n%s", log)
	}
}

func TestBadKeys(t *testing.T) {
	_, alice := newKey(t, "alice")
	twin := alice
	twin.Name = "twin"
	_, odd := newKey(t, "a b")
	for name, keys := range map[string][]gateway.Key{"the same name": {alice, alice}, "the same hash": {alice, twin}, "a name with a space": {odd}, "no hash": {{Name: "x"}}} {
		if _, err := gateway.New(gateway.Options{Model: named(script.Texts("x")), Keys: keys}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for _, s := range []string{"", "sha256:", "sha256:00", "md5:" + strings.Repeat("0", 64), "sha256:" + strings.Repeat("g", 64), strings.Repeat("0", 64)} {
		if _, err := gateway.ParseHash(s); err == nil {
			t.Errorf("%q is taken for a hash", s)
		}
	}
}

// Prompts are in the log only where that is asked for.
func TestPromptsAreLoggedWhenAsked(t *testing.T) {
	for _, asked := range []bool{false, true} {
		url, log := serve(t, gateway.Options{Model: named(script.Texts("Paris")), LogPrompts: asked})
		_, _, _ = post(t, url+"/v1/chat/completions", strings.Replace(smallBody, `"x"`, `"a secret question"`, 1))
		until(t, "the line is written", func() bool { return strings.Contains(log.String(), "request") })
		if strings.Contains(log.String(), "a secret question") != asked {
			t.Errorf("asked %v: %s", asked, log)
		}
	}
}

// A key's rates and its requests at once are its own.
func TestRatesOfAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		m := script.New(func(op llm.Op, _ int) script.Reply {
			if op.Request.Messages[0].Text == "slow" {
				<-block
			}
			return script.Reply{Text: "Paris"}
		})
		key, alice := newKey(t, "alice")
		other, bob := newKey(t, "bob")
		alice.RPM, alice.Concurrency, alice.TPM = 60, 2, 1000
		g, err := gateway.New(gateway.Options{Model: named(m), Keys: []gateway.Key{alice, bob}})
		if err != nil {
			t.Fatal(err)
		}
		send := func(key, say string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1/v1/chat/completions", strings.NewReader(strings.Replace(smallBody, `"x"`, `"`+say+`"`, 1)))
			r.Header.Set("Authorization", "Bearer "+key)
			g.ServeHTTP(w, r)
			return w
		}
		done := make(chan struct{}, 2)
		for range 2 {
			go func() { send(key, "slow"); done <- struct{}{} }()
		}
		synctest.Wait()
		if w := send(key, "x"); w.Code != 429 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "at once") {
			t.Errorf("a third at once: %d %s", w.Code, w.Body)
		}
		if w := send(other, "x"); w.Code != 200 {
			t.Errorf("another key: %d %s", w.Code, w.Body)
		}
		close(block)
		<-done
		<-done
		time.Sleep(time.Minute)
		passed := 0
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			switch w := send(key, "x"); w.Code {
			case 200:
				passed++
			case 429:
			default:
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		if passed > 60 || passed < 50 {
			t.Errorf("%d requests in a minute of 60", passed)
		}
	})
}
