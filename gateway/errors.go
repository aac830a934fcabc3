package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gnothi/llm"
	"gnothi/llm/openai"
)

// failure is an error as OpenAI's clients know it.
type failure struct {
	status     int
	kind       string // type
	code       string
	param      string
	message    string
	retryAfter time.Duration
	header     map[string]string // of the upstream's, worth keeping
}

// Error implements error.
func (f *failure) Error() string { return fmt.Sprintf("%d: %s", f.status, f.message) }

const (
	badRequest    = "invalid_request_error"
	upstreamError = "upstream_error"
)

// invalid is a request that cannot be served as it is; param names its field.
func invalid(param, format string, args ...any) *failure {
	return &failure{status: http.StatusBadRequest, kind: badRequest, param: param, message: fmt.Sprintf(format, args...)}
}

// statusClientGone is what the log says of clients that left; nobody is there to
// receive it.
const statusClientGone = 499

// errBroken means that an answer failed when a part of it was out.
var errBroken = errors.New("the answer broke off")

var (
	errTimeout  = &failure{status: http.StatusGatewayTimeout, kind: upstreamError, code: "timeout", message: "the model did not answer in time"}
	errShutdown = &failure{status: http.StatusServiceUnavailable, kind: "server_error", code: "shutting_down", message: "the server is shutting down", retryAfter: time.Second}
)

// explain finds out what to tell the client. A budget that is reached is 402:
// clients' libraries repeat a 429, which would spend what the ceiling protects.
func explain(err error) *failure {
	var (
		known       *failure
		wrong       *openai.RequestError
		tooLong     *llm.ContextLengthError
		unsupported *llm.UnsupportedError
		budget      *llm.BudgetError
		api         *llm.APIError
		timeout     interface{ Timeout() bool }
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &wrong):
		return invalid(wrong.Param, "%s", wrong.Error())
	case errors.As(err, &tooLong):
		return &failure{status: http.StatusBadRequest, kind: badRequest, code: "context_length_exceeded", param: "messages", message: tooLong.Error()}
	case errors.As(err, &unsupported):
		return &failure{status: http.StatusBadRequest, kind: badRequest, code: "unsupported", param: string(unsupported.Ability), message: unsupported.Error()}
	case errors.As(err, &budget):
		return &failure{status: http.StatusPaymentRequired, kind: "budget_error", code: "budget_reached", param: "gnothi.budget", message: budget.Error()}
	case errors.Is(err, llm.ErrNotCached):
		return &failure{status: http.StatusGatewayTimeout, kind: badRequest, code: "not_cached", message: "only-if-cached: " + llm.ErrNotCached.Error()}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return errTimeout
	case errors.As(err, &api):
		return fromUpstream(api)
	case errors.Is(err, context.Canceled):
		return &failure{status: statusClientGone, kind: "client_error", message: "the client left"}
	}
	return &failure{status: http.StatusInternalServerError, kind: "server_error", message: err.Error()}
}

// fromUpstream passes on what an upstream said. An answer that is none, or a
// connection that broke, is a bad gateway's.
func fromUpstream(e *llm.APIError) *failure {
	f := &failure{status: e.Status, kind: e.Type, code: e.Code, param: e.Param, message: e.Message, retryAfter: e.RetryAfter, header: e.Header}
	if f.message == "" {
		f.message = e.Error()
	}
	if e.Status < 400 || e.Status > 599 {
		f.status, f.kind, f.code = http.StatusBadGateway, upstreamError, e.Type
		if e.Message != "" {
			f.message = "the upstream failed: " + e.Message
		}
	}
	if f.kind == "" {
		f.kind = upstreamError
	}
	return f
}

// body is the error object, without the secrets.
func (f *failure) body(secrets ...string) []byte {
	message := f.message
	for _, s := range secrets {
		if s != "" {
			message = strings.ReplaceAll(message, s, "[key]")
		}
	}
	orNull := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	return encode(map[string]any{"error": map[string]any{"message": message, "type": f.kind, "param": orNull(f.param), "code": orNull(f.code)}})
}

// write answers a request with the error.
func (f *failure) write(w http.ResponseWriter, secrets ...string) {
	for name, value := range f.header {
		w.Header().Set(name, value)
	}
	w.Header().Set("Content-Type", "application/json")
	if f.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64(math.Ceil(f.retryAfter.Seconds())), 10))
	}
	if f.status == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(f.status)
	_, _ = w.Write(append(f.body(secrets...), '\n')) // a client that has left needs no answer
}

// encode writes a value of our own, which always encodes, without escaping HTML.
func encode(v any) json.RawMessage {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("gateway: a value of our own does not encode: " + err.Error())
	}
	return json.RawMessage(strings.TrimSuffix(b.String(), "\n"))
}
