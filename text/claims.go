package text

import (
	"strings"
	"unicode/utf8"
)

// PieceKind says what a sentence does.
type PieceKind uint8

// The kinds of piece. Only a statement can be true or false.
const (
	Statement PieceKind = iota
	Asking              // a question
	Heading             // a heading or a label that ends with a colon
	Hedge               // a refusal, a doubt or a courtesy with nothing else in it
	Code                // a fenced block, kept whole
	Mark                // rules, table lines and other text without a word
)

// String names the kind.
func (k PieceKind) String() string {
	if int(k) < len(pieceNames) {
		return pieceNames[k]
	}
	return "unknown"
}

var pieceNames = [...]string{"statement", "question", "heading", "hedge", "code", "mark"}

// Piece is a sentence of a text and what it does. Span is the bare sentence: no
// list marker, no white space around. Whole is what would have to go if the
// sentence went: marker, trailing space and all; the wholes cover the text.
type Piece struct {
	Kind        PieceKind
	Span, Whole Span
}

// Claim is a sentence that says something that can be true or false.
type Claim struct {
	Text string
	Span Span // in the text that it is of
}

// maxClaim bounds a claim in bytes: longer ones, which no full stop has ended,
// are cut at a semicolon or a blank.
const maxClaim = 1000

// Pieces splits a text into sentences ([Sentences]) and tells what each does.
// It takes time linear in the text.
func Pieces(s string) []Piece {
	var out []Piece
	for _, p := range Sentences(s) {
		if isFence(s, p) {
			out = append(out, Piece{Code, Trim(s, p), p})
			continue
		}
		for p.Len() > maxClaim {
			cut := cutAt(s, p)
			out = append(out, pieceOf(s, Span{p.Start, cut}))
			p.Start = cut
		}
		out = append(out, pieceOf(s, p))
	}
	return out
}

// Claims gives the statements of a text, at most limit of them (0: all), and
// how many it left out for the limit.
func Claims(s string, limit int) (claims []Claim, left int) {
	for _, p := range Pieces(s) {
		switch {
		case p.Kind != Statement:
		case limit > 0 && len(claims) == limit:
			left++
		default:
			claims = append(claims, Claim{p.Span.In(s), p.Span})
		}
	}
	return claims, left
}

func isFence(s string, p Span) bool {
	for i := p.Start; i < p.End; i = i + 1 {
		if atLineStart(s, i) && fenceAt(s, i) != "" {
			return true
		}
		if !isSpace(s[i]) {
			return false
		}
	}
	return false
}

// cutAt finds where to cut a span that is too long: behind the last semicolon in
// reach, else the last blank, else between two characters.
func cutAt(s string, p Span) int {
	reach := p.Start + maxClaim
	window := s[p.Start:reach]
	for _, sep := range [...]string{"; ", "\n", ", ", " "} {
		if i := strings.LastIndex(window, sep); i > maxClaim/4 {
			return p.Start + i + len(sep)
		}
	}
	for !utf8.RuneStart(s[reach]) && reach > p.Start+maxClaim-utf8.UTFMax {
		reach--
	}
	return reach
}

func pieceOf(s string, whole Span) Piece {
	p := Trim(s, whole)
	p.Start += marker(p.In(s))
	p = Trim(s, p)
	return Piece{kindOf(p.In(s), s[whole.Start:p.Start]), p, whole}
}

// marker is the length of the list marker or quotation mark of a line at its start.
func marker(s string) int {
	if s == "" || !opensBlock(s) || s[0] == '#' || s[0] == '|' {
		return 0
	}
	i := strings.IndexByte(s, ' ')
	if s[0] == '>' {
		i = 0
	}
	if i < 0 {
		return 0
	}
	return i + 1
}

// kindOf tells what a bare sentence does; before is what stood in front of it.
func kindOf(s, before string) PieceKind {
	if !strings.ContainsFunc(s, wordlike) {
		return Mark
	}
	body := strings.TrimRight(s, ` "')]}*_”’»」』）`)
	last, _ := utf8.DecodeLastRuneInString(body)
	switch {
	case s[0] == '#', last == ':', last == '：', boldLine(s) && len(s) < 120 && !strings.Contains(before, "- "):
		return Heading
	case last == '?', last == '？', last == '؟':
		return Asking
	case len(s) <= refusalReach && hedgeOnly(s):
		return Hedge
	}
	return Statement
}

func wordlike(r rune) bool {
	return r < utf8.RuneSelf && isAlnum(byte(r)) || r >= utf8.RuneSelf && !strings.ContainsRune("–—…•“”‘’«»│┃║═─━·×÷−", r)
}

func boldLine(s string) bool {
	inner, ok := strings.CutPrefix(s, "**")
	inner, closed := strings.CutSuffix(inner, "**")
	return ok && closed && inner != "" && !strings.Contains(inner, "**") && !strings.HasSuffix(inner, ".")
}

// hedgeOnly reports that a sentence declines, doubts or is polite, and says
// nothing else.
func hedgeOnly(s string) bool {
	if len(s) > 200 || len(s) < 2 || s[0] < utf8.RuneSelf && !isLetter(s[0]) {
		return false
	}
	low := strings.Trim(asciiLower(strings.ReplaceAll(s, "’", "'")), " .!,;*_\"'")
	if _, ok := hedgeWhole[low]; ok {
		return true
	}
	if opensHedge(low) {
		return !claimFollows(low)
	}
	if !mayRefuse(low) {
		return false
	}
	_, refused := Refusal(s)
	return refused && !claimFollows(low)
}

// claimFollows reports a clause behind a doubt that says something after all.
func claimFollows(low string) bool {
	for _, turn := range [...]string{" but ", " however, ", " although ", ": ", " because "} {
		if _, rest, ok := strings.Cut(low, turn); ok && strings.Count(rest, " ") >= 2 && !offersHelp("but "+rest) {
			return true
		}
	}
	return false
}

func opensHedge(low string) bool {
	for _, h := range hedgeOpenings {
		if strings.HasPrefix(low, h) {
			return true
		}
	}
	return false
}

// mayRefuse is a cheap look at whether a sentence can be a refusal at all: those
// are said in the first person, or are sorry.
func mayRefuse(low string) bool {
	for _, w := range [...]string{"i ", "i'", "as a", "sorry", "my ", "unfortunately", "we ", "apolog", "there is no", "it is not", "it's not", "ich ", "als ", "leider", "je ", "désolé", "no ", "lo siento", "non ", "mi dispiace", "desculp", "eu ", "ik ", "es tut"} {
		if strings.HasPrefix(low, w) {
			return true
		}
	}
	return false
}

// hedgeWhole are sentences that say nothing.
var hedgeWhole = setOf("sure", "of course", "certainly", "absolutely", "yes", "no", "okay", "ok", "maybe", "perhaps", "possibly", "probably", "great question",
	"good question", "thank you", "thanks", "you're welcome", "you are welcome", "it depends", "that depends", "who knows", "hello", "hi", "unknown", "n/a", "not sure", "no problem",
	"i think so", "i don't think so", "i believe so", "i guess so", "hope this helps", "opinions differ", "it is hard to say", "it's hard to say", "hard to say", "time will tell", "noted", "understood")

// hedgeOpenings open sentences that are courtesy or doubt whatever follows, but
// for a clause that turns ("but", a colon).
var hedgeOpenings = [...]string{
	"i hope this", "i hope that helps", "hope this", "let me know", "feel free", "please let me know", "please note that i", "please note that this may", "if you have any", "if you need",
	"is there anything", "i'd be happy", "i would be happy", "i'm happy to", "happy to help", "i could be wrong", "i may be wrong", "i might be wrong", "i'm not sure", "i am not sure",
	"i'm not certain", "i am not certain", "i'm not entirely sure", "i'm unsure", "i don't know", "i do not know", "i can't be sure", "i cannot be sure", "i have no idea", "don't quote me", "take this with a grain",
	"please verify", "you should verify", "please check", "as an ai", "as a language model", "as a large language model", "thank you for", "thanks for", "great question", "that's a great question", "that is a great question",
	"sure, here", "sure! here", "here is a", "here's a", "here are", "here is the", "here's the", "certainly! here", "to the best of my knowledge",
}

func setOf(words ...string) map[string]struct{} {
	m := make(map[string]struct{}, len(words))
	for _, w := range words {
		m[w] = struct{}{}
	}
	return m
}
