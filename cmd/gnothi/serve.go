package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gnothi/catalog"
	"gnothi/control"
	"gnothi/gateway"
	"gnothi/llm"
	"gnothi/llm/local"
	"gnothi/llm/openai"
)

func serveCmd() *cobra.Command {
	var feedback, stateFlag string
	var runs []string
	var trials trialFlags
	var secure tlsFlags
	var traces traceFlags
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve an OpenAI-compatible API whose answers carry beliefs",
		Long: `Serve the OpenAI API in front of a model: whoever changes their base URL to it
gets the same answers as before, each with a gnothi object that says how far to
trust it. A request chooses its policy in a gnothi object of its own or by the
model's name, NAME+POLICY; --policy holds for those that do not. --threshold,
--hedge and the budgets hold for each request.

Its pages show what is asked as it comes, each trial in depth, reliability and
spend; --no-trials keeps nothing to show. --run adds runs of gnothi eval: their
reports, and all of their items. With an API key, browsers ask for it as the
password.

Verdicts (POST /v1/feedback, or the pages) are kept with the trials; --audit marks
answers at random to be labelled, gnothi calibrate --from-feedback learns from them,
and a calibrator that no longer holds is withdrawn.

It listens on this machine only, unless told otherwise and given an API key. On
SIGHUP it reads its configuration again: requests under way end as they began, and
a configuration that cannot be used changes nothing.`,
		Example: `  gnothi serve
  gnothi serve --model openai:gpt-4.1-mini --policy direct
  gnothi serve --model openai:llama3@http://127.0.0.1:11434/v1 --threshold 0.6
  gnothi serve --audit 0.02 --trials-keep 7d
  gnothi serve --run runs/qa-1 --run runs/qa-2
  GNOTHI_API_KEY=… gnothi serve --listen 0.0.0.0:8317 --feedback feedback.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for name, why := range notServed {
				if cmd.Flags().Changed(name) {
					return usagef("--%s: serve has no such flag: %s", name, why)
				}
			}
			return serve(cmd, feedback, timeout, runs, stateFlag, &trials, secure, traces)
		},
	}
	f := cmd.Flags()
	modelFlags(f)
	for name := range notServed {
		_ = f.MarkHidden(name)
	}
	f.String("listen", settings["listen"].def, settings["listen"].help+", HOST:PORT")
	f.String("api-key", "", settings["api-key"].help+" (better in GNOTHI_API_KEY: other users of the machine see flags)")
	f.StringVar(&feedback, "feedback", "", "file that keeps the verdicts of POST /v1/feedback, JSON Lines")
	f.StringVar(&stateFlag, "state", "", "folder for what the server remembers; none: nothing is kept on disk (default: a folder of the user's, by address and port)")
	trials.add(f)
	guardFlags(f)
	secure.add(f)
	traces.add(f)
	cmd.AddCommand(keyCmd())
	f.StringArrayVar(&runs, "run", nil, "folder of a run of gnothi eval, to look at under /runs/NAME/; may be given again")
	f.DurationVar(&timeout, "timeout", 10*time.Minute, "longest time for a request, a stream up to its first event")
	return cmd
}

// notServed are flags of commands that ask a model which would change nothing here.
var notServed = map[string]string{
	"call-timeout": "it has --connect-timeout, --first-byte-timeout and --idle-timeout",
	"format":       "clients put their questions themselves",
	"next":         "another model is asked only where the first fails, by fallback of its alias",
	"retrieve":     "clients put the context into their messages",
	"trace":        "its trials are in its folder of state, and --otlp sends traces",
}

func serve(cmd *cobra.Command, feedback string, timeout time.Duration, runs []string, stateFlag string, trials *trialFlags, secure tlsFlags, traces traceFlags) (err error) {
	c, err := loadConfig(cmd.Flags())
	if err != nil {
		return err
	}
	o, err := c.gateway()
	if err != nil {
		return err
	}
	o.Timeout, o.Log = timeout, serverLog(cmd)
	limits, err := c.guarded(cmd, &o)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	closeRuns, err := openRuns(ctx, &o, runs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeRuns()) }()
	listener, err := gateway.Listen(ctx, c.String("listen"), secretOf(o))
	if errors.Is(err, gateway.ErrOpen) {
		return usagef("%w: set GNOTHI_API_KEY, or keys in gnothi.yaml, or listen on 127.0.0.1", err)
	}
	if err != nil {
		return err
	}
	defer listener.Close() // a second time after Serve
	address := listener.Addr()
	listener, certificate, err := secure.listener(listener)
	if err != nil {
		return err
	}
	dir, err := stateDir(stateFlag, c.String("listen"))
	if err != nil {
		return err
	}
	kept, err := openState(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kept.Close()) }()
	closeTrials, err := trials.open(ctx, kept, &o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeTrials()) }()
	closeBooks, err := openBooks(ctx, kept, &o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeBooks()) }()
	if feedback != "" {
		file, err := os.OpenFile(feedback, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		defer file.Close()
		o.Feedback = file
	}
	closeTraces, err := traces.open(ctx, &o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeTraces()) }()
	closeCache, err := c.openServedCache(ctx, kept, &o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeCache()) }()
	o.Metrics = gateway.NewMetrics()
	closeModel, err := c.openServed(ctx, cmd, limits, &o)
	if err != nil {
		return err
	}
	g, err := gateway.New(o)
	if err == nil {
		err = announce(cmd, address.String(), certificate != nil, g)
	}
	if err != nil {
		return errors.Join(err, closeModel())
	}
	r := &reloads{cmd: cmd, first: o, serving: gateway.NewSwitch(g), tls: certificate, address: address, log: o.Log, close: closeModel}
	stop := trials.watch(ctx, r.serving.Gateway)
	defer stop()
	return r.serve(ctx, listener)
}

// announce prints the line that says where the server is.
func announce(cmd *cobra.Command, address string, secure bool, g *gateway.Gateway) error {
	url := "http://" + address + "/v1"
	if secure {
		url = "https://" + address + "/v1"
	}
	if wantsJSON(cmd) {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"url": url, "model": g.Name, "policy": g.Policy})
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "serving %s at %s (policy %s)\n", g.Name, url, g.Policy)
	return err
}

// serverLog writes a line for each request to standard error.
func serverLog(cmd *cobra.Command) *slog.Logger {
	w := cmd.ErrOrStderr()
	if quiet, _ := cmd.Flags().GetBool("quiet"); quiet {
		return slog.New(slog.DiscardHandler)
	}
	if wantsJSON(cmd) {
		return slog.New(slog.NewJSONHandler(w, nil))
	}
	return slog.New(slog.NewTextHandler(w, nil))
}

// gateway turns the configuration into what a gateway is made of, but for the
// model.
func (c *config) gateway() (o gateway.Options, err error) {
	n, err := c.numbers()
	if err != nil {
		return o, err
	}
	o = gateway.Options{
		Policy: c.String("policy"), Rule: n.rule, Limits: n.limits, Seed: n.seed, MaxTokens: n.maxTokens,
		Withheld: c.String("withheld"), APIKey: c.String("api-key"),
		Policies: func(spec string) (control.Policy, error) { return c.policy(spec, n) },
	}
	if _, err := o.Policies(o.Policy); err != nil {
		return o, usage(err)
	}
	for _, e := range catalog.Policies() {
		o.PolicyNames = append(o.PolicyNames, e.Name)
	}
	if named, ok := c.Get("policies").(map[string]any); ok {
		o.PolicyNames = append(o.PolicyNames, slices.Sorted(maps.Keys(named))...)
	}
	if o.Signals, err = c.signals(); err != nil {
		return o, err
	}
	o.Calibrators, err = calibrators()
	return o, err
}

// openServed opens the model of the configuration, with what a gateway needs of
// it beside answers.
func (c *config) openServed(ctx context.Context, cmd *cobra.Command, g guarded, o *gateway.Options) (closeModel func() error, err error) {
	spec := c.String("model")
	if o.Guards == nil { // else those of before a reload, which know how the upstreams are
		o.Guards = &llm.Guards{Breaker: g.breaker, RetryShare: g.retryShare}
	}
	limiters, others := &catalog.Limiters{One: true}, &catalog.Limiters{}
	o.Limiters = func() map[string]llm.LimitStats {
		stats := others.Stats()
		maps.Copy(stats, limiters.Stats())
		return stats
	}
	m := catalog.ModelOptions{
		Pull: puller(cmd), Abilities: c.abilities(cmd), Limit: g.limit, Limiters: limiters, Guards: o.Guards,
		Connect: g.connect, FirstByte: g.firstByte, Idle: g.idle,
	}
	if err := c.keysAndValues(&m); err != nil {
		return nil, err
	}
	if alias, ok := c.Get("models." + spec).(map[string]any); ok {
		if err := m.Alias(alias); err != nil {
			return nil, usagef("models.%s: %w", spec, err)
		}
		spec = m.Spec
	}
	if err := needsPrice(spec, m, o); err != nil {
		return nil, err
	}
	closeNext, err := c.openFallback(ctx, m, others, o)
	if err != nil {
		return nil, err
	}
	provider, name, _ := strings.Cut(spec, ":")
	switch provider {
	case "local":
		closeModel, err = openNative(ctx, name, m, o)
	case "openai", "responses":
		o.Upstream = upstreamOf(ctx, provider, name, m)
		fallthrough
	default:
		o.Model, closeModel, err = catalog.OpenModel(ctx, spec, m)
	}
	if err != nil {
		return nil, errors.Join(err, closeNext())
	}
	closeFirst := closeModel // the named result is about to be this very function
	return func() error { return errors.Join(closeFirst(), closeNext()) }, nil
}

// openNative opens a model in this process. It is kept in hand, since the
// endpoints below the level of text go past the contract of models.
func openNative(ctx context.Context, name string, m catalog.ModelOptions, o *gateway.Options) (func() error, error) {
	if name == "" {
		return nil, usagef("model %q: want local:NAME or local:FILE", "local:")
	}
	file, err := m.Pull(ctx, name)
	if err != nil {
		return nil, err
	}
	opened, err := local.Open(file, m.Local())
	if err != nil {
		return nil, fmt.Errorf("model local:%s: %w", name, err)
	}
	o.Model, o.Native = llm.Metered(opened, &llm.Price{}), opened
	return opened.Close, nil
}

// upstreamOf describes the server behind PROVIDER:NAME[@BASE_URL]. Its other
// models are opened with the server's own URL, always written out: what a client
// puts into a name must not say where the key goes.
func upstreamOf(ctx context.Context, provider, name string, m catalog.ModelOptions) *gateway.Upstream {
	base := openai.DefaultBaseURL
	if i := strings.LastIndex(name, "@http"); i >= 0 {
		base = name[i+1:]
	}
	m.Price = nil // the price of the configured model
	ctx = context.WithoutCancel(ctx)
	return &gateway.Upstream{
		Keyed: os.Getenv(cmp.Or(m.KeyEnv, "OPENAI_API_KEY")) != "",
		Open: func(other string) (llm.Model, error) {
			model, _, err := catalog.OpenModel(ctx, provider+":"+other+"@"+base, m)
			return model, err
		},
	}
}
