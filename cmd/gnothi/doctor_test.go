package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestDoctorAsksUpstreams(t *testing.T) {
	const key = "sk-test-0123456789abcdef"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/page/"):
			_, _ = io.WriteString(w, "<html>hello</html>")
		case r.Header.Get("Authorization") != "Bearer "+key:
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "wrong key "+r.Header.Get("Authorization"))
		case r.URL.Path == "/v1/models":
			_, _ = io.WriteString(w, `{"data":[{"id":"big"},{"id":"small"}]}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for _, c := range []struct{ model, key, want string }{
		{"openai:big@" + server.URL + "/v1", key, "2 models; it is among them"},
		{"openai:huge@" + server.URL + "/v1", key, `"huge" is not among them`},
		{"openai:big@" + server.URL + "/v1", "sk-wrong-0123456789abcdef", "does not take the key (set) (status 401)"},
		{"openai:big@" + server.URL + "/other", key, "does not list its models"},
		{"openai:big@" + server.URL + "/page", key, "not with JSON"},
		{"openai:big@" + closed.URL + "/v1", key, "cannot be reached"},
	} {
		t.Setenv("OPENAI_API_KEY", c.key)
		var out, told strings.Builder
		if code := run(t.Context(), []string{"doctor", "--upstreams", "--model", c.model}, strings.NewReader(""), &out, &told); code != exitDone {
			t.Fatalf("doctor ended with %d: %s", code, told.String())
		}
		if !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: want %q in\n%s", c.model, c.want, out.String())
		}
		if strings.Contains(out.String()+told.String(), c.key) {
			t.Errorf("%s: the key was told", c.model)
		}
	}
}
