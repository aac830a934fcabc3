package script_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gnothi/llm"
	"gnothi/llm/llmtest"
	"gnothi/llm/script"
)

const geography = `
name: geography
rules:
  - when: {prompt: capital of France, role: sample}
    replies:
      - {text: Paris it is, times: 2, logprob: -0.25}
      - text: Lyon
        tokens:
          - {token: Ly, logprob: -1.5, top: [{token: Par, logprob: -0.5}, {token: Ly, logprob: -1.5}]}
          - {token: on, logprob: -0.125, dist: {entropy: 0.5, log_z: 12, kl_uniform: 9, vocab: 49152}}
  - when: {match: '(?i)is it TRUE'}
    reply:
      error: {status: 429, message: slow down, retry_after: 2s, times: 1}
      text: "True"
  - when: {kind: score, continuation: Paris}
    reply: {logprob: -0.5}
  - when: {prompt: nothing}
    reply: {hang: true}
  - when: {index: [3, 4]}
    reply: {text: three or four, raw: {refusal: null, logprobs: [1]}, finish: content_filter}
  - reply: {text: I do not know., delay: 1s}
`

func parse(t *testing.T, text string) *script.Model {
	t.Helper()
	m, err := script.Parse("geography.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func ask(prompt, role string, indices ...int) llm.Op {
	return llm.Op{Role: role, Indices: indices, Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: prompt}}}}
}

func TestRulesAndRepeatIndex(t *testing.T) {
	m := parse(t, geography)
	op := ask("What is the capital of France?", "sample", 0, 1, 2, 3, 5)
	op.Request.LogProbs, op.Request.TopLogProbs = true, 1
	res, err := m.Do(t.Context(), op)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range res.Choices {
		got = append(got, fmt.Sprint(c.Index, " ", c.Text, " ", c.Finish))
	}
	want := []string{"0 Paris it is stop", "1 Paris it is stop", "2 Lyon stop", "3 Paris it is stop", "5 Lyon stop"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	lyon := []llm.Token{
		{Text: "Ly", LogProb: -1.5, Top: []llm.TopToken{{Text: "Par", LogProb: -0.5}}},
		{Text: "on", LogProb: -0.125, Dist: &llm.Dist{Entropy: 0.5, LogZ: 12, KLUniform: 9, Vocab: 49152}},
	}
	if d := cmp.Diff(lyon, res.Choices[2].Tokens, cmp.Comparer(func(a, b []llm.TopToken) bool { return fmt.Sprint(a) == fmt.Sprint(b) })); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(script.Words("Paris it is", -0.25), res.Choices[0].Tokens, cmp.Comparer(func(a, b []llm.TopToken) bool { return len(a) == len(b) })); d != "" {
		t.Error(d)
	}
	if m.Calls() != 5 || len(m.Ops()) != 1 {
		t.Errorf("%d calls in %d operations, want 5 in 1", m.Calls(), len(m.Ops()))
	}
	if want := (llm.Usage{PromptTokens: 6, CompletionTokens: 13}); res.Usage != want {
		t.Errorf("usage %+v, want %+v", res.Usage, want)
	}
}

func TestErrorGivenOnce(t *testing.T) {
	m := parse(t, geography)
	_, err := m.Do(t.Context(), ask("Is it true?", "judge"))
	var api *llm.APIError
	if !errors.As(err, &api) || api.Status != 429 || !api.Temporary || api.RetryAfter != 2*time.Second {
		t.Fatalf("got %v, want a temporary 429 with 2s", err)
	}
	res, err := m.Do(t.Context(), ask("Is it true?", "judge"))
	if err != nil || res.Choices[0].Text != "True" {
		t.Errorf("second call: %v, %v", res, err)
	}
}

func TestFailedChoiceLeavesTheOthers(t *testing.T) {
	m := script.New(func(_ llm.Op, i int) script.Reply {
		if i == 1 {
			return script.Failure(503, "busy")
		}
		return script.Reply{Text: "fine"}
	})
	res, err := m.Do(t.Context(), ask("?", "sample", 0, 1, 2))
	if err == nil || res == nil || len(res.Choices) != 2 || res.Choices[1].Index != 2 {
		t.Errorf("got %+v, %v", res, err)
	}
}

func TestScoreCutAndRaw(t *testing.T) {
	m := parse(t, geography)
	res, err := m.Do(t.Context(), llm.Op{Kind: llm.Score, Continuation: " Paris, France"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(script.Words(" Paris, France", -0.5), res.Choices[0].Tokens); d != "" {
		t.Error(d)
	}

	op := ask("anything", "", 3)
	op.Request.MaxTokens = 2
	res, err = m.Do(t.Context(), op)
	if err != nil {
		t.Fatal(err)
	}
	c := res.Choices[0]
	if c.Text != "three or" || c.Finish != "length" || string(c.Raw) != `{"logprobs":[1],"refusal":null}` || c.Tokens != nil {
		t.Errorf("got %+v", c)
	}
	op.Request = llm.Request{Stop: []string{" or"}, MaxTokens: 9}
	res, err = m.Do(t.Context(), op)
	if err != nil || res.Choices[0].Text != "three" || res.Choices[0].Finish != "stop" || res.Usage.CompletionTokens != 1 {
		t.Errorf("got %+v, %v", res, err)
	}
}

func TestTimeAndCancellation(t *testing.T) {
	m := parse(t, geography)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if _, err := m.Do(t.Context(), ask("?", "", 0, 1, 2)); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("three choices side by side took %v, want 1s", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := m.Do(ctx, ask("nothing", "")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("hanging call: %v", err)
		}
	})
}

func TestStream(t *testing.T) {
	m := script.New(func(llm.Op, int) script.Reply {
		r := script.Failure(502, "gone")
		r.Text, r.After = "one two three", 2
		return r
	})
	var got strings.Builder
	op := ask("?", "")
	op.Stream = func(e llm.Event) error { got.WriteString(e.Text); return nil }
	if _, err := m.Do(t.Context(), op); err == nil || got.String() != "one two" {
		t.Errorf("streamed %q, %v", got.String(), err)
	}
	stop := errors.New("client left")
	op.Stream = func(e llm.Event) error { return stop }
	if _, err := script.Texts("one two").Do(t.Context(), op); !errors.Is(err, stop) {
		t.Errorf("got %v, want the stream's own error", err)
	}
}

func TestAbilities(t *testing.T) {
	m := parse(t, geography)
	for a, want := range map[llm.Ability]bool{llm.LogProbs: true, llm.Distribution: true, llm.ScoreText: true, llm.Seeded: true} {
		if m.Can(a) != want {
			t.Errorf("Can(%s) = %v", a, !want)
		}
	}
	plain := parse(t, "abilities: [stream]\nrules: [{reply: x}]")
	_, err := plain.Do(t.Context(), llm.Op{Request: llm.Request{Prompt: "go on"}})
	var unsupported *llm.UnsupportedError
	if !errors.As(err, &unsupported) || unsupported.Ability != llm.RawPrompt || plain.Can(llm.LogProbs) {
		t.Errorf("got %v", err)
	}
}

func TestBadFiles(t *testing.T) {
	for text, want := range map[string]string{
		"rules:\n  - reply: a\n  - when: {promt: x}\n    reply: b": `f.yaml:3: unknown field "promt": known are prompt, match`,
		"rules: [{when: {match: '('}, reply: x}]":                  "f.yaml:1: error parsing regexp",
		"rules: [{when: {prompt: x}}]":                             "f.yaml:1: a rule has either",
		"rules: []":                                                "no rules",
		"":                                                         "no rules",
		"rules:\n- reply:\n    tokens:\n    - {token: a, logprob: 0.5}":    "f.yaml:4: log-probability 0.5",
		"rules:\n- reply: {delay: soon}":                                   `f.yaml:2: "soon" is no duration`,
		"rules:\n- reply: {times: many}":                                   "f.yaml:2: cannot unmarshal",
		"rules:\n- when: {kind: score}\n  reply: x":                        "f.yaml:2: a score needs",
		"rules:\n- reply: {tokens: [{token: a, logprob: .nan}], text: ab}": "NaN is not a finite number",
		"{":     "f.yaml",
		"[1,2]": "f.yaml:1: want a mapping",
	} {
		if _, err := script.Parse("f.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	m := parse(t, `{"rules": [{"when": {"prompt": "\u00e9"}, "reply": "oui"}]}`)
	if _, err := m.Do(t.Context(), ask("no such thing", "judge")); err == nil || !strings.Contains(err.Error(), `role "judge" and prompt "no such thing"`) {
		t.Errorf("got %v", err)
	}
	if res, err := m.Do(t.Context(), ask("café", "")); err != nil || res.Choices[0].Text != "oui" {
		t.Errorf("JSON: %v, %v", res, err)
	}
}

func TestOpenNamesTheModel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capitals.yaml")
	if err := os.WriteFile(path, []byte("rules: [{reply: Paris}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := script.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if id := m.ID(); id.String() != "script:capitals" || len(id.Weights) != 64 {
		t.Errorf("id %+v", id)
	}
	if _, err := script.Open(path + ".gone"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(geography))
	f.Add([]byte(`{"rules":[{"reply":{"raw":[1,{"a":null}]}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := script.Parse("f", b)
		if err != nil {
			return
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = m.Do(ctx, ask("capital of France", "sample", 0, 1, 2)) // no panic
	})
}

func ExampleTexts() {
	m := script.Texts("Paris", "Paris", "Lyon")
	res, err := m.Do(context.Background(), llm.Op{Indices: llm.Range(0, 3)})
	if err != nil {
		panic(err)
	}
	for _, c := range res.Choices {
		fmt.Println(c.Index, c.Text)
	}
	// Output:
	// 0 Paris
	// 1 Paris
	// 2 Lyon
}

func TestConformance(t *testing.T) {
	llmtest.Run(t, func(t *testing.T) (llm.Model, llmtest.Fixture) {
		m := parse(t, `
rules:
  - when: {kind: score}
    reply: {logprob: -0.5}
  - when: {prompt: slowly}
    reply: {text: at last, delay: 1h}
  - replies:
      - {text: one two three four five, logprob: -0.5, raw: {x_vendor: 1}}
      - {text: six seven eight nine, logprob: -0.25}
`)
		slow := llmtest.Question("slowly")
		return m, llmtest.Fixture{Slow: &slow, Unknown: "x_vendor"}
	})
}
