package gateway

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"gnothi/llm"
	"gnothi/llm/openai"
	"gnothi/monitor"
	"gnothi/monitor/verbal"
)

// receiver takes spans as a collector does.
type receiver struct {
	mu    sync.Mutex
	spans []*tracepb.Span
	raw   strings.Builder
	wrong []string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	var batch collector.ExportTraceServiceRequest
	if err != nil || req.URL.Path != "/v1/traces" || proto.Unmarshal(body, &batch) != nil {
		r.wrong = append(r.wrong, fmt.Sprintf("%s %s, %v", req.Method, req.URL.Path, err))
	}
	r.raw.Write(body)
	for _, resource := range batch.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			r.spans = append(r.spans, scope.GetSpans()...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func attr(s *tracepb.Span, key string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			v := a.GetValue()
			if a := v.GetArrayValue(); a != nil {
				return a.GetValues()[0].GetStringValue()
			}
			if s := v.GetStringValue(); s != "" {
				return s
			}
			return fmt.Sprint(v.GetIntValue())
		}
	}
	return ""
}

func TestTraces(t *testing.T) {
	for _, content := range []bool{false, true} {
		t.Run(fmt.Sprintf("content=%t", content), func(t *testing.T) {
			got := &receiver{}
			collectorServer := httptest.NewServer(got)
			defer collectorServer.Close()
			exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(collectorServer.URL+"/v1/traces"))
			if err != nil {
				t.Fatal(err)
			}
			provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
			var mu sync.Mutex
			var parents []string
			upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				parents = append(parents, r.Header.Get("Traceparent"))
				mu.Unlock()
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"id":"x","model":"up-1","choices":[{"index":0,"message":{"role":"assistant","content":"a private answer: 90"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}`)
			}))
			defer upstream.Close()
			inner, err := openai.New("big", openai.Options{BaseURL: upstream.URL + "/v1", APIKey: "sk-upstream-secret-0123456789"})
			if err != nil {
				t.Fatal(err)
			}
			g, err := New(Options{
				Model: llm.Metered(inner, nil), Name: "big", Signals: []monitor.Signal{verbal.PTrue()}, APIKey: "sk-client-secret-0123456789",
				Tracer: provider.Tracer("gnothi"), TraceContent: content,
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, policy := range []string{"direct", "auto"} {
				req := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(`{"model":"big","max_tokens":9,"messages":[{"role":"user","content":"a private question"}],"gnothi":{"policy":"`+policy+`"}}`))
				req.Header.Set("Authorization", "Bearer sk-client-secret-0123456789")
				req.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
				w := httptest.NewRecorder()
				g.ServeHTTP(w, req)
				if w.Code != http.StatusOK {
					t.Fatalf("%s: %d %s", policy, w.Code, w.Body)
				}
			}
			if err := provider.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			if len(got.wrong) > 0 {
				t.Fatalf("the collector could not read: %v", got.wrong)
			}
			byID := map[string]*tracepb.Span{}
			var servers, calls, evidence []*tracepb.Span
			for _, s := range got.spans {
				byID[string(s.GetSpanId())] = s
				switch {
				case s.GetKind() == tracepb.Span_SPAN_KIND_SERVER:
					servers = append(servers, s)
				case s.GetKind() == tracepb.Span_SPAN_KIND_CLIENT:
					calls = append(calls, s)
				case strings.HasPrefix(s.GetName(), "evidence "):
					evidence = append(evidence, s)
				}
				if id := fmt.Sprintf("%x", s.GetTraceId()); id != "0af7651916cd43dd8448eb211c80319c" {
					t.Errorf("the span %q is of another trace than the client's: %s", s.GetName(), id)
				}
			}
			if len(servers) != 2 || len(calls) < 3 || len(evidence) == 0 {
				t.Fatalf("%d requests, %d calls, %d pieces of evidence", len(servers), len(calls), len(evidence))
			}
			for _, s := range servers {
				if fmt.Sprintf("%x", s.GetParentSpanId()) != "b7ad6b7169203331" || attr(s, "http.route") != "/v1/chat/completions" || attr(s, "http.response.status_code") != "200" || attr(s, "gnothi.decision") != "answer" {
					t.Errorf("the request's span: %v", s)
				}
			}
			var ids []string
			for _, s := range calls {
				ids = append(ids, fmt.Sprintf("%x", s.GetSpanId()))
				for key, want := range map[string]string{
					"gen_ai.provider.name": "openai", "gen_ai.request.model": "big", "gen_ai.response.model": "up-1", "gen_ai.operation.name": "chat",
					"gen_ai.response.finish_reasons": "stop", "server.address": "127.0.0.1",
				} {
					if v := attr(s, key); v != want {
						t.Errorf("%s of %s: %q, want %q", key, s.GetName(), v, want)
					}
				}
				if attr(s, "gnothi.role") == "answer" && attr(s, "gen_ai.usage.output_tokens") != "3" {
					t.Errorf("tokens: %v", s)
				}
				if byID[string(s.GetParentSpanId())] == nil {
					t.Errorf("the call %s hangs below nothing", attr(s, "gnothi.role"))
				}
			}
			for _, p := range parents {
				parts := strings.Split(p, "-")
				if len(parts) != 4 || !slices.Contains(ids, parts[2]) {
					t.Errorf("the upstream was told the parent %q, which is no call's", p)
				}
			}
			if told := strings.Contains(got.raw.String(), "a private"); told != content {
				t.Errorf("content in traces: %t, want %t", told, content)
			}
			if strings.Contains(got.raw.String(), "secret") {
				t.Error("a key is in the traces")
			}
		})
	}
}
