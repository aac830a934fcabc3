package questions

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// computed makes the questions whose answers follow from a rule.
func computed() []Question {
	return slices.Concat(arithmetic(), calendar(), letters(), comparisons())
}

// sums is one grade of arithmetic: Count questions with operands drawn from the
// given ranges, both ends included. For a division A is the quotient.
type sums struct {
	Level int
	Op    string // one of + - × ÷
	A, B  [2]int
	Count int
	Story bool // told as a story of apples; + and - only
}

var grades = []sums{
	{Level: 1, Op: "+", A: [2]int{1, 9}, B: [2]int{1, 9}, Count: 40},
	{Level: 1, Op: "-", A: [2]int{3, 9}, B: [2]int{1, 8}, Count: 24},
	{Level: 2, Op: "+", A: [2]int{10, 99}, B: [2]int{2, 9}, Count: 22},
	{Level: 2, Op: "-", A: [2]int{11, 99}, B: [2]int{2, 9}, Count: 22},
	{Level: 2, Op: "×", A: [2]int{2, 9}, B: [2]int{2, 9}, Count: 32},
	{Level: 2, Op: "+", A: [2]int{2, 12}, B: [2]int{2, 9}, Count: 14, Story: true},
	{Level: 2, Op: "-", A: [2]int{6, 15}, B: [2]int{2, 9}, Count: 14, Story: true},
	{Level: 3, Op: "+", A: [2]int{12, 99}, B: [2]int{12, 99}, Count: 20},
	{Level: 3, Op: "-", A: [2]int{31, 99}, B: [2]int{11, 89}, Count: 16},
	{Level: 3, Op: "÷", A: [2]int{2, 12}, B: [2]int{2, 9}, Count: 16},
	{Level: 4, Op: "+", A: [2]int{101, 899}, B: [2]int{101, 899}, Count: 12},
	{Level: 4, Op: "-", A: [2]int{301, 999}, B: [2]int{101, 899}, Count: 10},
	{Level: 4, Op: "×", A: [2]int{12, 99}, B: [2]int{3, 9}, Count: 16},
	{Level: 5, Op: "×", A: [2]int{12, 99}, B: [2]int{12, 99}, Count: 12},
	{Level: 5, Op: "×", A: [2]int{112, 989}, B: [2]int{3, 9}, Count: 8},
	{Level: 5, Op: "×", A: [2]int{112, 989}, B: [2]int{12, 99}, Count: 6},
}

var (
	asked = []string{"What is %d %s %d?", "Calculate %d %s %d.", "How much is %d %s %d?"}
	named = map[string]string{"+": "plus", "-": "minus", "×": "times", "÷": "divided by"}
	told  = map[string][]string{
		"+": {"Tom has %d apples and gets %d more. How many apples does he have now?",
			"There are %d birds in a tree and %d more arrive. How many birds are in the tree now?"},
		"-": {"Anna has %d apples and gives away %d. How many apples does she have left?",
			"There are %d birds in a tree and %d fly away. How many birds are left in the tree?"},
	}
)

func arithmetic() []Question {
	var set []Question
	seen := map[string]bool{}
	for _, g := range grades {
		// Seeded by the grade itself, so that a new grade leaves the others as they are.
		r := rand.New(rand.NewPCG(hash("grade", fmt.Sprint(g)), 0))
		for made := 0; made < g.Count; {
			a, b := g.A[0]+r.IntN(g.A[1]-g.A[0]+1), g.B[0]+r.IntN(g.B[1]-g.B[0]+1)
			if g.Op == "÷" {
				a *= b
			}
			cluster := fmt.Sprintf("sum:%d%s%d", a, g.Op, b)
			if g.Op == "+" || g.Op == "×" {
				cluster = fmt.Sprintf("sum:%d%s%d", min(a, b), g.Op, max(a, b))
			}
			result := compute(a, g.Op, b)
			if seen[cluster] || result <= 1 || result == a || result == b {
				continue
			}
			seen[cluster] = true
			made++
			set = append(set, Question{Question: g.ask(a, b), Answers: append(numeral(result), fmt.Sprintf("%d %s %d = %d", a, g.Op, b, result)),
				Kind: Arithmetic, Cluster: cluster, Level: g.Level})
		}
	}
	return set
}

func (g sums) ask(a, b int) string {
	key := []string{g.Op, fmt.Sprint(a), fmt.Sprint(b)}
	if g.Story {
		return fmt.Sprintf(choose(told[g.Op], key...), a, b)
	}
	op := choose([]string{g.Op, named[g.Op]}, append(key, "op")...)
	return fmt.Sprintf(choose(asked, key...), a, op, b)
}

func compute(a int, op string, b int) int {
	switch op {
	case "+":
		return a + b
	case "-":
		return a - b
	case "×":
		return a * b
	case "÷":
		return a / b
	}
	panic("questions: unknown operation " + op)
}

var (
	weekdays = strings.Fields("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
	months   = strings.Fields("January February March April May June July August September October November December")
	lengths  = []int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
	ordinals = strings.Fields("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth")
)

// around is a step along a circle of names, such as the day after Tuesday.
type around struct {
	Names   []string
	Cluster string
	Ask     string
	Step    int
	Level   int
}

var steps = []around{
	{weekdays, "day", "Which day comes after %s?", 1, 1},
	{weekdays, "day", "Which day comes before %s?", -1, 1},
	{weekdays, "day", "If today is %s, what day was it two days ago?", -2, 2},
	{weekdays, "day", "If today is %s, what day will it be in three days?", 3, 3},
	{weekdays, "day", "If today is %s, what day will it be in ten days?", 10, 4},
	{weekdays, "day", "If today is %s, what day will it be in 100 days?", 100, 5},
	{months, "month", "Which month comes after %s?", 1, 1},
	{months, "month", "Which month comes before %s?", -1, 2},
	{months, "month", "Which month comes four months after %s?", 4, 3},
	{months, "month", "Which month comes five months before %s?", -5, 4},
}

func calendar() []Question {
	var set []Question
	add := func(level int, cluster string, answers []string, ask string, args ...any) {
		set = append(set, Question{Question: fmt.Sprintf(ask, args...), Answers: answers,
			Kind: Calendar, Cluster: cluster, Level: level})
	}
	for _, s := range steps {
		n := len(s.Names)
		for i, name := range s.Names {
			if s.Level > 2 && i%2 == s.Level%2 { // enough of the hard ones
				continue
			}
			to := s.Names[((i+s.Step)%n+n)%n]
			add(s.Level, s.Cluster+":"+slug(name), []string{to}, s.Ask, name)
		}
	}
	for i, month := range months {
		cluster := "month:" + slug(month)
		add(2, cluster, []string{month}, "Which is the %s month of the year?", ordinals[i])
		if month != "February" {
			add(2, cluster, numeral(lengths[i]), "How many days does %s have?", month)
		}
	}
	return set
}

// letters asks about the letters of common words and about the alphabet.
func letters() []Question {
	var set []Question
	add := func(level int, cluster string, answers []string, ask string, args ...any) {
		set = append(set, Question{Question: fmt.Sprintf(ask, args...), Answers: answers,
			Kind: Spelling, Cluster: cluster, Level: level})
	}
	for _, r := range table("letters") {
		word, level := r["word"], r.level()
		cluster, upper := "word:"+word, strings.ToUpper(word)
		last := len(word) - 1
		switch hash("letters", word) % 5 {
		case 0:
			add(level-1, cluster, []string{upper[:1]}, `What is the first letter of the word "%s"?`, word)
		case 1:
			add(level, cluster, []string{upper[last:]}, `What is the last letter of the word "%s"?`, word)
		case 2:
			add(level+1, cluster, []string{upper[1:2]}, `What is the second letter of the word "%s"?`, word)
		case 3:
			add(level+2, cluster, []string{reversed(word)}, `How is the word "%s" spelled backwards?`, word)
		case 4:
			add(level, cluster, numeral(len(word)), `How many letters are in the word "%s"?`, word)
		}
	}
	for c := 'A'; c < 'Z'; c++ {
		before, after := string(c), string(c+1)
		if c%2 == 0 {
			add(1, "letter:"+slug(before), []string{after}, "Which letter comes after %s in the alphabet?", before)
		} else {
			add(2, "letter:"+slug(after), []string{before}, "Which letter comes before %s in the alphabet?", after)
		}
	}
	return set
}

func reversed(word string) string {
	b := []byte(word)
	slices.Reverse(b)
	return string(b)
}

// comparisons makes yes-no questions about numbers.
func comparisons() []Question {
	var set []Question
	add := func(level int, cluster string, truth bool, ask string, args ...any) {
		answers := no
		if truth {
			answers = yes
		}
		set = append(set, Question{Question: fmt.Sprintf(ask, args...), Answers: answers,
			Kind: YesNo, Cluster: cluster, Level: level})
	}
	r := rand.New(rand.NewPCG(hash("comparisons"), 0))
	for i := range 30 {
		size := []int{9, 99, 999}[i%3]
		a, b := 1+r.IntN(size), 1+r.IntN(size)
		if a == b {
			b++
		}
		add(1+i%3, fmt.Sprintf("compare:%d,%d", min(a, b), max(a, b)), a > b, "Is %d greater than %d?", a, b)
	}
	for n := 11; n < 100; n += 4 {
		add(4, fmt.Sprintf("prime:%d", n), prime(n), "Is %d a prime number?", n)
	}
	return set
}

func prime(n int) bool {
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return n > 1
}
