package gnothi_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "gnothi"

// mayImport is the layout of the repository as a table: for each part, lowest first, what its packages may import of
// ours besides one another. "llm" means that package alone, "llm/..." also what is under it. The longest matching part
// counts. Tests may import what they need.
var mayImport = []struct {
	part    string
	imports []string
}{
	{"internal", nil},
	{"text", nil},
	{"stats", nil},
	{"store", nil},
	{"engine", nil},
	{"llm", nil},
	{"llm/local", []string{"llm/...", "engine/..."}},
	{"monitor", []string{"llm", "text/...", "stats/..."}},
	{"control", below("monitor/...")},
	{"", below("control/...", "monitor/...", "store/...")},
	{"memory", below("", "control/...", "monitor/...", "store/...")},
	{"tom", below("", "control/...", "monitor/...", "memory/...", "store/...")},
	{"world", below("", "control/...", "monitor/...", "memory/...", "tom/...", "store/...")},
	{"lens", below("", "control/...", "monitor/...", "llm/...", "engine/...", "store/...")},
	{"learn", below("", "control/...", "monitor/...", "memory/...", "tom/...", "world/...", "lens/...", "llm/...", "engine/...", "store/...")},
	{"eval", below("", "control/...", "monitor/...", "memory/...", "tom/...", "world/...", "lens/...", "learn/...", "llm/...", "store/...")},
	{"catalog", below("", "control/...", "monitor/...", "memory/...", "tom/...", "world/...", "lens/...", "learn/...", "eval/...", "llm/...", "store/...")},
	{"gateway", below("", "control/...", "monitor/...", "memory/...", "tom/...", "world/...", "eval/...", "catalog", "llm/...", "store/...")},
	{"bench", []string{"engine/..."}},
	{"tests", []string{"llm/..."}},
	{"cmd", []string{"..."}},
}

// below adds to parts what everything from control upwards may import.
func below(parts ...string) []string {
	return append(parts, "llm", "text/...", "stats/...", "internal/...")
}

func TestImportsPointDownwards(t *testing.T) {
	for dir, files := range packages(t) {
		part, allowed, ok := rule(dir)
		if !ok {
			t.Errorf("package %s/%s: no row of mayImport covers it; add one where the layout puts it", module, dir)
			continue
		}
		for _, file := range files {
			for _, spec := range file.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				if imported != module && !strings.HasPrefix(imported, module+"/") {
					if imported == "C" {
						t.Errorf("package %s/%s uses cgo", module, dir)
					}
					continue
				}
				imported = strings.TrimPrefix(strings.TrimPrefix(imported, module), "/")
				within := part != "" && covers(part+"/...", imported)
				if !within && !slices.ContainsFunc(allowed, func(p string) bool { return covers(p, imported) }) {
					t.Errorf("package %s/%s imports %s/%s, which the row %q of mayImport does not allow", module, dir, module, imported, part)
				}
			}
		}
	}
}

// rule returns the row for the package in dir, "" for the root.
func rule(dir string) (part string, imports []string, ok bool) {
	for _, row := range mayImport {
		longer := !ok || len(row.part) > len(part)
		if longer && (dir == row.part || row.part != "" && covers(row.part+"/...", dir)) {
			part, imports, ok = row.part, row.imports, true
		}
	}
	return part, imports, ok
}

// covers reports whether pattern names pkg: "..." is everything, "x/..." is x and what is under it, "" is the root alone.
func covers(pattern, pkg string) bool {
	if pattern == "..." {
		return true
	}
	base, under := strings.CutSuffix(pattern, "/...")
	return pkg == base || under && strings.HasPrefix(pkg, base+"/")
}

func TestPackagesAreDocumented(t *testing.T) {
	for dir, files := range packages(t) {
		doc := files[path.Join(dir, "doc.go")]
		if doc == nil || doc.Doc == nil {
			t.Errorf("package %s/%s has no doc.go with a package comment", module, dir)
			continue
		}
		want := "Package " + doc.Name.Name + " "
		if doc.Name.Name == "main" {
			want = "Command " + path.Base(dir) + " "
		}
		if got := doc.Doc.Text(); !strings.HasPrefix(strings.ReplaceAll(got, "\n", " "), want) {
			t.Errorf("package %s/%s: the package comment starts %.40q, want %q", module, dir, got, want)
		}
	}
}

// packages parses the non-test files of every package of this module, whatever their build tags, by folder and path.
func packages(t *testing.T) map[string]map[string]*ast.File {
	t.Helper()
	found := map[string]map[string]*ast.File{}
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() {
			if name != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); name != "." && err == nil {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		dir := path.Dir(name)
		if dir == "." {
			dir = ""
		}
		if found[dir] == nil {
			found[dir] = map[string]*ast.File{}
		}
		found[dir][name] = file
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestTrackedFilesStaySmall(t *testing.T) {
	const limit = 500 << 10
	for _, name := range tracked(t) {
		if info, err := os.Stat(name); err == nil && info.Size() > limit {
			t.Errorf("%s has %d bytes, the limit is %d: data and weights are fetched or generated", name, info.Size(), limit)
		}
	}
}

func TestTrackedFilesNameNoMachine(t *testing.T) {
	// The words are assembled here so that this file passes its own test.
	machine := regexp.MustCompile(`(?:^|[^\w.~/-])/(?:work|root|home|Users)/\w`)
	registries := regexp.MustCompile(`(?i)\b(?:` + strings.Join([]string{
		`pypi\.` + `org`, `python` + `hosted\.org`, `proxy\.golang\.` + `org`, `registry\.npmjs\.` + `org`, `crates\.` + `io`,
		`deb\.debian\.` + `org`, `repo1\.maven\.` + `org`,
	}, "|") + `)\b`)
	for _, name := range tracked(t) {
		data, err := os.ReadFile(name)
		if os.IsNotExist(err) || bytes.IndexByte(data, 0) >= 0 {
			continue // deleted in the work tree, or no text
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range bytes.Split(data, []byte("\n")) {
			if m := machine.Find(line); m != nil {
				t.Errorf("%s:%d: %q is a path of one machine", name, i+1, m)
			}
			if m := registries.Find(line); m != nil {
				t.Errorf("%s:%d: %q is the host of a package registry: name the package instead", name, i+1, m)
			}
		}
	}
}

// tracked lists the files that git tracks, or skips the test where there is no repository.
func tracked(t *testing.T) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "ls-files", "-z").Output()
	if err != nil {
		t.Skipf("no git repository here: %v", err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

func TestReadmeStartsWithTheTwoCommands(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?ms)^```\\w*\n(.*?)^```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("README.md has no code block")
	}
	for _, want := range []string{`go run ./cmd/gnothi ask "What is the capital of France?"`, "go test ./..."} {
		if !bytes.Contains(block[1], []byte(want)) {
			t.Errorf("the first code block of README.md lacks the command %q:\n%s", want, block[1])
		}
	}
}
