package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gnothi/catalog"
	"gnothi/gateway"
	"gnothi/llm"
	"gnothi/store"
)

// booksFile is the file of the books in a state folder.
const booksFile = "books.sqlite"

// guardFlags adds the flags of serve about money, rates and faults.
func guardFlags(f *pflag.FlagSet) {
	for _, name := range []string{
		"day-calls", "day-tokens", "day-usd", "over-budget", "rpm", "tpm", "concurrency",
		"connect-timeout", "first-byte-timeout", "idle-timeout", "breaker-failures", "breaker-open", "retry-share",
	} {
		f.String(name, settings[name].def, settings[name].help)
	}
	f.Bool("log-prompts", false, "put the questions of clients into the log")
}

// guarded is the part of the configuration that keeps what is spent, and how fast
// upstreams are asked, within bounds.
type guarded struct {
	limit                    llm.LimitOptions
	connect, firstByte, idle time.Duration
	breaker                  llm.BreakerOptions
	retryShare               float64
}

// guarded reads it, and tells the gateway of the clients' part.
func (c *config) guarded(cmd *cobra.Command, o *gateway.Options) (g guarded, err error) {
	whole := func(name string) int64 {
		v := c.Float64(name)
		if !(v >= 0 && v <= 1<<50 && v == math.Trunc(v)) || v == 0 && c.String(name) != "0" {
			err = c.bad(name, "a whole number, or 0 for none", err)
		}
		return int64(v)
	}
	span := func(name string) time.Duration {
		s := c.String(name)
		d, e := time.ParseDuration(s)
		if s != "0" && (e != nil || d < time.Millisecond || d > 24*time.Hour) {
			err = c.bad(name, "a time from 1ms to 24h, such as 90s, or 0", err)
		}
		return d
	}
	o.Day = llm.Limits{Calls: whole("day-calls"), Tokens: whole("day-tokens")}
	if usd := c.Float64("day-usd"); usd >= 0 && usd <= 1e6 && (usd > 0 || c.String("day-usd") == "0") {
		o.Day.NanoUSD = int64(usd * 1e9)
	} else {
		err = c.bad("day-usd", "dollars, or 0 for no ceiling", err)
	}
	if o.OverBudget = c.String("over-budget"); o.OverBudget != "answer" && o.OverBudget != "error" {
		err = c.bad("over-budget", "answer or error", err)
	}
	g.limit = llm.LimitOptions{RPM: whole("rpm"), TPM: whole("tpm")}
	if g.limit.Adaptive = c.String("concurrency") == "adaptive"; !g.limit.Adaptive {
		g.limit.Concurrency = int(whole("concurrency"))
	}
	g.connect, g.firstByte, g.idle = span("connect-timeout"), span("first-byte-timeout"), span("idle-timeout")
	g.breaker = llm.BreakerOptions{Failures: int(whole("breaker-failures")), Open: span("breaker-open")}
	if g.retryShare = c.Float64("retry-share"); !(g.retryShare > 0 && g.retryShare <= 1) {
		err = c.bad("retry-share", "a share above 0, at most 1", err)
	}
	if err != nil {
		return g, err
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	g.breaker.Notify = func(s llm.BreakerState) {
		log.Warn("breaker", "upstream", s.Upstream, "state", s.State, "why", s.Why)
	}
	o.LogPrompts, _ = cmd.Flags().GetBool("log-prompts")
	o.Keys, err = c.keys()
	return g, err
}

// keys reads the clients' keys of the configuration.
func (c *config) keys() (keys []gateway.Key, err error) {
	all, _ := c.Get("keys").(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		def, ok := all[name].(map[string]any)
		if !ok {
			return nil, usagef("keys.%s: want a mapping with a hash: gnothi serve key new %s prints one", name, name)
		}
		k := gateway.Key{Name: name}
		for field, value := range def {
			if err := keyField(&k, field, value); err != nil {
				return nil, usagef("keys.%s.%s: %w", name, field, err)
			}
		}
		keys = append(keys, k)
	}
	return keys, usage(gateway.CheckKeys(keys))
}

func keyField(k *gateway.Key, field string, value any) (err error) {
	var ok bool
	var want string
	switch field {
	case "hash":
		s, _ := value.(string)
		k.Hash, err = gateway.ParseHash(s)
		return err
	case "admin":
		k.Admin, ok = value.(bool)
		want = "true or false"
	case "policy":
		k.Policy, ok = value.(string)
		want = "a policy"
	case "policies":
		k.Policies, ok = texts(value)
		want = "a list of policies"
	case "models":
		k.Models, ok = texts(value)
		want = "a list of models"
	case "budget":
		k.Limits, err = ceilings(value)
		return err
	case "day":
		k.Day, err = ceilings(value)
		return err
	case "rpm":
		k.RPM, ok = count(value)
		want = "a whole number"
	case "tpm":
		k.TPM, ok = count(value)
		want = "a whole number"
	case "concurrency":
		var n int64
		n, ok = count(value)
		k.Concurrency = int(n)
		want = "a whole number"
	default:
		return errors.New("there is no such field: want hash, admin, policy, policies, models, budget, day, rpm, tpm or concurrency")
	}
	if !ok {
		return fmt.Errorf("%v: want %s", value, want)
	}
	return nil
}

// ceilings reads {calls, tokens, usd}.
func ceilings(v any) (l llm.Limits, err error) {
	fields, ok := v.(map[string]any)
	if !ok {
		return l, errors.New("want {calls, tokens, usd}")
	}
	for name, value := range fields {
		switch name {
		case "calls":
			l.Calls, ok = count(value)
		case "tokens":
			l.Tokens, ok = count(value)
		case "usd":
			var usd float64
			usd, ok = amount(value)
			l.NanoUSD = int64(usd * 1e9)
			ok = ok && l.NanoUSD > 0
		default:
			ok = false
		}
		if !ok {
			return l, fmt.Errorf("%s: %v: want {calls, tokens, usd}, each above 0", name, value)
		}
	}
	return l, nil
}

func texts(v any) (out []string, ok bool) {
	list, ok := v.([]any)
	for _, item := range list {
		s, isText := item.(string)
		ok = ok && isText
		out = append(out, s)
	}
	return out, ok
}

func count(v any) (int64, bool) {
	f, ok := amount(v)
	return int64(f), ok && f >= 1 && f == math.Trunc(f) && f < 1<<50
}

func amount(v any) (float64, bool) {
	switch n := v.(type) {
	case int:
		return float64(n), n >= 0
	case float64:
		return n, n >= 0 && n < 1<<50
	}
	return 0, false
}

// openBooks opens the books of a server.
func openBooks(ctx context.Context, s *state, o *gateway.Options) (closeBooks func() error, err error) {
	var kept *store.Books
	closeStore := func() error { return nil }
	if path := s.file(booksFile); path != "" {
		if kept, err = store.OpenBooks(ctx, path); err != nil {
			return nil, err
		}
		closeStore = kept.Close
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	o.Books, err = gateway.OpenBooks(ctx, gateway.BookOptions{Store: kept, Report: func(err error) { log.Error("books", "error", err.Error()) }})
	if err != nil {
		return nil, errors.Join(err, closeStore())
	}
	return func() error { return errors.Join(o.Books.Close(), closeStore()) }, nil
}

// openFallback opens the models that stand in for the served one.
func (c *config) openFallback(ctx context.Context, m catalog.ModelOptions, limiters *catalog.Limiters, o *gateway.Options) (closeAll func() error, err error) {
	var closers []func() error
	closeAll = func() (err error) {
		for _, f := range closers {
			err = errors.Join(err, f())
		}
		return err
	}
	for _, name := range m.Fallback {
		next := catalog.ModelOptions{
			Pull: m.Pull, Abilities: m.Abilities, Limiters: limiters, Guards: m.Guards,
			Connect: m.Connect, FirstByte: m.FirstByte, Idle: m.Idle,
		}
		spec := name
		if alias, ok := c.Get("models." + name).(map[string]any); ok {
			if err := next.Alias(alias); err != nil {
				return nil, errors.Join(usagef("models.%s: %w", name, err), closeAll())
			}
			spec = next.Spec
		}
		model, closeModel, err := catalog.OpenModel(ctx, spec, next)
		if err != nil {
			return nil, errors.Join(usagef("fallback %q: %w", name, err), closeAll())
		}
		o.Fallback, closers = append(o.Fallback, model), append(closers, closeModel)
	}
	return closeAll, nil
}

// needsPrice refuses a ceiling of dollars that could not hold.
func needsPrice(spec string, m catalog.ModelOptions, o *gateway.Options) error {
	dollars := o.Limits.NanoUSD > 0 || o.Day.NanoUSD > 0 || slices.ContainsFunc(o.Keys, func(k gateway.Key) bool { return k.Limits.NanoUSD > 0 || k.Day.NanoUSD > 0 })
	if !dollars || m.Price != nil || !catalog.Remote(spec) {
		return nil
	}
	if _, ok := catalog.PriceOfSpec(spec); ok {
		return nil
	}
	return usagef("the price of %s is not known, so a ceiling of dollars would not hold: give it input_usd and output_usd (dollars a million tokens) under models: in gnothi.yaml, or set ceilings of tokens", spec)
}

// keyCmd makes clients' keys.
func keyCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Keys of clients", Args: cobra.NoArgs}
	cmd.AddCommand(&cobra.Command{
		Use:   "new NAME",
		Short: "Make a client's key, shown this once",
		Long: `Make a key of a client and print it, this once, with what belongs into
gnothi.yaml: its hash, from which nobody gets the key back.`,
		Example: "  gnothi serve key new alice",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, hash := gateway.NewKey()
			sum, err := gateway.ParseHash(hash)
			if err == nil {
				err = gateway.CheckKeys([]gateway.Key{{Name: args[0], Hash: sum}})
			}
			if err != nil {
				return usage(err)
			}
			if wantsJSON(cmd) {
				return encode(cmd, map[string]string{"name": args[0], "key": key, "hash": hash})
			}
			var b strings.Builder
			fmt.Fprintf(&b, "%s\n\nIt is not shown again. In gnothi.yaml, with what else %s may do:\n\nkeys:\n  %s:\n    hash: %s\n    day: {calls: 1000, tokens: 1000000}\n    rpm: 60\n", key, args[0], args[0], hash)
			_, err = fmt.Fprint(cmd.OutOrStdout(), b.String())
			return err
		},
	})
	return cmd
}
