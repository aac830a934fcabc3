package local

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"

	"gnothi/engine"
	"gnothi/engine/token"
)

// prompts keeps evaluated prompts and what was answered to them: a conversation
// goes on from there, and one question is asked in many ways from the same words
// on. The constant beginnings are kept always, and on disk.
type prompts struct {
	engine *engine.Engine
	dir    string
	keep   int64 // bytes that recent may take
	flight *semaphore.Weighted
	most   int64 // bytes of flight

	mu       sync.Mutex
	constant []*constant
	recent   []*engine.Prefix // latest last
}

const (
	keepBytes = 64 << 20
	// keepEntries bounds the search for a beginning.
	keepEntries = 128
	// shareTokens is the shortest beginning of another prompt that is worth sharing.
	shareTokens = 32
)

// constant is a beginning that is evaluated when a prompt first needs it.
type constant struct {
	ids    []int32
	once   sync.Mutex
	prefix *engine.Prefix
}

func newPrompts(e *engine.Engine, o Options) *prompts {
	info := e.Info()
	p := &prompts{engine: e, dir: o.CacheDir, keep: cmp.Or(o.KVMemory, keepBytes)}
	p.most = max(p.keep, int64(info.Context)*int64(info.KVBytes))
	p.flight = semaphore.NewWeighted(p.most)
	tok := e.Tokenizer()
	for _, s := range o.Constant {
		if ids := tok.Encode(s, token.Options{AddSpecial: true}); len(ids) > 0 {
			p.constant = append(p.constant, &constant{ids: ids})
		}
	}
	return p
}

// reserve waits until there is room for a prompt of n tokens.
func (p *prompts) reserve(ctx context.Context, n int) (release func(), err error) {
	bytes := min(int64(n)*int64(p.engine.Info().KVBytes), p.most)
	if err := p.flight.Acquire(ctx, bytes); err != nil {
		return nil, err
	}
	return func() { p.flight.Release(bytes) }, nil
}

// evaluate gives the state after a prompt, and how many of its tokens did not
// have to be evaluated for it.
func (p *prompts) evaluate(ctx context.Context, ids []int32) (*engine.Prefix, int, error) {
	best, err := p.longest(ctx, ids)
	if err != nil {
		return nil, 0, err
	}
	n := best.Len()
	if n == len(ids) {
		return best, n, nil
	}
	prefix, err := p.engine.Prefill(ctx, best, ids[n:])
	if err != nil {
		return nil, 0, err
	}
	p.remember(prefix)
	return prefix, n, nil
}

// longest finds the longest evaluated beginning of a prompt.
func (p *prompts) longest(ctx context.Context, ids []int32) (*engine.Prefix, error) {
	best := p.longestRecent(ids)
	for _, c := range p.constant {
		if len(c.ids) > best.Len() && len(ids) >= len(c.ids) && slices.Equal(ids[:len(c.ids)], c.ids) {
			prefix, err := p.constantPrefix(ctx, c)
			if err != nil {
				return nil, err
			}
			best = prefix
		}
	}
	return best, nil
}

func (p *prompts) longestRecent(ids []int32) (best *engine.Prefix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := -1
	for i, e := range p.recent {
		n := e.Common(ids)
		if n < e.Len() {
			// Cut short, it keeps all of its memory alive, so a good part should be of use. The
			// prompt's last token is evaluated anew, for the state behind it.
			n = min(n, len(ids)-1)
			if n < shareTokens || 2*n < e.Len() {
				continue
			}
		}
		if n > best.Len() {
			best, at = e.Cut(n), i
		}
	}
	if at >= 0 {
		e := p.recent[at]
		p.recent = append(slices.Delete(p.recent, at, at+1), e)
	}
	return best
}

// remember keeps a prompt, or a prompt and its answer, within the limit.
func (p *prompts) remember(prefix *engine.Prefix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recent = append(p.recent, prefix)
	for len(p.recent) > keepEntries || len(p.recent) > 0 && engine.KVMemory(p.recent...) > p.keep {
		p.recent = slices.Delete(p.recent, 0, 1)
	}
}

// constantPrefix loads or evaluates a constant beginning, once.
func (p *prompts) constantPrefix(ctx context.Context, c *constant) (*engine.Prefix, error) {
	c.once.Lock()
	defer c.once.Unlock()
	if c.prefix != nil {
		return c.prefix, nil
	}
	path := p.path(c.ids)
	if prefix := p.load(path, c.ids); prefix != nil {
		c.prefix = prefix
		return prefix, nil
	}
	prefix, err := p.engine.Prefill(ctx, nil, c.ids)
	if err != nil {
		return nil, err
	}
	c.prefix = prefix
	p.save(path, prefix)
	return prefix, nil
}

// path names the file of a constant beginning by weights and tokens.
func (p *prompts) path(ids []int32) string {
	if p.dir == "" {
		return ""
	}
	return filepath.Join(p.dir, p.engine.PrefixKey(ids)+".kv")
}

// load reads a kept beginning. One that is missing, damaged or another's is as
// good as none: it is evaluated again.
func (p *prompts) load(path string, ids []int32) *engine.Prefix {
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	prefix, err := p.engine.LoadPrefix(f, ids)
	if err != nil {
		return nil
	}
	return prefix
}

// save keeps a beginning for the next process. It is a convenience: a disk that
// is full or read-only must not fail an answer.
func (p *prompts) save(path string, prefix *engine.Prefix) {
	if path == "" || os.MkdirAll(p.dir, 0o755) != nil {
		return
	}
	f, err := os.CreateTemp(p.dir, ".kv-*")
	if err != nil {
		return
	}
	err = p.engine.SavePrefix(f, prefix)
	if cerr := f.Close(); err != nil || cerr != nil || os.Rename(f.Name(), path) != nil {
		_ = os.Remove(f.Name())
	}
}
