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

func (b *browser) listed() []int {
	b.t.Helper()
	var out []int
	for _, v := range b.eval(listed).([]any) {
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

// fits fails if the page is wider than the window.
func (b *browser) fits(what string) {
	b.t.Helper()
	if wide := b.eval(`document.documentElement.scrollWidth - document.documentElement.clientWidth`).(float64); wide > 0 {
		b.t.Errorf("%s: the page is %v pixels too wide: %v", what, wide, b.eval(`[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1).slice(0, 8).map(e => e.tagName + "." + e.className + " " + e.textContent.slice(0, 40))`))
	}
}

func TestReportInABrowser(t *testing.T) {
	b := newBrowser(t)
	const n = 600
	all := slices.Collect(ordinaries(n))
	path := written(t, open(t, made(t, n, ordinaries(n))), page.Options{})
	url := "file://" + path
	b.view(1100, 900, "light", "")
	b.open(url)
	b.until(fmt.Sprintf(`document.documentElement.dataset.ready === "%d"`, n))
	same := func(what string, got, want []int) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	same("at first", b.listed(), first(50, expected(all, func(thing) bool { return true }, nil)))

	b.click(`#chips button[data-outcome="refused"]`)
	refused := expected(all, func(t thing) bool { return t.rec.Outcome == "refused" }, nil)
	same("those refused", b.listed(), first(50, refused))
	if hash := b.eval("location.hash"); hash != "#o=refused" {
		t.Errorf("the address says %v", hash)
	}

	b.click(`#chips button[data-outcome=""]`)
	b.click("#search")
	b.enter(`riddle ATLANTIS`)
	b.until(`location.hash.includes("q=")`)
	atlantis := expected(all, func(t thing) bool { return t.rec.Outcome == "wrong" }, nil)
	same("a search", b.listed(), first(50, atlantis))

	b.open(url + "#s=-t")
	b.until(`!!document.documentElement.dataset.ready`)
	dear := expected(all, func(thing) bool { return true }, func(a, b thing) int { return int(tokens(b) - tokens(a)) })
	same("by tokens", b.listed(), first(50, dear))
	b.click("#next")
	same("the next page", b.listed(), dear[50:100])
	b.click("#down")
	slices.Reverse(dear)
	if got := b.listed(); tokens(all[got[0]]) != tokens(all[dear[0]]) {
		t.Errorf("the other way round it begins with %d", got[0])
	}

	b.open(url + `#q="riddle 77 of"`)
	b.until(`!!document.documentElement.dataset.ready`)
	same("a phrase", b.listed(), []int{77})
	if shown := b.eval(`document.querySelectorAll(".body").length`); shown != 0.0 {
		t.Errorf("%v items are open", shown)
	}
	b.click("#item-77 summary")
	b.until(`document.querySelectorAll("#item-77 .asked").length === 3`)
	b.open(url + "#i=321")
	b.until(`!!document.querySelector("#item-321[open] .asked")`)

	b.shoot("items", false)
	for _, look := range []struct {
		name, scheme, media string
		width               int
	}{{"light", "light", "", 1100}, {"dark", "dark", "", 1100}, {"phone", "light", "", 360}, {"phone-dark", "dark", "", 360}, {"print", "dark", "print", 800}} {
		b.view(look.width, 900, look.scheme, look.media)
		b.open(url)
		b.until(`!!document.documentElement.dataset.ready`)
		b.fits(look.name)
		if ground := b.eval(`getComputedStyle(document.body).backgroundColor`); (ground == "rgb(255, 255, 255)") == (look.scheme == "dark" && look.media == "") {
			t.Errorf("%s: the ground is %v", look.name, ground)
		}
		b.shoot(look.name, true)
	}
	b.quiet(url)
}

func TestHostileReportInABrowser(t *testing.T) {
	b := newBrowser(t)
	path := written(t, open(t, made(t, len(hostile), hostiles)), page.Options{})
	b.view(360, 900, "light", "")
	b.open("file://" + path)
	b.until(fmt.Sprintf(`document.documentElement.dataset.ready === "%d"`, len(hostile)))
	b.fits("hostile")
	for i := range hostile {
		b.click(fmt.Sprintf("#item-%d summary", i))
		b.until(fmt.Sprintf(`!!document.querySelector("#item-%d .asked")`, i))
	}
	if bad := b.eval(`window.bad === undefined && document.querySelectorAll("img, iframe, object, embed, link, body script:not(:last-of-type)").length`); bad != 0.0 {
		t.Errorf("text became markup: %v", bad)
	}
	b.fits("opened")
	b.shoot("hostile", true)
	b.quiet("file://" + path)
}

func TestExplorerInABrowser(t *testing.T) {
	b := newBrowser(t)
	const n = 240
	e, err := page.New(open(t, made(t, n, ordinaries(n))), suite())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(e)
	defer server.Close()
	b.view(1100, 900, "light", "")
	b.open(server.URL + "/")
	b.click(`main a[href="./items"]`)
	b.until(`location.pathname === "/items" && document.readyState === "complete"`)
	b.click(`.chips a[data-outcome="wrong"]`)
	b.until(`location.search === "?o=wrong" && document.readyState === "complete"`)
	b.click(`input[name=q]`)
	b.enter("riddle 1")
	b.click(`form button`)
	b.until(`location.search.includes("q=riddle") && document.readyState === "complete"`)
	if o := b.eval(`new URLSearchParams(location.search).get("o")`); o != "wrong" {
		t.Errorf("the filter is %v after a search", o)
	}
	got := b.listed()
	if len(got) == 0 {
		t.Fatal("nothing found")
	}
	b.click("#list a.line")
	b.until(`document.querySelectorAll(".asked").length === 3`)
	if path := b.eval("location.pathname"); path != fmt.Sprintf("/items/%d", got[0]) {
		t.Errorf("the item is at %v", path)
	}
	b.shoot("deep", false)
	b.quiet(server.URL)
}

func TestComparisonInABrowser(t *testing.T) {
	b := newBrowser(t)
	s, _ := compared(t, 200)
	path := filepath.Join(t.TempDir(), "compare.html")
	if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, width := range []int{1100, 360} {
		b.view(width, 900, "light", "")
		b.open("file://" + path)
		b.click("details.item summary")
		b.until(`document.querySelectorAll("details.item[open] .asked").length > 1`)
		b.fits(fmt.Sprintf("at %d", width))
		b.shoot(fmt.Sprintf("compare-%d", width), true)
	}
	b.quiet("file://" + path)
}
