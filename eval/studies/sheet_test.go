package studies

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// book writes a workbook of its parts.
func book(t testing.TB, parts map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made_results.xlsx")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for name, content := range parts {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSheets(t *testing.T) {
	const texts = `<sst><si><t>Task</t></si><si><t>Task Category (Generation)</t></si><si><t>Type of Self-Knowledge (Generation)</t></si><si><t>Reason for Incapacity (Generation)</t></si><si><r><t>Add 2 </t></r><r><t>and 3.</t></r></si><si><t>Feasible</t></si><si><t>Maybe</t></si></sst>`
	const head = `<worksheet><sheetData><row r="1"><c r="B1" t="s"><v>0</v></c><c r="C1" t="s"><v>1</v></c><c r="D1" t="s"><v>2</v></c><c r="AA1" t="s"><v>3</v></c></row>`
	parts := func(rows string) map[string]string {
		return map[string]string{"xl/sharedStrings.xml": texts, "xl/worksheets/sheet1.xml": head + rows + `</sheetData></worksheet>`}
	}
	path := book(t, parts(`<row r="2"><c r="A2"><v>7</v></c><c r="B2" t="s"><v>4</v></c><c r="C2" t="s"><v>5</v></c><c r="D2" t="inlineStr"><is><t>Contextual Awareness</t></is></c></row>`))
	items, err := feasibilityBooks([]string{path})
	if want := (FeasibilityItem{Category: feasible, Type: "Contextual Awareness", Task: "Add 2 and 3."}); err != nil || len(items) != 1 || items[0] != want {
		t.Errorf("%+v, %v", items, err)
	}
	for want, parts := range map[string]map[string]string{
		`made_results.xlsx:3: field "category": "Maybe"`:             parts(`<row r="3"><c r="B3" t="s"><v>4</v></c><c r="C3" t="s"><v>6</v></c></row>`),
		`made_results.xlsx:2: column "Task": empty`:                  parts(`<row r="2"><c r="C2" t="s"><v>5</v></c></row>`),
		`made_results.xlsx:2: cell B2: there is no text number "99"`: parts(`<row r="2"><c r="B2" t="s"><v>99</v></c></row>`),
		`made_results.xlsx: the file holds no items`:                 parts(""),
		`made_results.xlsx:1: no column "Task"`:                      {"xl/sharedStrings.xml": `<sst></sst>`, "xl/worksheets/sheet1.xml": `<worksheet><sheetData><row r="1"></row></sheetData></worksheet>`},
		`xl/worksheets/sheet1.xml`:                                   {"xl/sharedStrings.xml": texts},
		`made_results.xlsx: xl/sharedStrings.xml`:                    {"xl/sharedStrings.xml": "<sst>"},
	} {
		if _, err := feasibilityBooks([]string{book(t, parts)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	torn := filepath.Join(t.TempDir(), "x_results.xlsx")
	if err := os.WriteFile(torn, []byte("PK\x03\x04torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := feasibilityBooks([]string{torn}); err == nil || !strings.Contains(err.Error(), "x_results.xlsx: no workbook") {
		t.Errorf("a torn file: %v", err)
	}
}

// Whatever a file of a collection holds, reading it ends with questions that can
// be asked or with an error that names the file.
func FuzzCollections(f *testing.F) {
	for i, c := range collections() {
		for _, pattern := range c.files {
			for _, path := range found(source(made, 1), c.folder, pattern) {
				b, err := os.ReadFile(path)
				if err != nil {
					f.Fatal(err)
				}
				f.Add(i, filepath.Base(path), b)
			}
		}
	}
	f.Add(0, "questions.jsonl", []byte(`{"question":"q","answers":["a"]}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, i int, name string, content []byte) {
		cs := collections()
		c := cs[((i%len(cs))+len(cs))%len(cs)]
		path := filepath.Join(dir, "file"+filepath.Ext(filepath.Base(name)))
		if strings.HasSuffix(path, ".gz") || strings.HasSuffix(path, ".zst") || strings.ContainsAny(path, "\x00") || len(path) > 200 {
			return
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return
		}
		for _, read := range []func(string, func(QA) error) error{c.read, readQuestions} {
			n := 0
			err := read(path, func(q QA) error {
				n++
				if err := q.check(); err != nil {
					return err
				}
				if len(q.Options) > 0 {
					for _, a := range q.Answers {
						if len(q.keys(a)) == 0 {
							t.Errorf("%q is none of %q", a, q.Options)
						}
					}
				}
				return nil
			})
			if err != nil && !strings.Contains(err.Error(), path) || err == nil && n == 0 {
				t.Errorf("%d questions, %v", n, err)
			}
		}
	})
}
