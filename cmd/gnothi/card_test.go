package main

import "testing"

func TestPlainName(t *testing.T) {
	for spec, want := range map[string]string{
		"local:smollm2-135m": "smollm2-135m", "openai:gpt-4.1-mini@http://127.0.0.1:8000/v1": "gpt-4.1-mini", "openai:meta/Llama-3.1-8B": "Llama-3.1-8B",
		"script:dir/shy.yaml": "shy", "local:../models/x.gguf": "x", "alias": "alias", "": "model", "openai:..": "model", "openai:a b:c": "a-b-c",
	} {
		if got := plainName(spec); got != want {
			t.Errorf("%q: %q, want %q", spec, got, want)
		}
	}
}
