package openai_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gnothi/llm"
	"gnothi/llm/llmtest"
	"gnothi/llm/openai"
)

// vendors are answers of servers that speak the protocol with words of their
// own. They are fixtures written from the vendors' documentation (Azure OpenAI,
// DeepSeek, OpenRouter, vLLM, Ollama, llama.cpp's server, as of autumn 2026):
// those servers cannot be reached from the tests. Each says Paris, plain and
// streamed.
var vendors = map[string]struct {
	plain, stream  string
	reasoning      string
	cached, tokens int64
	logged         bool
	keeps          string // a word of its own that reaches the client
}{
	"Azure": {
		plain:  `{"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"finish_reason":"stop","index":0,"logprobs":null,"message":{"content":"Paris","refusal":null,"role":"assistant","annotations":[]}}],"created":1,"id":"c","model":"gpt-4.1-mini-2025-04-14","object":"chat.completion","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"jailbreak":{"filtered":false,"detected":false}}}],"system_fingerprint":"fp","usage":{"completion_tokens":1,"prompt_tokens":14,"prompt_tokens_details":{"cached_tokens":0},"total_tokens":15}}`,
		stream: `{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]}` + "\n" + `{"choices":[{"content_filter_results":{},"delta":{"content":"","refusal":null,"role":"assistant"},"finish_reason":null,"index":0,"logprobs":null}],"created":1,"id":"c","model":"m","object":"chat.completion.chunk"}` + "\n" + `{"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"delta":{"content":"Paris"},"finish_reason":null,"index":0,"logprobs":null}],"created":1,"id":"c","model":"m","object":"chat.completion.chunk"}` + "\n" + `{"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"stop","index":0,"logprobs":null}],"created":1,"id":"c","model":"m","object":"chat.completion.chunk"}` + "\n" + `{"choices":[],"created":1,"id":"c","model":"m","object":"chat.completion.chunk","usage":{"completion_tokens":1,"prompt_tokens":14,"total_tokens":15}}`,
		tokens: 1, keeps: "content_filter_results",
	},
	"DeepSeek": {
		plain:  `{"id":"d","object":"chat.completion","created":1,"model":"deepseek-reasoner","choices":[{"index":0,"message":{"role":"assistant","content":"Paris","reasoning_content":"The capital."},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":8,"total_tokens":18,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":6,"completion_tokens_details":{"reasoning_tokens":7}},"system_fingerprint":"fp"}`,
		stream: `{"id":"d","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":""},"logprobs":null,"finish_reason":null}]}` + "\n" + `{"id":"d","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":null,"reasoning_content":"The "},"finish_reason":null}]}` + "\n" + `{"id":"d","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":null,"reasoning_content":"capital."},"finish_reason":null}]}` + "\n" + `{"id":"d","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"Paris","reasoning_content":null},"finish_reason":null}]}` + "\n" + `{"id":"d","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"","reasoning_content":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":8,"total_tokens":18,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":6}}`,

		reasoning: "The capital.", cached: 4, tokens: 8, keeps: "reasoning_content",
	},
	"OpenRouter": {
		plain:  `{"id":"gen-1","provider":"Together","model":"meta-llama/x","object":"chat.completion","created":1,"choices":[{"logprobs":null,"finish_reason":"stop","native_finish_reason":"eos","index":0,"message":{"role":"assistant","content":"Paris","refusal":null,"reasoning":"The capital.","reasoning_details":[{"type":"reasoning.text","text":"The capital."}]}}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"cost":0.0001}}`,
		stream: ": OPENROUTER PROCESSING\n" + `{"id":"gen-1","provider":"Together","model":"m","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"The capital.","reasoning_details":[]},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}` + "\n: OPENROUTER PROCESSING\n" + `{"id":"gen-1","provider":"Together","model":"m","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":{"role":"assistant","content":"Paris"},"finish_reason":"stop","native_finish_reason":"eos","logprobs":null}]}` + "\n" + `{"id":"gen-1","provider":"Together","model":"m","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null,"native_finish_reason":null,"logprobs":null}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"cost":0.0001}}`,

		reasoning: "The capital.", tokens: 5, keeps: "native_finish_reason",
	},
	"vLLM": {
		plain:  `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"message":{"role":"assistant","content":"Paris","refusal":null,"annotations":null,"audio":null,"function_call":null,"tool_calls":[],"reasoning_content":null},"logprobs":{"content":[{"token":"Paris","logprob":-0.25,"bytes":[80,97,114,105,115],"top_logprobs":[{"token":"Paris","logprob":-0.25,"bytes":[80,97,114,105,115]}]}]},"finish_reason":"stop","stop_reason":null,"token_ids":null}],"service_tier":null,"system_fingerprint":null,"usage":{"prompt_tokens":12,"total_tokens":14,"completion_tokens":2,"prompt_tokens_details":null},"prompt_logprobs":null,"kv_transfer_params":null}`,
		stream: `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}` + "\n" + `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"Paris"},"logprobs":{"content":[{"token":"Paris","logprob":-0.25,"bytes":[80,97,114,105,115],"top_logprobs":[]}]},"finish_reason":null,"token_ids":null}]}` + "\n" + `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":""},"logprobs":null,"finish_reason":"stop","stop_reason":null}]}` + "\n" + `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":12,"total_tokens":14,"completion_tokens":2}}`,
		tokens: 2, logged: true, keeps: "stop_reason",
	},
	"Ollama": {
		plain:  `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"qwen3","system_fingerprint":"fp_ollama","choices":[{"index":0,"message":{"role":"assistant","content":"Paris","reasoning":"The capital."},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":6,"total_tokens":18}}`,
		stream: `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"qwen3","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"The capital."},"finish_reason":null}]}` + "\n" + `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"qwen3","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"Paris"},"finish_reason":null}]}` + "\n" + `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"qwen3","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop"}]}` + "\n" + `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"qwen3","system_fingerprint":"fp_ollama","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":6,"total_tokens":18}}`,

		reasoning: "The capital.", tokens: 6, keeps: "reasoning",
	},
	"llama.cpp": {
		plain:  `{"choices":[{"finish_reason":"stop","index":0,"message":{"role":"assistant","content":"Paris"},"logprobs":{"content":[{"id":60704,"token":"Paris","bytes":[80,97,114,105,115],"logprob":-0.25,"top_logprobs":[{"id":60704,"token":"Paris","bytes":[80,97,114,105,115],"logprob":-0.25}]}]}}],"created":1,"model":"gpt-3.5-turbo","system_fingerprint":"b6000-abc","object":"chat.completion","usage":{"completion_tokens":2,"prompt_tokens":20,"total_tokens":22},"id":"chatcmpl-1","timings":{"cache_n":19,"prompt_n":1,"predicted_n":2}}`,
		stream: `{"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"created":1,"id":"chatcmpl-1","model":"m","system_fingerprint":"b6000-abc","object":"chat.completion.chunk"}` + "\n" + `{"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Paris"},"logprobs":{"content":[{"id":60704,"token":"Paris","bytes":[80,97,114,105,115],"logprob":-0.25,"top_logprobs":[]}]}}],"created":1,"id":"chatcmpl-1","model":"m","object":"chat.completion.chunk"}` + "\n" + `{"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"created":1,"id":"chatcmpl-1","model":"m","object":"chat.completion.chunk","timings":{"cache_n":19}}` + "\n" + `{"choices":[],"created":1,"id":"chatcmpl-1","model":"m","object":"chat.completion.chunk","usage":{"completion_tokens":2,"prompt_tokens":20,"total_tokens":22}}`,
		tokens: 2, logged: true, keeps: "logprobs",
	},
}

// frames makes a stream of lines: comments stay, all else is data.
func frames(lines string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(lines, "\n") {
		if !strings.HasPrefix(line, ":") {
			b.WriteString("data: ")
		}
		b.WriteString(line + "\n\n")
	}
	return b.String() + "data: [DONE]\n\n"
}

func TestVendors(t *testing.T) {
	for name, v := range vendors {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if strings.Contains(string(body), `"stream":true`) {
					w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
					io.WriteString(w, frames(v.stream))
					return
				}
				w.Header().Set("Content-Type", "application/json")
				io.WriteString(w, v.plain)
			}))
			defer s.Close()
			p, err := openai.New("m", openai.Options{BaseURL: s.URL})
			if err != nil {
				t.Fatal(err)
			}
			op := llmtest.Question("What is the capital of France?")
			op.Request.LogProbs = v.logged
			said := ""
			for _, stream := range []func(llm.Event) error{nil, func(e llm.Event) error { said += e.Text; return nil }} {
				op.Stream = stream
				res := do(t, p, op)
				c := res.Choices[0]
				if c.Text != "Paris" || c.Reasoning != v.reasoning || c.Finish != "stop" || len(c.Tokens) > 0 != v.logged ||
					res.Usage.CompletionTokens != v.tokens || res.Usage.PromptCached != v.cached {
					t.Errorf("stream %v: %q, %q, %q, %d tokens, %+v", stream != nil, c.Text, c.Reasoning, c.Finish, len(c.Tokens), res.Usage)
				}
				if !strings.Contains(string(c.Raw), `"`+v.keeps+`"`) {
					t.Errorf("stream %v: %q does not come through: %s", stream != nil, v.keeps, c.Raw)
				}
			}
			if said != "Paris" {
				t.Errorf("streamed %q", said)
			}
		})
	}
}

// OpenRouter tells a failure in the middle of a stream in a chunk that has
// choices too; Azure a filtered prompt by an error with a code of its own.
func TestVendorsFailures(t *testing.T) {
	for name, c := range map[string]struct {
		status     int
		kind, body string
		message    string
		temporary  bool
	}{
		"OpenRouter, late":  {200, "text/event-stream", frames(`{"id":"gen-1","object":"chat.completion.chunk","created":1,"model":"m","provider":"Together","choices":[{"index":0,"delta":{"content":"Par"},"finish_reason":null}]}` + "\n" + `{"id":"gen-1","object":"chat.completion.chunk","created":1,"model":"m","provider":"Together","error":{"code":"server_error","message":"Provider disconnected unexpectedly"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}`), "Provider disconnected", false},
		"OpenRouter, whole": {200, "application/json", `{"id":"gen-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":""},"finish_reason":"error","error":{"code":502,"message":"Provider returned error"}}]}`, "Provider returned error", true},
		"Azure, filtered":   {400, "application/json", `{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}`, "filtered", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.kind)
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			}))
			defer s.Close()
			p, err := openai.New("m", openai.Options{BaseURL: s.URL})
			if err != nil {
				t.Fatal(err)
			}
			op := llmtest.Question("x")
			if strings.Contains(c.kind, "stream") {
				op.Stream = func(llm.Event) error { return nil }
			}
			res, err := p.Do(t.Context(), op)
			var e *llm.APIError
			if !errors.As(err, &e) || !strings.Contains(err.Error(), c.message) || e.Temporary != c.temporary {
				t.Errorf("%+v, %v", res, err)
			}
		})
	}
}

// llama-cpp-python's server gives log-probabilities only together with
// alternatives: they are asked for from the second call on.
func TestLogProbsWithAlternativesOnly(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		answer := vendors["vLLM"].plain
		if !strings.Contains(string(body), `"top_logprobs":1`) {
			answer = vendors["Ollama"].plain
		}
		io.WriteString(w, answer)
	}))
	defer s.Close()
	learned := map[llm.Ability]bool{}
	p, err := openai.New("m", openai.Options{BaseURL: s.URL, Learned: func(a llm.Ability, can bool) { learned[a] = can }})
	if err != nil {
		t.Fatal(err)
	}
	op := llmtest.Question("x")
	op.Request.LogProbs = true
	for k := range 3 {
		if res := do(t, p, op); len(res.Choices[0].Tokens) != min(k, 1) {
			t.Errorf("call %d: %+v", k, res.Choices[0].Tokens)
		}
	}
	if len(learned) != 1 || !learned[llm.LogProbs] {
		t.Errorf("learned %v", learned)
	}
}
