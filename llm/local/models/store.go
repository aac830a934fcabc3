package models

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

var (
	// ErrMissing says that a known model is not in the store: pull it.
	ErrMissing = errors.New("not in the store")
	// ErrMismatch says that a file is not the one the list names: its size or
	// its SHA-256 differs.
	ErrMismatch = errors.New("not the published file")
)

// A Store is a folder of model files, NAME.gguf each. Beside a file lies the
// proof that its SHA-256 was once computed (NAME.gguf.json), so that a start
// need not read the whole file again. Any number of processes may use one
// store at a time; a store that cannot be written still resolves.
type Store struct {
	Dir     string        // absolute
	Mirror  string        // folder, file:// or http(s) base URL asked before the published sources; "" for none
	Timeout time.Duration // how long a source may stay silent: connecting, before the first byte, between bytes

	known []Model
}

// Open returns the store of this user: the folder GNOTHI_MODELS, or
// gnothi/models in the user's cache folder; the mirror GNOTHI_MODEL_MIRROR; and
// a timeout of 5 s. It creates nothing.
func Open() (*Store, error) {
	dir := os.Getenv("GNOTHI_MODELS")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("models: no cache folder for this user (set GNOTHI_MODELS to a folder): %w", err)
		}
		dir = filepath.Join(cache, "gnothi", "models")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("models: store folder %q: %w", dir, err)
	}
	return &Store{Dir: dir, Mirror: os.Getenv("GNOTHI_MODEL_MIRROR"), Timeout: 5 * time.Second, known: Known()}, nil
}

// Path returns where the known model's file lies in the store, or would lie
// once pulled.
func (s *Store) Path(name string) (string, error) {
	m, err := find(s.known, name)
	if err != nil {
		return "", err
	}
	return s.path(m), nil
}

func (s *Store) path(m Model) string { return filepath.Join(s.Dir, m.Name+".gguf") }

// Resolve finds the file that spec means: a known model's name, or the path of
// a GGUF file (it has a separator or ends in .gguf); a leading "local:" is
// dropped. A path whose content is a known model's is described as that model,
// any other by its file name, size and SHA-256.
//
// The error wraps [ErrUnknown], [ErrMissing] (and then the Model is filled, to
// pull it), [ErrMismatch] or fs.ErrNotExist. The whole file is read when its
// SHA-256 is not known yet, which is when ctx matters.
func (s *Store) Resolve(ctx context.Context, spec string) (path string, m Model, err error) {
	spec = strings.TrimPrefix(spec, "local:")
	if !isPath(spec) {
		if m, err = find(s.known, spec); err != nil {
			return "", Model{}, err
		}
		if err := s.check(ctx, m); err != nil {
			return "", m, fmt.Errorf("models: %w", err)
		}
		return s.path(m), m, nil
	}
	if path, err = filepath.Abs(spec); err != nil {
		return "", Model{}, fmt.Errorf("models: %w", err)
	}
	if err := looksGGUF(path); err != nil {
		return "", Model{}, fmt.Errorf("models: %w", err)
	}
	p, err := s.digest(ctx, path)
	if err != nil {
		return "", Model{}, fmt.Errorf("models: %w", err)
	}
	for _, m := range s.known {
		if m.SHA256 == p.SHA256 {
			return path, m, nil
		}
	}
	file := filepath.Base(path)
	return path, Model{Name: strings.TrimSuffix(file, filepath.Ext(file)), File: file, Size: p.Size, SHA256: p.SHA256}, nil
}

func isPath(spec string) bool {
	return strings.ContainsAny(spec, `/`+string(filepath.Separator)) || strings.EqualFold(filepath.Ext(spec), ".gguf")
}

// looksGGUF refuses what can be seen not to be a model file before it is
// hashed, devices and pipes included, which have no end.
func looksGGUF(path string) error {
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var magic [4]byte
	if _, err := io.ReadFull(f, magic[:]); err != nil || string(magic[:]) != "GGUF" {
		return fmt.Errorf("%s is not a GGUF file", path)
	}
	return nil
}

// check says whether the known model's file in the store is there and right.
func (s *Store) check(ctx context.Context, m Model) error {
	path := s.path(m)
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is %w (%s): gnothi model pull %s", m.Name, ErrMissing, path, m.Name)
	case err != nil:
		return err
	case !fi.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	case fi.Size() != m.Size:
		return fmt.Errorf("%s is %w", path, sizeMismatch(m, fi.Size()))
	}
	p, err := s.digest(ctx, path)
	if err != nil {
		return err
	}
	if p.SHA256 != m.SHA256 {
		return fmt.Errorf("%s is %w", path, sumMismatch(m, p.SHA256))
	}
	return nil
}

func sizeMismatch(m Model, got int64) error {
	return fmt.Errorf("%w: %d bytes, want %d", ErrMismatch, got, m.Size)
}

func sumMismatch(m Model, got string) error {
	return fmt.Errorf("%w: SHA-256 %s, want %s", ErrMismatch, got, m.SHA256)
}

// State is how a known model stands in the store.
type State string

const (
	Ready      State = "ready"      // present, and its SHA-256 is proven
	Unverified State = "unverified" // present with the right size; the next use reads and hashes it
	Damaged    State = "damaged"    // present, but not the published file; pulling replaces it
	Partial    State = "partial"    // a pull was interrupted; the next one goes on
	Absent     State = "absent"
)

// An Entry is a known model and how it stands in a store.
type Entry struct {
	Model
	State State  `json:"state"`
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"` // on disk: the file's, or the interrupted pull's
}

// List returns every known model with its state. It reads no weights.
func (s *Store) List() ([]Entry, error) {
	var list []Entry
	for _, m := range s.known {
		e := Entry{Model: m, State: Absent, Path: s.path(m)}
		fi, err := os.Stat(e.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if part, err := os.Stat(e.Path + partSuffix); err == nil && part.Size() > 0 {
				e.State, e.Bytes = Partial, part.Size()
			}
		case err != nil:
			return nil, fmt.Errorf("models: %w", err)
		default:
			e.State, e.Bytes = Unverified, fi.Size()
			p, proven := s.proofOf(e.Path, fi)
			switch {
			case fi.Size() != m.Size, proven && p.SHA256 != m.SHA256:
				e.State = Damaged
			case proven:
				e.State = Ready
			}
		}
		list = append(list, e)
	}
	return list, nil
}

// Remove deletes a known model's file, what an interrupted pull left, and the
// proof, and returns the bytes freed. The error wraps [ErrMissing] when there
// is nothing to delete.
func (s *Store) Remove(ctx context.Context, name string) (freed int64, err error) {
	m, err := find(s.known, name)
	if err != nil {
		return 0, err
	}
	path := s.path(m)
	if _, err := os.Stat(s.Dir); errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("models: %s is %w (%s)", name, ErrMissing, path)
	}
	unlock, err := lock(ctx, path+lockSuffix, nil)
	if err != nil {
		return 0, fmt.Errorf("models: %s: %w", name, err)
	}
	defer unlock()
	found := false
	for _, file := range []string{path, path + partSuffix, path + tempSuffix, path + etagSuffix, path + proofSuffix} {
		fi, err := os.Lstat(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.Remove(file)
		}
		if err != nil {
			return freed, fmt.Errorf("models: %w", err)
		}
		found = true
		freed += fi.Size()
	}
	if !found {
		return 0, fmt.Errorf("models: %s is %w (%s)", name, ErrMissing, path)
	}
	return freed, nil
}

// The files beside NAME.gguf.
const (
	partSuffix  = ".part"  // an HTTP download to go on with
	etagSuffix  = ".etag"  // which version of which URL that is
	tempSuffix  = ".tmp"   // a copy that cannot go on; swept by the next pull
	wheelSuffix = ".wheel" // the folder pip works in; swept likewise
	lockSuffix  = ".lock"  // held while pulling; the file itself stays
	proofSuffix = ".json"  // what is known about the file
)

// A proof records the SHA-256 of a file as it was at a size and time of
// modification. It saves reading the file; it is no defence against someone
// who can write the store.
type proof struct {
	Schema int    `json:"schema"`
	Path   string `json:"path"` // for people; a store may move
	Size   int64  `json:"size"`
	MTime  int64  `json:"mtime_ns"` // Unix nanoseconds
	SHA256 string `json:"sha256"`
}

const proofSchema = 1

// proofFile is beside a file of the store, and in the store for any other file:
// a user's folders are not ours to write to.
func (s *Store) proofFile(path string) string {
	if filepath.Dir(path) == s.Dir {
		return path + proofSuffix
	}
	sum := sha256.Sum256([]byte(path))
	return filepath.Join(s.Dir, "elsewhere", hex.EncodeToString(sum[:16])+proofSuffix)
}

// proofOf returns the proof for the file as fi shows it, if there is one.
func (s *Store) proofOf(path string, fi fs.FileInfo) (proof, bool) {
	var p proof
	if err := readJSON(s.proofFile(path), &p); err != nil {
		return proof{}, false
	}
	return p, p.Schema == proofSchema && p.Size == fi.Size() && p.MTime == fi.ModTime().UnixNano()
}

// digest returns the proof for the file, computing and keeping it if need be.
func (s *Store) digest(ctx context.Context, path string) (proof, error) {
	f, err := os.Open(path)
	if err != nil {
		return proof{}, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return proof{}, err
	}
	if p, ok := s.proofOf(path, fi); ok {
		return p, nil
	}
	sum, err := hash(ctx, f)
	if err != nil {
		return proof{}, fmt.Errorf("%s: %w", path, err)
	}
	return s.prove(path, fi, sum), nil
}

// prove keeps the proof for the file as fi shows it. A store that cannot be
// written only means that the next start reads the file again.
func (s *Store) prove(path string, fi fs.FileInfo, sum string) proof {
	p := proof{proofSchema, path, fi.Size(), fi.ModTime().UnixNano(), sum}
	if os.MkdirAll(filepath.Dir(s.proofFile(path)), 0o755) == nil {
		_ = writeJSON(s.proofFile(path), p)
	}
	return p
}

func hash(ctx context.Context, f *os.File) (string, error) {
	h := sha256.New()
	if _, err := copyAll(ctx, h, f, nil); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// copyAll is io.Copy that stops when ctx ends and reports the bytes so far.
func copyAll(ctx context.Context, dst io.Writer, src io.Reader, report func(done int64)) (done int64, err error) {
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		n, rerr := src.Read(buf)
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil {
				return done, diskError{err}
			}
			done += int64(n)
			if report != nil {
				report(done)
			}
		}
		if rerr == io.EOF {
			return done, nil
		}
		if rerr != nil {
			return done, rerr
		}
	}
}

// diskError marks a failure to write the store: no other source will mend it.
type diskError struct{ error }

func (e diskError) Unwrap() error { return e.error }

func readJSON(path string, v any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return json.NewDecoder(io.LimitReader(f, 64<<10)).Decode(v)
}

// writeJSON replaces the file in one step, so that a reader sees the old or the
// new content whole.
func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".*"+proofSuffix)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Chmod(0o644) // a store may be shared between users
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
