package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/tidwall/gjson"
)

// served runs `gnothi serve ARGS` for the time of a test and gives its URL.
func served(t *testing.T, args ...string) string {
	t.Helper()
	out, in := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"serve", "--quiet", "--listen", "127.0.0.1:0"}, args...), strings.NewReader(""), in, io.Discard)
		in.Close()
	}()
	t.Cleanup(func() {
		stop()
		if c := <-code; c != exitDone {
			t.Errorf("serve ended with %d", c)
		}
	})
	line := make([]byte, 1000)
	n, err := out.Read(line)
	if err != nil {
		t.Fatalf("serve did not start: %v", err)
	}
	url := regexp.MustCompile(`http://[\d.:]+`).FindString(string(line[:n]))
	if url == "" {
		t.Fatalf("no URL in %q", line[:n])
	}
	return url
}

// servedLocal serves the default model, or skips the test.
func servedLocal(t *testing.T) (url string, c openai.Client) {
	t.Helper()
	dir := testModels(t)
	if dir == "" {
		t.Skip("the default model is not here: `gnothi model pull smollm2-135m` fetches it")
	}
	t.Setenv("GNOTHI_MODELS", dir)
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	url = served(t, "--model", "local:smollm2-135m")
	return url, openai.NewClient(option.WithBaseURL(url+"/v1"), option.WithAPIKey("none"), option.WithMaxRetries(0))
}

func postTo(t *testing.T, url, body string) gjson.Result {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
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
	return gjson.ParseBytes(b)
}

const capital = "What is the capital of France?"

func TestServeLocalChat(t *testing.T) {
	_, c := servedLocal(t)
	ask := openai.ChatCompletionNewParams{
		Model: "smollm2-135m+direct", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(capital)},
		Temperature: openai.Float(0), MaxTokens: openai.Int(24), Logprobs: openai.Bool(true), TopLogprobs: openai.Int(3),
	}
	res, err := c.Chat.Completions.New(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	choice := res.Choices[0]
	if !strings.Contains(choice.Message.Content, "Paris") || choice.FinishReason != "stop" {
		t.Errorf("%s", choice.RawJSON())
	}
	var whole string
	for _, token := range choice.Logprobs.Content {
		whole += token.Token
		if token.Logprob > 0 || len(token.TopLogprobs) != 3 || token.TopLogprobs[0].Logprob != token.Logprob {
			t.Errorf("greedy token %s", token.RawJSON())
		}
	}
	if whole != choice.Message.Content {
		t.Errorf("the tokens make %q, the text is %q", whole, choice.Message.Content)
	}
	b := gjson.Get(res.RawJSON(), "gnothi")
	if b.Get("answer").String() != "Paris" || b.Get("spend.calls").Int() != 1 || b.Get(`signals.#(name=="likelihood/self-certainty").source`).String() != "distribution" {
		t.Errorf("belief %s", b)
	}

	streamed := c.Chat.Completions.NewStreaming(t.Context(), ask)
	defer streamed.Close()
	var text, last string
	events := 0
	for streamed.Next() {
		chunk := streamed.Current()
		text += chunk.Choices[0].Delta.Content
		last = chunk.RawJSON()
		events++
	}
	if streamed.Err() != nil || text != choice.Message.Content || events != len(choice.Logprobs.Content)+1 {
		t.Errorf("streamed %q in %d events, %v", text, events, streamed.Err())
	}
	if got := gjson.Get(last, "gnothi.probability").Raw; got != b.Get("probability").Raw {
		t.Errorf("streamed with the probability %s, otherwise %s", got, b.Get("probability").Raw)
	}
}

func TestServeLocalPolicy(t *testing.T) {
	_, c := servedLocal(t)
	ask := openai.ChatCompletionNewParams{
		Model: "smollm2-135m+self-consistency?n=3", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(capital)},
		MaxTokens: openai.Int(12), Seed: openai.Int(5),
	}
	var contents []string
	for range 2 {
		res, err := c.Chat.Completions.New(t.Context(), ask)
		if err != nil {
			t.Fatal(err)
		}
		b := gjson.Get(res.RawJSON(), "gnothi")
		if b.Get("spend.calls").Int() != 3 || b.Get("seed").Int() != 5 || len(res.Choices[0].Logprobs.Content) != 0 || res.Usage.PromptTokens != 37 {
			t.Errorf("%s", res.RawJSON())
		}
		contents = append(contents, res.Choices[0].Message.Content)
	}
	if contents[0] != contents[1] {
		t.Errorf("one seed, two answers: %q", contents)
	}
	ask.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{Name: "f"})}
	_, err := c.Chat.Completions.New(t.Context(), ask)
	var refused *openai.Error
	if !errors.As(err, &refused) || refused.StatusCode != http.StatusBadRequest || !strings.Contains(refused.Message, "tools") {
		t.Errorf("tools with a local model: %v", err)
	}
}

func TestServeLocalTokens(t *testing.T) {
	url, _ := servedLocal(t)
	ids := postTo(t, url+"/tokenize", `{"content":"Hello<|im_end|> world é"}`).Get("tokens")
	if !slices.ContainsFunc(ids.Array(), func(r gjson.Result) bool { return r.Int() == 2 }) {
		t.Errorf("a control token is parsed by default: %s", ids)
	}
	plain := postTo(t, url+"/tokenize", `{"content":"Hello<|im_end|> world é","parse_special":false}`).Get("tokens")
	for _, tokens := range []gjson.Result{ids, plain} {
		if got := postTo(t, url+"/detokenize", `{"tokens":`+tokens.Raw+`}`).Get("content").String(); got != "Hello<|im_end|> world é" {
			t.Errorf("%s became %q", tokens, got)
		}
	}
	if len(plain.Array()) <= len(ids.Array()) {
		t.Errorf("plain %s, parsed %s", plain, ids)
	}
	const messages = `{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"hi"}]`
	const prompt = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n"
	if got := postTo(t, url+"/apply-template", messages+`}`).Get("prompt").String(); got != prompt+"<|im_start|>assistant\n" {
		t.Errorf("template %q", got)
	}
	if got := postTo(t, url+"/apply-template", messages+`,"add_generation_prompt":false}`).Get("prompt").String(); got != prompt {
		t.Errorf("template without generation prompt %q", got)
	}
	for path, body := range map[string]string{
		"/tokenize": `{}`, "/detokenize": `{"tokens":[49152]}`, "/apply-template": `{"messages":[]}`, "/v1/completions": `{"prompt":[-1]}`,
	} {
		if e := postTo(t, url+path, body); !e.Get("error.message").Exists() {
			t.Errorf("%s %s: %s", path, body, e)
		}
	}
}

func TestServeLocalCompletions(t *testing.T) {
	url, c := servedLocal(t)
	const prompt = "The capital of France is"
	text := openai.CompletionNewParamsPromptUnion{OfString: openai.String(prompt)}
	base := openai.CompletionNewParams{Model: "smollm2-135m", Prompt: text, MaxTokens: openai.Int(4), Temperature: openai.Float(0)}
	plain, err := c.Completions.New(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	if got := plain.Choices[0].Text; !strings.HasPrefix(got, " Paris") || plain.Usage.PromptTokens != 5 || plain.Usage.CompletionTokens != 4 {
		t.Errorf("%s", plain.RawJSON())
	}

	// The same by token ids, echoed with log-probabilities.
	echo := base
	var ids []int64
	for _, id := range postTo(t, url+"/tokenize", fmt.Sprintf(`{"content":%q}`, prompt)).Get("tokens").Array() {
		ids = append(ids, id.Int())
	}
	echo.Prompt = openai.CompletionNewParamsPromptUnion{OfArrayOfTokens: ids}
	echo.Echo, echo.Logprobs = openai.Bool(true), openai.Int(2)
	res, err := c.Completions.New(t.Context(), echo)
	if err != nil {
		t.Fatal(err)
	}
	choice := gjson.Parse(res.Choices[0].RawJSON())
	if got := choice.Get("text").String(); got != prompt+plain.Choices[0].Text {
		t.Errorf("echoed %q", got)
	}
	probs := choice.Get("logprobs.token_logprobs").Array()
	if len(probs) != 9 || probs[0].Type != gjson.Null || choice.Get("logprobs.top_logprobs.0").Type != gjson.Null || choice.Get("logprobs.tokens.#").Int() != 9 {
		t.Errorf("log-probabilities %s", choice.Get("logprobs"))
	}

	// Only the prompt, scored.
	score := echo
	score.MaxTokens = openai.Int(0)
	if res, err = c.Completions.New(t.Context(), score); err != nil {
		t.Fatal(err)
	}
	scored := gjson.Get(res.Choices[0].RawJSON(), "logprobs.token_logprobs").Array()
	if res.Choices[0].Text != prompt || len(scored) != 5 || math.Abs(scored[4].Num-probs[4].Num) > 1e-9 {
		t.Errorf("scored %s", res.RawJSON())
	}

	// Several choices are seeded, each by its place, and streamed as they are.
	several := base
	several.Temperature, several.N, several.Seed, several.MaxTokens = openai.Float(1), openai.Int(3), openai.Int(11), openai.Int(8)
	first, err := c.Completions.New(t.Context(), several)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[int64]string{}
	s := c.Completions.NewStreaming(t.Context(), several)
	defer s.Close()
	for s.Next() {
		for _, choice := range s.Current().Choices {
			texts[choice.Index] += choice.Text
		}
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	for i, choice := range first.Choices {
		if choice.Index != int64(i) || texts[choice.Index] != choice.Text {
			t.Errorf("choice %d is %q, streamed %q", i, choice.Text, texts[choice.Index])
		}
	}
	if len(first.Choices) != 3 || first.Choices[0].Text == first.Choices[1].Text && first.Choices[1].Text == first.Choices[2].Text {
		t.Errorf("three choices: %s", first.RawJSON())
	}

	// A stop string that lies across tokens, in one piece and streamed.
	stop := base
	stop.MaxTokens, stop.Stop = openai.Int(12), openai.CompletionNewParamsStopUnion{OfString: openai.String("ris.")}
	if res, err = c.Completions.New(t.Context(), stop); err != nil {
		t.Fatal(err)
	}
	stopped := c.Completions.NewStreaming(t.Context(), stop)
	defer stopped.Close()
	var streamed string
	for stopped.Next() {
		streamed += stopped.Current().Choices[0].Text
	}
	if got := res.Choices[0]; got.Text != " Pa" || got.FinishReason != "stop" || streamed != " Pa" {
		t.Errorf("stopped at %q (%s), streamed %q", got.Text, got.FinishReason, streamed)
	}

	// A list of prompts.
	list := base
	list.Prompt = openai.CompletionNewParamsPromptUnion{OfArrayOfStrings: []string{prompt, "One two three"}}
	if res, err = c.Completions.New(t.Context(), list); err != nil || len(res.Choices) != 2 || res.Choices[0].Text != plain.Choices[0].Text || res.Choices[1].Index != 1 {
		t.Errorf("%v, %+v", err, res)
	}
}

// A client that leaves frees the engine: what comes after is not held up.
func TestServeLocalClientLeaves(t *testing.T) {
	url, _ := servedLocal(t)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/completions", strings.NewReader(`{"prompt":"One","max_tokens":8000,"n":64,"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := resp.Body.Read(make([]byte, 1)); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	leave()
	start := time.Now()
	postTo(t, url+"/v1/completions", `{"prompt":"One","max_tokens":1}`)
	if took := time.Since(start); took > time.Minute { // half a million tokens take longer
		t.Errorf("the next request took %v", took)
	}
}
