package llm

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"
	"unicode/utf8"
)

// The types below are how results are written down. They differ from the
// contract's own in that text survives which is no valid UTF-8: a token may be
// part of a character.

type savedText string

// MarshalJSON gives a string, or an object with bytes in base 64.
func (t savedText) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return encode(string(t))
	}
	return encode(map[string][]byte{"bytes": []byte(t)})
}

// UnmarshalJSON reads either form.
func (t *savedText) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		var w struct{ Bytes []byte }
		err := json.Unmarshal(b, &w)
		*t = savedText(w.Bytes)
		return err
	}
	return json.Unmarshal(b, (*string)(t))
}

type savedToken struct {
	Text    savedText  `json:"token"`
	LogProb float64    `json:"logprob"`
	Top     []savedTop `json:"top,omitempty"`
	Dist    *Dist      `json:"dist,omitempty"`
}

type savedTop struct {
	Text    savedText `json:"token"`
	LogProb float64   `json:"logprob"`
}

type savedChoice struct {
	Index     int             `json:"index"`
	Text      savedText       `json:"text"`
	Reasoning savedText       `json:"reasoning,omitempty"`
	Finish    string          `json:"finish,omitempty"`
	Tokens    []savedToken    `json:"tokens,omitempty"`
	State     []float32       `json:"state,omitempty"`
	Cached    bool            `json:"cached,omitempty"`
	Raw       json.RawMessage `json:"raw,omitempty"`
}

func saveChoice(c Choice) savedChoice {
	s := savedChoice{Index: c.Index, Text: savedText(c.Text), Reasoning: savedText(c.Reasoning), Finish: c.Finish, State: c.State, Cached: c.Cached, Raw: c.Raw}
	for _, t := range c.Tokens {
		saved := savedToken{Text: savedText(t.Text), LogProb: t.LogProb, Dist: t.Dist}
		for _, top := range t.Top {
			saved.Top = append(saved.Top, savedTop{savedText(top.Text), top.LogProb})
		}
		s.Tokens = append(s.Tokens, saved)
	}
	return s
}

func (s savedChoice) choice() Choice {
	c := Choice{Index: s.Index, Text: string(s.Text), Reasoning: string(s.Reasoning), Finish: s.Finish, State: s.State, Cached: s.Cached, Raw: s.Raw}
	for _, saved := range s.Tokens {
		t := Token{Text: string(saved.Text), LogProb: saved.LogProb, Dist: saved.Dist}
		for _, top := range saved.Top {
			t.Top = append(t.Top, TopToken{string(top.Text), top.LogProb})
		}
		c.Tokens = append(c.Tokens, t)
	}
	return c
}

type savedResult struct {
	Choices []savedChoice     `json:"choices"`
	Usage   savedUsage        `json:"usage"`
	Model   string            `json:"model,omitempty"`
	Raw     json.RawMessage   `json:"raw,omitempty"`
	Header  map[string]string `json:"header,omitempty"`
}

type savedUsage struct {
	PromptTokens     int64 `json:"prompt_tokens"`
	PromptCached     int64 `json:"prompt_cached,omitempty"`
	CompletionTokens int64 `json:"completion_tokens"`
	NanoUSD          int64 `json:"nano_usd,omitempty"`
	Priced           bool  `json:"priced,omitempty"`
}

func saveResult(r *Result) *savedResult {
	if r == nil {
		return nil
	}
	s := &savedResult{nil, savedUsage(r.Usage), r.Model, r.Raw, r.Header}
	for _, c := range r.Choices {
		s.Choices = append(s.Choices, saveChoice(c))
	}
	return s
}

func (s *savedResult) result() *Result {
	if s == nil {
		return nil
	}
	r := &Result{Usage: Usage(s.Usage), Model: s.Model, Raw: s.Raw, Header: s.Header}
	for _, c := range s.Choices {
		r.Choices = append(r.Choices, c.choice())
	}
	return r
}

// savedError is an answer of the model's that is an error. Errors of this
// process (budget, cancellation) are not written down.
type savedError struct {
	API         *savedAPIError      `json:"api,omitempty"`
	Unsupported *UnsupportedError   `json:"unsupported,omitempty"`
	TooLong     *ContextLengthError `json:"too_long,omitempty"`
}

type savedAPIError struct {
	Provider   string        `json:"provider"`
	Status     int           `json:"status,omitempty"`
	Type       string        `json:"type,omitempty"`
	Code       string        `json:"code,omitempty"`
	Param      string        `json:"param,omitempty"`
	Message    string        `json:"message,omitempty"`
	RetryAfter time.Duration `json:"retry_after_ns,omitempty"`
	Temporary  bool          `json:"temporary,omitempty"`
	Cause      string        `json:"cause,omitempty"`
}

func saveError(err error) *savedError {
	var s savedError
	var api *APIError
	switch {
	case errors.As(err, &s.Unsupported), errors.As(err, &s.TooLong):
		return &s
	case errors.As(err, &api):
		s.API = &savedAPIError{api.Provider, api.Status, api.Type, api.Code, api.Param, api.Message, api.RetryAfter, api.Temporary, ""}
		if api.Err != nil {
			s.API.Cause = api.Err.Error()
		}
		return &s
	}
	return nil
}

func (s *savedError) error() error {
	switch {
	case s == nil:
		return nil
	case s.API != nil:
		a := s.API
		err := &APIError{Provider: a.Provider, Status: a.Status, Type: a.Type, Code: a.Code, Param: a.Param, Message: a.Message, RetryAfter: a.RetryAfter, Temporary: a.Temporary}
		if a.Cause != "" {
			err.Err = errors.New(a.Cause)
		}
		return err
	case s.Unsupported != nil:
		return s.Unsupported
	case s.TooLong != nil:
		return s.TooLong
	}
	return errors.New("llm: an unknown error of a recording")
}

// encode writes JSON whose raw parts stay as they are but for white space.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
