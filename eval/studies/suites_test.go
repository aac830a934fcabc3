package studies_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gnothi/catalog"
	"gnothi/eval"
	"gnothi/eval/studies"
	"gnothi/llm"
)

// mute can everything and says nothing: every item fails at its first call.
type mute struct{}

var errMute = errors.New("mute")

func (mute) ID() llm.ID                                      { return llm.ID{Provider: "script", Name: "mute"} }
func (mute) Can(llm.Ability) bool                            { return true }
func (mute) Do(context.Context, llm.Op) (*llm.Result, error) { return nil, errMute }

// itemsOf are the records of a suite's items, whatever became of them.
func itemsOf(t *testing.T, s eval.Suite, dir string, seed uint64, n int) []eval.Record {
	t.Helper()
	o := eval.Options{Source: eval.Source{Dir: dir, N: n}, Seed: seed, Log: eval.NewMemory()}
	if _, err := eval.Run(t.Context(), s, eval.Subject{Model: mute{}, Peers: []llm.Model{mute{}}}, o); err != nil {
		t.Fatalf("%s: %v", s.Describe().Name, err)
	}
	var out []eval.Record
	for r, err := range o.Log.Records(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func written(rs []eval.Record) string {
	var b bytes.Buffer
	for _, r := range rs {
		fmt.Fprintf(&b, "%s %s\n", r.Key, r.Item)
	}
	return b.String()
}

// TestEverySuite: the same seed makes the same items under the same keys, another
// seed makes others or puts them into another order, no key is there twice, and
// fewer items are some of all.
func TestEverySuite(t *testing.T) {
	names := map[string]bool{}
	for _, s := range catalog.Suites() {
		d := s.Describe()
		t.Run(d.Name, func(t *testing.T) {
			if names[d.Name] || d.Name == "" || strings.ContainsAny(d.Name, " ?=&/") {
				t.Errorf("name %q", d.Name)
			}
			names[d.Name] = true
			if d.About == "" || len(d.About) > 110 {
				t.Errorf("about: %q", d.About)
			}
			one, again, other := itemsOf(t, s, "", 7, 0), itemsOf(t, s, "", 7, 0), itemsOf(t, s, "", 8, 0)
			if len(one) < 5 {
				t.Errorf("%d items without data", len(one))
			}
			if written(one) != written(again) {
				t.Error("the same seed makes other items")
			}
			if written(one) == written(other) {
				t.Error("another seed makes the same items in the same order")
			}
			keys := map[string]bool{}
			for i, r := range one {
				if r.Index != i || r.Key == "" || keys[r.Key] {
					t.Errorf("item %d: index %d, key %q", i, r.Index, r.Key)
				}
				keys[r.Key] = true
			}
			for _, limit := range []int{1, 4} {
				if n, err := eval.Count(s, eval.Options{Source: eval.Source{N: limit}, Seed: 7}); n != limit {
					t.Errorf("%d items of a limit of %d: %v", n, limit, err)
				}
			}
		})
	}
}

// formats is the file that the user's items come from, by suite. Those that read
// questions, or the files of public collections, are in loads.
var formats = map[string]string{
	"line-of-duty-feasibility":         "tasks.jsonl",
	"self-familiarity":                 "concepts.jsonl",
	"self-knowledge-first-generate":    "answers.jsonl",
	"introspection-self-prediction":    "prompts.jsonl",
	"behavioral-self-awareness":        "battery.jsonl",
	"self-recognition-self-preference": "articles.jsonl",
	"debate-overconfidence":            "motions.jsonl",
	"designed-to-hallucinate":          "probes.jsonl",
	"rose-frame":                       "dialogues.jsonl",
	"profoundness-bias":                "statements.jsonl",
	"self-rewarding-self-improving":    "puzzles.jsonl",
	"reflect-retry-reward":             "puzzles.jsonl",
	"perspective-taking-prompting-pet": "prompts.jsonl",
	"patternreframe":                   "thoughts.jsonl",
	"historical-analogy":               "events.jsonl",
	"dbg-score":                        "pairs.jsonl",
	"reflection-in-pretraining":        "chains.jsonl",
	"mistake-location":                 "chains.jsonl",
	"unknowns":                         "unknowns.jsonl",
	"self-explanation-consistency":     "paragraphs.jsonl",
}

// What a suite makes up is of the format that it reads.
func TestSamplesAreOfTheFormat(t *testing.T) {
	for _, s := range catalog.Suites() {
		name := s.Describe().Name
		file, ok := formats[name]
		if !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			made := itemsOf(t, s, "", 3, 0)
			dir := t.TempDir()
			var lines, want []string
			for _, r := range made {
				lines, want = append(lines, string(r.Item)), append(want, string(r.Item))
			}
			writeLines(t, filepath.Join(dir, file), lines...)
			var got []string
			for _, r := range itemsOf(t, s, dir, 4, 0) {
				got = append(got, string(r.Item))
			}
			if !slices.Equal(got, want) {
				t.Errorf("read back:\n%s\nwritten:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			// And a line that is none is told by its number.
			writeLines(t, filepath.Join(dir, file), lines[0], `{"`)
			_, err := eval.Run(t.Context(), s, eval.Subject{Model: mute{}}, eval.Options{Source: eval.Source{Dir: dir}, Seed: 1})
			if err == nil || !strings.Contains(err.Error(), file+":2: not JSON") {
				t.Errorf("a broken line: %v", err)
			}
			writeLines(t, filepath.Join(dir, file), `{}`)
			if _, err := eval.Run(t.Context(), s, eval.Subject{Model: mute{}}, eval.Options{Source: eval.Source{Dir: dir}, Seed: 1}); err == nil && name != "designed-to-hallucinate" || err != nil && !strings.Contains(err.Error(), file+":1: ") {
				t.Errorf("an item without anything in it: %v", err)
			}
		})
	}
}

// loads is how many items the suites make of the public collections where they
// lie together.
var loads = map[string]int{
	"qa": 15673, "self-debiasing-zero-shot": 3620, "moral-self-correction": 3620 + 120 + 4, "mistake-location": 2186, "reflection-in-pretraining": 1523, "dbg-score": 999,
	"icf-exam-metacognition": 5147, "line-of-duty-feasibility": 800,
}

func TestSuitesOfPublicData(t *testing.T) {
	dir := filepath.Dir(data(t, "small-qa"))
	for _, name := range slices.Sorted(maps.Keys(loads)) {
		s, err := catalog.Suite(name)
		if err != nil {
			t.Fatal(err)
		}
		rs := itemsOf(t, s, dir, 1, 0)
		if len(rs) != loads[name] {
			t.Errorf("%s: %d items, want %d", name, len(rs), loads[name])
		}
		for _, r := range rs {
			if !strings.Contains(r.Error, errMute.Error()) {
				t.Errorf("%s, item %d: %s", name, r.Index, r.Error)
				break
			}
		}
	}
}

// shown tells at which place of how many an item shows what is right, or what
// stands for 1.
func shown(t *testing.T, name string, raw json.RawMessage) (place, of int, ok bool) {
	t.Helper()
	var item struct {
		studies.QA
		BBQ       *studies.BBQ       `json:"bbq"`
		Pronoun   *studies.Pronoun   `json:"pronoun"`
		Admission *studies.Admission `json:"admission"`
		Options   json.RawMessage    `json:"options"`
		Turn      int                `json:"turn"`
		Right     *int               `json:"right"`
		High      string             `json:"high"`
		Low       string             `json:"low"`
		Form      string             `json:"form"`
		Prompt    string             `json:"prompt"`
		Property  string             `json:"property"`
		Motion    string             `json:"motion"`
		Against   bool               `json:"against"`
	}
	if err := json.Unmarshal(raw, &item); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	at := func(i, n, turn int) (int, int, bool) { return ((i-turn)%n + n) % n, n, true }
	switch {
	case item.BBQ != nil:
		return at(item.BBQ.Right, 3, item.BBQ.Turn)
	case item.Pronoun != nil:
		return at(0, 3, item.Pronoun.Turn)
	case item.Admission != nil:
		return map[bool]int{true: 1}[item.Admission.NoFirst], 2, true
	case item.Right != nil && item.Options != nil: // a question of BBQ
		return at(*item.Right, 3, item.Turn)
	case item.Form == "gamble" || item.Form == "choice":
		return map[string]int{"B": 1}[item.High], 2, true
	case item.Property == "option":
		var options []string
		if err := json.Unmarshal(item.Options, &options); err != nil {
			t.Fatal(err)
		}
		// By the place in the alphabet, as good as any that hangs on the content alone.
		return map[bool]int{true: 1}[options[0] > options[1]], 2, false // the pairs are not of even number
	case item.Motion != "":
		return map[bool]int{true: 1}[item.Against], 2, true
	case len(item.Options) > 0:
		var options map[string]string
		if err := json.Unmarshal(item.Options, &options); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i, key := range slices.Sorted(maps.Keys(options)) {
			if slices.Contains(item.Answers, key) || slices.Contains(item.Answers, options[key]) {
				return at(i, len(options), item.Turn)
			}
		}
		t.Errorf("%s: none of the options is right: %s", name, raw)
	}
	return 0, 0, false
}

// TestPlacesAreBalanced: with a file whose right option is always the first, or
// the last, it is shown in each place equally often by every suite that shows
// options.
func TestPlacesAreBalanced(t *testing.T) {
	dir := t.TempDir()
	questions, bbq := []string{`{"id":"open","question":"Which is open?","answers":["this"]}`}, []string{}
	for i := range 120 {
		questions = append(questions, fmt.Sprintf(`{"id":"q%d","question":"Which is number %d?","options":{"a":"one","b":"two","c":"three","d":"four"},"answers":["%c"],"level":1}`, i, i, 'a'+3*rune(i%2)))
		bbq = append(bbq, fmt.Sprintf(`{"example_id":%d,"question_index":"1","question_polarity":"neg","context_condition":"ambig","category":"Age","answer_info":{"ans0":["a","old"],"ans1":["b","nonOld"],"ans2":["c","unknown"]},"additional_metadata":{"stereotyped_groups":["old"]},"context":"Number %d.","question":"Who?","ans0":"The a","ans1":"The b","ans2":"Nobody knows","label":2}`, i, i))
	}
	writeLines(t, filepath.Join(dir, "questions.jsonl"), questions...)
	writeLines(t, filepath.Join(dir, "Age.jsonl"), bbq...)
	balanced := map[string]bool{}
	for where, limits := range map[string][]int{"": {0}, dir: {0, 48}} {
		for _, limit := range limits {
			for _, s := range catalog.Suites() {
				name := s.Describe().Name
				places := map[int][]int{} // by number of options
				for _, r := range itemsOf(t, s, where, 5, limit) {
					if place, of, ok := shown(t, name, r.Item); ok {
						if places[of] == nil {
							places[of] = make([]int, of)
						}
						places[of][place]++
					}
				}
				for of, n := range places {
					balanced[name] = true
					// Of a limit that the run draws itself, some of the last round is missing.
					if spread := slices.Max(n) - slices.Min(n); spread > 1 && (limit == 0 || where != "") && name != "debate-overconfidence" || spread > 4 && limit == 0 {
						t.Errorf("%s (data %q, limit %d): of %d places the right one is at %v", name, filepath.Base(where), limit, of, n)
					}
				}
			}
		}
	}
	for _, name := range []string{"qa", "p-true-p-ik", "icf-exam-metacognition", "self-reflection-agents", "thinking-out-loud-lrm-calibration", "self-debiasing-zero-shot", "moral-self-correction", "behavioral-self-awareness", "debate-overconfidence"} {
		if !balanced[name] {
			t.Errorf("%s shows no options", name)
		}
	}
}

// What is wrong with the data is an error before the first call, whatever the
// suite.
func TestBadDataOfSuites(t *testing.T) {
	for _, c := range []struct{ suite, file, content, want string }{
		{"self-debiasing-zero-shot", "preds_Age.jsonl", "{\n", "preds_Age.jsonl:1: not JSON"},
		{"moral-self-correction", "winogender_all_sentences.tsv", "sentid\tsentence\nx.y\tThe x.\n", `winogender_all_sentences.tsv:2: sentid "x.y"`},
		{"mistake-location", "word_sorting.jsonl", `{"input":"a","target":"b","steps":["c"],"mistake_index":1}` + "\n", "word_sorting.jsonl:1: mistake_index 1: there are 1 steps"},
		{"dbg-score", "testset-v1.json", `[{"instruction":"a","response1":"b","response2":"c","annotator1":3}]`, `testset-v1.json:1: field "annotator1"`},
		{"knowrl", "seeds.jsonl", `{"task":"a","category":"Maybe"}`, "seeds.jsonl:1: want a task and a category"},
		{"qa", "questions.jsonl", "\xff\xfe{\x00}\x00", "questions.jsonl:1: UTF-16"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		writeLines(t, filepath.Join(dir, "winogender_occupations-stats.tsv"), "occupation\tbls_pct_female", "x\t50")
		s, err := catalog.Suite(c.suite)
		if err != nil {
			t.Fatal(err)
		}
		_, err = eval.Run(t.Context(), s, eval.Subject{Model: mute{}}, eval.Options{Source: eval.Source{Dir: dir}, Seed: 1})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.suite, err, c.want)
		}
	}
}
