package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"gnothi/llm"
	"gnothi/monitor/consistency"
)

// evidence is a line of what is known of an answer.
type evidence struct {
	id                string // as it is written; empty if there is none
	question, context string
	answer            *llm.Choice
	samples           []llm.Choice
	relevance         []float64   // of the answer's tokens
	sampleRelevance   [][]float64 // of each sample's
	nli               *consistency.NLI
	likeness          *consistency.Matrix
	kept              []byte // the fields that go on to the output, without braces
}

// readEvidence reads a line. Evidence files are large and are read once, so this
// is a reader of its own: it takes what it knows where it stands, checks all of
// it, and copies nothing but what goes on to the output.
func readEvidence(line string) (e evidence, err error) {
	c := &cursor{s: line}
	var answer *string
	var tokens []llm.Token
	var parts nliParts
	err = c.object(func(key string) error {
		from := c.i
		keep := true
		var err error
		switch key {
		case "id":
			if !c.null() {
				switch c.peek() {
				case '"', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
					err = c.skip()
				default:
					err = c.want("text or a number")
				}
				e.id = line[from:c.i]
			}
			keep = false // goes first
		case "question":
			e.question, err = c.optional()
		case "context":
			e.context, err = c.optional()
		case "answer":
			if !c.null() {
				var s string
				s, err = c.text()
				answer = &s
			}
		case "tokens":
			keep = false
			tokens, err = c.tokens()
		case "logprobs":
			keep = false
			var more []llm.Token
			if more, err = c.logprobs(); len(more) > 0 {
				tokens = more
			}
		case "samples":
			keep = false
			err = c.samples(&e)
		case "relevance":
			keep = false
			e.relevance, err = c.numbers()
		case "nli":
			keep = false
			if !c.null() {
				err = c.object(func(which string) error {
					m, err := c.square()
					switch which {
					case "entailment":
						parts.entail = m
					case "contradiction":
						parts.contra = m
					case "neutral": // what the others leave
					default:
						err = fmt.Errorf("want entailment and contradiction, found %q", which)
					}
					return err
				})
				parts.given = true
			}
		case "likeness":
			keep = false
			if !c.null() {
				var m consistency.Matrix
				if m, err = c.square(); err == nil {
					err = consistency.CheckLikeness(m)
				}
				e.likeness = &m
			}
		case "scores", "raw", "missing": // of an earlier run
			keep = false
			err = c.skip()
		default:
			err = c.skip()
			if err == nil && !json.Valid([]byte(line[from:c.i])) {
				err = errors.New("not JSON")
			}
		}
		if err != nil {
			return fmt.Errorf("field %q: %w", key, err)
		}
		if keep {
			name, _ := json.Marshal(key)
			e.kept = append(append(append(append(e.kept, ','), name...), ':'), line[from:c.i]...)
		}
		return nil
	})
	if err == nil {
		err = c.end()
	}
	if err != nil {
		return e, err
	}
	if e.samples != nil {
		e.kept = append(e.kept, `,"samples":[`...)
		for i, s := range e.samples {
			if i > 0 {
				e.kept = append(e.kept, ',')
			}
			e.kept = appendText(e.kept, s.Text)
		}
		e.kept = append(e.kept, ']')
	}
	switch {
	case answer != nil:
		e.answer = &llm.Choice{Text: *answer, Tokens: tokens}
	case len(tokens) > 0:
		var b strings.Builder
		for _, t := range tokens {
			b.WriteString(t.Text)
		}
		e.answer = &llm.Choice{Text: b.String(), Tokens: tokens}
	}
	if parts.given {
		e.nli = &consistency.NLI{Entail: parts.entail, Contra: parts.contra}
		if err := e.nli.Check(); err != nil {
			return e, fmt.Errorf(`field "nli": %w`, err)
		}
	}
	for name, n := range map[string]int{"nli": parts.entail.N, "likeness": size(e.likeness)} {
		if n != 0 && n != len(e.samples) && (e.answer == nil || n != len(e.samples)+1) {
			return e, fmt.Errorf("field %q: %d rows for %d samples: want as many, or one more with the answer first", name, n, len(e.samples))
		}
	}
	return e, nil
}

type nliParts struct {
	given          bool
	entail, contra consistency.Matrix
}

func size(m *consistency.Matrix) int {
	if m == nil {
		return 0
	}
	return m.N
}

// appendText writes a JSON string.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == '"' || s[i] == '\\' || s[i] >= 0x80 {
			q, _ := json.Marshal(s)
			return append(b, q...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// samples reads texts, or objects of text and tokens.
func (c *cursor) samples(e *evidence) error {
	if c.null() {
		return nil
	}
	e.samples = []llm.Choice{}
	return c.array(func(int) error {
		var s llm.Choice
		var relevance []float64
		if c.peek() == '"' {
			var err error
			if s.Text, err = c.text(); err != nil {
				return err
			}
		} else {
			given := false
			err := c.object(func(key string) (err error) {
				switch key {
				case "text":
					s.Text, err = c.text()
					given = true
				case "tokens":
					s.Tokens, err = c.tokens()
				case "logprobs":
					s.Tokens, err = c.logprobs()
				case "relevance":
					relevance, err = c.numbers()
				default:
					err = c.skip()
				}
				if err != nil {
					return fmt.Errorf("%s: %w", key, err)
				}
				return nil
			})
			if err != nil {
				return err
			}
			if !given {
				if s.Tokens == nil {
					return errors.New(`a sample without "text"`)
				}
				var b strings.Builder
				for _, t := range s.Tokens {
					b.WriteString(t.Text)
				}
				s.Text = b.String()
			}
		}
		e.samples = append(e.samples, s)
		if relevance != nil || e.sampleRelevance != nil {
			for len(e.sampleRelevance) < len(e.samples)-1 {
				e.sampleRelevance = append(e.sampleRelevance, nil)
			}
			e.sampleRelevance = append(e.sampleRelevance, relevance)
		}
		return nil
	})
}

// logprobs reads the layout of an OpenAI choice: {"content": [tokens]}.
func (c *cursor) logprobs() (ts []llm.Token, err error) {
	if c.null() {
		return nil, nil
	}
	return ts, c.object(func(key string) (err error) {
		if key == "content" {
			ts, err = c.tokens()
			return err
		}
		return c.skip()
	})
}

// tokens reads tokens with their log-probabilities and alternatives ("top", or
// "top_logprobs").
func (c *cursor) tokens() ([]llm.Token, error) {
	if c.null() {
		return nil, nil
	}
	ts := make([]llm.Token, 0, 24)
	err := c.array(func(i int) error {
		t := llm.Token{LogProb: math.NaN()}
		err := c.object(func(key string) (err error) {
			switch key {
			case "token":
				t.Text, err = c.text()
			case "logprob":
				t.LogProb, err = c.number()
			case "top", "top_logprobs":
				t.Top, err = c.tops()
			case "dist":
				t.Dist, err = c.dist()
			default:
				err = c.skip()
			}
			return err
		})
		ts = append(ts, t)
		return err
	})
	return ts, err
}

// dist reads the figures of a full distribution.
func (c *cursor) dist() (*llm.Dist, error) {
	if c.null() {
		return nil, nil
	}
	d := &llm.Dist{Entropy: math.NaN(), KLUniform: math.NaN()}
	return d, c.object(func(key string) (err error) {
		var vocab float64
		switch key {
		case "entropy":
			d.Entropy, err = c.number()
		case "log_z":
			d.LogZ, err = c.number()
		case "kl_uniform":
			d.KLUniform, err = c.number()
		case "vocab":
			vocab, err = c.number()
			if err == nil && !(vocab >= 0 && vocab <= 1<<31 && vocab == math.Trunc(vocab)) {
				err = fmt.Errorf("vocab %v: want a whole number", vocab)
			}
			d.Vocab = int(vocab)
		default:
			err = c.skip()
		}
		return err
	})
}

func (c *cursor) tops() ([]llm.TopToken, error) {
	if c.null() {
		return nil, nil
	}
	ts := make([]llm.TopToken, 0, 20)
	err := c.array(func(int) error {
		t := llm.TopToken{LogProb: math.NaN()}
		err := c.object(func(key string) (err error) {
			switch key {
			case "token":
				t.Text, err = c.text()
			case "logprob":
				t.LogProb, err = c.number()
			default:
				err = c.skip()
			}
			return err
		})
		ts = append(ts, t)
		return err
	})
	return ts, err
}

func (c *cursor) numbers() ([]float64, error) {
	if c.null() {
		return nil, nil
	}
	var out []float64
	err := c.array(func(int) error {
		v, err := c.number()
		out = append(out, v)
		return err
	})
	return out, err
}

// square reads rows of equal length, as many as they are long.
func (c *cursor) square() (m consistency.Matrix, err error) {
	rows := 0
	err = c.array(func(i int) error {
		from := len(m.V)
		err := c.array(func(int) error {
			v, err := c.number()
			m.V = append(m.V, v)
			return err
		})
		if n := len(m.V) - from; err == nil && i > 0 && n != m.N {
			err = fmt.Errorf("%d figures, the row before has %d", n, m.N)
		} else {
			m.N = n
		}
		rows++
		return err
	})
	if err == nil && rows != m.N {
		err = fmt.Errorf("%d rows of %d figures: want a square", rows, m.N)
	}
	return m, err
}

// cursor reads JSON from front to back. Strings without escapes are parts of s.
type cursor struct {
	s     string
	i     int
	depth int
}

// maxDepth bounds how deep values may lie in one another.
const maxDepth = 200

func (c *cursor) peek() byte {
	for c.i < len(c.s) {
		switch b := c.s[c.i]; b {
		case ' ', '\t', '\r', '\n':
			c.i++
		default:
			return b
		}
	}
	return 0
}

// want says what was to be here and what is.
func (c *cursor) want(what string) error {
	found := "a number"
	switch b := c.peek(); {
	case c.i >= len(c.s):
		return fmt.Errorf("not JSON: the line ends in the middle of a value; want %s", what)
	case b == '"':
		found = "text"
	case b == '{':
		found = "an object"
	case b == '[':
		found = "a list"
	case b == 't', b == 'f':
		found = "true or false"
	case b == 'n':
		found = "null"
	case b != '-' && (b < '0' || b > '9'):
		return fmt.Errorf("not JSON at byte %d: want %s, found %q", c.i+1, what, b)
	}
	return fmt.Errorf("want %s, found %s", what, found)
}

func (c *cursor) end() error {
	if c.peek(); c.i < len(c.s) {
		return errors.New("more than one JSON value on the line")
	}
	return nil
}

// null goes past a null, if there is one.
func (c *cursor) null() bool {
	if c.peek() == 'n' && strings.HasPrefix(c.s[c.i:], "null") {
		c.i += 4
		return true
	}
	return false
}

func (c *cursor) object(member func(key string) error) error {
	if c.peek() != '{' {
		return c.want("an object")
	}
	return c.list('}', func(int) error {
		key, err := c.text()
		if err != nil {
			return err
		}
		if c.peek() != ':' {
			return c.want("a colon after " + strconv.Quote(key))
		}
		c.i++
		c.peek()
		return member(key)
	})
}

func (c *cursor) array(element func(i int) error) error {
	if c.peek() != '[' {
		return c.want("a list")
	}
	return c.list(']', func(i int) error {
		if err := element(i); err != nil {
			return fmt.Errorf("%d: %w", i+1, err)
		}
		return nil
	})
}

// list goes through what stands between brackets, the first of which is next.
func (c *cursor) list(end byte, each func(i int) error) error {
	c.i++
	if c.depth++; c.depth > maxDepth {
		return fmt.Errorf("values lie more than %d deep in one another", maxDepth)
	}
	defer func() { c.depth-- }()
	if c.peek() == end {
		c.i++
		return nil
	}
	for i := 0; ; i++ {
		if err := each(i); err != nil {
			return err
		}
		switch c.peek() {
		case ',':
			c.i++
		case end:
			c.i++
			return nil
		default:
			return c.want("a comma or " + string(end))
		}
	}
}

// text reads a string.
func (c *cursor) text() (string, error) {
	if c.peek() != '"' {
		return "", c.want("text")
	}
	from := c.i
	for i := from + 1; i < len(c.s); i++ {
		switch b := c.s[i]; {
		case b == '"':
			c.i = i + 1
			return c.s[from+1 : i], nil
		case b == '\\':
			return c.escaped(from, i)
		case b < ' ':
			return "", fmt.Errorf("not JSON at byte %d: a control character in text", i+1)
		}
	}
	c.i = len(c.s)
	return "", c.want("the end of a text")
}

func (c *cursor) escaped(from, i int) (string, error) {
	for ; i < len(c.s); i++ {
		switch c.s[i] {
		case '\\':
			i++
		case '"':
			c.i = i + 1
			var s string
			if err := json.Unmarshal([]byte(c.s[from:c.i]), &s); err != nil {
				return "", fmt.Errorf("not JSON at byte %d: %w", from+1, err)
			}
			return s, nil
		}
	}
	c.i = len(c.s)
	return "", c.want("the end of a text")
}

// optional reads a string or null.
func (c *cursor) optional() (string, error) {
	if c.null() {
		return "", nil
	}
	return c.text()
}

// number reads a number; null and the NaN and Infinity that some programs write
// are figures that are not there, which whoever needs them will say.
func (c *cursor) number() (float64, error) {
	if c.null() {
		return math.NaN(), nil
	}
	c.peek()
	for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
		if strings.HasPrefix(c.s[c.i:], word) {
			c.i += len(word)
			v, err := strconv.ParseFloat(strings.Replace(word, "Infinity", "Inf", 1), 64)
			return v, err
		}
	}
	from := c.i
	for c.i < len(c.s) {
		if b := c.s[c.i]; (b < '0' || b > '9') && b != '-' && b != '.' && b != 'e' && b != 'E' && b != '+' {
			break
		}
		c.i++
	}
	word := c.s[from:c.i]
	digits := strings.TrimPrefix(word, "-")
	if digits == "" || digits[0] < '0' || digits[0] > '9' || digits[0] == '0' && len(digits) > 1 && digits[1] >= '0' && digits[1] <= '9' {
		c.i = from
		if b := c.peek(); b == '-' || b >= '0' && b <= '9' {
			return 0, fmt.Errorf("not JSON at byte %d: %q is no number", from+1, word)
		}
		return 0, c.want("a number")
	}
	v, err := strconv.ParseFloat(word, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("not JSON at byte %d: %q is no number", from+1, word)
	}
	return v, nil
}

// skip goes past a value.
func (c *cursor) skip() error {
	switch c.peek() {
	case '{':
		return c.object(func(string) error { return c.skip() })
	case '[':
		return c.array(func(int) error { return c.skip() })
	case '"':
		_, err := c.text()
		return err
	case 't', 'f', 'n':
		for _, word := range []string{"true", "false", "null"} {
			if strings.HasPrefix(c.s[c.i:], word) {
				c.i += len(word)
				return nil
			}
		}
		return c.want("a value")
	}
	_, err := c.number()
	return err
}
