package text

import (
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf8"
)

// SQuADNormalise is the normalisation of the SQuAD 1.1 evaluation (Rajpurkar et
// al. 2016): lower case, ASCII punctuation deleted, the words a, an and the
// deleted, white space squeezed. [Normalise] is the one to compare answers
// with; this one is for published figures.
func SQuADNormalise(s string) string { return strings.Join(squadTokens(s), " ") }

func squadTokens(s string) []string {
	s = strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (r >= '!' && r <= '/' || r >= ':' && r <= '@' || r >= '[' && r <= '`' || r >= '{' && r <= '~') {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
	tokens := strings.Fields(s)
	kept := tokens[:0]
	for _, t := range tokens {
		if !isArticle(t) {
			kept = append(kept, t)
		}
	}
	return kept
}

// ExactMatch reports whether two texts are equal under [SQuADNormalise].
func ExactMatch(a, b string) bool { return SQuADNormalise(a) == SQuADNormalise(b) }

// F1 is the token F1 of SQuAD 1.1, in [0,1]: the harmonic mean of the shares of
// tokens, counted with multiplicity, that the two texts have in common. Two
// texts without tokens are equal: 1.
func F1(a, b string) float64 {
	x, y := squadTokens(a), squadTokens(b)
	if len(x) == 0 || len(y) == 0 {
		if len(x) == len(y) {
			return 1
		}
		return 0
	}
	return overlapOf(common(x, y), len(x), len(y)).F
}

// Overlap is a precision (share of the hypothesis), a recall (share of the
// reference) and their harmonic mean, each in [0,1].
type Overlap struct{ Precision, Recall, F float64 }

func overlapOf(hits, hyp, ref int) Overlap {
	if hits == 0 {
		return Overlap{}
	}
	p, r := float64(hits)/float64(hyp), float64(hits)/float64(ref)
	return Overlap{p, r, 2 * p * r / (p + r)}
}

// Rouge1 is the unigram overlap ROUGE-1 (Lin 2004) without stemming. Tokens are
// runs of letters and digits in lower case, of any script. (The usual scorer
// drops all but a–z and 0–9, so that Chinese scores 0 against itself.)
func Rouge1(hypothesis, reference string) Overlap {
	h, r := tokens(hypothesis), tokens(reference)
	return overlapOf(common(h, r), len(h), len(r))
}

// Rouge2 is the bigram overlap ROUGE-2 (Lin 2004), with the tokens of [Rouge1].
func Rouge2(hypothesis, reference string) Overlap {
	h, r := bigrams(tokens(hypothesis)), bigrams(tokens(reference))
	return overlapOf(common(h, r), len(h), len(r))
}

// RougeL is ROUGE-L (Lin 2004): the overlap by the longest common subsequence
// of the tokens of [Rouge1].
func RougeL(hypothesis, reference string) Overlap {
	h, r := tokens(hypothesis), tokens(reference)
	return overlapOf(lcs(h, r), len(h), len(r))
}

func tokens(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		if r < utf8.RuneSelf {
			return !isAlnum(byte(r))
		}
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r)
	})
}

func bigrams(tokens []string) []string {
	if len(tokens) < 2 {
		return nil
	}
	out := make([]string, len(tokens)-1)
	for i := range out {
		out[i] = tokens[i] + " " + tokens[i+1]
	}
	return out
}

// common is the size of the intersection of two multisets.
func common(a, b []string) int {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	if len(a)*len(b) <= 256 { // short answers: no map
		var taken [256]bool
		n := 0
		for _, x := range a {
			for j, y := range b {
				if !taken[j] && x == y {
					taken[j] = true
					n++
					break
				}
			}
		}
		return n
	}
	counts := make(map[string]int, len(a))
	for _, t := range a {
		counts[t]++
	}
	n := 0
	for _, t := range b {
		if counts[t] > 0 {
			counts[t]--
			n++
		}
	}
	return n
}

// lcs is the length of the longest common subsequence, by bit vectors: one word
// operation for 64 cells of the usual table (Hyyrö 2004).
func lcs[T comparable](a, b []T) int {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	n := (len(a) + 63) / 64
	at := make(map[T][]uint64, len(a))
	for i, t := range a {
		m := at[t]
		if m == nil {
			m = make([]uint64, n)
			at[t] = m
		}
		m[i/64] |= 1 << (i % 64)
	}
	v := make([]uint64, n)
	for i := range v {
		v[i] = ^uint64(0)
	}
	for _, t := range b {
		m := at[t]
		if m == nil {
			continue
		}
		var carry uint64
		for i := range v {
			u := v[i] & m[i]
			sum, c := bits.Add64(v[i], u, carry)
			v[i], carry = sum|v[i]&^m[i], c
		}
	}
	zeros := 0
	for i := range a {
		if v[i/64]>>(i%64)&1 == 0 {
			zeros++
		}
	}
	return zeros
}

// Jaccard is the share of the distinct words, split at white space and lowered,
// that two texts have in common, in [0,1]; 0 for two empty texts.
func Jaccard(a, b string) float64 {
	set := func(s string) map[string]bool {
		m := make(map[string]bool)
		for w := range strings.FieldsSeq(strings.ToLower(s)) {
			m[w] = true
		}
		return m
	}
	x, y := set(a), set(b)
	both := 0
	for w := range x {
		if y[w] {
			both++
		}
	}
	if n := len(x) + len(y) - both; n > 0 {
		return float64(both) / float64(n)
	}
	return 0
}
