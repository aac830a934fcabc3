package openai_test

import (
	"testing"

	"gnothi/llm/openai"
)

// BenchmarkChunk is what a piece of a stream costs.
func BenchmarkChunk(b *testing.B) {
	chunk := []byte(`{"id":"chatcmpl-mock-ae760f5ba03c","object":"chat.completion.chunk","created":1700000000,"model":"mock","system_fingerprint":"fp_mock","choices":[{"index":0,"delta":{"content":" unknown"},"finish_reason":null,"logprobs":null}],"usage":null}`)
	b.ReportAllocs()
	var a openai.Assembler
	n := 0
	for b.Loop() {
		if n++; n%1000 == 0 {
			a = openai.Assembler{}
		}
		if _, err := a.Add(chunk); err != nil {
			b.Fatal(err)
		}
	}
}
