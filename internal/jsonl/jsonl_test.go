package jsonl

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

type row struct {
	ID int `json:"id"`
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	switch {
	case strings.HasSuffix(name, ".gz"):
		w := gzip.NewWriter(f)
		defer w.Close()
		_, err = w.Write([]byte(content))
	case strings.HasSuffix(name, ".zst"):
		w, zerr := zstd.NewWriter(f)
		if zerr != nil {
			t.Fatal(zerr)
		}
		defer w.Close()
		_, err = w.Write([]byte(content))
	default:
		_, err = f.WriteString(content)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func read(path string) (ids []int, err error) {
	err = Each(path, func(_ int, line []byte) error {
		var r row
		if err := Decode(line, &r); err != nil {
			return err
		}
		ids = append(ids, r.ID)
		return nil
	}, nil)
	return ids, err
}

func TestEach(t *testing.T) {
	for _, name := range []string{"a.jsonl", "a.jsonl.gz", "a.jsonl.zst"} {
		ids, err := read(write(t, name, "\xef\xbb\xbf{\"id\":1}\n\n{\"id\":2}\r\n{\"id\":3}"))
		if err != nil || len(ids) != 3 || ids[2] != 3 {
			t.Errorf("%s: %v, %v", name, ids, err)
		}
	}
}

func TestErrorsNameFileLineAndField(t *testing.T) {
	for content, want := range map[string]string{
		"{\"id\":1}\n{\"id\":\"x\"}": `a.jsonl:2: field "id": want a whole number, found string`,
		"{\"id\":1}\n{\"id\":":       "a.jsonl:2: not JSON: the line ends",
		"{\"id\":1} {\"id\":2}":      "a.jsonl:1: more than one JSON value",
		"[1]":                        "a.jsonl:1: field \"the line\": want an object, found array",
		"\n\n{\"id\": \"\xff\"}":     "a.jsonl:3: not valid UTF-8",
		"nonsense":                   "a.jsonl:1: not JSON at byte",
	} {
		_, err := read(write(t, "a.jsonl", content))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q in it", content, err, want)
		}
	}
}
