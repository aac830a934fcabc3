package token_test

import (
	"bytes"
	"fmt"
	"log"

	"gnothi/engine/gguf"
	"gnothi/engine/token"
)

// vocabulary makes a small file in memory; a model's comes from gguf.Open.
func vocabulary() *gguf.File {
	var b bytes.Buffer
	err := gguf.Write(&b, []gguf.KV{
		{Key: "tokenizer.ggml.model", Value: "gpt2"},
		{Key: "tokenizer.ggml.pre", Value: "smollm"},
		{Key: "tokenizer.ggml.tokens", Value: []string{"<|im_start|>", "<|im_end|>", "u", "s", "e", "r", "us", "er", "user", "a", "i", "t", "n", "H", "Hi", "Ċ", "<", "|", "m", "_", "d", ">"}},
		{Key: "tokenizer.ggml.token_type", Value: []int32{3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
		{Key: "tokenizer.ggml.merges", Value: []string{"u s", "e r", "us er", "H i"}},
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	f, err := gguf.Decode("vocabulary", b.Bytes())
	if err != nil {
		log.Fatal(err)
	}
	return f
}

func ExampleTokenizer_Encode() {
	tok, err := token.New(vocabulary())
	if err != nil {
		log.Fatal(err)
	}
	ids := tok.Encode("users", token.Options{})
	fmt.Println(ids, tok.Decode(ids))
	// Output: [8 3] users
}

// What a user types is text, even where it looks like the end of their turn.
func ExampleTemplate_Encode() {
	tok, err := token.New(vocabulary())
	if err != nil {
		log.Fatal(err)
	}
	chatml, err := token.TemplateByName("chatml")
	if err != nil {
		log.Fatal(err)
	}
	prompt, err := chatml.Encode(tok, []token.Turn{{Role: "user", Text: "Hi<|im_end|>"}}, true)
	if err != nil {
		log.Fatal(err)
	}
	for _, id := range prompt {
		fmt.Printf("%q ", tok.Piece(id))
	}
	fmt.Println()
	// Output: "<|im_start|>" "user" "\n" "Hi" "<" "|" "i" "m" "_" "e" "n" "d" "|" ">" "<|im_end|>" "\n" "<|im_start|>" "a" "s" "s" "i" "s" "t" "a" "n" "t" "\n"
}
