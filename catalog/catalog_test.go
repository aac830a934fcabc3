package catalog_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gnothi/catalog"

	"github.com/google/go-cmp/cmp"
)

func TestRowsAreWhole(t *testing.T) {
	papers := catalog.Papers()
	if len(papers) != 170 {
		t.Errorf("%d papers, want 170", len(papers))
	}
	slug := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	calls := regexp.MustCompile(`(?:^|[|;] *)gnothi `)
	seen := map[string]bool{}
	tiers := map[string]int{}
	for i, p := range papers {
		if p.Number != i+1 {
			t.Errorf("%s: number %d in place %d", p.Slug, p.Number, i+1)
		}
		if !slug.MatchString(p.Slug) || seen[p.Slug] || seen[p.Title] {
			t.Errorf("slug %q or title %q is malformed or double", p.Slug, p.Title)
		}
		seen[p.Slug], seen[p.Title] = true, true
		tiers[p.Tier]++
		if p.Title == "" || p.About == "" || p.Family == "" {
			t.Errorf("%s: title, about or family is empty", p.Slug)
		}
		if !slices.Contains(catalog.States(), p.State) {
			t.Errorf("%s: state %q is none of %q", p.Slug, p.State, catalog.States())
		}
		if (p.Tier == "E") != (p.State == catalog.NothingToRun) {
			t.Errorf("%s: tier %s with state %q", p.Slug, p.Tier, p.State)
		}
		if (p.State == catalog.Works) != (p.Reason == "") {
			t.Errorf("%s: state %q with reason %q", p.Slug, p.State, p.Reason)
		}
		if p.State.Runs() != (p.Symbol != "") || p.State.Runs() != (p.Command != "") {
			t.Errorf("%s: state %q with symbol %q and command %q", p.Slug, p.State, p.Symbol, p.Command)
		}
		if p.Command != "" && !calls.MatchString(p.Command) {
			t.Errorf("%s: command %q does not call gnothi", p.Slug, p.Command)
		}
	}
	if want := map[string]int{"A": 60, "B": 18, "C": 31, "D": 46, "E": 15}; !maps.Equal(tiers, want) {
		t.Errorf("tiers %v, want %v", tiers, want)
	}
}

// A row that says something runs must name a symbol that is declared, in a file whose comments carry the slug.
func TestSymbolsCarryTheirSlug(t *testing.T) {
	for _, p := range catalog.Papers() {
		if p.Symbol == "" {
			continue
		}
		dir, name := path.Split(p.Symbol)
		pkg, name, ok := strings.Cut(name, ".")
		if !ok || !ast.IsExported(name) {
			t.Errorf("%s: symbol %q is not a package path, a dot and an exported name", p.Slug, p.Symbol)
			continue
		}
		file := declaringFile(t, filepath.Join("..", dir, pkg), name)
		if file == nil {
			t.Errorf("%s: symbol %s is declared nowhere", p.Slug, p.Symbol)
			continue
		}
		carries := slices.ContainsFunc(file.Comments, func(c *ast.CommentGroup) bool { return strings.Contains(c.Text(), p.Slug) })
		if !carries {
			t.Errorf("%s: no comment of the file that declares %s carries the slug", p.Slug, p.Symbol)
		}
	}
}

// What the catalogue calls a policy or signal is one, and no name belongs to two papers unless they share its code.
func TestNamesAreInTheLists(t *testing.T) {
	known := map[string]bool{}
	for _, e := range catalog.Policies() {
		known[e.Name] = true
	}
	for _, s := range catalog.Signals() {
		known[s.Name()] = true
	}
	for _, s := range catalog.Suites() {
		known[s.Describe().Name] = true
	}
	symbol := map[string]string{}
	for _, p := range catalog.Papers() {
		for _, name := range p.Names {
			if !known[name] {
				t.Errorf("%s: no policy, signal or study is called %q", p.Slug, name)
			}
			if s, taken := symbol[name]; taken && s != p.Symbol {
				t.Errorf("%s: name %q belongs to %s already", p.Slug, name, s)
			}
			symbol[name] = p.Symbol
		}
	}
}

// declaringFile returns the parsed non-test file of dir that declares name at top level.
func declaringFile(t *testing.T, dir, name string) *ast.File {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == name {
					return file
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if s, ok := spec.(*ast.TypeSpec); ok && s.Name.Name == name {
						return file
					}
				}
			}
		}
	}
	return nil
}

func TestTitlesAgreeWithTheCensus(t *testing.T) {
	file := filepath.Join("..", "..", "shared", "seeds", "census.tsv")
	census, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		t.Skip("the census is not beside this checkout")
	}
	if err != nil {
		t.Fatal(err)
	}
	var want, got [][2]string
	for line := range strings.Lines(strings.TrimSuffix(string(census), "\n")) {
		if f := strings.Split(line, "\t"); f[0] != "n" {
			want = append(want, [2]string{f[2], f[3]})
		}
	}
	for _, p := range catalog.Papers() {
		got = append(got, [2]string{p.Slug, p.Title})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("slugs and titles (-census +catalogue):\n%s", diff)
	}
}

func TestJSONHasTheKeysOfTheContract(t *testing.T) {
	b, err := json.Marshal(catalog.Papers()[0])
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	want := []string{"command", "reason", "slug", "state", "symbol", "tier", "title"}
	if got := slices.Sorted(maps.Keys(m)); !slices.Equal(got, want) {
		t.Errorf("keys %v, want %v", got, want)
	}
}

func TestFind(t *testing.T) {
	for name, slug := range map[string]string{
		"self-consistency": "self-consistency",
		"SELF-CONSISTENCY": "self-consistency",
		" 104 ":            "self-consistency",
		"Perceiver: General Perception with Iterative Attention": "perceiver",
		"self-certainty": "self-certainty-bon",
		"Verbal/P-True":  "p-true-p-ik",
	} {
		if p, ok := catalog.Find(name); !ok || p.Slug != slug {
			t.Errorf("Find(%q) = %q, %v; want %q", name, p.Slug, ok, slug)
		}
	}
	for _, name := range []string{"", "0", "171", "self", "no such thing"} {
		if p, ok := catalog.Find(name); ok {
			t.Errorf("Find(%q) = %q; want nothing", name, p.Slug)
		}
	}
}

func TestNearest(t *testing.T) {
	for name, want := range map[string]string{
		"self-consistancy":       "self-consistency",
		"Selfconsistency":        "self-consistency",
		"verbal/ptrue":           "verbal/p-true",
		"metamnd":                "metamind",
		"werewolf":               "multimind-werewolf",
		"tom":                    "", // far too many contain it
		"quantum chromodynamics": "",
		"":                       "",
		strings.Repeat("a", 1e6): "",
	} {
		if got := catalog.NearestPaper(name); got != want {
			t.Errorf("NearestPaper(%.40q) = %q, want %q", name, got, want)
		}
	}
}
