package text

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// Scale is the scale on which a confidence was asked for. It decides what a
// bare number means: "1" is 1 % on [PercentScale] and certainty on [UnitScale].
type Scale uint8

// The scales.
const (
	PercentScale Scale = iota // 0 to 100
	UnitScale                 // 0 to 1
	TenScale                  // 0 to 10
	LikertScale               // 1 to 5; 1 maps to 0 and 5 to 1
	WordScale                 // the words of [ConfidenceWords]; bare numbers mean nothing
)

func (s Scale) bounds() (low, high int64) {
	switch s {
	case UnitScale:
		return 0, 1
	case TenScale:
		return 0, 10
	case LikertScale:
		return 1, 5
	}
	return 0, 100
}

// Form is the way in which a confidence was written.
type Form string

// The forms. The last three deserve a second look, so they are told apart.
const (
	FormNumber   Form = "number"   // on the scale asked
	FormPercent  Form = "percent"  // 85 %, on any scale
	FormRatio    Form = "ratio"    // 8/10, 8 out of 10
	FormWord     Form = "word"     // very likely
	FormRange    Form = "range"    // 80–90 %: P is the midpoint
	FormBound    Form = "bound"    // over 90 %: P is the bound
	FormRescaled Form = "rescaled" // 0.85 where 0 to 100 was asked: read as a probability
)

// Confidence is a stated confidence, raw: nothing is clamped or calibrated.
type Confidence struct {
	P         float64 // in [0, 1]
	Low, High float64 // the range, where one was stated; both are P otherwise
	Form      Form
	Span      Span // where in the reply
}

// ErrNoConfidence is returned, wrapped with the reason, where a reply states no
// confidence. Such a reply is unparsed: it must not count as 0, 0.5 or 1.
var ErrNoConfidence = errors.New("no confidence stated")

var (
	confidenceLine = regexp.MustCompile(`^[ \t*_#>"'•-]*(?:(?:so|and|my|the|your|overall|final|stated|estimated) )*(?:confidence|probability|certainty|likelihood|score|rating|konfidenz|sicherheit|wahrscheinlichkeit|confiance|confianza|confidenza|fiducia|confiança|zekerheid|guess probability|p)` +
		`(?: (?:level|score|rating|in my answer|in the answer|of being correct|that it is correct|estimate|is))*[*_ \t]*(?:[(\[][^)\]\n]*[)\]])?[*_ \t]*(?:[:：=]| is )[ \t*_]*`)
	reason = regexp.MustCompile(`[,;.(]? (?:because|since|given that|as the|due to|based on)\b`)
)

// ParseConfidence reads a stated confidence ("verbalised confidence", Lin et
// al. 2022; Tian et al. 2023) from a reply.
//
// It reads the last line that is labelled with "Confidence:" or the like, else
// the last line that has a value, and there the last value. Accepted are
// numbers on the scale asked, percentages on any scale ("85%", "99,9 %"),
// ratios ("8/10", "7 out of 10"), ranges, bounds, and the words of
// [ConfidenceWords]. The scale itself, echoed ("0-100", "out of 100"), is no
// value. A value off the scale is an error, not the nearest one on it.
func ParseConfidence(reply string, scale Scale) (Confidence, error) {
	low := asciiLower(reply)
	p, labelled := confidenceRegion(reply, low, scale)
	if p.Len() == 0 {
		return Confidence{}, fmt.Errorf("text: confidence: %w in %q", ErrNoConfidence, Clip(SanitiseLine(reply), 60))
	}
	c, err := confidenceIn(reply, low, p, scale)
	if err != nil {
		where := "last line with a value"
		if labelled {
			where = "labelled line"
		}
		return Confidence{}, fmt.Errorf("text: confidence: %w: %s %q: %v", ErrNoConfidence, where, Clip(SanitiseLine(p.In(reply)), 60), err)
	}
	return c, nil
}

// confidenceRegion returns the part of a reply in which the value stands.
func confidenceRegion(src, low string, scale Scale) (p Span, labelled bool) {
	if start := labelEnd(low); start > 0 {
		p = lineSpan(low, start)
		if isBlank(strings.Trim(p.In(low), "*_ ")) { // the value is on the next line
			p = lineSpan(low, spaces(low, p.End))
		}
		p = beforeReason(low, p)
		if n := firstSentence(p.In(src)); n < p.Len() {
			if q := (Span{p.Start, p.Start + n}); hasValue(q.In(low), scale) {
				p = q
			}
		}
		return p, true
	}
	for end := len(low); end > 0; {
		start := lineStart(low, end)
		line := Span{start, end}
		end = start - 1
		if s := line.In(low); s != "" && hasValue(s, scale) && labelLen(s, answerLine) == 0 && !strings.Contains(s, "answer is") {
			return beforeReason(low, line), false
		}
	}
	return Span{}, false
}

// labelEnd returns where the last label of a confidence ends, 0 if there is none.
func labelEnd(low string) int {
	for end := len(low); end > 0; {
		start := lineStart(low, end)
		head := low[start:min(end, start+labelReach)]
		if strings.ContainsAny(head, ":=：") || strings.Contains(head, " is ") {
			if m := confidenceLine.FindStringIndex(head); m != nil {
				return start + m[1]
			}
		}
		end = start - 1
	}
	return 0
}

func lineSpan(s string, i int) Span {
	if n := strings.IndexByte(s[i:], '\n'); n >= 0 {
		return Span{i, i + n}
	}
	return Span{i, len(s)}
}

// beforeReason cuts what explains a value, so that the numbers of the
// explanation are not taken for it.
func beforeReason(low string, p Span) Span {
	if m := reason.FindStringIndex(p.In(low)); m != nil && m[0] > 0 {
		p.End = p.Start + m[0]
	}
	return p
}

func hasValue(s string, scale Scale) bool {
	if scale != WordScale || strings.Contains(s, "%") {
		if _, ok := nextNumeral(s, 0); ok {
			return true
		}
	}
	_, _, ok := lastWordOf(s)
	return ok
}

func confidenceIn(src, low string, p Span, scale Scale) (Confidence, error) {
	values := statedValues(p.In(low), scale)
	for i := range values {
		values[i].span.Start += p.Start
		values[i].span.End += p.Start
	}
	if len(values) > 0 {
		return values[len(values)-1].confidence(scale)
	}
	w, span, ok := lastWordOf(p.In(low))
	if !ok {
		return Confidence{}, errors.New("no value")
	}
	if negated(low[p.Start : p.Start+span.Start]) {
		return Confidence{}, fmt.Errorf("%q is negated", w.Word)
	}
	return Confidence{P: w.P, Low: w.P, High: w.P, Form: FormWord, Span: Span{p.Start + span.Start, p.Start + span.End}}, nil
}

// stated is a value before it is put on the scale.
type stated struct {
	low, high *big.Rat // equal but for a range
	percent   bool
	ratio     bool
	decimal   bool // written with a decimal mark
	bound     bool
	span      Span
}

// statedValues returns the values of a region in order, echoes of the scale
// left out.
func statedValues(s string, scale Scale) []stated {
	lowest, highest := scale.bounds()
	var nums []numeral
	for i := 0; len(nums) < 64; {
		n, ok := nextNumeral(s, i)
		if !ok {
			break
		}
		i = n.span.End
		if n.value() != nil {
			nums = append(nums, n)
		}
	}
	var out []stated
	for i := 0; i < len(nums); i++ {
		n := nums[i]
		v := stated{low: n.value(), percent: n.unit == "%", ratio: n.denom != "" && n.unit == "", decimal: strings.Contains(n.digits, "."), span: n.span}
		v.high = v.low
		if n.denom == "50" && n.digits == "50" {
			v.low = big.NewRat(1, 2) // fifty-fifty
			v.high = v.low
		}
		if i+1 < len(nums) {
			m := nums[i+1]
			between := strings.Trim(s[n.span.End:m.span.Start], " \t*_")
			switch {
			case between == "out of" || between == "of" && !v.percent || between == "/":
				if d := m.value(); d.Sign() > 0 {
					v.low = new(big.Rat).Quo(v.low, d)
					v.high, v.ratio, v.percent = v.low, true, false
					v.span.End = m.span.End
					i++
				}
			case isDash(between) || between == "to" || between == "and" && strings.HasSuffix(strings.TrimRight(s[:n.span.Start], " *"), "between"):
				v.high = m.value()
				v.percent = v.percent || m.unit == "%"
				v.decimal = v.decimal || strings.Contains(m.digits, ".")
				v.span.End = m.span.End
				i++
			}
		}
		if v.low != v.high && (isRat(v.low, lowest) && isRat(v.high, highest) || isRat(v.low, 0) && isRat(v.high, 100) || isRat(v.low, 0) && isRat(v.high, 1)) {
			continue // the scale, echoed
		}
		before := strings.TrimRight(s[:v.span.Start], " \t*_")
		if strings.HasSuffix(before, "out of") || strings.HasSuffix(before, "scale of") {
			continue
		}
		v.bound = bounded(before)
		out = append(out, v)
	}
	return out
}

func isDash(s string) bool { return s == "-" || s == "–" || s == "—" || s == "~" || s == "−" }

func isRat(v *big.Rat, n int64) bool { return v.IsInt() && v.Num().IsInt64() && v.Num().Int64() == n }

// bounded reports whether the words before a value make it a bound.
func bounded(before string) bool {
	for _, w := range [...]string{">", "<", "≥", "≤", "over", "above", "under", "below", "at least", "at most", "more than", "less than", "up to", "mehr als", "über", "plus de", "más de"} {
		if strings.HasSuffix(before, w) {
			return true
		}
	}
	return false
}

func (v stated) confidence(scale Scale) (Confidence, error) {
	c := Confidence{Form: FormNumber, Span: v.span}
	lowest, highest := scale.bounds()
	div := big.NewRat(highest-lowest, 1)
	off := big.NewRat(lowest, 1)
	one := big.NewRat(1, 1)
	switch {
	case v.percent:
		c.Form, div, off = FormPercent, big.NewRat(100, 1), new(big.Rat)
	case v.ratio:
		c.Form, div, off = FormRatio, one, new(big.Rat)
	case scale == WordScale:
		return Confidence{}, errors.New("a bare number where words were asked for")
	case highest > 1 && lowest == 0 && v.decimal && v.low.Sign() > 0 && v.high.Cmp(one) < 0:
		c.Form, div = FormRescaled, one
	}
	low := new(big.Rat).Quo(new(big.Rat).Sub(v.low, off), div)
	high := new(big.Rat).Quo(new(big.Rat).Sub(v.high, off), div)
	if low.Cmp(high) > 0 {
		return Confidence{}, errors.New("a range that runs backwards")
	}
	if low.Sign() < 0 || high.Cmp(one) > 0 {
		return Confidence{}, errors.New("off the scale")
	}
	c.Low, _ = low.Float64()
	c.High, _ = high.Float64()
	mid := low.Add(low, high)
	c.P, _ = mid.Quo(mid, big.NewRat(2, 1)).Float64()
	if v.low.Cmp(v.high) != 0 {
		c.Form = FormRange
	} else if v.bound {
		c.Form = FormBound
	}
	return c, nil
}

// ConfidenceWord is a phrase of the word scale and the probability it stands for.
type ConfidenceWord struct {
	Word string
	P    float64
}

// ConfidenceWords returns the word scale, surest first. The probability phrases
// are those of Intelligence Community Directive 203 (2015), each at the middle
// of its published range (likely: 55–80 %, so .675). Phrases of confidence
// ("very confident") have no published ranges; they are put on the same seven
// steps, which is our choice, as are "certain" (1) and "impossible" (0).
func ConfidenceWords() []ConfidenceWord { return slices.Clone(confidenceWords[:]) }

var confidenceWords = [...]ConfidenceWord{
	{"absolutely certain", 1}, {"completely certain", 1}, {"completely confident", 1}, {"certain", 1},
	{"almost certain", .97}, {"almost certainly", .97}, {"nearly certain", .97}, {"virtually certain", .97}, {"extremely likely", .97}, {"extremely confident", .97},
	{"very likely", .875}, {"highly likely", .875}, {"highly probable", .875}, {"very probable", .875}, {"very confident", .875}, {"highly confident", .875}, {"very high", .97}, {"high", .875}, {"very sure", .875}, {"quite sure", .875}, {"confident", .875},
	{"likely", .675}, {"probable", .675}, {"probably", .675}, {"fairly confident", .675}, {"somewhat confident", .675}, {"moderately confident", .675}, {"fairly sure", .675}, {"fairly likely", .675},
	{"roughly even chance", .5}, {"roughly even odds", .5}, {"about even", .5}, {"even chance", .5}, {"fifty-fifty", .5}, {"medium", .5}, {"moderate", .5},
	{"unlikely", .325}, {"improbable", .325}, {"probably not", .325}, {"not likely", .325}, {"not very confident", .325}, {"not confident", .325}, {"low", .125}, {"not very likely", .325},
	{"very unlikely", .125}, {"highly unlikely", .125}, {"highly improbable", .125}, {"very improbable", .125}, {"very low", .03},
	{"almost no chance", .03}, {"remote", .03}, {"extremely unlikely", .03}, {"almost certainly not", .03}, {"not at all confident", .03},
	{"no chance", 0}, {"impossible", 0},
}

// lastWordOf finds the last phrase of the word scale; of phrases that overlap
// the longest counts.
func lastWordOf(low string) (w ConfidenceWord, at Span, ok bool) {
	for _, c := range confidenceWords {
		i := strings.LastIndex(low, c.Word)
		if i < 0 || letterBefore(low, i) || letterAfter(low, i+len(c.Word)) {
			continue
		}
		p := Span{i, i + len(c.Word)}
		inside := at.Start <= p.Start && p.End <= at.End
		if !ok || p.End > at.End && !(p.Start <= at.Start && p.Len() < at.Len()) || p.End == at.End && !inside {
			w, at, ok = c, p, true
		}
	}
	return w, at, ok
}
