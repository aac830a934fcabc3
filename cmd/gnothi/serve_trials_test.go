package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// scriptedModel writes a script whose replies have log-probabilities.
func scriptedModel(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.yaml")
	const script = "rules:\n  - when: {match: ', right'}\n    reply: {text: Paris, logprob: -0.1}\n  - when: {match: ', wrong'}\n    reply: {text: Lyon, logprob: -2}\n  - reply: {text: Oslo, logprob: -1}\n"
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	return "script:" + path
}

// typed runs a command and gives its exit code and what it wrote.
func typed(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// Verdicts on what was served become a calibrator that is used.
func TestCalibrateFromFeedback(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	model, dir := scriptedModel(t), filepath.Join(t.TempDir(), "state")
	feedback := filepath.Join(t.TempDir(), "feedback.jsonl")
	ask := func(url, question string) gjson.Result {
		t.Helper()
		b := postTo(t, url+"/v1/chat/completions", fmt.Sprintf(`{"model":"model","messages":[{"role":"user","content":%q}]}`, question)).Get("gnothi")
		if !b.Exists() {
			t.Fatalf("no belief")
		}
		return b
	}
	t.Run("serve", func(t *testing.T) {
		url := served(t, "--model", model, "--state", dir, "--feedback", feedback, "--audit", "0.5", "--policy", "self-consistency?n=3")
		marked := 0
		for i := range 80 {
			kind, correct := "right", i%8 != 1
			if i%2 == 1 {
				kind, correct = "wrong", i%8 == 1
			}
			b := ask(url, fmt.Sprintf("Question %d, %s?", i, kind))
			if b.Get("calibration.status").String() == "calibrated" {
				t.Fatalf("calibrated beforehand: %s", b)
			}
			if b.Get("audit").Bool() {
				marked++
			} else if i%4 > 1 {
				continue
			}
			if r := postTo(t, url+"/v1/feedback", fmt.Sprintf(`{"id":%q,"correct":%v,"audit":%v}`, b.Get("id").String(), correct, b.Get("audit").Bool())); !r.Get("id").Exists() {
				t.Fatalf("%s", r)
			}
		}
		if marked < 15 || marked > 65 {
			t.Errorf("%d of 80 are marked", marked)
		}
		if code, _, errs := typed(t, "serve", "--listen", "127.0.0.1:0", "--model", model, "--state", dir); code != exitFailed || !strings.Contains(errs, "another server") {
			t.Errorf("two servers in one folder: %d %s", code, errs)
		}
		// A server that runs does not keep the command from reading.
		if code, out, errs := typed(t, "calibrate", "--from-feedback", dir, "--save-to", t.TempDir(), "--json"); code != exitDone || gjson.Get(out, "0.fitted_on").Int() < 30 {
			t.Errorf("while it runs: %d %s %s", code, out, errs)
		}
	})
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info, err)
	}
	var fits []string
	for _, from := range []string{feedback, filepath.Join(dir, trialsFile), dir} {
		code, out, errs := typed(t, "calibrate", "--from-feedback", from, "--json")
		r := gjson.Get(out, "0")
		if code != exitDone || r.Get("marked").Int() < 15 || r.Get("own_accord").Int() < 5 || r.Get("fitted_on").Int() != r.Get("marked").Int()+r.Get("own_accord").Int() || !r.Get("skill").Exists() {
			t.Fatalf("%s: %d %s %s", from, code, out, errs)
		}
		if got := gjson.Get(out, "#").Int(); got != 1 {
			t.Errorf("%d calibrators", got)
		}
		fits = append(fits, r.Get("right.value").Raw)
	}
	if fits[0] != fits[1] || fits[1] != fits[2] { // nothing waits, so the file knows as much as the store
		t.Errorf("what is right differs by where it is read from: %v", fits)
	}
	if code, out, _ := typed(t, "calibrate", "--from-feedback", dir); code != exitDone || !strings.Contains(out, "of answers marked at random") || !strings.Contains(out, "SIGHUP") {
		t.Errorf("%d %s", code, out)
	}
	url := served(t, "--model", model, "--policy", "self-consistency?n=3")
	good, bad := ask(url, "Something new, right?"), ask(url, "Something new, wrong?")
	if good.Get("calibration.status").String() != "calibrated" || good.Get("probability").Float() < 0.6 || bad.Get("probability").Float() > 0.45 {
		t.Errorf("%s\n%s", good, bad)
	}
	for _, bad := range []string{filepath.Join(t.TempDir(), "nothing"), t.TempDir()} {
		if code, _, errs := typed(t, "calibrate", "--from-feedback", bad); code != exitUsage || !strings.Contains(errs, "--from-feedback") {
			t.Errorf("%s: %d %s", bad, code, errs)
		}
	}
	old := filepath.Join(t.TempDir(), "old.jsonl")
	if err := os.WriteFile(old, []byte(`{"schema":1,"id":"x","correct":true}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := typed(t, "calibrate", "--from-feedback", old); code != exitUsage || !strings.Contains(errs, "old.jsonl:1") {
		t.Errorf("%d %s", code, errs)
	}
}

// Without trials no text is on disk; the default folder goes by address and port.
func TestServeState(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_STATE_HOME", home)
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for _, c := range []struct{ flag, listen, want string }{
		{"", "127.0.0.1:8317", filepath.Join(home, "gnothi", "serve", "127.0.0.1_8317")},
		{"", "[::1]:8317", filepath.Join(home, "gnothi", "serve", "--1_8317")},
		{"", ":8317", filepath.Join(home, "gnothi", "serve", "any_8317")},
		{"", "127.0.0.1:0", ""}, {"none", "127.0.0.1:8317", ""}, {"here", "127.0.0.1:8317", "here"},
	} {
		if got, err := stateDir(c.flag, c.listen); err != nil || got != c.want {
			t.Errorf("%+v: %q %v", c, got, err)
		}
	}
	dir := filepath.Join(t.TempDir(), "state")
	t.Run("serve", func(t *testing.T) {
		url := served(t, "--model", scriptedModel(t), "--state", dir, "--no-trials")
		if b := postTo(t, url+"/v1/chat/completions", `{"model":"model","messages":[{"role":"user","content":"my secret question"}]}`); !b.Get("gnothi").Exists() {
			t.Errorf("%s", b)
		}
	})
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if bytes.Contains(raw, []byte("secret question")) || strings.Contains(path, "trials") {
			t.Errorf("%s keeps what was asked", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, args := range [][]string{{"--trials-keep", "soon"}, {"--trials-max-bytes", "much"}, {"--audit", "2"}, {"--drift", "sometimes"}, {"--fingerprint", "1s"}, {"--fingerprint", "1h", "--no-trials"}, {"--trace", "calls.jsonl"}, {"--call-timeout", "1s"}} {
		if code, _, errs := typed(t, append([]string{"serve", "--listen", "127.0.0.1:0", "--model", scriptedModel(t)}, args...)...); code != exitUsage || !strings.Contains(errs, args[0]) {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
	for s, want := range map[string]int64{"512MiB": 512 << 20, "1000": 1000, "1.5 kB": 1500, "2GiB": 2 << 30} {
		if got, err := parseBytes(s); err != nil || got != want {
			t.Errorf("%s: %d %v", s, got, err)
		}
	}
	for s, want := range map[string]time.Duration{"30d": 720 * time.Hour, "36h": 36 * time.Hour} {
		if got, err := parseDays(s); err != nil || got != want {
			t.Errorf("%s: %s %v", s, got, err)
		}
	}
}
