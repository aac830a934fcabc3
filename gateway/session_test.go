package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"
	"github.com/tidwall/gjson"

	"gnothi/gateway"
	"gnothi/llm"
	"gnothi/llm/llmtest"
	"gnothi/llm/openai"
)

// TestSession is one session of the official Go client: plain, streamed, tools,
// an image, a JSON schema, responses and errors, passed on and under a policy.
// tests/python/session.py and tests/node/session.mjs are the same session.
func TestSession(t *testing.T) {
	const key = "sk-upstream-0123456789abcdef"
	u := httptest.NewServer(llmtest.Assistant())
	t.Cleanup(u.Close)
	p, err := openai.New("assistant", openai.Options{BaseURL: u.URL + "/v1", APIKey: key, HTTPClient: u.Client()})
	if err != nil {
		t.Fatal(err)
	}
	url, _ := serve(t, gateway.Options{Model: llm.Metered(p, nil), Upstream: &gateway.Upstream{Keyed: true}})
	c := client(url)

	weather := []sdk.ChatCompletionToolUnionParam{sdk.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
		Name: "get_weather", Strict: sdk.Bool(true),
		Parameters: shared.FunctionParameters{"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}, "required": []string{"city"}, "additionalProperties": false},
	})}
	isCall := func(calls []sdk.ChatCompletionMessageToolCallUnion) bool {
		var args map[string]string
		return len(calls) == 1 && calls[0].Function.Name == "get_weather" && json.Unmarshal([]byte(calls[0].Function.Arguments), &args) == nil && len(args) == 1 && args["city"] == "Oslo"
	}
	for _, policy := range []string{"direct", "self-consistency?n=3", "auto"} {
		under := with("gnothi.policy", policy)
		t.Run(policy, func(t *testing.T) {
			res, err := c.Chat.Completions.New(t.Context(), ask("assistant", "hello"), under)
			if err != nil || res.Choices[0].Message.Content != "You said: hello." || res.Choices[0].FinishReason != "stop" || res.Usage.CompletionTokens == 0 || belief(t, res.RawJSON()).Get("policy").String() != policy {
				t.Fatalf("plain: %s, %v", res.RawJSON(), err)
			}

			params := ask("assistant", "one two three")
			params.StreamOptions.IncludeUsage = sdk.Bool(true)
			chunks, err := streamed(t, c, params, under)
			if last := chunks[len(chunks)-1]; err != nil || text(chunks) != "You said: one two three." || gjson.Get(last, "usage.completion_tokens").Int() == 0 || belief(t, last).Get("policy").String() != policy {
				t.Errorf("stream: %q, %v", chunks, err)
			}

			params = ask("assistant", "What is the weather in Oslo?")
			params.Tools = weather
			res, err = c.Chat.Completions.New(t.Context(), params, under)
			if err != nil || res.Choices[0].FinishReason != "tool_calls" || !isCall(res.Choices[0].Message.ToolCalls) {
				t.Fatalf("tools: %s, %v", res.RawJSON(), err)
			}
			if b := belief(t, res.RawJSON()); b.Get("answer").String() != `get_weather({"city":"Oslo"})` || b.Get("alternatives.#").Int() != 0 {
				t.Errorf("tools: %s", b)
			}
			chunks, err = streamed(t, c, params, under)
			var whole sdk.ChatCompletionAccumulator
			for _, raw := range chunks {
				var chunk sdk.ChatCompletionChunk
				if json.Unmarshal([]byte(raw), &chunk) != nil || !whole.AddChunk(chunk) {
					t.Fatalf("streamed tools: %s", raw)
				}
			}
			if err != nil || !isCall(whole.Choices[0].Message.ToolCalls) {
				t.Errorf("streamed tools: %q, %v", chunks, err)
			}
			message := res.Choices[0].Message
			params.Messages = append(params.Messages, message.ToParam(), sdk.ToolMessage("9 degrees", message.ToolCalls[0].ID))
			res, err = c.Chat.Completions.New(t.Context(), params, under)
			if err != nil || res.Choices[0].Message.Content != "The tool says: 9 degrees." {
				t.Errorf("tool result: %s, %v", res.RawJSON(), err)
			}

			pixel := "data:image/png;base64," + base64.StdEncoding.EncodeToString(make([]byte, 1000))
			params = sdk.ChatCompletionNewParams{Model: "assistant", Messages: []sdk.ChatCompletionMessageParamUnion{sdk.UserMessage([]sdk.ChatCompletionContentPartUnionParam{
				sdk.TextContentPart("What is this?"), sdk.ImageContentPart(sdk.ChatCompletionContentPartImageImageURLParam{URL: pixel}),
			})}}
			res, err = c.Chat.Completions.New(t.Context(), params, under)
			if err != nil || res.Choices[0].Message.Content != fmt.Sprintf("I see image/png of %d characters.", len(pixel)) {
				t.Errorf("image: %s, %v", res.RawJSON(), err)
			}

			params = ask("assistant", "Capital of France?")
			params.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "answer", Schema: map[string]any{"type": "object"}}}
			res, err = c.Chat.Completions.New(t.Context(), params, under)
			if err != nil || gjson.Get(res.Choices[0].Message.Content, "answer").String() != "Paris" {
				t.Errorf("schema: %s, %v", res.RawJSON(), err)
			}

			for _, status := range []int{400, 401, 403, 404, 422, 429, 500} {
				for _, streaming := range []bool{false, true} {
					params := ask("assistant", fmt.Sprint("fail: ", status))
					if streaming {
						_, err = streamed(t, c, params, under)
					} else {
						_, err = c.Chat.Completions.New(t.Context(), params, under)
					}
					var e *sdk.Error
					if !errors.As(err, &e) || e.StatusCode != status || e.Code != fmt.Sprint("failed_", status) || e.Param != "messages" || strings.Contains(err.Error(), key) {
						t.Errorf("status %d, streaming %v: %v", status, streaming, err)
						continue
					}
					if e.Response.Header.Get("X-Request-Id") != "req_1" || (e.Response.Header.Get("Retry-After") == "1") != (status == 429) {
						t.Errorf("status %d, streaming %v: %v", status, streaming, e.Response.Header)
					}
				}
			}
		})
	}

	for _, name := range []string{"assistant", "assistant+direct"} {
		params := responses.ResponseNewParams{Model: name, Input: responses.ResponseNewParamsInputUnion{OfString: sdk.String("hello")}}
		res, err := c.Responses.New(t.Context(), params)
		if err != nil || res.OutputText() != "You said: hello." || res.Model != "assistant" || !strings.HasPrefix(belief(t, res.RawJSON()).Get("answer").String(), "You said") {
			t.Errorf("%s: %s, %v", name, res.RawJSON(), err)
		}
		s := c.Responses.NewStreaming(t.Context(), params)
		words, last := "", ""
		for s.Next() {
			words += s.Current().Delta
			last = s.Current().RawJSON()
		}
		if s.Err() != nil || words != "You said: hello." || gjson.Get(last, "type").String() != "response.completed" || !gjson.Get(last, "response.gnothi").IsObject() {
			t.Errorf("%s: streamed %q, last %s, %v", name, words, last, s.Err())
		}
	}
}
