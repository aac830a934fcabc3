package page_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gnothi/eval"
	"gnothi/eval/page"
	"gnothi/store"
	"gnothi/text"
)

func read(tb testing.TB, path string) string {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

var scripts = regexp.MustCompile(`(?s)<(script|style)[^>]*>(.*?)</(?:script|style)>`)

// elements parses a page and lists its elements with some of their attributes; it
// fails if they do not close in order.
func elements(t *testing.T, s string, names ...string) []string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(scripts.ReplaceAllString(s, "")))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var out, open []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the page cannot be parsed: %v", err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			open = append(open, e.Name.Local)
			if slices.Contains(names, e.Name.Local) {
				id := ""
				for _, a := range e.Attr {
					if a.Name.Local == "id" {
						id = "#" + a.Value
					}
				}
				out = append(out, e.Name.Local+id)
			}
		case xml.EndElement:
			if n := len(open); n == 0 || open[n-1] != e.Name.Local {
				t.Fatalf("</%s> closes %v", e.Name.Local, open)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("not closed: %v", open)
	}
	return out
}

// embedded are the items that the page has as data.
func embedded(t *testing.T, s string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for _, m := range regexp.MustCompile(`(?s)<script type="application/json" class="items">(.*?)</script>`).FindAllStringSubmatch(s, -1) {
		var part []map[string]any
		if err := json.Unmarshal([]byte(m[1]), &part); err != nil {
			t.Fatal(err)
		}
		out = append(out, part...)
	}
	return out
}

func TestReport(t *testing.T) {
	const n = 600
	all := slices.Collect(ordinaries(n))
	s := read(t, written(t, open(t, made(t, n+10, ordinaries(n))), page.Options{}))

	got := elements(t, s, "h1", "h2", "table", "figure", "main", "footer")
	want := []string{"h1", "main", "h2#outcomes", "h2#measures", "table", "table", "table", "h2#charts", "figure", "figure", "figure", "h2#failures", "h2#items", "footer"}
	if !slices.Equal(got, want) {
		t.Errorf("the page is made of %v,\nwant %v", got, want)
	}
	if items := embedded(t, s); len(items) != n {
		t.Errorf("%d items as data, want %d", len(items), n)
	}
	if plain := strings.Count(s, `<details class="item"`); plain != 100 {
		t.Errorf("%d items can be read without a script, want 100", plain)
	}
	count := map[string]int{}
	for _, x := range all {
		count[x.rec.Outcome]++
		if x.rec.Outcome == eval.OutcomeFailed && !strings.Contains(s, fmt.Sprintf(`<a href="#i=%d">%d</a>`, x.rec.Index, x.rec.Index)) && !strings.Contains(s, fmt.Sprintf("–%d", x.rec.Index)) {
			t.Errorf("item %d failed and is not listed", x.rec.Index)
		}
	}
	for outcome, k := range count {
		if !strings.Contains(s, fmt.Sprintf("<b>%d</b> %s", k, outcome)) {
			t.Errorf("it does not say that %d are %s", k, outcome)
		}
	}
	for _, part := range []string{"Not finished.", "600 of 610 items are done", "<b>10</b> not asked", "demo <span class=\"soft\">on</span> test:model", "0.800 somebody", "stated confidence", ">stated<", "gnothi eval run demo --model test:model --seed 7", "All 600 items that are done"} {
		if !strings.Contains(s, part) {
			t.Errorf("the page lacks %q", part)
		}
	}
}

// The security policy names the style and the script that are there, and lets
// nothing be loaded.
func TestReportLoadsNothing(t *testing.T) {
	s := read(t, written(t, open(t, made(t, 30, ordinaries(30))), page.Options{}))
	m := regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(s)
	if m == nil {
		t.Fatal("no policy")
	}
	policy := html.UnescapeString(m[1])
	if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %s", policy)
	}
	for _, e := range scripts.FindAllStringSubmatch(s, -1) {
		if strings.HasPrefix(e[0], `<script type="application/json"`) {
			continue
		}
		sum := sha256.Sum256([]byte(e[2]))
		if !strings.Contains(policy, e[1]+"-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
			t.Errorf("the policy does not name the %s", e[1])
		}
	}
	if bad := regexp.MustCompile(`(?i)(src|href|action)="[^"#]|url\(|@import|style=|\son[a-z]+=`).FindString(scripts.ReplaceAllString(s, "")); bad != "" {
		t.Errorf("the page has %s", bad)
	}
}

func TestReportChooses(t *testing.T) {
	const n = 500
	f := open(t, made(t, n, ordinaries(n)))
	s := read(t, written(t, f, page.Options{Items: 40}))
	if again := read(t, written(t, f, page.Options{Items: 40})); again != s {
		t.Error("the same run gives another page")
	}
	failed, others := 0, 0
	for _, it := range embedded(t, s) {
		if it["o"] == eval.OutcomeFailed {
			failed++
		} else {
			others++
		}
	}
	want := 0
	for x := range ordinaries(n) {
		if x.rec.Outcome == eval.OutcomeFailed {
			want++
		}
	}
	if failed != want || others != 40 || want == 0 {
		t.Errorf("%d failed and %d others, want %d and 40", failed, others, want)
	}
	if s := read(t, written(t, f, page.Options{Items: -1})); len(embedded(t, s)) != want {
		t.Error("without items there is more than those that failed")
	}
}

// hostile are texts that try to be more than text.
var hostile = []string{
	`</script><script>window.bad = 1</script>`, `<img src=x onerror="window.bad = 1">`, `"><svg onload=window.bad=1>`, `<!-- <script>`, "]]>\u2028window.bad=1\u2029",
	"\u202eright to left\u202d and \u2066back", "nul \x00, bell \x07, escape \x1b[31m", "invalid \xff\xfe\xc3(", `{{.Header}} ${bad} %s %!d(MISSING)`,
	"عربي ثم English", strings.Repeat("A", 1<<20), "a\r\nb\tc", "javascript:window.bad=1",
}

func hostiles(yield func(thing) bool) {
	for i, h := range hostile {
		valid := strings.ToValidUTF8(h, "\uFFFD")
		outcome := []string{eval.OutcomeRight, eval.OutcomeWrong, eval.OutcomeFailed}[i%3]
		x := thing{rec: eval.Record{Key: fmt.Sprintf("k%d", i), Index: i, Outcome: outcome, Item: encode(map[string]any{"question": valid, valid: valid, "list": []string{valid, "b"}}), Spend: eval.Spend{Calls: 1}}}
		x.calls = []reply{{role: valid[:min(len(valid), 100)], prompt: valid, text: h}}
		if outcome == eval.OutcomeFailed {
			x.rec.Error = valid
		} else {
			x.rec.Result = encode(result{Grade: text.Right, Verdict: valid})
		}
		if !yield(x) {
			return
		}
	}
}

func TestHostileText(t *testing.T) {
	f := open(t, made(t, len(hostile), hostiles))
	e, err := page.New(f, suite())
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{"report.html": read(t, written(t, f, page.Options{}))}
	for _, url := range []string{"/", "/items", "/items?q=%3Cscript%3E%22%27", "/items?q=&o=%3Cb%3E&s=%22%3E", "/items/0", "/items/1", "/items/2", "/items/3", "/items/5", "/items/6", "/items/7", "/items/10", "/items/10?full"} {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, url, nil))
		if w.Code != 200 {
			t.Errorf("%s: %d %s", url, w.Code, w.Body)
		}
		pages[url] = w.Body.String()
	}
	for name, s := range pages {
		if !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\x07\x1b") {
			t.Errorf("%s has bytes that are no text", name)
		}
		body := scripts.ReplaceAllString(s, "")
		if bad := regexp.MustCompile(`(?i)<script|<img|<svg onload|<!--`).FindString(body); bad != "" {
			t.Errorf("%s: a text became markup: %s", name, bad)
		}
		elements(t, s)
		if n := len(s); n > 400<<10 && !strings.Contains(name, "full") {
			t.Errorf("%s has %d bytes", name, n)
		}
	}
	if n := strings.Count(pages["/items/10?full"], strings.Repeat("A", 1<<20)); n < 3 {
		t.Errorf("the whole text of a megabyte is shown %d times", n)
	}
	if items := embedded(t, pages["report.html"]); len(items) != len(hostile) {
		t.Errorf("%d items as data", len(items))
	}
}

// get gives a page of an explorer.
func get(t *testing.T, h http.Handler, url string) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, url, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", url, w.Code, w.Body)
	}
	return w.Body.String()
}

var itemLinks = regexp.MustCompile(`<a class="line" id="item-(\d+)"`)

func listedIn(s string) (out []string) {
	for _, m := range itemLinks.FindAllStringSubmatch(s, -1) {
		out = append(out, m[1])
	}
	return out
}

func TestExplorer(t *testing.T) {
	const n = 300
	all := slices.Collect(ordinaries(n))
	e, err := page.New(open(t, made(t, n, ordinaries(n))), suite())
	if err != nil {
		t.Fatal(err)
	}
	any := func(thing) bool { return true }
	sure := func(x thing) float64 {
		var r result
		if json.Unmarshal(x.rec.Result, &r) != nil || x.rec.Result == nil {
			return 2 // without one: last
		}
		return r.Sure
	}
	for _, c := range []struct {
		url  string
		want []int
	}{
		{"/items", first(50, expected(all, any, nil))},
		{"/items?p=6", expected(all, any, nil)[250:]},
		{"/items?p=99", expected(all, any, nil)[250:]},
		{"/items?p=-1&s=nonsense&o=", first(50, expected(all, any, nil))},
		{"/items?o=failed", first(50, expected(all, func(x thing) bool { return x.rec.Outcome == "failed" }, nil))},
		{"/items?o=nonsense", nil},
		{"/items?q=riddle+77", []int{77, 177, 277}},
		{"/items?q=%22riddle+7+of%22", []int{7}},
		{"/items?q=RIDDLE+atlantis", first(50, expected(all, func(x thing) bool { return x.rec.Outcome == "wrong" }, nil))},
		{"/items?q=%22expected+one%22", first(50, expected(all, func(x thing) bool { return x.rec.Outcome == "right" }, nil))},
		{"/items?q=sample", nil}, // a role, and no text
		{"/items?q=choice", nil}, // a name in what is kept
		{"/items?q=%3Cb%3E", nil},
		{"/items?s=-t", first(50, expected(all, any, func(a, b thing) int { return int(tokens(b) - tokens(a)) }))},
		{"/items?s=c", first(50, expected(all, any, func(a, b thing) int { return compare(sure(a), sure(b)) }))},
		{"/items?s=-i", first(50, expected(all, any, func(a, b thing) int { return b.rec.Index - a.rec.Index }))},
		{"/items?s=t&o=right&q=lima", first(50, expected(all, func(x thing) bool {
			return x.rec.Outcome == "right" && strings.Contains(string(x.rec.Item), "Lima")
		}, func(a, b thing) int { return int(tokens(a) - tokens(b)) }))},
	} {
		s := get(t, e, c.url)
		for end := time.Now().Add(2 * time.Minute); strings.Contains(s, `id="pending"`) && time.Now().Before(end); {
			s = get(t, e, c.url) // it goes on where it was
		}
		if got := listedIn(s); strings.Join(got, " ") != strings.Trim(fmt.Sprint(c.want), "[]") {
			t.Errorf("%s: %v, want %v", c.url, got, c.want)
		}
		elements(t, s)
	}
	s := get(t, e, "/items/77")
	for _, part := range []string{"riddle 77 of the collection", "sample · 3 replies", "../items", `href="76"`, `href="78"`, "judge"} {
		if !strings.Contains(s, part) {
			t.Errorf("the item lacks %q", part)
		}
	}
	for url, code := range map[string]int{"/items/300": 404, "/items/x": 404, "/items/-1": 404, "/nothing": 404, "/report.html": 200, "/report.json": 200, "/progress.json": 200, "/": 200} {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, url, nil))
		h := w.Header()
		if w.Code != code || h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s: %d %v", url, w.Code, h)
		}
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/items", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" {
		t.Errorf("POST: %d", w.Code)
	}
	var report eval.Report
	if err := json.Unmarshal([]byte(get(t, e, "/report.json")), &report); err != nil || report.N != n || report.Outcomes.Right == 0 {
		t.Errorf("report.json: %+v, %v", report, err)
	}
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// A run that goes on is shown as far as it is.
func TestExplorerOfARunThatGoesOn(t *testing.T) {
	dir := made(t, 20, ordinaries(5))
	e, err := page.New(open(t, dir), suite())
	if err != nil {
		t.Fatal(err)
	}
	s := get(t, e, "/")
	for _, part := range []string{"Not finished.", "5 of 20 items are done", `<noscript><meta http-equiv="refresh"`, `<progress max="20" value="5"`} {
		if !strings.Contains(s, part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	run, err := store.OpenRun(t.Context(), dir+"/run.sqlite")
	if err != nil {
		t.Fatal(err)
	}
	for i := 5; i < 20; i++ {
		x := ordinary(i)
		body, _ := json.Marshal(map[string]any{"item": x.rec.Item, "result": x.rec.Result})
		if err := run.AddRow(store.Row{Item: i, Key: x.rec.Key, Outcome: x.rec.Outcome, Summary: []byte("[1,2,3,0,0,4]"), Body: body}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := run.Close(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var p struct{ Done, Total int }
		if err := json.Unmarshal([]byte(get(t, e, "/progress.json")), &p); err != nil {
			t.Fatal(err)
		}
		if p.Done == 20 && p.Total == 20 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("progress stays at %+v", p)
		}
	}
	if s := get(t, e, "/"); strings.Contains(s, "Not finished") || strings.Contains(s, "refresh") {
		t.Error("a finished run is called unfinished")
	}
	if n := len(listedIn(get(t, e, "/items"))); n != 20 {
		t.Errorf("%d items listed", n)
	}
}

func TestExplorerOfARunThatHasNotBegun(t *testing.T) {
	dir := t.TempDir() + "/run"
	run, err := eval.CreateRun(t.Context(), dir, eval.Header{Study: "demo", Model: "m"})
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	e, err := page.New(open(t, dir), suite())
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Refresh") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if err := run.Begin(t.Context(), 3, "digest"); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if w.Code == http.StatusOK && bytes.Contains(w.Body.Bytes(), []byte("0 of 3 items are done")) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d %.300s", w.Code, w.Body)
		}
	}
}
