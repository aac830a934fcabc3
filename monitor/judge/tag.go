package judge

import (
	"context"
	"errors"
	"fmt"
	"maps"
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

// Label is something that may be said of a text.
type Label struct {
	Name    string // one word or a few, for people
	Meaning string // what makes a text have it, for the judge
	Max     int    // 0 or 1: yes or no; up to 9: a grade from 0 (not at all) to Max
}

func (l Label) max() int { return max(1, l.Max) }

// Tag is what is said of a text under one label.
type Tag struct {
	Label string
	Grade float64   // 0 or 1, or the grade: the median of the votes that could be read
	Quote string    // the words it rests on, as they stand in the text; "" at grade 0
	Span  text.Span // where they stand, in bytes of the candidate's text
	Votes []float64 // of each vote, NaN: void or unparsed
	Void  int       // votes above 0 whose quotation does not occur in the text
	Err   error     // why there is no grade
	Count Count
}

// Tags are the tags of one candidate, in the order of the labels.
type Tags struct {
	Tags   []Tag
	Length int // of the candidate, in characters
}

var tagTemplate = prompt.Template{Name: "tag", Version: 1, Text: "{shown}The text:\n{0}\n\nDo these hold of the text?\n{labels}\n{closing}"}

// Tag says which labels hold of a candidate, each proved by a quotation: a vote
// above 0 whose quotation does not occur in the text is void. All labels go into
// one prompt, in an order drawn anew for each vote; a label without a line is
// asked for once again, alone, and a reply without any line as a whole. Of a
// panel every member's votes count.
func (j *Judge) Tag(ctx context.Context, t *monitor.Trial, c *monitor.Candidate, labels []Label) (Tags, error) {
	if err := j.check(); err != nil {
		return Tags{}, err
	}
	if len(labels) == 0 {
		return Tags{}, errors.New("judge: tag: no labels: name at least one")
	}
	for i, l := range labels {
		if l.Name == "" || l.Max < 0 || l.Max > 9 {
			return Tags{}, fmt.Errorf("judge: tag: label %d (%q, grades to %d): want a name and at most grade 9", i+1, l.Name, l.Max)
		}
	}
	out := Tags{Tags: make([]Tag, len(labels)), Length: runes(c.Text)}
	for i, l := range labels {
		out.Tags[i].Label = l.Name
	}
	seats, err := j.seats(ctx, t)
	if err != nil {
		return Tags{}, err
	}
	for _, seat := range seats {
		for v := range j.votes(seat.Model) {
			order := rng(seat, "labels", v).Perm(len(labels))
			read, err := j.tag(ctx, seat, c, labels, order, 2*v)
			if err != nil {
				return Tags{}, err
			}
			again := [][]int{order} // a reply of prose
			if len(read) > 0 {
				again = nil
				for _, i := range order {
					if _, ok := read[i]; !ok {
						again = append(again, []int{i})
					}
				}
			}
			for _, some := range again {
				marks, err := j.tag(ctx, seat, c, labels, some, 2*v+1)
				if err != nil {
					return Tags{}, err
				}
				maps.Copy(read, marks)
			}
			for _, i := range order {
				mark, ok := read[i]
				out.Tags[i].count(mark, ok, c.Text)
			}
		}
	}
	for i := range out.Tags {
		out.Tags[i].settle()
	}
	return out, nil
}

// mark is one line of a reply.
type mark struct {
	grade int
	quote string
}

// count adds a vote.
func (g *Tag) count(m mark, ok bool, s string) {
	g.Count.Asked++
	value := float64(m.grade)
	switch span, occurs := locate(s, m.quote); {
	case !ok:
		g.Count.Unparsed++
		value = math.NaN()
	case m.grade > 0 && !occurs:
		g.Void++
		value = math.NaN()
	case m.grade > 0 && g.Quote == "":
		g.Span, g.Quote = span, span.In(s)
	}
	g.Votes = append(g.Votes, value)
}

// settle makes the grade of the votes: their median, of two the lower one.
func (g *Tag) settle() {
	read := slices.DeleteFunc(slices.Clone(g.Votes), math.IsNaN)
	if len(read) == 0 {
		g.Err = fmt.Errorf("judge: tag %s: %d votes, %d unparsed, %d with quotations that do not occur: %w", g.Label, g.Count.Asked, g.Count.Unparsed, g.Void, ErrUnparsed)
		return
	}
	slices.Sort(read)
	if g.Grade = read[(len(read)-1)/2]; g.Grade == 0 {
		g.Span, g.Quote = text.Span{}, ""
	}
}

// tag asks for the labels of order once, and gives the lines that could be read;
// turn numbers the askings, of which the first one is greedy if it is alone.
func (j *Judge) tag(ctx context.Context, t *monitor.Trial, c *monitor.Candidate, labels []Label, order []int, turn int) (map[int]mark, error) {
	texts, err := j.shown(ctx, t, c)
	if err != nil {
		return nil, err
	}
	var list strings.Builder
	for k, i := range order {
		l, want := labels[i], "yes or no"
		if l.max() > 1 {
			want = "a grade from 0, not at all, to " + strconv.Itoa(l.max())
		}
		fmt.Fprintf(&list, "%d. %s: %s (%s)\n", k+1, text.SanitiseLine(l.Name), text.SanitiseLine(l.Meaning), want)
	}
	closing := "Reply with one line for each, and nothing else"
	if j.Reason {
		closing = "First think in a few sentences. Then end with one line for each, and nothing after them"
	}
	closing += `: "Verdict NUMBER: " and the verdict, and unless it is no or 0, the shortest words of the text that prove it, word for word, between double quotes.`
	ask, err := j.fill(ctx, t, tagTemplate, texts, "{labels}", list.String(), "{closing}", closing)
	if err != nil {
		return nil, err
	}
	a := monitor.Aside{Role: "judge", Index: place(ask) + turn, Text: ask, MaxTokens: j.tagTokens(len(order))}
	if turn > 0 || j.Votes > 1 {
		a.Temperature = j.warmth()
	}
	reply, err := t.Aside(ctx, a)
	if err != nil {
		return nil, err
	}
	out := map[int]mark{}
	for k, m := range readMarks(reply, len(order), j.Reason, func(k int) int { return labels[order[k]].max() }) {
		out[order[k]] = m
	}
	return out, nil
}

var markLine = regexp.MustCompile(`(?i)^[\s>#*_-]*(?:verdict\s*)?(\d{1,3})\s*[.:)]+[\s*_]*(yes|no|\d)\b[\s*_.,;:–—-]*(.*)$`)

// readMarks reads the lines of n verdicts, the last one of each number; with
// reasoning only those at the end, for what stands before may quote the text. A
// yes is grade 1 of labels that have no other; a grade off its scale is no verdict.
func readMarks(c llm.Choice, n int, reason bool, top func(k int) int) map[int]mark {
	out := map[int]mark{}
	for _, line := range slices.Backward(strings.Split(text.Sanitise(c.Text), "\n")) {
		m := markLine.FindStringSubmatch(line)
		if m == nil {
			if reason && strings.TrimSpace(line) != "" {
				break
			}
			continue
		}
		k, _ := strconv.Atoi(m[1])
		if _, later := out[k-1]; k < 1 || k > n || later {
			continue
		}
		v := mark{quote: unquote(m[3])}
		switch word := strings.ToLower(m[2]); {
		case word == "no":
		case word == "yes" && top(k-1) == 1:
			v.grade = 1
		case word == "yes":
			continue
		default:
			v.grade = int(word[0] - '0')
		}
		if v.grade <= top(k-1) {
			out[k-1] = v
		}
	}
	return out
}

var quotation = regexp.MustCompile(`["“”«„](.+)["“”»]`)

// unquote gives what stands between quotation marks, "" where there are none.
func unquote(s string) string {
	if m := quotation.FindStringSubmatch(s); m != nil {
		return strings.TrimSpace(m[1])
	}
	return ""
}

// locate finds a quotation in a text; case and the blanks between words may differ.
func locate(s, quote string) (text.Span, bool) {
	quote = strings.Trim(quote, " \t\n.…")
	if quote == "" || len(quote) > 1000 {
		return text.Span{}, false
	}
	if i := strings.Index(s, quote); i >= 0 {
		return text.Span{Start: i, End: i + len(quote)}, true
	}
	words := strings.Fields(quote)
	for i, w := range words {
		words[i] = regexp.QuoteMeta(w)
	}
	re, err := regexp.Compile(`(?i)` + strings.Join(words, `\s+`))
	if err != nil {
		return text.Span{}, false
	}
	if at := re.FindStringIndex(s); at != nil {
		return text.Span{Start: at[0], End: at[1]}, true
	}
	return text.Span{}, false
}

func (j *Judge) tagTokens(labels int) int {
	if j.MaxTokens > 0 {
		return j.MaxTokens
	}
	return j.tokens() + 48*labels
}
