package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"gnothi/engine"
	"gnothi/engine/enginetest"
	"gnothi/engine/token"
)

// exampleModel writes a tiny random model; a real one is opened in the same way.
func exampleModel() (path string, remove func()) {
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		log.Fatal(err)
	}
	path = filepath.Join(dir, "tiny.gguf")
	f, err := os.Create(path)
	if err == nil {
		err = enginetest.Tiny{Seed: 1}.Write(f)
		f.Close()
	}
	if err != nil {
		log.Fatal(err)
	}
	return path, func() { os.RemoveAll(dir) }
}

// Three samples share one prompt; each step says how sure the model was.
func ExampleEngine_Generate() {
	path, remove := exampleModel()
	defer remove()
	e, err := engine.Open(path, engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()

	ctx := context.Background()
	prompt, err := e.Prefill(ctx, nil, e.Tokenizer().Encode("To be, or not", token.Options{}))
	if err != nil {
		log.Fatal(err)
	}
	samplings := make([]engine.Sampling, 3)
	for i := range samplings {
		samplings[i] = engine.Sampling{Seed: uint64(i), Temperature: 0.7, MaxTokens: 5, Stop: []int32{e.Tokenizer().EOS()}}
	}
	tokens := make([]int, 3)
	surprise := 0.0
	err = e.Generate(ctx, prompt, samplings, func(seq int, s engine.Step) bool {
		tokens[seq]++
		surprise -= s.LogProb
		return true // go on until Sampling ends it
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tokens, surprise > 0)
	// Output: [5 5 5] true
}

// Two answers to the same question are weighed by the probability that the model gives them.
func ExampleEngine_Score() {
	path, remove := exampleModel()
	defer remove()
	e, err := engine.Open(path, engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()

	ctx, tok := context.Background(), e.Tokenizer()
	question, err := e.Prefill(ctx, nil, tok.Encode("Is water wet?", token.Options{}))
	if err != nil {
		log.Fatal(err)
	}
	for _, answer := range []string{" yes", " no"} {
		scored, err := e.Score(ctx, question, tok.Encode(answer, token.Options{}), engine.Stats{})
		if err != nil {
			log.Fatal(err)
		}
		sum := 0.0
		for _, s := range scored {
			sum += s.LogProb
		}
		fmt.Printf("%d tokens, log-probability below zero: %v\n", len(scored), sum < 0)
	}
	// Output:
	// 4 tokens, log-probability below zero: true
	// 3 tokens, log-probability below zero: true
}

// Whatever the model's weights, the text is what the schema describes.
func ExampleEngine_Grammar() {
	path, remove := exampleModel()
	defer remove()
	e, err := engine.Open(path, engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()

	ctx, tok := context.Background(), e.Tokenizer()
	form, err := e.Grammar([]byte(`{"type": "object", "properties": {"sure": {"type": "boolean"}, "grade": {"enum": ["A", "B"]}}, "required": ["sure", "grade"]}`))
	if err != nil {
		log.Fatal(err)
	}
	prompt, err := e.Prefill(ctx, nil, tok.Encode("Your verdict:", token.Options{}))
	if err != nil {
		log.Fatal(err)
	}
	var ids []int32
	s := engine.Sampling{Grammar: form, MaxTokens: 60, Stop: []int32{tok.EOS()}}
	err = e.Generate(ctx, prompt, []engine.Sampling{s}, func(_ int, s engine.Step) bool {
		if s.Finish != engine.Stop {
			ids = append(ids, s.ID)
		}
		return true
	})
	if err != nil {
		log.Fatal(err)
	}
	var verdict struct {
		Sure  *bool
		Grade string
	}
	err = json.Unmarshal([]byte(tok.Decode(ids)), &verdict)
	fmt.Println(err, verdict.Sure != nil, verdict.Grade == "A" || verdict.Grade == "B")
	// Output: <nil> true true
}

// A direction found in the states of one text is added to those of another.
func ExampleHook() {
	path, remove := exampleModel()
	defer remove()
	e, err := engine.Open(path, engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()

	ctx, tok := context.Background(), e.Tokenizer()
	encode := func(s string) []int32 { return tok.Encode(s, token.Options{}) }
	site := engine.Site{Layer: 0, Point: engine.ResidPost}
	joy, err := e.Hidden(ctx, nil, encode("joy"), site)
	if err != nil {
		log.Fatal(err)
	}
	steer := engine.Hook{Point: site.Point, Layers: []int{site.Layer}, From: 4, Do: engine.Add(2, joy[0])}
	for _, hooks := range [][]engine.Hook{nil, {steer}} {
		p, err := e.Prefill(ctx, nil, encode("I am in"), hooks...)
		if err != nil {
			log.Fatal(err)
		}
		scored, err := e.Score(ctx, p, encode(" "), engine.Stats{})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d token scored, steered: %v\n", len(scored), len(hooks) > 0)
	}
	// Output:
	// 1 token scored, steered: false
	// 1 token scored, steered: true
}
