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
	"gnothi/monitor/claims"
	"gnothi/monitor/consistency"
	"gnothi/monitor/judge"
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
		{"auto", "buys evidence while it is worth its cost: greedy, samples, checks", "price=0.003&n=40&t=0.7&check=&hit=0.8&alarm=0.3&ambiguous=0", auto},
		{"direct", "one greedy call and nothing else", "", func(*Params) control.Policy { return control.Direct() }},
		{"self-consistency", "majority of n samples", "n=20&t=0.7", func(p *Params) control.Policy {
			return control.Vote{Sampler: p.samples(), Stop: control.Fixed(p.n(20))}
		}},
		{"adaptive", "samples until the posterior that the leader leads reaches conf", "conf=0.95&n=40&stop=beta&t=0.7", func(p *Params) control.Policy {
			return control.Vote{Sampler: p.samples(), Stop: control.Settled{Conf: p.Float("conf", 0.95, 0.5, 1), Max: p.n(40), Dirichlet: p.Choice("stop", "beta", "dirichlet") == "dirichlet"}}
		}},
		{"difficulty-adaptive", "over a batch: ranks by difficulty, samples the hard, answers the easy once", "window=5&n=40&t=0.7", func(p *Params) control.Policy {
			d := control.NewDifficultyAdaptive()
			d.Window, d.Max, d.Sampling.Temperature = p.Int("window", d.Window, 1, 1000), p.n(d.Max), p.Float("t", d.Sampling.Temperature, 0.01, 2)
			return d
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
		{"sharpen", "the most probable of n samples, by the sum over its tokens or, which favours no short ones, their mean", "n=10&t=1&by=sum", func(p *Params) control.Policy {
			by := likelihood.SequenceLogProb()
			if p.Choice("by", "sum", "mean") == "mean" {
				by = likelihood.MeanLogProb()
			}
			return control.Vote{Sampler: control.Independent{Sampling: monitor.Sampling{Temperature: p.Float("t", 1, 0.01, 2)}}, Stop: control.Fixed(p.n(10)), Scorer: by, Aggregate: control.Best{}}
		}},
		{"cot-decoding", "greedy continuations of the k likeliest first tokens, weighed by the gap on the answer", "k=10", func(p *Params) control.Policy {
			return control.CoTDecoding(p.Int("k", 10, 1, 20), likelihood.AnswerSpanGap())
		}},
		{"deepening", "samples written in growing budgets, told to look back between", "start=512&growth=2&max=8192&n=4&t=0.7", func(p *Params) control.Policy {
			return control.Vote{Stop: control.Fixed(p.n(4)), Sampler: control.Deepening{
				Sampling: p.sampling(), Start: p.Int("start", 512, 1, 1<<20), Max: p.Int("max", 8192, 1, 1<<20), Growth: p.Float("growth", 2, 1.01, 100)}}
		}},
		{"self-verify", "majority of the samples that the model itself accepts", "n=8&votes=1", func(p *Params) control.Policy {
			return control.SelfVerify(p.n(8), p.Int("votes", 1, 1, 99))
		}},
		{"tournament", "the sample that wins most duels against the others", "n=4", func(p *Params) control.Policy {
			return control.Tournament(p.Int("n", 4, 2, 100), (&judge.Judge{}).Duel)
		}},
		{"step-search", "the best of w continuations at each step, by duels", "w=6", func(p *Params) control.Policy {
			return control.StepSearch(p.Int("w", 6, 2, 100), (&judge.Judge{}).Duel)
		}},
		{"summarise", "one answer that states the spread of n samples", "n=20", func(p *Params) control.Policy {
			return control.Summarise(p.n(20))
		}},
		{"retry", "an independent sample in place of each revision: the control of every loop", "rounds=1&verifier=&at=0.5", func(p *Params) control.Policy {
			return control.Retry(p.verifier(false), p.Int("rounds", 1, 1, 1000))
		}},
		{"review", "keep the answer if sure of it, else update, and decide between two", "sure=very confident", func(p *Params) control.Policy {
			return control.Review(p.Words("sure", "very confident"))
		}},
		{"self-contrast", "answers from several perspectives, and a checklist of what differs", "perspectives=3", func(p *Params) control.Policy {
			return control.SelfContrast(p.Int("perspectives", 3, 2, 9))
		}},
		{"recursive-critique", "critiques of critiques, and a judge of the last", "depth=2&blind=no", func(p *Params) control.Policy {
			return control.RecursiveCritique(p.Int("depth", 2, 0, 9), p.Choice("blind", "no", "yes") == "yes")
		}},
		{"reflect-retry", "where the verifier fails an answer, reflect and answer afresh", "retries=1&verifier=&at=0.5&style=reflection", func(p *Params) control.Policy {
			return control.ReflectRetry(p.verifier(true), p.Choice("style", append([]string{"reflection"}, control.ReflectionStyles()...)...), p.Int("retries", 1, 1, 100))
		}},
		{"debias", "name invalid assumptions first, or answer again without bias", "by=explanation", func(p *Params) control.Policy {
			return control.Debias(p.Choice("by", "explanation", "reprompting") == "explanation")
		}},
		{"kind", "imagine how the readers of a draft feel, and rewrite it", "imagine=others", func(p *Params) control.Policy {
			return control.Kind(p.Choice("imagine", "others", "self") == "self")
		}},
		{"patternreframe", "name the unhelpful patterns of a thought and reframe it", "", func(*Params) control.Policy { return control.PatternReframe() }},
		{"historical-analogy", "past events that are like one, checked and proposed again", "rounds=3", func(p *Params) control.Policy {
			return control.HistoricalAnalogy(p.Int("rounds", 3, 1, 20))
		}},
		{"guided", "a teacher's remark, and the attempt continued in its light", "remark=critique", func(p *Params) control.Policy {
			return control.Guided(p.Choice("remark", append([]string{"critique"}, control.Guidances()...)...))
		}},
		{"gate", "withholds the answer where a signal of the question is too low, else answers directly", "by=verbal/familiarity&at=0.003", func(p *Params) control.Policy {
			g := control.Gate{Signal: verbal.Familiarity(), At: p.Float("at", 0.003, 0, 1), Next: control.Direct()}
			if p.Choice("by", "verbal/familiarity", "verbal/can-i") == "verbal/can-i" {
				g.Signal = verbal.CanI()
			}
			return g
		}},
		{"self-refine", "criticise and revise, for at most so many rounds", "rounds=3", func(p *Params) control.Policy {
			return control.SelfRefine(p.Int("rounds", 3, 1, 20))
		}},
	}
}

// Signals lists every named signal.
func Signals() []monitor.Signal {
	return []monitor.Signal{
		likelihood.MeanLogProb(), likelihood.MinLogProb(), likelihood.SequenceLogProb(), likelihood.TokenEntropy(), likelihood.SelfCertainty(), likelihood.AnswerSpanGap(),
		likelihood.TopEntropy(), likelihood.MaxTopEntropy(), likelihood.Margin(), likelihood.TailMass(), likelihood.Renyi(), likelihood.FisherRao(), likelihood.TokenSAR(),
		consistency.Agreement(0), consistency.AgreementBy(0, consistency.ByMeaning), consistency.AgreementBy(0, consistency.ByInference), consistency.ExactMatch(), consistency.NovelWords(),
		consistency.Entropy(0), consistency.EntropyBy(0, consistency.ByMeaning), consistency.EntropyBy(0, consistency.ByInference),
		consistency.SemanticEntropy(consistency.ByAnswer), consistency.SemanticEntropy(consistency.ByMeaning), consistency.SemanticEntropy(consistency.ByInference),
		consistency.Sets(consistency.ByAnswer), consistency.Sets(consistency.ByMeaning), consistency.Sets(consistency.ByInference),
		consistency.SequenceEntropy(), consistency.TokenRate(), consistency.MeanProbability(),
		consistency.Lexical(consistency.Rouge1), consistency.Lexical(consistency.Rouge2), consistency.Lexical(consistency.RougeL), consistency.Lexical(consistency.BLEU),
		consistency.Degree(consistency.Jaccard), consistency.Degree(consistency.Entailment), consistency.Degree(consistency.Consistent),
		consistency.Eigenvalues(consistency.Jaccard), consistency.Eigenvalues(consistency.Entailment), consistency.Eigenvalues(consistency.Consistent),
		consistency.Eccentric(consistency.Jaccard), consistency.Eccentric(consistency.Entailment), consistency.Eccentric(consistency.Consistent),
		consistency.NonContradiction(), consistency.Entailed(), consistency.Similar(consistency.RougeL), consistency.Similar(consistency.Likeness),
		consistency.Kernel(), consistency.Unsupported(), consistency.Density(),
		consistency.SentenceSAR(consistency.RougeL), consistency.SentenceSAR(consistency.Likeness), consistency.FullSAR(consistency.RougeL), consistency.FullSAR(consistency.Likeness),
		consistency.CoCoA("sequence", consistency.RougeL), consistency.CoCoA("token", consistency.RougeL), consistency.CoCoA("sequence", consistency.Likeness), consistency.CoCoA("token", consistency.Likeness), consistency.CoCoA("entropy", consistency.Likeness),
		verbal.PTrue(), verbal.Stated(), verbal.PTrueSamples(verbal.Brainstormed), verbal.PTrueSamples(0), verbal.CanI(), verbal.Familiarity(),
		(&judge.Judge{}).Signal(), control.SelfVerified(1), control.WinShare((&judge.Judge{}).Duel),
		claims.Signal(claims.Samples{}), claims.Signal(claims.Samples{CoT: true}), claims.Signal(claims.Context{}), claims.Signal(claims.Knowledge{}),
		claims.Signal(claims.NGram{}), claims.Signal(claims.Particulars{}), claims.Signal(claims.SelfCheck()), claims.FactScore(),
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
// open comes from the defaults: n and t. It may name the user's own signals
// besides the listed ones; where it needs a verifier and names none, the first
// of them that is called verifier/… is it.
func Policy(spec string, defaults map[string]string, own ...monitor.Signal) (control.Policy, error) {
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
		p.own = own
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
	own    []monitor.Signal // the user's
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

// auto reads the parameters of [control.Auto]. check names a signal that may
// check answers; hit and alarm are how often it passes a right and a wrong one.
func auto(p *Params) control.Policy {
	a := control.DefaultAuto()
	a.Price, a.Max = p.Float("price", a.Price, 0, 1), p.n(a.Max)
	a.Sampling.Temperature = p.Float("t", a.Sampling.Temperature, 0.01, 2)
	if name := p.values["check"]; name != "" {
		signal, err := p.signal(name)
		if err != nil {
			p.fail("check=%s: %w", name, err)
		}
		hit, alarm := p.Float("hit", 0.8, 0.001, 0.999), p.Float("alarm", 0.3, 0.001, 0.999)
		if hit <= alarm {
			p.fail("hit=%g, alarm=%g: a check that passes wrong answers as often as right ones tells nothing", hit, alarm)
		}
		a.More = append(a.More, control.Check{Signal: signal, Hit: hit, Alarm: alarm, Cost: 1})
	}
	if p := p.Float("ambiguous", 0, 0, 1); p > 0 {
		a.More = append(a.More, control.AskBack{Ambiguous: p})
	}
	return a
}

func (p *Params) n(def int) int { return p.Int("n", def, 1, 1000) }

func (p *Params) sampling() monitor.Sampling {
	return monitor.Sampling{Temperature: p.Float("t", monitor.DefaultSampling.Temperature, 0.01, 2)}
}

func (p *Params) samples() control.Sampler { return control.Independent{Sampling: p.sampling()} }

// signal finds a signal among the user's own and the listed ones.
func (p *Params) signal(name string) (monitor.Signal, error) {
	for _, s := range p.own {
		if s.Name() == name {
			return s, nil
		}
	}
	return Signal(name)
}

// verifier reads the parameters verifier, the name of a signal, and at, the
// score from which an answer passes.
func (p *Params) verifier(needed bool) *control.Verifier {
	v := &control.Verifier{At: p.Float("at", 0.5, 0, 1)}
	if name := p.values["verifier"]; name != "" {
		var err error
		if v.Signal, err = p.signal(name); err != nil {
			p.fail("verifier: %w", err)
			return nil
		}
		return v
	}
	for _, s := range p.own {
		if strings.HasPrefix(s.Name(), "verifier/") {
			v.Signal = s
			return v
		}
	}
	if needed {
		p.fail("needs a verifier: a program (--verifier CMD), or verifier=SIGNAL&at=SCORE, for example verifier=verbal/p-true")
	}
	return nil
}

// Words reads a few words that go into a prompt as ours: letters and blanks.
func (p *Params) Words(key, def string) string {
	v, ok := p.values[key]
	if !ok {
		return def
	}
	plain := strings.IndexFunc(v, func(r rune) bool { return r != ' ' && !('a' <= r && r <= 'z') && !('A' <= r && r <= 'Z') }) < 0
	if v = strings.TrimSpace(v); !plain || v == "" || len(v) > 60 {
		p.fail("%s=%s: want a few words", key, v)
		return def
	}
	return v
}

// Composite makes a policy of a mapping of the configuration: a cascade of
// first, signal, threshold and next, where first and next are specifications.
func Composite(def map[string]any, defaults map[string]string, own ...monitor.Signal) (control.Policy, error) {
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
			c.First, err = Policy(text, defaults, own...)
		case key == "next":
			c.Next, err = Policy(text, defaults, own...)
		case key == "signal":
			c.Signal, err = (&Params{own: own}).signal(text)
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
