package catalog_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gnothi/catalog"
)

// A row that says that something of it works has an acceptance check that `go test -run Paper/SLUG ./...` finds: a test called
// TestPaper… in which the slug names a part.
func TestEveryRowHasItsCheck(t *testing.T) {
	named := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != "..":
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(f.Name.Name, "TestPaper") {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if s, err := strconv.Unquote(lit.Value); err == nil {
						named[s] = true
					}
				}
				return true
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, p := range catalog.Papers() {
		switch p.State {
		case catalog.Works, catalog.Partly, catalog.Inspired:
			if checked++; !named[p.Slug] {
				t.Errorf("%s says %q and has no part of a TestPaper… test", p.Slug, p.State)
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d rows were looked at", checked)
	}
}
