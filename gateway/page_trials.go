package gateway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gnothi"
	"gnothi/control"
	"gnothi/internal/web"
	"gnothi/monitor/calibrate"
	"gnothi/store"
	"gnothi/text"
)

const (
	perPage = 50
	// reloadEvery is how often browsers without scripts look again, in seconds.
	reloadEvery = 10
	// shownText is the longest text that a page shows, in bytes, shownReplies the
	// most different replies of a trial.
	shownText    = 20_000
	shownReplies = 100
	// namesSince is how far back the names go that one can filter by.
	namesSince = 90 * 24 * time.Hour
)

// row is a trial in a list.
type row struct {
	Seq                       int64
	ID, Link, Stamp, When, At string
	Word, Square              string // what was decided
	Question, Answer          string
	Probability               bool
	P                         float64
	Status, Policy, Name, Key string
	Cost, Verdict             string
	Waiting, Audit            bool
	AuditP                    float64
}

func newRow(t store.Trial) row {
	r := row{
		Seq: t.Seq, ID: web.Visible(t.ID), Link: "trials/" + url.PathEscape(t.ID), Stamp: t.At.UTC().Format(time.RFC3339),
		When: t.At.UTC().Format("15:04:05"), At: t.At.UTC().Format("2 January 2006, 15:04:05 UTC"), Word: t.Decision, Square: cmp.Or(t.Decision, "none"),
		Question: shown(t.Question), Answer: shown(t.Answer), Status: t.Status, Policy: web.Visible(t.Policy), Name: web.Visible(t.Name), Key: web.Visible(t.Key),
		Cost: cost(t), Verdict: rightWrong(t.Correct), Waiting: t.Marked && t.Judged.IsZero(), Audit: t.Marked, AuditP: t.Audit,
	}
	if now := time.Now(); now.Sub(t.At) > 20*time.Hour {
		r.When = t.At.UTC().Format("2 Jan 15:04")
	}
	if t.Outcome == outcomeFailed {
		r.Word, r.Square = "failed", "failed"
	}
	if t.Probability != nil {
		r.Probability, r.P = true, *t.Probability
	}
	return r
}

func rightWrong(correct *bool) string {
	switch {
	case correct == nil:
		return ""
	case *correct:
		return "right"
	}
	return "wrong"
}

func cost(t store.Trial) string {
	s := thousands(t.Calls) + " calls"
	if t.Calls == 1 {
		s = "1 call"
	}
	if t.NanoUSD != nil && *t.NanoUSD > 0 {
		s += ", " + dollars(*t.NanoUSD)
	} else {
		s += ", " + thousands(t.Tokens) + " tokens"
	}
	return s + fmt.Sprintf(", %.1f s", float64(t.WallMS)/1000)
}

func dollars(nano int64) string {
	if nano == 0 {
		return "$0"
	}
	if usd := float64(nano) / 1e9; usd >= 1 {
		return fmt.Sprintf("$%.2f", usd)
	}
	return fmt.Sprintf("$%.6f", float64(nano)/1e9)
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// shown is a text as a page shows it.
func shown(s string) string {
	if len(s) > shownText {
		return web.Visible(s[:shownText]) + fmt.Sprintf(" … (%s more bytes)", thousands(int64(len(s)-shownText)))
	}
	return web.Visible(s)
}

// filters are what a list is filtered by, as the address has it.
type filters struct{ query, name, policy, key, decision, status, verdict string }

func readFilters(q url.Values) filters {
	get := func(name string) string {
		v := q.Get(name)
		return v[:min(len(v), 500)]
	}
	return filters{get("q"), get("model"), get("policy"), get("key"), get("d"), get("s"), get("v")}
}

func (f filters) values() url.Values {
	q := url.Values{}
	for name, v := range map[string]string{"q": f.query, "model": f.name, "policy": f.policy, "key": f.key, "d": f.decision, "s": f.status, "v": f.verdict} {
		if v != "" {
			q.Set(name, v)
		}
	}
	return q
}

var wordsOf = regexp.MustCompile(`"([^"]+)"|(\S+)`)

// want turns the filters into a query.
func (f filters) want() store.TrialQuery {
	q := store.TrialQuery{Name: f.name, Policy: f.policy, Key: f.key, Decision: f.decision, Status: f.status}
	if f.decision == outcomeFailed {
		q.Decision, q.Outcome = "", outcomeFailed
	}
	for _, m := range wordsOf.FindAllStringSubmatch(f.query, 16) {
		q.Words = append(q.Words, m[1]+m[2])
	}
	yes, no := true, false
	switch f.verdict {
	case "right":
		q.Correct = &yes
	case "wrong":
		q.Correct = &no
	case "any":
		q.Judged = true
	case "none":
		q.Unjudged = true
	case "wait":
		q.Marked, q.Unjudged = true, true
	}
	return q
}

type choice struct {
	Label, Field string
	Options      []option
}

type option struct {
	Value, Label string
	Current      bool
}

func newChoice(label, field, current string, options ...[2]string) choice {
	c := choice{Label: label, Field: field}
	found := current == ""
	for _, o := range options {
		c.Options = append(c.Options, option{o[0], web.Visible(o[1]), o[0] == current})
		found = found || o[0] == current
	}
	if !found {
		c.Options = append(c.Options, option{current, web.Visible(current), true})
	}
	return c
}

// choices are the filters that a page offers.
func (g *Gateway) choices(ctx context.Context, f filters, all bool) ([]choice, error) {
	days, err := g.Trials.Days(ctx, time.Now().Add(-namesSince))
	if err != nil {
		return nil, err
	}
	names := func(of func(store.Day) string) [][2]string {
		var values []string
		for _, d := range days {
			if v := of(d); v != "" {
				values = append(values, v)
			}
		}
		slices.Sort(values)
		var out [][2]string
		for _, v := range slices.Compact(values) {
			out = append(out, [2]string{v, v})
		}
		return out
	}
	list := []choice{
		newChoice("model", "model", f.name, names(func(d store.Day) string { return d.Name })...),
		newChoice("policy", "policy", f.policy, names(func(d store.Day) string { return d.Policy })...),
	}
	if keys := names(func(d store.Day) string { return d.Key }); len(keys) > 0 {
		list = append(list, newChoice("key", "key", f.key, keys...))
	}
	list = append(list, newChoice("calibration", "s", f.status, same(calibrate.Calibrated, calibrate.Borrowed, calibrate.Uncalibrated)...))
	if all {
		list = append(list,
			newChoice("decision", "d", f.decision, append(same(control.Answer, control.Hedge, control.Clarify, control.Abstain, control.Defer), [2]string{outcomeFailed, outcomeFailed})...),
			newChoice("verdict", "v", f.verdict, [2]string{"right", "right"}, [2]string{"wrong", "wrong"}, [2]string{"any", "any verdict"}, [2]string{"none", "none yet"}, [2]string{"wait", "to label"}))
	}
	return list, nil
}

func same[S ~string](values ...S) [][2]string {
	var out [][2]string
	for _, v := range values {
		out = append(out, [2]string{string(v), string(v)})
	}
	return out
}

// list is a page of trials.
type list struct {
	Rows         []row
	Live         string // the filters, where the list grows
	Last         int64
	Filtered     bool
	Newer, Older string // links
	Pending      string
}

// list finds trials before or after one, or the latest.
func (g *Gateway) list(ctx context.Context, f filters, before, after int64, most int) (list, error) {
	q := f.want()
	q.Before, q.After, q.Oldest, q.Limit = before, after, after > 0, most+1
	found, next, err := g.Trials.List(ctx, q)
	if err != nil {
		return list{}, err
	}
	l := list{Filtered: f != filters{}}
	more := len(found) > most
	if more {
		found = found[:most]
	}
	if q.Oldest {
		slices.Reverse(found)
	}
	for _, t := range found {
		l.Rows = append(l.Rows, newRow(t))
	}
	link := func(name string, seq int64) string {
		v := f.values()
		v.Set(name, strconv.FormatInt(seq, 10))
		return "trials?" + v.Encode()
	}
	if len(found) > 0 {
		l.Last = found[0].Seq
		if more || q.Oldest {
			l.Older = link("before", found[len(found)-1].Seq)
		}
		if before > 0 || q.Oldest && more {
			l.Newer = link("after", found[0].Seq)
		}
	} else if before > 0 {
		l.Newer = link("after", before-1)
	}
	if next > 0 && !q.Oldest {
		l.Pending, l.Older = fmt.Sprintf("Searched back to trial %s so far; older ones are a step further.", thousands(next)), link("before", next)
	}
	if before == 0 && after == 0 {
		v := f.values()
		l.Live = cmp.Or(v.Encode(), "all")
	}
	return l, nil
}

func (g *Gateway) trials(w http.ResponseWriter, r *http.Request) error {
	ctx, q := r.Context(), r.URL.Query()
	f := readFilters(q)
	number := func(name string) int64 {
		n, err := strconv.ParseInt(q.Get(name), 10, 64)
		if err != nil {
			return 0
		}
		return max(0, n)
	}
	page := struct {
		view
		list
		Query, Count string
		Choices      []choice
	}{view: g.view("Trials", "trials", 0), Query: f.query}
	var err error
	if page.list, err = g.list(ctx, f, number("before"), number("after"), perPage); err != nil {
		return err
	}
	if page.Choices, err = g.choices(ctx, f, true); err != nil {
		return err
	}
	c := g.Trials.Counts()
	page.Count = fmt.Sprintf("%s trials are kept", thousands(c.Kept))
	if c.Dropped > 0 {
		page.Count += fmt.Sprintf("; %s came too fast to be kept", thousands(c.Dropped))
	}
	page.Count += ". Times are UTC."
	if page.Live != "" {
		page.Refresh = reloadEvery
	}
	return g.show(w, http.StatusOK, "trials", page)
}

const (
	// liveEvery is the shortest time between two messages to a page that grows,
	// liveMost how many trials one holds: of more the latest.
	liveEvery = 300 * time.Millisecond
	liveMost  = perPage
	// liveFor is when a page has to ask again: so long it may keep a gateway in use
	// that a reload has replaced.
	liveFor = 5 * time.Minute
)

// live tells a page of trials as they come.
func (g *Gateway) live(w http.ResponseWriter, r *http.Request) error {
	ctx, stop := context.WithTimeout(r.Context(), liveFor)
	defer stop()
	if serving, ok := ctx.Value(endingKey{}).(context.Context); ok {
		defer context.AfterFunc(serving, stop)() // a page that is open does not keep a server from ending
	}
	q := readFilters(r.URL.Query()).want()
	after := r.URL.Query().Get("after")
	if again := r.Header.Get("Last-Event-ID"); again != "" {
		after = again
	}
	q.After, _ = strconv.ParseInt(after, 10, 64)
	q.Limit = liveMost
	secure(w.Header())
	out := newEvents(w)
	defer out.close()
	if err := out.line(": ", []byte("waiting for trials")); err != nil {
		return err
	}
	beat := time.NewTicker(silence)
	defer beat.Stop()
	for ctx.Err() == nil {
		changed := g.Trials.Changed()
		found, _, err := g.Trials.List(ctx, q)
		if err != nil {
			return reason(ctx, err)
		}
		if len(found) > 0 {
			q.After = found[0].Seq
			slices.Reverse(found)
			message, err := g.liveRows(found)
			if err != nil {
				return err
			}
			if err := out.line(fmt.Sprintf("id: %d\nevent: trials\ndata: ", q.After), message); err != nil {
				return err
			}
			select {
			case <-time.After(liveEvery):
			case <-ctx.Done():
			}
			continue
		}
		select {
		case <-changed:
		case <-beat.C:
			out.comment("still here")
		case <-ctx.Done():
		}
	}
	return nil
}

func (g *Gateway) liveRows(found []store.Trial) ([]byte, error) {
	var b bytes.Buffer
	for _, t := range found {
		if err := g.pages.templates.ExecuteTemplate(&b, "row", newRow(t)); err != nil {
			return nil, err
		}
	}
	return bytes.ReplaceAll(bytes.ReplaceAll(bytes.TrimSpace(b.Bytes()), []byte("\r"), nil), []byte("\n"), []byte("\ndata: ")), nil
}

type fact struct{ Name, Text string }

type reply struct {
	N    int
	Text string
	Note string
}

type class struct {
	N            int
	Answer, Note string
	Replies      []reply
}

type bought struct {
	What, Why, Answer string
	P                 float64
	Tokens            string
}

// judging is the form with which a verdict is given.
type judging struct {
	Action, Back, Now string
	Audit             bool
}

// deep is a trial in depth.
type deep struct {
	view
	Row                           row
	ID, Question, Answer          string
	Delivered, Reasoning, Error   string
	Interval, Words, Why, Stopped string
	Withheld, Judgeable           bool
	Judge                         judging
	Verdicts                      []string
	Facts                         []fact
	Classes                       []class
	Bought                        []bought
	Rounds                        []gnothi.Step
	Signals                       []gnothi.Signal
	Missing                       map[string]string
	Terms                         []gnothi.Term
	Sum, SumP                     float64
	Claims                        []gnothi.Claim
	Messages                      []KeptMessage
	Seed                          uint64
	Newer, Older, JSON            string
}

func (g *Gateway) trial(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("id")
	t, err := g.Trials.Get(ctx, id)
	if errors.Is(err, store.ErrNoTrial) {
		return g.problem(w, http.StatusNotFound, 1, "No such trial", "No trial that is kept has this ID. Trials are kept for a time, and the oldest go first.")
	}
	if err != nil {
		return err
	}
	if r.URL.Query().Has("json") {
		secure(w.Header())
		return answerJSON(w, t.Body)
	}
	var k Kept
	if err := json.Unmarshal(t.Body, &k); err != nil {
		return g.problem(w, http.StatusInternalServerError, 1, "This trial cannot be read", "What is kept of it is no trial of this version: "+err.Error())
	}
	d := newDeep(g.view("Trial of "+t.At.UTC().Format("2 Jan 15:04:05"), "", 1), t, k)
	d.Judge = judging{Action: url.PathEscape(id) + "/feedback", Now: d.Row.Verdict, Audit: r.URL.Query().Get("by") == store.ByAudit}
	verdicts, err := g.Trials.Verdicts(ctx, t.Seq)
	if err != nil {
		return err
	}
	for _, v := range verdicts {
		said := fmt.Sprintf("%s, %s, by %s", rightWrong(&v.Correct), v.At.UTC().Format("2 Jan 2006 15:04 UTC"), v.By)
		if v.Key != "" {
			said += " with the key " + web.Visible(v.Key)
		}
		d.Verdicts = append(d.Verdicts, said)
	}
	for _, n := range []struct {
		q  store.TrialQuery
		to *string
	}{{store.TrialQuery{Before: t.Seq, Limit: 1}, &d.Older}, {store.TrialQuery{After: t.Seq, Limit: 1, Oldest: true}, &d.Newer}} {
		found, _, err := g.Trials.List(ctx, n.q)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			*n.to = "./" + url.PathEscape(found[0].ID)
		}
	}
	return g.show(w, http.StatusOK, "trial", d)
}

func newDeep(v view, t store.Trial, k Kept) deep {
	b, e := k.Belief, k.Explanation
	d := deep{
		view: v, Row: newRow(t), ID: web.Visible(t.ID), Question: shown(b.Question), Error: shown(b.Error), Delivered: shown(k.Delivered), Reasoning: shown(k.Reasoning),
		Judgeable: t.Outcome == text.Parsed.String() || t.Outcome == text.Unparsed.String(), Seed: b.Seed, JSON: url.PathEscape(t.ID) + "?json",
		Withheld: withheld(b.Decision), Stopped: stopped(e),
	}
	if b.Answer != nil {
		d.Answer = shown(*b.Answer)
	}
	if d.Delivered == d.Answer {
		d.Delivered = ""
	}
	if b.Interval != nil {
		d.Interval = fmt.Sprintf("%.0f–%.0f %%", 100*b.Interval[0], 100*b.Interval[1])
	}
	c := b.Calibration
	switch c.Status {
	case calibrate.Calibrated:
		d.Words = fmt.Sprintf("calibrated on %s, n = %d", web.Visible(c.On), c.N)
	case calibrate.Borrowed:
		d.Words = fmt.Sprintf("prior, borrowed from other models, n = %d", c.N)
	}
	switch {
	case c.Outside:
		d.Why = "These signals are unlike those of the answers that the calibrator was fitted on."
	case c.Why != nil && t.Outcome != outcomeFailed:
		d.Why = web.Visible(*c.Why)
	}
	d.Facts = facts(t, b, e)
	d.Classes = classes(e)
	half := int64(0)
	if n := len(e.Bought); n > 0 {
		half = e.Bought[n-1].Tokens / 2
	}
	for i, p := range e.Bought {
		x := bought{What: shown(p.What), Why: "to begin with", Answer: shown(p.Answer), P: p.P, Tokens: thousands(p.Tokens)}
		if i > 0 {
			x.Why = fmt.Sprintf("expected to add %.1f points for the cost of %.1f answers", 100*p.Gain, p.Cost)
		}
		if p.Tokens <= half && (i+1 == len(e.Bought) || e.Bought[i+1].Tokens > half) {
			x.Why += " (at half the cost)"
		}
		d.Bought = append(d.Bought, x)
	}
	for _, s := range e.Trace {
		d.Rounds = append(d.Rounds, gnothi.Step{Round: s.Round, Before: shown(s.Before), Feedback: shown(s.Feedback), After: shown(s.After), Kept: s.Kept})
	}
	for _, s := range b.Signals {
		s.Name, s.Source, s.Why = web.Visible(s.Name), web.Visible(s.Source), shown(s.Why)
		d.Signals = append(d.Signals, s)
	}
	d.Missing = map[string]string{}
	for name, why := range b.Missing {
		d.Missing[web.Visible(name)] = shown(why)
	}
	for _, x := range e.Terms {
		d.Terms = append(d.Terms, gnothi.Term{Name: web.Visible(x.Name), LogOdds: x.LogOdds})
		d.Sum += x.LogOdds
	}
	d.SumP = 1 / (1 + math.Exp(-d.Sum))
	for _, x := range b.Claims {
		x.Text = shown(x.Text)
		d.Claims = append(d.Claims, x)
	}
	for _, m := range k.Messages {
		x := KeptMessage{Role: web.Visible(m.Role), Text: shown(m.Text)}
		for _, o := range m.Others {
			x.Others = append(x.Others, web.Visible(o))
		}
		d.Messages = append(d.Messages, x)
	}
	return d
}

func stopped(e gnothi.Explanation) string {
	var parts []string
	if e.Stopped != "" {
		parts = append(parts, "It stopped: "+web.Visible(e.Stopped)+".")
	}
	if e.Tie {
		parts = append(parts, "A tie: the first of the equals won.")
	}
	return strings.Join(parts, " ")
}

// facts are what a trial was, and what it cost.
func facts(t store.Trial, b gnothi.Belief, e gnothi.Explanation) []fact {
	list := []fact{{"model", web.Visible(t.Name)}, {"policy", web.Visible(t.Policy)}}
	if t.Key != "" {
		list = append(list, fact{"key", web.Visible(t.Key)})
	}
	list = append(list, fact{"decision", cmp.Or(web.Visible(t.Decision), t.Outcome)}, fact{"calibration", cmp.Or(t.Status, "none")})
	if b.Calibration.Skill != nil {
		list = append(list, fact{"skill of the calibrator", fmt.Sprintf("%.2f", *b.Calibration.Skill)})
	}
	if b.Form != "" {
		list = append(list, fact{"form", web.Visible(b.Form)})
	}
	roles := make([]string, 0, len(e.Roles))
	for role, n := range e.Roles {
		roles = append(roles, fmt.Sprintf("%s %d", web.Visible(role), n))
	}
	slices.Sort(roles)
	calls := strconv.FormatInt(t.Calls, 10)
	if len(roles) > 1 {
		calls += ": " + strings.Join(roles, ", ")
	}
	list = append(list, fact{"calls", calls}, fact{"tokens", fmt.Sprintf("%s + %s", thousands(b.Spend.PromptTokens), thousands(b.Spend.CompletionTokens))}, fact{"time", fmt.Sprintf("%.2f s", float64(t.WallMS)/1000)})
	if t.NanoUSD != nil {
		list = append(list, fact{"dollars", dollars(*t.NanoUSD)})
	} else {
		list = append(list, fact{"dollars", "price unknown"})
	}
	return list
}

// classes groups what the model said by what it means, and then by its words.
func classes(e gnothi.Explanation) []class {
	var out []class
	left := shownReplies
	add := func(answer, note string, members []int) {
		c := class{Answer: shown(answer), Note: note}
		at := map[string]int{}
		for _, i := range members {
			if i < 0 || i >= len(e.Pool) {
				continue
			}
			s := e.Pool[i]
			c.N++
			if k, ok := at[s.Text]; ok {
				c.Replies[k].N++
				continue
			}
			if left--; left < 0 {
				continue
			}
			at[s.Text] = len(c.Replies)
			x := reply{N: 1, Text: shown(s.Text), Note: web.Visible(string(s.Origin))}
			if s.Status != text.Parsed.String() {
				x.Note += ", " + web.Visible(s.Status)
			}
			if s.LogProb != nil {
				x.Note += fmt.Sprintf(", these very words with probability %.3f", math.Exp(*s.LogProb))
			}
			c.Replies = append(c.Replies, x)
		}
		if c.N > 0 {
			out = append(out, c)
		}
	}
	in := map[int]bool{}
	for _, c := range e.Classes {
		for _, m := range c.Members {
			in[m] = true
		}
		add(c.Answer, fmt.Sprintf("weight %.3g", c.Weight), c.Members)
	}
	var rest []int
	for i := range e.Pool {
		if !in[i] {
			rest = append(rest, i)
		}
	}
	switch {
	case len(e.Classes) > 0:
		add("in no class", "", rest)
	case len(rest) == 1:
		add(e.Pool[0].Answer, "", rest)
	default:
		add("replies", "", rest)
	}
	return out
}

// judgeTrial serves the forms with which people say whether an answer is right.
func (g *Gateway) judgeTrial(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	if err := r.ParseForm(); err != nil {
		return invalid("", "the form cannot be read: %v", err)
	}
	id, by := r.PathValue("id"), "page"
	if r.PostForm.Get("by") == store.ByAudit {
		by = store.ByAudit
	}
	correct, err := strconv.ParseBool(r.PostForm.Get("correct"))
	if err != nil {
		return invalid("correct", "correct: has to be true or false")
	}
	if _, err := g.judge(r.Context(), id, correct, by); err != nil {
		return err
	}
	to := "../" + url.PathEscape(id)
	if r.PostForm.Get("back") == "audit" {
		to = "../../audit"
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// auditItem is an answer that waits for a label.
type auditItem struct {
	Row              row
	Question, Answer string
	Judge            judging
}

// auditMost is how many answers that wait a page shows.
const auditMost = 20

func (g *Gateway) auditList(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	found, _, err := g.Trials.List(ctx, store.TrialQuery{Marked: true, Unjudged: true, Oldest: true, Limit: auditMost, Bodies: true})
	if err != nil {
		return err
	}
	_, marked, waiting, err := g.Trials.Silent(ctx, store.TrialQuery{Marked: true})
	if err != nil {
		return err
	}
	page := struct {
		view
		Lead, None, More string
		Items            []auditItem
	}{view: g.view("To label", "audit", 0), None: "No answer waits for a label."}
	page.Lead = "Answers that were picked at random, whatever became of them. Verdicts that come of their own accord are not like the rest; with these the figures hold for all answers, so label every one of them."
	if g.Audit == 0 && marked == 0 {
		page.None = "No answers are marked: start the server with --audit 0.02 to have 2 of 100 marked at random."
	}
	if n := waiting - int64(len(found)); n > 0 {
		page.More = fmt.Sprintf("%s more wait.", thousands(n))
	}
	for _, t := range found {
		item := auditItem{Row: newRow(t), Question: shown(t.Question), Answer: shown(t.Answer), Judge: judging{Action: "trials/" + url.PathEscape(t.ID) + "/feedback", Back: "audit", Audit: true}}
		var k Kept
		if json.Unmarshal(t.Body, &k) == nil {
			item.Question = shown(k.Belief.Question)
			if k.Belief.Answer != nil {
				item.Answer = shown(cmp.Or(k.Delivered, *k.Belief.Answer))
				if withheld(k.Belief.Decision) {
					item.Answer = shown(*k.Belief.Answer)
				}
			}
		}
		page.Items = append(page.Items, item)
	}
	return g.show(w, http.StatusOK, "audit", page)
}
