package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"gnothi/gateway"
	"gnothi/internal/chromium"
	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/store"
)

// hostile is a text that would show if it became markup, script, style or
// address anywhere.
const hostile = `"'><img src=x onerror=alert(1)><script>alert(2)</script><style>*{display:none}</style></textarea></title><a href="javascript:alert(3)">x</a>{{.}}` + "\u202e\x00\x1b[31m\r\ndata: evil\n\n"

// keeping opens trials in memory that end with the test.
func keeping(t *testing.T) *store.Trials {
	t.Helper()
	trials, err := store.OpenTrials(t.Context(), "", store.TrialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := trials.Close(); err != nil {
			t.Error(err)
		}
	})
	return trials
}

// flush waits until pages show what was answered.
func flush(t *testing.T, trials *store.Trials) {
	t.Helper()
	if err := trials.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// sample is a model that says several things.
func sample() llm.Model {
	return named(script.New(func(op llm.Op, i int) script.Reply {
		text := []string{"The answer is Paris.", "The answer is Paris.", "The answer is Lyon."}[i%3]
		return script.Reply{Text: text, Tokens: script.Words(text, -0.2)}
	}, llm.LogProbs))
}

// asked asks a question and gives the answer's ID.
func asked(t *testing.T, url, policy, question string) string {
	t.Helper()
	status, body, _ := post(t, url+"/v1/chat/completions", fmt.Sprintf(`{"model":"small","gnothi":{"policy":%q},"messages":[{"role":"user","content":%s}]}`, policy, jsonString(question)))
	if status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	return gjson.Get(body, "gnothi.id").String()
}

func jsonString(s string) []byte {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return raw
}

func read(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTrialsAreShown(t *testing.T) {
	trials := keeping(t)
	u, _ := serve(t, gateway.Options{Model: sample(), Trials: trials})
	var ids []string
	for i := range 60 {
		policy := "self-consistency?n=5"
		if i%2 == 1 {
			policy = "direct"
		}
		ids = append(ids, asked(t, u, policy, fmt.Sprintf("Question number %d about towns?", i)))
	}
	page := func(path string, status int, want ...string) string {
		t.Helper()
		got, body := get(t, u+path)
		if got != status {
			t.Errorf("%s: %d", path, got)
		}
		for _, w := range want {
			if !strings.Contains(body, w) {
				t.Errorf("%s: no %q in\n%s", path, w, body)
			}
		}
		return body
	}
	flush(t, trials)
	last := ids[len(ids)-1]
	page("/trials/"+last, 200, "Question number 59", "The answer is", "direct", "What was asked")
	page("/trials/"+ids[0], 200, "What the model said", "Paris", "Lyon", "self-consistency?n=5", "consistency/agreement")
	if raw := page("/trials/"+ids[0]+"?json", 200); gjson.Get(raw, "belief.id").String() != ids[0] || gjson.Get(raw, "explanation.pool.#").Int() != 5 {
		t.Errorf("as JSON: %s", raw)
	}
	first := page("/trials", 200, "Question number 59", "Question number 10", "older", "60 trials are kept")
	if strings.Contains(first, "Question number 9 ") || strings.Count(first, `class="line trial"`) != 50 {
		t.Error("the first page holds more than 50 trials")
	}
	page("/trials?before=11", 200, "Question number 9 ", "newer")
	page("/trials?after=1", 200, "Question number 1 ", "older")
	for query, n := range map[string]int{"q=%22number+7+%22": 1, "q=lyon+%22number+8+%22": 1, "policy=direct": 30, "policy=self-consistency": 30, "policy=direct&q=%22number+4+%22": 0, "q=%25": 0, "d=answer": 50, "d=failed": 0, "q=" + last: 1, "v=any": 0} {
		if got := strings.Count(page("/trials?"+query, 200), `class="line trial"`); got != n {
			t.Errorf("?%s: %d trials, want %d", query, got, n)
		}
	}
	page("/", 200, "Question number 59", "Try it")
	page("/reliability", 200, "0 verdicts")
	page("/spend", 200, "60 answers", "self-consistency")
	page("/audit", 200, "--audit")
	page("/trials/nobody", 404, "No such trial")
	page("/assets/nothing", 404)
	for path, kind := range map[string]string{"/assets/style.css": "text/css; charset=utf-8", "/assets/pages.js": "text/javascript; charset=utf-8"} {
		resp, err := http.Get(u + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != kind || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, resp.Header)
		}
	}
}

// Without trials pages say so, and with a key they ask for it as a password.
func TestPagesOfOthers(t *testing.T) {
	u, _ := serve(t, gateway.Options{Model: sample()})
	for _, path := range []string{"/trials", "/trials/x", "/live", "/reliability", "/spend", "/audit"} {
		if status, body := get(t, u+path); status != 404 || !strings.Contains(body, "no-trials") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	const key = "sk-client-key-0123456789"
	trials := keeping(t)
	u, log := serve(t, gateway.Options{Model: sample(), Trials: trials, APIKey: key})
	status, body, _ := post(t, u+"/v1/chat/completions", `{"model":"small","messages":[{"role":"user","content":"a secret question"}]}`, "Authorization", "Bearer "+key)
	if status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	id := gjson.Get(body, "id").String()
	flush(t, trials)
	for _, path := range []string{"/", "/trials", "/trials/" + id, "/trials/" + id + "?json", "/reliability", "/spend", "/audit"} {
		for password, want := range map[string]int{"": 401, "wrong": 401, key: 200} {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, u+path, nil)
			if password != "" {
				req.SetBasicAuth("me", password)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			shown := read(t, resp)
			if path == "/" && password != key {
				want = 200
			}
			if resp.StatusCode != want || want == 401 && !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Basic ") {
				t.Errorf("%s with password %q: %d %v", path, password, resp.StatusCode, resp.Header)
			}
			if strings.Contains(shown, "secret question") != (password == key && path != "/reliability" && path != "/spend" && path != "/audit") || strings.Contains(shown, key) {
				t.Errorf("%s with password %q shows %s", path, password, shown)
			}
		}
	}
	if strings.Contains(log.String(), key) {
		t.Error("the key is in the log")
	}
}

// The forms of pages count only where they come from the pages themselves.
func TestVerdictsFromPages(t *testing.T) {
	trials := keeping(t)
	u, _ := serve(t, gateway.Options{Model: sample(), Trials: trials, Audit: 1})
	id := asked(t, u, "self-consistency?n=5", "Capital of France?")
	form := "application/x-www-form-urlencoded"
	path := u + "/trials/" + url.PathEscape(id) + "/feedback"
	if status, _, _ := post(t, path, "correct=true", "Content-Type", form, "Sec-Fetch-Site", "cross-site"); status != 403 {
		t.Errorf("from another site: %d", status)
	}
	if status, _, _ := post(t, path, "correct=maybe", "Content-Type", form); status != 400 {
		t.Errorf("neither true nor false: %d", status)
	}
	if x, err := trials.Get(t.Context(), id); err != nil || x.Correct != nil || !x.Marked {
		t.Errorf("%+v %v", x, err)
	}
	if _, body := get(t, u+"/audit"); !strings.Contains(body, "Capital of France?") || !strings.Contains(body, `name="by" value="audit"`) {
		t.Errorf("nothing waits: %s", body)
	}
	status, body, _ := post(t, path, "correct=true&by=audit&back=audit", "Content-Type", form, "Sec-Fetch-Site", "same-origin")
	if status != 200 || !strings.Contains(body, "No answer waits for a label") { // where it leads back to
		t.Errorf("%d %s", status, body)
	}
	x, err := trials.Get(t.Context(), id)
	if err != nil || x.Correct == nil || !*x.Correct || x.Own {
		t.Errorf("%+v %v", x, err)
	}
	status, body, _ = post(t, path, "correct=false", "Content-Type", form)
	if status != 200 || !strings.Contains(body, "wrong, ") || !strings.Contains(body, "right, ") {
		t.Errorf("both verdicts are told: %d %s", status, body)
	}
	if x, err = trials.Get(t.Context(), id); err != nil || *x.Correct || !x.Own {
		t.Errorf("the latest verdict counts: %+v %v", x, err)
	}
}

func TestPagesInABrowser(t *testing.T) {
	trials := keeping(t)
	u, _ := serve(t, gateway.Options{Model: sample(), Trials: trials, Audit: 0.5, PolicyNames: []string{"auto", "self-consistency"}, Policy: "auto"})
	b := chromium.New(t) // it ends before the server, which waits for those who look
	var ids []string
	for i := range 30 {
		ids = append(ids, asked(t, u, []string{"auto", "self-consistency?n=5", "direct"}[i%3], fmt.Sprintf("What is the capital of the country number %d?", i)))
	}
	for i, id := range ids {
		if i%2 == 0 {
			if status, body, _ := post(t, u+"/v1/feedback", fmt.Sprintf(`{"id":%q,"correct":%v}`, id, i%3 != 0)); status != 200 {
				t.Fatalf("%d %s", status, body)
			}
		}
	}
	flush(t, trials)
	const rows = `document.querySelectorAll("#list a.trial").length`
	for _, scheme := range []string{"light", "dark"} {
		for size, width := range map[string]int{"wide": 1100, "phone": 390} {
			b.View(width, 900, scheme, "")
			for name, path := range map[string]string{"home": "/", "trials": "/trials", "trial": "/trials/" + url.PathEscape(ids[0]), "reliability": "/reliability", "spend": "/spend", "audit": "/audit"} {
				b.Open(u + path)
				b.Fits(name + " " + size)
				b.Shoot("gateway-"+name+"-"+size+"-"+scheme, true)
			}
		}
	}
	b.View(1100, 900, "light", "")

	// A list grows while one looks.
	b.Open(u + "/trials?policy=direct")
	b.Until(rows + ` === 10 && document.querySelector("#live-words").textContent.startsWith("live")`)
	asked(t, u, "direct", "What comes while I look?")
	asked(t, u, "auto", "What the filter holds back")
	b.Until(`document.querySelector("#list a.trial .q").textContent === "What comes while I look?"`)
	if n := b.Eval(rows); n != 11.0 {
		t.Errorf("%v rows", n)
	}
	// A row leads to the trial; there it is judged.
	b.Click("#list a.trial")
	b.Until(`document.querySelector("#question-text")?.textContent === "What comes while I look?"`)
	b.Click(`.verdict button[value="false"]`)
	b.Until(`document.querySelector('.verdict button[value="false"]')?.getAttribute("aria-pressed") === "true"`)
	// One can ask from the page.
	b.Open(u + "/")
	b.Until(`document.querySelector("#live-words").textContent.startsWith("live")`)
	b.Click("#ask button")
	b.Until(`document.querySelector("#answer").textContent.includes("Paris")`)
	b.Until(`document.querySelector("#list a.trial .q").textContent === "What is the capital of France?"`)
	b.Quiet(u)

	// Without scripts there is all of it but the growing.
	flush(t, trials)
	b.Do("Emulation.setScriptExecutionDisabled", map[string]any{"value": true})
	b.Open(u + "/trials")
	if n := b.Eval(rows); n != 33.0 {
		t.Errorf("%v rows without scripts", n)
	}
	b.Quiet(u)
}

func TestHostileTextInABrowser(t *testing.T) {
	trials := keeping(t)
	m := named(script.New(func(op llm.Op, i int) script.Reply {
		return script.Reply{Text: hostile + fmt.Sprint(i%2), Tokens: script.Words(hostile, -0.2)}
	}, llm.LogProbs))
	u, _ := serve(t, gateway.Options{Model: m, Trials: trials, Audit: 1, Policy: "auto", PolicyNames: []string{hostile}})
	b := chromium.New(t) // it ends before the server, which waits for those who look
	asked(t, u, "auto", hostile)
	asked(t, u, "self-consistency?n=3", hostile)
	// What no client can choose here, but the store may hold.
	body := fmt.Sprintf(`{"schema":1,"belief":{"id":%[1]s,"question":%[1]s,"answer":%[1]s,"decision":"abstain","clarify":%[1]s,"outcome":"parsed","probability":0.5,"interval":[0.1,0.9],
		"calibration":{"status":"prior","on":%[1]s,"method":%[1]s,"why":%[1]s},"signals":[{"name":%[1]s,"score":0.5,"source":%[1]s,"why":%[1]s}],"missing":{%[1]s:%[1]s},"form":%[1]s,
		"claims":[{"text":%[1]s,"supported":0.4}],"error":%[1]s},
		"explanation":{"stopped":%[1]s,"tie":true,"pool":[{"origin":%[1]s,"text":%[1]s,"answer":%[1]s,"status":%[1]s}],"classes":[{"answer":%[1]s,"members":[0,7,-1],"weight":1}],
		"terms":[{"name":%[1]s,"log_odds":1}],"trace":[{"round":1,"before":%[1]s,"feedback":%[1]s,"after":%[1]s}],"bought":[{"what":%[1]s,"answer":%[1]s,"p":0.4,"tokens":5}],"calls_by_role":{%[1]s:1,"x":2}},
		"messages":[{"role":%[1]s,"text":%[1]s,"others":[%[1]s]}],"delivered":%[1]s,"reasoning":%[1]s}`, jsonString(hostile))
	p := 0.5
	trials.Add(1, func() store.Trial {
		return store.Trial{ID: hostile, At: time.Now(), Key: hostile, Model: hostile, Name: hostile, Policy: hostile, Form: hostile, Decision: hostile, Outcome: "parsed", Status: hostile,
			Probability: &p, Audit: 1, Marked: true, Question: hostile, Answer: hostile, Body: []byte(body)}
	})
	flush(t, trials)
	if _, err := trials.Judge(t.Context(), hostile, store.Verdict{At: time.Now(), By: hostile, Key: hostile}); err != nil {
		t.Fatal(err)
	}
	const injected = `document.querySelectorAll("img, [onerror], a[href^='javascript'], body script, body style").length`
	for _, path := range []string{"/", "/trials", "/trials?q=" + url.QueryEscape(hostile), "/trials?model=" + url.QueryEscape(hostile) + "&d=" + url.QueryEscape(hostile), "/trials/" + url.PathEscape(hostile), "/reliability?model=" + url.QueryEscape(hostile), "/spend", "/audit"} {
		b.Open(u + path)
		if n := b.Eval(injected); n != 0.0 {
			t.Errorf("%s: %v elements were injected", path, n)
		}
		if b.Eval(`getComputedStyle(document.body).display`) == "none" {
			t.Errorf("%s: a style was injected", path)
		}
		b.Shoot("gateway-hostile"+strings.NewReplacer("/", "-", "?", "-").Replace(path[:min(len(path), 12)]), true)
	}
	// The same while the list grows.
	b.Open(u + "/trials")
	b.Until(`document.querySelector("#live-words").textContent.startsWith("live")`)
	asked(t, u, "auto", hostile+"live")
	b.Until(`document.querySelectorAll("#list a.trial").length === 4`)
	if n := b.Eval(injected); n != 0.0 {
		t.Errorf("%v elements were injected while the list grew", n)
	}
	if dialogs := b.Dialogs(); dialogs > 0 {
		t.Errorf("%d dialogs", dialogs)
	}
	b.Quiet(u)
}

// A page that is looked at does not keep the server from ending.
func TestLiveEndsWithTheServer(t *testing.T) {
	g, err := gateway.New(gateway.Options{Model: sample(), Trials: keeping(t)})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := gateway.Listen(t.Context(), "127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- gateway.Serve(ctx, listener, g, nil) }()
	resp, err := http.Get("http://" + listener.Addr().String() + "/live?after=0")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	one := make([]byte, 1)
	if _, err := resp.Body.Read(one); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("the server took %s to end", took)
	}
}

// The share of marked answers is what was asked for, and the figures over verdicts
// say what they stand for.
func TestAuditShare(t *testing.T) {
	trials := keeping(t)
	u, _ := serve(t, gateway.Options{Model: sample(), Trials: trials, Audit: 0.25})
	marked := 0
	for i := range 400 {
		status, body, _ := post(t, u+"/v1/chat/completions", fmt.Sprintf(`{"model":"small","logprobs":true,"messages":[{"role":"user","content":"Question %d"}]}`, i%3))
		if status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		if !gjson.Get(body, "gnothi.audit").Bool() {
			if i%10 == 0 { // complaints
				post(t, u+"/v1/feedback", fmt.Sprintf(`{"id":%q,"correct":false}`, gjson.Get(body, "id").String()))
			}
			continue
		}
		marked++
		post(t, u+"/v1/feedback", fmt.Sprintf(`{"id":%q,"correct":true,"audit":true}`, gjson.Get(body, "id").String()))
	}
	if marked < 60 || marked > 140 { // five standard deviations
		t.Errorf("%d of 400 are marked", marked)
	}
	flush(t, trials)
	_, body := get(t, u+"/reliability")
	if !strings.Contains(body, "they stand for 400 answers") || strings.Contains(body, `id="caution"`) {
		t.Errorf("%s", body)
	}
	// Some 30 complaints stand for themselves, so at least 90 % are right.
	if i := strings.Index(body, "<dt>right</dt><dd>9"); i < 0 {
		t.Errorf("complaints count for more than they are: %s", body)
	}
}
