package local

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"gnothi/engine"
	"gnothi/engine/token"
)

// prompts keeps evaluated prompts: the latest, since one question is asked in
// many ways from the same words on, and the constant beginnings, also on disk.
// Keys and values of what is kept bound its memory.
type prompts struct {
	engine *engine.Engine
	dir    string

	mu       sync.Mutex
	constant []*constant
	recent   []evaluated // latest last
}

// keepTokens bounds the recent prompts, in tokens; one takes 46 kB on the
// default model.
const keepTokens = 1024

type evaluated struct {
	ids    []int32
	prefix *engine.Prefix
}

// constant is a beginning that is evaluated when a prompt first needs it.
type constant struct {
	ids    []int32
	once   sync.Mutex
	prefix *engine.Prefix
}

func newPrompts(e *engine.Engine, texts []string, dir string) *prompts {
	p := &prompts{engine: e, dir: dir}
	tok := e.Tokenizer()
	for _, s := range texts {
		if ids := tok.Encode(s, token.Options{AddSpecial: true}); len(ids) > 0 {
			p.constant = append(p.constant, &constant{ids: ids})
		}
	}
	return p
}

// evaluate gives the state after a prompt, and how many of its tokens did not
// have to be evaluated for it.
func (p *prompts) evaluate(ctx context.Context, ids []int32) (*engine.Prefix, int, error) {
	best, err := p.longest(ctx, ids)
	if err != nil {
		return nil, 0, err
	}
	n := len(best.ids)
	if n == len(ids) {
		return best.prefix, n, nil
	}
	prefix, err := p.engine.Prefill(ctx, best.prefix, ids[n:])
	if err != nil {
		return nil, 0, err
	}
	p.remember(evaluated{ids, prefix})
	return prefix, n, nil
}

// longest finds the longest evaluated beginning of a prompt.
func (p *prompts) longest(ctx context.Context, ids []int32) (evaluated, error) {
	best := p.longestRecent(ids)
	for _, c := range p.constant {
		if len(c.ids) > len(best.ids) && beginsWith(ids, c.ids) {
			prefix, err := p.constantPrefix(ctx, c)
			if err != nil {
				return best, err
			}
			best = evaluated{c.ids, prefix}
		}
	}
	return best, nil
}

func (p *prompts) longestRecent(ids []int32) (best evaluated) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := -1
	for i, e := range p.recent {
		if len(e.ids) > len(best.ids) && beginsWith(ids, e.ids) {
			best, at = e, i
		}
	}
	if at >= 0 {
		p.recent = append(slices.Delete(p.recent, at, at+1), best)
	}
	return best
}

func beginsWith(ids, start []int32) bool {
	return len(ids) >= len(start) && slices.Equal(ids[:len(start)], start)
}

func (p *prompts) remember(e evaluated) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recent = append(p.recent, e)
	total := 0
	for i := len(p.recent) - 1; i >= 0; i-- {
		if total += len(p.recent[i].ids); total > keepTokens && i < len(p.recent)-1 {
			p.recent = slices.Delete(p.recent, 0, i+1)
			return
		}
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
