package gateway

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"gnothi/internal/web"
)

var (
	//go:embed assets/pages.html
	pagesText string
	//go:embed assets/pages.css
	pagesStyle string
	//go:embed assets/pages.js
	pagesScript string
)

// assetsPath is where the pages' style and script are; they hold nothing of
// anybody.
const assetsPath = "/assets/{file}"

// Paths of pages that show what was asked and answered. Browsers are asked for the
// key there.
const (
	trialsPath      = "/trials"
	trialPath       = "/trials/{id}"
	judgePath       = "/trials/{id}/feedback"
	livePath        = "/live"
	reliabilityPath = "/reliability"
	spendPath       = "/spend"
	auditPath       = "/audit"
)

// isPage tells the paths where the key may come as a browser's password.
func isPage(path string) bool {
	switch path {
	case runsPath, trialsPath, trialPath, judgePath, livePath, reliabilityPath, spendPath, auditPath:
		return true
	}
	return false
}

// pagesPolicy lets pages load their own style and script, and nothing else: no
// script and no style that stands in a page counts.
const pagesPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// pages are the pages at /.
type pages struct {
	templates *template.Template
	style     []byte
	version   string // of style and script
}

func newPages() (*pages, error) {
	p := &pages{style: []byte(web.Style() + pagesStyle)}
	p.version = fmt.Sprintf("%.6x", sha256.Sum256(append(slices.Clone(p.style), pagesScript...)))
	var err error
	p.templates, err = template.New("pages").Funcs(template.FuncMap{"gauge": web.Gauge, "percent": percent}).Parse(pagesText)
	return p, err
}

func percent(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }

// view is what all pages have in common.
type view struct {
	Title, Base, Here, Version string
	Refresh                    int // seconds, for browsers without scripts
	Kept                       bool
	Runs                       []string
}

// view makes what pages have in common; depth is how deep the page's path lies.
func (g *Gateway) view(title, here string, depth int) view {
	base := "./" + strings.Repeat("../", depth)
	return view{Title: title, Base: base, Here: here, Version: g.pages.version, Kept: g.Trials != nil, Runs: slices.Sorted(maps.Keys(g.Runs))}
}

// show writes a page.
func (g *Gateway) show(w http.ResponseWriter, status int, name string, data any) error {
	var b bytes.Buffer
	if err := g.pages.templates.ExecuteTemplate(&b, name, data); err != nil {
		return err
	}
	h := w.Header()
	secure(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagesPolicy)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, err := w.Write(b.Bytes())
	return err
}

func secure(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// problem is a page that says what is wrong.
func (g *Gateway) problem(w http.ResponseWriter, status, depth int, heading, words string) error {
	return g.show(w, status, "problem", struct {
		view
		Heading, Problem string
	}{g.view(heading, "", depth), heading, words})
}

// assets serves the pages' style and script. Their names change with them.
func (g *Gateway) assets(w http.ResponseWriter, r *http.Request) error {
	var content []byte
	var kind string
	switch r.PathValue("file") {
	case "style.css":
		content, kind = g.pages.style, "text/css; charset=utf-8"
	case "pages.js":
		content, kind = []byte(pagesScript), "text/javascript; charset=utf-8"
	default:
		return g.problem(w, http.StatusNotFound, 1, "Not found", "There is no such file.")
	}
	h := w.Header()
	secure(h)
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	return nil
}

// home is the page at /: what this is, the latest trials, and a form to try it.
type home struct {
	view
	list
	Model, Policy string
	Policies      []string
	HasKey, Shown bool
}

// latest is how many trials the first page shows.
const latest = 8

func (g *Gateway) home(w http.ResponseWriter, r *http.Request) error {
	h := home{view: g.view(g.Name, "home", 0), Model: g.Name, Policy: g.Policy, Policies: g.PolicyNames, HasKey: g.Guarded()}
	// Whoever has no key sees what this is, and no trials.
	if h.Shown = g.Trials != nil && (!g.Guarded() || g.sentPassword(r)); h.Shown {
		var err error
		if h.list, err = g.list(r.Context(), filters{}, 0, 0, latest); err != nil {
			return err
		}
		h.Refresh = reloadEvery
	}
	return g.show(w, http.StatusOK, "home", h)
}

// sentPassword tells whether a browser sent the key without being asked.
func (g *Gateway) sentPassword(r *http.Request) bool {
	k := g.find(password(r))
	return k != nil && k.Admin
}

// withTrials serves a page that needs trials.
func (g *Gateway) withTrials(depth int, serve endpoint) endpoint {
	return func(w http.ResponseWriter, r *http.Request) error {
		if g.Trials == nil {
			return g.problem(w, http.StatusNotFound, depth, "No trials are kept", "This server keeps no trials, so there is nothing to look at. Start it without --no-trials.")
		}
		return serve(w, r)
	}
}
