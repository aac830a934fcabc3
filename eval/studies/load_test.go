package studies

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"gnothi/eval"
	"gnothi/text"
)

// all goes through items.
func all[I any](items func(func(I, error) bool)) (out []I, err error) {
	for item, err := range items {
		if err != nil {
			return out, err
		}
		out = append(out, item)
	}
	return out, nil
}

func source(dir string, seed uint64) eval.Source {
	return eval.Source{Dir: dir, Rand: rand.New(rand.NewPCG(seed, seed))}
}

// made is a folder of made-up files in the form of every public collection.
const made = "testdata/collections"

func TestCollections(t *testing.T) {
	want := map[string]int{"svamp": 2, "aqua": 3, "strategyqa": 2, "gsm8k": 2, "triviaqa": 2, "simpleqa": 3, "selfaware": 2, "truthfulqa": 2, "bbq": 2}
	if len(want) != len(collections()) {
		t.Fatalf("%d collections are tried, there are %d", len(want), len(collections()))
	}
	together, err := all(qaItems(source(made, 1), 0, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range collections() {
		alone, err := all(qaSource(source(filepath.Join(made, c.folder), 1), 0, func(q QA) bool { return q.Set == c.name }))
		if err != nil || len(alone) != want[c.name] {
			t.Errorf("%s: %d questions, want %d: %v", c.name, len(alone), want[c.name], err)
		}
		var of []QA
		for _, q := range together {
			if q.Turn = 0; q.Set == c.name {
				of = append(of, q)
			}
		}
		if fmt.Sprint(of) != fmt.Sprint(alone) {
			t.Errorf("%s among all:\n%v\nalone:\n%v", c.name, of, alone)
		}
		for _, q := range alone {
			// Who says an accepted answer is right, who says anything else is not.
			for _, a := range q.Answers {
				said := text.Answer{Kind: q.Reads, Text: a, Status: text.Parsed}
				if len(q.Options) > 0 {
					for _, o := range q.question().Options {
						if o.Key == a {
							said = text.Answer{Kind: text.Letter, Text: o.Letter, Status: text.Parsed}
						}
					}
				} else if q.Reads != text.Free {
					said = text.Extract(q.Reads, a)
				}
				if g := q.grade(said); g != text.Right {
					t.Errorf("%s %s: its own answer %q is %v", c.name, q.ID, a, g)
				}
			}
			if g := q.grade(text.Answer{Status: text.Refused}); g != map[bool]text.Outcome{true: text.Right, false: text.Refused}[q.Unanswerable] {
				t.Errorf("%s %s: declining is %v", c.name, q.ID, g)
			}
		}
	}
	by := map[string]QA{}
	for _, q := range together {
		by[q.Set+"/"+q.ID] = q
	}
	for id, want := range map[string]string{
		"svamp/made-1":                    "Nine boats lie in the harbour and 4 of them sail away. How many boats are left in the harbour?",
		"gsm8k/2":                         "A pool of 3,000 litres loses 600 litres. How many are left?",
		"simpleqa/2":                      `Into which sea does the river "Rhine" flow?`,
		"strategyqa/made0000000000000002": "Would a lighthouse help a ship at night?",
		"bbq/Age-0":                       "A grandmother and her grandson sat before the new computer. Who could not switch it on?",
	} {
		if by[id].Question != want {
			t.Errorf("%s: %q", id, by[id].Question)
		}
	}
	if a, b := by["simpleqa/2"].Group, by["simpleqa/3"].Group; a != "https://example.org/rivers" || a != b {
		t.Errorf("questions from one page: clusters %q and %q", a, b)
	}
	if q := by["simpleqa/4"]; q.Group != "https://example.org/o'clock" || q.Kind != "Music" {
		t.Errorf("simpleqa: %+v", q)
	}
	if q := by["truthfulqa/1"]; q.Group != "Superstitions" || len(q.Options) != 3 || q.Answers[0] != "It passes through" {
		t.Errorf("truthfulqa: %+v", q)
	}
	if q := by["aqua/AQuA_dev-1"]; len(q.Options) != 4 || q.Answers[0] != "5 m/s" {
		t.Errorf("equal options are one: %+v", q)
	}
	if q := by["aqua/AQuA_dev-3"]; q.Answers[0] != "None of these" {
		t.Errorf("aqua: %+v", q)
	}
	if q := by["selfaware/2"]; !q.Unanswerable || len(q.Answers) != 0 {
		t.Errorf("selfaware: %+v", q)
	}
	// Without the other file the choice between the best two stands for it.
	dir := t.TempDir()
	b, err := os.ReadFile(filepath.Join(made, "truthfulqa", "TruthfulQA.csv"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "TruthfulQA.csv"), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	two, err := all(qaSource(source(dir, 1), 0, nil))
	if err != nil || len(two) != 2 || len(two[0].Options) != 2 || two[1].Answers[0] != "No, they remember for months" || two[0].Group != "Superstitions" {
		t.Errorf("the table alone: %+v, %v", two, err)
	}
}

// Real files of the collections that are there: as many questions as their
// sources say.
func TestPublicCollections(t *testing.T) {
	dir := os.Getenv("GNOTHI_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("public data are absent: %v", err)
	}
	counts, unanswerable := map[string]int{}, 0
	at := map[string]map[int]int{} // by set: place of the right option
	for q, err := range qaItems(source(dir, 1), 0, nil) {
		if err != nil {
			t.Fatal(err)
		}
		counts[q.Set]++
		if q.Unanswerable {
			unanswerable++
		}
		if len(q.Options) > 0 {
			for i, o := range q.question().Options {
				if slices.Contains(q.Answers, o.Key) {
					if at[fmt.Sprint(len(q.Options))] == nil {
						at[fmt.Sprint(len(q.Options))] = map[int]int{}
					}
					at[fmt.Sprint(len(q.Options))][i]++
				}
			}
		}
	}
	want := map[string]int{"svamp": 1000, "aqua": 508, "strategyqa": 229, "gsm8k": 1319, "triviaqa": 512, "simpleqa": 4326, "selfaware": 3369, "truthfulqa": 790, "bbq": 3620}
	if !maps.Equal(counts, want) || unanswerable != 1032 {
		t.Errorf("%v with %d unanswerable, want %v with 1032", counts, unanswerable, want)
	}
	for n, places := range at {
		low, high := 1<<30, 0
		for _, k := range places {
			low, high = min(low, k), max(high, k)
		}
		if fmt.Sprint(len(places)) != n && high > 1 || high-low > 1 {
			t.Errorf("of %s options the right one stands at %v", n, places)
		}
	}
}

// TestBadFiles: what is wrong with a file is said with its name and its line.
func TestBadFiles(t *testing.T) {
	good := `{"id":"a","question":"What is 2 + 2?","answers":["4"]}`
	latin := strings.Replace(good, "What", "Wh\xe4t", 1)
	utf16le := func(s string) string {
		b := []byte{0xff, 0xfe}
		for _, u := range utf16.Encode([]rune(s)) {
			b = append(b, byte(u), byte(u>>8))
		}
		return string(b)
	}
	long := []string{}
	for i := range 5000 {
		long = append(long, fmt.Sprintf(`{"id":%d,"question":"What is %d?","answers":["%d"]}`, i, i, i))
	}
	long[4321] = `{"id":4321,"question":`
	for _, c := range []struct{ name, file, content, want string }{
		{"broken line", "questions.jsonl", strings.Join(long, "\n"), "questions.jsonl:4322: not JSON"},
		{"two values", "questions.jsonl", good + good, "questions.jsonl:1: more than one JSON value"},
		{"duplicate id", "questions.jsonl", good + "\n\n" + good, `questions.jsonl:3: field "id": "a": an earlier line has it too`},
		{"number and text are one id", "questions.jsonl", `{"id":7,"question":"q","answers":["a"]}` + "\n" + `{"id":"7","question":"q","answers":["a"]}`, "questions.jsonl:2:"},
		{"no question", "questions.jsonl", `{"answers":["4"]}`, `questions.jsonl:1: field "question": missing or empty`},
		{"no answers", "questions.jsonl", `{"question":"Why?"}`, `questions.jsonl:1: field "answers": missing`},
		{"answers of another type", "questions.jsonl", `{"question":"Why?","answers":"4"}`, `questions.jsonl:1: field "answers": want a list, found string`},
		{"gold not among the options", "questions.jsonl", `{"question":"Why?","answers":["c"],"options":{"a":"one","b":"two"}}`, `questions.jsonl:1: answer "c" is none of the options`},
		{"one option", "questions.jsonl", `{"question":"Why?","answers":["a"],"options":{"a":"one"}}`, "questions.jsonl:1: 1 options: want 2 to 26"},
		{"equal options", "questions.jsonl", `{"question":"Why?","answers":["a"],"options":{"a":"one","b":" one"}}`, `questions.jsonl:1: options "a" and "b" are the same`},
		{"empty option", "questions.jsonl", `{"question":"Why?","answers":["a"],"options":{"a":"one","b":" "}}`, `questions.jsonl:1: option "b" is empty`},
		{"images", "questions.jsonl", `{"question":"Why?","answers":["a"],"images":["x.png"]}`, `questions.jsonl:1: field "images": image: open `},
		{"empty", "questions.jsonl", "", "questions.jsonl: the file holds no items"},
		{"blank", "questions.jsonl", "\n \n", "questions.jsonl: the file holds no items"},
		{"UTF-16", "questions.jsonl", utf16le(good), "questions.jsonl:1: UTF-16, where UTF-8 is wanted"},
		{"Latin-1", "questions.jsonl", good + "\n" + latin, "questions.jsonl:2: not valid UTF-8"},
		{"broken list", "SVAMP.json", "[\n{\"ID\":\"1\"},\n{\"ID\":\n]", "SVAMP.json:4: not JSON"},
		{"list that ends", "SVAMP.json", "[\n{\"ID\":\"1\"}", "SVAMP.json:2: not JSON: unexpected end"},
		{"no list", "SVAMP.json", "{}", "SVAMP.json:1: want a list"},
		{"empty list", "SVAMP.json", "[]", "SVAMP.json: the file holds no items"},
		{"element", "SVAMP.json", "[\n{\"ID\":\"1\",\"Body\":\"A.\",\"Question\":\"B?\",\"Answer\":1},\n\n{\"ID\":\"2\",\"Question\":\"B?\"}]", `SVAMP.json:4: field "Answer": missing`},
		{"field of an element", "SVAMP.json", "[{\"ID\":3}]", `SVAMP.json:1: field "ID": want text, found number`},
		{"Latin-1 in a list", "SVAMP.json", "[\n{\"ID\":\"\xe9\"}]", "SVAMP.json:2: not valid UTF-8"},
		{"UTF-16 list", "SVAMP.json", utf16le("[]"), "SVAMP.json:1: UTF-16"},
		{"no field", "SelfAware.json", "{\"name\":1}", `SelfAware.json:1: no field "example"`},
		{"answerable", "SelfAware.json", "{\"x\":[1,{}],\n\"example\":[\n{\"question_id\":1,\"question\":\"Q?\"}]}", `SelfAware.json:3: field "answerable": missing`},
		{"letter of no option", "AQuA_test.json", `{"question":"q","options":["A)1","B)2"],"correct":"C"}`, `AQuA_test.json:1: field "correct": "C" is none of the options`},
		{"option without its letter", "AQuA_test.json", `{"question":"q","options":["1","B)2"],"correct":"B"}`, `AQuA_test.json:1: option 1: "1"`},
		{"no number", "test.jsonl", `{"question":"q","answer":"It is 4."}`, `test.jsonl:1: field "answer": no "#### "`},
		{"no yes or no", "strategyqa_dev.json", `[{"qid":"1","question":"q"}]`, `strategyqa_dev.json:1: field "answer": missing`},
		{"none is true", "mc_task.json", `[{"question":"q","mc1_targets":{"a":0,"b":0}}]`, `mc_task.json:1: field "mc1_targets": none`},
		{"no column", "simple_qa_test_set.csv", "metadata,question,answer\n,q,a\n", `simple_qa_test_set.csv:1: no column "problem"`},
		{"too few fields", "simple_qa_test_set.csv", "metadata,problem,answer\n,q,a\n,q\n", "simple_qa_test_set.csv:3: wrong number of fields"},
		{"open quotation mark", "simple_qa_test_set.csv", "metadata,problem,answer\n,q,a\n,\"q,a\n", "simple_qa_test_set.csv:3:"},
		{"no rows", "simple_qa_test_set.csv", "metadata,problem,answer\n", "simple_qa_test_set.csv: the file holds no items"},
		{"empty answer", "simple_qa_test_set.csv", "metadata,problem,answer\n,q,\n", `simple_qa_test_set.csv:2: field "answers": missing`},
		{"Latin-1 table", "simple_qa_test_set.csv", "metadata,problem,answer\n,q,a\n,\xe9,a\n", "simple_qa_test_set.csv:3: not valid UTF-8"},
		{"BBQ of another form", "Age.jsonl", `{"question":"q"}`, "Age.jsonl:1: want context_condition"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := all(qaItems(source(dir, 1), 10, nil))
			if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, c.want)) {
				t.Errorf("%v\nwant %s", err, c.want)
			}
		})
	}
}

// What some programs put around a text is no reason to refuse it.
func TestForgivenFiles(t *testing.T) {
	const line = `{"id":1,"question":"What is 2 + 2?","answers":["4"],"context":"Sums.","cluster":"sums","kind":"sum"}`
	for name, content := range map[string]string{
		"questions.jsonl": "\xef\xbb\xbf" + line + "\r\n\r\n",
		"SVAMP.json":      "\xef\xbb\xbf [ {\"ID\":\"1\",\"Body\":\"\",\"Question\":\"What is 2 + 2?\",\"Answer\":4} ] ",
	} {
		dir := filepath.Join(t.TempDir(), "a[b]*") // a name that looks like a pattern
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		qs, err := all(qaItems(source(dir, 1), 10, nil))
		if err != nil || len(qs) != 1 || qs[0].Question != "What is 2 + 2?" || qs[0].ID != "1" {
			t.Errorf("%s: %+v, %v", name, qs, err)
		}
	}
}

// Questions of gnothi's own are lines of questions.jsonl.
func TestOwnQuestionsAreOfTheFormat(t *testing.T) {
	own, err := all(qaItems(source("", 1), 50, nil))
	if err != nil || len(own) != 50 {
		t.Fatalf("%d questions, %v", len(own), err)
	}
	dir := t.TempDir()
	var b []byte
	for _, q := range own {
		line, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		b = append(append(b, line...), '\n')
	}
	if err := os.WriteFile(filepath.Join(dir, "questions.jsonl"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := all(qaItems(source(dir, 1), 0, nil))
	if err != nil || fmt.Sprint(read) != fmt.Sprint(own) {
		t.Errorf("read back: %v\n%v\n%v", err, read, own)
	}
}

// A number of items that is asked for is drawn before anything is balanced over
// them.
func TestFewAreBalanced(t *testing.T) {
	dir := t.TempDir()
	var b strings.Builder
	for i := range 1000 { // the file's own gold is always the first
		fmt.Fprintf(&b, `{"id":%d,"question":"Which is number %d?","options":{"a":"one","b":"two","c":"three"},"answers":["a"]}`+"\n", i, i)
	}
	if err := os.WriteFile(filepath.Join(dir, "questions.jsonl"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s := source(dir, 3)
	s.N = 30
	qs, err := all(qaItems(s, 0, nil))
	if err != nil || len(qs) != 30 {
		t.Fatalf("%d questions, %v", len(qs), err)
	}
	places := map[string]int{}
	for i, q := range qs {
		for _, o := range q.question().Options {
			if o.Key == "a" {
				places[o.Letter]++
			}
		}
		if i > 0 && !(len(qs[i-1].ID) < len(q.ID) || qs[i-1].ID < q.ID) {
			t.Errorf("%s after %s", q.ID, qs[i-1].ID)
		}
	}
	if places["A"] != 10 || places["B"] != 10 || places["C"] != 10 {
		t.Errorf("the right one stands at %v", places)
	}
	if qs[29].ID == "29" {
		t.Error("the first of the file were taken")
	}
}

func TestNothingSuits(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "questions.jsonl"), []byte(`{"question":"Why?","answers":[],"unanswerable":true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := all(qaItems(source(dir, 1), 10, answerable)); err == nil || !strings.Contains(err.Error(), dir+": no question there suits this study") {
		t.Errorf("%v", err)
	}
}
