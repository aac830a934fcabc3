package token

// trie finds the special tokens in a text. Its edges are keyed node<<8 | byte; node 0 is the root.
type trie struct {
	first [256]bool // bytes that start a token: most of a text is passed over by this
	edges map[uint64]int32
	ids   []int32 // the token that ends at a node, or none
}

// maxTrie bounds the nodes of a trie, and with them the memory and the time for one match that a file can ask for.
// Gemma's 6,400 special tokens are the most seen, with some 10,000 nodes.
const maxTrie = 1 << 18

func (t *trie) full() bool { return len(t.ids) > maxTrie }

// insert adds a token, and returns the one that has the same text, or none.
func (t *trie) insert(text []byte, id int32) int32 {
	if t.edges == nil {
		t.edges, t.ids = map[uint64]int32{}, []int32{none}
	}
	t.first[text[0]] = true
	node := int32(0)
	for _, b := range text {
		key := uint64(node)<<8 | uint64(b)
		next, ok := t.edges[key]
		if !ok {
			next = int32(len(t.ids))
			t.edges[key] = next
			t.ids = append(t.ids, none)
		}
		node = next
	}
	if t.ids[node] != none {
		return t.ids[node]
	}
	t.ids[node] = id
	return none
}

// match returns the longest wanted token at the start of s and its length, which is 0 if there is none.
func (t *trie) match(s string, wanted func(int32) bool) (id int32, n int) {
	if len(s) == 0 || !t.first[s[0]] {
		return none, 0
	}
	id = none
	node := int32(0)
	for i := range len(s) {
		next, ok := t.edges[uint64(node)<<8|uint64(s[i])]
		if !ok {
			break
		}
		node = next
		if e := t.ids[node]; e != none && wanted(e) {
			id, n = e, i+1
		}
	}
	return id, n
}
