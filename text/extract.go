package text

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Extract reads the answer from a reply. It looks, in this order, at the last
// line that declares one ("Answer: …", "#### …"), the last \boxed{…}, the last
// "the answer is …", and then at what the kind of answer offers by itself. A
// refusal stands where no declared answer contradicts it.
//
// The reply is first cut down to the model's own turn: hidden reasoning
// (<think>…</think>), end-of-turn marks, an echo of the prompt and invented
// further questions are left out. Text copied from the task's question is not
// taken for the answer.
func (t Task) Extract(reply string) Answer {
	r := newReader(t, reply)
	if r.body.Len() == 0 {
		return t.unparsed()
	}
	if a, ok := r.declared(); ok {
		return a
	}
	if a, ok := r.boxed(); ok {
		return a
	}
	refusal, refused := Refusal(r.body.In(r.src))
	if refused && !strings.HasPrefix(refusal, "en: the answer") {
		// "The answer is unknown" is the one refusal with an answer's phrase.
		if a, ok := r.phrase(); ok && a.Status == Parsed && !hard(refusal) {
			return a
		}
	} else if a, ok := r.phrase(); ok {
		return a
	}
	if refused {
		if a, ok := r.optionNamed(r.body, RuleWhole, true); ok { // "Unknown" may be an option
			return a
		}
		return Answer{Kind: t.Kind, Status: Refused, Rule: RuleFirst, Span: Trim(r.src, r.body)}
	}
	if a, ok := r.own(); ok {
		return a
	}
	return t.unparsed()
}

func (t Task) unparsed() Answer { return Answer{Kind: t.Kind} }

// take reads a short answer, such as an accepted one, that is not a reply.
func (t Task) take(s string) Answer {
	if t.Kind == Free {
		if isBlank(s) {
			return t.unparsed()
		}
		p := Trim(s, Span{0, len(s)})
		return Answer{Kind: Free, Text: p.In(s), Status: Parsed, Rule: RuleWhole, Span: p}
	}
	r := reader{task: t, src: s, low: asciiLower(s), body: Span{0, len(s)}}
	if a, ok := r.value(r.body, RuleWhole); ok {
		return a
	}
	if a, ok := r.own(); ok {
		return a
	}
	return t.unparsed()
}

// hard reports whether a refusal declines rather than doubts.
func hard(rule string) bool {
	_, text, _ := strings.Cut(rule, ": ")
	for _, p := range refusals {
		if p.text == text {
			return !p.doubt
		}
	}
	return false
}

// reader is a reply under extraction. Everything is found as a span of src, so
// that an answer can be traced to the tokens that spelled it.
type reader struct {
	task Task
	src  string
	low  string // src with A–Z lowered: same offsets
	body Span   // the model's own turn

	asked    []string // words of the question, folded on first use
	want     want     // what it asks for, read on first use
	wantRead bool
}

func newReader(t Task, reply string) *reader {
	r := &reader{task: t, src: reply, low: asciiLower(reply), body: Span{0, len(reply)}}
	r.skipReasoning()
	r.cutAtMarks()
	r.skipEcho()
	r.cutAtNextTurn()
	r.body = Trim(r.src, r.body)
	return r
}

// skipReasoning moves behind hidden reasoning; reasoning that never ends leaves
// no answer.
func (r *reader) skipReasoning() {
	for _, tag := range [...]string{"think", "thinking", "reasoning"} {
		if i := strings.LastIndex(r.low, "</"+tag+">"); i >= 0 {
			r.body.Start = max(r.body.Start, i+len(tag)+3)
		} else if strings.HasPrefix(strings.TrimSpace(r.low), "<"+tag+">") {
			r.body.Start = r.body.End
		}
	}
}

// cutAtMarks ends the body at the first end-of-turn mark of any model.
func (r *reader) cutAtMarks() {
	r.body.Start += len(r.body.In(r.low)) - len(strings.TrimLeft(r.body.In(r.low), " \n\t"))
	for _, m := range [...]string{"<|im_start|>assistant", "<|assistant|>", "<start_of_turn>model", "<|start_header_id|>assistant<|end_header_id|>"} {
		if strings.HasPrefix(r.body.In(r.low), m) {
			r.body.Start += len(m)
		}
	}
	body := r.body.In(r.low)
	if strings.IndexByte(body, '<') < 0 && strings.IndexByte(body, '[') < 0 {
		return
	}
	for _, m := range [...]string{"<|im_end|>", "<|im_start|>", "<|eot_id|>", "<|end|>", "<|end_of_text|>", "<|endoftext|>", "<|user|>", "<|assistant|>", "<|start_header_id|>", "</s>", "<eos>", "<end_of_turn>", "<start_of_turn>", "[inst]", "[/inst]"} {
		if i := strings.Index(r.body.In(r.low), m); i >= 0 {
			r.body.End = r.body.Start + i
		}
	}
}

var (
	// A line that opens a turn of the prompt's own format.
	turnLine = regexp.MustCompile(`^[\s*_#>-]*(?:question|q|user|human|instruction|problem|input)(?: ?\d+)?[*_]*[ \t]*[:：]`)
	// A line that declares an answer, the same for the letter A used as label,
	// and the mark of GSM8K.
	answerLine = regexp.MustCompile(`^[ \t*_#>"'•-]*(?:(?:so|thus|therefore|hence),? )?(?:(?:the|my|your|final|correct|short|best|right|full) )*` +
		`(?:answer|answers|ans|result|antwort|endergebnis|ergebnis|réponse|respuesta|risposta|resposta|antwoord|ответ|答案|回答|答え)` +
		`(?: (?:is|finale|final|correcte|correcta|\d+))?[*_ \t]*(?:\([^)\n]*\))?[*_ \t]*[:：=][ \t*_]*`)
	aLine    = regexp.MustCompile(`^[ \t*_]*a[*_]*[ \t]*[:：][ \t*_]*`)
	hashLine = regexp.MustCompile(`^[ \t]*####[ \t]*`)
)

// labelReach bounds, in bytes, how far into a line its label may reach.
const labelReach = 96

// labelLen returns the length of the label that a line opens with, 0 if none.
func labelLen(line string, res ...*regexp.Regexp) int {
	line = line[:min(len(line), labelReach)]
	if !strings.ContainsAny(line, ":=：#") {
		return 0
	}
	for _, re := range res {
		if m := re.FindStringIndex(line); m != nil {
			return m[1]
		}
	}
	return 0
}

// skipEcho moves behind a repeated prompt: its label "Question: …" up to the
// first "Answer:", or the question itself.
func (r *reader) skipEcho() {
	body := r.body.In(r.low)
	for _, role := range [...]string{"assistant:", "assistant\n", "model\n", "ai:", "bot:"} {
		if strings.HasPrefix(body, role) {
			r.body.Start += len(role)
			body = r.body.In(r.low)
		}
	}
	if strings.HasPrefix(body, "q") || strings.HasPrefix(body, "*") || strings.HasPrefix(body, "#") {
		if labelLen(r.lineFrom(r.body.Start).In(r.low), turnLine) > 0 {
			for line := r.lineFrom(r.body.Start); ; line = r.lineFrom(line.End + 1) {
				if labelLen(line.In(r.low), answerLine, aLine) > 0 {
					r.body.Start = line.Start
					return
				}
				if line.End == r.body.End {
					break
				}
			}
			r.body.Start = r.lineFrom(r.body.Start).End
			return
		}
	}
	if q := strings.TrimSpace(r.task.Question); q != "" {
		if n := foldedPrefix(strings.TrimLeft(body, " \n\t\"'"), q); n > 0 {
			rest := strings.TrimLeft(body, " \n\t\"'")
			r.body.Start += len(body) - len(rest) + n
		}
	}
}

// foldedPrefix returns how many bytes of s (already lowered) spell q, white
// space and case aside; 0 if s does not begin with q.
func foldedPrefix(s, q string) int {
	i := 0
	for j := 0; j < len(q); {
		if isSpace(q[j]) {
			for j < len(q) && isSpace(q[j]) {
				j++
			}
			k := i
			for i < len(s) && isSpace(s[i]) {
				i++
			}
			if i == k {
				return 0
			}
			continue
		}
		c := q[j]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if i >= len(s) || s[i] != c {
			return 0
		}
		i++
		j++
	}
	return i
}

// cutAtNextTurn ends the body before a question that the model asks itself.
func (r *reader) cutAtNextTurn() {
	r.body = Trim(r.src, r.body)
	for line := r.lineFrom(r.body.Start); line.End < r.body.End; {
		line = r.lineFrom(line.End + 1)
		if labelLen(line.In(r.low), turnLine) > 0 {
			r.body.End = line.Start
			return
		}
	}
}

// declared reads the last declared line that holds an answer.
func (r *reader) declared() (Answer, bool) {
	labels := [...]*regexp.Regexp{answerLine, hashLine, aLine}
	n := len(labels)
	if r.task.Kind == Letter {
		n-- // "A: Paris" is an option there
	}
	var places []place
	for line := r.lineFrom(r.body.Start); ; line = r.lineFrom(line.End + 1) {
		if w := labelLen(line.In(r.low), labels[:n]...); w > 0 {
			places = append(places, place{at: line.Start + w, read: r.contentAt})
		}
		if line.End == r.body.End {
			break
		}
	}
	return r.last(places, RuleDeclared)
}

// contentAt returns the content of a label that ends at i: the rest of the
// line, or the next line if that is empty.
func (r *reader) contentAt(i int) Span {
	if line := r.lineFrom(i); !isBlank(strings.Trim(line.In(r.src), "*_ ")) {
		return line
	}
	end := i
	for end < r.body.End && (isSpace(r.src[end]) || r.src[end] == '*' || r.src[end] == '_') {
		end++
	}
	return r.lineFrom(end)
}

func (r *reader) lineFrom(i int) Span {
	if n := strings.IndexByte(r.src[i:r.body.End], '\n'); n >= 0 {
		return Span{i, i + n}
	}
	return Span{i, r.body.End}
}

// place is where an answer was announced; read finds its content. Most places
// are never read, so that work is put off.
type place struct {
	at   int
	read func(at int) Span
}

// Bounds on untrusted text: how many places are read, and how far into each.
const (
	maxPlaces  = 16
	placeReach = 2000
)

// last reads the places from the one furthest down upwards.
func (r *reader) last(places []place, rule Rule) (Answer, bool) {
	slices.SortFunc(places, func(a, b place) int { return b.at - a.at })
	for _, p := range places[:min(len(places), maxPlaces)] {
		span := p.read(p.at)
		if span.Len() > placeReach {
			span.End = runeStart(r.src, span.Start+placeReach)
		}
		if a, ok := r.content(span, rule); ok {
			return a, true
		}
	}
	return Answer{}, false
}

// runeStart returns the last start of a rune at or before i.
func runeStart(s string, i int) int {
	for i > 0 && i < len(s) && !utf8.RuneStart(s[i]) {
		i--
	}
	return i
}

// content reads the content of a place that was said to hold the answer.
func (r *reader) content(p Span, rule Rule) (Answer, bool) {
	p = Trim(r.src, p)
	if p.Len() == 0 {
		return Answer{}, false
	}
	if a, ok := r.optionNamed(p, rule, true); ok {
		return a, true
	}
	if _, refused := Refusal(p.In(r.src)); refused {
		return Answer{Kind: r.task.Kind, Status: Refused, Rule: rule, Span: p}, true
	}
	return r.value(p, rule)
}

// value reads the task's kind of answer from a place that holds one.
func (r *reader) value(p Span, rule Rule) (Answer, bool) {
	switch r.task.Kind {
	case Number:
		return r.numberIn(p, rule)
	case Letter:
		return r.letterIn(p, rule)
	case Bool:
		return r.boolIn(p, rule)
	case Label:
		return r.labelIn(p, rule)
	}
	return r.freeIn(p, rule)
}

// boxed reads the last \boxed{…}.
func (r *reader) boxed() (Answer, bool) {
	end := r.body.End
	for range maxPlaces {
		i := strings.LastIndex(r.src[r.body.Start:end], `boxed`)
		if i < 0 {
			return Answer{}, false
		}
		end = r.body.Start + i
		p := end + len(`boxed`)
		if p >= r.body.End || end == r.body.Start || r.src[end-1] != '\\' && r.src[end-1] != 'f' || r.src[p] != '{' {
			continue
		}
		if a, ok := r.content(Span{p + 1, closingBrace(r.src, p, r.body.End)}, RuleBoxed); ok {
			return a, true
		}
	}
	return Answer{}, false
}

// maxBox bounds the content of a box, in bytes.
const maxBox = 1000

// closingBrace returns the position of the brace that closes the one at i, or
// the end of the line if it was never closed.
func closingBrace(s string, i, end int) int {
	end = min(end, i+maxBox)
	depth := 0
	for j := i; j < end && s[j] != '\n'; j++ {
		switch s[j] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return j
			}
		}
	}
	if n := strings.IndexByte(s[i:end], '\n'); n >= 0 {
		return i + n
	}
	return end
}

// phrase reads what follows the last "the answer is", or what stands before
// "is the correct answer".
func (r *reader) phrase() (Answer, bool) {
	var places []place
	for _, noun := range [...]string{"answer", "option", "choice", "result", "antwort", "réponse", "respuesta", "risposta", "resposta", "antwoord"} {
		for i := r.body.Start; ; {
			n := strings.Index(r.low[i:r.body.End], noun)
			if n < 0 {
				break
			}
			start := i + n
			i = start + len(noun)
			if letterBefore(r.low, start) {
				continue
			}
			if at, ok := r.linked(i); ok {
				places = append(places, place{at, r.sentenceFrom})
			} else if end, ok := r.before(start); ok {
				places = append(places, place{end, r.sentenceTo})
			}
		}
	}
	return r.last(places, RulePhrase)
}

// linked returns where an answer begins whose noun ends at i: behind a verb or a
// colon in the same clause.
func (r *reader) linked(i int) (at int, ok bool) {
	clause := r.low[i:min(i+72, r.body.End)]
	clause = strings.TrimPrefix(clause, "s")
	i += len(r.low[i:min(i+72, r.body.End)]) - len(clause)
	if letterAfter(clause, 0) {
		return 0, false
	}
	end := strings.IndexAny(clause, ".!?\n")
	if end < 0 {
		end = len(clause)
	}
	at = -1
	if c := strings.IndexAny(clause[:end], ":="); c >= 0 {
		end, at = c, c+1
	}
	for _, verb := range [...]string{" is", " are", " was", " would be", " will be", " should be", " must be", " ist", " lautet", " est", " es", " è", " é"} {
		v := strings.Index(clause[:end], verb)
		if v >= 0 && v+len(verb) < len(clause) && strings.IndexByte(" :*\"", clause[v+len(verb)]) >= 0 {
			end, at = v, v+len(verb)
		}
	}
	if at < 0 {
		return 0, false
	}
	rest := strings.TrimLeft(clause[at:], " \t:*_")
	for _, w := range [...]string{"that ", "then ", "simply ", "therefore ", "definitely ", "indeed ", "clearly ", "probably ", "likely ", "most likely "} {
		rest = strings.TrimPrefix(rest, w)
	}
	if strings.HasPrefix(rest, "not ") || strings.HasPrefix(rest, "in the form") {
		return 0, false
	}
	return i + len(clause) - len(rest), true
}

// before returns the end of what stands before "is the correct answer", whose
// noun starts at i.
func (r *reader) before(i int) (end int, ok bool) {
	end = i
	for again := true; again; {
		again = false
		for _, w := range [...]string{"the ", "my ", "correct ", "right ", "final ", "best "} {
			if strings.HasSuffix(r.low[r.body.Start:end], w) {
				end -= len(w)
				again = true
			}
		}
	}
	for _, verb := range [...]string{" is ", " are ", " was ", " would be "} {
		if s, found := strings.CutSuffix(r.low[r.body.Start:end], verb); found {
			switch lastWord(s) {
			case "here", "this", "that", "it", "what", "which", "below", "following":
				return 0, false
			}
			return end - len(verb), true
		}
	}
	return 0, false
}

// sentenceFrom returns the rest of the sentence at i, within its line.
func (r *reader) sentenceFrom(i int) Span {
	line := r.lineFrom(i)
	line.End = i + firstSentence(r.src[i:runeStart(r.src, min(line.End, i+placeReach))])
	return line
}

// sentenceTo returns the beginning of the sentence that is cut off at end.
func (r *reader) sentenceTo(end int) Span {
	start := max(r.body.Start, runeStart(r.src, max(0, end-400)))
	start += lineStart(r.src[start:end], end-start)
	if spans := Sentences(r.src[start:end]); len(spans) > 0 {
		start += spans[len(spans)-1].Start
	}
	return Span{start, end}
}

// firstSentence returns the length of the first sentence of s.
func firstSentence(s string) int {
	// A short window nearly always decides, and Sentences is linear.
	if window := runeStart(s, 400); window < len(s) {
		if spans := Sentences(s[:window]); len(spans) > 1 {
			return spans[0].End
		}
	}
	if spans := Sentences(s); len(spans) > 0 {
		return spans[0].End
	}
	return len(s)
}

// own reads what the kind of answer offers where nothing declares one.
func (r *reader) own() (Answer, bool) {
	if a, ok := r.whole(); ok {
		return a, true
	}
	if r.task.Kind == Free {
		return r.sentence()
	}
	if a, ok := r.bold(); ok {
		return a, true
	}
	switch r.task.Kind {
	case Number:
		return r.lastNumber()
	case Letter:
		return r.ownLetter()
	case Bool:
		return r.ownBool()
	}
	return r.ownLabel()
}

// whole reads a reply that is an answer and nothing else.
func (r *reader) whole() (Answer, bool) {
	p := r.bare(r.body)
	if p.Len() == 0 || p.Len() > 80 {
		return Answer{}, false
	}
	s := p.In(r.src)
	switch r.task.Kind {
	case Number:
		if v, unit, ok := wholeNumber(s); ok {
			return Answer{Kind: Number, Text: s, Value: v, Unit: unit, Status: Parsed, Rule: RuleWhole, Span: p}, true
		}
	case Letter:
		if c, ok := r.loneLetter(p); ok {
			return r.letterAnswer(c, RuleWhole), true
		}
	case Bool:
		if v, ok := boolWord(s); ok {
			return boolAnswer(v, RuleWhole, p), true
		}
	case Label:
		for _, l := range r.task.Labels {
			if strings.EqualFold(l, s) {
				return Answer{Kind: Label, Text: l, Status: Parsed, Rule: RuleWhole, Span: p}, true
			}
		}
	}
	return Answer{}, false
}

// bold reads the last **emphasised** passage that is an answer by itself.
func (r *reader) bold() (Answer, bool) {
	end := r.body.End
	for range 8 {
		j := strings.LastIndex(r.src[r.body.Start:end], "**")
		if j < 0 {
			break
		}
		shut := r.body.Start + j
		i := strings.LastIndex(r.src[r.body.Start:shut], "**")
		if i < 0 {
			break
		}
		open := r.body.Start + i
		end = open
		p := Span{open + 2, shut}
		if p.Len() == 0 || p.Len() > 60 || strings.IndexByte(p.In(r.src), '\n') >= 0 {
			end = shut
			continue
		}
		inner := *r
		inner.body = p
		if a, ok := inner.whole(); ok {
			a.Rule = RuleBold
			return a, true
		}
	}
	return Answer{}, false
}

// bare narrows a span to leave out decoration at its ends: white space, quotes,
// emphasis, bullets, dollar signs of mathematics, final punctuation.
func (r *reader) bare(p Span) Span {
	p = Trim(r.src, p)
	for p.Len() > 0 {
		was := p
		s := p.In(r.src)
		if c, w := utf8.DecodeRuneInString(s); strings.ContainsRune("*_`\"'“‘«»„>#•:,;", c) || (c == '-' || c == '–' || c == '—' || c == '+') && len(s) > w && s[w] == ' ' {
			p.Start += w
		}
		if strings.HasPrefix(s, `\(`) || strings.HasPrefix(s, `\[`) {
			p.Start += 2
		}
		s = p.In(r.src)
		if c, w := utf8.DecodeLastRuneInString(s); strings.ContainsRune("*_`\"'”’»“!?,;:。…", c) || c == '.' && !abbreviated(s) {
			p.End -= w
		}
		s = p.In(r.src)
		if strings.HasSuffix(s, `\)`) || strings.HasSuffix(s, `\]`) {
			p.End -= 2
		}
		if s = p.In(r.src); len(s) >= 2 && s[0] == '$' && s[len(s)-1] == '$' || enclosed(s) {
			p.Start++
			p.End--
		}
		if p = Trim(r.src, p); p == was {
			break
		}
	}
	return p
}

// abbreviated reports whether the last full stop belongs to an acronym.
func abbreviated(s string) bool {
	if len(s) < 4 || s[len(s)-3] != '.' {
		return strings.HasSuffix(s, " Jr.") || strings.HasSuffix(s, " Sr.") || strings.HasSuffix(s, " Inc.")
	}
	return isLetter(s[len(s)-2])
}

// enclosed reports whether s is one pair of brackets around something.
func enclosed(s string) bool {
	if len(s) < 3 {
		return false
	}
	var shut byte
	switch s[0] {
	case '(':
		shut = ')'
	case '[':
		shut = ']'
	case '{':
		shut = '}'
	default:
		return false
	}
	return s[len(s)-1] == shut && strings.IndexByte(s, shut) == len(s)-1
}

// copied reports whether a passage was copied from the question.
func (r *reader) copied(s string) bool {
	if r.task.Question == "" || len(s) < 12 || len(s) > 2000 {
		return false
	}
	words := foldWords(s)
	return len(words) >= 4 && containsWords(r.question(), words)
}

// copiedLine reports whether the line of s around i was copied from the
// question, and where it ends.
func (r *reader) copiedLine(s string, i int) (end int, copied bool) {
	end = len(s)
	if nl := strings.IndexByte(s[i:], '\n'); nl >= 0 {
		end = i + nl
	}
	from := max(0, i-placeReach)
	from += lineStart(s[from:i], i-from)
	return end, r.copied(s[from:end])
}

// question returns the folded words of the question.
func (r *reader) question() []string {
	if r.asked == nil && r.task.Question != "" {
		r.asked = foldWords(r.task.Question)
	}
	return r.asked
}
