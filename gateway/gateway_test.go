package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/tidwall/gjson"

	"gnothi/gateway"
	"gnothi/llm"
	"gnothi/llm/llmtest"
	"gnothi/llm/script"
)

func TestMain(m *testing.M) { llmtest.Main(m) }

// named is a script under a name, charged to ledgers as providers are.
func named(m *script.Model) llm.Model {
	return llm.Metered(m.Named(llm.ID{Provider: "script", Name: "small"}), nil)
}

// serve starts a gateway and gives its base URL and what it logs.
func serve(t *testing.T, o gateway.Options) (url string, log *bytes.Buffer) {
	t.Helper()
	log = &bytes.Buffer{}
	o.Log = logTo(log)
	if o.Policies == nil {
		o.Policies = policies
	}
	g, err := gateway.New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	return server.URL, log
}

// client is the official SDK, which does not repeat failures here.
func client(url string, o ...option.RequestOption) openai.Client {
	return openai.NewClient(append([]option.RequestOption{option.WithBaseURL(url + "/v1"), option.WithAPIKey("sk-client-key-0123456789"), option.WithMaxRetries(0)}, o...)...)
}

func ask(model, question string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(question)}}
}

// with sets a field that the SDK does not know.
func with(field string, value any) option.RequestOption { return option.WithJSONSet(field, value) }

// post sends a body as it is.
func post(t *testing.T, url, body string, header ...string) (status int, answer string, h http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// belief reads the gnothi object of a response.
func belief(t *testing.T, raw string) gjson.Result {
	t.Helper()
	b := gjson.Get(raw, "gnothi")
	if !b.IsObject() {
		t.Fatalf("no gnothi object in %s", raw)
	}
	return b
}

func TestDirect(t *testing.T) {
	m := script.New(func(op llm.Op, i int) script.Reply {
		return script.Reply{Text: "Paris it is", Tokens: script.Words("Paris it is", -0.1)}
	}, llm.LogProbs)
	url, _ := serve(t, gateway.Options{Model: named(m)})
	c := client(url)
	var resp *http.Response
	res, err := c.Chat.Completions.New(t.Context(), ask("small", "Capital of France?"), option.WithResponseInto(&resp))
	if err != nil {
		t.Fatal(err)
	}
	if got := res.Choices[0].Message.Content; got != "Paris it is" {
		t.Errorf("content %q", got)
	}
	b := belief(t, res.RawJSON())
	if b.Get("policy").String() != "direct" || b.Get("decision").String() != "answer" || b.Get("question").String() != "Capital of France?" {
		t.Errorf("belief %s", b)
	}
	if b.Get("signals.#").Int() != 0 || m.Calls() != 1 {
		t.Errorf("direct made %d calls and read %s: nobody asked for log-probabilities", m.Calls(), b.Get("signals"))
	}
	if resp.Header.Get("X-Gnothi-Decision") != "answer" || resp.Header.Get("X-Gnothi-Probability") != "" {
		t.Errorf("headers %v", resp.Header)
	}
	if op := m.Ops()[0]; op.Request.LogProbs || op.Request.Temperature != nil || op.Seed != 0 {
		t.Errorf("direct added something: %+v", op.Request)
	}
	if res.Usage.CompletionTokens != 3 || b.Get("spend.completion_tokens").Int() != 3 {
		t.Errorf("usage %+v, spend %s", res.Usage, b.Get("spend"))
	}

	params := ask("small", "Capital of France?")
	params.Logprobs = openai.Bool(true)
	res, err = c.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(res.Choices[0].Logprobs.Content); n != 3 {
		t.Errorf("%d log-probabilities", n)
	}
	b = belief(t, res.RawJSON())
	if b.Get("signals.#").Int() == 0 || !b.Get("probability").Exists() {
		t.Errorf("no signals though the log-probabilities are there: %s", b)
	}
}

func TestObserve(t *testing.T) {
	m := script.New(func(llm.Op, int) script.Reply {
		return script.Reply{Text: "Paris it is", Tokens: script.Words("Paris it is", -0.1)}
	}, llm.LogProbs)
	url, _ := serve(t, gateway.Options{Model: named(m)})
	c := client(url)
	res, err := c.Chat.Completions.New(t.Context(), ask("small", "Capital?"), with("gnothi.observe", true))
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Choices[0].Logprobs.Content) != 0 || belief(t, res.RawJSON()).Get("signals.#").Int() == 0 {
		t.Errorf("observed: %s", res.RawJSON())
	}
	chunks, err := streamed(t, c, ask("small", "Capital?"), with("gnothi.observe", true))
	if err != nil {
		t.Fatal(err)
	}
	for _, chunk := range chunks {
		if strings.Contains(chunk, `"logprob":`) {
			t.Errorf("log-probabilities that were not asked for: %s", chunk)
		}
	}
	if belief(t, chunks[len(chunks)-1]).Get("signals.#").Int() == 0 {
		t.Errorf("observed stream: %s", chunks[len(chunks)-1])
	}
}

// streamed gives the chunks of a stream.
func streamed(t *testing.T, c openai.Client, p openai.ChatCompletionNewParams, o ...option.RequestOption) (chunks []string, err error) {
	t.Helper()
	s := c.Chat.Completions.NewStreaming(t.Context(), p, o...)
	defer s.Close()
	for s.Next() {
		chunks = append(chunks, s.Current().RawJSON())
	}
	return chunks, s.Err()
}

func text(chunks []string) (s string) {
	for _, c := range chunks {
		s += gjson.Get(c, "choices.0.delta.content").String()
	}
	return s
}

func TestDirectStream(t *testing.T) {
	url, _ := serve(t, gateway.Options{Model: named(script.Texts("one two three"))})
	c := client(url)
	chunks, err := streamed(t, c, ask("small", "count"))
	if err != nil {
		t.Fatal(err)
	}
	if got := text(chunks); got != "one two three" || len(chunks) != 4 {
		t.Errorf("%d chunks say %q", len(chunks), got)
	}
	last := chunks[len(chunks)-1]
	if gjson.Get(last, "choices.0.finish_reason").String() != "stop" || belief(t, last).Get("decision").String() != "answer" {
		t.Errorf("the last chunk: %s", last)
	}
	for _, chunk := range chunks[:len(chunks)-1] {
		if gjson.Get(chunk, "gnothi").Exists() || gjson.Get(chunk, "id").String() != gjson.Get(last, "id").String() {
			t.Errorf("chunk %s", chunk)
		}
	}

	params := ask("small", "count")
	params.StreamOptions.IncludeUsage = openai.Bool(true)
	if chunks, err = streamed(t, c, params); err != nil {
		t.Fatal(err)
	}
	last = chunks[len(chunks)-1]
	if gjson.Get(last, "usage.completion_tokens").Int() != 3 || gjson.Get(last, "choices.#").Int() != 0 || !gjson.Get(last, "gnothi").Exists() {
		t.Errorf("with usage the last chunk is %s", last)
	}
}

func TestDeliberation(t *testing.T) {
	m := script.Texts("Paris", "Paris", "Lyon", "Paris", "Paris")
	url, _ := serve(t, gateway.Options{Model: named(m), Policy: "auto"})
	c := client(url)
	for _, choose := range []struct {
		name, model string
		options     []option.RequestOption
	}{
		{"field", "small", []option.RequestOption{with("gnothi.policy", "self-consistency?n=5")}},
		{"name", "small+self-consistency?n=5", nil},
		{"field beats name", "small+direct", []option.RequestOption{with("gnothi.policy", "self-consistency?n=5")}},
	} {
		before := m.Calls()
		res, err := c.Chat.Completions.New(t.Context(), ask(choose.model, "Capital of France?"), choose.options...)
		if err != nil {
			t.Fatalf("%s: %v", choose.name, err)
		}
		b := belief(t, res.RawJSON())
		if res.Choices[0].Message.Content != "Paris" || m.Calls()-before != 5 || b.Get("policy").String() != "self-consistency?n=5" || b.Get("spend.calls").Int() != 5 {
			t.Errorf("%s: %s", choose.name, res.RawJSON())
		}
		if b.Get("alternatives.0.answer").String() != "Lyon" || res.Model != "small" {
			t.Errorf("%s: %s", choose.name, res.RawJSON())
		}
		if res.Usage.CompletionTokens != 1 || res.Usage.PromptTokens != 3 {
			t.Errorf("%s: usage %+v is not that of the delivered answer", choose.name, res.Usage)
		}
	}
	res, err := c.Chat.Completions.New(t.Context(), ask("small", "Capital of France?"))
	if err != nil {
		t.Fatal(err)
	}
	if got := belief(t, res.RawJSON()).Get("policy").String(); got != "auto" {
		t.Errorf("the server's policy is auto, not %s", got)
	}
}

func TestDeliberationStream(t *testing.T) {
	m := script.Texts("It is Paris", "It is Paris", "Lyon", "It is Paris", "It is Paris")
	url, _ := serve(t, gateway.Options{Model: named(m)})
	status, body, h := post(t, url+"/v1/chat/completions", `{"model":"small+self-consistency?n=5","stream":true,"messages":[{"role":"user","content":"Where?"}]}`)
	if status != 200 || !strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("%d %s", status, body)
	}
	events := strings.Split(strings.TrimSuffix(body, "\n\n"), "\n\n")
	if !strings.HasPrefix(events[0], ": 5/5 samples") {
		t.Errorf("the first line is %q", events[0])
	}
	if events[len(events)-1] != "data: [DONE]" {
		t.Errorf("the last event is %q", events[len(events)-1])
	}
	last := strings.TrimPrefix(events[len(events)-2], "data: ")
	if belief(t, last).Get("spend.calls").Int() != 5 {
		t.Errorf("the last chunk is %s", last)
	}
	chunks, err := streamed(t, client(url), ask("small+self-consistency?n=5", "Where?"))
	if err != nil || text(chunks) != "It is Paris" {
		t.Errorf("%q, %v", text(chunks), err)
	}
}

func TestThreshold(t *testing.T) {
	m := script.New(func(_ llm.Op, i int) script.Reply {
		return script.Reply{Text: "Oslo", Tokens: script.Words("Oslo", -3)}
	}, llm.LogProbs)
	url, _ := serve(t, gateway.Options{Model: named(m), Withheld: "I would rather not say."})
	c := client(url)
	for _, model := range []string{"small+auto", "small+direct"} {
		var resp *http.Response
		res, err := c.Chat.Completions.New(t.Context(), ask(model, "Who won?"), with("gnothi.threshold", 1), option.WithResponseInto(&resp))
		if err != nil {
			t.Fatal(err)
		}
		b := belief(t, res.RawJSON())
		if got := res.Choices[0]; got.Message.Content != "I would rather not say." || got.FinishReason != "stop" {
			t.Errorf("%s: %s", model, got.RawJSON())
		}
		if b.Get("answer").String() != "Oslo" || b.Get("decision").String() != "abstain" || resp.Header.Get("X-Gnothi-Decision") != "abstain" || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", model, b)
		}
	}
	chunks, err := streamed(t, c, ask("small+auto", "Who won?"), with("gnothi.threshold", 1))
	if err != nil || text(chunks) != "I would rather not say." || strings.Contains(strings.Join(chunks[:len(chunks)-1], ""), "Oslo") {
		t.Errorf("a withheld stream: %q, %v", chunks, err)
	}
	_, err = streamed(t, c, ask("small+direct", "Who won?"), with("gnothi.threshold", 0.5))
	if e := apiError(t, err); e.StatusCode != http.StatusBadRequest || e.Param != "gnothi.threshold" {
		t.Errorf("threshold on a direct stream: %v", err)
	}
}

func apiError(t *testing.T, err error) *openai.Error {
	t.Helper()
	var e *openai.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no API error", err)
	}
	return e
}

func TestWrongRequests(t *testing.T) {
	url, _ := serve(t, gateway.Options{Model: named(script.Texts("hello")), PolicyNames: []string{"auto"}})
	const user = `"messages":[{"role":"user","content":"x"}]`
	for _, c := range []struct {
		body, param, message string
		status               int
	}{
		{`hello`, "", "not a JSON object", 400},
		{`[]`, "", "not a JSON object: want an object, found array", 400},
		{`null`, "", "not a JSON object", 400},
		{`{"model":"small"}`, "messages", "at least one message", 400},
		{`{"model":"small","messages":"hi"}`, "messages", "", 400},
		{`{"model":"small","messages":[]}`, "messages", "", 400},
		{`{"model":"small","messages":[{"content":"x"}]}`, "messages[0].role", "", 400},
		{`{"model":"small","temperature":"hot",` + user + `}`, "temperature", "want a number, found string", 400},
		{`{` + user + `}`, "model", "small", 400},
		{`{"model":"smal",` + user + `}`, "model", `did you mean "small"`, 404},
		{`{"model":"small+selfconsistency",` + user + `}`, "model", "self-consistency", 400},
		{`{"model":"small","gnothi":{"policy":"selfconsistency"},` + user + `}`, "gnothi.policy", "self-consistency", 400},
		{`{"model":"small","gnothi":{"policy":"adaptive?conf=7"},` + user + `}`, "gnothi.policy", "adaptive?conf=7", 400},
		{`{"model":"small","gnothi":{"treshold":0.5},` + user + `}`, "gnothi", "treshold", 400},
		{`{"model":"small","gnothi":{"threshold":2},` + user + `}`, "gnothi.threshold", "probability", 400},
		{`{"model":"small","gnothi":{"budget":{"calls":"many"}},` + user + `}`, "gnothi.budget.calls", "gnothi.budget.calls: want a whole number, found string", 400},
		{`{"model":"small","gnothi":{"budget":{"calls":-1}},` + user + `}`, "gnothi.budget", "", 400},
		{`{"model":"small","gnothi":"auto",` + user + `}`, "gnothi", "gnothi: want an object, found string", 400},
		{`{"model":"small+auto","n":2,` + user + `}`, "n", "one answer", 400},
		{`{"model":"small+auto","seed":-4,` + user + `}`, "seed", "", 400},
		{`{"model":"small","x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `,` + user + `}`, "", "", 400},
	} {
		status, answer, _ := post(t, url+"/v1/chat/completions", c.body)
		e := gjson.Get(answer, "error")
		if status != c.status || e.Get("param").String() != c.param || !strings.Contains(e.Get("message").String(), c.message) || e.Get("type").String() != "invalid_request_error" {
			t.Errorf("%.80s: %d %s, want %d, param %s, %q", c.body, status, answer, c.status, c.param, c.message)
		}
	}
	for _, c := range []struct {
		path   string
		status int
	}{{"/v1/chat/completion", 404}, {"/v1/models", 405}, {"/v1/responses", 501}, {"/tokenize", 501}, {"/v1/completions", 501}, {"/v1/feedback", 501}} {
		status, answer, _ := post(t, url+c.path, `{}`)
		if status != c.status || !gjson.Get(answer, "error.message").Exists() {
			t.Errorf("%s: %d %s", c.path, status, answer)
		}
	}
	if status, body := get(t, url+"/v1/chat/completions"); status != 405 || !gjson.Get(body, "error.message").Exists() {
		t.Errorf("GET: %d %s", status, body)
	}
}

func TestLargeBody(t *testing.T) {
	url, _ := serve(t, gateway.Options{Model: named(script.Texts("hello"))})
	big := `{"model":"small","messages":[{"role":"user","content":"` + strings.Repeat("a", 33<<20) + `"}]}`
	status, answer, _ := post(t, url+"/v1/chat/completions", big)
	if status != 413 || gjson.Get(answer, "error.code").String() != "request_too_large" {
		t.Errorf("with a length: %d %.200s", status, answer)
	}
	// Without a length the gateway has to count. It answers while the client
	// still sends, so the client may see that as a broken connection.
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/chat/completions", io.MultiReader(strings.NewReader(big)))
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("without a length: %d", resp.StatusCode)
		}
	}
	if status, answer, _ := post(t, url+"/v1/chat/completions", big[:20<<20]+`"}]}`); status != 200 {
		t.Errorf("20 MiB: %d %.200s", status, answer)
	}
}

func TestKeys(t *testing.T) {
	const key = "sk-client-key-0123456789"
	m := script.New(func(op llm.Op, _ int) script.Reply {
		return script.Failure(400, "you sent "+key)
	})
	url, log := serve(t, gateway.Options{Model: named(m), APIKey: key})
	for _, h := range [][]string{nil, {"Authorization", "Bearer wrong"}, {"Authorization", key}, {"Authorization", "Bearer "}} {
		status, answer, head := post(t, url+"/v1/chat/completions", `{}`, h...)
		if status != 401 || gjson.Get(answer, "error.code").String() != "invalid_api_key" || head.Get("WWW-Authenticate") == "" {
			t.Errorf("%v: %d %s", h, status, answer)
		}
	}
	if m.Calls() != 0 {
		t.Error("the model was asked without a key")
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/": 200, "/v1/models": 401, "/metrics": 401} {
		if status, body := get(t, url+path); status != want || strings.Contains(body, key) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	c := client(url)
	_, err := c.Chat.Completions.New(t.Context(), ask("small", "x"))
	if e := apiError(t, err); e.StatusCode != http.StatusBadRequest || strings.Contains(e.RawJSON(), key) || !strings.Contains(e.Message, "you sent") {
		t.Errorf("an upstream's message: %v", err)
	}
	if strings.Contains(log.String(), key) {
		t.Errorf("the key is in the log:\n%s", log)
	}
}

func TestForeignPages(t *testing.T) {
	url, _ := serve(t, gateway.Options{Model: named(script.Texts("hello"))})
	const body = `{"model":"small","messages":[{"role":"user","content":"x"}]}`
	if status, _, _ := post(t, url+"/v1/chat/completions", body, "Origin", "https://evil.example", "Content-Type", "text/plain"); status != 403 {
		t.Errorf("a page of another site: %d", status)
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/chat/completions", strings.NewReader(body))
	req.Host = "evil.example" // a name that was made to point here
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign host: %d", resp.StatusCode)
	}
}

func TestModels(t *testing.T) {
	url, _ := serve(t, gateway.Options{Model: named(script.Texts("hello")), PolicyNames: []string{"auto", "direct"}})
	c := client(url)
	page, err := c.Models.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range page.Data {
		names = append(names, m.ID)
	}
	if got := strings.Join(names, " "); got != "small small+auto small+direct" {
		t.Errorf("models %s", got)
	}
	for name, ok := range map[string]bool{"small": true, "small+auto": true, "small+none": false, "other": false, "xsmall+auto": false} {
		m, err := c.Models.Get(t.Context(), name)
		if ok && (err != nil || m.ID != name) || !ok && apiError(t, err).StatusCode != http.StatusNotFound {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

func TestBudget(t *testing.T) {
	m := script.Texts("Paris", "Lyon")
	url, _ := serve(t, gateway.Options{Model: named(m), Limits: llm.Limits{Calls: 6}})
	c := client(url)
	res, err := c.Chat.Completions.New(t.Context(), ask("small+self-consistency?n=20", "Where?"), with("gnothi.budget.calls", 3))
	if err != nil {
		t.Fatal(err)
	}
	if n := belief(t, res.RawJSON()).Get("spend.calls").Int(); n != 3 {
		t.Errorf("%d calls under a ceiling of 3", n)
	}
	res, err = c.Chat.Completions.New(t.Context(), ask("small+self-consistency?n=20", "Where?"), with("gnothi.budget.calls", 10))
	if err != nil {
		t.Fatal(err)
	}
	if n := belief(t, res.RawJSON()).Get("spend.calls").Int(); n != 6 {
		t.Errorf("%d calls: the client raised the server's ceiling of 6", n)
	}
	_, err = c.Chat.Completions.New(t.Context(), ask("small", "Where?"), with("gnothi.budget.tokens", 1))
	if e := apiError(t, err); e.StatusCode != http.StatusPaymentRequired || e.Code != "budget_reached" {
		t.Errorf("over budget: %v", err)
	}
}

func TestSeed(t *testing.T) {
	m := script.New(func(op llm.Op, i int) script.Reply {
		return script.Reply{Text: string(rune('a' + llm.SeedOf(op.Seed, i)%26))}
	})
	url, _ := serve(t, gateway.Options{Model: named(m)})
	c := client(url)
	beliefs := map[int64]string{}
	for _, seed := range []int64{7, 7, 8} {
		params := ask("small+self-consistency?n=9", "Letter?")
		params.Seed = openai.Int(seed)
		res, err := c.Chat.Completions.New(t.Context(), params)
		if err != nil {
			t.Fatal(err)
		}
		b := belief(t, res.RawJSON())
		if b.Get("seed").Int() != seed {
			t.Errorf("seed %s", b.Get("seed"))
		}
		seen := res.Choices[0].Message.Content + b.Get("alternatives").Raw
		if before, ok := beliefs[seed]; ok && before != seen {
			t.Errorf("seed %d gave %s, then %s", seed, before, seen)
		}
		beliefs[seed] = seen
	}
	if beliefs[7] == beliefs[8] {
		t.Error("the seed makes no difference")
	}
}

func TestFeedback(t *testing.T) {
	var file bytes.Buffer
	m := script.New(func(llm.Op, int) script.Reply {
		return script.Reply{Text: "a secret answer", Tokens: script.Words("a secret answer", -0.2)}
	}, llm.LogProbs)
	url, _ := serve(t, gateway.Options{Model: named(m), Feedback: &file})
	c := client(url)
	res, err := c.Chat.Completions.New(t.Context(), ask("small+auto", "a secret question"))
	if err != nil {
		t.Fatal(err)
	}
	status, answer, _ := post(t, url+"/v1/feedback", `{"id":"`+res.ID+`","correct":false}`)
	if status != 200 || gjson.Get(answer, "correct").Bool() {
		t.Fatalf("%d %s", status, answer)
	}
	line := gjson.Parse(file.String())
	if line.Get("id").String() != res.ID || line.Get("correct").Raw != "false" || line.Get("signals.#").Int() == 0 || strings.Contains(file.String(), "secret") {
		t.Errorf("kept %s", file.String())
	}
	if line.Get("probability").Raw != belief(t, res.RawJSON()).Get("probability").Raw {
		t.Errorf("kept %s of %s", file.String(), res.RawJSON())
	}
	for body, want := range map[string]int{`{"id":"none","correct":true}`: 404, `{"id":"` + res.ID + `"}`: 400, `{"correct":true}`: 400, `x`: 400, `{"id":7}`: 400} {
		if status, answer, _ := post(t, url+"/v1/feedback", body); status != want {
			t.Errorf("%s: %d %s", body, status, answer)
		}
	}
}

func TestPanic(t *testing.T) {
	m := script.New(func(op llm.Op, _ int) script.Reply {
		if strings.Contains(script.Prompt(op.Request), "boom") {
			panic("a secret of the question")
		}
		return script.Reply{Text: "fine"}
	})
	url, log := serve(t, gateway.Options{Model: named(m)})
	c := client(url)
	for _, model := range []string{"small", "small+auto"} {
		_, err := c.Chat.Completions.New(t.Context(), ask(model, "boom"))
		if e := apiError(t, err); e.StatusCode != http.StatusInternalServerError || strings.Contains(e.Message, "secret") {
			t.Errorf("%s: %v", model, err)
		}
		if _, err = c.Chat.Completions.New(t.Context(), ask(model, "hello")); err != nil {
			t.Errorf("%s after a panic: %v", model, err)
		}
	}
	if !strings.Contains(log.String(), "panic") || strings.Contains(log.String(), "secret") {
		t.Errorf("log:\n%s", log)
	}
}

func TestMetricsAndLog(t *testing.T) {
	url, log := serve(t, gateway.Options{Model: named(script.Texts("my answer"))})
	c := client(url)
	for _, model := range []string{"small", "small+self-consistency?n=3", "nobody"} {
		_, _ = c.Chat.Completions.New(t.Context(), ask(model, "my question"))
	}
	_, body := get(t, url+"/metrics")
	for _, want := range []string{
		`gnothi_http_requests_total{route="/v1/chat/completions",status="200"} 2`,
		`gnothi_http_requests_total{route="/v1/chat/completions",status="404"} 1`,
		`gnothi_http_request_seconds_count{route="/v1/chat/completions"} 3`,
		`gnothi_model_calls_total 4`,
		`gnothi_model_tokens_total{kind="completion"} 8`,
		`gnothi_decisions_total{decision="answer",policy="self-consistency"} 1`,
		`gnothi_answers_total{calibration=`,
		`gnothi_spend_usd_total 0`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	for _, s := range []string{body, log.String()} {
		if strings.Contains(s, "my question") || strings.Contains(s, "my answer") || strings.Contains(s, "sk-client") {
			t.Errorf("text or a key shows:\n%s", s)
		}
	}
	line := gjson.Parse(strings.Split(log.String(), "\n")[1])
	if line.Get("path").String() != "/v1/chat/completions" || line.Get("status").Int() != 200 || line.Get("policy").String() != "self-consistency?n=3" || line.Get("model").String() != "small" || !line.Get("ms").Exists() {
		t.Errorf("log line %s", line)
	}
}

func TestPage(t *testing.T) {
	url, _ := serve(t, gateway.Options{Model: named(script.Texts("hello")), Name: `<img src=x>`})
	status, body := get(t, url+"/")
	if status != 200 || strings.Contains(body, "<img") || !strings.Contains(body, "&lt;img") {
		t.Errorf("%d %s", status, body)
	}
}

func TestClientLeaves(t *testing.T) {
	for _, body := range []string{
		`{"model":"small","messages":[{"role":"user","content":"x"}]}`,
		`{"model":"small","stream":true,"messages":[{"role":"user","content":"x"}]}`,
		`{"model":"small+auto","messages":[{"role":"user","content":"x"}]}`,
		`{"model":"small+auto","stream":true,"messages":[{"role":"user","content":"x"}]}`,
	} {
		begun, ended := make(chan struct{}), make(chan error, 1)
		m := &waiting{begun: begun, ended: ended}
		url, _ := serve(t, gateway.Options{Model: m})
		ctx, leave := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(body))
		done := make(chan struct{})
		go func() {
			defer close(done)
			if resp, err := http.DefaultClient.Do(req); err == nil {
				resp.Body.Close()
			}
		}()
		<-begun
		leave()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: the call ended with %v", body, err)
		}
		<-done
	}
}

// waiting is a model that never answers.
type waiting struct {
	begun chan struct{}
	ended chan error
}

func (*waiting) ID() llm.ID           { return llm.ID{Provider: "test", Name: "small"} }
func (*waiting) Can(llm.Ability) bool { return true }
func (m *waiting) Do(ctx context.Context, _ llm.Op) (*llm.Result, error) {
	close(m.begun)
	<-ctx.Done()
	m.ended <- ctx.Err()
	return nil, context.Cause(ctx)
}

func TestTimeout(t *testing.T) {
	m := script.New(func(llm.Op, int) script.Reply { return script.Reply{Hang: true} })
	url, _ := serve(t, gateway.Options{Model: named(m), Timeout: 20e6})
	for _, stream := range []bool{false, true} {
		body, _ := json.Marshal(map[string]any{"model": "small", "stream": stream, "messages": []any{map[string]any{"role": "user", "content": "x"}}})
		status, answer, _ := post(t, url+"/v1/chat/completions", string(body))
		if status != 504 || gjson.Get(answer, "error.code").String() != "timeout" {
			t.Errorf("stream %v: %d %s", stream, status, answer)
		}
	}
}
