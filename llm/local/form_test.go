package local_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"gnothi/engine"
	"gnothi/engine/enginetest"
	"gnothi/llm"
	"gnothi/llm/local"
)

// tiny opens a model of random weights that knows single bytes.
func tiny(t *testing.T, o local.Options) *local.Model {
	t.Helper()
	m, err := local.Open(local.File{Path: enginetest.Tiny{Seed: 1}.File(t), Name: "tiny"}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func do(t *testing.T, m *local.Model, op llm.Op) *llm.Result {
	t.Helper()
	res, err := m.Do(context.Background(), op)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

const person = `{"type":"object","properties":{"name":{"type":"string","maxLength":10},"age":{"type":"integer","minimum":0}},"required":["name","age"],"additionalProperties":false}`

func format(schema string) map[string]rawJSON {
	return map[string]rawJSON{"response_format": rawJSON(`{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":` + schema + `}}`)}
}

// What ends with stop is valid against the schema, also as a stream, which says
// the same; one seed, one text.
func TestResponseFormat(t *testing.T) {
	m := tiny(t, local.Options{})
	if !m.Can(llm.Schema) {
		t.Error("a local model keeps to a schema and does not say so")
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(person))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("s.json", doc); err != nil {
		t.Fatal(err)
	}
	valid, err := c.Compile("s.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, tokens := range []int{5, 25, 60} {
		streamed := make([]string, 20)
		op := llm.Op{Request: llm.Request{Prompt: "A person:", MaxTokens: tokens, Extra: format(person)}, Indices: llm.Range(0, 20), Seed: 7}
		plain := do(t, m, op)
		op.Stream = func(e llm.Event) error { streamed[e.Index] += e.Text; return nil }
		for i, choice := range do(t, m, op).Choices {
			if choice.Text != streamed[i] || choice.Text != plain.Choices[i].Text {
				t.Errorf("streamed %q, whole %q, without a stream %q", streamed[i], choice.Text, plain.Choices[i].Text)
			}
			if tokens == 5 {
				if choice.Finish != "length" {
					t.Errorf("%q in 5 bytes ended with %s", choice.Text, choice.Finish)
				}
				continue
			}
			v, err := jsonschema.UnmarshalJSON(strings.NewReader(choice.Text))
			if err == nil {
				err = valid.Validate(v)
			}
			if err != nil || choice.Finish != "stop" {
				t.Errorf("%q ended with %s: %v", choice.Text, choice.Finish, err)
			}
		}
	}
	object := do(t, m, llm.Op{Request: llm.Request{Prompt: "x", MaxTokens: 30, Extra: map[string]rawJSON{"response_format": rawJSON(`{"type":"json_object"}`)}}, Seed: 3})
	var any map[string]any
	if err := json.Unmarshal([]byte(object.Choices[0].Text), &any); err != nil {
		t.Errorf("json_object: %q: %v", object.Choices[0].Text, err)
	}
}

// The fields of OpenAI's and llama.cpp's clients reach the sampler.
func TestSamplingFields(t *testing.T) {
	m := tiny(t, local.Options{})
	greedy := 0.0
	text := func(extra map[string]rawJSON, change func(*llm.Request)) string {
		r := llm.Request{Prompt: "Once upon a time", MaxTokens: 40, Temperature: &greedy, Extra: extra}
		if change != nil {
			change(&r)
		}
		return do(t, m, llm.Op{Request: r, Seed: 5}).Choices[0].Text
	}
	plain := text(nil, nil)
	only := text(map[string]rawJSON{"logit_bias": rawJSON(fmt.Sprintf(`{"%d":100}`, enginetest.FirstByte+'x'))}, nil)
	if only != strings.Repeat("x", 40) {
		t.Errorf("a bias of 100 towards x gives %q", only)
	}
	for field, value := range map[string]string{"presence_penalty": "2", "frequency_penalty": "2", "repetition_penalty": "1.9", "repeat_penalty": "1.9"} {
		if got := text(map[string]rawJSON{field: rawJSON(value)}, nil); got == plain {
			t.Errorf("%s changes nothing", field)
		}
	}
	// A stop string over several tokens, each of one byte here.
	bias := map[string]int{}
	for b := 'a'; b <= 'z'; b++ {
		bias[fmt.Sprint(enginetest.FirstByte+b)] = 50
	}
	raw, err := json.Marshal(bias)
	if err != nil {
		t.Fatal(err)
	}
	letters := map[string]rawJSON{"logit_bias": raw, "frequency_penalty": rawJSON("2")}
	word := text(letters, nil)
	stop := word[10:14]
	if got, want := text(letters, func(r *llm.Request) { r.Stop = []string{"never", stop} }), word[:strings.Index(word, stop)]; got != want || len(word) != 40 {
		t.Errorf("stopped at %q: %q, want %q", stop, got, want)
	}
	hot, one := 5.0, 1.0
	if got := text(nil, func(r *llm.Request) { r.Temperature, r.MinP = &hot, &one }); got != plain {
		t.Errorf("min_p 1 leaves one token, and gives %q instead of %q", got, plain)
	}
	if got := text(nil, func(r *llm.Request) { r.Temperature, r.TopK = &hot, 1 }); got != plain {
		t.Errorf("top_k 1 leaves one token, and gives %q instead of %q", got, plain)
	}
	for field, value := range map[string]string{
		"logit_bias": `{"999":1}`, "presence_penalty": `3`, "frequency_penalty": `"x"`, "repetition_penalty": `0`, "response_format": `{"type":"xml"}`,
	} {
		for _, v := range []string{value, `[]`} {
			_, err := m.Do(context.Background(), llm.Op{Request: llm.Request{Prompt: "x", Extra: map[string]rawJSON{field: rawJSON(v)}}})
			var refused *llm.APIError
			if !errors.As(err, &refused) || refused.Status != 400 || !strings.HasPrefix(refused.Param, field) {
				t.Errorf("%s %s: %v, want status 400", field, v, err)
			}
		}
	}
	r := llm.Request{Prompt: "x", Stop: []string{"\n"}, Extra: format(person)}
	var refused *llm.APIError
	if _, err := m.Do(context.Background(), llm.Op{Request: r}); !errors.As(err, &refused) || refused.Param != "stop" {
		t.Errorf("stop beside a schema: %v", err)
	}
	r = llm.Request{Prompt: "x", Extra: format(`{"type":"array","uniqueItems":true}`)}
	if _, err := m.Do(context.Background(), llm.Op{Request: r}); !errors.As(err, &refused) || refused.Status != 400 || !strings.Contains(err.Error(), `"uniqueItems"`) {
		t.Errorf("a keyword that cannot be kept to: %v", err)
	}
}

// A conversation that goes on, and a question asked in another way, pay for what
// is new; what is kept stays within its limit, and changes no answer.
func TestKeptPrompts(t *testing.T) {
	m := tiny(t, local.Options{Engine: engine.Options{Context: 250}})
	none := tiny(t, local.Options{Engine: engine.Options{Context: 250}, KVMemory: 1})
	perToken := int64(m.Engine().Info().KVBytes)
	few := tiny(t, local.Options{Engine: engine.Options{Context: 250}, KVMemory: 150 * perToken})
	same := func(r llm.Request) (cached, cachedByFew int64) {
		op := llm.Op{Request: r, Seed: 9}
		a, b, c := do(t, m, op), do(t, none, op), do(t, few, op)
		if a.Choices[0].Text != b.Choices[0].Text || a.Choices[0].Text != c.Choices[0].Text {
			t.Errorf("kept prompts change the answer: %q, %q, %q", a.Choices[0].Text, b.Choices[0].Text, c.Choices[0].Text)
		}
		if b.Usage.PromptCached != 0 {
			t.Errorf("%d tokens cached where nothing is kept", b.Usage.PromptCached)
		}
		return a.Usage.PromptCached, c.Usage.PromptCached
	}
	prompt := strings.Repeat("abcdefgh ", 10) // 90 tokens
	greedy := 0.0
	req := llm.Request{Prompt: prompt, MaxTokens: 12, Temperature: &greedy, Extra: map[string]rawJSON{"logit_bias": rawJSON(fmt.Sprintf(`{"%d":100}`, enginetest.FirstByte+'x'))}}
	if n, _ := same(req); n != 0 {
		t.Errorf("%d tokens cached at first", n)
	}
	if n, _ := same(req); n != 90 {
		t.Errorf("%d of 90 tokens cached when asked again", n)
	}
	next := req
	next.Prompt = prompt + strings.Repeat("x", 12) + " and more"
	if n, _ := same(next); n != 90+11 { // the answer's last token was never fed
		t.Errorf("%d tokens cached when the conversation goes on, want 101", n)
	}
	other := req
	other.Prompt = prompt[:80] + "another end"
	if n, _ := same(other); n != 80 {
		t.Errorf("%d tokens cached with another end, want 80", n)
	}
	other.Prompt = "qqqqq" + prompt + prompt[:40] // 135
	same(other)
	if n, evicted := same(req); n != 90 || evicted != 0 {
		t.Errorf("%d tokens cached, want 90; of the small store %d, want 0", n, evicted)
	}
}

// More prompts at once than there is memory for wait for each other.
func TestPromptsWait(t *testing.T) {
	m := tiny(t, local.Options{Engine: engine.Options{Context: 200, Sequences: 2}, KVMemory: 1})
	done := make(chan string)
	for i := range 12 {
		go func() {
			res, err := m.Do(context.Background(), llm.Op{Request: llm.Request{Prompt: strings.Repeat(string(rune('a'+i)), 120), MaxTokens: 5}, Seed: 4})
			if err != nil {
				done <- err.Error()
				return
			}
			done <- res.Choices[0].Finish
		}()
	}
	for range 12 {
		if s := <-done; !slices.Contains([]string{"length", "stop"}, s) {
			t.Error(s)
		}
	}
}
