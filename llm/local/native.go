package local

import (
	"context"
	"fmt"
	"math"

	"gnothi/engine"
	"gnothi/engine/token"
	"gnothi/llm"
)

// Tokenize gives the token ids of a text.
func (m *Model) Tokenize(text string, addSpecial, parseSpecial bool) []int32 {
	return m.engine.Tokenizer().Encode(text, token.Options{AddSpecial: addSpecial, ParseSpecial: parseSpecial})
}

// Detokenize gives the text of token ids, control tokens spelled out; an id that
// the vocabulary does not have is an error.
func (m *Model) Detokenize(ids []int32) (string, error) {
	tok := m.engine.Tokenizer()
	for i, id := range ids {
		if id < 0 || int(id) >= tok.Vocab() {
			return "", fmt.Errorf("token %d is %d, the vocabulary has %d", i, id, tok.Vocab())
		}
	}
	return tok.DecodeSpecial(ids), nil
}

// ApplyTemplate lays a conversation out as the model's prompt.
func (m *Model) ApplyTemplate(messages []llm.Message, addGenerationPrompt bool) (string, error) {
	template, err := m.engine.Template()
	if err != nil {
		return "", err
	}
	turns, err := m.turns(messages)
	if err != nil {
		return "", err
	}
	return template.Render(turns, addGenerationPrompt)
}

// Score gives each token its log-probability (nats) after those before it, with
// the top likeliest ones; the first, which follows nothing, has NaN.
func (m *Model) Score(ctx context.Context, ids []int32, top int) ([]llm.Token, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	if err := m.fits(ids); err != nil {
		return nil, err
	}
	scored, err := m.engine.Score(ctx, nil, ids, engine.Stats{Top: top})
	if err != nil {
		return nil, known(err)
	}
	tokens := make([]llm.Token, len(scored))
	for i, s := range scored {
		if tokens[i] = m.token(s.Token, top); !s.Conditioned {
			tokens[i].LogProb = math.NaN()
		}
	}
	return tokens, nil
}

// Complete continues token ids as [Model.Do] continues a request; the request's
// messages and prompt play no part. No ids stand for the beginning of a text.
func (m *Model) Complete(ctx context.Context, ids []int32, op llm.Op) (*llm.Result, error) {
	if len(ids) == 0 {
		bos := m.engine.Tokenizer().BOS()
		if bos < 0 {
			return nil, m.refuses("prompt", "the prompt is empty, and the model has no token that stands for a beginning")
		}
		ids = []int32{bos}
	}
	if err := m.accepts(op.Request); err != nil {
		return nil, err
	}
	if err := m.fits(ids); err != nil {
		return nil, err
	}
	return m.complete(ctx, op, ids)
}
