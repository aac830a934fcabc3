package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"gnothi"
	"gnothi/catalog"
	"gnothi/control"
	"gnothi/llm"
	"gnothi/llm/local"
	"gnothi/llm/local/models"
	"gnothi/monitor"
	"gnothi/monitor/calibrate"
	"gnothi/monitor/verifier"
)

// numbers are the numeric settings in force, checked.
type numbers struct {
	seed                 uint64
	maxTokens            int
	limits               llm.Limits
	rule                 control.Rule
	samples, temperature string // defaults of a policy's n and t, "" if not set
}

func (c *config) numbers() (n numbers, err error) {
	whole := func(name string, low, high int64) int64 {
		v, perr := strconv.ParseInt(c.String(name), 10, 64)
		if perr != nil || v < low || v > high {
			err = c.bad(name, fmt.Sprintf("a whole number from %d to %d", low, high), err)
		}
		return v
	}
	real := func(name string, low, high float64) float64 {
		v, perr := strconv.ParseFloat(c.String(name), 64)
		if perr != nil || !(v >= low && v <= high) {
			err = c.bad(name, fmt.Sprintf("a number from %g to %g", low, high), err)
		}
		return v
	}
	n.seed = uint64(whole("seed", 1, llm.MaxSeed-1))
	n.maxTokens = int(whole("max-tokens", 0, 1<<20))
	n.limits = llm.Limits{Calls: whole("budget-calls", 0, 1<<40), Tokens: whole("budget-tokens", 0, 1<<50), NanoUSD: int64(real("budget-usd", 0, 1e6) * 1e9)}
	n.rule = control.Rule{Threshold: real("threshold", 0, 1), Hedge: real("hedge", 0, 1)}
	if v := whole("samples", 0, 1000); v > 0 {
		n.samples = strconv.FormatInt(v, 10)
	}
	if v := real("temperature", 0, 2); v > 0 {
		n.temperature = strconv.FormatFloat(v, 'g', -1, 64)
	}
	if err == nil && n.rule.Hedge > 0 && n.rule.Hedge <= n.rule.Threshold {
		err = usagef("hedge %g must be above threshold %g", n.rule.Hedge, n.rule.Threshold)
	}
	return n, err
}

// bad words a wrong value of a setting; the first one is told.
func (c *config) bad(name, want string, first error) error {
	if first != nil {
		return first
	}
	return usagef("%s (%s): %q: want %s", name, c.source(name), c.String(name), want)
}

// policy makes the policy of a name of the configuration or a specification.
func (c *config) policy(spec string, n numbers) (control.Policy, error) {
	defaults := map[string]string{}
	if n.samples != "" {
		defaults["n"] = n.samples
	}
	if n.temperature != "" {
		defaults["t"] = n.temperature
	}
	own, err := c.signals()
	if err != nil {
		return nil, err
	}
	named := c.Get("policies." + spec)
	switch def := named.(type) {
	case nil:
		return catalog.Policy(spec, defaults, own...)
	case string:
		return catalog.Policy(def, defaults, own...)
	case map[string]any:
		p, err := catalog.Composite(def, defaults, own...)
		if err != nil {
			return nil, fmt.Errorf("policies.%s: %w", spec, err)
		}
		return p, nil
	}
	return nil, fmt.Errorf("policies.%s: want a specification or a cascade", spec)
}

// openModel opens the model of the configuration, fetching a known local model
// that is not there yet, and records its calls where --trace asks for it.
func (c *config) openModel(ctx context.Context, cmd *cobra.Command) (llm.Model, func() error, error) {
	return c.openTraced(ctx, cmd, c.String("model"))
}

// openTraced opens a model whose calls are recorded if --trace asks for it.
func (c *config) openTraced(ctx context.Context, cmd *cobra.Command, spec string) (llm.Model, func() error, error) {
	m, closeModel, err := c.openSpec(ctx, cmd, spec)
	path, _ := cmd.Flags().GetString("trace")
	if err != nil || path == "" {
		return m, closeModel, err
	}
	f, err := create(cmd, path)
	if err != nil {
		return nil, nil, errors.Join(usage(err), closeModel())
	}
	return llm.Record(m, f), func() error { return errors.Join(closeModel(), f.Close()) }, nil
}

// timeout is how long a model may stay silent; 0 leaves it to the provider.
func (c *config) timeout() (time.Duration, error) {
	s := c.String("call-timeout")
	if s == "0" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Millisecond && d != 0 || d > 24*time.Hour {
		return 0, c.bad("call-timeout", "a time from 1ms to 24h, such as 90s, or 0", nil)
	}
	return d, nil
}

// openSpec opens a model by its specification or its alias of the configuration.
func (c *config) openSpec(ctx context.Context, cmd *cobra.Command, spec string) (llm.Model, func() error, error) {
	timeout, err := c.timeout()
	if err != nil {
		return nil, nil, err
	}
	o := catalog.ModelOptions{Pull: puller(cmd), Limit: c.limit, Limiters: c.limiters, Timeout: timeout, Abilities: c.abilities(cmd)}
	if err := c.keysAndValues(&o); err != nil {
		return nil, nil, err
	}
	if alias, ok := c.Get("models." + spec).(map[string]any); ok {
		if err := o.Alias(alias); err != nil {
			return nil, nil, usagef("models.%s: %w", spec, err)
		}
		spec = o.Spec
	}
	if err := catalog.CheckModel(spec); err != nil {
		return nil, nil, usage(err)
	}
	if _, listed := catalog.PriceOfSpec(spec); catalog.Remote(spec) && !listed && o.Price == nil && c.Float64("budget-usd") > 0 {
		return nil, nil, usagef("budget-usd: the price of %s is not known, so the ceiling would not hold: give it input_usd and output_usd (dollars a million tokens) under models: in gnothi.yaml, or set budget-tokens", spec)
	}
	m, closeModel, err := catalog.OpenModel(ctx, spec, o)
	if errors.Is(err, fs.ErrNotExist) { // a file that was named: a model, a script, a recording
		err = usage(err)
	}
	if err != nil {
		return nil, nil, err
	}
	return c.cached(ctx, cmd, m, closeModel)
}

// mind makes a Mind of the configuration, with more options after its own. What
// is wrong with a setting is told before the model is opened.
func (c *config) mind(cmd *cobra.Command, more ...gnothi.Option) (*gnothi.Mind, func() error, error) {
	n, err := c.numbers()
	if err != nil {
		return nil, nil, err
	}
	options, err := c.options(n)
	if err != nil {
		return nil, nil, err
	}
	return c.openMind(cmd.Context(), cmd, append(options, more...))
}

// openMind opens the model of the configuration and puts a Mind above it.
func (c *config) openMind(ctx context.Context, cmd *cobra.Command, options []gnothi.Option) (*gnothi.Mind, func() error, error) {
	model, closeModel, err := c.openModel(ctx, cmd)
	if err != nil {
		return nil, nil, err
	}
	next, closeNext, err := c.openNext(ctx, cmd)
	if err != nil {
		return nil, nil, errors.Join(err, closeModel())
	}
	closeBoth := func() error { return errors.Join(closeModel(), closeNext()) }
	mind, err := gnothi.New(model, append(options, next...)...)
	if err != nil {
		return nil, nil, errors.Join(usage(err), closeBoth())
	}
	return mind, closeBoth, nil
}

// openNext opens the model that auto may ask where the first is unsure.
func (c *config) openNext(ctx context.Context, cmd *cobra.Command) (_ []gnothi.Option, closeNext func() error, err error) {
	line := c.String("next")
	if line == "" {
		return nil, func() error { return nil }, nil
	}
	spec, query, _ := strings.Cut(line, "?")
	right, cost, effort := 0.8, 10.0, ""
	params, err := url.ParseQuery(query)
	for name, values := range params {
		if name == "effort" {
			effort = values[0]
			continue
		}
		var v float64
		if v, err = strconv.ParseFloat(values[0], 64); err != nil {
			break
		}
		switch {
		case name == "right" && v > 0 && v < 1:
			right = v
		case name == "cost" && v >= 0 && v < 1e9:
			cost = v
		default:
			err = fmt.Errorf("%s=%s: want right in (0,1), cost, at least 0, or effort", name, values[0])
		}
	}
	if err != nil {
		return nil, nil, usagef("next (%s): %q: %w", c.source("next"), line, err)
	}
	m, closeNext, err := c.openSpec(ctx, cmd, spec)
	if err != nil {
		return nil, nil, err
	}
	return []gnothi.Option{gnothi.WithOffers(control.AskModel(m, effort, right, cost))}, closeNext, nil
}

// puller finds a local model's file and fetches a known one that is not here.
func puller(cmd *cobra.Command) func(context.Context, string) (local.File, error) {
	return func(ctx context.Context, spec string) (local.File, error) {
		store, err := models.Open()
		if err != nil {
			return local.File{}, err
		}
		path, m, err := store.Resolve(ctx, spec)
		if errors.Is(err, models.ErrMissing) {
			var pulled models.Result
			if pulled, err = pullModel(ctx, cmd, store, m.Name); err == nil {
				path = pulled.Path
			}
		}
		if errors.Is(err, models.ErrUnknown) || errors.Is(err, fs.ErrNotExist) {
			err = usage(err)
		}
		return local.File{Path: path, Name: m.Name, SHA256: m.SHA256}, err
	}
}

// options turns the configuration into what a Mind is made with.
func (c *config) options(n numbers) ([]gnothi.Option, error) {
	return c.optionsFor(c.String("policy"), n)
}

// optionsFor is options for another policy than the configuration's.
func (c *config) optionsFor(name string, n numbers) ([]gnothi.Option, error) {
	policy, err := c.policy(name, n)
	if err != nil {
		return nil, usage(err)
	}
	set, err := calibrators()
	if err != nil {
		return nil, err
	}
	switch f := c.String("format"); f {
	case "auto", "shots", "chat":
	default:
		return nil, usagef("format %q: want auto, shots or chat", f)
	}
	signals, err := c.signals()
	if err != nil {
		return nil, err
	}
	var offers []control.Offer
	if _, auto := policy.(control.Auto); auto {
		for _, s := range signals {
			if strings.HasPrefix(s.Name(), "verifier/") {
				// The user's own verdict: taken to be wrong one time in twenty.
				offers = append(offers, control.Check{Signal: s, Hit: 0.95, Alarm: 0.05, Cost: 0.1})
			}
		}
	}
	retrieve, err := c.program("retrieve")
	if err != nil {
		return nil, err
	}
	if retrieve != nil {
		// With the right passage at hand a model is mostly right; it reads a prompt some answers long.
		offers = append(offers, control.AskWithContext(retrieve, 0.8, 5))
	}
	return []gnothi.Option{
		gnothi.WithOffers(offers...),
		gnothi.WithPolicy(name, policy), gnothi.WithSignals(signals...), gnothi.WithCalibrators(set), gnothi.WithRule(n.rule),
		gnothi.WithForm(c.String("format")), gnothi.WithMaxTokens(n.maxTokens), gnothi.WithLimits(n.limits), gnothi.WithSeed(n.seed),
	}, nil
}

// signals are those that the configuration asks for, the verifier's among them.
func (c *config) signals() (signals []monitor.Signal, err error) {
	for _, name := range c.list("signals") {
		s, err := catalog.Signal(name)
		if err != nil {
			return nil, usage(err)
		}
		signals = append(signals, s)
	}
	command, err := c.program("verifier")
	if err != nil {
		return nil, err
	}
	if command != nil {
		signals = append(signals, verifier.New(command))
	}
	return signals, nil
}

// program gives the words of the command line of a setting, nil if there is none.
func (c *config) program(name string) ([]string, error) {
	line := c.String(name)
	if line == "" {
		return nil, nil
	}
	command, err := words(line)
	if err == nil {
		_, err = exec.LookPath(command[0])
	}
	if err != nil {
		return nil, usagef("%s (%s): %q: %w", name, c.source(name), line, err)
	}
	return command, nil
}

// words splits a command line at spaces; quotes, single or double, keep them.
// There are no other special characters, and no shell.
func words(line string) (out []string, err error) {
	var word strings.Builder
	begun, quote := false, rune(0)
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			begun, quote = true, r
		case quote == 0 && unicode.IsSpace(r):
			if begun {
				out = append(out, word.String())
			}
			word.Reset()
			begun = false
		default:
			begun = true
			word.WriteRune(r)
		}
	}
	if begun {
		out = append(out, word.String())
	}
	if quote != 0 {
		return nil, fmt.Errorf("the quote %c is not closed", quote)
	}
	if len(out) == 0 || out[0] == "" {
		return nil, errors.New("there is no command")
	}
	return out, nil
}

// list reads a setting that is a list, or text with commas.
func (c *config) list(name string) []string {
	if l := c.Strings(name); len(l) > 0 {
		return l
	}
	return splitList(c.String(name))
}

// calibrators are those that come with gnothi and the user's own, which win.
func calibrators() (*calibrate.Set, error) {
	set, err := calibrate.Shipped()
	if err != nil {
		return nil, err
	}
	dir, err := calibratorDir()
	if err != nil {
		return set, nil // no configuration folder, so none of the user's own
	}
	if _, err := os.Stat(dir); err != nil {
		return set, nil
	}
	own, err := calibrate.Load(os.DirFS(dir))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	set.Merge(own)
	return set, nil
}

func calibratorDir() (string, error) {
	dir, err := os.UserConfigDir()
	return filepath.Join(dir, "gnothi", "calibrators"), err
}
