package text

import (
	"math"
	"slices"
	"strings"
	"sync"
)

// Texts are texts that are compared with one another. Each is cut into words
// once, and words are numbers from then on, so that comparing all pairs is cheap.
// Measures are those of the functions of the same name, of overlaps F; all are
// in [0,1] and the same in both directions.
type Texts struct {
	texts []*cut
	mu    sync.Mutex // of masks
	masks []uint64   // scratch of RougeL, one for each token: where it stands in a text
}

// cut is a text in numbers. Runs of words are numbered as words are; what is
// sorted is a multiset.
type cut struct {
	text     string
	tokens   []int32    // of [Rouge1], in order
	one, two []int32    // the same and their bigrams, sorted
	words    []int32    // split at white space, lowered: a sorted set
	runs     [4][]int32 // split at white space: runs of 1 to 4 words, sorted
}

// gram is a run of words: that of all but the last, and the last.
type gram struct{ before, last int32 }

// NewTexts cuts texts into words. The result is safe for concurrent use.
func NewTexts(texts []string) *Texts {
	x := &Texts{texts: make([]*cut, len(texts))}
	var byToken, byPlain, byWord = map[string]int32{}, map[string]int32{}, map[string]int32{}
	var two, runs = map[gram]int32{}, [4]map[gram]int32{}
	for n := range runs {
		runs[n] = map[gram]int32{}
	}
next:
	for i, t := range texts {
		for _, earlier := range x.texts[:i] {
			if earlier.text == t {
				x.texts[i] = earlier
				continue next
			}
		}
		c := &cut{text: t}
		c.tokens = numbers(byToken, tokens(t))
		c.one = sorted(slices.Clone(c.tokens))
		c.two = sorted(pairs(two, c.tokens, c.tokens))
		run := numbers(byPlain, strings.Fields(t))
		plain := run
		c.runs[0] = sorted(slices.Clone(run))
		for n := 1; n < 4; n++ {
			run = pairs(runs[n], run, plain)
			plain = plain[min(1, len(plain)):]
			c.runs[n] = sorted(slices.Clone(run))
		}
		c.words = slices.Compact(sorted(numbers(byWord, strings.Fields(strings.ToLower(t)))))
		x.texts[i] = c
	}
	x.masks = make([]uint64, len(byToken))
	return x
}

func numbers(m map[string]int32, words []string) []int32 {
	out := make([]int32, len(words))
	for i, w := range words {
		n, ok := m[w]
		if !ok {
			n = int32(len(m))
			m[w] = n
		}
		out[i] = n
	}
	return out
}

// pairs lengthens runs by one word: run i with the word that comes after it.
func pairs(m map[gram]int32, runs, words []int32) []int32 {
	if len(runs) < 2 {
		return nil
	}
	out := make([]int32, len(runs)-1)
	for i := range out {
		g := gram{runs[i], words[len(words)-len(out)+i]}
		n, ok := m[g]
		if !ok {
			n = int32(len(m))
			m[g] = n
		}
		out[i] = n
	}
	return out
}

func sorted(a []int32) []int32 {
	slices.Sort(a)
	return a
}

// shared is the size of the intersection of two sorted multisets.
func shared(a, b []int32) int {
	n := 0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			n, i, j = n+1, i+1, j+1
		case a[i] < b[j]:
			i++
		default:
			j++
		}
	}
	return n
}

// Len is the number of texts.
func (x *Texts) Len() int { return len(x.texts) }

// Same says whether texts i and j are the same, letter by letter.
func (x *Texts) Same(i, j int) bool { return x.texts[i] == x.texts[j] }

// Rouge1 is the F of [Rouge1] of texts i and j.
func (x *Texts) Rouge1(i, j int) float64 {
	a, b := x.texts[i], x.texts[j]
	return overlapOf(shared(a.one, b.one), len(a.one), len(b.one)).F
}

// Rouge2 is the F of [Rouge2] of texts i and j.
func (x *Texts) Rouge2(i, j int) float64 {
	a, b := x.texts[i], x.texts[j]
	return overlapOf(shared(a.two, b.two), len(a.two), len(b.two)).F
}

// RougeL is the F of [RougeL] of texts i and j.
func (x *Texts) RougeL(i, j int) float64 {
	a, b := x.texts[i].tokens, x.texts[j].tokens
	if len(a) > len(b) {
		a, b = b, a
	}
	if x.texts[i] == x.texts[j] || len(a) == 0 {
		return overlapOf(len(a), len(a), len(b)).F
	}
	if len(a) > 64 {
		return overlapOf(lcs(a, b), len(a), len(b)).F
	}
	// As [lcs], with one machine word for the whole of a.
	x.mu.Lock()
	defer x.mu.Unlock()
	for k, t := range a {
		x.masks[t] |= 1 << k
	}
	v := ^uint64(0)
	for _, t := range b {
		u := v & x.masks[t]
		v = (v + u) | (v - u)
	}
	n := 0
	for k, t := range a {
		x.masks[t] = 0
		if v>>k&1 == 0 {
			n++
		}
	}
	return overlapOf(n, len(a), len(b)).F
}

// Jaccard is [Jaccard] of texts i and j, but 1 for a text and itself.
func (x *Texts) Jaccard(i, j int) float64 {
	a, b := x.texts[i], x.texts[j]
	if a == b {
		return 1
	}
	both := shared(a.words, b.words)
	if n := len(a.words) + len(b.words) - both; n > 0 {
		return float64(both) / float64(n)
	}
	return 0
}

// BLEU is the sentence BLEU (Papineni et al. 2002) of texts i and j with one
// another, the mean of both directions: words split at white space, as they are
// written; runs of 1 to 4 words, or as many as the shorter text has, with equal
// weights; no smoothing.
func (x *Texts) BLEU(i, j int) float64 {
	a, b := x.texts[i], x.texts[j]
	la, lb := float64(len(a.runs[0])), float64(len(b.runs[0]))
	orders := int(min(la, lb, 4))
	if orders == 0 {
		return 0
	}
	if a == b {
		return 1
	}
	p := 1.0 // the product of hits; those of both directions differ by what it is divided by
	inA, inB := 1.0, 1.0
	for n := range orders {
		hits := shared(a.runs[n], b.runs[n])
		if hits == 0 {
			return 0
		}
		p *= float64(hits)
		inA *= float64(len(a.runs[n]))
		inB *= float64(len(b.runs[n]))
	}
	root := 1 / float64(orders)
	return (math.Pow(p/inA, root)*brevity(la, lb) + math.Pow(p/inB, root)*brevity(lb, la)) / 2
}

// brevity is the penalty of a hypothesis shorter than its reference.
func brevity(hypothesis, reference float64) float64 {
	if hypothesis >= reference {
		return 1
	}
	return math.Exp(1 - reference/hypothesis)
}
