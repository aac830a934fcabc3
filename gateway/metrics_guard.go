package gateway

import (
	"cmp"

	"github.com/prometheus/client_golang/prometheus"

	"gnothi/llm"
)

// gauges are the figures of what outlives a gateway: breakers, limits of
// upstreams, and the books. Their labels are of the configuration.
type gauges struct {
	guards   *llm.Guards
	limiters func() map[string]llm.LimitStats
	books    *Books
}

func describe(name, help, label string) *prometheus.Desc {
	return prometheus.NewDesc("gnothi_"+name, help, []string{label}, nil)
}

var (
	breakerOpen    = describe("breaker_open", "Whether an upstream is not asked because it failed: 0, 0.5 (half-open) or 1.", "upstream")
	breakerOpened  = describe("breaker_opened_total", "Times that it was so.", "upstream")
	breakerRefused = describe("breaker_refused_total", "Calls that were not made because of it.", "upstream")
	retriesMade    = describe("retries_total", "Tries of a call after the first.", "upstream")
	retriesRefused = describe("retries_refused_total", "Such tries that the retry budget did not allow.", "upstream")
	limitInFlight  = describe("upstream_in_flight", "Requests in flight to an upstream.", "upstream")
	limitMost      = describe("upstream_limit", "Requests that may be in flight; 0 is any number.", "upstream")
	limitWaiting   = describe("upstream_waiting", "Calls that wait for their turn.", "upstream")
	limitThrottled = describe("upstream_throttled_total", "Requests that the upstream answered with 429, 503 or 529.", "upstream")
	keyCalls       = describe("key_calls_today", "Choices generated or scored today (UTC), by the client's key.", "key")
	keyTokens      = describe("key_tokens_today", "Tokens spent today, by the client's key.", "key")
	keyUSD         = describe("key_usd_today", "Dollars spent today where prices are known, by the client's key.", "key")
	keyInFlight    = describe("key_in_flight", "Requests under way, by the client's key, where it has limits.", "key")
)

// allKeys is what all keys together are called in metrics.
const allKeys = "(all)"

// Describe implements [prometheus.Collector].
func (s *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		breakerOpen, breakerOpened, breakerRefused, retriesMade, retriesRefused, limitInFlight, limitMost, limitWaiting, limitThrottled,
		keyCalls, keyTokens, keyUSD, keyInFlight,
	} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (s *gauges) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, label string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, label)
	}
	counter := func(d *prometheus.Desc, v int64, label string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), label)
	}
	if s.guards != nil {
		for _, b := range s.guards.States() {
			gauge(breakerOpen, map[string]float64{"open": 1, "half-open": 0.5}[b.State], b.Upstream)
			counter(breakerOpened, b.Opened, b.Upstream)
			counter(breakerRefused, b.Refused, b.Upstream)
			counter(retriesMade, b.Retries, b.Upstream)
			counter(retriesRefused, b.Withheld, b.Upstream)
		}
	}
	if s.limiters != nil {
		for upstream, l := range s.limiters() {
			gauge(limitInFlight, float64(l.InFlight), upstream)
			gauge(limitMost, float64(l.Limit), upstream)
			gauge(limitWaiting, float64(l.Waiting), upstream)
			counter(limitThrottled, l.Throttled, upstream)
		}
	}
	for _, k := range s.books.Standings() {
		key := cmp.Or(k.Key, allKeys)
		gauge(keyCalls, float64(k.Spent.Calls), key)
		gauge(keyTokens, float64(k.Spent.Tokens()), key)
		gauge(keyUSD, float64(k.Spent.NanoUSD)/1e9, key)
		gauge(keyInFlight, float64(k.InFlight), key)
	}
}

// unavailable is the state of the breaker that keeps requests from every model
// that could answer them; ok is false where one can be asked.
func (g *Gateway) unavailable() (s llm.BreakerState, ok bool) {
	if s, ok = g.openFor(g.Model); !ok {
		return s, false
	}
	for _, m := range g.Fallback {
		if _, ok := g.openFor(m); !ok {
			return s, false
		}
	}
	return s, true
}

// openFor tells whether a model is not asked for the time being.
func (g *Gateway) openFor(m llm.Model) (s llm.BreakerState, open bool) {
	if g.Guards == nil {
		return s, false
	}
	guard := g.Guards.Known(m.ID())
	if guard == nil {
		return s, false
	}
	s = guard.State()
	return s, s.State == "open"
}
