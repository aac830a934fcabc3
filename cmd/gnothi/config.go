package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"gnothi/catalog"
	"gnothi/llm"
)

// setting describes one name of gnothi.yaml. Those with a flag have the flag's
// name; the environment variable is GNOTHI_ and the name in capitals.
type setting struct {
	def  string
	help string
	tree bool // a mapping of the user's own names
}

var settings = map[string]setting{
	"model":              {def: "local:smollm2-135m", help: "the model"},
	"policy":             {def: "auto", help: "how calls are spent"},
	"seed":               {def: "1", help: "root of everything random"},
	"samples":            {def: "0", help: "samples of a policy"},
	"temperature":        {def: "0", help: "sampling temperature"},
	"max-tokens":         {def: "0", help: "longest answer"},
	"budget-calls":       {def: "0", help: "most calls a question"},
	"budget-tokens":      {def: "0", help: "most tokens a question"},
	"budget-usd":         {def: "0", help: "most dollars a question"},
	"call-timeout":       {def: "0", help: "silence after which a call is tried again: 90s, 10m"},
	"threshold":          {def: "0", help: "withhold below"},
	"hedge":              {def: "0", help: "hedge below"},
	"format":             {def: "auto", help: "form of questions"},
	"next":               {def: "", help: "another model that auto may ask"},
	"retrieve":           {def: "", help: "program that finds a context"},
	"verifier":           {def: "", help: "program that verifies answers"},
	"signals":            {def: "", help: "signals to read besides"},
	"kv":                 {def: "f32", help: "how local models keep keys and values: f32 (exact), or f16 in half the memory"},
	"kv-memory":          {def: "64MiB", help: "what a local model may keep of earlier prompts and answers, as keys and values"},
	"listen":             {def: "127.0.0.1:8317", help: "where serve listens"},
	"api-key":            {def: "", help: "key that clients of serve must send"},
	"withheld":           {def: "I am not sure enough to answer that.", help: "what serve says in place of a withheld answer"},
	"day-calls":          {def: "0", help: "most calls a day that serve makes, for all keys together"},
	"day-tokens":         {def: "0", help: "most tokens a day"},
	"day-usd":            {def: "0", help: "most dollars a day"},
	"over-budget":        {def: "answer", help: "what becomes of an answer when a budget ends: answer (the best so far, marked) or error"},
	"rpm":                {def: "0", help: "most requests a minute to the served model, unless its alias says otherwise"},
	"tpm":                {def: "0", help: "most tokens a minute to the served model"},
	"concurrency":        {def: "0", help: "most requests at once to the served model, or adaptive"},
	"connect-timeout":    {def: "0", help: "longest time to connect to an upstream (0: 10s)"},
	"first-byte-timeout": {def: "0", help: "longest time until an upstream begins to answer (0: 5m)"},
	"idle-timeout":       {def: "0", help: "longest silence within an upstream's answer (0: 2m)"},
	"breaker-failures":   {def: "5", help: "failures in a row after which an upstream is not asked for a while"},
	"breaker-open":       {def: "10s", help: "how long it is not asked"},
	"retry-share":        {def: "0.2", help: "share of recent calls that may be tries after the first"},
	"cache":              {def: "off", help: "whether answers are kept and asked for again at no cost: off (serve: only where a request's Cache-Control asks), on, none"},
	"cache-max-bytes":    {def: "1GiB", help: "most bytes of the cache; what was not used for longest goes first"},
	"cache-max-age":      {def: "90d", help: "how long an answer stays in the cache"},
	"keys":               {tree: true, help: "clients' keys of serve: NAME: {hash, admin, policy, policies, models, budget, day, rpm, tpm, concurrency}"},
	"models":             {tree: true, help: "aliases: NAME: {model, api_key_env, key_header, input_usd, cached_usd, output_usd (per million tokens), rpm, tpm, concurrency, connect, first_byte, idle, fallback}"},
	"policies":           {tree: true, help: "named policies: a specification, or {cascade: {first, signal, threshold, next}}"},
}

// config is what is in force, and which layer each setting came from.
type config struct {
	*koanf.Koanf
	layers []layer
	// What a model may be asked at once and a minute, unless its alias says
	// otherwise; nil: models share no limiter.
	limit    llm.LimitOptions
	limiters *catalog.Limiters
	// What is remembered of models' abilities is not believed.
	doubting bool
}

type layer struct {
	name string
	k    *koanf.Koanf
}

// loadConfig layers defaults, file, environment and flags, the later the stronger.
func loadConfig(flags *pflag.FlagSet) (*config, error) {
	c := &config{Koanf: koanf.New(".")}
	defaults := map[string]any{}
	for name, s := range settings {
		if !s.tree {
			defaults[name] = s.def
		}
	}
	explicit, _ := flags.GetString("config")
	path, err := configPath(explicit)
	if err != nil {
		return nil, usage(err)
	}
	if err := c.add("default", confmap.Provider(defaults, "."), nil); err != nil {
		return nil, err
	}
	if path != "" {
		if err := c.add(path, file.Provider(path), yaml.Parser()); err != nil {
			return nil, usagef("%s: %w", path, err)
		}
		if err := checkNames(path, c.layers[len(c.layers)-1].k); err != nil {
			return nil, usage(err)
		}
	}
	fromEnv := env.Provider("GNOTHI_", ".", func(name string) string {
		name = strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "GNOTHI_")), "_", "-")
		if s, ok := settings[name]; !ok || s.tree {
			return "" // not a setting: GNOTHI_MODEL_MIRROR and the like
		}
		return name
	})
	if err := c.add("environment", fromEnv, nil); err != nil {
		return nil, err
	}
	changed := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.VisitAll(func(f *pflag.Flag) {
		if _, ok := settings[f.Name]; ok && f.Changed && f.Value.Type() != "stringArray" { // compare's two policies are no setting
			changed.AddFlag(f)
		}
	})
	return c, c.add("flag", posflag.Provider(changed, ".", nil), nil)
}

func (c *config) add(name string, p koanf.Provider, parser koanf.Parser) error {
	k := koanf.New(".")
	if err := k.Load(p, parser); err != nil {
		return err
	}
	c.layers = append(c.layers, layer{name, k})
	return c.Merge(k)
}

// source names the layer that a setting comes from.
func (c *config) source(name string) string {
	for _, l := range slices.Backward(c.layers) {
		if l.k.Exists(name) {
			return l.name
		}
	}
	return "unset"
}

// configPath finds the configuration file; none is fine unless it was named.
func configPath(explicit string) (string, error) {
	if explicit != "" {
		_, err := os.Stat(explicit)
		return explicit, err
	}
	candidates := []string{"gnothi.yaml"}
	if dir, err := os.UserConfigDir(); err == nil {
		candidates = append(candidates, filepath.Join(dir, "gnothi", "gnothi.yaml"))
	}
	for _, p := range candidates {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", nil
}

func checkNames(path string, k *koanf.Koanf) error {
	known := slices.Sorted(maps.Keys(settings))
	for name := range k.Raw() {
		if _, ok := settings[name]; ok {
			continue
		}
		if near := catalog.Nearest(name, known); near != "" {
			return fmt.Errorf("%s: unknown setting %q: did you mean %q?", path, name, near)
		}
		return fmt.Errorf("%s: unknown setting %q: want one of %s", path, name, strings.Join(known, ", "))
	}
	return nil
}
