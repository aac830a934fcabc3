package gateway

import (
	"fmt"
	"net/http"
	"strings"
)

// Local lets pages be served on this machine: only requests that are addressed to
// localhost or to an address get through, since a page of another site whose name
// was made to point here would count as the same site; and none that another
// site's page sends.
func Local(h http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !addressed(r.Host) || origins.Check(r) != nil {
			http.Error(w, "only requests to localhost or an address, from its own pages, are answered", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// runsPath is where the pages of runs are.
const runsPath = "/runs/{run}/{rest...}"

// run serves the pages of a run.
func (g *Gateway) run(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("run")
	pages, ok := g.Runs[name]
	if !ok {
		return &failure{status: http.StatusNotFound, kind: badRequest, code: "unknown_url", message: fmt.Sprintf("no run is called %.100q here", name)}
	}
	prefix := "/runs/" + name
	if strings.Contains(r.URL.EscapedPath(), "%") {
		return &failure{status: http.StatusNotFound, kind: badRequest, code: "unknown_url", message: "no page of a run has such a name"}
	}
	http.StripPrefix(prefix, pages).ServeHTTP(w, r)
	return nil
}
