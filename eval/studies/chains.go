package studies

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"

	"gnothi/eval"
	"gnothi/internal/jsonl"
	"gnothi/text"
)

// Chain is a chain of thought whose first wrong step is known: a line of
// chains.jsonl, in the layout of BIG-Bench Mistake.
type Chain struct {
	Task    string   `json:"task,omitempty"` // how answers are compared: the name of a file of BIG-Bench Mistake, or empty
	Input   string   `json:"input"`
	Target  string   `json:"target"`
	Answer  *string  `json:"answer"` // what the chain came to; null: nothing
	Steps   []string `json:"steps"`
	Mistake *int     `json:"mistake_index"` // from 0; null: none
}

// chainTasks are the files of BIG-Bench Mistake (Tyen et al. 2023).
var chainTasks = []string{"dyck_languages", "logical_deduction", "multistep_arithmetic", "tracking_shuffled_objects", "word_sorting"}

const arithmeticTask = "multistep_arithmetic"

// wrong tells whether the chain came to another answer than the right one.
// Blanks do not count; no answer is not the right one.
func (c Chain) wrong() bool { return c.Answer == nil || bare(*c.Answer) != bare(c.Target) }

func bare(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), "")) }

// chainItems reads chains.jsonl and the files of BIG-Bench Mistake from the
// user's folder, or makes sums up: n of them, a quarter without a mistake.
func chainItems(s eval.Source, n int) ([]Chain, error) {
	var out []Chain
	for _, task := range append([]string{""}, chainTasks...) {
		files := []string{task + ".jsonl"}
		if task == "" {
			files = compressed("chains.jsonl")
		}
		paths := found(s, "bigbench-mistake", files...)
		if len(paths) == 0 {
			continue
		}
		if err := eachLine(paths[0], func(_ int, line []byte) error {
			var c Chain
			if err := jsonl.Decode(line, &c); err != nil {
				return err
			}
			if c.Task == "" {
				c.Task = task
			}
			if c.Input == "" || c.Target == "" || len(c.Steps) == 0 {
				return errors.New("want an input, a target and steps")
			}
			if c.Mistake != nil && (*c.Mistake < 0 || *c.Mistake >= len(c.Steps)) {
				return fmt.Errorf("mistake_index %d: there are %d steps", *c.Mistake, len(c.Steps))
			}
			out = append(out, c)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	for i := 0; len(out) < n && s.Dir == "" || len(out) == 0; i++ {
		out = append(out, sumChain(s.Rand, i%4 != 3))
	}
	return out, nil
}

// sumChain makes a chain of three sums, one of them wrong if it shall be, that
// goes on from the wrong result.
func sumChain(rng *rand.Rand, wrong bool) Chain {
	a, b, c, d := 2+rng.IntN(9), 2+rng.IntN(9), 2+rng.IntN(8), 2+rng.IntN(20)
	target := (a+b)*c - d
	bad := -1
	if wrong {
		bad = rng.IntN(3)
	}
	off := func(step, v int) int {
		if step == bad {
			return v + []int{-2, -1, 1, 2}[rng.IntN(4)]
		}
		return v
	}
	x := off(0, a+b)
	y := off(1, x*c)
	z := off(2, y-d)
	ch := Chain{Task: arithmeticTask, Input: fmt.Sprintf("(%d + %d) * %d - %d =", a, b, c, d), Target: fmt.Sprint(target)}
	answer := fmt.Sprint(z)
	ch.Answer = &answer
	ch.Steps = []string{fmt.Sprintf("First, %d + %d = %d.", a, b, x), fmt.Sprintf("Then, %d * %d = %d.", x, c, y), fmt.Sprintf("At last, %d - %d = %d. So the answer is %d.", y, d, z, z)}
	if bad >= 0 {
		ch.Mistake = &bad
	}
	return ch
}

var conclusion = regexp.MustCompile(`(?i)answer(?: is|:)\s*([^\n]+)`)

// grade reads the last conclusion of a text and compares it with the target.
func (c Chain) grade(reply string) text.Outcome {
	reply = text.Sanitise(reply)
	said := ""
	if all := conclusion.FindAllStringSubmatch(reply, -1); len(all) > 0 {
		said = strings.TrimSpace(all[len(all)-1][1])
	}
	switch {
	case said != "" && c.Answer != nil && c.wrong() && bare(said) == bare(*c.Answer):
		return text.Wrong // who repeats the chain's answer has not mended it, whatever its punctuation
	case c.Task == arithmeticTask || c.Task == "" && text.Extract(text.Number, c.Target).Status == text.Parsed:
		from := said
		if from == "" {
			from = reply
		}
		return text.Grade(text.Number, text.Extract(text.Number, from), []string{c.Target})
	case said == "":
		if _, refused := text.Refusal(reply); refused {
			return text.Refused
		}
		return text.Unparsed
	}
	trim := func(s string) string { return strings.Trim(bare(s), `."'*`) }
	if strings.HasPrefix(c.Target, "(") && len(c.Target) == 3 { // the letter of an option
		if m := optionLetter.FindString(said); m != "" {
			said = m
		}
		trim = func(s string) string { return strings.Trim(bare(s), `."'*()`) }
	}
	if trim(said) == trim(c.Target) {
		return text.Right
	}
	return text.Wrong
}

// withoutConclusion is a text up to the answer that it comes to, whose words may
// be any.
func withoutConclusion(s string) string {
	if all := conclusion.FindAllStringIndex(s, -1); len(all) > 0 {
		return s[:all[len(all)-1][0]]
	}
	return s
}

var optionLetter = regexp.MustCompile(`\([A-Z]\)`)
