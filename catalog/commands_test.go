package catalog_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"gnothi/catalog"
)

// Every command that the catalogue shows is run, as a reader would type it, on the default model.
func TestCommandsRun(t *testing.T) {
	env := withProgram(t)
	eachCommand(t, func(t *testing.T, command string) {
		stdout, stderr, err := shell(t, command, env)
		if err != nil {
			t.Fatalf("%s: %v\n%s%s", command, err, stdout, stderr)
		}
		if stdout == "" {
			t.Errorf("%s printed nothing", command)
		}
	})
}

// The same commands run on a model behind an OpenAI-compatible server, which has no hidden states, no full distributions and
// continues no raw text: each answers, or says in a sentence what its method needs.
func TestCommandsRunOnAnUpstream(t *testing.T) {
	if os.Getenv("GNOTHI_VERIFY") == "" {
		t.Skip("takes minutes: make verify")
	}
	env := withProgram(t)
	serve := exec.CommandContext(t.Context(), "sh", "-c", "exec gnothi serve --listen 127.0.0.1:0 --policy direct")
	serve.Env = env
	out, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = serve.Process.Signal(os.Interrupt)
		_ = serve.Wait()
	})
	first, err := bufio.NewReader(out).ReadString('\n')
	url := regexp.MustCompile(`http://\S+`).FindString(first)
	if err != nil || url == "" {
		t.Fatalf("serve said %q, %v", first, err)
	}
	env = append(env, "GNOTHI_MODEL=openai:smollm2-135m@"+url)
	needs := regexp.MustCompile(`(?i)needs? [a-z]`)
	eachCommand(t, func(t *testing.T, command string) {
		stdout, stderr, err := shell(t, command, env)
		switch {
		case err != nil && !needs.MatchString(stderr):
			t.Errorf("%s: %v\n%s%s", command, err, stdout, stderr)
		case err != nil:
			t.Logf("%s", stderr)
		case stdout == "" && stderr == "": // rows there may be none of, but then it says so
			t.Errorf("%s printed nothing", command)
		}
	})
}

// withProgram builds gnothi and gives an environment in which it is found and has the default model.
func withProgram(t *testing.T) []string {
	if testing.Short() {
		t.Skip("asks a real model")
	}
	env := os.Environ()
	if model := os.Getenv("GNOTHI_TEST_MODEL"); model != "" {
		env = append(env, "GNOTHI_MODEL=local:"+model)
	} else {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(cache, "gnothi", "models", "smollm2-135m.gguf")); err != nil {
			t.Skip("the default model is not here: gnothi model pull smollm2-135m")
		}
	}
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, "gnothi"), "gnothi/cmd/gnothi")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return append(env, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// eachCommand tests each command of the catalogue once.
func eachCommand(t *testing.T, test func(t *testing.T, command string)) {
	var done []string
	for _, p := range catalog.Papers() {
		if p.Command == "" || slices.Contains(done, p.Command) {
			continue
		}
		done = append(done, p.Command)
		t.Run(p.Slug, func(t *testing.T) { test(t, p.Command) })
	}
	if len(done) == 0 {
		t.Error("no row has a command")
	}
}

// shell runs a command line in an empty folder.
func shell(t *testing.T, command string, env []string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
	cmd.Dir, cmd.Env = t.TempDir(), env
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err = cmd.Run()
	return out.String(), log.String(), err
}
