package studies

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"gnothi/eval"
	"gnothi/eval/questions"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// generateItem is an answer that something has to be written for.
type generateItem struct {
	Task   string `json:"task"`   // words, letters, arithmetic or fact
	Answer string `json:"answer"` // what the text or question has to come to
}

// GenerateResult is what a model wrote for an answer (Said), and what it answers
// about it in a fresh context (Done).
type GenerateResult struct {
	Related
	SelfClaim
	Wrote string `json:"wrote"`
	// Truth is what the text or question really comes to, where code can tell.
	Truth  string `json:"truth,omitempty"`
	Leaked bool   `json:"leaked,omitempty"` // the question holds its own answer: dropped
}

// Outcome implements [eval.Graded]: a question that gives its answer away cannot
// be used.
func (r GenerateResult) Outcome() text.Outcome {
	if r.Leaked {
		return text.Unparsed
	}
	return r.SelfClaim.Outcome()
}

var (
	writeWords      = prompt.Template{Name: "write-words", Version: 1, Text: "Write one sentence of exactly {answer} words. Reply with the sentence and nothing else."}
	writeLetters    = prompt.Template{Name: "write-letters", Version: 1, Text: "Write one English word of exactly {answer} letters. Reply with the word and nothing else."}
	writeArithmetic = prompt.Template{Name: "write-arithmetic", Version: 1, Text: "Write an arithmetic expression of two or three whole numbers with +, - or * whose result is {answer}. Reply with the expression alone, without the result."}
	writeFact       = prompt.Template{Name: "write-fact", Version: 1, Text: "Write one question of general knowledge whose answer is {answer}. The answer itself must not be in the question. Reply with the question and nothing else."}

	countWords       = prompt.Template{Name: "count-words", Version: 1, Text: "How many words are in this sentence? {wrote}\nReply with one number and nothing else."}
	countLetters     = prompt.Template{Name: "count-letters", Version: 1, Text: "How many letters are in this word? {wrote}\nReply with one number and nothing else."}
	answerArithmetic = prompt.Template{Name: "answer-arithmetic", Version: 1, Text: "What is {wrote}? Reply with one number and nothing else."}
	answerFact       = prompt.Template{Name: "answer-fact", Version: 1, Text: "{wrote}\nReply with the answer alone, as short as it can be."}
)

// FirstGenerate is the study self-knowledge-first-generate: a model writes
// something for an answer, a sentence of so many words or a question with that
// answer, and in a fresh context answers about what it wrote. Is it consistent,
// and which of the two sides is right? Followed: counting, arithmetic and facts,
// the fresh context, consistency apart from truth. Chosen: the wording, answers
// drawn with the seed, and truth by code where code can tell; theorems, programs
// and essays, which need a judge, are left out. A user's answers are read from
// answers.jsonl, lines of {task, answer}.
func FirstGenerate() eval.Suite {
	return eval.Study[generateItem, GenerateResult]{
		Name:  "self-knowledge-first-generate",
		About: "writes a text or question for an answer, and answers about it in a fresh context",
		Needs: "text",
		Items: eval.List(func(s eval.Source) ([]generateItem, error) {
			var sample []generateItem
			var facts []string
			for q, err := range qaSource(eval.Source{Rand: s.Rand}, 200, func(q QA) bool {
				return !q.Unanswerable && (q.Kind == questions.Capitals || q.Kind == questions.Elements) && q.Level <= 3
			}) {
				if err != nil {
					return nil, err
				}
				facts = append(facts, q.Answers[0])
			}
			for i := range cmp.Or(s.N, 100) {
				sample = append(sample, []generateItem{
					{"words", strconv.Itoa(4 + s.Rand.IntN(12))}, {"letters", strconv.Itoa(3 + s.Rand.IntN(8))},
					{"arithmetic", strconv.Itoa(10 + s.Rand.IntN(90))}, {"fact", facts[i%len(facts)]},
				}[i%4])
			}
			return lines(s, "answers.jsonl", sample, generateItem.check)
		}),
		Ask:     askGenerate,
		Measure: measureGenerate,
	}
}

func (i generateItem) check() error {
	if !slices.Contains([]string{"words", "letters", "arithmetic", "fact"}, i.Task) {
		return fmt.Errorf("field \"task\": %q: want words, letters, arithmetic or fact", i.Task)
	}
	if i.Answer == "" {
		return errors.New(`field "answer": missing or empty`)
	}
	return nil
}

func askGenerate(ctx context.Context, s *eval.Session, item generateItem) (GenerateResult, error) {
	r := GenerateResult{Related: Related{item.Task + "/" + item.Answer}}
	pair, ok := map[string][2]prompt.Template{
		"words": {writeWords, countWords}, "letters": {writeLetters, countLetters},
		"arithmetic": {writeArithmetic, answerArithmetic}, "fact": {writeFact, answerFact},
	}[item.Task]
	if !ok {
		return r, fmt.Errorf("task %q: want words, letters, arithmetic or fact", item.Task)
	}
	task := text.Task{Kind: text.Number}
	if item.Task == "fact" {
		task.Kind = text.Free
	}
	key := func(reply string) (string, error) {
		a := task.Extract(text.Sanitise(reply))
		switch a.Status {
		case text.Parsed:
			return task.Key(a), nil
		case text.Refused:
			return "", eval.ErrRefused
		}
		return "", unparsed("answer", reply)
	}
	said := func(ctx context.Context) (string, error) {
		reply, err := say(ctx, s.Trial, monitor.Aside{Role: "write", Text: pair[0].Fill("answer", item.Answer), MaxTokens: 96})
		if err != nil {
			return "", err
		}
		if r.Wrote = firstLine(reply); r.Wrote == "" {
			return "", unparsed("text", reply)
		}
		r.Truth = truth(item.Task, r.Wrote)
		switch item.Task {
		case "arithmetic": // an expression that ends in its own result gives it away
			r.Leaked = strings.Contains(r.Wrote, "=")
		case "fact":
			r.Leaked = strings.Contains(" "+text.Normalise(r.Wrote)+" ", " "+text.Normalise(item.Answer)+" ")
		}
		return key(item.Answer)
	}
	done := func(ctx context.Context) (string, error) {
		if r.Wrote == "" {
			return "", unparsed("text", "")
		}
		reply, err := say(ctx, s.Trial, monitor.Aside{Role: "answer", Text: pair[1].Fill("wrote", r.Wrote), MaxTokens: 32})
		if err != nil {
			return "", err
		}
		return key(reply)
	}
	var err error
	r.SelfClaim, err = claim(ctx, item.Task, said, done)
	return r, err
}

// firstLine is the first line of a reply that says something, without quotation
// marks around it.
func firstLine(reply string) string {
	for line := range strings.Lines(reply) {
		if line = strings.Trim(strings.TrimSpace(line), "\"“”*`"); line != "" {
			return line
		}
	}
	return ""
}

// truth counts or computes what code can tell, in the form of an answer's key; ""
// where it cannot.
func truth(task, wrote string) string {
	n := 0
	switch task {
	case "words":
		n = len(strings.FieldsFunc(wrote, func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\'' && r != '’' && r != '-'
		}))
	case "letters":
		if len(strings.Fields(wrote)) != 1 {
			return ""
		}
		for _, r := range wrote {
			if unicode.IsLetter(r) {
				n++
			}
		}
	case "arithmetic":
		v, ok := compute(wrote)
		if !ok {
			return ""
		}
		return text.Key(text.Answer{Kind: text.Number, Status: text.Parsed, Value: v, Text: v.RatString()})
	default:
		return ""
	}
	return text.Key(text.Extract(text.Number, strconv.Itoa(n)))
}

var term = regexp.MustCompile(`^\s*([+\-−*×x]?)\s*(\d{1,9})`)

// compute evaluates whole numbers joined by +, - and *, products first, up to an
// equals sign. Anything else is no expression.
func compute(s string) (*big.Rat, bool) {
	s, _, _ = strings.Cut(s, "=")
	s = strings.TrimRight(strings.TrimSpace(s), ".?")
	sum, product := new(big.Rat), (*big.Rat)(nil)
	for s != "" {
		m := term.FindStringSubmatch(s)
		if m == nil || (m[1] == "") != (product == nil) {
			return nil, false
		}
		s = s[len(m[0]):]
		n, _ := new(big.Rat).SetString(m[2])
		switch m[1] {
		case "*", "×", "x":
			product = new(big.Rat).Mul(product, n)
			continue
		case "-", "−":
			n.Neg(n)
		}
		if product != nil {
			sum.Add(sum, product)
		}
		product = n
	}
	if product == nil {
		return nil, false
	}
	return sum.Add(sum, product), true
}

func measureGenerate(rs []GenerateResult) []eval.Measure {
	var claims []SelfClaim
	var table [2][2]int // consistent or not; what was written is right or not
	wroteRight, readRight, n, leaked := 0, 0, 0, 0
	for _, r := range rs {
		if r.Leaked {
			leaked++
			continue
		}
		claims = append(claims, r.SelfClaim)
		if o := r.SelfClaim.Outcome(); r.Truth == "" || o != text.Right && o != text.Wrong {
			continue
		}
		n++
		wrote := r.Truth == r.Said
		if wrote {
			wroteRight++
		}
		if r.Truth == r.Done {
			readRight++
		}
		table[int(one(r.Said != r.Done))][int(one(!wrote))]++
	}
	out := agreement(claims, "consistency")
	return append(out,
		eval.Share("what it wrote is as asked (by code)", wroteRight, n),
		eval.Share("what it answered is right (by code)", readRight, n),
		eval.Share("consistent and right", table[0][0], n),
		eval.Share("consistent and wrong", table[0][1], n),
		eval.Share("inconsistent, what it wrote right", table[1][0], n),
		eval.Share("inconsistent, what it wrote wrong", table[1][1], n),
		eval.Share("questions that give their answer away, dropped", leaked, len(rs)))
}
