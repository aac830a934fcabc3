package claims

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// Fact is an atomic fact of an answer: what a sentence says, one thing at a time.
type Fact struct {
	Text     string
	Sentence text.Span // in the answer, the claim it was made from
	// Span is the least part of the sentence that holds the words which the fact
	// has in common with it, in order; the end of the sentence if there are none.
	Span text.Span
}

// FactList is what an answer was taken apart into.
type FactList struct {
	Facts     []Fact
	Discarded int   // lines that said what the sentence does not say
	Whole     int   // sentences without a usable line, which stand as their own fact
	Err       error // what ended the splitting early
}

// Facts is the evidence of a candidate's atomic facts, the first step of
// rlfh-fine-grained-knowledge: sentences, then one call for each, which lists
// its facts with pronouns resolved. Chosen: a line counts only if at least half
// of its words, and every number, stand in the sentence or before it in the
// answer; a sentence without such a line stands as one fact.
type Facts struct {
	Candidate *monitor.Candidate
	Limit     int // claims; 0: [Limit]
}

var factsTemplate = prompt.Template{Name: "facts", Version: 1, Text: "Said before: {before}\nSentence: {sentence}\n" + material +
	"List what the sentence says as separate short facts, one on a line, each beginning with \"- \". Write names instead of pronouns. Add nothing that the sentence does not say."}

// Gather implements monitor.Evidence.
func (e Facts) Gather(ctx context.Context, t *monitor.Trial) (FactList, error) {
	split, err := monitor.Get(ctx, t, Claims(e))
	if err != nil {
		return FactList{}, err
	}
	if len(split.Claims) == 0 {
		return FactList{}, &monitor.MissingError{Needs: "a claim: nothing in the text can be true or false"}
	}
	var out FactList
	replies := make([]string, len(split.Claims))
	errs := make([]error, len(split.Claims))
	inTurn(ctx, t, len(split.Claims), func() bool { return false }, func(ctx context.Context, i int) {
		c := split.Claims[i]
		before := e.Candidate.Text[max(0, c.Span.Start-4*excerptBytes):c.Span.Start]
		reply, err := t.Aside(ctx, monitor.Aside{Role: "split", Index: i, Text: factsTemplate.Fill("before", strings.ToValidUTF8(before, ""), "sentence", c.Text), MaxTokens: 256})
		replies[i], errs[i] = reply.Text, err
	})
	if ctx.Err() != nil {
		return FactList{}, ctx.Err()
	}
	for i, c := range split.Claims {
		if errs[i] != nil {
			out.Err = errs[i]
			break
		}
		facts, discarded := factsOf(replies[i], e.Candidate.Text, c)
		out.Discarded += discarded
		if len(facts) == 0 {
			out.Whole++
			facts = []Fact{{Text: c.Text, Sentence: c.Span, Span: c.Span}}
		}
		out.Facts = append(out.Facts, facts...)
	}
	if len(out.Facts) == 0 {
		return out, out.Err
	}
	return out, nil
}

// maxFacts bounds the facts of one sentence.
const maxFacts = 20

// factsOf reads the list of a reply.
func factsOf(reply, whole string, c text.Claim) (facts []Fact, discarded int) {
	seen := map[string]bool{}
	for line := range strings.Lines(text.Sanitise(reply)) {
		line, ok := listItem(line)
		if !ok || line == "" || len(facts) == maxFacts {
			continue
		}
		key := text.Normalise(line)
		if key == "" || seen[key] {
			continue
		}
		seen[key] = true
		if !says(whole[:c.Span.End], c.Text, line) {
			discarded++
			continue
		}
		facts = append(facts, Fact{line, c.Span, spanOf(c, line)})
	}
	return facts, discarded
}

var itemMark = regexp.MustCompile(`^\s*(?:[-*•+]|\d{1,2}[.)])\s+`)

func listItem(line string) (string, bool) {
	m := itemMark.FindString(line)
	return strings.TrimSpace(strings.TrimPrefix(line, m)), m != ""
}

// says reports that a line paraphrases a sentence: half of its words are the
// sentence's, and no number is new.
func says(before, sentence, line string) bool {
	x := indexOf(before)
	for _, p := range text.Particulars(line) {
		if p.Kind != text.AName && !x.keys[p.Key] {
			return false
		}
	}
	return text.Rouge1(line, sentence).Precision >= 0.5
}

// spanOf finds the words that a fact shares with its sentence, by the longest
// common subsequence.
func spanOf(c text.Claim, fact string) text.Span {
	words := spansOfWords(c)
	at := common(words, c, strings.FieldsFunc(strings.ToLower(fact), notWord))
	if len(at) == 0 {
		return text.Span{Start: c.Span.End, End: c.Span.End}
	}
	return text.Span{Start: words[at[0]].Start, End: words[at[len(at)-1]].End}
}

func notWord(r rune) bool {
	return strings.ContainsRune(" \t\r\n.,;:!?\"'()[]{}*_`“”‘’–—", r)
}

// spansOfWords gives a claim's words as spans of the answer.
func spansOfWords(c text.Claim) []text.Span {
	var out []text.Span
	start := -1
	for i, r := range c.Text + " " {
		switch {
		case !notWord(r) && start < 0:
			start = i
		case notWord(r) && start >= 0:
			out = append(out, text.Span{Start: c.Span.Start + start, End: c.Span.Start + i})
			start = -1
		}
	}
	return out
}

// common gives the indexes of the words on a longest common subsequence.
func common(words []text.Span, c text.Claim, fact []string) []int {
	word := func(i int) string {
		return strings.ToLower(c.Text[words[i].Start-c.Span.Start : words[i].End-c.Span.Start])
	}
	fact = fact[:min(len(fact), 200)]
	n, m := len(words), len(fact)
	length := make([][]int, n+1)
	for i := range length {
		length[i] = make([]int, m+1)
	}
	for i := n - 1; i >= 0; i-- {
		w := word(i)
		for j := m - 1; j >= 0; j-- {
			if w == fact[j] {
				length[i][j] = 1 + length[i+1][j+1]
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	var out []int
	for i, j := 0, 0; i < n && j < m; {
		switch {
		case word(i) == fact[j]:
			out = append(out, i)
			i, j = i+1, j+1
		case length[i+1][j] >= length[i][j+1]:
			i++
		default:
			j++
		}
	}
	return out
}

// Truth is the verdict on a fact, from right to wrong.
type Truth uint8

// The verdicts. Unjudged is none: the reply could not be read, or never came.
const (
	Unjudged Truth = iota
	Correct
	HedgedCorrect
	Vague
	HedgedWrong
	Wrong
)

// String names the verdict as prompts do.
func (v Truth) String() string {
	if int(v) < len(truthNames) {
		return truthNames[v]
	}
	return "unknown"
}

var truthNames = [...]string{"unjudged", "correct", "hedged correct", "vague", "hedged wrong", "wrong"}

// Graded is a fact with its verdict and its weight.
type Graded struct {
	Fact
	Truth Truth
	Info  int // informativeness, 1 trivial … 5 crucial; 0 if unjudged
}

// GradeList is every fact of an answer, judged.
type GradeList struct {
	Facts    []Graded
	Unparsed int // facts whose verdict could not be read, asked alone too
	Err      error
}

// Grades is the evidence of the verdicts on a candidate's facts, the second step
// of rlfh-fine-grained-knowledge: against the question's context where there is
// one, else against what the model knows, each fact is correct, hedged-correct,
// vague, hedged-wrong or wrong, and trivial (1) to crucial (5).
type Grades struct {
	Candidate *monitor.Candidate
	Limit     int // claims; 0: [Limit]
}

const gradeScale = "For each give one verdict - correct, hedged correct (right, said with doubt), vague, hedged wrong (wrong, said with doubt), wrong - and how informative it is, from 1 (trivial) to 5 (crucial).\n" +
	"Reply with one line for each statement and nothing else: its number, a colon, the verdict, a comma, the informativeness."

var (
	gradeContext   = prompt.Template{Name: "grade-context", Version: 1, Text: "Reference: {passage}\nNumbered statements: {claims}\n" + material + "Judge the statements by the reference. " + gradeScale}
	gradeKnowledge = prompt.Template{Name: "grade-knowledge", Version: 1, Text: "Numbered statements: {claims}\n" + material + "Judge the statements by what you know. " + gradeScale}
)

// Gather implements monitor.Evidence.
func (e Grades) Gather(ctx context.Context, t *monitor.Trial) (GradeList, error) {
	list, err := monitor.Get(ctx, t, Facts(e))
	if err != nil {
		return GradeList{}, err
	}
	out := GradeList{Err: list.Err}
	for _, f := range list.Facts {
		out.Facts = append(out.Facts, Graded{Fact: f})
	}
	asked := make([]bool, len(out.Facts))
	for i := 0; i < len(out.Facts) && out.Err == nil; i += batchClaims {
		part := out.Facts[i:min(i+batchClaims, len(out.Facts))]
		missing, err := grade(ctx, t, part, llm.Range(0, len(part)), i)
		for k := range part {
			asked[i+k] = err == nil
		}
		for _, k := range missing {
			if err == nil && len(part) > 1 {
				_, err = grade(ctx, t, part, []int{k}, i+k)
			}
		}
		out.Err = err
	}
	if ctx.Err() != nil {
		return GradeList{}, ctx.Err()
	}
	judged := 0
	for i, f := range out.Facts {
		if f.Truth != Unjudged {
			judged++
		} else if asked[i] {
			out.Unparsed++
		}
	}
	if judged == 0 {
		if out.Err == nil {
			out.Err = &monitor.MissingError{Needs: "verdicts in reply; the model gave none that can be read"}
		}
		return out, out.Err
	}
	return out, nil
}

// grade asks for some facts in one call and returns those without a verdict.
func grade(ctx context.Context, t *monitor.Trial, facts []Graded, which []int, index int) (missing []int, err error) {
	lines := make([]string, len(which))
	for k, i := range which {
		lines[k] = strconv.Itoa(k+1) + ". " + oneLine(facts[i].Text)
	}
	list, tmpl := strings.Join(lines, "\n"), gradeKnowledge
	reference := cut(t.Question.Context)[0]
	if parts := partsFor(t.Question.Context, []text.Claim{{Text: list}}); strings.TrimSpace(t.Question.Context) != "" {
		tmpl, reference = gradeContext, ""
		for _, p := range parts {
			reference += p.text + "\n"
		}
	}
	reply, err := t.Aside(ctx, monitor.Aside{Role: "judge", Index: index, Text: tmpl.Fill("passage", reference, "claims", list), MaxTokens: 16*len(which) + 32})
	if err != nil {
		return which, err
	}
	foreign := foreignLines(reference, list)
	for line := range strings.Lines(text.Sanitise(reply.Text)) {
		if foreign[bareLine(line)] {
			continue
		}
		n, rest, ok := numberOf(strings.TrimSpace(line))
		if truth, info, read := readGrade(rest); ok && read && n >= 1 && n <= len(which) && facts[which[n-1]].Truth == Unjudged {
			facts[which[n-1]].Truth, facts[which[n-1]].Info = truth, info
		}
	}
	return slices.DeleteFunc(slices.Clone(which), func(i int) bool { return facts[i].Truth != Unjudged }), nil
}

var gradePattern = regexp.MustCompile(`(?i)^[\s*_"'(]*(hedged[ -]correct|hedged[ -]wrong|correct|vague|wrong|incorrect)[\s*_"')]*[,;:–-][^0-9\n]{0,40}([1-5])(?:\s*/\s*5)?[\s.*_)]*$`)

// readGrade reads "correct, 3".
func readGrade(s string) (Truth, int, bool) {
	m := gradePattern.FindStringSubmatch(s)
	if m == nil {
		return Unjudged, 0, false
	}
	info := int(m[2][0] - '0')
	switch strings.ReplaceAll(strings.ToLower(m[1]), "-", " ") {
	case "correct":
		return Correct, info, true
	case "hedged correct":
		return HedgedCorrect, info, true
	case "vague":
		return Vague, info, true
	case "hedged wrong":
		return HedgedWrong, info, true
	}
	return Wrong, info, true
}

// FactScore is claims/fact-score: the share of an answer's atomic facts that are
// correct, hedged or not; raw is the same. Parts are the facts, each scored
// 1, .75, .5, .25 or 0 from correct to wrong (chosen).
func FactScore() monitor.Signal {
	return monitor.Each("claims/fact-score", func(ctx context.Context, t *monitor.Trial, c *monitor.Candidate) (monitor.Reading, error) {
		g, err := monitor.Get(ctx, t, Grades{Candidate: c})
		if err == nil {
			err = g.Err
		}
		if err != nil {
			return monitor.Reading{}, err
		}
		r := monitor.Reading{Source: "asked"}
		right := 0
		for _, f := range g.Facts {
			if f.Truth == Unjudged {
				continue
			}
			r.Reads++
			if f.Truth <= HedgedCorrect {
				right++
			}
			r.Parts = append(r.Parts, monitor.Part{Text: f.Text, Span: [2]int{f.Span.Start, f.Span.End}, Score: 1 - float64(f.Truth-Correct)/4})
		}
		if g.Unparsed > 0 {
			return r, fmt.Errorf("claims: %d of %d facts have no verdict that can be read: %w", g.Unparsed, len(g.Facts), monitor.ErrMissing)
		}
		r.Score = float64(right) / float64(r.Reads)
		r.Raw = r.Score
		return r, nil
	})
}

// FactPrecision is FActScore's figure (Min et al. 2023) without its penalty for
// short texts: supported facts over supported, unsupported and irrelevant ones.
func FactPrecision(supported, unsupported, irrelevant int) (float64, error) {
	n := supported + unsupported + irrelevant
	if n == 0 {
		return 0, errors.New("claims: no facts")
	}
	return float64(supported) / float64(n), nil
}

// Rewards are what a trainer of rlfh-fine-grained-knowledge pays for a fact.
// The paper's table was not found; all values are chosen.
var truthReward = [...]float64{Unjudged: 0, Correct: 1, HedgedCorrect: 0.5, Vague: 0, HedgedWrong: -0.7, Wrong: -1}

// Reward is the reward of a fact: by its truth, and for true ones
// ±.25 by how informative it is.
func (g Graded) Reward() float64 {
	r := truthReward[g.Truth]
	if g.Truth == Correct || g.Truth == HedgedCorrect {
		r += 0.25 * float64(g.Info-3) / 2
	}
	return r
}

// Bonus is the reward of the whole answer for saying much that is true:
// ln(1 + true facts)/4. Without it, saying nothing is safest.
func Bonus(facts []Graded) float64 {
	n := 0
	for _, f := range facts {
		if f.Truth == Correct || f.Truth == HedgedCorrect {
			n++
		}
	}
	return math.Log1p(float64(n)) / 4
}

// TokenRewards puts the reward of each fact on the last token of its span that
// no fact before it has taken, and says which fact each token belongs to, -1 for
// none: every token belongs to at most one. Tokens are found by their byte
// offsets, so tokens joined must be the answer; a fact all of whose tokens are
// taken goes to the end of its sentence, or without free token there is
// left out and counted in lost.
func TokenRewards(answer string, tokens []llm.Token, facts []Graded) (rewards []float64, owner []int, lost int, err error) {
	ends := make([]int, len(tokens))
	at := 0
	for i, tok := range tokens {
		if !strings.HasPrefix(answer[at:], tok.Text) {
			return nil, nil, 0, fmt.Errorf("claims: token %d is %q, which the answer does not have at byte %d", i, tok.Text, at)
		}
		at += len(tok.Text)
		ends[i] = at
	}
	rewards, owner = make([]float64, len(tokens)), make([]int, len(tokens))
	for i := range owner {
		owner[i] = -1
	}
	for k, f := range facts {
		last := claim(ends, owner, f.Span, k)
		if last < 0 {
			last = lastFree(ends, owner, f.Sentence)
			if last < 0 {
				lost++
				continue
			}
			owner[last] = k
		}
		rewards[last] += f.Reward()
	}
	return rewards, owner, lost, nil
}

// claim gives the free tokens inside a span to fact k and returns the last.
func claim(ends, owner []int, p text.Span, k int) int {
	last := -1
	for i := range ends {
		start := 0
		if i > 0 {
			start = ends[i-1]
		}
		if start < p.End && ends[i] > p.Start && owner[i] < 0 {
			owner[i], last = k, i
		}
	}
	return last
}

func lastFree(ends, owner []int, p text.Span) int {
	for i := range slices.Backward(ends) {
		start := 0
		if i > 0 {
			start = ends[i-1]
		}
		if start < p.End && ends[i] > p.Start && owner[i] < 0 {
			return i
		}
	}
	return -1
}
