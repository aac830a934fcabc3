package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"gnothi"
	"gnothi/llm"
	"gnothi/monitor"
)

// tracing makes spans: one of the server for each request, below it one for each
// piece of evidence and, wherever it is made, one for each call of a model, in the
// terms of OpenTelemetry's conventions for generative AI. What was asked and
// answered is in none of them unless content is set; keys never are.
type tracing struct {
	trace.Tracer
	content bool
}

// traceContext reads and writes the headers traceparent and tracestate.
var traceContext = propagation.TraceContext{}

// request begins the span of a request, below that of the client if it sent one.
func (t tracing) request(r *http.Request, route string) (*http.Request, func(status int, about *note, err error)) {
	if t.Tracer == nil {
		return r, func(int, *note, error) {}
	}
	ctx, span := t.Start(traceContext.Extract(r.Context(), propagation.HeaderCarrier(r.Header)), r.Method+" "+route,
		trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.String("http.request.method", knownMethod(r.Method)), attribute.String("http.route", route)))
	return r.WithContext(ctx), func(status int, about *note, err error) {
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		for key, value := range map[string]string{"gnothi.key": about.key, "gnothi.policy": about.policy, "gnothi.decision": about.decision} {
			if value != "" {
				span.SetAttributes(attribute.String(key, clip(value)))
			}
		}
		if status >= 500 || err != nil && errors.Is(err, errBroken) {
			span.SetStatus(codes.Error, "")
			span.SetAttributes(attribute.String("error.type", strconv.Itoa(status)))
		}
		span.End()
	}
}

// knownMethod keeps a client from choosing an attribute's value.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions, http.MethodPut, http.MethodDelete, http.MethodPatch:
		return m
	}
	return "_OTHER"
}

// asked has evidence observed, and the model's calls as well.
func (t tracing) asked(ctx context.Context, m llm.Model) (context.Context, llm.Model) {
	if t.Tracer == nil {
		return ctx, m
	}
	return monitor.WithObserver(ctx, func(ctx context.Context, evidence string) (context.Context, func(error)) {
		ctx, span := t.Start(ctx, "evidence "+evidence, trace.WithAttributes(attribute.String("gnothi.evidence", evidence)))
		return ctx, func(err error) { fail(span, err); span.End() }
	}), &tracedModel{m, t}
}

// believed tells the request's span what came of it.
func (t tracing) believed(ctx context.Context, b gnothi.Belief) {
	if t.Tracer == nil {
		return
	}
	span := trace.SpanFromContext(ctx)
	span.SetAttributes(attribute.String("gnothi.calibration.status", string(b.Calibration.Status)), attribute.Int64("gnothi.spend.calls", b.Spend.Calls), attribute.Int64("gnothi.spend.cached_calls", b.Spend.CachedCalls))
	if b.Probability != nil {
		span.SetAttributes(attribute.Float64("gnothi.probability", *b.Probability))
	}
	if b.Spend.USD != nil {
		span.SetAttributes(attribute.Float64("gnothi.spend.usd", *b.Spend.USD))
	}
}

// fail says that something failed and of what kind it was: an upstream's words may
// hold what was asked.
func fail(span trace.Span, err error) {
	if err == nil {
		return
	}
	kind := "_OTHER"
	var api *llm.APIError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		kind = "cancelled"
	case errors.Is(err, llm.ErrBudget):
		kind = "budget"
	case errors.As(err, &api) && api.Status > 0:
		kind = strconv.Itoa(api.Status)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		kind = "timeout"
	}
	span.SetStatus(codes.Error, "")
	span.SetAttributes(attribute.String("error.type", kind))
}

// tracedModel makes a span of each operation.
type tracedModel struct {
	llm.Model
	t tracing
}

// Do implements [llm.Model].
func (m *tracedModel) Do(ctx context.Context, op llm.Op) (*llm.Result, error) {
	id := m.ID()
	operation := map[llm.Kind]string{llm.Generate: "chat", llm.Score: "score", llm.Trace: "trace", llm.Pass: "text_completion"}[op.Kind]
	if op.Kind == llm.Generate && op.Request.Prompt != "" {
		operation = "text_completion"
	}
	r := op.Request
	attributes := []attribute.KeyValue{
		attribute.String("gen_ai.operation.name", operation), attribute.String("gen_ai.provider.name", id.Provider), attribute.String("gen_ai.request.model", id.Name),
		attribute.String("gnothi.role", op.Role),
	}
	if op.N() > 1 {
		attributes = append(attributes, attribute.Int("gen_ai.request.choice.count", op.N()))
	}
	if r.MaxTokens > 0 {
		attributes = append(attributes, attribute.Int("gen_ai.request.max_tokens", r.MaxTokens))
	}
	if r.Temperature != nil {
		attributes = append(attributes, attribute.Float64("gen_ai.request.temperature", *r.Temperature))
	}
	if r.TopP != nil {
		attributes = append(attributes, attribute.Float64("gen_ai.request.top_p", *r.TopP))
	}
	if u, err := url.Parse(id.Host); err == nil && u.Hostname() != "" {
		attributes = append(attributes, attribute.String("server.address", u.Hostname()))
		if port, err := strconv.Atoi(u.Port()); err == nil {
			attributes = append(attributes, attribute.Int("server.port", port))
		}
	}
	ctx, span := m.t.Start(ctx, operation+" "+id.Name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
	defer span.End()
	if m.t.content {
		span.SetAttributes(attribute.String("gen_ai.input.messages", string(encode(spoken(r)))))
	}
	header := llm.HeaderFrom(ctx).Clone()
	if header == nil {
		header = http.Header{}
	}
	traceContext.Inject(ctx, propagation.HeaderCarrier(header))
	res, err := m.Model.Do(llm.WithHeader(ctx, header), op)
	fail(span, err)
	if res == nil {
		return res, err
	}
	finishes, cached, said := make([]string, len(res.Choices)), 0, make([]turn, len(res.Choices))
	for i, c := range res.Choices {
		finishes[i], said[i] = c.Finish, turn{"assistant", []part{{"text", c.Text}}}
		if c.Cached {
			cached++
		}
	}
	span.SetAttributes(
		attribute.StringSlice("gen_ai.response.finish_reasons", finishes), attribute.Int64("gen_ai.usage.input_tokens", res.Usage.PromptTokens),
		attribute.Int64("gen_ai.usage.output_tokens", res.Usage.CompletionTokens), attribute.Int("gnothi.cached_choices", cached),
	)
	if res.Model != "" {
		span.SetAttributes(attribute.String("gen_ai.response.model", clip(res.Model)))
	}
	if m.t.content {
		span.SetAttributes(attribute.String("gen_ai.output.messages", string(encode(said))))
	}
	return res, err
}

// turn is a message as the conventions have it.
type turn struct {
	Role  string `json:"role"`
	Parts []part `json:"parts"`
}

type part struct {
	Type    string `json:"type"`
	Content string `json:"content"`
}

func spoken(r llm.Request) []turn {
	if r.Prompt != "" {
		return []turn{{"user", []part{{"text", r.Prompt}}}}
	}
	turns := make([]turn, len(r.Messages))
	for i, m := range r.Messages {
		turns[i] = turn{m.Role, []part{{"text", strings.ToValidUTF8(m.Text, "�")}}}
	}
	return turns
}
