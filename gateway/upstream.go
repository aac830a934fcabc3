package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"

	"github.com/tidwall/gjson"

	"gnothi/llm"
)

// Upstream is the OpenAI-compatible server behind the model: where the endpoints
// go that are passed through, and where its other models are.
type Upstream struct {
	// BaseURL ends before /chat/completions. APIKey is sent as a bearer token;
	// the clients' own keys never are.
	BaseURL string
	APIKey  string
	// Open gives the model of another name; nil: there is only one.
	Open func(name string) (llm.Model, error)
	// Transport replaces the default.
	Transport http.RoundTripper
}

// Headers that pass; anything else stays on its side. clientHeaders, canonical,
// say nothing about who pays or where to go.
var (
	clientHeaders = []string{"Openai-Beta", "Anthropic-Beta", "X-Client-Request-Id", "Traceparent", "Tracestate"}
	passOut       = regexp.MustCompile(`^(?i:content-type|content-length|cache-control|retry-after(-ms)?|x-request-id|openai-.*|.*ratelimit.*)$`)
)

// fromClient are the headers of a request that reach the model's server, and
// more. An idempotency key is of one call and goes with no others; whose
// account is charged is the client's choice only where the gateway has no key.
func (g *Gateway) fromClient(h http.Header, oneCall bool, more ...string) http.Header {
	out := http.Header{}
	pass := func(names ...string) {
		for _, name := range names {
			if v, ok := h[name]; ok {
				out[name] = v
			}
		}
	}
	pass(clientHeaders...)
	pass(more...)
	if oneCall {
		pass("Idempotency-Key")
	}
	if g.Upstream != nil && g.Upstream.APIKey == "" {
		pass("Openai-Organization", "Openai-Project")
	}
	return out
}

// forward passes an endpoint through to the upstream: bodies as they are, both
// ways and as they come.
func (g *Gateway) forward(name string) (endpoint, error) {
	base, err := url.Parse(g.Upstream.BaseURL)
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("gateway: the upstream's base URL is not http://HOST/PATH or https://HOST/PATH")
	}
	target := base.JoinPath(name)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL, p.Out.Host = target, ""
			p.Out.Header = g.fromClient(p.In.Header, true, "Accept", "Content-Type")
			p.Out.Header.Set("User-Agent", "gnothi")
			if g.Upstream.APIKey != "" {
				p.Out.Header.Set("Authorization", "Bearer "+g.Upstream.APIKey)
			}
		},
		Transport:      g.Upstream.Transport,
		FlushInterval:  -1,
		ModifyResponse: g.passedBack,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			explain(reason(r.Context(), lost(err))).write(w, g.APIKey, g.Upstream.APIKey)
		},
		ErrorLog: log.New(io.Discard, "", 0), // it would hold URLs; the access log has the status
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		raw, err := body(w, r)
		if err != nil {
			return err
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil || fields == nil {
			return invalid("", "the body is not a JSON object")
		}
		if _, ok := fields["gnothi"]; ok {
			return invalid("gnothi", "gnothi: this endpoint is passed through: use /v1/chat/completions for beliefs")
		}
		noteOf(r.Context()).model = gjson.GetBytes(raw, "model").String()
		ctx, answered, cancel := limit(r.Context(), g.Timeout)
		defer cancel()
		out := r.Clone(context.WithValue(ctx, answeredKey{}, answered))
		out.Body, out.ContentLength, out.TransferEncoding = io.NopCloser(bytes.NewReader(raw)), int64(len(raw)), nil
		proxy.ServeHTTP(w, out)
		return nil
	}, nil
}

type answeredKey struct{}

// passedBack looks at an answer's head, and at the body of an error.
func (g *Gateway) passedBack(resp *http.Response) error {
	if answered, ok := resp.Request.Context().Value(answeredKey{}).(func()); ok {
		answered()
	}
	for name := range resp.Header {
		if !passOut.MatchString(name) {
			resp.Header.Del(name)
		}
	}
	if resp.StatusCode < 300 && !strings.Contains(resp.Header.Get("Content-Type"), "html") {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return err
	}
	e := &llm.APIError{Provider: "upstream", Status: resp.StatusCode}
	said := gjson.GetBytes(data, "error")
	switch {
	case said.IsObject():
		e.Message, e.Type, e.Param, e.Code = said.Get("message").String(), said.Get("type").String(), said.Get("param").String(), said.Get("code").String()
	case said.Type == gjson.String:
		e.Message = said.String()
	case resp.StatusCode < 400:
		e.Message = "its answer is a redirection or a page, not JSON: check the base URL"
	default:
		e.Message = strings.TrimSpace(strings.ToValidUTF8(string(data[:min(len(data), 500)]), "�"))
	}
	f := fromUpstream(e)
	f.message = keyLike.ReplaceAllString(f.message, "[key]")
	b := append(f.body(g.APIKey, g.Upstream.APIKey), '\n')
	resp.StatusCode, resp.Body, resp.ContentLength = f.status, io.NopCloser(bytes.NewReader(b)), int64(len(b))
	resp.Header.Set("Content-Type", "application/json")
	resp.Header.Set("Content-Length", fmt.Sprint(len(b)))
	return nil
}

// keyLike finds what looks like a key; an upstream's 401 may quote it.
var keyLike = regexp.MustCompile(`\b(sk|pk|rk|key|gsk|xai|hf)[-_][A-Za-z0-9_*-]{8,}|(?i:\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}`)

// lost words a failed exchange without its URL, which may hold a key.
func lost(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return &llm.APIError{Provider: "upstream", Err: err, Temporary: true}
}
