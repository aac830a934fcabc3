package gnothi

import (
	"gnothi/monitor"
	"gnothi/monitor/calibrate"
)

// Explanation is the inside of a belief in a form that can be kept and shown: what
// the model said, what was bought, and how the probability came about.
type Explanation struct {
	Stopped string         `json:"stopped"`
	Tie     bool           `json:"tie"`
	Pool    []Sample       `json:"pool"`
	Classes []Class        `json:"classes"`
	Terms   []Term         `json:"terms,omitempty"`
	Key     calibrate.Key  `json:"calibrator_key"`
	Trace   []Step         `json:"trace,omitempty"`
	Bought  []Purchase     `json:"bought,omitempty"`
	Roles   map[string]int `json:"calls_by_role"`
}

// Sample is a reply of the model that was considered.
type Sample struct {
	Origin  monitor.Origin `json:"origin"`
	Text    string         `json:"text"`
	Answer  string         `json:"answer"`
	Status  string         `json:"status"`
	LogProb *float64       `json:"logprob"` // of the whole text; null where it is not known
}

// Class is answers that mean the same.
type Class struct {
	Answer  string  `json:"answer"`
	Members []int   `json:"members"` // indexes into the pool
	Weight  float64 `json:"weight"`
}

// Term is a summand of the probability's log-odds.
type Term struct {
	Name    string  `json:"name"`
	LogOdds float64 `json:"log_odds"`
}

// Step is a round of a loop.
type Step struct {
	Round    int    `json:"round"`
	Before   string `json:"before"`
	Feedback string `json:"feedback"`
	After    string `json:"after"`
	Kept     bool   `json:"kept"`
}

// Purchase is a purchase of auto: what it was expected to be worth, what it
// changed, and what had been spent by then.
type Purchase struct {
	What   string  `json:"what"`
	Gain   float64 `json:"expected_gain"`
	Cost   float64 `json:"cost"` // in first answers
	Answer string  `json:"answer"`
	P      float64 `json:"p"`
	Tokens int64   `json:"tokens"`
}

// Explain tells what the belief was made from. One that was read from JSON has
// lost it: then there is little to tell.
func (b Belief) Explain() Explanation {
	study := b.Study
	if study == nil {
		return Explanation{Stopped: b.Stopped, Roles: map[string]int{}}
	}
	e := Explanation{Stopped: study.Result.Stopped, Tie: study.Result.Tie, Key: study.Key, Roles: map[string]int{}}
	for _, c := range study.Result.Pool {
		s := Sample{Origin: c.Origin, Text: c.Text, Answer: c.Answer.Text, Status: c.Answer.Status.String()}
		if len(c.Tokens) > 0 {
			sum := 0.0
			for _, t := range c.Tokens {
				sum += t.LogProb
			}
			if finite(sum) {
				s.LogProb = &sum
			}
		}
		e.Pool = append(e.Pool, s)
	}
	for _, c := range study.Result.Classes {
		e.Classes = append(e.Classes, Class{c.Answer.Text, c.Members, c.Weight})
	}
	if study.Estimate != nil {
		for _, t := range study.Estimate.Terms {
			e.Terms = append(e.Terms, Term{t.Name, t.Value})
		}
	}
	for _, s := range study.Result.Trace {
		e.Trace = append(e.Trace, Step{s.Round, s.Before.Text, s.Feedback, s.After.Text, s.Kept})
	}
	for _, p := range study.Result.Bought {
		shown := Purchase{What: p.What, Gain: p.Gain, Cost: p.Cost, P: p.P, Tokens: p.Tokens}
		if p.Best != nil {
			shown.Answer = p.Best.Answer.Text
		}
		e.Bought = append(e.Bought, shown)
	}
	for role, spend := range study.Roles {
		e.Roles[role] = int(spend.Calls)
	}
	return e
}
