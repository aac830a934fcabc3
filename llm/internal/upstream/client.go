package upstream

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"gnothi/llm"
)

// Client sends requests to one provider. Its zero limits are replaced by the
// defaults of [Client.Defaults].
type Client struct {
	Provider  string        // for error messages
	HTTP      *http.Client  // nil: a transport of its own
	Secrets   []string      // never shown in an error
	Connect   time.Duration // for the transport of its own; default 10s
	FirstByte time.Duration // from the call to the response's headers; default 5m
	Idle      time.Duration // between two bytes of a body; default 2m
	MaxBody   int64         // of a response that is no stream; default 64 MiB
}

// Defaults fills what is zero.
func (c *Client) Defaults() {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.Connect, 10 * time.Second}, {&c.FirstByte, 5 * time.Minute}, {&c.Idle, 2 * time.Minute}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.MaxBody == 0 {
		c.MaxBody = 64 << 20
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{
			Transport: &http.Transport{
				Proxy:                 http.ProxyFromEnvironment,
				DialContext:           (&net.Dialer{Timeout: c.Connect, KeepAlive: 30 * time.Second}).DialContext,
				TLSHandshakeTimeout:   c.Connect,
				ForceAttemptHTTP2:     true,
				MaxIdleConnsPerHost:   4096, // none is to be opened anew for each call, whatever is in flight
				IdleConnTimeout:       90 * time.Second,
				ExpectContinueTimeout: time.Second,
				// A compressed stream comes in lumps; see also body.
				DisableCompression: true,
			},
			// Following one would repeat the call as a GET.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
}

// Streams tells whether the answer is a stream of events. Some servers call
// theirs something else, so what it begins with counts too.
func (r *Response) Streams() bool {
	if r.Type == "text/event-stream" || r.Type == "application/json" {
		return r.Type == "text/event-stream"
	}
	peeked := bufio.NewReader(r.Body)
	r.Body = struct {
		io.Reader
		io.Closer
	}{peeked, r.Body}
	for n := 1; ; n++ {
		start, err := peeked.Peek(n)
		start = bytes.TrimLeft(start, "\ufeff \r\n\t")
		for _, field := range []string{"data:", "event:", "id:", "retry:", ":"} {
			if bytes.HasPrefix(start, []byte(field)) {
				return true
			}
		}
		if err != nil || len(start) > len("event:") {
			return false
		}
	}
}

// Response is an answer with status 2xx. Body has to be closed, which ends the
// request at once even if there is more to come.
type Response struct {
	Status int
	Header http.Header
	Type   string // media type, lower case
	Body   io.ReadCloser
	length int64 // as announced; -1: not
}

func mediaType(h http.Header) string {
	t := h.Get("Content-Type")
	if t == "application/json" { // mostly
		return t
	}
	media, _, _ := mime.ParseMediaType(t)
	return media
}

// Post sends a JSON body, when the limits of the operation let it ([llm.Admit]).
// Every error is an [llm.APIError], except that of an ended context, which is
// the context's cause, and of a limit.
func (c *Client) Post(ctx context.Context, url string, header http.Header, payload []byte) (_ *Response, err error) {
	place, err := llm.Admit(ctx)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithCancelCause(ctx)
	b := &body{client: c, parent: ctx, ctx: limited, cancel: cancel, place: place}
	defer func() { place.Answered(err) }()
	b.timer = time.AfterFunc(c.FirstByte, b.expire)

	req, err := http.NewRequestWithContext(limited, http.MethodPost, url, bytes.NewReader(payload))
	if err != nil {
		b.Close()
		return nil, c.failed(ctx, limited, err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Content-Type", "application/json")
	for k, v := range llm.HeaderFrom(ctx) {
		if _, own := req.Header[k]; !own {
			req.Header[k] = v
		}
	}
	resp, err := c.HTTP.Do(req)
	b.timer.Stop()
	b.answered.Store(true)
	if err != nil {
		err = c.failed(ctx, limited, err)
		b.Close()
		return nil, err
	}
	b.raw, b.r = resp.Body, resp.Body
	if strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		// Not asked for, but some proxies compress regardless.
		b.r = &lazyGzip{under: &timed{b}}
	} else {
		b.r = &timed{b}
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer b.Close()
		return nil, c.refusal(resp, b)
	}
	return &Response{Status: resp.StatusCode, Header: resp.Header, Type: mediaType(resp.Header), Body: b, length: resp.ContentLength}, nil
}

// limitError says that one of the client's time limits was reached.
type limitError string

// Error implements error.
func (e limitError) Error() string { return string(e) }

// Timeout makes it one to whoever asks as for a [net.Error].
func (limitError) Timeout() bool { return true }

// ReadAll reads a whole body, up to the client's limit, and checks its encoding.
func (c *Client) ReadAll(r *Response) ([]byte, error) {
	// What is announced is a hint only, and a lie must not cost memory.
	buffer := bytes.NewBuffer(make([]byte, 0, bytes.MinRead+max(0, min(r.length, 64<<10))))
	_, err := buffer.ReadFrom(io.LimitReader(r.Body, c.MaxBody+1))
	data := buffer.Bytes()
	switch {
	case err != nil:
		return nil, err
	case int64(len(data)) > c.MaxBody:
		e := c.Malformed(r.Status, "the answer is larger than %d bytes", c.MaxBody)
		e.Temporary = false
		return nil, e
	case !utf8.Valid(data):
		return nil, c.Malformed(r.Status, "the answer is not valid UTF-8")
	case looksLikeHTML(r.Type, data):
		return nil, c.Malformed(r.Status, "the answer is an HTML page%s, not JSON: check the base URL", title(data))
	}
	return data, nil
}

// Malformed is the error for an answer that is none. It may be a passing one.
func (c *Client) Malformed(status int, format string, args ...any) *llm.APIError {
	return &llm.APIError{Provider: c.Provider, Status: status, Type: "malformed_answer", Message: c.Redact(fmt.Sprintf(format, args...)), Temporary: true}
}

// failed turns a transport's error into the one to return.
func (c *Client) failed(parent, limited context.Context, err error) error {
	if parent.Err() != nil {
		return context.Cause(parent)
	}
	temporary := true
	if limited.Err() != nil {
		err = context.Cause(limited)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) { // it names the URL, which may hold a key
		err = wrapped.Err
	}
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	if errors.As(err, &dns) && dns.IsNotFound || errors.As(err, &cert) {
		temporary = false
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = fmt.Errorf("the connection ended early: %w", err)
	}
	return &llm.APIError{Provider: c.Provider, Err: err, Temporary: temporary}
}

// refusal reads what an error status says.
func (c *Client) refusal(resp *http.Response, b *body) error {
	data, err := io.ReadAll(io.LimitReader(b, 64<<10))
	if err != nil && b.parent.Err() != nil {
		return context.Cause(b.parent)
	}
	e := c.ErrorFrom(resp.StatusCode, data)
	e.RetryAfter, e.Header = retryAfter(resp.Header, time.Now()), Keep(resp.Header)
	if looksLikeHTML(mediaType(resp.Header), data) {
		e.Message = "an HTML page" + title(data)
	}
	if to := resp.Header.Get("Location"); to != "" && resp.StatusCode < 400 {
		e.Message = "redirected: use the final base URL"
	}
	e.Message = c.Redact(e.Message)
	return e
}

// ErrorFrom reads an error body, in the layouts that servers use: an object or a
// string under "error", FastAPI's "detail", a bare "message", or plain text.
func (c *Client) ErrorFrom(status int, data []byte) *llm.APIError {
	e := &llm.APIError{Provider: c.Provider, Status: status, Temporary: Temporary(status)}
	var outer struct {
		Error   json.RawMessage `json:"error"`
		Detail  json.RawMessage `json:"detail"`
		Message string          `json:"message"`
	}
	_ = json.Unmarshal(data, &outer) // anything that is not JSON is plain text
	var inner struct {
		Message, Type, Param string
		Code                 any
	}
	switch {
	case json.Unmarshal(outer.Error, &inner) == nil:
		e.Message, e.Type, e.Param = inner.Message, inner.Type, inner.Param
		if inner.Code != nil {
			e.Code = fmt.Sprint(inner.Code)
		}
	case outer.Error != nil:
		e.Message = text(outer.Error)
	case outer.Detail != nil:
		e.Message = text(outer.Detail)
	case outer.Message != "":
		e.Message = outer.Message
	default:
		e.Message = strings.TrimSpace(strings.ToValidUTF8(string(data[:min(len(data), 500)]), "�"))
	}
	if e.Message == "" {
		e.Message = http.StatusText(status)
	}
	if status < 300 { // an error that came as a success, perhaps with its status inside
		code, err := strconv.Atoi(e.Code)
		e.Temporary = err == nil && Temporary(code) || err != nil && !slices.Contains(lasting, e.Type)
	}
	if e.Code == "insufficient_quota" { // 429 as well, but waiting does not help
		e.Temporary = false
	}
	e.Message, e.Type, e.Param, e.Code = c.Redact(e.Message), c.Redact(e.Type), c.Redact(e.Param), c.Redact(e.Code)
	return e
}

// lasting are the types of error that another try does not mend.
var lasting = []string{"invalid_request_error", "authentication_error", "permission_error", "billing_error", "not_found_error", "request_too_large"}

// text gives a JSON string's value, or any other value as it stands.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw[:min(len(raw), 500)])
}

// Temporary tells which statuses are worth another try.
func Temporary(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusConflict || status == http.StatusTooEarly ||
		status == http.StatusTooManyRequests || status >= 500 && status != http.StatusNotImplemented
}

var keyLike = regexp.MustCompile(`\b(sk|pk|rk|gsk|xai|hf)[-_][A-Za-z0-9_*-]{8,}|(?i:\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}`)

// Redact takes keys out of a message: the client's own and what looks like one.
func (c *Client) Redact(s string) string {
	for _, secret := range c.Secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "[key]")
		}
	}
	return keyLike.ReplaceAllString(s, "[key]")
}

// retryAfter reads how long a server asks to wait: milliseconds in the
// vendors' header, seconds or a date in the standard one. 0 means it does not say.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil {
		return span(ms / 1000)
	}
	value := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(value, 64); err == nil {
		return span(s)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

func span(seconds float64) time.Duration {
	if !(seconds > 0) { // NaN as well
		return 0
	}
	return time.Duration(math.Min(seconds, 24*3600) * float64(time.Second))
}

// Keep picks the headers of a response that are of use to a client.
func Keep(h http.Header) map[string]string {
	kept := map[string]string{}
	for name, values := range h {
		name = strings.ToLower(name)
		if name == "x-request-id" || name == "request-id" || strings.HasPrefix(name, "openai-") || strings.Contains(name, "ratelimit") {
			kept[name] = values[0]
		}
	}
	return kept
}

// looksLikeHTML goes by what there is: some servers call JSON a page.
func looksLikeHTML(media string, data []byte) bool {
	start := bytes.TrimSpace(data[:min(len(data), 256)])
	if strings.Contains(media, "html") {
		return len(start) == 0 || start[0] != '{'
	}
	if len(start) == 0 || start[0] != '<' {
		return false
	}
	start = bytes.ToLower(start)
	return bytes.HasPrefix(start, []byte("<!doctype")) || bytes.HasPrefix(start, []byte("<html"))
}

var titleTag = regexp.MustCompile(`(?is)<title>\s*(.{1,100}?)\s*</title>`)

func title(page []byte) string {
	if m := titleTag.FindSubmatch(page); m != nil && utf8.Valid(m[1]) {
		return fmt.Sprintf(" (%q)", m[1])
	}
	return ""
}

// body is a response's body whose reads are limited in time. The limit runs
// only while a read waits, so a slow reader is no slow server.
type body struct {
	client   *Client
	parent   context.Context
	ctx      context.Context
	cancel   context.CancelCauseFunc
	timer    *time.Timer // runs while something is waited for
	answered atomic.Bool // the headers came
	place    *llm.Place
	raw      io.ReadCloser
	r        io.Reader
}

// expire ends the request when the timer does.
func (b *body) expire() {
	if b.answered.Load() {
		b.cancel(limitError(fmt.Sprintf("nothing more came within %v", b.client.Idle)))
		return
	}
	b.cancel(limitError(fmt.Sprintf("no answer within %v", b.client.FirstByte)))
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // a Reader ends with this very value; a broken connection wraps it
		err = b.client.failed(b.parent, b.ctx, err)
	}
	return n, err
}

// Close cancels before it closes: net/http would otherwise read on to keep the
// connection.
func (b *body) Close() error {
	b.timer.Stop()
	b.cancel(context.Canceled)
	b.place.Leave()
	if b.raw == nil {
		return nil
	}
	return b.raw.Close()
}

type timed struct{ *body }

func (t *timed) Read(p []byte) (int, error) {
	t.timer.Reset(t.client.Idle)
	defer t.timer.Stop()
	return t.raw.Read(p)
}

// lazyGzip reads the header only when the first byte is wanted.
type lazyGzip struct {
	under io.Reader
	z     *gzip.Reader
}

func (g *lazyGzip) Read(p []byte) (int, error) {
	if g.z == nil {
		z, err := gzip.NewReader(g.under)
		if err != nil {
			return 0, err
		}
		g.z = z
	}
	return g.z.Read(p)
}
