package catalog

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gnothi/control"
	"gnothi/monitor"
	"gnothi/monitor/consistency"
	"gnothi/monitor/likelihood"
	"gnothi/monitor/verbal"
)

// PolicyEntry is a policy that has a name.
type PolicyEntry struct {
	Name   string
	Help   string
	Params string // its parameters with their defaults, as one would type them
	New    func(*Params) control.Policy
}

// Policies lists every named policy. This is the one place where names become
// policies.
func Policies() []PolicyEntry {
	return []PolicyEntry{
		{"auto", "greedy, then samples in small batches until the answer is settled", "", func(*Params) control.Policy { return control.Auto() }},
		{"direct", "one greedy call and nothing else", "", func(*Params) control.Policy { return control.Direct() }},
		{"self-consistency", "majority of n samples", "n=20&t=0.7", func(p *Params) control.Policy {
			return control.Vote{Sampler: p.samples(), Stop: control.Fixed(p.n(20))}
		}},
		{"adaptive", "samples until the posterior that the leader leads reaches conf", "conf=0.95&n=40&stop=beta&t=0.7", func(p *Params) control.Policy {
			return control.Vote{Sampler: p.samples(), Stop: control.Settled{Conf: p.Float("conf", 0.95, 0.5, 1), Max: p.n(40), Dirichlet: p.Choice("stop", "beta", "dirichlet") == "dirichlet"}}
		}},
		{"early-stopping", "windows of samples until one is unanimous", "window=5&n=40&t=0.7", func(p *Params) control.Policy {
			return control.Vote{Sampler: p.samples(), Stop: control.Window{W: p.Int("window", 5, 1, 1000), Max: p.n(40)}}
		}},
		{"certified", "samples until an anytime-valid test is sure of the leader", "alpha=0.05&n=40&t=0.7", func(p *Params) control.Policy {
			return control.Vote{Sampler: p.samples(), Stop: control.Certified{Alpha: p.Float("alpha", 0.05, 1e-9, 0.5), Max: p.n(40)}}
		}},
		{"self-certainty", "Borda voting by self-certainty", "n=16&p=0.5&t=0.7", func(p *Params) control.Policy {
			n := p.n(16)
			def := 0.5
			if n >= 32 {
				def = 1.2
			}
			return control.Vote{Sampler: p.samples(), Stop: control.Fixed(n), Scorer: likelihood.SelfCertainty(), Aggregate: control.Borda{P: p.Float("p", def, 0, 10)}}
		}},
		{"sharpen", "the most probable of n samples", "n=10&t=1", func(p *Params) control.Policy {
			return control.Vote{Sampler: control.Independent{Sampling: monitor.Sampling{Temperature: p.Float("t", 1, 0.01, 2)}}, Stop: control.Fixed(p.n(10)), Scorer: likelihood.SequenceLogProb(), Aggregate: control.Best{}}
		}},
		{"self-refine", "criticise and revise, for at most so many rounds", "rounds=3", func(p *Params) control.Policy {
			return control.SelfRefine(p.Int("rounds", 3, 1, 20))
		}},
	}
}

// Signals lists every named signal.
func Signals() []monitor.Signal {
	return []monitor.Signal{
		likelihood.MeanLogProb(), likelihood.MinLogProb(), likelihood.SequenceLogProb(), likelihood.TokenEntropy(), likelihood.SelfCertainty(),
		consistency.Agreement(0), consistency.Entropy(0),
		verbal.PTrue(), verbal.Stated(),
	}
}

// Signal finds a signal by name.
func Signal(name string) (monitor.Signal, error) {
	var names []string
	for _, s := range Signals() {
		if s.Name() == name {
			return s, nil
		}
		names = append(names, s.Name())
	}
	return nil, unknown("signal", name, names)
}

// Policy makes a policy of NAME[?key=value&…]. What the specification leaves
// open comes from the defaults: n and t.
func Policy(spec string, defaults map[string]string) (control.Policy, error) {
	name, query, _ := strings.Cut(spec, "?")
	var names []string
	for _, e := range Policies() {
		if e.Name != name {
			names = append(names, e.Name)
			continue
		}
		p, err := parseParams(e, query, defaults)
		if err != nil {
			return nil, fmt.Errorf("policy %s: %w", spec, err)
		}
		policy := e.New(p)
		if p.err != nil {
			return nil, fmt.Errorf("policy %s: %w", spec, p.err)
		}
		return policy, nil
	}
	return nil, unknown("policy", name, names)
}

// Params are the parameters of a specification. The first bad one is kept as
// the error; reading goes on with defaults.
type Params struct {
	values map[string]string
	err    error
}

func parseParams(e PolicyEntry, query string, defaults map[string]string) (*Params, error) {
	given, err := url.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	known, err := url.ParseQuery(e.Params)
	if err != nil {
		return nil, err
	}
	p := &Params{values: map[string]string{}}
	for key, value := range defaults {
		if known.Has(key) {
			p.values[key] = value
		}
	}
	for key, values := range given {
		if !known.Has(key) {
			if len(known) == 0 {
				return nil, fmt.Errorf("parameter %q: %s has none", key, e.Name)
			}
			return nil, fmt.Errorf("parameter %q: want one of %s", key, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		p.values[key] = values[len(values)-1]
	}
	return p, nil
}

// Int reads a whole number in [low, high].
func (p *Params) Int(key string, def, low, high int) int {
	v, ok := p.values[key]
	if !ok {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > high {
		p.fail("%s=%s: want a whole number from %d to %d", key, v, low, high)
		return def
	}
	return n
}

// Float reads a number in [low, high].
func (p *Params) Float(key string, def, low, high float64) float64 {
	v, ok := p.values[key]
	if !ok {
		return def
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f >= low && f <= high) {
		p.fail("%s=%s: want a number from %g to %g", key, v, low, high)
		return def
	}
	return f
}

// Choice reads one of the allowed words; the first is the default.
func (p *Params) Choice(key string, allowed ...string) string {
	v, ok := p.values[key]
	if !ok {
		return allowed[0]
	}
	if !slices.Contains(allowed, v) {
		p.fail("%s=%s: want %s", key, v, strings.Join(allowed, " or "))
		return allowed[0]
	}
	return v
}

func (p *Params) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// unknown says that nothing has the name, and what has nearly that name.
func unknown(what, name string, known []string) error {
	if near := Nearest(name, known); near != "" {
		return fmt.Errorf("no %s is called %q: did you mean %q? `gnothi methods` lists all", what, name, near)
	}
	return fmt.Errorf("no %s is called %q: want one of %s", what, name, strings.Join(known, ", "))
}

func (p *Params) n(def int) int { return p.Int("n", def, 1, 1000) }

func (p *Params) samples() control.Sampler {
	return control.Independent{Sampling: monitor.Sampling{Temperature: p.Float("t", monitor.DefaultSampling.Temperature, 0.01, 2)}}
}

// Composite makes a policy of a mapping of the configuration: a cascade of
// first, signal, threshold and next, where first and next are specifications.
func Composite(def map[string]any, defaults map[string]string) (control.Policy, error) {
	cascade, ok := def["cascade"].(map[string]any)
	if !ok || len(def) != 1 {
		return nil, errors.New("want the one field cascade: {first, signal, threshold, next}")
	}
	var c control.Cascade
	for key, value := range cascade {
		text, isText := value.(string)
		var err error
		switch {
		case key == "threshold":
			var ok bool
			if c.Threshold, ok = number(value); !ok {
				err = fmt.Errorf("threshold %v: want a number", value)
			}
		case !isText:
			err = fmt.Errorf("%s: want text", key)
		case key == "first":
			c.First, err = Policy(text, defaults)
		case key == "next":
			c.Next, err = Policy(text, defaults)
		case key == "signal":
			c.Signal, err = Signal(text)
		default:
			err = fmt.Errorf("unknown field %q: want first, signal, threshold or next", key)
		}
		if err != nil {
			return nil, fmt.Errorf("cascade: %w", err)
		}
	}
	if c.First == nil || c.Next == nil || c.Signal == nil {
		return nil, errors.New("cascade: first, signal and next are needed")
	}
	return c, nil
}
