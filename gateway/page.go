package gateway

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"regexp"
	"slices"
)

//go:embed page.html
var pageText string

// page makes the page at /: what this is and a form to try it.
func (g *Gateway) page() (endpoint, error) {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, map[string]any{"Model": g.Name, "Policy": g.Policy, "Policies": g.PolicyNames, "Key": g.APIKey != "", "Runs": slices.Sorted(maps.Keys(g.Runs))}); err != nil {
		return nil, err
	}
	policy := fmt.Sprintf("default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src %s; script-src %s",
		inlineHash(b.Bytes(), "style"), inlineHash(b.Bytes(), "script"))
	return func(w http.ResponseWriter, _ *http.Request) error {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		_, err := w.Write(b.Bytes())
		return err
	}, nil
}

// inlineHash names the content of the page's element for its security policy.
func inlineHash(page []byte, element string) string {
	m := regexp.MustCompile(`(?s)<` + element + `>(.*?)</` + element + `>`).FindSubmatch(page)
	if m == nil {
		return "'none'"
	}
	sum := sha256.Sum256(m[1])
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
