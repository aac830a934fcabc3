package engine

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"gnothi/engine/gguf"
	"gnothi/engine/grammar"
	"gnothi/engine/internal/kernel"
	"gnothi/engine/internal/model"
	"gnothi/engine/internal/pool"
	"gnothi/engine/token"
)

// Options says how to run a model. The zero value is right for most.
type Options struct {
	// Threads is the number of threads that compute; 0 means GOMAXPROCS.
	Threads int
	// Sequences bounds how many sequences are generated at the same time, and so the memory for
	// their keys and values; others wait their turn. 0 means 16, the most is 40.
	Sequences int
	// Context bounds the length of a text in tokens, below the model's own limit; 0 means that limit.
	Context int
	// HalfKV keeps keys and values in float16, in half the memory. Numbers then differ from exact ones
	// by what docs/engine.md says.
	HalfKV bool
}

// Info describes a model.
type Info struct {
	Path         string
	Name         string // general.name of the file, "" if it has none
	Architecture string
	FileType     string // the type of most weights, such as "Q4_1"
	Bytes        int64  // size of the file
	Parameters   int64

	Layers, Dim, FeedForward int
	Heads, KVHeads, HeadDim  int
	Vocab                    int
	Context                  int // longest text in tokens: the model's or Options.Context
	KVBytes                  int // memory of a token's keys and values

	// Fingerprint identifies file and tensors without reading all of them: a SHA-256 over the
	// metadata, the list of tensors and the ends of each. See Engine.SHA256 for the whole.
	Fingerprint string
	// Kernels is the code path of the arithmetic, "avx2" or "go". Results are equal bit for bit on
	// the same path and to rounding (1e-4 in logits) between paths.
	Kernels string
	Threads int
}

// Errors to compare with errors.Is.
var (
	// ErrClosed is returned by everything that runs on a closed engine.
	ErrClosed = errors.New("engine: closed")
	// ErrNotFinite means that a computation overflowed or met a NaN: the model is damaged or the
	// text drives it out of float32's range. No answer is given from such numbers.
	ErrNotFinite = errors.New("engine: logits or activations are not finite")
)

// ContextError means that a text does not fit.
type ContextError struct {
	Tokens  int // length of the text
	Context int // longest possible
}

func (e *ContextError) Error() string {
	return fmt.Sprintf("engine: the text has %d tokens, the context only %d; shorten it", e.Tokens, e.Context)
}

// Engine is an open model.
type Engine struct {
	file  *gguf.File
	model *model.Model
	pool  *pool.Pool
	sched *scheduler
	info  Info

	tokenizer func() (*token.Tokenizer, error)
	template  func() (*token.Template, error)
	sum       func() (string, error)

	vocabulary func() *grammar.Vocabulary
	grammars   grammars
}

// Open maps a GGUF file and starts an engine on it. Every weight is checked to be finite. The
// caller must Close it.
func Open(path string, opts Options) (*Engine, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	e, err := start(f, opts)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("engine: %s: %w", path, err)
	}
	return e, nil
}

func start(f *gguf.File, opts Options) (*Engine, error) {
	const most = model.MaxRows - promptShare // so that prompts always have room in a step
	if opts.Sequences < 0 || opts.Sequences > most || opts.Context < 0 {
		return nil, fmt.Errorf("options: Sequences %d must lie within 0 and %d, Context %d must not be negative", opts.Sequences, most, opts.Context)
	}
	e := &Engine{file: f, pool: pool.New(opts.Threads)}
	// The vocabulary's tables take as long to build as the weights to check: do both at once.
	e.tokenizer = sync.OnceValues(func() (*token.Tokenizer, error) { return token.New(f) })
	e.template = sync.OnceValues(func() (*token.Template, error) { return token.TemplateOf(f) })
	e.vocabulary = sync.OnceValue(func() *grammar.Vocabulary {
		tok := e.Tokenizer()
		return grammar.NewVocabulary(tok.Vocab(), func(id int32) []byte {
			if tok.IsControl(id) || tok.EOG(id) {
				return nil
			}
			return tok.Piece(id)
		})
	})
	ready := make(chan error, 1)
	go func() {
		_, err := e.tokenizer()
		_, _ = e.template() // it reads the file, which must not happen after Close; Template returns its error
		ready <- err
	}()
	m, err := model.Load(f, e.pool)
	if terr := <-ready; err == nil && terr != nil {
		err = fmt.Errorf("tokenizer: %w", terr)
	}
	if err == nil {
		if tok, _ := e.tokenizer(); tok.Vocab() != m.Config.Vocab {
			err = fmt.Errorf("the tokenizer has %d tokens, the weights have %d", tok.Vocab(), m.Config.Vocab)
		}
	}
	if err != nil {
		e.pool.Close()
		return nil, err
	}
	m.Config.HalfKV = opts.HalfKV
	e.model = m
	c := m.Config
	name, _ := f.String("general.name")
	e.info = Info{
		Path: f.Name(), Name: name, Architecture: m.Spec.Arch, FileType: fileType(f), Bytes: f.Size(), Parameters: m.Params,
		Layers: c.Layers, Dim: c.Dim, FeedForward: c.Hidden, Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim,
		Vocab: c.Vocab, Context: c.Context, KVBytes: c.BytesPerToken(), Fingerprint: fingerprint(f), Kernels: kernel.Path(), Threads: e.pool.Size(),
	}
	if opts.Context > 0 {
		e.info.Context = min(opts.Context, c.Context)
	}
	paths := f.Names()
	e.sum = sync.OnceValues(func() (string, error) { return sha256Files(paths) })
	e.sched = newScheduler(e, cmp.Or(opts.Sequences, 16))
	return e, nil
}

// Close ends what runs (with ErrClosed), waits for it, and releases the model.
func (e *Engine) Close() error {
	if !e.sched.close() {
		return nil
	}
	e.pool.Close()
	return e.file.Close()
}

// Info describes the model.
func (e *Engine) Info() Info { return e.info }

// Tokenizer returns the model's tokenizer. It stays usable after Close.
func (e *Engine) Tokenizer() *token.Tokenizer {
	t, _ := e.tokenizer() // Open has seen it succeed
	return t
}

// Template returns the chat template that the file asks for, or an error that says which it is if
// it is not known here; see token.TemplateByName for naming one.
func (e *Engine) Template() (*token.Template, error) { return e.template() }

// SHA256 is the hash of the whole file in hexadecimal; of a model in parts, of all of them one after the other. It is computed when first asked for, which
// takes about a tenth of a second for the default model.
func (e *Engine) SHA256() (string, error) { return e.sum() }

func sha256Files(paths []string) (string, error) {
	h := sha256.New()
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("engine: hash of the weights: %w", err)
		}
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return "", fmt.Errorf("engine: hash of the weights: %w", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// fileType is the type that holds the largest part of the weights.
func fileType(f *gguf.File) string {
	elems := map[gguf.Type]int{}
	best := gguf.F32
	for _, t := range f.Tensors {
		elems[t.Type] += t.Shape[0] * t.Rows()
		if elems[t.Type] > elems[best] {
			best = t.Type
		}
	}
	return best.String()
}

// fingerprint hashes each tensor's name, type, shape and both ends, which tells apart any two
// models that were trained or quantised differently.
func fingerprint(f *gguf.File) string {
	const end = 1 << 12
	h := sha256.New()
	for _, t := range f.Tensors {
		fmt.Fprintf(h, "%q %d %d\n", t.Name, t.Type, t.Shape)
		h.Write(t.Data[:min(end, len(t.Data))])
		h.Write(t.Data[max(0, len(t.Data)-end):])
	}
	var keys bytes.Buffer
	for k := range f.Keys() {
		if _, isList := f.Len(k); !isList { // vocabularies are megabytes, and no matter of the weights
			v, _ := f.Value(k)
			fmt.Fprintf(&keys, "%q=%v\n", k, v)
		}
	}
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(f.Size())))
	h.Write(keys.Bytes())
	return hex.EncodeToString(h.Sum(nil))
}

// grammars keeps compiled schemas with what has been found out about their states.
type grammars struct {
	mu   sync.Mutex
	kept []keptGrammar // latest last
}

type keptGrammar struct {
	schema string
	*grammar.Grammar
}

const keepGrammars = 16

// Grammar compiles a JSON schema for this model, for Sampling.Grammar; see grammar.Compile for what is
// understood and for its errors. The latest ones are kept.
func (e *Engine) Grammar(schema []byte) (*grammar.Grammar, error) {
	k := &e.grammars
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, g := range k.kept {
		if g.schema == string(schema) {
			k.kept = append(slices.Delete(k.kept, i, i+1), g)
			return g.Grammar, nil
		}
	}
	g, err := grammar.Compile(schema, e.vocabulary())
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	k.kept = append(k.kept, keptGrammar{string(schema), g})
	if len(k.kept) > keepGrammars {
		k.kept = slices.Delete(k.kept, 0, 1)
	}
	return g, nil
}
