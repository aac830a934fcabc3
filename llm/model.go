package llm

import (
	"context"
	"encoding/json"
	"strings"
)

// Model generates text and scores it. Implementations are safe for concurrent
// use and stop at once when the context ends.
type Model interface {
	// ID names the model, for calibrator and cache keys and for people.
	ID() ID
	// Can reports whether the ability is there as far as is known now. It is
	// optimistic about what only an answer can show (an upstream's
	// log-probabilities): false means known to lack it. A provider that learns
	// otherwise from a reply changes its answer.
	Can(Ability) bool
	// Do runs one paid operation. A result holds one choice for each wanted
	// index, in the order of [Op.Indices]. An error comes with a nil result,
	// except that a failed call may return the choices it already paid for.
	Do(context.Context, Op) (*Result, error)
}

// Ability names something that not every model can do.
type Ability string

// The abilities that gnothi distinguishes.
const (
	LogProbs     Ability = "logprobs"     // log-probability of each generated token
	Distribution Ability = "distribution" // figures of the full next-token distribution ([Token.Dist])
	RawPrompt    Ability = "raw"          // continues [Request.Prompt] as it stands, without a chat template
	ScoreText    Ability = "score"        // log-probabilities of a given continuation ([Score])
	Seeded       Ability = "seed"         // the same seed gives the same sample
	Streaming    Ability = "stream"       // delivers events while it generates
	Tools        Ability = "tools"        // function calling
	Images       Ability = "images"       // image parts in messages
	Hidden       Ability = "hidden"       // hidden states ([Trace])
	Schema       Ability = "schema"       // response_format with a JSON schema
	Several      Ability = "n"            // several choices in one call
	Prefill      Ability = "prefill"      // goes on from a last message of the assistant's
)

// ID identifies a model. Weights, the SHA-256 of a local file, is what
// calibrators are keyed by when it is known; else provider, name and host are.
type ID struct {
	Provider string `json:"provider"`
	Name     string `json:"name"`
	Host     string `json:"host,omitempty"`
	Weights  string `json:"weights,omitempty"`
}

// String gives the specification a person would type: provider:name[@host].
func (id ID) String() string {
	s := id.Provider + ":" + id.Name
	if id.Host != "" {
		s += "@" + id.Host
	}
	return s
}

// Key is stable across machines: the weights' hash where it is known.
func (id ID) Key() string {
	if id.Weights != "" {
		return "sha256:" + id.Weights
	}
	return strings.Join([]string{id.Provider, id.Name, id.Host}, "|")
}

// Kind says which operation an [Op] is.
type Kind int

// The operations.
const (
	Generate Kind = iota // choices for a request
	Score                // log-probabilities of Op.Continuation after the request; one choice, nothing sampled
	Trace                // the hidden state after the request, before anything is answered; one choice, no text
	Pass                 // Op.Body as it stands to an endpoint of the provider's own; one choice; Result.Raw is the answer
)

// Op is one paid operation.
type Op struct {
	Kind    Kind
	Request Request
	// Continuation is the text to score (Kind Score only).
	Continuation string
	// Endpoint and Body are a request in the provider's own protocol (Kind Pass
	// only), such as "responses" and a client's JSON. Request then only says how
	// much is asked for. Events are passed on in Raw.
	Endpoint string
	Body     json.RawMessage
	// Depth says where a Trace reads the residual stream: after this share of the
	// layers, in (0,1].
	Depth float64
	// Indices are the repeat indexes of the wanted choices (nil means {0}).
	// Choice i of a request is the same thing whoever asks for it and however
	// many are asked for together, as far as the model is [Seeded].
	Indices []int
	// Seed is the root from which choice i draws its own ([SeedOf]); 0 asks for none.
	Seed uint64
	// Role tags the spend in the ledger: answer, sample, judge, rewrite, …
	Role string
	// Stream, if set, receives events as they come; its error ends the call.
	Stream func(Event) error
}

// N is the number of choices the operation asks for.
func (op Op) N() int {
	if op.Kind != Generate || op.Indices == nil {
		return 1
	}
	return len(op.Indices)
}

// Index gives the repeat index of the k-th wanted choice.
func (op Op) Index(k int) int {
	if op.Indices == nil {
		return k
	}
	return op.Indices[k]
}

// Range gives the indexes from, …, to-1.
func Range(from, to int) []int {
	s := make([]int, 0, max(0, to-from))
	for i := from; i < to; i++ {
		s = append(s, i)
	}
	return s
}

// Request is what a model is asked, in the terms that providers share.
// A zero field is left to the provider.
type Request struct {
	// Messages is the conversation; Prompt, if not empty, replaces it by text
	// to continue as it stands ([RawPrompt]).
	Messages []Message
	Prompt   string

	MaxTokens   int
	Temperature *float64 // 0 is greedy
	TopP        *float64
	MinP        *float64
	TopK        int
	Stop        []string
	// LogProbs asks for each token's log-probability, TopLogProbs (0..20) also
	// for the likeliest alternatives.
	LogProbs    bool
	TopLogProbs int
	// Extra holds every other field of the client's request as it came: tools,
	// response_format, vendors' parameters.
	Extra map[string]json.RawMessage
}

// Message is one turn. Raw, if set, is the message as the client sent it, with
// images, tool calls and unknown fields; it is what reaches a provider, and
// Text is then only its concatenated text.
type Message struct {
	Role string
	Text string
	Raw  json.RawMessage
}

// Result is what an operation returned.
type Result struct {
	Choices []Choice
	Usage   Usage
	// Model is the name that the provider reports, Raw its response with the
	// fields gnothi does not know, Header what is worth keeping of the headers.
	Model  string
	Raw    json.RawMessage
	Header map[string]string
	// Body is the whole response as it came, in the layout of chat completions, if
	// the result says just that. Whoever changes a result takes it away.
	Body json.RawMessage
}

// Choice is one generated (or scored) text.
type Choice struct {
	Index     int // repeat index
	Text      string
	Reasoning string // reasoning text, kept apart from the answer
	Finish    string // stop, length, tool_calls, content_filter
	Tokens    []Token
	State     []float32 // hidden state (Kind Trace only)
	Cached    bool
	Raw       json.RawMessage // the provider's choice object
}

// Token is one token of a choice. LogProb is the natural logarithm of its
// probability under the model's own distribution, before temperature.
type Token struct {
	Text    string     `json:"token"`
	LogProb float64    `json:"logprob"`
	Top     []TopToken `json:"top,omitempty"`
	Dist    *Dist      `json:"dist,omitempty"`
}

// TopToken is one of the likeliest tokens at a position.
type TopToken struct {
	Text    string  `json:"token"`
	LogProb float64 `json:"logprob"`
}

// Dist holds figures of the full next-token distribution, in nats.
type Dist struct {
	Entropy   float64 `json:"entropy"`    // 0..ln V
	LogZ      float64 `json:"log_z"`      // log-sum-exp of the raw logits
	KLUniform float64 `json:"kl_uniform"` // KL(uniform ‖ model) = −(1/V) Σ ln(V·p): self-certainty (Kang et al. 2025)
	Vocab     int     `json:"vocab"`      // V, the width of the logits
}

// Usage is what a provider says it spent. USD is in nano-dollars; it means
// nothing unless Priced.
type Usage struct {
	PromptTokens     int64 // all of the prompt
	PromptCached     int64 // of these, served from the provider's prompt cache
	CompletionTokens int64
	NanoUSD          int64
	Priced           bool
}

// Event is a piece of a streamed choice. Raw is the provider's own event; the
// first one of a call may have the Header of its [Result].
type Event struct {
	Index  int
	Text   string
	Tokens []Token
	Finish string
	Raw    json.RawMessage
	Header map[string]string
}
