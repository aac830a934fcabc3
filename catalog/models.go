package catalog

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gnothi/llm"
	"gnothi/llm/anthropic"
	"gnothi/llm/local"
	"gnothi/llm/openai"
	"gnothi/llm/replay"
	"gnothi/llm/script"
	"gnothi/monitor/prompt"
)

// ModelOptions is what a model's specification does not say.
type ModelOptions struct {
	// Spec is what an alias stands for.
	Spec string
	// KeyEnv names the environment variable that holds the key; empty means the
	// provider's usual one.
	KeyEnv string
	// Price is what a token costs; nil is not known. Local models cost nothing.
	Price *llm.Price
	// Pull finds the file of a local model, fetching it if need be.
	Pull func(ctx context.Context, name string) (local.File, error)
}

// Alias reads an alias of the configuration: model, api_key_env, input_usd and
// output_usd (dollars a million tokens).
func (o *ModelOptions) Alias(def map[string]any) error {
	var input, output float64
	var priced bool
	for key, value := range def {
		var ok bool
		switch key {
		case "model":
			o.Spec, ok = value.(string)
		case "api_key_env":
			o.KeyEnv, ok = value.(string)
		case "input_usd":
			input, ok = number(value)
			priced = true
		case "output_usd":
			output, ok = number(value)
			priced = true
		default:
			return fmt.Errorf("unknown field %q: want model, api_key_env, input_usd or output_usd", key)
		}
		if !ok {
			return fmt.Errorf("%s: %v is of the wrong type", key, value)
		}
	}
	if o.Spec == "" {
		return fmt.Errorf("an alias needs the field model")
	}
	if priced {
		// Dollars a million tokens are thousands of nano-dollars a token.
		o.Price = &llm.Price{Input: int64(input * 1000), Output: int64(output * 1000), Cached: int64(input * 1000)}
	}
	return nil
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int:
		return float64(n), n >= 0
	case float64:
		return n, n >= 0
	}
	return 0, false
}

var providers = []string{"local", "openai", "anthropic", "script", "replay"}

// CheckModel says what is wrong with the wording of a specification.
func CheckModel(spec string) error {
	provider, name, ok := strings.Cut(spec, ":")
	if !ok || name == "" {
		return fmt.Errorf("model %q: want PROVIDER:NAME, with a provider of %s", spec, strings.Join(providers, ", "))
	}
	if !slices.Contains(providers, provider) {
		return fmt.Errorf("model %q: %w", spec, unknown("provider", provider, providers))
	}
	return nil
}

// OpenModel opens PROVIDER:NAME[@BASE_URL], charged to the ledger of each call
// and tried again where that may help. The returned function closes it.
func OpenModel(ctx context.Context, spec string, o ModelOptions) (llm.Model, func() error, error) {
	if err := CheckModel(spec); err != nil {
		return nil, nil, err
	}
	provider, name, _ := strings.Cut(spec, ":")
	closer := func() error { return nil }
	var m llm.Model
	var err error
	switch provider {
	case "local":
		var file local.File
		if file, err = o.Pull(ctx, name); err != nil {
			return nil, nil, err
		}
		var opened *local.Model
		if opened, err = local.Open(file, localOptions()); err == nil {
			m, closer, o.Price = opened, opened.Close, &llm.Price{}
		}
	case "openai":
		name, url := splitURL(name)
		m, err = openai.New(name, openai.Options{BaseURL: url, APIKey: o.key("OPENAI_API_KEY")})
	case "anthropic":
		name, url := splitURL(name)
		m, err = anthropic.New(name, anthropic.Options{BaseURL: url, APIKey: o.key("ANTHROPIC_API_KEY")})
	case "script":
		m, err = script.Open(name)
		o.Price = &llm.Price{}
	case "replay":
		m, err = replay.Open(name)
		o.Price = &llm.Price{}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("model %s: %w", spec, err)
	}
	return llm.Retry(llm.Metered(m, o.Price), llm.RetryOptions{}), closer, nil
}

// localOptions keeps what every short question begins with evaluated, also on
// disk where there is a place for it.
func localOptions() local.Options {
	o := local.Options{Constant: []string{prompt.ShotsPrefix()}}
	if dir, err := os.UserCacheDir(); err == nil {
		o.CacheDir = filepath.Join(dir, "gnothi", "kv")
	}
	return o
}

func (o ModelOptions) key(usual string) string {
	if o.KeyEnv != "" {
		return os.Getenv(o.KeyEnv)
	}
	return os.Getenv(usual)
}

// splitURL parts NAME@http://host/v1; an @ in a name without a URL stays.
func splitURL(s string) (name, url string) {
	if i := strings.LastIndex(s, "@http"); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}
