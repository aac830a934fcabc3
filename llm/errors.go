package llm

import (
	"errors"
	"fmt"
	"time"
)

// ErrBudget is what a [BudgetError] is: a ceiling would have been passed.
var ErrBudget = errors.New("budget reached")

// BudgetError says which ceiling a call would have passed. The call was not made.
type BudgetError struct {
	What              string // calls, tokens, dollars
	Limit, Spent, Ask int64  // dollars in nano-dollars
	Of                string // whose ceiling it is, such as "today, all keys"; empty: of the work itself
	// Unpriced names a model whose price is not known: a ceiling of dollars can
	// not hold for it.
	Unpriced string
}

// Error implements error.
func (e *BudgetError) Error() string {
	if e.Unpriced != "" {
		return fmt.Sprintf("budget: the price of %s is not known, so a ceiling of dollars would not hold: give its price, or a ceiling of tokens or calls", e.Unpriced)
	}
	of := ""
	if e.Of != "" {
		of = " (" + e.Of + ")"
	}
	if e.What == "dollars" {
		return fmt.Sprintf("budget reached%s: %.6f of %.6f dollars spent or reserved, the next call may need %.6f", of, float64(e.Spent)/1e9, float64(e.Limit)/1e9, float64(e.Ask)/1e9)
	}
	return fmt.Sprintf("budget reached%s: %d of %d %s spent or reserved, the next call may need %d", of, e.Spent, e.Limit, e.What, e.Ask)
}

// Is makes errors.Is(err, ErrBudget) true.
func (e *BudgetError) Is(target error) bool { return target == ErrBudget }

// UnsupportedError says that a model lacks an ability that an operation needs.
type UnsupportedError struct {
	Model   ID
	Ability Ability
}

// Error implements error.
func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("model %s lacks the ability %q", e.Model, e.Ability)
}

// ContextLengthError says that a request does not fit the model's context.
type ContextLengthError struct {
	Tokens, Context int
}

// Error implements error.
func (e *ContextLengthError) Error() string {
	return fmt.Sprintf("the prompt has %d tokens, but the model's context length is %d tokens: shorten the question", e.Tokens, e.Context)
}

// APIError is a provider's refusal or failure, without keys.
type APIError struct {
	Provider   string
	Status     int    // HTTP status; 0 if there was no response
	Type, Code string // the provider's own
	Param      string // the request's field that it is about
	Message    string
	RetryAfter time.Duration
	Header     map[string]string // what is worth keeping of the response's headers
	Temporary  bool              // worth another try
	Err        error
}

// Error implements error.
func (e *APIError) Error() string {
	s := e.Provider
	if e.Status != 0 {
		s += fmt.Sprintf(": status %d", e.Status)
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *APIError) Unwrap() error { return e.Err }
