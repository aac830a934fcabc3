package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// An image of the command line and one of a file of questions arrive at the
// server as parts of the last message.
func TestImagesReachTheModel(t *testing.T) {
	var bodies []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(body))
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"choices":[{"index":0,"message":{"role":"assistant","content":"a cat"},"finish_reason":"stop"}]}`)
	}))
	defer server.Close()
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	for name, data := range map[string]string{
		"x.png": "\x89PNG\r\n\x1a\n0000", "not.png": "#!/bin/sh",
		"qs.jsonl": `{"question":"What is it?","images":["x.png","https://h/y.gif"]}` + "\n" + `{"question":"What else?","images":["gone.png"]}` + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		code := run(t.Context(), append([]string{"ask", "--json", "--policy", "direct", "--model", "openai:m@" + server.URL + "/v1"}, args...), strings.NewReader(""), &out, &errs)
		return code, out.String(), errs.String()
	}
	png := "data:image/png;base64,iVBORw0KGgowMDAw"
	last := func(path string) []string {
		var out []string
		for _, v := range gjson.Get(bodies[len(bodies)-1], "messages.@reverse.0.content.#."+path).Array() {
			out = append(out, v.String())
		}
		return out
	}

	if code, out, errs := ask("--image", filepath.Join(dir, "x.png"), "What is it?"); code != exitDone || gjson.Get(out, "answer").String() != "a cat" || !strings.Contains(gjson.Get(out, "form").String(), "-images") {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	if got := last("image_url.url"); !slices.Equal(got, []string{png}) || !slices.Equal(last("text"), []string{"What is it?"}) {
		t.Errorf("the server got %.2000s", bodies[len(bodies)-1])
	}
	code, out, errs := ask("--in", filepath.Join(dir, "qs.jsonl"))
	if got := last("image_url.url"); code != exitDone || !slices.Equal(got, []string{png, "https://h/y.gif"}) {
		t.Errorf("%d %s %s: the server got images %v", code, out, errs, got)
	}
	if !strings.Contains(out, "gone.png") || len(bodies) != 2 {
		t.Errorf("an image that is not there: %s", out)
	}
	if code, _, errs := ask("--image", filepath.Join(dir, "not.png"), "x"); code != exitUsage || !strings.Contains(errs, "is no png, jpeg, webp or gif") {
		t.Errorf("a script as an image: %d %s", code, errs)
	}
}
