package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"gnothi/engine"
	"gnothi/engine/token"
	"gnothi/llm"
)

// native is a gateway.Native on an engine.
type native struct {
	*engine.Engine
	name string
}

func (n native) Tokenize(text string, addSpecial, parseSpecial bool) []int32 {
	return n.Tokenizer().Encode(text, token.Options{AddSpecial: addSpecial, ParseSpecial: parseSpecial})
}

func (n native) Detokenize(ids []int32) (string, error) {
	for i, id := range ids {
		if id < 0 || int(id) >= n.Tokenizer().Vocab() {
			return "", fmt.Errorf("token %d is %d, the vocabulary has %d", i, id, n.Tokenizer().Vocab())
		}
	}
	return n.Tokenizer().DecodeSpecial(ids), nil
}

func (n native) ApplyTemplate(messages []llm.Message, addGenerationPrompt bool) (string, error) {
	template, err := n.Template()
	if err != nil {
		return "", err
	}
	turns := make([]token.Turn, len(messages))
	for i, m := range messages {
		turns[i] = token.Turn{Role: m.Role, Text: m.Text}
	}
	return template.Render(turns, addGenerationPrompt)
}

func (n native) Score(ctx context.Context, ids []int32, top int) ([]llm.Token, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	if err := n.fits(ids); err != nil {
		return nil, err
	}
	scored, err := n.Engine.Score(ctx, nil, ids, top)
	if err != nil {
		return nil, err
	}
	tokens := make([]llm.Token, len(scored))
	for i, s := range scored {
		if tokens[i] = n.token(s.Token); !s.Conditioned {
			tokens[i].LogProb = math.NaN()
		}
	}
	return tokens, nil
}

func (n native) fits(ids []int32) error {
	if c := n.Info().Context; len(ids) >= c {
		return &llm.ContextLengthError{Tokens: len(ids), Context: c}
	}
	return nil
}

func (n native) token(t engine.Token) llm.Token {
	out := llm.Token{Text: string(n.Tokenizer().Piece(t.ID)), LogProb: t.LogProb}
	for _, alt := range t.Top {
		out.Top = append(out.Top, llm.TopToken{Text: string(n.Tokenizer().Piece(alt.ID)), LogProb: alt.LogProb})
	}
	return out
}

func (n native) Complete(ctx context.Context, ids []int32, op llm.Op) (*llm.Result, error) {
	if len(ids) == 0 {
		if ids = []int32{n.Tokenizer().BOS()}; ids[0] < 0 {
			return nil, &llm.APIError{Provider: "local", Status: 400, Type: "invalid_request_error", Param: "prompt", Message: "the prompt is empty, and the model has no token that stands for a beginning"}
		}
	}
	if err := n.fits(ids); err != nil {
		return nil, err
	}
	prefix, err := n.Prefill(ctx, nil, ids)
	if err != nil {
		return nil, err
	}
	res := &llm.Result{Model: n.name, Usage: llm.Usage{PromptTokens: int64(len(ids)), Priced: true}}
	sequences, samplings := make([]*sequence, op.N()), make([]engine.Sampling, op.N())
	for k := range sequences {
		sequences[k] = &sequence{native: n, op: op, decoder: token.NewDecoder(n.Tokenizer()), choice: llm.Choice{Index: op.Index(k)}}
		samplings[k] = n.sampling(op, op.Index(k))
	}
	var failed error
	err = n.Generate(ctx, prefix, samplings, func(k int, step engine.Step) bool {
		res.Usage.CompletionTokens++
		if failed == nil {
			failed = sequences[k].step(step)
		}
		return failed == nil && sequences[k].choice.Finish == ""
	})
	if failed != nil {
		return nil, failed
	}
	if err != nil {
		return nil, err
	}
	for _, s := range sequences {
		res.Choices = append(res.Choices, s.choice)
	}
	return res, nil
}

func (n native) sampling(op llm.Op, index int) engine.Sampling {
	r := op.Request
	s := engine.Sampling{Seed: llm.SeedOf(op.Seed, index), Temperature: 1, TopK: r.TopK, MaxTokens: r.MaxTokens, Top: r.TopLogProbs}
	if s.Seed == 0 {
		s.Seed = rand.Uint64()
	}
	if end := n.Tokenizer().EOS(); end >= 0 {
		s.Stop = []int32{end}
	}
	for from, to := range map[*float64]*float64{r.Temperature: &s.Temperature, r.TopP: &s.TopP, r.MinP: &s.MinP} {
		if from != nil {
			*to = *from
		}
	}
	return s
}

// sequence makes a choice of tokens as they come. What may be the beginning of
// a stop string is held back from the stream.
type sequence struct {
	native
	op      llm.Op
	decoder *token.Decoder
	choice  llm.Choice
	starts  []int // byte offset of each token in the text
	length  int   // bytes of all tokens
	sent    int   // bytes that the stream has
	told    int   // tokens that the stream has
}

func (s *sequence) step(step engine.Step) error {
	if step.Finish == engine.Stop {
		return s.end("stop")
	}
	from := len(s.choice.Text) // no stop string lies before this, but one may begin
	for _, stop := range s.op.Request.Stop {
		from = min(from, max(0, len(s.choice.Text)-len(stop)+1))
	}
	s.choice.Text += s.decoder.Next(step.ID)
	if s.op.Request.LogProbs {
		s.starts = append(s.starts, s.length)
		s.choice.Tokens = append(s.choice.Tokens, s.token(step.Token))
	}
	s.length += len(s.Tokenizer().Piece(step.ID))
	cut := -1
	for _, stop := range s.op.Request.Stop {
		if i := strings.Index(s.choice.Text[from:], stop); stop != "" && i >= 0 && (cut < 0 || from+i < cut) {
			cut = from + i
		}
	}
	switch {
	case cut >= 0:
		s.choice.Text = s.choice.Text[:cut]
		for len(s.choice.Tokens) > 0 && s.starts[len(s.choice.Tokens)-1] >= cut {
			s.choice.Tokens = s.choice.Tokens[:len(s.choice.Tokens)-1]
		}
		return s.end("stop")
	case step.Finish == engine.Length:
		s.choice.Text += s.decoder.Flush()
		return s.end("length")
	}
	return s.emit(len(s.choice.Text) - s.held())
}

// held is how many bytes at the end may be the beginning of a stop string.
func (s *sequence) held() (most int) {
	for _, stop := range s.op.Request.Stop {
		for n := min(len(stop)-1, len(s.choice.Text)); n > most; n-- {
			if strings.HasSuffix(s.choice.Text, stop[:n]) {
				most = n
			}
		}
	}
	return most
}

// emit passes the text up to an offset on.
func (s *sequence) emit(to int) error {
	if s.op.Stream == nil || to <= s.sent {
		return nil
	}
	e := llm.Event{Index: s.choice.Index, Text: s.choice.Text[s.sent:to]}
	for s.sent = to; s.told < len(s.choice.Tokens) && s.starts[s.told] < to; s.told++ {
		e.Tokens = append(e.Tokens, s.choice.Tokens[s.told])
	}
	return s.op.Stream(e)
}

func (s *sequence) end(finish string) error {
	s.choice.Finish = finish
	if err := s.emit(len(s.choice.Text)); err != nil || s.op.Stream == nil {
		return err
	}
	return s.op.Stream(llm.Event{Index: s.choice.Index, Finish: finish})
}
