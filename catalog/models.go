package catalog

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	neturl "net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

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
	// KeyHeader is the header that carries the key as it is, as Azure wants it
	// (api-key); empty means a bearer token, or what the provider's API says.
	KeyHeader string
	// Limit says how much the model may be asked at once and a minute, Limiters
	// where the limiters of models that share one are; nil is one of its own, if
	// there is anything to limit.
	Limit    llm.LimitOptions
	Limiters *Limiters
	// Timeout is how long a model behind an API may stay silent, until its answer
	// begins and between two parts of it; 0 is the provider's default.
	Timeout time.Duration
	// Connect, FirstByte and Idle limit the parts of a call each by itself: until
	// there is a connection, until the answer begins, between two parts of it; 0 is
	// Timeout, or the provider's default.
	Connect, FirstByte, Idle time.Duration
	// Guards, if set, hold the breaker and the retry budget of each upstream.
	Guards *llm.Guards
	// Fallback names the models, as specifications or aliases, that a gateway asks
	// in order where this one fails.
	Fallback []string
	// Abilities remembers what servers can do; nil finds out anew.
	Abilities *Abilities
	// Price is what a token costs; nil is what the price table says, if anything.
	// Local models cost nothing.
	Price *llm.Price
	// HalfKV keeps a local model's keys and values in float16, KVMemory bounds what
	// is kept of earlier prompts and answers, in bytes; 0 is the usual.
	HalfKV   bool
	KVMemory int64
	// Pull finds the file of a local model, fetching it if need be.
	Pull func(ctx context.Context, name string) (local.File, error)
}

// Limiters are the limiters of the models that a process has opened, one for
// each model and key: a judge that is the subject as well waits in the same
// queue. It is safe for concurrent use.
type Limiters struct {
	// One is for models of one upstream whose names are not known beforehand: all of
	// them share one limiter.
	One bool
	// Quota, if set, gives the requests and tokens a minute of the model of a key
	// where other processes use them too: nothing then limits this one by itself.
	Quota func(key string, rpm, tpm int64) llm.Quota

	mu sync.Mutex
	by map[string]*llm.Limiter
}

// of gives the limiter of a model, made with the options of whoever asks first.
func (s *Limiters) of(key string, o llm.LimitOptions) *llm.Limiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[string]*llm.Limiter{}
	}
	if s.by[key] == nil {
		if s.Quota != nil {
			o.Quota, o.RPM, o.TPM = s.Quota(key, o.RPM, o.TPM), 0, 0
		}
		s.by[key] = llm.NewLimiter(o)
	}
	return s.by[key]
}

// Stats tells how each limiter stands, by the name of its model.
func (s *Limiters) Stats() map[string]llm.LimitStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := map[string]llm.LimitStats{}
	for key, l := range s.by {
		stats[key] = l.Stats()
	}
	return stats
}

// limited puts a model under the limiter that it belongs to.
func (o ModelOptions) limited(m llm.Model) llm.Model {
	switch {
	case o.Limiters != nil:
		key := m.ID().String()
		if o.Limiters.One {
			key = cmp.Or(m.ID().Host, m.ID().Provider)
		}
		if o.KeyEnv != "" {
			key += " (" + o.KeyEnv + ")"
		}
		return o.Limiters.of(key, o.Limit).Wrap(m)
	case o.Limit != (llm.LimitOptions{}):
		return llm.NewLimiter(o.Limit).Wrap(m)
	}
	return m
}

// Alias reads an alias of the configuration: model, api_key_env, key_header, input_usd, cached_usd and
// output_usd (dollars a million tokens), rpm and tpm (requests and tokens a
// minute), concurrency (requests in flight, or "adaptive"), connect, first_byte
// and idle (times such as 30s) and fallback (a list of models).
func (o *ModelOptions) Alias(def map[string]any) error {
	var input, output float64
	cached := math.NaN()
	var priced bool
	for key, value := range def {
		var ok bool
		switch key {
		case "model":
			o.Spec, ok = value.(string)
		case "api_key_env":
			o.KeyEnv, ok = value.(string)
		case "key_header":
			o.KeyHeader, ok = value.(string)
		case "input_usd":
			input, ok = number(value)
			priced = true
		case "cached_usd":
			cached, ok = number(value)
			priced = true
		case "connect":
			o.Connect, ok = span(value)
		case "first_byte":
			o.FirstByte, ok = span(value)
		case "idle":
			o.Idle, ok = span(value)
		case "fallback":
			o.Fallback, ok = names(value)
		case "output_usd":
			output, ok = number(value)
			priced = true
		case "rpm":
			o.Limit.RPM, ok = whole(value)
		case "tpm":
			o.Limit.TPM, ok = whole(value)
		case "concurrency":
			if o.Limit.Adaptive = value == "adaptive"; o.Limit.Adaptive {
				ok = true
				break
			}
			var n int64
			n, ok = whole(value)
			o.Limit.Concurrency = int(n)
		default:
			return fmt.Errorf("unknown field %q: want model, api_key_env, key_header, input_usd, cached_usd, output_usd, rpm, tpm, concurrency, connect, first_byte, idle or fallback", key)
		}
		if !ok {
			return fmt.Errorf("%s: %v is not what belongs there", key, value)
		}
	}
	if o.Spec == "" {
		return fmt.Errorf("an alias needs the field model")
	}
	if priced {
		// Dollars a million tokens are thousands of nano-dollars a token.
		if math.IsNaN(cached) {
			cached = input
		}
		o.Price = &llm.Price{Input: int64(math.Round(input * 1000)), Output: int64(math.Round(output * 1000)), Cached: int64(math.Round(cached * 1000))}
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

// span reads a time such as 30s.
func span(v any) (time.Duration, bool) {
	s, _ := v.(string)
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= time.Millisecond && d <= 24*time.Hour
}

// names reads a list of names.
func names(v any) (out []string, ok bool) {
	list, ok := v.([]any)
	for _, item := range list {
		s, isText := item.(string)
		if ok = ok && isText && s != ""; ok {
			out = append(out, s)
		}
	}
	return out, ok
}

// whole reads a number of at least 1.
func whole(v any) (int64, bool) {
	n, ok := number(v)
	return int64(n), ok && n >= 1 && n == math.Trunc(n) && n < 1<<31
}

var providers = []string{"local", "openai", "responses", "anthropic", "script", "replay"}

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

// OpenModel opens PROVIDER:NAME[@BASE_URL], charged to the ledger of each call,
// kept within its limits, and tried again where that may help. The returned function closes it.
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
		if opened, err = local.Open(file, o.localOptions()); err == nil {
			m, closer, o.Price = opened, opened.Close, &llm.Price{}
		}
	case "openai", "responses":
		name, url := splitURL(name)
		m, err = o.openai(name, url, provider == "responses")
	case "anthropic":
		name, url := splitURL(name)
		m, err = anthropic.New(name, anthropic.Options{BaseURL: url, APIKey: o.key("ANTHROPIC_API_KEY"), Connect: o.Connect, FirstByte: cmp.Or(o.FirstByte, o.Timeout), Idle: cmp.Or(o.Idle, o.Timeout)})
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
	if price, ok := PriceOf(m.ID()); ok && o.Price == nil {
		o.Price = &price.Price
	}
	m = o.limited(llm.Metered(m, o.Price))
	if Remote(spec) && o.Guards != nil {
		return o.Guards.Of(m.ID()).Wrap(m, llm.RetryOptions{}), closer, nil
	}
	return llm.Retry(m, llm.RetryOptions{}), closer, nil
}

// openai makes the model of a server that speaks one of OpenAI's protocols.
func (o ModelOptions) openai(name, url string, responses bool) (llm.Model, error) {
	out := openai.Options{BaseURL: url, APIKey: o.key("OPENAI_API_KEY"), Responses: responses, Connect: o.Connect, FirstByte: cmp.Or(o.FirstByte, o.Timeout), Idle: cmp.Or(o.Idle, o.Timeout)}
	if o.KeyHeader != "" && out.APIKey != "" {
		out.Header = http.Header{}
		out.Header.Set(o.KeyHeader, out.APIKey)
		out.APIKey = ""
	}
	m, err := openai.New(name, out)
	if err != nil || o.Abilities == nil {
		return m, err
	}
	id := m.ID()
	out.Abilities = o.Abilities.believed(id)
	// A seed for each choice would make a call of each: that is for whoever states it.
	delete(out.Abilities, llm.Seeded)
	if u, err := neturl.Parse(id.Host); err == nil && nearby(u.Hostname()) {
		return openai.New(name, out) // what listens on this machine changes from day to day; what it lacks is found out at no cost
	}
	out.Learned = func(a llm.Ability, can bool) {
		_ = o.Abilities.Note(id, llm.Finding{Ability: a, Can: can, Why: "as an answer showed", At: time.Now().UTC().Truncate(time.Second)}) // a disk that takes nothing is no reason to fail
	}
	return openai.New(name, out)
}

// nearby tells a host that is this machine.
func nearby(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Local are the options of a local model that answers by the template.
func (o ModelOptions) Local() local.Options {
	l := local.Options{KVMemory: o.KVMemory}
	l.Engine.HalfKV = o.HalfKV
	return l
}

// localOptions keeps what every short question begins with evaluated, also on
// disk where there is a place for it.
func (o ModelOptions) localOptions() local.Options {
	l := o.Local()
	l.Constant = []string{prompt.ShotsPrefix()}
	if dir, err := os.UserCacheDir(); err == nil {
		l.CacheDir = filepath.Join(dir, "gnothi", "kv")
	}
	return l
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
