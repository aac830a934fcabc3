package openai_test

import (
	"net/http"
	"os"
	"testing"

	"gnothi/llm"
	"gnothi/llm/llmtest"
	"gnothi/llm/openai"
)

// TestLlamaCpp tries a real server of llama-cpp-python with the default model,
// which `make llamacpp` builds and starts.
func TestLlamaCpp(t *testing.T) {
	base := os.Getenv("GNOTHI_LLAMACPP")
	if base == "" {
		t.Skip("GNOTHI_LLAMACPP names no server: make llamacpp starts one")
	}
	llmtest.Run(t, func(t *testing.T) (llm.Model, llmtest.Fixture) {
		transport := &http.Transport{MaxIdleConnsPerHost: 8}
		p, err := openai.New("smollm2-135m", openai.Options{BaseURL: base, HTTPClient: &http.Client{Transport: transport}})
		if err != nil {
			t.Fatal(err)
		}
		learn := llmtest.Question("x") // that log-probabilities come with alternatives only
		learn.Request.LogProbs, learn.Request.MaxTokens = true, 1
		do(t, p, learn)
		slow := llmtest.Question("Write a long story about a river.")
		slow.Request.MaxTokens = 1500
		return p, llmtest.Fixture{Slow: &slow, Close: transport.CloseIdleConnections}
	})
	p, err := openai.New("smollm2-135m", openai.Options{BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	findings, err := llm.Probe(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	there := map[llm.Ability]bool{}
	for _, f := range findings {
		there[f.Ability] = f.Can
	}
	for _, a := range []llm.Ability{llm.LogProbs, llm.Seeded, llm.Streaming, llm.RawPrompt} {
		if !there[a] {
			t.Errorf("%q is not found: %+v", a, findings)
		}
	}
}
