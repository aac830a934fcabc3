package page_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gnothi/eval"
	"gnothi/eval/page"
	"gnothi/internal/chromium"
)

// written writes report.html of a run and gives its path.
func written(tb testing.TB, f *eval.Folder, o page.Options) string {
	tb.Helper()
	report, err := f.Report(tb.Context(), suite())
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(tb.TempDir(), "report.html")
	out, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	if err := page.Write(tb.Context(), out, f, suite(), report, o); err != nil {
		tb.Fatal(err)
	}
	if err := out.Close(); err != nil {
		tb.Fatal(err)
	}
	return path
}

// listed are the indexes of the items that the page lists.
const listed = `[...document.querySelectorAll("#list .line .number")].map(e => +e.textContent)`

func indexes(t testing.TB, b *chromium.Browser) []int {
	t.Helper()
	var out []int
	for _, v := range b.Eval(listed).([]any) {
		out = append(out, int(v.(float64)))
	}
	return out
}

// expected are the indexes of the things that are wanted, in an order.
func expected(all []thing, keep func(thing) bool, order func(a, b thing) int) []int {
	var kept []thing
	for _, t := range all {
		if keep(t) {
			kept = append(kept, t)
		}
	}
	if order != nil {
		slices.SortStableFunc(kept, order)
	}
	var out []int
	for _, t := range kept {
		out = append(out, t.rec.Index)
	}
	return out
}

func first(n int, s []int) []int { return s[:min(n, len(s))] }

func tokens(t thing) int64 { return t.rec.Spend.PromptTokens + t.rec.Spend.CompletionTokens }

func TestReportInABrowser(t *testing.T) {
	b := chromium.New(t)
	const n = 600
	all := slices.Collect(ordinaries(n))
	path := written(t, open(t, made(t, n, ordinaries(n))), page.Options{})
	url := "file://" + path
	b.View(1100, 900, "light", "")
	b.Open(url)
	b.Until(fmt.Sprintf(`document.documentElement.dataset.ready === "%d"`, n))
	same := func(what string, got, want []int) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	same("at first", indexes(t, b), first(50, expected(all, func(thing) bool { return true }, nil)))

	b.Click(`#chips button[data-outcome="refused"]`)
	refused := expected(all, func(t thing) bool { return t.rec.Outcome == "refused" }, nil)
	same("those refused", indexes(t, b), first(50, refused))
	if hash := b.Eval("location.hash"); hash != "#o=refused" {
		t.Errorf("the address says %v", hash)
	}

	b.Click(`#chips button[data-outcome=""]`)
	b.Click("#search")
	b.Enter(`riddle ATLANTIS`)
	b.Until(`location.hash.includes("q=")`)
	atlantis := expected(all, func(t thing) bool { return t.rec.Outcome == "wrong" }, nil)
	same("a search", indexes(t, b), first(50, atlantis))

	b.Open(url + "#s=-t")
	b.Until(`!!document.documentElement.dataset.ready`)
	dear := expected(all, func(thing) bool { return true }, func(a, b thing) int { return int(tokens(b) - tokens(a)) })
	same("by tokens", indexes(t, b), first(50, dear))
	b.Click("#next")
	same("the next page", indexes(t, b), dear[50:100])
	b.Click("#down")
	slices.Reverse(dear)
	if got := indexes(t, b); tokens(all[got[0]]) != tokens(all[dear[0]]) {
		t.Errorf("the other way round it begins with %d", got[0])
	}

	b.Open(url + `#q="riddle 77 of"`)
	b.Until(`!!document.documentElement.dataset.ready`)
	same("a phrase", indexes(t, b), []int{77})
	if shown := b.Eval(`document.querySelectorAll(".body").length`); shown != 0.0 {
		t.Errorf("%v items are open", shown)
	}
	b.Click("#item-77 summary")
	b.Until(`document.querySelectorAll("#item-77 .asked").length === 3`)
	b.Open(url + "#i=321")
	b.Until(`!!document.querySelector("#item-321[open] .asked")`)

	b.Shoot("items", false)
	for _, look := range []struct {
		name, scheme, media string
		width               int
	}{{"light", "light", "", 1100}, {"dark", "dark", "", 1100}, {"phone", "light", "", 360}, {"phone-dark", "dark", "", 360}, {"print", "dark", "print", 800}} {
		b.View(look.width, 900, look.scheme, look.media)
		b.Open(url)
		b.Until(`!!document.documentElement.dataset.ready`)
		b.Fits(look.name)
		if ground := b.Eval(`getComputedStyle(document.body).backgroundColor`); (ground == "rgb(255, 255, 255)") == (look.scheme == "dark" && look.media == "") {
			t.Errorf("%s: the ground is %v", look.name, ground)
		}
		b.Shoot(look.name, true)
	}
	b.Quiet(url)
}

func TestHostileReportInABrowser(t *testing.T) {
	b := chromium.New(t)
	path := written(t, open(t, made(t, len(hostile), hostiles)), page.Options{})
	b.View(360, 900, "light", "")
	b.Open("file://" + path)
	b.Until(fmt.Sprintf(`document.documentElement.dataset.ready === "%d"`, len(hostile)))
	b.Fits("hostile")
	for i := range hostile {
		b.Click(fmt.Sprintf("#item-%d summary", i))
		b.Until(fmt.Sprintf(`!!document.querySelector("#item-%d .asked")`, i))
	}
	if bad := b.Eval(`window.bad === undefined && document.querySelectorAll("img, iframe, object, embed, link, body script:not(:last-of-type)").length`); bad != 0.0 {
		t.Errorf("text became markup: %v", bad)
	}
	b.Fits("opened")
	b.Shoot("hostile", true)
	b.Quiet("file://" + path)
}

func TestExplorerInABrowser(t *testing.T) {
	b := chromium.New(t)
	const n = 240
	e, err := page.New(open(t, made(t, n, ordinaries(n))), suite())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(e)
	defer server.Close()
	b.View(1100, 900, "light", "")
	b.Open(server.URL + "/")
	b.Click(`main a[href="./items"]`)
	b.Until(`location.pathname === "/items" && document.readyState === "complete"`)
	b.Click(`.chips a[data-outcome="wrong"]`)
	b.Until(`location.search === "?o=wrong" && document.readyState === "complete"`)
	b.Click(`input[name=q]`)
	b.Enter("riddle 1")
	b.Click(`form button`)
	b.Until(`location.search.includes("q=riddle") && document.readyState === "complete"`)
	if o := b.Eval(`new URLSearchParams(location.search).get("o")`); o != "wrong" {
		t.Errorf("the filter is %v after a search", o)
	}
	got := indexes(t, b)
	if len(got) == 0 {
		t.Fatal("nothing found")
	}
	b.Click("#list a.line")
	b.Until(`document.querySelectorAll(".asked").length === 3`)
	if path := b.Eval("location.pathname"); path != fmt.Sprintf("/items/%d", got[0]) {
		t.Errorf("the item is at %v", path)
	}
	b.Shoot("deep", false)
	b.Quiet(server.URL)
}

func TestComparisonInABrowser(t *testing.T) {
	b := chromium.New(t)
	s, _ := compared(t, 200)
	path := filepath.Join(t.TempDir(), "compare.html")
	if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, width := range []int{1100, 360} {
		b.View(width, 900, "light", "")
		b.Open("file://" + path)
		b.Click("details.item summary")
		b.Until(`document.querySelectorAll("details.item[open] .asked").length > 1`)
		b.Fits(fmt.Sprintf("at %d", width))
		b.Shoot(fmt.Sprintf("compare-%d", width), true)
	}
	b.Quiet("file://" + path)
}
