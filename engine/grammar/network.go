package grammar

import (
	"errors"
	"fmt"
	"slices"
)

// network is a set of rules, each an automaton over bytes whose edges may call other rules.
type network struct {
	nodes []node
	rules []rule
	err   error // the first that building met

	class   [256]uint8 // bytes that no edge tells apart share a class
	classes int
}

// node has byte edges, or free ones and calls.
type node struct {
	bytes []byteEdge
	free  []int32
	calls []call
	final bool  // the end of its rule
	dist  int32 // fewest bytes to the end of its rule
}

type byteEdge struct {
	lo, hi byte
	to     int32
}

type call struct{ rule, to int32 }

type rule struct{ start, end int32 }

// frag is a piece of an automaton with one way in and one way out.
type frag struct{ in, out int32 }

// maxNodes bounds what a schema may become.
const maxNodes = 1 << 18

const far = 1 << 28 // a distance that stands for "never"

func (w *network) node() int32 {
	if len(w.nodes) >= maxNodes {
		w.fail(fmt.Errorf("the schema is too large: its automaton would have more than %d states; use smaller bounds", maxNodes))
		return 0
	}
	w.nodes = append(w.nodes, node{})
	return int32(len(w.nodes) - 1)
}

func (w *network) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *network) free(from, to int32) { w.nodes[from].free = append(w.nodes[from].free, to) }

// span matches one byte within lo and hi.
func (w *network) span(lo, hi byte) frag {
	f := frag{w.node(), w.node()}
	w.nodes[f.in].bytes = append(w.nodes[f.in].bytes, byteEdge{lo, hi, f.out})
	return f
}

func (w *network) literal(s string) frag {
	f := frag{in: w.node()}
	f.out = f.in
	for i := range len(s) {
		next := w.node()
		w.nodes[f.out].bytes = append(w.nodes[f.out].bytes, byteEdge{s[i], s[i], next})
		f.out = next
	}
	return f
}

func (w *network) empty() frag {
	n := w.node()
	return frag{n, n}
}

func (w *network) seq(parts ...frag) frag {
	if len(parts) == 0 {
		return w.empty()
	}
	for i := 1; i < len(parts); i++ {
		w.free(parts[i-1].out, parts[i].in)
	}
	return frag{parts[0].in, parts[len(parts)-1].out}
}

func (w *network) alt(parts ...frag) frag {
	f := frag{w.node(), w.node()}
	for _, p := range parts {
		w.free(f.in, p.in)
		w.free(p.out, f.out)
	}
	return f
}

func (w *network) optional(p frag) frag { return w.alt(p, w.empty()) }

func (w *network) star(p frag) frag {
	f := frag{w.node(), w.node()}
	w.free(f.in, p.in)
	w.free(p.out, f.in)
	w.free(f.in, f.out)
	return f
}

func (w *network) plus(p frag) frag {
	f := frag{w.node(), w.node()}
	w.free(f.in, p.in)
	w.free(p.out, p.in)
	w.free(p.out, f.out)
	return f
}

// upTo matches part from lo to hi times; each is made anew.
func (w *network) upTo(lo, hi int, part func() frag) frag {
	f := w.empty()
	end := w.node()
	for i := range hi {
		if i >= lo {
			w.free(f.out, end)
		}
		f = w.seq(f, part())
	}
	w.free(f.out, end)
	return frag{f.in, end}
}

func (w *network) call(r int32) frag {
	f := frag{w.node(), w.node()}
	w.nodes[f.in].calls = append(w.nodes[f.in].calls, call{r, f.out})
	return f
}

// newRule reserves a rule; define says what it is.
func (w *network) newRule() int32 {
	w.rules = append(w.rules, rule{-1, -1})
	return int32(len(w.rules) - 1)
}

func (w *network) define(r int32, f frag) {
	w.rules[r] = rule{f.in, f.out}
	w.nodes[f.out].final = true
}

// finish checks and measures the network from its first rule on.
func (w *network) finish() error {
	if w.err != nil {
		return w.err
	}
	if err := w.checkLoops(); err != nil {
		return err
	}
	w.measure()
	if w.nodes[w.rules[0].start].dist >= far {
		return errors.New("no finite text satisfies the schema: a required part contains itself, or nothing at all fits it")
	}
	var edge [257]bool
	edge[0] = true
	for i := range w.nodes {
		for _, e := range w.nodes[i].bytes {
			edge[e.lo], edge[int(e.hi)+1] = true, true
		}
	}
	for b := range 256 {
		if edge[b] {
			w.classes++
		}
		w.class[b] = uint8(w.classes - 1)
	}
	return nil
}

// checkLoops refuses rules that call themselves before they take a byte.
func (w *network) checkLoops() error {
	const (
		unseen = iota
		open
		done
	)
	state := make([]uint8, len(w.rules))
	var visit func(r int32) error
	visit = func(r int32) error {
		switch state[r] {
		case open:
			return errors.New("a $ref leads back to itself without anything in between")
		case done:
			return nil
		}
		state[r] = open
		seen := map[int32]bool{}
		todo := []int32{w.rules[r].start}
		for len(todo) > 0 {
			n := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if seen[n] {
				continue
			}
			seen[n] = true
			todo = append(todo, w.nodes[n].free...)
			for _, c := range w.nodes[n].calls {
				if err := visit(c.rule); err != nil {
					return err
				}
			}
		}
		state[r] = done
		return nil
	}
	for r := range w.rules {
		if err := visit(int32(r)); err != nil {
			return err
		}
	}
	return nil
}

// measure finds every node's distance to the end of its rule.
func (w *network) measure() {
	for i := range w.nodes {
		w.nodes[i].dist = far
		if w.nodes[i].final {
			w.nodes[i].dist = 0
		}
	}
	for changed := true; changed; {
		changed = false
		// Nodes are mostly made in the order of the text, so going backwards soon settles.
		for i := len(w.nodes) - 1; i >= 0; i-- {
			n := &w.nodes[i]
			d := n.dist
			for _, e := range n.bytes {
				d = min(d, 1+w.nodes[e.to].dist)
			}
			for _, to := range n.free {
				d = min(d, w.nodes[to].dist)
			}
			for _, c := range n.calls {
				d = min(d, w.nodes[w.rules[c.rule].start].dist+w.nodes[c.to].dist)
			}
			if d < n.dist {
				n.dist, changed = d, true
			}
		}
	}
}

// frame is a place to return to, on top of others. Equal ones are the same frame.
type frame struct {
	node   int32
	parent *frame
	dist   int32 // bytes from returning here to the end of everything
	id     uint64
}

// config is a place in the network.
type config struct {
	node int32
	top  *frame
}

func (c config) dist(w *network) int32 {
	d := w.nodes[c.node].dist
	if c.top != nil {
		d += c.top.dist
	}
	return min(d, far)
}

func compareConfigs(a, b config) int {
	if a.node != b.node {
		return int(a.node - b.node)
	}
	return compareFrames(a.top, b.top)
}

func compareFrames(a, b *frame) int {
	switch x, y := a.number(), b.number(); {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func (f *frame) number() uint64 {
	if f == nil {
		return 0
	}
	return f.id
}

// closure follows free edges, calls and returns. It gives the configs that can take a byte, in order,
// and whether the whole may end. The result is valid until the next call.
func (g *Grammar) closure(from []config) (out []config, accept bool) {
	b := &g.buffers
	b.seen.reset()
	out, todo := b.out[:0], append(b.todo[:0], from...)
	for len(todo) > 0 {
		c := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !b.seen.add(c) {
			continue
		}
		n := &g.net.nodes[c.node]
		if len(n.bytes) > 0 && n.dist < far {
			out = append(out, c)
		}
		for _, to := range n.free {
			todo = append(todo, config{to, c.top})
		}
		for _, k := range n.calls {
			todo = append(todo, config{g.net.rules[k.rule].start, g.push(k.to, c.top)})
		}
		if n.final {
			if c.top == nil {
				accept = true
			} else {
				todo = append(todo, config{c.top.node, c.top.parent})
			}
		}
	}
	b.out, b.todo = out, todo
	slices.SortFunc(out, compareConfigs)
	return out, accept
}

// buffers are reused from one closure to the next.
type buffers struct {
	seen      configSet
	from      []config
	out, todo []config
	key       []byte
}

// configSet is a list while it is short.
type configSet struct {
	few  []config
	many map[config]bool
}

const fewConfigs = 24

func (s *configSet) reset() { s.few, s.many = s.few[:0], nil }

// add reports whether c was not in the set.
func (s *configSet) add(c config) bool {
	if s.many != nil {
		if s.many[c] {
			return false
		}
		s.many[c] = true
		return true
	}
	for _, k := range s.few {
		if k == c {
			return false
		}
	}
	if s.few = append(s.few, c); len(s.few) > fewConfigs {
		s.many = make(map[config]bool, 2*fewConfigs)
		for _, k := range s.few {
			s.many[k] = true
		}
	}
	return true
}

func (g *Grammar) push(to int32, parent *frame) *frame {
	// Returning to where only a return follows is returning there at once.
	if n := &g.net.nodes[to]; n.final && len(n.bytes)+len(n.free)+len(n.calls) == 0 {
		return parent
	}
	key := frameKey{to, parent.number()}
	if f := g.frames[key]; f != nil {
		return f
	}
	g.lastFrame++
	f := &frame{node: to, parent: parent, id: g.lastFrame}
	f.dist = config{to, parent}.dist(g.net)
	g.frames[key] = f
	return f
}

type frameKey struct {
	node   int32
	parent uint64
}
