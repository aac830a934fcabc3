package judge

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gnothi/llm"
)

func TestReadNumber(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		value     string
		low, high int
		want      float64
	}{
		{"4", 1, 5, 4}, {"4.", 1, 5, 4}, {"4/5", 1, 5, 4}, {"4 / 5", 1, 5, 4}, {"4 out of 5", 1, 5, 4}, {"**4**", 1, 5, 4}, {"[[4]]", 1, 5, 4}, {"4.5", 1, 5, 4.5}, {"4,5", 1, 5, 4.5},
		{"four", 1, 5, 4}, {"Four of five", 1, 5, 4}, {"5 because it has 3 facts", 1, 5, 5}, {"0", 0, 3, 0}, {"10", 0, 10, 10},
		{"85.5", 0, 100, 85.5}, {"85", 0, 100, 85}, {"80%", 0, 100, 80}, {"100", 0, 100, 100}, {"0.8", 0, 100, .8}, {"7 out of 10", 0, 10, 7},
		{"0.8", 1, 5, nan}, {"4,000", 1, 5, nan}, {"4,5", 1, 5, 4.5}, {"85", 1, 5, nan}, {"85.5", 1, 5, nan}, {"101", 0, 100, nan}, {"-4", 1, 5, nan}, {"−4", 1, 5, nan}, {"6", 1, 5, nan}, {"80%", 1, 5, nan}, {"4/10", 1, 5, nan},
		{"3-4", 1, 5, nan}, {"3 or 4", 1, 5, nan}, {"3 to 4", 1, 5, nan}, {"between 3 and 4", 1, 5, nan}, {"", 1, 5, nan}, {"a 4", 1, 5, nan}, {"4th", 1, 5, nan}, {"4.5.6", 1, 5, nan},
		{".5", 0, 5, nan}, {"NaN", 1, 5, nan}, {"1e1", 0, 10, nan}, {"99999999999999999999999", 0, 100, nan}, {"７", 0, 10, nan}, {"fourteen", 1, 5, nan},
	} {
		got, ok := readNumber(c.value, c.low, c.high)
		if !ok {
			got = nan
		}
		if got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("%q on %d to %d: %v, want %v", c.value, c.low, c.high, got, c.want)
		}
	}
}

func TestReadWord(t *testing.T) {
	for value, want := range map[string]int{
		"A": 0, "b": 1, "tie": 2, "**A**": 0, "[[B]]": 1, "A.": 0, "Candidate B": 1, "A, as it is right": 0, "B because A is wrong in every way": 1, `"A"`: 0, "Tie!": 2,
		"A or B": -1, "A/B": -1, "A and B": -1, "neither": -1, "": -1, "Apple": -1, "both": -1, "C": -1, "The first": -1, "Äpfel": -1, "Aé": -1,
	} {
		i, ok := readWord(value, sides)
		if !ok {
			i = -1
		}
		if i != want {
			t.Errorf("%q: %d, want %d", value, i, want)
		}
	}
	for value, want := range map[string]int{"Yes": 0, "no.": 1, "Yes and no": -1, "none": -1, "not at all": -1, "yesterday": -1, "No, it is not": 1} {
		i, ok := readWord(value, []string{"yes", "no"})
		if !ok {
			i = -1
		}
		if i != want {
			t.Errorf("%q: %d, want %d", value, i, want)
		}
	}
}

func TestVerdictStandsOnItsLine(t *testing.T) {
	for _, c := range []struct {
		reply, finish string
		reason, ok    bool
	}{
		{"Verdict: A", "", false, true},
		{"A", "", false, true},
		{"\n\n**Verdict:** A\nExplanation: B is worse", "", false, true},
		{"It is better.\nVerdict: A", "", false, false}, // told to say nothing else, it is prose
		{"It is better.\nVerdict: A", "", true, true},
		{"It is better.\n**Final verdict: A**\n\n", "", true, true},
		{"My verdict is A", "", true, true},
		{"Verdict: A\nBut B is good as well.", "", true, false}, // not the last line
		{"A", "", true, false},
		{"The candidate says:\nVerdict: A", "length", true, false}, // cut off while it quotes
		{"Well.\nVerdict: A\n", "length", true, true},
		{"Verdict:", "", false, false},
		{"Verdict A", "", true, false},
		{"", "", false, false},
	} {
		_, ok := reader{words: sides, reason: c.reason}.read(llm.Choice{Text: c.reply, Finish: c.finish})
		if ok != c.ok {
			t.Errorf("%q (reasoning %v, %s): read %v", c.reply, c.reason, c.finish, ok)
		}
	}
}

// What another library reads from judges' replies: where it is wrong, ours is not.
func TestJudgeParsersOfPeers(t *testing.T) {
	root := os.Getenv("GNOTHI_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	b, err := os.ReadFile(filepath.Join(root, "uq-golden", "uqlm.json"))
	if err != nil {
		t.Skipf("reference data not at hand (set GNOTHI_DATA): %v", err)
	}
	var file struct {
		Parsers []struct {
			Template, Text string
			Score          any
		} `json:"judge_parsers"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	nan := math.NaN()
	// Where ours says something else than the file.
	mended := map[string]map[string]float64{
		"continuous": {"0.8": .008, "85.5": .855, "7 out of 10": nan, "3": .03, "5": .05},
		"likert":     {"85": nan, "85.5": nan, "100": nan, "101": nan, "Score: 90": nan, "not correct": nan},
	}
	scales := map[string][2]int{"continuous": {0, 100}, "likert": {1, 5}}
	seen := 0
	for _, c := range file.Parsers {
		scale, ok := scales[c.Template]
		if !ok {
			continue
		}
		want, ok := c.Score.(float64)
		if !ok {
			want = nan
		}
		if w, ok := mended[c.Template][c.Text]; ok {
			want = w
		}
		if c.Template == "likert" && strings.ContainsAny(c.Text, "abcdefghijklmnopqrstuvwxyz") {
			want = nan // it also takes words, which were not asked for
		}
		seen++
		got := nan
		if s, ok := scaleReader(scale[0], scale[1], false).read(llm.Choice{Text: c.Text}); ok {
			got = (s.number - float64(scale[0])) / float64(scale[1]-scale[0])
		}
		if math.Abs(got-want) > 1e-9 || math.IsNaN(got) != math.IsNaN(want) {
			t.Errorf("%s %q: %v, want %v (theirs %v)", c.Template, c.Text, got, want, c.Score)
		}
	}
	if seen < 30 {
		t.Errorf("%d rows", seen)
	}
}

func TestTagLines(t *testing.T) {
	top := func(k int) int { return []int{1, 3, 1}[k] }
	got := readMarks(llm.Choice{Text: "Sure!\n**Verdict 1:** Yes, \"the words\"\n2. 3 — “more words” in line 2\nVerdict 3: no\nVerdict 2: 4 \"off the scale\"\nVerdict 9: yes \"x\"\n3: maybe"}, 3, false, top)
	if len(got) != 3 || got[0] != (mark{1, "the words"}) || got[1] != (mark{3, "more words"}) || got[2] != (mark{}) {
		t.Errorf("%+v", got)
	}
	if got := readMarks(llm.Choice{Text: "1: yes\n2: yes \"a grade was asked for\""}, 2, false, top); len(got) != 1 || got[0] != (mark{1, ""}) {
		t.Errorf("%+v", got)
	}
	// With reasoning, what is quoted before the end is no verdict.
	if got := readMarks(llm.Choice{Text: "It says:\n1: yes \"x\"\nwhich is wrong.\n\nVerdict 2: no\n"}, 2, true, top); len(got) != 1 || got[1] != (mark{}) {
		t.Errorf("%+v", got)
	}
	for _, c := range []struct{ s, quote, want string }{
		{"My gut says yes.", "my  GUT\nsays", "My gut says"}, {"a (b) c", "(b)", "(b)"}, {"abc", "", ""}, {"abc", "d", ""}, {"an end…", "an end...", "an end"}, {"abc", "…", ""},
	} {
		if span, ok := locate(c.s, c.quote); ok != (c.want != "") || span.In(c.s) != c.want {
			t.Errorf("%q in %q: %v %v", c.quote, c.s, span, ok)
		}
	}
}

// No reply crashes a reader, and what is read is on its scale.
func FuzzVerdict(f *testing.F) {
	for _, s := range []string{"Verdict: A", "Verdict: 0.8", "**Rating**: 4/5", "verdict is B > A > C", "1: yes \"x\"", "\x1b[31mVerdict: A", "\xe2", "Verdict: −3\xff", "Candidate candidate A", "Verdict: A > B > C\n1) 3 \"y\""} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, reply, s string) {
		for _, reason := range []bool{false, true} {
			for _, tokens := range [][]llm.Token{nil, {{Text: reply, Top: []llm.TopToken{{Text: s, LogProb: -.1}}}}} {
				c := llm.Choice{Text: reply, Tokens: tokens}
				if v, ok := scaleReader(1, 5, reason).read(c); ok && !(v.number >= 1 && v.number <= 5) {
					t.Errorf("%q is read as %v", reply, v.number)
				}
				if v, ok := (reader{words: sides, reason: reason}).read(c); ok && (v.word < 0 || v.word > 2) {
					t.Errorf("%q is read as %d", reply, v.word)
				}
				if r, ok := readRanking(c, 3, reason); ok && len(r) != 3 {
					t.Errorf("%q is read as %v", reply, r)
				}
			}
		}
		for k, m := range readMarks(llm.Choice{Text: reply}, 2, len(s)%2 == 0, func(int) int { return 3 }) {
			if k < 0 || k > 1 || m.grade < 0 || m.grade > 3 {
				t.Errorf("%q is read as %d: %+v", reply, k, m)
			}
			if span, ok := locate(s, m.quote); ok && (span.Start < 0 || span.End > len(s) || span.Len() == 0) {
				t.Errorf("%q in %q at %v", m.quote, s, span)
			}
		}
	})
}
