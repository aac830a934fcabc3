package gnothi

import (
	"encoding/json"
	"math"
	"time"

	"gnothi/control"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/calibrate"
)

// BeliefSchema is the version of the Belief's JSON form.
const BeliefSchema = 1

// Belief is an answer and how far to trust it. Its JSON form is fixed by the
// contract.
type Belief struct {
	Schema   int              `json:"schema"`
	ID       string           `json:"id,omitempty"`
	Question string           `json:"question"`
	Answer   *string          `json:"answer"`           // as it was read; also when it is withheld; null if there is none
	Option   string           `json:"option,omitempty"` // key of the option that the answer is
	Decision control.Decision `json:"decision,omitempty"`
	// Outcome tells an answer from a refusal and from a reply that could not be read.
	Outcome string `json:"outcome,omitempty"` // parsed, refused, unparsed
	// Stopped says why drawing ended: settled, budget, rounds, an upstream's error, …
	Stopped string `json:"stopped,omitempty"`
	// Probability is the probability that Answer is right, Interval its 90 %
	// interval; both null where nothing calibrates them, and of a refusal, which is
	// neither right nor wrong.
	Probability  *float64              `json:"probability"`
	Interval     *[2]float64           `json:"interval"`
	Calibration  calibrate.Calibration `json:"calibration"`
	Signals      []Signal              `json:"signals"`
	Missing      map[string]string     `json:"missing,omitempty"` // signals that could not be read, and why
	Alternatives []Alternative         `json:"alternatives"`
	Claims       []Claim               `json:"claims"`
	Policy       string                `json:"policy"`
	Form         string                `json:"form,omitempty"`
	Model        string                `json:"model"`
	Seed         uint64                `json:"seed"`
	Spend        Spend                 `json:"spend"`
	Clarify      string                `json:"clarify,omitempty"` // the question to ask back, if that is the decision
	Error        string                `json:"error,omitempty"`
	// OverBudget names the ceiling (calls, tokens or dollars) that kept the policy from
	// spending what it wanted to: the answer is the best so far.
	OverBudget string `json:"over_budget,omitempty"`
	// InsteadOf is the model that was asked first and failed, where Model is another.
	InsteadOf string `json:"instead_of,omitempty"`
	// Audit tells that the answer was picked at random to be labelled.
	Audit bool `json:"audit,omitempty"`

	// Study is what the belief was made from, for those who want to look.
	Study *Study `json:"-"`
}

// Signal is a signal's reading of the answer.
type Signal struct {
	Name   string  `json:"name"`
	Score  float64 `json:"score"` // in [0,1], higher is more trustworthy
	Raw    float64 `json:"raw"`
	Source string  `json:"source"`
	Reads  int     `json:"reads"`         // tokens, samples or replies read
	Why    string  `json:"why,omitempty"` // the reason, where the signal gives one
}

// Alternative is an answer that lost the vote.
type Alternative struct {
	Answer string  `json:"answer"`
	Option string  `json:"option,omitempty"`
	Mass   float64 `json:"mass"` // share of all candidates
	Count  int     `json:"count"`
}

// Claim is a piece of the answer and how far it is supported.
type Claim struct {
	Text      string  `json:"text"`
	Supported float64 `json:"supported"` // in [0,1]
	Span      [2]int  `json:"span"`      // byte offsets in the reply
}

// Spend is what a belief cost.
type Spend struct {
	Calls            int64    `json:"calls"`
	PromptTokens     int64    `json:"prompt_tokens"`
	CompletionTokens int64    `json:"completion_tokens"`
	PromptCached     int64    `json:"prompt_cached_tokens"` // of earlier prompts, not evaluated again
	USD              *float64 `json:"usd"`                  // null where no price is known
	WallMS           int64    `json:"wall_ms"`
	CachedCalls      int64    `json:"cached_calls"`
}

// Study is the inside of a belief: everything that was considered.
type Study struct {
	Question Question // with its options as they were shown
	Result   control.Result
	Readings []calibrate.Named
	Estimate *calibrate.Estimate
	Key      calibrate.Key
	Roles    map[string]llm.Spend
	State    []float32 // hidden state after the question ([WithTrace])
	// Trial goes on where the policy stopped: its samples and what was read of them are paid for.
	Trial *monitor.Trial
}

// SpendOf reports a ledger as a belief does.
func SpendOf(l *llm.Ledger, wall time.Duration) Spend {
	s := l.Spent()
	out := Spend{
		Calls: s.Calls, PromptTokens: s.PromptTokens, CompletionTokens: s.CompletionTokens, PromptCached: s.PromptCached,
		WallMS: wall.Milliseconds(), CachedCalls: s.CachedCalls,
	}
	if usd, ok := s.USD(); ok {
		out.USD = &usd
	}
	return out
}

// finite keeps what JSON cannot carry out of a belief.
func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// MarshalJSON writes empty lists as lists, not as null.
func (b Belief) MarshalJSON() ([]byte, error) {
	type plain Belief
	p := plain(b)
	if p.Signals == nil {
		p.Signals = []Signal{}
	}
	if p.Alternatives == nil {
		p.Alternatives = []Alternative{}
	}
	if p.Claims == nil {
		p.Claims = []Claim{}
	}
	return json.Marshal(p)
}
