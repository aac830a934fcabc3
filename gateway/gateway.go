package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"gnothi/control"
	"gnothi/llm"
	"gnothi/llm/openai"
	"gnothi/monitor"
	"gnothi/monitor/calibrate"
	"gnothi/store"
)

// Options is what a gateway is made of. Only Model is needed.
type Options struct {
	// Model answers. It is served as Name, by default the name of its ID.
	Model llm.Model
	Name  string
	// Policy is the specification of the policy of requests that name none; empty
	// is direct. Policies makes a policy of a specification (by default it knows
	// auto and direct), PolicyNames are those that the list of models shows.
	Policy      string
	Policies    func(spec string) (control.Policy, error)
	PolicyNames []string
	// Signals are read under deliberating policies, besides those that cost
	// nothing. Calibrators nil means those that come with gnothi.
	Signals     []monitor.Signal
	Calibrators *calibrate.Set
	// Rule decides about answers of deliberating policies, Limits bound each
	// request, Seed (default 1) is the root of requests without a seed, MaxTokens
	// the longest answer where a deliberated request does not say.
	Rule      control.Rule
	Limits    llm.Limits
	Seed      uint64
	MaxTokens int
	// Withheld is said in place of a withheld answer.
	Withheld string
	// Timeout bounds a request, a stream up to its first event; default 10m.
	Timeout time.Duration
	// APIKey, if set, has to come with every request but health checks and the page,
	// unless one of Keys does.
	APIKey string
	// Keys are those of clients, each with its own limits ([CheckKeys]). Day bounds
	// what all together spend a day, Books keeps count; nil counts in memory.
	Keys  []Key
	Day   llm.Limits
	Books *Books
	// OverBudget says what becomes of an answer for which a ceiling left less than
	// its policy wanted, where the request does not: answer (the best so far, marked;
	// the default) or error.
	OverBudget string
	// Fallback are asked in turn where Model fails before anything was delivered.
	Fallback []llm.Model
	// Guards are the breakers before the upstreams, for readyz and metrics.
	Guards *llm.Guards
	// Limiters, if set, tells how the limits of upstreams stand, for metrics.
	Limiters func() map[string]llm.LimitStats
	// LogPrompts puts questions into the log.
	LogPrompts bool
	// Native is set for a model in this process, Upstream for one behind an
	// OpenAI-compatible server.
	Native   Native
	Upstream *Upstream
	// Feedback receives a JSON line for each verdict of POST /v1/feedback.
	Feedback io.Writer
	// Trials keeps what is answered, for the pages and for feedback; nil keeps
	// nothing but what feedback needs to know of the latest answers.
	Trials *store.Trials
	// Audit is the share of answers that are marked for labelling, from 0 to 1.
	Audit float64
	// Watch withdraws calibrators that no longer hold; nil: nobody looks.
	Watch *Watch
	// Runs are pages about runs by name, served under /runs/NAME/.
	Runs map[string]http.Handler
	// Cache keeps answers of requests whose Cache-Control asks for it or, if
	// CacheAll, of all that do not forbid it.
	Cache    llm.Store
	CacheAll bool
	// Tracer makes spans of requests, evidence and calls; nil: none. TraceContent
	// puts what was asked and answered into them.
	Tracer       trace.Tracer
	TraceContent bool
	// Metrics are where requests are counted; nil makes new ones.
	Metrics *Metrics
	// Log gets a line for each request, without its text; default: none.
	Log *slog.Logger
}

// defaultWithheld is what a withheld answer says.
const defaultWithheld = "I am not sure enough to answer that."

// maxBody bounds a request, in bytes.
const maxBody = 32 << 20

// bodyTime is how long a client may take to send its request.
const bodyTime = time.Minute

// Gateway is an [http.Handler]. Make it with [New].
type Gateway struct {
	Options
	keySum   [sha256.Size]byte
	mux      *http.ServeMux
	origins  *http.CrossOriginProtection
	metrics  *Metrics
	tracing  tracing
	models   *modelSet
	pages    *pages
	recent   *recent
	digests  map[calibrate.Key]string
	holding  atomic.Pointer[holding]
	verdicts sync.Mutex // of Feedback
	started  time.Time
}

// New makes a gateway. It makes no call.
func New(o Options) (*Gateway, error) {
	if o.Model == nil {
		return nil, errors.New("gateway: no model")
	}
	if o.Name == "" {
		o.Name = o.Model.ID().Name
	}
	if o.Policy == "" {
		o.Policy = "direct"
	}
	if o.Policies == nil {
		o.Policies = basicPolicies
	}
	policy, err := o.Policies(o.Policy)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if o.Calibrators == nil {
		set, err := calibrate.Shipped()
		if err != nil {
			return nil, fmt.Errorf("gateway: %w", err)
		}
		o.Calibrators = set
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Withheld == "" {
		o.Withheld = defaultWithheld
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Minute
	}
	if err := CheckKeys(o.Keys); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if o.OverBudget != "" && o.OverBudget != overAnswer && o.OverBudget != overError {
		return nil, fmt.Errorf("gateway: over budget %q: want answer or error", o.OverBudget)
	}
	if o.Books == nil {
		if o.Books, err = OpenBooks(context.Background(), BookOptions{}); err != nil {
			return nil, fmt.Errorf("gateway: %w", err)
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics()
	}
	if isDirect(policy) && o.Rule.Threshold > 0 {
		o.Log.Warn("direct withholds nothing: the threshold holds for requests under other policies")
	}
	g := &Gateway{
		Options: o, keySum: sha256.Sum256([]byte(o.APIKey)), mux: http.NewServeMux(), origins: http.NewCrossOriginProtection(),
		metrics: o.Metrics, tracing: tracing{o.Tracer, o.TraceContent}, models: newModelSet(o.Upstream), recent: newRecent(), digests: o.Calibrators.Digests(), started: time.Now(),
	}
	g.Model, g.Fallback, g.models.wrap = g.cached(g.Model), slices.Clone(g.Fallback), g.cached
	for i, m := range g.Fallback {
		g.Fallback[i] = g.cached(m)
	}
	return g, g.routes()
}

func basicPolicies(spec string) (control.Policy, error) {
	switch spec {
	case "auto":
		return control.DefaultAuto(), nil
	case "direct":
		return control.Direct(), nil
	}
	return nil, fmt.Errorf("no policy is called %q: want auto or direct", spec)
}

// endpoint answers a request, or returns why not.
type endpoint func(http.ResponseWriter, *http.Request) error

func (g *Gateway) routes() error {
	var err error
	if g.pages, err = newPages(); err != nil {
		return err
	}
	completions, responses := g.completions, endpoint(g.onlyUpstream)
	if g.Upstream != nil {
		completions, responses = g.pass(openai.Completions), g.pass(openai.Responses)
	}
	for _, r := range []struct {
		method, path string
		serve        endpoint
	}{
		{"POST", "/v1/chat/completions", g.paid(g.chat)},
		{"POST", "/v1/completions", g.paid(completions)},
		{"POST", "/v1/responses", g.paid(responses)},
		{"POST", "/v1/feedback", g.feedback},
		{"GET", "/v1/models", g.listModels},
		{"GET", "/v1/models/{model...}", g.oneModel},
		{"POST", "/tokenize", g.tokenize},
		{"POST", "/detokenize", g.detokenize},
		{"POST", "/apply-template", g.applyTemplate},
		{"GET", metricsPath, g.metrics.endpoint(&gauges{g.Guards, g.Limiters, g.Books}, TrialMetrics(g.Trials, g.Watch))},
		{"GET", "/healthz", alive},
		{"GET", "/readyz", g.ready},
		{"GET", "/{$}", g.home},
		{"GET", assetsPath, g.assets},
		{"GET", trialsPath, g.withTrials(0, g.trials)},
		{"GET", trialPath, g.withTrials(1, g.trial)},
		{"POST", judgePath, g.withTrials(2, g.judgeTrial)},
		{"GET", livePath, g.withTrials(0, g.live)},
		{"GET", reliabilityPath, g.withTrials(0, g.reliability)},
		{"GET", spendPath, g.withTrials(0, g.spend)},
		{"GET", auditPath, g.withTrials(0, g.auditList)},
		{"GET", runsPath, g.run},
	} {
		g.mux.HandleFunc(r.path, g.wrap(r.method, r.path, r.serve))
	}
	g.mux.HandleFunc("/", g.wrap("", "other", func(_ http.ResponseWriter, r *http.Request) error {
		return &failure{status: http.StatusNotFound, kind: badRequest, code: "unknown_url", message: fmt.Sprintf("there is no %.200q here; there are /v1/chat/completions, /v1/responses, /v1/completions and /v1/models", r.URL.Path)}
	}))
	return nil
}

// ServeHTTP implements [http.Handler].
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.mux.ServeHTTP(w, r) }

// note is what the log says of a request beside the obvious.
type note struct{ key, model, policy, decision, prompt string }

type noteKey struct{}

func noteOf(ctx context.Context) *note {
	if n, ok := ctx.Value(noteKey{}).(*note); ok {
		return n
	}
	return &note{}
}

// open tells the paths that need no key.
func open(path string) bool {
	return path == "/healthz" || path == "/readyz" || path == "/{$}" || path == assetsPath
}

// wrap does for an endpoint what all have in common.
func (g *Gateway) wrap(method, path string, serve endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		out := &recorder{ResponseWriter: w}
		about := &note{}
		r = r.WithContext(context.WithValue(r.Context(), noteKey{}, about))
		g.metrics.inFlight.Inc()
		defer g.metrics.inFlight.Dec()
		r, traced := g.tracing.request(r, path)
		err := g.guard(out, r, method, path, serve)
		broken := errors.Is(err, errBroken)
		if err != nil {
			f := explain(err)
			if r.Context().Err() != nil && f.status == http.StatusInternalServerError {
				f = explain(context.Canceled) // a write that failed because the client left
			}
			if out.status == 0 {
				f.write(out, g.APIKey)
			}
			err = f
		}
		took := time.Since(start)
		g.metrics.observe(path, out.status, took)
		traced(out.status, about, err)
		g.access(r, out, about, took, err)
		if broken {
			panic(http.ErrAbortHandler) // a part of the answer is out: cut it, rather than end it as if it were whole
		}
	}
}

func (g *Gateway) access(r *http.Request, out *recorder, about *note, took time.Duration, err error) {
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("method", r.Method), slog.String("path", clip(r.URL.Path)), slog.Int("status", out.status),
		slog.Float64("ms", float64(took.Microseconds())/1000),
	}
	for _, a := range []struct{ key, value string }{{"key", about.key}, {"model", about.model}, {"policy", about.policy}, {"decision", about.decision}} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.key, clip(a.value)))
		}
	}
	if about.prompt != "" {
		attrs = append(attrs, slog.String("prompt", about.prompt))
	}
	if f := (*failure)(nil); errors.As(err, &f) {
		attrs = append(attrs, slog.Int("failed", f.status), slog.String("code", f.code))
		if f.status >= 500 {
			level = slog.LevelWarn
		}
	}
	g.Log.LogAttrs(r.Context(), level, "request", attrs...)
}

// clip keeps what clients choose from filling the log.
func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}

// guard checks who asks and how, runs the endpoint, and turns its panic into an
// error.
func (g *Gateway) guard(w http.ResponseWriter, r *http.Request, method, path string, serve endpoint) (err error) {
	defer func() {
		switch p := recover(); {
		case p == nil:
		case p == any(http.ErrAbortHandler):
			err = errBroken
		default:
			err = g.panicked(p)
		}
	}()
	if method != "" && r.Method != method && !(method == http.MethodGet && r.Method == http.MethodHead) {
		w.Header().Set("Allow", method)
		return &failure{status: http.StatusMethodNotAllowed, kind: badRequest, message: fmt.Sprintf("%s wants %s", path, method)}
	}
	if err := g.origins.Check(r); err != nil {
		return &failure{status: http.StatusForbidden, kind: badRequest, code: "cross_origin", message: "requests from the pages of other sites are refused"}
	}
	if !g.Guarded() && !addressed(r.Host) {
		// A page whose name was made to point here would count as the same site.
		return &failure{status: http.StatusForbidden, kind: badRequest, code: "unknown_host", message: fmt.Sprintf("without an API key only localhost and addresses are served, not the host %.100q", r.Host)}
	}
	k, err := g.admits(w, r, path)
	if err != nil {
		return err
	}
	if k != operator {
		noteOf(r.Context()).key = k.Name
		r = r.WithContext(context.WithValue(r.Context(), clientKey{}, k))
	}
	return serve(w, r)
}

// Guard refuses what a gateway refuses: requests from the pages of other sites,
// without a key those to a host that is no address of a machine, and with one
// those that do not send it; /healthz is open. logger may be told of a panic.
func Guard(apiKey string, logger *slog.Logger, h http.Handler) http.Handler {
	g := &Gateway{Options: Options{APIKey: apiKey, Log: logger}, keySum: sha256.Sum256([]byte(apiKey)), origins: http.NewCrossOriginProtection()}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &recorder{ResponseWriter: w}
		err := g.guard(out, r, "", r.URL.Path, func(w http.ResponseWriter, r *http.Request) error {
			h.ServeHTTP(w, r)
			return nil
		})
		switch {
		case err == nil:
		case out.status != 0: // a part is out
			panic(http.ErrAbortHandler)
		default:
			explain(err).write(w, apiKey)
		}
	})
}

// panicked logs a panic, but not its value, which may hold a client's text.
func (g *Gateway) panicked(p any) error {
	what := fmt.Sprintf("%T", p)
	if e, ok := p.(runtime.Error); ok {
		what = e.Error()
	}
	g.Log.Error("panic", "panic", what, "stack", string(debug.Stack()))
	return &failure{status: http.StatusInternalServerError, kind: "server_error", code: "internal_error", message: "an internal error; the log has more"}
}

// addressed tells hosts that nobody can make point elsewhere.
func addressed(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.Trim(name, "[]"), ".")
	return name == "" || net.ParseIP(name) != nil || strings.EqualFold(name, "localhost") || strings.HasSuffix(strings.ToLower(name), ".localhost")
}

// body reads a request's body.
func body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	tooLarge := &failure{status: http.StatusRequestEntityTooLarge, kind: badRequest, code: "request_too_large", message: fmt.Sprintf("the body is larger than %d MiB", maxBody>>20)}
	if r.ContentLength > maxBody {
		w.Header().Set("Connection", "close") // so that what the client goes on sending is not read as a request
		return nil, tooLarge
	}
	if len(r.TransferEncoding) > 0 {
		// A Content-Length beside it is gone by now; a server in front that went by it
		// would see another request in what is left on the connection.
		w.Header().Set("Connection", "close")
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, &failure{status: http.StatusUnsupportedMediaType, kind: badRequest, message: fmt.Sprintf("the content encoding %.20q is not understood: send the body as it is", e)}
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTime)) // a writer without deadlines, as in tests, waits
	b, err := readPieces(http.MaxBytesReader(w, r.Body, maxBody), r.ContentLength)
	var over *http.MaxBytesError
	switch {
	case err == nil:
		_ = control.SetReadDeadline(time.Time{})
		return b, nil
	case errors.As(err, &over):
		err = tooLarge
	default:
		err = &failure{status: http.StatusRequestTimeout, kind: badRequest, message: "the body did not come in whole"}
	}
	// The deadline stays: else the server would wait for the rest as long as the client
	// likes, so as to use the connection again.
	w.Header().Set("Connection", "close")
	return nil, err
}

// readPieces reads everything, without growing what it has by copying it: a body that
// turns out too large costs no more than the limit. announced is a hint, -1 none.
func readPieces(r io.Reader, announced int64) ([]byte, error) {
	var whole [][]byte
	piece := make([]byte, 0, max(512, min(announced+1, 64<<10)))
	for {
		n, err := r.Read(piece[len(piece):cap(piece)])
		piece = piece[:len(piece)+n]
		switch {
		case err == io.EOF && whole == nil:
			return piece, nil
		case err == io.EOF:
			return bytes.Join(append(whole, piece), nil), nil
		case err != nil:
			return nil, err
		case len(piece) == cap(piece):
			whole, piece = append(whole, piece), make([]byte, 0, min(2*cap(piece), 1<<20))
		}
	}
}

// answerJSON writes a JSON answer with status 200.
func answerJSON(w http.ResponseWriter, b []byte) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(append(b, '\n'))
	return err
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements [http.ResponseWriter].
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap is for [http.ResponseController].
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// newID makes the ID of an answer, such as chatcmpl-….
func newID(prefix string) string { return prefix + rand.Text() }

func alive(w http.ResponseWriter, _ *http.Request) error {
	return answerJSON(w, []byte(`{"status":"ok"}`))
}

// ready says whether requests are taken: not while the server ends, nor while the
// breakers keep them from every model that could answer.
func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) error {
	if ending(r.Context()) {
		return errShutdown
	}
	if s, ok := g.unavailable(); ok {
		return &failure{status: http.StatusServiceUnavailable, kind: upstreamError, code: "circuit_open", message: "the upstream failed too often lately and is not asked for a while", retryAfter: max(time.Second, time.Until(s.Until))}
	}
	return alive(w, r)
}

func (g *Gateway) listModels(w http.ResponseWriter, _ *http.Request) error {
	list := []any{g.modelObject(g.Name)}
	for _, name := range g.PolicyNames {
		list = append(list, g.modelObject(g.Name+"+"+name))
	}
	return answerJSON(w, encode(map[string]any{"object": "list", "data": list}))
}

func (g *Gateway) oneModel(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("model")
	base, policy, _ := strings.Cut(name, g.Name+"+")
	if name == g.Name || base == "" && slices.Contains(g.PolicyNames, policy) {
		return answerJSON(w, encode(g.modelObject(name)))
	}
	return g.unknownModel(name)
}

func (g *Gateway) modelObject(name string) map[string]any {
	return map[string]any{"id": name, "object": "model", "created": g.started.Unix(), "owned_by": g.Model.ID().Provider}
}

func (g *Gateway) unknownModel(name string) error {
	return &failure{
		status: http.StatusNotFound, kind: badRequest, code: "model_not_found", param: "model",
		message: fmt.Sprintf("the model %.200q is not served here: did you mean %q, or %q to name the policy?", name, g.Name, g.Name+"+POLICY"),
	}
}
