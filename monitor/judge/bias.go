package judge

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"

	"gnothi/llm"
	"gnothi/stats"
)

// Bias says what else a judge's verdicts may rest on. It is printed beside
// every result.
type Bias struct {
	// Position is the share of pairs, asked in both orders, whose verdict follows
	// the order of showing; First of these, how many follow the first place.
	Position stats.Figure `json:"position_bias"`
	First    stats.Figure `json:"first_place_share"`
	// LengthSlope is the correlation of verdict and length in [−1,1]: of pairs
	// between outcome and difference of lengths, both ways round; of single
	// verdicts between verdict and logarithm of the length.
	LengthSlope stats.Figure `json:"length_slope"`
	// Longer is how often the longer of two won, ties half, among pairs more than
	// a tenth apart. Win is how often the first given of two won, ties half, and
	// WinMatched the same among pairs at most a tenth apart in length.
	Longer     stats.Figure `json:"longer_wins"`
	Win        stats.Figure `json:"win_rate"`
	WinMatched stats.Figure `json:"win_rate_length_matched"`
	Unparsed   stats.Figure `json:"unparsed"`
	Forced     stats.Figure `json:"forced"` // read off less than half of the distribution
	// Self is the judge's preference for its own, where it was measured ([SelfPreference]).
	Self *DBG `json:"self_preference,omitempty"`
	// SameFamily names a judge and what it judges if they are of one family.
	SameFamily []string `json:"same_family,omitempty"`
}

// Tally gathers verdicts into a Bias. The zero value is ready; it is not safe
// for concurrent use.
type Tally struct {
	pairs, placed, firsts int
	count                 Count
	outcome, lengthGap    []float64 // of pairs
	grade, length         []float64 // of single verdicts
	Self                  *DBG
	SameFamily            []string
}

// matched is the largest ratio of two lengths that count as equal (chosen).
const matched = 1.1

// Compared adds a comparison. err is Compare's: what is missing counts as asked
// and unparsed and as nothing else.
func (b *Tally) Compared(c Comparison, err error) {
	b.count.add(c.Count)
	if err != nil || c.Source == "same text" {
		return
	}
	each := c.Panel
	if each == nil {
		each = []Comparison{c}
	}
	for _, m := range each {
		b.place(m.Place)
	}
	b.outcome = append(b.outcome, c.Outcome)
	b.lengthGap = append(b.lengthGap, math.Log(float64(1+c.Lengths[0]))-math.Log(float64(1+c.Lengths[1])))
}

func (b *Tally) place(place int) {
	b.pairs++
	if place != 0 {
		b.placed++
	}
	if place > 0 {
		b.firsts++
	}
}

// Rated adds a rating.
func (b *Tally) Rated(r Rating, err error) {
	b.count.add(r.Count)
	if err == nil {
		b.single(r.Unit, r.Length)
	}
}

// Verified adds a verification.
func (b *Tally) Verified(v Verification, err error) {
	b.count.add(v.Count)
	if err == nil {
		b.place(v.Place)
		b.single(v.P, v.Length)
	}
}

// Ranked adds a ranking.
func (b *Tally) Ranked(r Ranking, err error) {
	b.count.add(r.Count)
	if err != nil {
		return
	}
	b.pairs, b.placed, b.firsts = b.pairs+r.Pairs, b.placed+r.Firsts+r.Lasts, b.firsts+r.Firsts
	for i, share := range r.Share {
		b.single(share, r.Lengths[i])
	}
}

// Tagged adds the tags of a text; its verdict is the share of labels that hold.
func (b *Tally) Tagged(g Tags, err error) {
	if err != nil {
		return
	}
	held, n := 0.0, 0.0
	for _, tag := range g.Tags {
		b.count.add(tag.Count)
		if tag.Err == nil {
			n++
			if tag.Grade > 0 {
				held++
			}
		}
	}
	if n > 0 {
		b.single(held/n, g.Length)
	}
}

func (b *Tally) single(grade float64, length int) {
	b.grade, b.length = append(b.grade, grade), append(b.length, math.Log(float64(1+length)))
}

// Bias makes the figures, with intervals at 95 %.
func (b *Tally) Bias() Bias {
	share := func(k, n int, why string) stats.Figure {
		f, err := stats.Wilson(k, n, 0.95)
		if err != nil {
			return stats.Missing(n, errors.New(why))
		}
		return f
	}
	out := Bias{
		Position: share(b.placed, b.pairs, "nothing was asked in both orders"),
		First:    share(b.firsts, b.placed, "no verdict followed the order"),
		Unparsed: share(b.count.Unparsed, b.count.Asked, "nothing was asked"),
		Forced:   share(b.count.Forced, b.count.Asked, "nothing was asked"),
		Self:     b.Self, SameFamily: b.SameFamily,
	}
	out.LengthSlope = b.slope()
	var longer, same []float64
	for i, gap := range b.lengthGap {
		switch o := b.outcome[i]; {
		case math.Abs(gap) <= math.Log(matched):
			same = append(same, o)
		case gap > 0:
			longer = append(longer, o)
		default:
			longer = append(longer, 1-o)
		}
	}
	out.Longer = WinRate(longer, "no pair differs in length by more than a tenth")
	out.Win = WinRate(b.outcome, "nothing was compared")
	out.WinMatched = WinRate(same, "no pair is within a tenth in length")
	return out
}

// WinRate is the mean of outcomes in [0,1], its interval cut to that range; why
// says what it means that there are none.
func WinRate(outcomes []float64, why string) stats.Figure {
	f, err := stats.Mean(outcomes, nil, 0.95)
	if err != nil {
		return stats.Missing(len(outcomes), errors.New(why))
	}
	f.Low, f.High = max(0, f.Low), min(1, f.High)
	return f
}

func (b *Tally) slope() stats.Figure {
	x, y, n := b.length, b.grade, len(b.grade)
	if len(b.outcome) > 0 {
		x, y, n = nil, nil, len(b.outcome)
		for i, gap := range b.lengthGap {
			x, y = append(x, gap, -gap), append(y, b.outcome[i], 1-b.outcome[i])
		}
	}
	r, err := stats.Pearson(x, y)
	if err != nil {
		return stats.Missing(n, err)
	}
	f, err := stats.FisherZ(r, n, 0.95)
	if err != nil {
		f = figure(r, n, "Pearson", nil)
		f.Why = err.Error()
	}
	return f
}

// String is the report in lines.
func (b Bias) String() string {
	var s strings.Builder
	line := func(name string, f stats.Figure) { fmt.Fprintf(&s, "%-24s %v\n", name, f) }
	line("position bias", b.Position)
	if !math.IsNaN(b.First.Value) {
		line("  of these first place", b.First)
	}
	line("length slope", b.LengthSlope)
	if b.Win.N > 0 {
		line("longer one wins", b.Longer)
		line("first given wins", b.Win)
		line("  lengths matched", b.WinMatched)
	}
	if b.Self != nil {
		line("self-preference (DBG)", b.Self.Own)
	} else {
		fmt.Fprintf(&s, "%-24s not measured (needs the candidates' models and a panel)\n", "self-preference (DBG)")
	}
	line("unparsed", b.Unparsed)
	if b.Forced.Value > 0 {
		line("forced", b.Forced)
	}
	for _, f := range b.SameFamily {
		fmt.Fprintf(&s, "%-24s %s\n", "same family", f)
	}
	return s.String()
}

// Family is what a model's name begins with, before size, version and variant:
// "gpt" of openai:gpt-4.1-mini, "llama" of meta-llama/Llama-3-8B. Names tell
// kinship only where their makers let them.
func Family(id llm.ID) string {
	name := strings.ToLower(id.Name)
	name = name[strings.LastIndexByte(name, '/')+1:]
	end := strings.IndexFunc(name, func(r rune) bool { return !unicode.IsLetter(r) })
	if end < 0 {
		return name
	}
	return name[:end]
}

// figure is a value without an interval, or the reason why there is none.
func figure(v float64, n int, method string, err error) stats.Figure {
	if err != nil {
		return stats.Missing(n, err)
	}
	return stats.Figure{Value: v, Low: math.NaN(), High: math.NaN(), N: n, Method: method}
}
