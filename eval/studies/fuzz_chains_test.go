package studies

import (
	"strings"
	"testing"

	"gnothi/text"
)

// What a model or a file of the user's says is read without a panic, and what was
// read keeps to its range.
func FuzzReadChains(f *testing.F) {
	for _, s := range []string{
		"So the answer is (A), (B) or (C)", "Answer: ] }", "the answer is", "Explanation: a\n**Keywords**: b\n3. Advice:\nc", "-12.",
		`{"context_condition":"ambig","answer_info":{"ans0":["a","b"],"ans1":["x","unknown"],"ans2":["c","d"]},"label":1}`, `{"context_condition":"ambig"}`, "{",
	} {
		f.Add(s, "(A)")
	}
	f.Fuzz(func(t *testing.T, reply, target string) {
		for _, task := range []string{"", arithmeticTask, "dyck_languages"} {
			c := Chain{Task: task, Input: "x", Target: target, Answer: &reply, Steps: []string{reply}}
			if o := c.grade(reply); o != text.Right && o != text.Wrong && o != text.Refused && o != text.Unparsed {
				t.Errorf("%v", o)
			}
			plain := text.Sanitise(reply) == reply && !strings.Contains(strings.ToLower(reply), "answer") && len(strings.Fields(reply)) > 0 && !strings.ContainsAny(reply, "\n\r")
			if plain && c.wrong() && c.grade("So the answer is "+reply) == text.Right {
				t.Errorf("the chain's own wrong answer %q counts as %q", reply, target)
			}
		}
		for name, words := range parts(reply) {
			if words == "" || !strings.Contains(text.Sanitise(reply), strings.Split(words, "\n")[0]) {
				t.Errorf("%s: %q", name, words)
			}
		}
		if b, err := readBBQ([]byte(reply)); err == nil && (b.Unknown < 0 || b.Right < 0 || b.Right > 2 || b.Recorded != nil && (*b.Recorded < -1 || *b.Recorded > 2)) {
			t.Errorf("%+v, %v", b, err)
		}
	})
}
