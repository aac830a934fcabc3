// Package token turns text into the token ids of a model and back, and conversations into prompts.
//
// [New] builds a [Tokenizer] from the vocabulary in a GGUF file. Byte-level BPE (tokenizer.ggml.model "gpt2") with the
// pre-tokenizers of SmolLM, GPT-2, Llama 3 and Qwen 2 and 3, and SentencePiece BPE with byte fallback ("llama": Gemma,
// Llama 2, Mistral 7B) are implemented; anything else is refused by name. On valid UTF-8 the ids are those of llama.cpp,
// token for token. Invalid bytes are kept where llama.cpp replaces them.
//
// Text is plain unless the caller says otherwise: what a user types never becomes a control token, so nobody can end
// their turn and speak as somebody else. [Template.Encode] keeps that for whole conversations: only the template's own
// markers are control tokens. A template is recognised by the SHA-256 of the file's Jinja source and hard-coded here;
// an unknown one is refused until a person names the template to use.
//
// A tokenizer is immutable and serves any number of goroutines. Encoding takes O(n log n) time on any text and memory
// proportional to the longest word (SentencePiece: to the text). The package imports engine/gguf only.
package token
