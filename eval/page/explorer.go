package page

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gnothi/eval"
	"gnothi/internal/web"
)

// Explorer serves a run: its report, and all of its items, however many, with
// filter, search and order; also of a run that goes on. It only reads, and answers
// nothing but GET. It keeps some bytes of each item and no texts.
//
//	/               the report, as far as the run is
//	/items          a page of items: ?q= words, ?o= outcome, ?s= order, ?p= page
//	/items/INDEX    an item in depth
//	/report.html    the file, to keep; /report.json
//	/progress.json  how far the run is
//
// Links are relative, so that it can be mounted anywhere (with
// [http.StripPrefix]).
type Explorer struct {
	folder    *eval.Folder
	suite     eval.Suite
	templates *template.Template
	mux       *http.ServeMux

	mu       sync.Mutex // of what follows
	rows     []listed   // in the order of the items
	outcomes eval.Outcomes
	looked   time.Time // when outcomes was read
	read     time.Time // when rows was read
	took     time.Duration
	known    int // of rows, how many have their confidence
	searches []*found
	report   *eval.Report
	page     []byte // of the report
	measured time.Time
	costly   time.Duration // to measure
}

// listed is an item in the list.
type listed struct {
	index         int
	outcome       string
	calls, tokens int64
	nanoUSD       int64
	confidence    float64 // NaN: none, or not known yet
}

// found is what a search has found.
type found struct {
	query string
	items map[int]bool
	next  int // item to go on from
	ended bool
}

const (
	perPage = 50
	// patience is how long a request reads on before it shows what it has so far.
	patience = 700 * time.Millisecond
	// fresh is how old what is shown of a run may be at least; measuring takes its
	// share of the time at most.
	fresh    = time.Second
	shareOne = 10
	// remembered is how many searches are.
	remembered = 8
)

var errNotBegun = errors.New("the run has not begun yet: its items are being gone through")

// New serves a run. The folder stays open as long as the explorer is used.
func New(f *eval.Folder, suite eval.Suite) (*Explorer, error) {
	t, err := templates()
	if err != nil {
		return nil, err
	}
	e := &Explorer{folder: f, suite: suite, templates: t, mux: http.NewServeMux()}
	for path, serve := range map[string]func(http.ResponseWriter, *http.Request) error{
		"/{$}": e.serveReport, "/items": e.serveList, "/items/{index}": e.serveItem,
		"/report.html": e.serveFile, "/report.json": e.serveJSON, "/progress.json": e.serveProgress,
	} {
		e.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			switch err := serve(w, r); {
			case err == nil || r.Context().Err() != nil:
			case errors.Is(err, errNotBegun):
				w.Header().Set("Refresh", "1")
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
			default:
				http.Error(w, "the run cannot be read: "+web.Visible(err.Error()), http.StatusInternalServerError)
			}
		})
	}
	return e, nil
}

// Title says what the run is of.
func (e *Explorer) Title() string {
	return e.folder.Header.Study + " on " + e.folder.Header.Model
}

// ServeHTTP implements [http.Handler].
func (e *Explorer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policy("default-src 'none'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'"))
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "a run is only looked at: GET", http.StatusMethodNotAllowed)
		return
	}
	e.mux.ServeHTTP(w, r)
}

// refresh looks how far the run is, if that was not done a moment ago.
func (e *Explorer) refresh(ctx context.Context) error {
	now := time.Now()
	if !e.looked.IsZero() && now.Sub(e.looked) < max(fresh, shareOne*e.took) {
		return nil
	}
	if e.folder.Header.Digest == "" {
		if err := e.folder.Reread(ctx); err != nil {
			return err
		}
	}
	o, err := e.folder.Counts(ctx)
	if err != nil {
		return err
	}
	changed := o != e.outcomes || e.read.IsZero()
	e.outcomes, e.looked = o, now
	if !changed {
		return nil
	}
	rows := make([]listed, 0, len(e.rows))
	for d, err := range e.folder.Done(ctx) {
		if err != nil {
			return err
		}
		rows = append(rows, listed{d.Index, d.Outcome, d.Spend.Calls, d.Spend.PromptTokens + d.Spend.CompletionTokens, d.Spend.NanoUSD, math.NaN()})
	}
	e.rows, e.known, e.searches = rows, 0, nil
	e.read, e.took = now, time.Since(now)
	return nil
}

// confidences reads the confidences of the items; it says whether all are known.
func (e *Explorer) confidences(ctx context.Context) (bool, error) {
	if e.known == len(e.rows) {
		return true, nil
	}
	start := time.Now()
	for rec, err := range e.folder.Records(ctx, e.rows[e.known].index) {
		if err != nil {
			return false, err
		}
		for e.known < len(e.rows) && e.rows[e.known].index < rec.Index {
			e.known++ // forgotten meanwhile
		}
		if e.known == len(e.rows) {
			break
		}
		if e.rows[e.known].index == rec.Index {
			if c := confidence(e.suite, rec); c != nil {
				e.rows[e.known].confidence = *c
			}
			e.known++
		}
		if e.known%100 == 0 && time.Since(start) > patience {
			return e.known == len(e.rows), nil
		}
	}
	e.known = len(e.rows)
	return true, nil
}

// find goes on with a search.
func (e *Explorer) find(ctx context.Context, query string) (*found, error) {
	words := wanted(query)
	f := &found{query: query, items: map[int]bool{}, ended: len(words) == 0}
	if i := slices.IndexFunc(e.searches, func(f *found) bool { return f.query == query }); i >= 0 {
		f = e.searches[i]
	} else {
		e.searches = append([]*found{f}, e.searches...)
		e.searches = e.searches[:min(len(e.searches), remembered)]
	}
	if f.ended {
		return f, nil
	}
	start := time.Now()
	for c, err := range e.folder.Candidates(ctx, f.next, words) {
		if err != nil {
			return nil, err
		}
		if c.Holds {
			shown, _, err := e.item(ctx, c.Index, inFull)
			if err != nil {
				return nil, err
			}
			if shown.holds(words) {
				f.items[c.Index] = true
			}
		}
		f.next = c.Index + 1
		if time.Since(start) > patience {
			return f, nil
		}
	}
	f.ended = true
	return f, nil
}

var wordsOf = regexp.MustCompile(`"([^"]+)"|(\S+)`)

// wanted splits a search into words; what is in quotes stays together.
func wanted(query string) []string {
	var out []string
	for _, m := range wordsOf.FindAllStringSubmatch(strings.ToLower(query), 32) {
		out = append(out, m[1]+m[2])
	}
	return out
}

// holds tells whether all words stand in what there is to see of an item.
func (v item) holds(words []string) bool {
	var b strings.Builder
	add := func(s string) {
		b.WriteString(strings.ToLower(s))
		b.WriteByte('\n')
	}
	for _, s := range []string{v.Question, v.Error} {
		add(s)
	}
	for _, f := range slices.Concat(v.Fields, v.Result) {
		add(f.Text)
	}
	for _, a := range v.Asked {
		add(a.Prompt)
		for _, c := range a.Classes {
			add(c.Text)
			add(c.Reasoning)
		}
	}
	all := b.String()
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(all, w) })
}

func (e *Explorer) item(ctx context.Context, index int, c clip) (item, bool, error) {
	rec, calls, ok, err := load(ctx, e.folder, index)
	if err != nil || !ok {
		return item{}, false, err
	}
	return see(rec, calls, confidence(e.suite, rec), c), true, nil
}

// orders are what items can be sorted by, with a minus in front the other way
// round.
var orders = []field{{"i", "index"}, {"o", "outcome"}, {"c", "confidence"}, {"t", "tokens"}, {"n", "calls"}, {"d", "dollars"}}

var outcomeOrder = []string{eval.OutcomeRight, eval.OutcomeWrong, eval.OutcomeMeasured, eval.OutcomeRefused, eval.OutcomeUnparsed, eval.OutcomeFailed}

// list is a page of items.
type list struct {
	*view
	Query, Outcome, Order string
	Chips                 []chip
	Orders                []ordering
	Items                 []item
	Found, Page, Pages    int
	Before, After         string // links
	Pending               string // what is still being read
}

type chip struct {
	Label, Outcome, Link string
	N                    int
	Current              bool
}

type ordering struct {
	Value, Label string
	Current      bool
}

func (e *Explorer) serveList(w http.ResponseWriter, r *http.Request) error {
	ctx, q := r.Context(), r.URL.Query()
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.refresh(ctx); err != nil {
		return err
	}
	l := &list{view: e.newView("./"), Query: q.Get("q"), Outcome: q.Get("o"), Order: cmp.Or(q.Get("s"), "i")}
	l.Title = "items of " + l.Title
	hits, err := e.find(ctx, l.Query)
	if err != nil {
		return err
	}
	if !hits.ended {
		l.Pending = fmt.Sprintf("searched up to item %s of %s; going on", thousands(int64(hits.next)), thousands(int64(len(e.rows))))
	}
	if strings.TrimPrefix(l.Order, "-") == "c" {
		ready, err := e.confidences(ctx)
		if err != nil {
			return err
		}
		if !ready {
			l.Pending = fmt.Sprintf("confidences of %s of %s items read; going on", thousands(int64(e.known)), thousands(int64(len(e.rows))))
		}
	}
	searching := len(wanted(l.Query)) > 0
	var chosen []listed
	count := map[string]int{}
	for _, row := range e.rows {
		if searching && !hits.items[row.index] {
			continue
		}
		count[row.outcome]++
		if l.Outcome == "" || l.Outcome == row.outcome {
			chosen = append(chosen, row)
		}
	}
	sortRows(chosen, l.Order)
	l.Found = len(chosen)
	l.Pages = max(1, (len(chosen)+perPage-1)/perPage)
	l.Page, _ = strconv.Atoi(q.Get("p"))
	l.Page = min(max(1, l.Page), l.Pages)
	for _, row := range chosen[(l.Page-1)*perPage : min(l.Page*perPage, len(chosen))] {
		shown, ok, err := e.item(ctx, row.index, inReport)
		if err != nil {
			return err
		}
		if ok {
			l.Items = append(l.Items, shown)
		}
	}
	l.links(count)
	if l.Pending != "" || l.Left > 0 {
		l.Refresh = 5
	}
	if l.Pending != "" {
		l.Refresh = 1
	}
	return e.write(w, "items", l)
}

func sortRows(rows []listed, order string) {
	key := strings.TrimPrefix(order, "-")
	if key == "i" && order == "i" {
		return
	}
	value := func(r listed) float64 {
		switch key {
		case "o":
			return float64(slices.Index(outcomeOrder, r.outcome))
		case "c":
			return r.confidence
		case "t":
			return float64(r.tokens)
		case "n":
			return float64(r.calls)
		case "d":
			return float64(r.nanoUSD)
		}
		return float64(r.index)
	}
	slices.SortStableFunc(rows, func(a, b listed) int {
		x, y := value(a), value(b)
		switch {
		case math.IsNaN(x) || math.IsNaN(y): // those without come last
			return cmp.Compare(bit(math.IsNaN(x)), bit(math.IsNaN(y)))
		case key != order:
			return cmp.Compare(y, x)
		}
		return cmp.Compare(x, y)
	})
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// links fills in what leads from a page of the list to others.
func (l *list) links(count map[string]int) {
	link := func(outcome, order string, page int) string {
		q := url.Values{}
		for k, v := range map[string]string{"q": l.Query, "o": outcome, "s": order} {
			if v != "" && v != "i" {
				q.Set(k, v)
			}
		}
		if page > 1 {
			q.Set("p", strconv.Itoa(page))
		}
		return "items?" + q.Encode()
	}
	total := 0
	for _, n := range count {
		total += n
	}
	l.Chips = []chip{{Label: "all", N: total, Link: link("", l.Order, 1), Current: l.Outcome == ""}}
	for _, o := range outcomeOrder {
		if count[o] > 0 || o == l.Outcome {
			l.Chips = append(l.Chips, chip{words(o), o, link(o, l.Order, 1), count[o], l.Outcome == o})
		}
	}
	for _, o := range orders {
		for _, sign := range []string{"", "-"} {
			label := o.Text
			if sign != "" {
				label += ", falling"
			}
			l.Orders = append(l.Orders, ordering{sign + o.Name, label, l.Order == sign+o.Name})
		}
	}
	if l.Page > 1 {
		l.Before = link(l.Outcome, l.Order, l.Page-1)
	}
	if l.Page < l.Pages {
		l.After = link(l.Outcome, l.Order, l.Page+1)
	}
}

// deep is an item in depth.
type deep struct {
	*view
	Item          item
	Full          bool
	Before, After string // neighbours
}

func (e *Explorer) serveItem(w http.ResponseWriter, r *http.Request) error {
	index, err := strconv.Atoi(r.PathValue("index"))
	if err != nil {
		http.NotFound(w, r)
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.refresh(r.Context()); err != nil {
		return err
	}
	c, full := inDepth, r.URL.Query().Has("full")
	if full {
		c = inFull
	}
	shown, ok, err := e.item(r.Context(), index, c)
	if err != nil {
		return err
	}
	if !ok {
		http.Error(w, fmt.Sprintf("no item %d is done", index), http.StatusNotFound)
		return nil
	}
	d := deep{view: e.newView("../"), Item: shown, Full: full}
	d.Title = fmt.Sprintf("item %d of %s", index, d.Title)
	at, _ := slices.BinarySearchFunc(e.rows, index, func(r listed, i int) int { return r.index - i })
	if at > 0 {
		d.Before = strconv.Itoa(e.rows[at-1].index)
	}
	if at+1 < len(e.rows) {
		d.After = strconv.Itoa(e.rows[at+1].index)
	}
	return e.write(w, "deep", d)
}

// newView is what all served pages have in common.
func (e *Explorer) newView(base string) *view {
	h := e.folder.Header
	return &view{
		Title: h.Study + " on " + h.Model + " · gnothi", Header: h, Base: base, Live: true,
		Style: template.CSS(web.Style()), Script: template.JS(scriptText), Command: command(h), //nolint:gosec // our own
		Policy: policy("default-src 'none'; connect-src 'self'; form-action 'self'"),
		Left:   e.outcomes.Unasked,
	}
}

func (e *Explorer) write(w http.ResponseWriter, name string, data any) error {
	var b bytes.Buffer
	if err := e.templates.ExecuteTemplate(&b, name, data); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err := w.Write(b.Bytes())
	return err
}

// measure measures the run anew if it went on and that takes but a share of the
// time.
func (e *Explorer) measure(ctx context.Context) error {
	if err := e.refresh(ctx); err != nil {
		return err
	}
	if e.folder.Header.Digest == "" {
		return errNotBegun
	}
	same := e.report != nil && e.report.Outcomes == e.outcomes
	if same || e.report != nil && time.Since(e.measured) < max(fresh, shareOne*e.costly) && e.outcomes.Unasked > 0 {
		return nil
	}
	start := time.Now()
	report, err := e.folder.Report(ctx, e.suite)
	if err != nil {
		return err
	}
	done, err := briefs(ctx, e.folder)
	if err != nil {
		return err
	}
	v, err := newView(ctx, e.folder, e.suite, report, done)
	if err != nil {
		return err
	}
	served := e.newView("./")
	v.Base, v.Live, v.Policy, v.Script = served.Base, true, served.Policy, served.Script
	if v.Left > 0 {
		v.Refresh = 5
	}
	var b bytes.Buffer
	for _, name := range []string{"report", "all", "foot"} {
		if err := e.templates.ExecuteTemplate(&b, name, v); err != nil {
			return err
		}
	}
	e.report, e.page, e.measured, e.costly = report, b.Bytes(), time.Now(), time.Since(start)
	return nil
}

// latest gives the report and its page as they were last measured.
func (e *Explorer) latest(ctx context.Context) (*eval.Report, []byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	err := e.measure(ctx)
	return e.report, e.page, err
}

func (e *Explorer) serveReport(w http.ResponseWriter, r *http.Request) error {
	_, page, err := e.latest(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err = w.Write(page)
	return err
}

func (e *Explorer) serveJSON(w http.ResponseWriter, r *http.Request) error {
	report, _, err := e.latest(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, report)
}

func (e *Explorer) serveFile(w http.ResponseWriter, r *http.Request) error {
	report, _, err := e.latest(r.Context())
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="report.html"`)
	return Write(r.Context(), w, e.folder, e.suite, report, Options{})
}

// progress is how far a run is.
type progress struct {
	Done     int           `json:"done"`
	Total    int           `json:"total"`
	Outcomes eval.Outcomes `json:"outcomes"`
	Words    string        `json:"words"`
}

func (e *Explorer) serveProgress(w http.ResponseWriter, r *http.Request) error {
	e.mu.Lock()
	err := e.refresh(r.Context())
	o := e.outcomes
	e.mu.Unlock()
	if err != nil {
		return err
	}
	p := progress{Total: e.folder.Header.Items, Outcomes: o}
	p.Done = p.Total - o.Unasked
	var said []string
	for _, s := range shares(o) {
		if s.Name != eval.OutcomeUnasked {
			said = append(said, fmt.Sprintf("%d %s", s.N, s.Name))
		}
	}
	p.Words = strings.Join(said, ", ")
	return writeJSON(w, p)
}

func writeJSON(w http.ResponseWriter, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(append(b, '\n'))
	return err
}
