package models

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gnothi/llm/llmtest"
)

func TestMain(m *testing.M) { llmtest.Main(m) }

// content is a model file for tests: the magic and noise, 1 MB and a bit.
func content() []byte {
	b := make([]byte, 1<<20+123)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	copy(b, "GGUF")
	return b
}

// newStore is an empty store that knows one model, "tiny", with the content
// and the given sources.
func newStore(t *testing.T, sources ...Source) *Store {
	t.Helper()
	b := content()
	sum := sha256.Sum256(b)
	return &Store{Dir: filepath.Join(t.TempDir(), "models"), Timeout: time.Minute, known: []Model{{
		Name: "tiny", File: "Tiny.Q4_1.gguf", Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:]),
		Licence: "Apache-2.0", Architecture: "llama", Sources: sources,
	}}}
}

func put(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// pulled checks that the store holds the model, whole and alone.
func pulled(t *testing.T, s *Store) {
	t.Helper()
	got, err := os.ReadFile(s.path(s.known[0]))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, content()) {
		t.Fatal("the store holds other bytes than were published")
	}
	if diff := cmp.Diff([]string{"tiny.gguf", "tiny.gguf.json", "tiny.gguf.lock"}, names(t, s.Dir)); diff != "" {
		t.Errorf("files in the store (-want +got):\n%s", diff)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// wantError checks that the error says each of the things.
func wantError(t *testing.T, err error, says ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", says)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error does not say %q:\n%v", s, err)
		}
	}
}

func TestKnown(t *testing.T) {
	name := regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*$`)
	seen := map[string]bool{}
	for i, m := range Known() {
		if i == 0 && m.Name != Default {
			t.Errorf("the first model is %s, want the default %s", m.Name, Default)
		}
		if !name.MatchString(m.Name) || isPath(m.Name) || seen[m.Name] {
			t.Errorf("%q: not a name, or there twice", m.Name)
		}
		seen[m.Name] = true
		if sum, err := hex.DecodeString(m.SHA256); err != nil || len(sum) != sha256.Size || m.SHA256 != strings.ToLower(m.SHA256) {
			t.Errorf("%s: SHA-256 %q", m.Name, m.SHA256)
		}
		if m.Size <= 0 || m.Licence == "" || m.Architecture == "" || m.Description == "" || filepath.Ext(m.File) != ".gguf" {
			t.Errorf("%s: incomplete entry %+v", m.Name, m)
		}
		for _, s := range m.Sources {
			if (s.URL == "") == (s.Package == "") || (s.Package != "") != (s.Member != "" && s.Wheel > 0 && strings.Contains(s.Package, "==")) {
				t.Errorf("%s: source %+v", m.Name, s)
			}
		}
		if len((&Store{}).sources(m)) != len(m.Sources) || len(m.Sources) == 0 {
			t.Errorf("%s: not every source can be used", m.Name)
		}
	}
}

func TestFind(t *testing.T) {
	for name, hint := range map[string]string{
		"smolm2-135m":  `did you mean "smollm2-135m"?`,
		"SmolLM2-135M": `did you mean "smollm2-135m"?`,
		"smol":         `did you mean "smollm2-135m"?`,
		"gpt-4":        "known: smollm2-135m",
		"":             "known: smollm2-135m",
	} {
		_, err := Find(name)
		if !errors.Is(err, ErrUnknown) {
			t.Errorf("Find(%q): %v", name, err)
		}
		wantError(t, err, hint)
	}
}

func ExampleFind() {
	m, err := Find(Default)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.File, m.Size, m.Licence)
	_, err = Find("smolm-135m")
	fmt.Println(err)
	// Output:
	// SmolLM2-135M-Instruct.Q4_1.gguf 98362432 Apache-2.0
	// models: unknown model "smolm-135m": did you mean "smollm2-135m"? (a file of your own is named by its path: folder/file.gguf)
}

// A GGUF file of one's own is known by its content.
func ExampleStore_Resolve() {
	dir, err := os.MkdirTemp("", "models")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "mine.gguf")
	if err := os.WriteFile(file, []byte("GGUF…"), 0o600); err != nil {
		fmt.Println(err)
		return
	}

	store := &Store{Dir: filepath.Join(dir, "store")}
	_, m, err := store.Resolve(context.Background(), file)
	fmt.Println(m.Name, m.Size, m.SHA256[:8], err)
	// Output: mine 7 e21d3ad1 <nil>
}

func TestOpenReadsTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GNOTHI_MODELS", dir)
	t.Setenv("GNOTHI_MODEL_MIRROR", "http://mirror.example/")
	s, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	if s.Dir != dir || s.Mirror != "http://mirror.example/" || s.Timeout != 5*time.Second {
		t.Errorf("store %+v", s)
	}
	if p, err := s.Path(Default); err != nil || p != filepath.Join(dir, "smollm2-135m.gguf") {
		t.Errorf("Path: %q, %v", p, err)
	}
	if _, err := s.Path("../../etc/passwd"); !errors.Is(err, ErrUnknown) {
		t.Errorf("Path of a hostile name: %v", err)
	}
	t.Setenv("GNOTHI_MODELS", "")
	t.Setenv("XDG_CACHE_HOME", dir)
	t.Setenv("HOME", dir)
	if s, err = Open(); err != nil || !strings.HasPrefix(s.Dir, dir) || filepath.Base(filepath.Dir(s.Dir)) != "gnothi" {
		t.Errorf("store %+v, %v", s, err)
	}
}

func TestResolve(t *testing.T) {
	s := newStore(t)
	ctx, m := t.Context(), s.known[0]

	if _, got, err := s.Resolve(ctx, "tiny"); !errors.Is(err, ErrMissing) || got.Name != "tiny" {
		t.Errorf("missing: model %+v, %v", got, err)
	}
	// Copied by hand, as the advice for machines without a network says.
	put(t, s.path(m), content())
	for _, spec := range []string{"tiny", "local:tiny", s.path(m)} {
		path, got, err := s.Resolve(ctx, spec)
		if err != nil || path != s.path(m) || !cmp.Equal(got, m) {
			t.Errorf("Resolve(%q) = %q, %+v, %v", spec, path, got, err)
		}
	}

	// A file elsewhere: the known content is recognised, any other described.
	elsewhere := filepath.Join(t.TempDir(), "download.GGUF")
	put(t, elsewhere, content())
	if _, got, err := s.Resolve(ctx, elsewhere); err != nil || !cmp.Equal(got, m) {
		t.Errorf("known content elsewhere: %+v, %v", got, err)
	}
	put(t, elsewhere, []byte("GGUF and so on"))
	sum := sha256.Sum256([]byte("GGUF and so on"))
	want := Model{Name: "download", File: "download.GGUF", Size: 14, SHA256: hex.EncodeToString(sum[:])}
	for range 2 { // computed, then remembered
		if _, got, err := s.Resolve(ctx, elsewhere); err != nil || !cmp.Equal(got, want) {
			t.Errorf("other content: %+v, %v", got, err)
		}
	}
	if got := names(t, filepath.Dir(elsewhere)); len(got) != 1 {
		t.Errorf("wrote to the user's folder: %q", got)
	}

	text := filepath.Join(t.TempDir(), "a.gguf")
	put(t, text, []byte("hi"))
	for spec, says := range map[string]string{
		"tinny":                           `did you mean "tiny"?`,
		"":                                "unknown model",
		text:                              "not a GGUF file",
		t.TempDir():                       "not a regular file",
		"no/such/file.gguf":               "no such file",
		"/dev/null":                       "not a",
		"local:tiny\x1b[31m":              `"tiny\x1b[31m"`,
		filepath.Join(s.Dir, "b.gguf/"):   "no such file",
		"x" + strings.Repeat("y", 10_000): "unknown model",
	} {
		_, _, err := s.Resolve(ctx, spec)
		wantError(t, err, says)
		if len(err.Error()) > 400 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	}

	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	put(t, elsewhere, []byte("GGUF and something else"))
	if _, _, err := s.Resolve(cancelled, elsewhere); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Once proven, a file is not read again until its size or time changes.
func TestProofSparesReading(t *testing.T) {
	s := newStore(t)
	m := s.known[0]
	path := s.path(m)
	put(t, path, content())
	if _, _, err := s.Resolve(t.Context(), "tiny"); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	other := content()
	other[1000]++
	put(t, path, other)
	if err := os.Chtimes(path, time.Time{}, fi.ModTime()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Resolve(t.Context(), "tiny"); err != nil {
		t.Errorf("read again in spite of the proof: %v", err)
	}
	if err := os.Chtimes(path, time.Time{}, fi.ModTime().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Resolve(t.Context(), "tiny")
	if !errors.Is(err, ErrMismatch) {
		t.Errorf("a changed file passed: %v", err)
	}
	// A proof that is no JSON, or a later schema's, is as good as none.
	for _, b := range []string{"{", `{"schema":2}`, strings.Repeat(" ", 1<<20)} {
		put(t, path, content())
		put(t, path+proofSuffix, []byte(b))
		if _, _, err := s.Resolve(t.Context(), "tiny"); err != nil {
			t.Errorf("proof %.10q: %v", b, err)
		}
	}
}

func TestListAndRemove(t *testing.T) {
	s := newStore(t)
	m := s.known[0]
	state := func() (State, int64) {
		t.Helper()
		list, err := s.List()
		if err != nil || len(list) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		return list[0].State, list[0].Bytes
	}
	check := func(want State, bytes int64) {
		t.Helper()
		if got, n := state(); got != want || n != bytes {
			t.Errorf("state %s, %d bytes; want %s, %d", got, n, want, bytes)
		}
	}
	check(Absent, 0)
	if _, err := s.Remove(t.Context(), "tiny"); !errors.Is(err, ErrMissing) {
		t.Errorf("removed nothing: %v", err)
	}
	if _, err := os.Stat(s.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error("looking made the store")
	}
	put(t, s.path(m)+partSuffix, []byte("GGU"))
	check(Partial, 3)
	put(t, s.path(m), []byte("GGUF"))
	check(Damaged, 4)
	put(t, s.path(m), content())
	check(Unverified, m.Size)
	if _, _, err := s.Resolve(t.Context(), "tiny"); err != nil {
		t.Fatal(err)
	}
	check(Ready, m.Size)

	freed, err := s.Remove(t.Context(), "tiny")
	if err != nil || freed < m.Size+3 {
		t.Errorf("freed %d, %v", freed, err)
	}
	check(Absent, 0)
	if got := names(t, s.Dir); len(got) != 1 {
		t.Errorf("left %q", got)
	}
	if _, err := s.Remove(t.Context(), "tiny"); !errors.Is(err, ErrMissing) {
		t.Errorf("removed twice: %v", err)
	}
	if _, err := s.Remove(t.Context(), "../x"); !errors.Is(err, ErrUnknown) {
		t.Errorf("removed a hostile name: %v", err)
	}

	unlock, err := lock(t.Context(), s.path(m)+lockSuffix, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = s.Remove(ctx, "tiny")
	wantError(t, err, "another process holds")
}
