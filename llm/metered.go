package llm

import (
	"bytes"
	"context"
	"errors"
)

// Price is what a model charges, in nano-dollars a token.
type Price struct {
	Input, Output int64
	Cached        int64 // prompt tokens from the provider's cache
}

// defaultMaxTokens bounds what a call without a limit of its own may reserve.
const defaultMaxTokens = 1024

// Metered charges every call to the context's ledger ([WithLedger]). It stands
// directly around the provider, below retry and cache, so that each try is paid
// for and a cached choice is not. A nil price means unknown.
//
// What is reserved is an upper bound: one token a byte of prompt, since the
// provider's tokenizer may not be known, and max_tokens a choice. Under a
// ceiling of tokens or dollars a call without max_tokens is given one, so that the bound holds. A
// ceiling of dollars cannot hold where no price is known, and is refused.
func Metered(m Model, price *Price) Model { return &metered{m, price} }

type metered struct {
	Model
	price *Price
}

func (m *metered) Do(ctx context.Context, op Op) (*Result, error) {
	ledger := LedgerFrom(ctx)
	if ledger == nil {
		return m.Model.Do(ctx, op)
	}
	n := int64(op.N())
	if limits := ledger.Limits(); op.Kind == Generate && op.Request.MaxTokens == 0 && (limits.Tokens > 0 || limits.NanoUSD > 0) {
		op.Request.MaxTokens = defaultMaxTokens
	}
	if m.price == nil && ledger.Limits().NanoUSD > 0 {
		return nil, &BudgetError{What: "dollars", Limit: ledger.Limits().NanoUSD, Unpriced: m.ID().String()}
	}
	most := Spend{Calls: n, PromptTokens: int64(promptBytes(op)), CompletionTokens: n * int64(op.Request.MaxTokens)}
	m.charge(&most)
	settle, err := ledger.Reserve(most, op.Role)
	if err != nil {
		return nil, err
	}
	var streamed int64 // tokens, or pieces
	if stream := op.Stream; stream != nil {
		op.Stream = func(e Event) error {
			if e.Text != "" {
				streamed += max(1, int64(len(e.Tokens)))
			}
			return stream(e)
		}
	}
	res, err := m.Model.Do(ctx, op)
	actual := Spend{}
	switch {
	case res != nil:
		actual = Spend{Calls: int64(len(res.Choices)), PromptTokens: res.Usage.PromptTokens - res.Usage.PromptCached, PromptCached: res.Usage.PromptCached, CompletionTokens: res.Usage.CompletionTokens}
		if res.Usage.Priced {
			actual.NanoUSD = res.Usage.NanoUSD
		} else {
			m.charge(&actual)
		}
	case neverSent(err):
	default:
		// A failed call may have been worked on and billed: count the call, and of a
		// stream that broke off what came, with four bytes of prompt a token.
		actual.Calls = n
		if streamed > 0 {
			actual.PromptTokens, actual.CompletionTokens = (most.PromptTokens+3)/4, streamed
		}
		m.charge(&actual)
	}
	settle(actual)
	return res, err
}

func (m *metered) charge(s *Spend) {
	if m.price == nil {
		s.Unpriced = s.Calls
		return
	}
	s.NanoUSD = s.PromptTokens*m.price.Input + s.PromptCached*m.price.Cached + s.CompletionTokens*m.price.Output
}

// pictureTokens is more than providers charge for a picture, which may be named by
// an address of a few bytes.
const pictureTokens = 4096

// promptBytes bounds the tokens of a prompt, with the tools and schemas that come
// with it.
func promptBytes(op Op) int {
	n := len(op.Request.Prompt) + len(op.Continuation) + len(op.Body) + pictureTokens*pictures(op.Body)
	for _, m := range op.Request.Messages {
		n += max(len(m.Text), len(m.Raw)) + 8 + pictureTokens*pictures(m.Raw) // 8: the template's own tokens
	}
	for _, v := range op.Request.Extra {
		n += len(v)
	}
	return n
}

func pictures(raw []byte) int {
	return bytes.Count(raw, []byte(`"image_url"`)) + bytes.Count(raw, []byte(`"input_image"`)) + bytes.Count(raw, []byte(`"input_file"`))
}

// neverSent tells errors that come before anything was asked of the provider.
func neverSent(err error) bool {
	var unsupported *UnsupportedError
	var tooLong *ContextLengthError
	return errors.As(err, &unsupported) || errors.As(err, &tooLong)
}
