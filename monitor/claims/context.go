package claims

import (
	"context"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/text"
)

// Context is claims/support-context: does the context that came with the
// question support the claim? One call for all claims, numbered; score is P(Yes)
// at the verdict where log-probabilities tell (else, of a claim asked alone, five
// replies are counted), otherwise 1, 0 or one half; raw is 1 − score. A long context is cut into parts, and each claim is held against
// the two that share most with it.
type Context struct {
	Alone bool // one call for each claim
}

// Name implements [Source].
func (Context) Name() string { return "claims/support-context" }

// Support implements [Source].
func (s Context) Support(ctx context.Context, t *monitor.Trial, c *monitor.Candidate, claims []text.Claim) ([]Support, error) {
	if strings.TrimSpace(t.Question.Context) == "" {
		return make([]Support, len(claims)), &monitor.MissingError{Needs: "a context to hold the claims against"}
	}
	parts := partsFor(t.Question.Context, claims)
	best := make([]map[int]verdict, len(parts))
	errs := make([]error, len(parts))
	y := newTally(len(claims))
	inTurn(ctx, t, len(parts), y.over, func(ctx context.Context, i int) {
		a := asker{batch: supportBatch, alone: supportAlone, passage: parts[i].text, oneByOne: s.Alone, soft: true}
		best[i], errs[i] = a.ask(ctx, t, c.Text, claims, parts[i].claims)
	})
	// A claim is supported as far as its best part supports it.
	merged := map[int]verdict{}
	var first error
	for i, got := range best {
		for k, v := range got {
			if old, ok := merged[k]; !ok || v.yes > old.yes {
				merged[k] = v
			}
		}
		if first == nil {
			first = errs[i]
		}
	}
	y.add(llm.Range(0, len(claims)), merged, first)
	return y.finish("context")
}

// Knowledge is claims/support-knowledge: asked afresh, does the model hold the
// claim true? Where there are log-probabilities each claim is asked alone, and the
// score is P(Yes), or the share of yes among five replies where less than half of
// the probability takes a side. Else all claims go in one call, numbered, and the
// score is 1, 0 or one half. Raw is 1 − score. It is p-true-p-ik's question asked of a claim.
type Knowledge struct{}

// Name implements [Source].
func (Knowledge) Name() string { return "claims/support-knowledge" }

// Support implements [Source].
func (Knowledge) Support(ctx context.Context, t *monitor.Trial, c *monitor.Candidate, claims []text.Claim) ([]Support, error) {
	y := newTally(len(claims))
	a := asker{batch: knowledgeBatch, alone: knowledgeAlone, oneByOne: t.Model.Can(llm.LogProbs), soft: true}
	size := batchClaims
	if a.oneByOne {
		size = 1
	}
	groups := slices.Collect(slices.Chunk(llm.Range(0, len(claims)), size))
	inTurn(ctx, t, len(groups), y.over, func(ctx context.Context, i int) {
		got, err := a.ask(ctx, t, c.Text, claims, groups[i])
		y.add(groups[i], got, err)
	})
	return y.finish("asked")
}

// part is a piece of a passage and the claims that are held against it.
type part struct {
	text   string
	claims []int
}

// Bounds of a passage in one call, chosen for models with short contexts.
const (
	passageBytes = 4000
	partsEach    = 2 // parts of a long passage that a claim is held against
)

// partsFor cuts a passage into parts that fit a call and picks for each claim
// those that share most words with it, rare words weighing most.
func partsFor(passage string, claims []text.Claim) []part {
	texts := cut(passage)
	parts := make([]part, len(texts))
	for i := range parts {
		parts[i].text = texts[i]
	}
	if len(parts) <= partsEach {
		for i := range parts {
			parts[i].claims = llm.Range(0, len(claims))
		}
		return parts
	}
	in := map[string][]int{} // word to the parts that hold it
	for i, p := range parts {
		for w := range wordsOf(p.text) {
			in[w] = append(in[w], i)
		}
	}
	for k, c := range claims {
		weight := make([]float64, len(parts))
		for _, w := range slices.Sorted(maps.Keys(wordsOf(c.Text))) { // in one order, for rounding decides ties
			for _, i := range in[w] {
				weight[i] += math.Log(float64(1+len(parts)) / float64(len(in[w])))
			}
		}
		order := llm.Range(0, len(parts))
		slices.SortStableFunc(order, func(a, b int) int { return cmpDown(weight[a], weight[b]) })
		for _, i := range order[:partsEach] {
			parts[i].claims = append(parts[i].claims, k)
		}
	}
	return slices.DeleteFunc(parts, func(p part) bool { return len(p.claims) == 0 })
}

func cmpDown(a, b float64) int {
	switch {
	case a > b:
		return -1
	case a < b:
		return 1
	}
	return 0
}

// cut splits a passage at sentences into parts of at most passageBytes.
func cut(s string) []string {
	if len(s) <= passageBytes {
		return []string{s}
	}
	var out []string
	start, end := 0, 0
	flush := func() {
		if strings.TrimSpace(s[start:end]) != "" {
			out = append(out, s[start:end])
		}
		start = end
	}
	for _, p := range text.Pieces(s) {
		if p.Whole.End-start > passageBytes {
			flush()
		}
		for end = p.Whole.End; end-start > passageBytes; { // a block of code, or a table
			whole := end
			end = start + passageBytes
			for end > start+1 && s[end]&0xC0 == 0x80 {
				end--
			}
			flush()
			end = whole
		}
	}
	flush()
	return out
}

// wordsOf is the set of a text's words of three letters and more, and numbers.
func wordsOf(s string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) }) {
		if len(w) > 2 || w[0] <= '9' {
			out[w] = true
		}
	}
	return out
}
