package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// letters returns the letters that count as options: those given, else A to E.
func (r *reader) isOption(c byte) bool {
	if len(r.task.Options) == 0 {
		return c >= 'A' && c <= 'E'
	}
	for _, o := range r.task.Options {
		if len(o.Letter) == 1 && o.Letter[0]&^0x20 == c {
			return true
		}
	}
	return false
}

// letter is an option letter at a position of the source.
type letter struct {
	c  byte // upper case
	at int
}

func (r *reader) letterAnswer(l letter, rule Rule) Answer {
	return Answer{Kind: Letter, Text: string(l.c), Status: Parsed, Rule: rule, Span: Span{l.at, l.at + 1}}
}

// loneLetter reads "B", "(b)", "B.", "option B".
func (r *reader) loneLetter(p Span) (letter, bool) {
	s := r.low[p.Start:p.End]
	for _, w := range [...]string{"the ", "option ", "choice ", "answer ", "letter "} {
		if strings.HasPrefix(s, w) {
			s = strings.TrimLeft(s[len(w):], " (*")
		}
	}
	s = strings.TrimRight(s, ").:* ")
	if len(s) != 1 || !isLetter(s[0]) || !r.isOption(s[0]&^0x20) {
		return letter{}, false
	}
	return letter{s[0] &^ 0x20, p.Start + strings.LastIndex(r.low[p.Start:p.End], s)}, true
}

// openingLetter reads a letter that a place opens with: "B) Lyon", "(B) Lyon",
// "B: Lyon", "B. Lyon", "B - Lyon", "b)". An upper-case letter may also stand
// before a comma or a word that cannot continue a sentence after an article.
func (r *reader) openingLetter(p Span) (letter, bool) {
	p = r.bare(p)
	s := p.In(r.src)
	low := p.In(r.low)
	at := 0
	for again := true; again; {
		again = false
		for _, w := range [...]string{"option ", "choice ", "answer ", "letter ", "the ", "correct ", "is ", "(", "[", "*", `"`, `\text{`} {
			if strings.HasPrefix(low[at:], w) {
				at += len(w)
				again = true
			}
		}
	}
	if at >= len(s) || !isLetter(s[at]) || !r.isOption(s[at]&^0x20) {
		return letter{}, false
	}
	l := letter{s[at] &^ 0x20, p.Start + at}
	rest := s[at+1:]
	if rest == "" {
		return l, true
	}
	switch c := rest[0]; {
	case c == ')' || c == ']' || c == ':' || c == '*' || c == '}' || c == '\n':
		return l, r.onlyOne(rest)
	case c == '.' && (len(rest) == 1 || !isLetter(rest[1])):
		return l, r.onlyOne(rest)
	case s[at] >= 'a': // "a dog", "b is": no
		return letter{}, false
	case c == ',' || c == ';' || strings.HasPrefix(rest, " -") || strings.HasPrefix(rest, " –") || strings.HasPrefix(rest, " —") || strings.HasPrefix(rest, " ("):
		return l, r.onlyOne(rest)
	case c == ' ' && (l.c != 'A' || at > 0):
		w, _ := wordAt(rest, 1)
		switch strings.ToLower(w) {
		case "because", "since", "is", "as", "which", "for":
			return l, true
		}
	}
	return letter{}, false
}

// onlyOne reports that no other letter is offered beside the first: "A and B",
// "A or C", "A, B".
func (r *reader) onlyOne(rest string) bool {
	low := asciiLower(rest[:min(len(rest), 24)])
	low = strings.TrimLeft(low, ")].:*, ")
	for _, w := range [...]string{"and ", "or ", "& ", "/ "} {
		if strings.HasPrefix(low, w) {
			low = strings.TrimLeft(low[len(w):], " (*")
			break
		}
	}
	if low == "" || !isLetter(low[0]) || !r.isOption(low[0]&^0x20) {
		return true
	}
	// a letter again: another option if it stands alone
	return len(low) > 1 && (isAlnum(low[1]) || low[1] == ' ' || low[1] == '\'')
}

// letterIn reads the letter of a declared place.
func (r *reader) letterIn(p Span, rule Rule) (Answer, bool) {
	b := r.bare(p)
	if l, ok := r.loneLetter(b); ok {
		return r.letterAnswer(l, rule), true
	}
	if l, ok := r.openingLetter(p); ok {
		return r.letterAnswer(l, rule), true
	}
	return r.lastLetter(p, rule)
}

// optionNamed reads an option by its text: the whole place if exact, else the
// only option that it mentions.
func (r *reader) optionNamed(p Span, rule Rule, exact bool) (Answer, bool) {
	if r.task.Kind != Letter || len(r.task.Options) == 0 {
		return Answer{}, false
	}
	words := normWords(p.In(r.src))
	var named *Option
	longest := 0
	for i := range r.task.Options {
		o := &r.task.Options[i]
		if len(o.Letter) != 1 {
			continue
		}
		w := normWords(o.Text)
		if len(w) == 0 {
			continue
		}
		if exact {
			if len(w) == len(words) && containsWords(words, w) {
				return r.optionAnswer(*o, rule, p), true
			}
			continue
		}
		at := wordsIndex(words, w)
		if at < 0 || at > 0 && negates(words[at-1]) {
			continue
		}
		switch {
		case named == nil || len(w) > longest && containsWords(w, normWords(named.Text)):
			named, longest = o, len(w)
		case !containsWords(normWords(named.Text), w):
			return Answer{}, false // two options
		}
	}
	if named == nil {
		return Answer{}, false
	}
	return r.optionAnswer(*named, RuleOption, p), true
}

func (r *reader) optionAnswer(o Option, rule Rule, p Span) Answer {
	return Answer{Kind: Letter, Text: strings.ToUpper(o.Letter), Status: Parsed, Rule: rule, Span: Trim(r.src, p)}
}

func wordsIndex(words, want []string) int {
	for i := 0; i+len(want) <= len(words); i++ {
		if containsWords(words[i:i+len(want)], want) {
			return i
		}
	}
	return -1
}

// ownLetter reads a reply without a declared answer: the letter that it opens
// with, unless it lists the options; the only option named by its text; the
// last letter that stands alone.
func (r *reader) ownLetter() (Answer, bool) {
	if p, listed := r.afterListing(); listed {
		r.body = p
		if p.Len() == 0 {
			return Answer{}, false
		}
	}
	line := r.lineFrom(r.body.Start)
	if l, ok := r.openingLetter(line); ok {
		return r.letterAnswer(l, RuleFirst), true
	}
	if a, ok := r.optionNamed(Span{r.body.Start, r.body.Start + firstSentence(r.body.In(r.src))}, RuleOption, false); ok {
		return a, true
	}
	if a, ok := r.optionNamed(r.body, RuleOption, false); ok {
		return a, true
	}
	return r.lastLetter(r.body, RuleLast)
}

// afterListing returns what follows a listing of the options, as far as the
// reply repeats two or more of them line by line.
func (r *reader) afterListing() (Span, bool) {
	n, end := 0, r.body.Start
	var seen [26]bool
	for i := r.body.Start; i < r.body.End; {
		line := r.lineFrom(i)
		s := strings.TrimLeft(line.In(r.src), " \t*(-")
		if len(s) > 2 && isLetter(s[0]) && r.isOption(s[0]&^0x20) && (s[1] == ')' || s[1] == '.' || s[1] == ':') {
			if seen[s[0]&^0x20-'A'] {
				break
			}
			seen[s[0]&^0x20-'A'] = true
			n++
			end = min(line.End+1, r.body.End)
		} else if n > 0 && !isBlank(s) {
			break
		}
		i = line.End + 1
	}
	return Trim(r.src, Span{end, r.body.End}), n >= 2
}

// lastLetter reads the last upper-case option letter that is a token of its
// own. "A" also needs a sign that it is no article. Negated letters and those of
// a listing such as "A or B" do not count.
func (r *reader) lastLetter(p Span, rule Rule) (Answer, bool) {
	s := p.In(r.src)
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] < 'A' || s[i] > 'Z' || !r.isOption(s[i]) {
			continue
		}
		before, bw := utf8.DecodeLastRuneInString(s[:i])
		after, _ := utf8.DecodeRuneInString(s[i+1:])
		if unicode.IsLetter(before) || unicode.IsDigit(before) || unicode.IsLetter(after) || unicode.IsDigit(after) || strings.ContainsRune("'’.-+#&", before) && i > 0 || strings.ContainsRune("'’-+#&", after) && i+1 < len(s) {
			continue
		}
		if after == '.' && i+2 < len(s) && isAlnum(s[i+2]) { // B.C.
			continue
		}
		prev := lastWord(s[:max(0, i-bw)])
		switch prev {
		case "not", "vitamin", "hepatitis", "plan", "grade", "type", "than", "neither", "nor":
			continue
		case "or", "and", "either", "both":
			if r.pair(s, i) {
				return Answer{}, false
			}
		}
		if s[i] == 'A' || s[i] == 'I' {
			open := i == 0 || before == '(' || before == '"' || before == '*' || before == '['
			shut := i+1 == len(s) || strings.ContainsRune(").,;:!?\"*]\n", after)
			named := prev == "option" || prev == "choice" || prev == "answer" || prev == "is" || prev == "choose" || prev == "letter" || prev == "pick"
			if !shut && !(named && prev != "is") && !(open && before != 0 && i > 0) {
				continue
			}
		}
		return r.letterAnswer(letter{s[i], p.Start + i}, rule), true
	}
	return Answer{}, false
}

// pair reports whether the letter at i ends "X or Y".
func (r *reader) pair(s string, i int) bool {
	t := strings.TrimRight(s[:i], " (*")
	t = strings.TrimRight(strings.TrimSuffix(strings.TrimSuffix(t, "or"), "and"), " ,)*")
	if t == "" {
		return false
	}
	return r.isOption(t[len(t)-1]) && (len(t) == 1 || !isAlnum(t[len(t)-2]))
}

// lastWord returns the last word of s, lowered.
func lastWord(s string) string {
	s = strings.TrimRight(s, " \t*(:\"")
	i := len(s)
	for i > 0 && isLetter(s[i-1]) && len(s)-i < 16 {
		i--
	}
	return asciiLower(s[i:])
}

func boolAnswer(v bool, rule Rule, p Span) Answer {
	a := Answer{Kind: Bool, Text: "no", Status: Parsed, Rule: rule, Span: p}
	if v {
		a.Text = "yes"
	}
	return a
}

// ReadBool reads a verdict: yes or no, true or false, correct or incorrect. ok
// is false if the reply takes neither side, or both.
func ReadBool(reply string) (value, ok bool) {
	a := Extract(Bool, reply)
	return a.Text == "yes", a.Status == Parsed
}

// boolWord reads one word as a verdict, or a verdict of a few words.
func boolWord(s string) (value, ok bool) {
	if len(s) > 32 {
		return false, false
	}
	switch strings.ToLower(strings.Trim(s, " .,!*_\"'()")) {
	case "yes", "true", "correct", "right", "yeah", "yep", "yup", "affirmative", "indeed", "y", "t",
		"that is correct", "that's correct", "it is true", "it's true", "that is true", "that's true", "this is true", "this is correct", "it is correct",
		"completely correct", "mostly correct", "absolutely", "certainly", "of course", "definitely", "ja", "wahr", "richtig", "oui", "vrai", "sí", "si", "verdadero", "cierto", "sì", "vero", "sim", "verdadeiro", "waar", "да", "是", "对", "はい":
		return true, true
	case "no", "false", "incorrect", "wrong", "nope", "nah", "negative", "n", "f", "not true", "not correct", "untrue", "not really", "not at all",
		"that is incorrect", "that's incorrect", "it is false", "it's false", "that is false", "that's false", "this is false", "this is incorrect", "it is not", "it is not true", "it is incorrect", "that is not correct", "that is not true",
		"nein", "falsch", "unwahr", "non", "faux", "falso", "não", "nee", "onwaar", "нет", "不", "不是", "否", "いいえ":
		return false, true
	}
	return false, false
}

// boolIn reads the verdict of a declared place: the word it opens with, else
// its only verdict.
func (r *reader) boolIn(p Span, rule Rule) (Answer, bool) {
	p = r.bare(p)
	if v, ok := boolWord(p.In(r.src)); ok {
		return boolAnswer(v, rule, p), true
	}
	if v, span, ok := r.openingBool(p); ok {
		return boolAnswer(v, rule, span), true
	}
	return r.onlyBool(p, rule)
}

// openingBool reads the verdict that a place opens with: "Yes, …", "False. …".
// "No one", "no doubt", "Right now" and "True or false?" open with none.
func (r *reader) openingBool(p Span) (value bool, at Span, ok bool) {
	p = r.bare(p)
	s := p.In(r.src)
	end := strings.IndexFunc(s, func(c rune) bool { return !unicode.IsLetter(c) })
	if end < 0 {
		end = len(s)
	}
	v, ok := boolWord(s[:end])
	if !ok || end == 1 && len(s) > 1 && s[end] != '.' && s[end] != ')' {
		return false, Span{}, false
	}
	rest := strings.TrimLeft(s[end:], "*_\"'")
	word := asciiLower(s[:end])
	if r.bothSides(rest) {
		return false, Span{}, false
	}
	if rest == "" || !isSpace(rest[0]) || rest[0] == '\n' {
		if strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "/") {
			return false, Span{}, false // "no-one", "Yes/No"
		}
		return v, Span{p.Start, p.Start + end}, true
	}
	next := lastWord(rest[:min(len(rest), 1+wordLen(rest[1:]))])
	switch word {
	case "yes", "yeah", "false", "incorrect", "ja", "nein", "oui", "sí", "sim", "não":
		return v, Span{p.Start, p.Start + end}, true
	case "true", "correct", "wrong":
		return v, Span{p.Start, p.Start + end}, next == "" || next == "because" || next == "since" || next == "as" || next == "the"
	case "no":
		switch next {
		case "it", "this", "that", "the", "they", "he", "she", "because", "since", "i", "there", "you":
			return v, Span{p.Start, p.Start + end}, true
		}
	}
	return false, Span{}, false
}

// bothSides: "Yes or no", "True/False", "correct and incorrect".
func (r *reader) bothSides(rest string) bool {
	t := asciiLower(strings.TrimLeft(rest[:min(len(rest), 24)], " /"))
	slash := strings.HasPrefix(strings.TrimLeft(rest, " "), "/")
	for _, w := range [...]string{"or ", "and "} {
		if u, ok := strings.CutPrefix(t, w); ok {
			t, slash = u, true
		}
	}
	if !slash {
		return false
	}
	_, ok := boolWord(t[:wordLen(t)])
	return ok
}

func wordLen(s string) int {
	_, n := wordAt(s, 0)
	return n
}

// onlyBool reads the one side that a place takes; both sides are none.
func (r *reader) onlyBool(p Span, rule Rule) (Answer, bool) {
	low := p.In(r.low)
	var found Answer
	for i := 0; i < len(low); {
		w, end := wordAt(low, i)
		if w == "" {
			i++
			continue
		}
		v, ok := false, false
		switch w {
		case "true", "correct", "yes":
			v, ok = true, true
		case "false", "incorrect", "untrue":
			v, ok = false, true
		case "no":
			// a verdict only where punctuation sets it off: not "no doubt"
			ok = end == len(low) || strings.IndexByte(".,!;\n\"*", low[end]) >= 0
		}
		if ok && !letterBefore(low, i) && !letterAfter(low, end) {
			if w != "no" && w != "yes" && negated(low[:i]) {
				v = !v
			}
			a := boolAnswer(v, rule, Span{p.Start + i, p.Start + end})
			if found.Status == Parsed && found.Text != a.Text {
				return Answer{}, false
			}
			found = a
		}
		i = end
	}
	return found, found.Status == Parsed
}

// negated reports whether the text ends with a negation: "not", "isn't", "not
// entirely", "not at all".
func negated(low string) bool {
	for range 3 {
		w := lastWord(low)
		switch w {
		case "not", "never", "t": // the t of isn't
			return w != "t" || strings.HasSuffix(strings.TrimRight(low, " "), "n't") || strings.HasSuffix(strings.TrimRight(low, " "), "n’t")
		case "entirely", "completely", "quite", "necessarily", "strictly", "factually", "a", "the", "really", "at", "all", "very", "so", "that":
			low = strings.TrimRight(low, " *")
			low = low[:len(low)-len(w)]
			continue
		}
		return false
	}
	return false
}

// ownBool reads a reply without a declared verdict: the word that it opens
// with, else the verdict of its last sentence, else the only one of all.
func (r *reader) ownBool() (Answer, bool) {
	if v, at, ok := r.openingBool(r.body); ok {
		return boolAnswer(v, RuleFirst, at), true
	}
	spans := Sentences(r.body.In(r.src))
	for i := len(spans) - 1; i >= 0; i-- {
		p := Span{r.body.Start + spans[i].Start, r.body.Start + spans[i].End}
		if strings.HasSuffix(strings.TrimSpace(p.In(r.src)), "?") || r.copied(p.In(r.src)) {
			continue
		}
		if v, at, ok := r.openingBool(p); ok {
			return boolAnswer(v, RuleLast, at), true
		}
		if i == len(spans)-1 {
			if a, ok := r.onlyBool(p, RuleLast); ok {
				return a, true
			}
		}
	}
	if strings.Contains(r.body.In(r.src), "?") {
		return Answer{}, false
	}
	return r.onlyBool(r.body, RuleLast)
}

// labelIn reads the label of a declared place: the one it opens with or, if
// only one is mentioned, that.
func (r *reader) labelIn(p Span, rule Rule) (Answer, bool) {
	p = r.bare(p)
	first, _, n := r.labels(p, rule)
	if n == 0 || n > 1 && first.Span.Start != p.Start {
		return Answer{}, false
	}
	return first, true
}

// ownLabel reads the last label of the last sentence that has one, unless that
// sentence has several.
func (r *reader) ownLabel() (Answer, bool) {
	if first, _, n := r.labels(r.body, RuleLast); n <= 1 {
		return first, n == 1
	}
	spans := Sentences(r.body.In(r.src))
	for i := len(spans) - 1; i >= 0; i-- {
		p := Span{r.body.Start + spans[i].Start, r.body.Start + spans[i].End}
		if r.copied(p.In(r.src)) {
			continue
		}
		if _, last, n := r.labels(p, RuleLast); n > 0 {
			return last, n == 1
		}
	}
	return Answer{}, false
}

// labels finds the first and the last label mentioned in p, negations left out,
// and the number of different ones. At one position the longest label counts.
func (r *reader) labels(p Span, rule Rule) (first, last Answer, different int) {
	low := p.In(r.low)
	var seen []string
	for i := 0; i < len(low); i++ {
		if i > 0 && letterBefore(low, i) {
			continue
		}
		best := ""
		for _, l := range r.task.Labels {
			if len(l) > len(best) && len(l) <= len(low)-i && strings.EqualFold(low[i:i+len(l)], l) && !letterAfter(low, i+len(l)) {
				best = l
			}
		}
		if best == "" {
			continue
		}
		if !negated(low[:i]) {
			last = Answer{Kind: Label, Text: best, Status: Parsed, Rule: rule, Span: Span{p.Start + i, p.Start + i + len(best)}}
			if len(seen) == 0 {
				first = last
			}
			if !contains(seen, best) {
				seen = append(seen, best)
			}
		}
		i += len(best) - 1
	}
	return first, last, len(seen)
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
