package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	sdk "github.com/openai/openai-go/v3/shared"
	"github.com/tidwall/gjson"
)

func formed(schema string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model: "smollm2-135m+direct", MaxTokens: openai.Int(80), Temperature: openai.Float(0.7), Seed: openai.Int(5),
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Describe Paris as JSON: its name, its country, its population.")},
		ResponseFormat: openai.ChatCompletionNewParamsResponseFormatUnion{OfJSONSchema: &sdk.ResponseFormatJSONSchemaParam{
			JSONSchema: sdk.ResponseFormatJSONSchemaJSONSchemaParam{Name: "city", Strict: openai.Bool(true), Schema: json.RawMessage(schema)},
		}},
	}
}

const city = `{"type":"object","properties":{"name":{"type":"string","maxLength":20},"country":{"enum":["France","Italy"]},"population":{"type":"integer","minimum":0}},"required":["name","country","population"],"additionalProperties":false}`

type cityReply struct {
	Name, Country string
	Population    *int64
}

func checkCity(t *testing.T, text string) {
	t.Helper()
	var got cityReply
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil || got.Name == "" || got.Population == nil || got.Country != "France" && got.Country != "Italy" {
		t.Errorf("%q: %+v (%v)", text, got, err)
	}
}

// The official client gets what its schema describes: at once, as a stream, under
// a deliberating policy, and from /v1/completions.
func TestServeResponseFormat(t *testing.T) {
	url, c := servedLocal(t)
	ask := formed(city)
	res, err := c.Chat.Completions.New(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	if res.Choices[0].FinishReason != "stop" {
		t.Errorf("ended with %q", res.Choices[0].FinishReason)
	}
	checkCity(t, res.Choices[0].Message.Content)

	stream := c.Chat.Completions.NewStreaming(t.Context(), ask)
	text := ""
	for stream.Next() {
		for _, choice := range stream.Current().Choices {
			text += choice.Delta.Content
		}
	}
	if err := stream.Err(); err != nil || text != res.Choices[0].Message.Content {
		t.Errorf("streamed %q, at once %q (%v)", text, res.Choices[0].Message.Content, err)
	}

	for _, policy := range []string{"auto", "self-consistency?n=3", "self-refine?rounds=1", "self-contrast"} {
		ask.Model = "smollm2-135m+" + policy
		if res, err = c.Chat.Completions.New(t.Context(), ask); err != nil {
			t.Fatal(err)
		}
		checkCity(t, res.Choices[0].Message.Content)
		belief := gjson.Get(res.RawJSON(), "gnothi")
		checkCity(t, belief.Get("answer").String())
		if belief.Get("spend.calls").Int() < 1 {
			t.Errorf("%s: spent %s", policy, belief.Get("spend"))
		}
	}
	var refused *openai.Error
	ask.Model = "smollm2-135m+step-search"
	if _, err = c.Chat.Completions.New(t.Context(), ask); !errors.As(err, &refused) || refused.StatusCode != 400 || refused.Param != "response_format" {
		t.Errorf("a policy that writes piece by piece: %v", err)
	}

	ask = formed(city)
	ask.ResponseFormat = openai.ChatCompletionNewParamsResponseFormatUnion{OfJSONObject: &sdk.ResponseFormatJSONObjectParam{}}
	if res, err = c.Chat.Completions.New(t.Context(), ask); err != nil {
		t.Fatal(err)
	}
	if v := gjson.Parse(res.Choices[0].Message.Content); !v.IsObject() || !gjson.Valid(v.Raw) || res.Choices[0].FinishReason != "stop" {
		t.Errorf("json_object: %q", res.Choices[0].Message.Content)
	}

	if _, err = c.Chat.Completions.New(t.Context(), formed(`{"type":"object","properties":{"a":{"not":{"type":"null"}}}}`)); !errors.As(err, &refused) || refused.StatusCode != 400 || !strings.Contains(refused.Message, `#/properties/a`) || !strings.Contains(refused.Message, `"not"`) {
		t.Errorf("a keyword that cannot be kept to: %v", err)
	}

	// The endpoint below chat, with the fields that llama.cpp's clients send.
	params := openai.CompletionNewParams{
		Model: "smollm2-135m", Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("The colours of the flag of Italy as JSON:")},
		MaxTokens: openai.Int(40), Temperature: openai.Float(0), LogitBias: map[string]int64{"30": -100}, PresencePenalty: openai.Float(0.5), FrequencyPenalty: openai.Float(0.5),
	}
	list := option.WithJSONSet("response_format", map[string]any{"type": "json_schema", "json_schema": map[string]any{
		"schema": map[string]any{"type": "array", "items": map[string]any{"enum": []string{"red", "white", "green", "blue"}}, "minItems": 3, "maxItems": 3},
	}})
	out, err := c.Completions.New(t.Context(), params, list)
	if err != nil {
		t.Fatal(err)
	}
	var colours []string
	if err := json.Unmarshal([]byte(out.Choices[0].Text), &colours); err != nil || len(colours) != 3 {
		t.Errorf("colours: %q", out.Choices[0].Text)
	}
	if got := postTo(t, url+"/v1/completions", `{"prompt":"x","grammar":"root ::= \"a\""}`); !got.Get("error").Exists() {
		t.Errorf("a grammar of another kind is ignored: %s", got.Raw)
	}
}
