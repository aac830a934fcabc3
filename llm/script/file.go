package script

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"

	"gnothi/llm"
)

// Open reads a script; the package comment describes the file.
func Open(path string) (*Model, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("script: %w", err)
	}
	return Parse(path, b)
}

// Parse reads a script from memory; path stands in messages.
func Parse(path string, b []byte) (*Model, error) {
	var f file
	if err := yaml.Unmarshal(b, &f); err != nil {
		var at *lineError
		if errors.As(err, &at) {
			return nil, fmt.Errorf("script: %s:%d: %w", path, at.line, at.err)
		}
		return nil, fmt.Errorf("script: %s: %w", path, err)
	}
	if len(f.Rules) == 0 {
		return nil, fmt.Errorf("script: %s: no rules: a script needs at least `rules: [{reply: …}]`", path)
	}
	base := filepath.Base(path)
	m := New(f.answer(path))
	m.id = llm.ID{Provider: "script", Name: strings.TrimSuffix(base, filepath.Ext(base)), Weights: fmt.Sprintf("%x", sha256.Sum256(b))}
	if f.Name != "" {
		m.id.Name = f.Name
	}
	if f.Abilities != nil {
		m.abilities = f.Abilities
	} else {
		m.abilities = append(m.abilities, f.shown()...)
	}
	return m, nil
}

type file struct {
	Name      string        `yaml:"name"`
	Abilities []llm.Ability `yaml:"abilities"`
	Rules     []rule        `yaml:"rules"`
}

func (f *file) UnmarshalYAML(n *yaml.Node) error {
	type plain file
	return decode(n, (*plain)(f), "name", "abilities", "rules")
}

type rule struct {
	When    when    `yaml:"when"`
	Reply   *reply  `yaml:"reply"`
	Replies []reply `yaml:"replies"`
}

func (r *rule) UnmarshalYAML(n *yaml.Node) error {
	type plain rule
	if err := decode(n, (*plain)(r), "when", "reply", "replies"); err != nil {
		return err
	}
	if (r.Reply == nil) == (len(r.Replies) == 0) {
		return at(n, "a rule has either `reply` or a list of `replies`")
	}
	if r.Reply != nil {
		r.Replies = []reply{*r.Reply}
	}
	for _, reply := range r.Replies {
		if r.When.Kind == "score" && reply.Tokens == nil && reply.LogProb == nil && reply.Error == nil && !reply.Hang {
			return at(n, "a score needs `tokens` or `logprob`")
		}
	}
	return nil
}

type when struct {
	Prompt       string  `yaml:"prompt"`
	Match        *expr   `yaml:"match"`
	Role         string  `yaml:"role"`
	Index        indexes `yaml:"index"`
	Kind         string  `yaml:"kind"`
	Continuation string  `yaml:"continuation"`
}

func (w *when) UnmarshalYAML(n *yaml.Node) error {
	type plain when
	if err := decode(n, (*plain)(w), "prompt", "match", "role", "index", "kind", "continuation"); err != nil {
		return err
	}
	if w.Kind != "" && w.Kind != "generate" && w.Kind != "score" {
		return at(n, "kind %q: use generate or score", w.Kind)
	}
	return nil
}

func (w *when) holds(op llm.Op, index int, prompt string) bool {
	score := op.Kind == llm.Score
	return score == (w.Kind == "score") &&
		strings.Contains(prompt, w.Prompt) &&
		(w.Match == nil || w.Match.MatchString(prompt)) &&
		(w.Role == "" || w.Role == op.Role) &&
		(w.Index == nil || slices.Contains(w.Index, index)) &&
		strings.Contains(op.Continuation, w.Continuation)
}

type expr struct{ *regexp.Regexp }

func (e *expr) UnmarshalYAML(n *yaml.Node) (err error) {
	if e.Regexp, err = regexp.Compile(n.Value); err != nil {
		return at(n, "%v", err)
	}
	return nil
}

type indexes []int

func (x *indexes) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.SequenceNode {
		return decode(n, (*[]int)(x))
	}
	var one int
	err := decode(n, &one)
	*x = []int{one}
	return err
}

// duration is a time such as 150ms.
type duration time.Duration

func (d *duration) UnmarshalYAML(n *yaml.Node) error {
	t, err := time.ParseDuration(n.Value)
	if err != nil || t < 0 {
		return at(n, "%q is no duration: write 150ms, 2s, …", n.Value)
	}
	*d = duration(t)
	return nil
}

type reply struct {
	Text      string   `yaml:"text"`
	Times     int      `yaml:"times"`
	Tokens    []token  `yaml:"tokens"`
	LogProb   *logProb `yaml:"logprob"`
	Reasoning string   `yaml:"reasoning"`
	Finish    string   `yaml:"finish"`
	Usage     *usage   `yaml:"usage"`
	Delay     duration `yaml:"delay"`
	Pace      duration `yaml:"pace"`
	Hang      bool     `yaml:"hang"`
	Error     *failure `yaml:"error"`
	Raw       any      `yaml:"raw"`

	rawJSON json.RawMessage
}

func (r *reply) UnmarshalYAML(n *yaml.Node) error {
	type plain reply
	if n.Kind == yaml.ScalarNode {
		r.Text, r.Times = n.Value, 1
		return nil
	}
	if err := decode(n, (*plain)(r), "text", "times", "tokens", "logprob", "reasoning", "finish", "usage", "delay", "pace", "hang", "error", "raw"); err != nil {
		return err
	}
	switch {
	case r.Times < 0 || r.Times > 1<<20:
		return at(n, "times %d is out of range", r.Times)
	case r.Times == 0:
		r.Times = 1
	}
	if r.Tokens != nil && r.LogProb != nil {
		return at(n, "a reply has either `tokens` or one `logprob` for all")
	}
	if r.Raw != nil {
		b, err := json.Marshal(r.Raw)
		if err != nil {
			return at(n, "raw: %v", err)
		}
		r.rawJSON = b
	}
	return nil
}

// logProb is a natural logarithm of a probability: finite and at most 0.
type logProb float64

func (l *logProb) UnmarshalYAML(n *yaml.Node) error {
	if err := decode(n, (*float64)(l)); err != nil {
		return err
	}
	if v := float64(*l); !(v <= 0) || math.IsInf(v, 0) {
		return at(n, "log-probability %v is not a finite number of at most 0", v)
	}
	return nil
}

type token struct {
	Token   string  `yaml:"token"`
	LogProb logProb `yaml:"logprob"`
	Top     []token `yaml:"top"`
	Dist    *dist   `yaml:"dist"`
}

func (t *token) UnmarshalYAML(n *yaml.Node) error {
	type plain token
	return decode(n, (*plain)(t), "token", "logprob", "top", "dist")
}

func (t token) token() llm.Token {
	out := llm.Token{Text: t.Token, LogProb: float64(t.LogProb)}
	for _, alt := range t.Top {
		out.Top = append(out.Top, llm.TopToken{Text: alt.Token, LogProb: float64(alt.LogProb)})
	}
	if t.Dist != nil {
		out.Dist = &llm.Dist{Entropy: t.Dist.Entropy, LogZ: t.Dist.LogZ, KLUniform: t.Dist.KLUniform, Vocab: t.Dist.Vocab}
	}
	return out
}

type dist struct {
	Entropy   float64 `yaml:"entropy"`
	LogZ      float64 `yaml:"log_z"`
	KLUniform float64 `yaml:"kl_uniform"`
	Vocab     int     `yaml:"vocab"`
}

func (d *dist) UnmarshalYAML(n *yaml.Node) error {
	type plain dist
	return decode(n, (*plain)(d), "entropy", "log_z", "kl_uniform", "vocab")
}

type usage struct {
	Prompt     int64 `yaml:"prompt"`
	Completion int64 `yaml:"completion"`
}

func (u *usage) UnmarshalYAML(n *yaml.Node) error {
	type plain usage
	return decode(n, (*plain)(u), "prompt", "completion")
}

type failure struct {
	Status     int      `yaml:"status"`
	Type       string   `yaml:"type"`
	Code       string   `yaml:"code"`
	Message    string   `yaml:"message"`
	RetryAfter duration `yaml:"retry_after"`
	Temporary  *bool    `yaml:"temporary"`
	Times      int      `yaml:"times"`
	After      int      `yaml:"after"`
}

func (f *failure) UnmarshalYAML(n *yaml.Node) error {
	type plain failure
	return decode(n, (*plain)(f), "status", "type", "code", "message", "retry_after", "temporary", "times", "after")
}

func (f *failure) error() error {
	e := &llm.APIError{Provider: "script", Status: f.Status, Type: f.Type, Code: f.Code, Message: f.Message, RetryAfter: time.Duration(f.RetryAfter), Temporary: temporary(f.Status)}
	if f.Temporary != nil {
		e.Temporary = *f.Temporary
	}
	return e
}

// shown are the abilities that a script's replies give evidence of.
func (f *file) shown() (a []llm.Ability) {
	var probs, dists, score bool
	for _, r := range f.Rules {
		score = score || r.When.Kind == "score"
		for _, reply := range r.Replies {
			probs = probs || reply.LogProb != nil || len(reply.Tokens) > 0
			dists = dists || slices.ContainsFunc(reply.Tokens, func(t token) bool { return t.Dist != nil })
		}
	}
	for _, s := range []struct {
		shown   bool
		ability llm.Ability
	}{{probs, llm.LogProbs}, {dists, llm.Distribution}, {score, llm.ScoreText}} {
		if s.shown {
			a = append(a, s.ability)
		}
	}
	return a
}

// answer makes the function that looks replies up.
func (f *file) answer(path string) Func {
	type place struct {
		failure *failure
		index   int
	}
	var mu sync.Mutex
	given := map[place]int{} // how often each error was given

	return func(op llm.Op, index int) Reply {
		prompt := Prompt(op.Request)
		for _, rule := range f.Rules {
			if !rule.When.holds(op, index, prompt) {
				continue
			}
			r := pick(rule.Replies, index)
			out := Reply{
				Text: r.Text, Reasoning: r.Reasoning, Finish: r.Finish, Hang: r.Hang,
				Delay: time.Duration(r.Delay), Pace: time.Duration(r.Pace), Raw: r.rawJSON,
			}
			for _, t := range r.Tokens {
				out.Tokens = append(out.Tokens, t.token())
			}
			if r.LogProb != nil {
				text := r.Text
				if op.Kind == llm.Score {
					text = op.Continuation
				}
				out.Tokens = Words(text, float64(*r.LogProb))
			}
			if r.Usage != nil {
				out.Usage = &llm.Usage{PromptTokens: r.Usage.Prompt, CompletionTokens: r.Usage.Completion}
			}
			if r.Error != nil {
				mu.Lock()
				p := place{r.Error, index}
				given[p]++
				if r.Error.Times == 0 || given[p] <= r.Error.Times {
					out.Err, out.After = r.Error.error(), r.Error.After
				}
				mu.Unlock()
			}
			return out
		}
		return Reply{Err: noRule(path, op)}
	}
}

// pick gives the reply of a repeat index, counting each reply `times` times.
func pick(replies []reply, index int) *reply {
	total := 0
	for _, r := range replies {
		total += r.Times
	}
	i := index % total
	for k := range replies {
		if i -= replies[k].Times; i < 0 {
			return &replies[k]
		}
	}
	return nil // total is the sum of what was subtracted
}

// lineError carries the line of what is wrong.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return e.err.Error() }
func (e *lineError) Unwrap() error { return e.err }

func at(n *yaml.Node, format string, args ...any) error {
	return &lineError{n.Line, fmt.Errorf(format, args...)}
}

// decode reads a node into v and refuses fields that are not known: a typo in
// a condition would otherwise make a rule hold always.
func decode(n *yaml.Node, v any, known ...string) error {
	if known != nil {
		if n.Kind != yaml.MappingNode {
			return at(n, "want a mapping with the fields %s", strings.Join(known, ", "))
		}
		for i := 0; i < len(n.Content); i += 2 {
			if key := n.Content[i]; !slices.Contains(known, key.Value) {
				return at(key, "unknown field %q: known are %s", key.Value, strings.Join(known, ", "))
			}
		}
	}
	err := n.Decode(v)
	var inner *lineError
	var typed *yaml.TypeError
	switch {
	case errors.As(err, &inner):
		return err
	case errors.As(err, &typed):
		return at(n, "%s", strings.TrimPrefix(typed.Errors[0], fmt.Sprintf("line %d: ", n.Line)))
	}
	return err
}
