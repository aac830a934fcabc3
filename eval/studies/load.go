package studies

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gnothi/eval"
	"gnothi/internal/images"
	"gnothi/internal/jsonl"
	"gnothi/text"
)

// collection is a set of questions that a folder may hold, and how its files are
// read. The reader hands over one question after the other; an error of use comes
// back with file and line.
type collection struct {
	name   string
	folder string   // in which it lies among other collections
	files  []string // patterns, of which the first that is there counts
	read   func(path string, use func(QA) error) error
}

// collections are those that the suite qa, and every study of questions, finds by
// the names of their files. A file questions.jsonl goes before all others.
func collections() []collection {
	return []collection{
		{"svamp", "small-qa", []string{"SVAMP.json"}, readSVAMP},
		{"aqua", "small-qa", []string{"AQuA_*.json"}, readAQuA},
		{"strategyqa", "small-qa", []string{"strategyqa_*.json"}, readStrategyQA},
		{"gsm8k", "gsm8k-model-solutions", []string{"test.jsonl"}, readGSM8K},
		{"triviaqa", "triviaqa-gemma2b-samples", []string{"batch_*.json"}, readTriviaQA},
		{"simpleqa", "simpleqa", []string{"simple_qa_test_set.csv"}, readSimpleQA},
		{"selfaware", "selfaware", []string{"SelfAware.json"}, readSelfAware},
		{"truthfulqa", "truthfulqa", []string{"mc_task.json", "TruthfulQA.csv"}, readTruthfulQA},
		{"bbq", bbqFolder, bbqFiles, readBBQQuestions},
	}
}

// errStop ends a reading early.
var errStop = errors.New("enough")

// loaded are the questions of the user's folder in the order of their files; ok is
// false where there are none. Each collection's ids are its own.
func loaded(s eval.Source) (items iter.Seq2[QA, error], ok bool) {
	type part struct {
		collection
		paths []string
	}
	var parts []part
	if paths := found(s, "", compressed("questions.jsonl")...); len(paths) > 0 {
		parts = append(parts, part{collection{read: readQuestions}, paths[:1]})
	} else {
		for _, c := range collections() {
			for _, pattern := range c.files {
				if paths := found(s, c.folder, pattern); len(paths) > 0 {
					parts = append(parts, part{c, paths})
					if c.name != "bbq" {
						break
					}
				}
			}
		}
	}
	return func(yield func(QA, error) bool) {
		for _, p := range parts {
			seen := ids{}
			for _, path := range p.paths {
				err := p.read(path, func(q QA) error {
					if q.Set == "" {
						q.Set = p.name
					}
					if err := seen.add(q.ID); err != nil {
						return err
					}
					if err := q.check(); err != nil {
						return err
					}
					if !yield(q, nil) {
						return errStop
					}
					return nil
				})
				if errors.Is(err, errStop) {
					return
				}
				if err != nil {
					yield(QA{}, err)
					return
				}
			}
		}
	}, len(parts) > 0
}

// ids remembers ids by their hash: of a million, two are taken for the same with
// a probability of one in ten million.
type ids map[uint64]struct{}

func (s ids) add(id string) error {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // never fails
	if _, dup := s[h.Sum64()]; dup {
		return fmt.Errorf("field \"id\": %q: an earlier line has it too", id)
	}
	s[h.Sum64()] = struct{}{}
	return nil
}

// check says what is wrong with a question.
func (q QA) check() error {
	switch n := len(q.Options); {
	case strings.TrimSpace(q.Question) == "":
		return errors.New(`field "question": missing or empty`)
	case len(q.Answers) == 0 && !q.Unanswerable:
		return errors.New(`field "answers": missing: without accepted answers nothing can be graded`)
	case n == 1 || n > maxOptions:
		return fmt.Errorf("%d options: want 2 to %d", n, maxOptions)
	case n == 0 && (q.Reads == text.Letter || q.Reads == text.Label):
		return fmt.Errorf("field \"reads\": %v: want free, number or bool; options are read by their letters anyway", q.Reads)
	case n == 0:
		return nil
	}
	byText := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(q.Options)) {
		words := strings.TrimSpace(q.Options[key])
		if words == "" {
			return fmt.Errorf("option %q is empty", key)
		}
		if other, dup := byText[words]; dup {
			return fmt.Errorf("options %q and %q are the same: %q", other, key, text.Clip(words, 60))
		}
		byText[words] = key
	}
	for _, a := range q.Answers {
		if len(q.keys(a)) == 0 {
			return fmt.Errorf("answer %q is none of the options", text.Clip(a, 60))
		}
	}
	return nil
}

// maxOptions is how many letters there are.
const maxOptions = 26

// keys are the options that an accepted answer is, by key or else by text.
func (q QA) keys(answer string) (out []string) {
	if _, ok := q.Options[answer]; ok {
		return []string{answer}
	}
	same := func(a, b string) bool { return strings.TrimSpace(a) == strings.TrimSpace(b) }
	for range 2 { // as it is written, or else in the same words
		for _, key := range slices.Sorted(maps.Keys(q.Options)) {
			if same(q.Options[key], answer) {
				out = append(out, key)
			}
		}
		if len(out) > 0 {
			break
		}
		same = func(a, b string) bool { a, b = text.Normalise(a), text.Normalise(b); return a != "" && a == b }
	}
	return out
}

// turned turns the options of each question so that the right one stands in each
// place equally often: once in every n questions of n options, in a drawn order.
// Of several right ones the first counts.
func turned(s eval.Source, items iter.Seq2[QA, error]) iter.Seq2[QA, error] {
	return func(yield func(QA, error) bool) {
		next := places{rng: s.Rand}
		for q, err := range items {
			if err == nil {
				q.Turn = next.of(q)
			}
			if !yield(q, err) {
				return
			}
		}
	}
}

// places gives out the places of n things equally often: each once a round, in an
// order drawn for the round.
type places struct {
	rng  *rand.Rand
	owed map[int][]int // by n: the places that this round still owes
}

// turn is by how many places n things are turned to the left, so that the one at
// a place of its own comes to the next place.
func (p *places) turn(n, from int) int {
	if p.owed == nil {
		p.owed = map[int][]int{}
	}
	if len(p.owed[n]) == 0 {
		p.owed[n] = p.rng.Perm(n)
	}
	to := p.owed[n][0]
	p.owed[n] = p.owed[n][1:]
	return ((from-to)%n + n) % n
}

// of is the turn of a question's options, whose right one comes to the next place.
func (p *places) of(q QA) int {
	if len(q.Options) < 2 {
		return 0
	}
	right := 0
	if len(q.Answers) > 0 {
		if keys := q.keys(q.Answers[0]); len(keys) > 0 {
			right = slices.Index(slices.Sorted(maps.Keys(q.Options)), keys[0])
		}
	}
	return p.turn(len(q.Options), right)
}

// options makes options keyed by what they say, and the right one's key. Equal
// ones become one; an empty one that is not right is none.
func options(right string, all ...string) (map[string]string, []string) {
	out := map[string]string{}
	for _, o := range append(slices.Clone(all), right) {
		if o = strings.TrimSpace(o); o != "" || strings.TrimSpace(right) == "" {
			out[o] = o
		}
	}
	return out, []string{strings.TrimSpace(right)}
}

// questionLine is a line of the contract's questions.jsonl.
type questionLine struct {
	ID           looseID           `json:"id"`
	Question     string            `json:"question"`
	Context      string            `json:"context"`
	Answers      []string          `json:"answers"`
	Options      map[string]string `json:"options"`
	Images       []string          `json:"images"`
	Reads        text.Kind         `json:"reads"`
	Kind         string            `json:"kind"`
	Cluster      string            `json:"cluster"`
	Level        int               `json:"level"`
	Unanswerable bool              `json:"unanswerable"`
	Disputed     bool              `json:"disputed"`
}

func readQuestions(path string, use func(QA) error) error {
	return eachDecoded(path, func(n int, in questionLine) error {
		urls, err := images.URLs(filepath.Dir(path), in.Images) // in the item, so that it can be asked anywhere
		if err != nil {
			return fmt.Errorf("field \"images\": %w", err)
		}
		if in.ID == "" {
			in.ID = looseID(strconv.Itoa(n))
		}
		return use(QA{
			Images: urls,
			ID:     string(in.ID), Question: in.Question, Context: in.Context, Answers: in.Answers, Options: in.Options, Reads: in.Reads,
			Kind: in.Kind, Group: in.Cluster, Level: in.Level, Unanswerable: in.Unanswerable, Disputed: in.Disputed,
		})
	})
}

// looseID is an id that is text or a number.
type looseID string

// UnmarshalJSON keeps a number as it is written.
func (id *looseID) UnmarshalJSON(raw []byte) error {
	if n := len(raw) - 1; n > 0 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) { // as most are
		*id = looseID(raw[1:n])
		return nil
	}
	var number json.Number
	if json.Unmarshal(raw, &number) == nil {
		*id = looseID(number)
		return nil
	}
	return json.Unmarshal(raw, (*string)(id))
}

func readSVAMP(path string, use func(QA) error) error {
	return eachElement(path, "", func(_ int, b []byte) error {
		var in struct {
			ID, Body, Question string
			Answer             json.Number
		}
		if err := jsonl.Decode(b, &in); err != nil {
			return err
		}
		if in.Answer == "" {
			return errors.New(`field "Answer": missing`)
		}
		return use(QA{ID: in.ID, Question: strings.TrimSpace(sentence(in.Body) + " " + in.Question), Answers: []string{in.Answer.String()}, Reads: text.Number})
	})
}

// sentence ends a text with a full stop where it has no end.
func sentence(s string) string {
	if s = strings.TrimSpace(s); s != "" && !strings.ContainsAny(s[len(s)-1:], ".!?") {
		s += "."
	}
	return s
}

// readAQuA reads lines whose options begin with their letters, which are left
// off: an option is known by what it says.
func readAQuA(path string, use func(QA) error) error {
	name := strings.TrimSuffix(filepath.Base(path), ".json")
	return eachLine(path, func(n int, line []byte) error {
		var in struct {
			Question string   `json:"question"`
			Options  []string `json:"options"`
			Correct  string   `json:"correct"`
		}
		if err := jsonl.Decode(line, &in); err != nil {
			return err
		}
		var all []string
		right := ""
		for i, o := range in.Options {
			letter, words, ok := strings.Cut(o, ")")
			if !ok || strings.TrimSpace(words) == "" {
				return fmt.Errorf("option %d: %q: want a letter, a bracket and the option", i+1, o)
			}
			if all = append(all, words); strings.TrimSpace(letter) == in.Correct {
				right = words
			}
		}
		if right == "" {
			return fmt.Errorf("field \"correct\": %q is none of the options", in.Correct)
		}
		q := QA{ID: fmt.Sprintf("%s-%d", name, n), Question: in.Question}
		q.Options, q.Answers = options(right, all...)
		return use(q)
	})
}

func readStrategyQA(path string, use func(QA) error) error {
	return eachElement(path, "", func(_ int, b []byte) error {
		var in struct {
			ID       string `json:"qid"`
			Term     string `json:"term"`
			Question string `json:"question"`
			Answer   *bool  `json:"answer"`
		}
		if err := jsonl.Decode(b, &in); err != nil {
			return err
		}
		if in.Answer == nil {
			return errors.New(`field "answer": missing`)
		}
		return use(QA{ID: in.ID, Question: in.Question, Answers: []string{yesNo(*in.Answer)}, Reads: text.Bool, Group: in.Term})
	})
}

// readGSM8K reads lines whose answer ends in "#### " and the number.
func readGSM8K(path string, use func(QA) error) error {
	return eachLine(path, func(n int, line []byte) error {
		var in struct{ Question, Answer string }
		if err := jsonl.Decode(line, &in); err != nil {
			return err
		}
		_, number, ok := strings.Cut(in.Answer, "####")
		if number = strings.TrimSpace(number); !ok || number == "" {
			return errors.New(`field "answer": no "#### " with the number at its end`)
		}
		return use(QA{ID: fmt.Sprint(n), Question: in.Question, Answers: []string{number}, Reads: text.Number})
	})
}

func readTriviaQA(path string, use func(QA) error) error {
	return eachElement(path, "", func(_ int, b []byte) error {
		var in struct {
			ID       string   `json:"question_id"`
			Question string   `json:"question"`
			Answers  []string `json:"correct_answer"`
		}
		if err := jsonl.Decode(b, &in); err != nil {
			return err
		}
		return use(QA{ID: in.ID, Question: in.Question, Answers: in.Answers})
	})
}

// simpleMeta finds in the metadata, which are written as Python writes a
// dictionary, the topic and the first source.
var simpleMeta = regexp.MustCompile(`'topic': '([^']*)'.*'urls': \[(?:'([^']*)'|"([^"]*)")`)

// readSimpleQA reads the table. Questions from the same page are related.
func readSimpleQA(path string, use func(QA) error) error {
	return eachRow(path, ',', []string{"metadata", "problem", "answer"}, func(line int, row []string) error {
		q := QA{ID: fmt.Sprint(line), Question: row[1], Answers: []string{row[2]}}
		if m := simpleMeta.FindStringSubmatch(row[0]); m != nil {
			q.Kind, q.Group = m[1], m[2]+m[3]
		}
		if row[2] == "" {
			q.Answers = nil
		}
		return use(q)
	})
}

func readSelfAware(path string, use func(QA) error) error {
	return eachElement(path, "example", func(_ int, b []byte) error {
		var in struct {
			ID         looseID  `json:"question_id"`
			Question   string   `json:"question"`
			Answers    []string `json:"answer"`
			Answerable *bool    `json:"answerable"`
			Source     string   `json:"source"`
		}
		if err := jsonl.Decode(b, &in); err != nil {
			return err
		}
		if in.Answerable == nil {
			return errors.New(`field "answerable": missing`)
		}
		return use(QA{ID: string(in.ID), Question: in.Question, Answers: in.Answers, Unanswerable: !*in.Answerable, Kind: in.Source})
	})
}

// readTruthfulQA reads the choice of one true answer (MC1) or, from the table,
// the choice between the best true and the best false answer.
func readTruthfulQA(path string, use func(QA) error) error {
	if strings.HasSuffix(path, ".csv") {
		return eachRow(path, ',', []string{"Category", "Question", "Best Answer", "Best Incorrect Answer"}, func(line int, row []string) error {
			q := QA{ID: fmt.Sprint(line), Question: row[1], Kind: row[0], Group: row[0]}
			q.Options, q.Answers = options(row[2], row[3])
			return use(q)
		})
	}
	categories := map[string]string{} // where the table is beside it
	if table := filepath.Join(filepath.Dir(path), "TruthfulQA.csv"); len(found(eval.Source{Dir: filepath.Dir(path)}, "", "TruthfulQA.csv")) > 0 {
		if err := eachRow(table, ',', []string{"Category", "Question"}, func(_ int, row []string) error {
			categories[row[1]] = row[0]
			return nil
		}); err != nil {
			return err
		}
	}
	n := 0
	return eachElement(path, "", func(_ int, b []byte) error {
		var in struct {
			Question string         `json:"question"`
			Targets  map[string]int `json:"mc1_targets"`
		}
		if err := jsonl.Decode(b, &in); err != nil {
			return err
		}
		n++
		q := QA{ID: fmt.Sprint(n), Question: in.Question, Kind: categories[in.Question]}
		q.Group = q.Kind
		right := ""
		for words, true := range in.Targets {
			if true == 1 {
				right = words
			}
		}
		if right == "" {
			return errors.New(`field "mc1_targets": none of the answers is marked as true`)
		}
		q.Options, q.Answers = options(right, slices.Collect(maps.Keys(in.Targets))...)
		return use(q)
	})
}

// readBBQQuestions reads the benchmark as plain questions with three options.
func readBBQQuestions(path string, use func(QA) error) error {
	return eachBBQ(path, func(b BBQ) error {
		q := QA{ID: b.ID, Question: b.Context + " " + b.Question, Kind: b.Category, Group: b.Template}
		q.Options, q.Answers = options(b.Options[b.Right], b.Options[:]...)
		return use(q)
	})
}
