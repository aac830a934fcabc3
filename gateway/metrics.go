package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gnothi"
	"gnothi/llm"
)

// Metrics are a server's figures for Prometheus, which outlive the gateways that a
// reload replaces. No label is a client's free choice, and none holds text or keys.
type Metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	inFlight  prometheus.Gauge
	calls     prometheus.Counter
	cached    prometheus.Counter
	tokens    *prometheus.CounterVec
	usd       prometheus.Counter
	decisions *prometheus.CounterVec
	answers   *prometheus.CounterVec
	feedback  *prometheus.CounterVec
	fallbacks prometheus.Counter
}

// NewMetrics makes figures that stand at zero.
func NewMetrics() *Metrics {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "gnothi", Name: name, Help: help}
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(counter("http_requests_total", "Requests answered."), []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "gnothi", Name: "http_request_seconds", Help: "Time from a request to the end of its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300},
		}, []string{"route"}),
		inFlight:  prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "gnothi", Name: "http_requests_in_flight", Help: "Requests being answered."}),
		calls:     prometheus.NewCounter(counter("model_calls_total", "Choices that models generated or scored.")),
		cached:    prometheus.NewCounter(counter("model_cached_calls_total", "Choices served from a cache.")),
		tokens:    prometheus.NewCounterVec(counter("model_tokens_total", "Tokens, by kind: prompt, cached_prompt, completion."), []string{"kind"}),
		usd:       prometheus.NewCounter(counter("spend_usd_total", "Dollars spent, where prices are known.")),
		decisions: prometheus.NewCounterVec(counter("decisions_total", "What was done with answers, by policy."), []string{"policy", "decision"}),
		answers:   prometheus.NewCounterVec(counter("answers_total", "Answers by the standing of their probability: calibrated, prior, uncalibrated."), []string{"calibration"}),
		fallbacks: prometheus.NewCounter(counter("fallbacks_total", "Times another model was asked because one failed.")),
		feedback:  prometheus.NewCounterVec(counter("feedback_total", "Verdicts on answers."), []string{"correct"}),
	}
	m.registry.MustRegister(
		m.requests, m.seconds, m.inFlight, m.calls, m.cached, m.tokens, m.usd, m.decisions, m.answers, m.feedback, m.fallbacks,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// endpoint serves the figures, and those of one gateway.
func (m *Metrics) endpoint(own ...prometheus.Collector) endpoint {
	registry := prometheus.NewRegistry()
	registry.MustRegister(own...)
	handler := promhttp.HandlerFor(prometheus.Gatherers{m.registry, registry}, promhttp.HandlerOpts{})
	return func(w http.ResponseWriter, r *http.Request) error {
		handler.ServeHTTP(w, r)
		return nil
	}
}

func (m *Metrics) observe(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(route).Observe(took.Seconds())
}

// spent counts what a request cost, whether or not it had an answer.
func (m *Metrics) spent(s gnothi.Spend) {
	m.calls.Add(float64(s.Calls))
	m.cached.Add(float64(s.CachedCalls))
	m.tokens.WithLabelValues("prompt").Add(float64(s.PromptTokens))
	m.tokens.WithLabelValues("cached_prompt").Add(float64(s.PromptCached))
	m.tokens.WithLabelValues("completion").Add(float64(s.CompletionTokens))
	if s.USD != nil {
		m.usd.Add(*s.USD)
	}
}

func (m *Metrics) decided(p *plan, b gnothi.Belief) {
	// Without its parameters a policy that exists is one of few.
	name, _, _ := strings.Cut(p.spec, "?")
	m.decisions.WithLabelValues(name, string(b.Decision)).Inc()
	m.answers.WithLabelValues(string(b.Calibration.Status)).Inc()
}

// completed counts completions, which no ledger sees.
func (m *Metrics) completed(choices int, u llm.Usage) {
	m.spent(gnothi.Spend{Calls: int64(choices), PromptTokens: u.PromptTokens - u.PromptCached, PromptCached: u.PromptCached, CompletionTokens: u.CompletionTokens})
}
