package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/spf13/pflag"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"gnothi/gateway"
)

// traceFlags say where spans go.
type traceFlags struct {
	endpoint string
	content  bool
}

func (t *traceFlags) add(f *pflag.FlagSet) {
	f.StringVar(&t.endpoint, "otlp", "", "send OpenTelemetry traces to this collector, such as http://127.0.0.1:4318 (default: OTEL_EXPORTER_OTLP_ENDPOINT, else none); the other OTEL_ variables hold too")
	f.BoolVar(&t.content, "otlp-content", false, "put questions and answers into traces")
}

// flushTime is how long the end of a server waits for its last spans to be taken.
const flushTime = 5 * time.Second

// open begins to send, if there is somewhere to send to.
func (t *traceFlags) open(ctx context.Context, o *gateway.Options) (closeTraces func() error, err error) {
	var options []otlptracehttp.Option
	switch {
	case t.endpoint != "":
		u, err := url.Parse(t.endpoint)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, usagef("--otlp: want http://HOST:PORT or https://HOST:PORT")
		}
		if u.Path == "" || u.Path == "/" {
			u.Path = "/v1/traces" // as the variable has it
		}
		options = append(options, otlptracehttp.WithEndpointURL(u.String()))
	case os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "", os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "":
	default:
		return func() error { return nil }, nil
	}
	exporter, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(attribute.String("service.name", "gnothi"), attribute.String("service.version", version())), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	otel.SetErrorHandler(&rarely{log: o.Log})
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	o.Tracer, o.TraceContent = provider.Tracer("gnothi"), t.content
	return func() error {
		last, cancel := context.WithTimeout(context.Background(), flushTime)
		defer cancel()
		if err := provider.Shutdown(last); err != nil {
			o.Log.Warn("traces: the last ones were not taken", "error", err.Error())
		}
		return nil
	}, nil
}

// rarely logs what the exporter has to say, once a minute: a collector that is away
// is no reason to fill the log.
type rarely struct {
	log  *slog.Logger
	mu   sync.Mutex
	last time.Time
}

// Handle implements [otel.ErrorHandler].
func (r *rarely) Handle(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.last) > time.Minute {
		r.last = now
		r.log.Warn("traces", "error", err.Error())
	}
}
