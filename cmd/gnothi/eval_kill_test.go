package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"gnothi/eval"
	"gnothi/store"
)

// taskServer answers the prompts of line-of-duty-feasibility as an
// OpenAI-compatible server, each answer under a name of its own.
type taskServer struct {
	*httptest.Server
	delay time.Duration
	total atomic.Int64
	tick  chan struct{} // one for each request since it was last emptied
}

func newTaskServer(t *testing.T) *taskServer {
	s := &taskServer{tick: make(chan struct{}, 1<<20), delay: 5 * time.Millisecond}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Messages []struct{ Content string }
		}
		raw, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(raw, &body); err != nil || len(body.Messages) == 0 {
			http.Error(w, "what?", http.StatusBadRequest)
			return
		}
		name := fmt.Sprintf("answer-%d", s.total.Add(1))
		s.tick <- struct{}{}
		select {
		case <-time.After(s.delay):
		case <-r.Context().Done():
			return
		}
		answer, _ := json.Marshal("Category: Feasible")
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"object":"chat.completion","model":%q,"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":%s}}],"usage":{"prompt_tokens":10,"completion_tokens":4}}`, name, answer)
	}))
	t.Cleanup(s.Close)
	return s
}

// tasks writes n items that no two prompts share.
func tasks(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, `{"category": "Feasible", "type": "Functional Ceiling", "task": "Say the number %d out loud."}`+"\n", i)
	}
	if err := os.WriteFile(filepath.Join(dir, "tasks.jsonl"), []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// program is this program as a process of its own.
func program(ctx context.Context, t *testing.T, args ...string) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, exe)
	cmd.Args = append([]string{"gnothi"}, args...)
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+t.TempDir())
	words := &strings.Builder{}
	cmd.Stderr = words
	return cmd, words
}

// durable gives the calls that a run has for good: by item and key, the answer.
func durable(t *testing.T, dir string, items int) map[string]string {
	t.Helper()
	run, err := store.ReadRun(t.Context(), filepath.Join(dir, "run.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	kept := map[string]string{}
	for i := range items {
		calls, err := run.Calls(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range calls {
			// The server names its model anew in each answer.
			kept[fmt.Sprintf("item %d, call %s", i, c.Key)] = gjson.GetBytes(c.Value, "model").String()
		}
	}
	return kept
}

// TestKilled kills a run with -9 again and again, at moments that the server's
// count decides, and resumes it: nothing durable is asked for twice, nothing is
// lost, and the totals are those of an unbroken run. GNOTHI_KILLS says how often
// (`make verify`: 50).
func TestKilled(t *testing.T) {
	kills, items := 4, 120
	if n, err := strconv.Atoi(os.Getenv("GNOTHI_KILLS")); err == nil {
		kills, items = n, 30*n
	}
	data := tasks(t, items)
	server := newTaskServer(t)
	dir := filepath.Join(t.TempDir(), "run")
	rng := rand.New(rand.NewPCG(1, 2))
	args := []string{"eval", "run", "line-of-duty-feasibility", "--quiet", "--concurrency", "8", "--model", "openai:m@" + server.URL + "/v1", "--data", data, "--out", dir}
	kept := map[string]string{}
	for kill := range kills {
		cmd, words := program(t.Context(), t, args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		// At least a few groups' worth of calls between kills, and not the same each time.
		for range 20 + rng.IntN(2*items/kills) {
			select {
			case <-server.tick:
			case err := <-ended:
				t.Fatalf("kill %d: the run ended before it: %v\n%s", kill, err, words)
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-ended
		for len(server.tick) > 0 {
			<-server.tick
		}
		now := durable(t, dir, items)
		for call, answer := range kept {
			if now[call] != answer {
				t.Fatalf("kill %d: %s was durable with %s and is %q now", kill, call, answer, now[call])
			}
		}
		kept = now
		args = []string{"eval", "resume", "--quiet", "--concurrency", "8", dir}
	}
	cmd, words := program(t.Context(), t, append(args, "--json")...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, words)
	}
	requests := server.total.Load()
	now := durable(t, dir, items)
	for call, answer := range kept {
		if now[call] != answer {
			t.Errorf("%s was durable with %s and is %q now", call, answer, now[call])
		}
	}
	unbroken, words := program(t.Context(), t, "eval", "run", "line-of-duty-feasibility", "--quiet", "--json", "--model", "openai:m@"+server.URL+"/v1", "--data", data, "--out", dir+"-whole")
	want, err := unbroken.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, words)
	}
	if string(out) != string(want) {
		t.Errorf("after %d kills:\n%s\nin one go:\n%s", kills, out, want)
	}
	var report eval.Report
	if err := json.Unmarshal(out, &report); err != nil || report.N != items || report.Outcomes.Unasked+report.Outcomes.Failed != 0 {
		t.Errorf("%+v, %v", report.Outcomes, err)
	}
	t.Logf("%d kills, %d items, %d calls durable, %d requests: %.1f lost a kill, with 8 in flight", kills, items, len(now), requests, float64(requests-int64(len(now)))/float64(kills))
}

// Interrupted once, a run lets the calls under way end and says how to go on.
func TestRunInterrupted(t *testing.T) {
	server := newTaskServer(t)
	dir := filepath.Join(t.TempDir(), "run")
	cmd, words := program(t.Context(), t, "eval", "run", "line-of-duty-feasibility", "--concurrency", "4", "--model", "openai:m@"+server.URL+"/v1", "--data", tasks(t, 400), "--out", dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		<-server.tick
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	if cmd.ProcessState.ExitCode() != exitInterrupted || !strings.Contains(words.String(), "eval resume "+dir) {
		t.Fatalf("%v: %s", err, words)
	}
	folder, err := eval.ReadRun(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	calls := 0
	for i := range 400 {
		of, err := folder.Calls(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		calls += len(of)
	}
	if int64(calls) != server.total.Load() {
		t.Errorf("%d calls were answered, %d are kept", server.total.Load(), calls)
	}
}
