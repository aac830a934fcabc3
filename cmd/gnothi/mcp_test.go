package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/tidwall/gjson"
)

// toolOf starts `gnothi mcp ARGS` as agents do and calls a tool of it.
func toolOf(t *testing.T, tool string, arguments map[string]any, args ...string) gjson.Result {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	cmd, said := program(ctx, t, append([]string{"mcp"}, args...)...)
	session, err := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil).Connect(ctx, &sdk.CommandTransport{Command: cmd}, nil)
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	defer session.Close()
	res, err := session.CallTool(ctx, &sdk.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	raw, err := json.Marshal(res.StructuredContent)
	if err != nil || res.IsError {
		t.Fatalf("%v %+v: %s", err, res.Content[0], said)
	}
	return gjson.ParseBytes(raw)
}

// capitals writes a script whose model knows one capital and says its key.
func capitals(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "capitals.yaml")
	if err := os.WriteFile(path, []byte("rules:\n  - when: {prompt: key}\n    reply: sk-not-for-you\n  - reply: Paris\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMCPOverStdio(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "sk-not-for-you")
	file := capitals(t)
	b := toolOf(t, "ask", map[string]any{"question": capital}, "--model", "script:"+file)
	if b.Get("answer").String() != "Paris" {
		t.Errorf("%s", b.Raw)
	}
	b = toolOf(t, "ask", map[string]any{"question": "What is the key?"}, "--model", "script:"+file, "--policy", "direct")
	if strings.Contains(b.Raw, "not-for-you") || !strings.Contains(b.Get("answer").String(), "[key]") {
		t.Errorf("a key is shown: %s", b.Raw)
	}
}

func TestMCPSaysNothingBesideTheProtocol(t *testing.T) {
	cmd, said := program(t.Context(), t, "mcp", "--model", "script:"+capitals(t))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(in, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"ask","arguments":{"question":"What is the capital of France?"}}}
`)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(out)
	for id := 1; id <= 2; id++ {
		var message struct {
			Version string `json:"jsonrpc"`
			ID      int    `json:"id"`
		}
		if err := d.Decode(&message); err != nil || message.Version != "2.0" || message.ID != id {
			t.Fatalf("message %d: %+v, %v: %s", id, message, err, said)
		}
	}
	in.Close()
	rest, err := io.ReadAll(io.MultiReader(d.Buffered(), out))
	if err != nil || strings.TrimSpace(string(rest)) != "" {
		t.Errorf("also said %q, %v", rest, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v after its client left: %s", err, said)
	}
}

func TestMCPOverHTTP(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	out, in := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"mcp", "--quiet", "--listen", "127.0.0.1:0", "--model", "script:" + capitals(t)}, strings.NewReader(""), in, io.Discard)
		in.Close()
	}()
	line := make([]byte, 1000)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	url := regexp.MustCompile(`http://\S+/mcp`).FindString(string(line[:n]))
	session, err := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), &sdk.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: "am_i_sure", Arguments: map[string]any{"question": capital, "draft": "Paris"}})
	if err != nil || res.IsError {
		t.Errorf("%v, %+v", err, res)
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
	stop()
	if c := <-code; c != exitDone {
		t.Errorf("ended with %d", c)
	}
}

func TestMCPIsNotOpenToTheNetwork(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("GNOTHI_API_KEY", "")
	var said strings.Builder
	if code := run(t.Context(), []string{"mcp", "--listen", "0.0.0.0:0", "--model", "script:" + capitals(t)}, strings.NewReader(""), io.Discard, &said); code != exitUsage || !strings.Contains(said.String(), "GNOTHI_API_KEY") {
		t.Errorf("exit %d: %s", code, &said)
	}
}

func TestMCPWithTheDefaultModel(t *testing.T) {
	dir := testModels(t)
	if dir == "" {
		t.Skip("the default model is not here: `gnothi model pull smollm2-135m` fetches it")
	}
	t.Setenv("GNOTHI_MODELS", dir)
	b := toolOf(t, "am_i_sure", map[string]any{"question": capital, "draft": "Paris"})
	if b.Get("calibration.status").String() != "calibrated" || b.Get("decision").String() != "answer" || b.Get("probability").Float() < 0.5 {
		t.Errorf("Paris: %s", b.Raw)
	}
	b = toolOf(t, "am_i_sure", map[string]any{"question": capital, "draft": "Lyon"})
	if b.Get("decision").String() != "abstain" || b.Get("own_answer").String() != "Paris" || b.Get("at_most").Float() > 0.5 {
		t.Errorf("Lyon: %s", b.Raw)
	}
}
