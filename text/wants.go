package text

import (
	"regexp"
	"strings"
)

// want is what a question asks a free answer for, where its wording tells.
type want uint8

const (
	wantAny     want = iota
	wantCount        // how many, how old, what percentage
	wantYear         // in which year
	wantResult       // calculate 5 + 3
	wantPerson       // who, which author
	wantVerdict      // is it, does it
)

var calculation = regexp.MustCompile(`\d ?(?:\+|-|−|×|x|\*|÷|/|plus|minus|times|divided by|multiplied by) ?\d`)

// wants reads the question, once.
func (r *reader) wants() want {
	if !r.wantRead {
		r.wantRead, r.want = true, wantOf(r.question(), r.task.Question)
	}
	return r.want
}

func wantOf(q []string, question string) want {
	if len(q) == 0 {
		return wantAny
	}
	if strings.ContainsAny(question, "0123456789") && !strings.Contains(question, ". ") && (q[0] == "what" || q[0] == "how" || q[0] == "calculate" || q[0] == "compute") && calculation.MatchString(asciiLower(question)) {
		return wantResult
	}
	switch q[0] {
	case "is", "are", "was", "were", "do", "does", "did", "can", "could", "has", "have", "had", "will", "would", "should":
		for _, w := range q {
			if w == "or" {
				return wantAny
			}
		}
		return wantVerdict
	}
	for i, w := range q {
		next := ""
		if i+1 < len(q) {
			next = q[i+1]
		}
		switch w {
		case "how":
			switch next {
			case "many", "much", "old", "tall", "long", "far", "high", "deep", "fast", "big", "large", "heavy":
				return wantCount
			}
		case "what", "which":
			switch next {
			case "year":
				return wantYear
			case "percentage", "number", "age":
				return wantCount
			case "author", "artist", "poet", "composer", "writer", "painter", "scientist", "director", "playwright":
				return wantPerson
			}
		case "who", "whose", "whom":
			return wantPerson
		}
	}
	return wantAny
}

// wanted finds the part of a sentence that is of the sort asked for.
func (r *reader) wanted(p Span) (Span, bool) {
	switch r.wants() {
	case wantVerdict:
		_, at, ok := r.openingBool(p)
		return at, ok
	case wantYear:
		return r.yearOf(p)
	case wantCount, wantResult:
		if strings.Contains(p.In(r.src), "=") {
			if a, ok := r.numberIn(p, RuleSentence); ok {
				return a.Span, true
			}
		}
		return r.numberOf(p)
	case wantPerson:
		return r.byName(p)
	}
	return Span{}, false
}

// result returns the result of a calculation that the reply works out: the
// number behind the last "=" or "equals", else the last that is no operand.
func (r *reader) result() (Span, bool) {
	low := r.body.In(r.low)
	at := -1
	for _, w := range [...]string{"=", " equals "} {
		if i := strings.LastIndex(low, w); i >= 0 {
			at = max(at, i+len(w))
		}
	}
	if at >= 0 {
		if n, ok := nextNumeral(r.src[:r.body.End], r.body.Start+at); ok && isBlank(strings.Trim(r.src[r.body.Start+at:n.span.Start], "*$")) {
			return n.span, true
		}
	}
	var last Span
	for p := r.body; ; {
		q, ok := r.numberOf(p)
		if !ok {
			break
		}
		last, p.Start = q, q.End
	}
	if last.Len() > 0 {
		return last, true
	}
	a, ok := r.lastNumber()
	return a.Span, ok
}

// numberOf returns the first number of a sentence that the question has not.
func (r *reader) numberOf(p Span) (Span, bool) {
	for p.Len() > 0 {
		a, ok := r.firstNumber(p, RuleSentence)
		if !ok {
			return Span{}, false
		}
		if !containsWords(r.question(), foldWords(a.Text)) {
			return a.Span, true
		}
		p.Start = a.Span.End
	}
	return Span{}, false
}

// yearOf returns the first number of three or four digits, with its era.
func (r *reader) yearOf(p Span) (Span, bool) {
	s := p.In(r.src)
	for i := 0; ; {
		n, ok := nextNumeral(s, i)
		if !ok {
			return Span{}, false
		}
		i = n.span.End
		if len(n.digits) < 3 || len(n.digits) > 4 || !isInteger(n.digits) || n.span.Len() != len(n.digits) || containsWords(r.question(), []string{n.digits}) {
			continue
		}
		end := i
		if w, e := wordAt(s, skipSpaces(s, i)); w == "BC" || w == "BCE" || w == "AD" || w == "CE" {
			end = e
		}
		return Span{p.Start + n.span.Start, p.Start + end}, true
	}
}

// byName returns the name behind "by": "Hamlet, a play by William Shakespeare".
func (r *reader) byName(p Span) (Span, bool) {
	fs := r.fields(p)
	for i := 1; i+1 < len(fs); i++ {
		if fs[i].word != "by" || !r.name(fs[i+1]) {
			continue
		}
		end := i + 2
		for end < len(fs) && !strings.HasSuffix(fs[end-1].span.In(r.src), ",") && (r.name(fs[end]) || end+1 < len(fs) && (particle(fs[end].word) || fs[end].word == "and") && r.name(fs[end+1])) {
			end++
		}
		return r.join(fs[i+1 : end]), true
	}
	return Span{}, false
}

// particle: a word in the middle of a name that has no capital.
func particle(w string) bool {
	switch w {
	case "de", "da", "di", "del", "della", "du", "la", "le", "van", "von", "der", "den", "ter", "bin", "ibn", "al", "the", "of":
		return true
	}
	return false
}
