package countdown

import (
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Puzzle is what is given.
type Puzzle struct {
	Numbers []int // 2 to 6, each 1 to 9999
	Target  int   // 1 to 999,999
}

// Bounds of a puzzle and of what is read as an expression.
const (
	MostNumbers = 6
	MaxNumber   = 9999
	MaxTarget   = 999_999
	maxLength   = 200 // bytes of an expression
)

// Valid says what is wrong with a puzzle.
func (p Puzzle) Valid() error {
	if len(p.Numbers) < 2 || len(p.Numbers) > MostNumbers {
		return fmt.Errorf("countdown: %d numbers: want 2 to %d", len(p.Numbers), MostNumbers)
	}
	for _, n := range p.Numbers {
		if n < 1 || n > MaxNumber {
			return fmt.Errorf("countdown: number %d: want 1 to %d", n, MaxNumber)
		}
	}
	if p.Target < 1 || p.Target > MaxTarget {
		return fmt.Errorf("countdown: target %d: want 1 to %d", p.Target, MaxTarget)
	}
	return nil
}

// String states the puzzle as a question.
func (p Puzzle) String() string {
	words := make([]string, len(p.Numbers))
	for i, n := range p.Numbers {
		words[i] = strconv.Itoa(n)
	}
	return fmt.Sprintf("Using the numbers %s, each at most once, with + - * / and brackets, write an expression that equals %d. End with one line: \"Answer:\" and the expression.", strings.Join(words, ", "), p.Target)
}

// Ways in which an expression is no solution.
var (
	ErrSyntax = errors.New("not an expression of whole numbers, + - * / and brackets")
	ErrZero   = errors.New("division by zero")
	ErrNumber = errors.New("uses a number that is not there, or one more often than it is there")
	ErrValue  = errors.New("does not equal the target")
)

// Check says why an expression does not solve the puzzle; nil: it does. It is
// exact: values are rationals, so 8/(3-8/3) is 24.
func (p Puzzle) Check(expr string) error {
	value, used, err := Eval(expr)
	if err != nil {
		return fmt.Errorf("countdown: %.40q: %w", expr, err)
	}
	left := slices.Clone(p.Numbers)
	for _, u := range used {
		i := -1
		if u.IsInt64() {
			i = slices.Index(left, int(u.Int64()))
		}
		if i < 0 {
			return fmt.Errorf("countdown: %.40q, number %v: %w", expr, u, ErrNumber)
		}
		left = slices.Delete(left, i, i+1)
	}
	if value.Cmp(new(big.Rat).SetInt64(int64(p.Target))) != 0 {
		return fmt.Errorf("countdown: %.40q is %s: %w", expr, value.RatString(), ErrValue)
	}
	return nil
}

// Eval gives the exact value of an expression of whole numbers and the numbers
// that it uses. The signs − × · ÷ and : are read as - * * / and /.
func Eval(expr string) (*big.Rat, []*big.Int, error) {
	if len(expr) > maxLength {
		return nil, nil, ErrSyntax
	}
	p := parser{s: plain.Replace(expr)}
	v, err := p.sum()
	if err == nil && p.peek() != 0 {
		err = ErrSyntax
	}
	if err != nil {
		return nil, nil, err
	}
	return v, p.used, nil
}

var plain = strings.NewReplacer("−", "-", "–", "-", "×", "*", "·", "*", "÷", "/", ":", "/", `\times`, "*", `\div`, "/", "[", "(", "]", ")")

// parser is by recursive descent; the length bounds its depth.
type parser struct {
	s    string
	i    int
	used []*big.Int
}

// peek gives the next byte that is no blank, 0 at the end.
func (p *parser) peek() byte {
	for p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\t') {
		p.i++
	}
	if p.i == len(p.s) {
		return 0
	}
	return p.s[p.i]
}

func (p *parser) sum() (*big.Rat, error) {
	v, err := p.product()
	for err == nil && (p.peek() == '+' || p.peek() == '-') {
		op := p.s[p.i]
		p.i++
		var w *big.Rat
		if w, err = p.product(); err == nil {
			if op == '-' {
				w.Neg(w)
			}
			v.Add(v, w)
		}
	}
	return v, err
}

func (p *parser) product() (*big.Rat, error) {
	v, err := p.factor()
	for err == nil && (p.peek() == '*' || p.peek() == '/') {
		op := p.s[p.i]
		p.i++
		var w *big.Rat
		if w, err = p.factor(); err != nil {
			break
		}
		if op == '*' {
			v.Mul(v, w)
		} else if w.Sign() == 0 {
			err = ErrZero
		} else {
			v.Quo(v, w)
		}
	}
	return v, err
}

func (p *parser) factor() (*big.Rat, error) {
	c := p.peek()
	if c == '(' {
		p.i++
		v, err := p.sum()
		if err == nil && p.peek() != ')' {
			err = ErrSyntax
		}
		p.i++
		return v, err
	}
	start := p.i
	for p.i < len(p.s) && p.s[p.i] >= '0' && p.s[p.i] <= '9' {
		p.i++
	}
	n, ok := new(big.Int).SetString(p.s[start:p.i], 10)
	if !ok {
		return nil, ErrSyntax
	}
	p.used = append(p.used, n)
	return new(big.Rat).SetInt(n), nil
}

// expression matches what could be one: it begins and ends with a number or a
// bracket and has an operator in it.
var expression = regexp.MustCompile(`[([]*\d+(?:[)\]]*\s*(?:[-+*/×÷−–·]|\\times|\\div)\s*[([]*\d+)+[)\]]*`)

// Find gives the expression that a reply declares: that of the last line with
// "Answer", else the last one in it; "" if there is none.
func Find(reply string) string {
	last := ""
	lines := strings.Split(reply, "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		all := expression.FindAllString(lines[i], -1)
		if len(all) == 0 {
			continue
		}
		if strings.Contains(strings.ToLower(lines[i]), "answer") {
			return all[len(all)-1]
		}
		if last == "" {
			last = all[len(all)-1]
		}
	}
	return last
}

// Sums finds the equations in a text, expression = number, and says of each
// whether it holds.
func Sums(s string) (right, wrong []string) {
	for _, m := range equation.FindAllStringSubmatch(s, -1) {
		left, _, err := Eval(m[1])
		result, ok := new(big.Rat).SetString(strings.Replace(m[2], "−", "-", 1))
		if err != nil || !ok {
			continue
		}
		if whole := m[1] + " = " + m[2]; left.Cmp(result) == 0 {
			right = append(right, whole)
		} else {
			wrong = append(wrong, whole)
		}
	}
	return right, wrong
}

var equation = regexp.MustCompile(`(` + expression.String() + `)\s*=\s*([-−]?\d{1,20}(?:\.\d{1,20})?)`)

// Solve finds an expression by trying all; ok is false where there is none. Six
// numbers take some milliseconds.
func (p Puzzle) Solve() (expr string, ok bool) {
	if p.Valid() != nil {
		return "", false
	}
	terms := make([]term, len(p.Numbers))
	for i, n := range p.Numbers {
		terms[i] = term{frac{int64(n), 1}, strconv.Itoa(n)}
	}
	return search(terms, frac{int64(p.Target), 1})
}

// frac is a rational of small numbers: MaxNumber to the sixth power fits no
// int64, so what would not is given up, in mul.
type frac struct{ n, d int64 }

type term struct {
	v    frac
	expr string
}

func search(ts []term, target frac) (string, bool) {
	for _, t := range ts {
		if t.v == target {
			return strings.TrimSuffix(strings.TrimPrefix(t.expr, "("), ")"), true
		}
	}
	for i := range ts {
		for j := range ts {
			if i == j {
				continue
			}
			rest := make([]term, 0, len(ts)-1)
			for k, t := range ts {
				if k != i && k != j {
					rest = append(rest, t)
				}
			}
			a, b := ts[i], ts[j]
			for _, op := range "+-*/" {
				if (op == '+' || op == '*') && i > j {
					continue // commutes
				}
				v, ok := apply(op, a.v, b.v)
				if !ok {
					continue
				}
				if s, ok := search(append(rest, term{v, "(" + a.expr + string(op) + b.expr + ")"}), target); ok {
					return s, true
				}
			}
		}
	}
	return "", false
}

func apply(op rune, a, b frac) (frac, bool) {
	switch op {
	case '-':
		b.n = -b.n
	case '*':
		return reduced(a.n, b.n, a.d, b.d)
	case '/':
		if b.n == 0 {
			return frac{}, false
		}
		return reduced(a.n, b.d, a.d, b.n)
	}
	x, ok1 := product(a.n, b.d)
	y, ok2 := product(b.n, a.d)
	d, ok3 := product(a.d, b.d)
	if !ok1 || !ok2 || !ok3 {
		return frac{}, false
	}
	return reduced(x+y, 1, d, 1)
}

func reduced(n1, n2, d1, d2 int64) (frac, bool) {
	n, ok := product(n1, n2)
	d, also := product(d1, d2)
	if !ok || !also || d == 0 {
		return frac{}, false
	}
	if d < 0 {
		n, d = -n, -d
	}
	g := gcd(max(n, -n), d)
	return frac{n / g, d / g}, true
}

// product is a·b, unless it is too large for a solution to pass through.
func product(a, b int64) (int64, bool) {
	const most = 1 << 30
	if a > most || a < -most || b > most || b < -most {
		return 0, false
	}
	return a * b, true
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return max(a, 1)
}

// Generate makes a puzzle of n numbers from 1 to high that has a solution which
// uses all of them, with a target of at most most.
func Generate(rng *rand.Rand, n, high, most int) (Puzzle, error) {
	if n < 2 || n > MostNumbers || high < 1 || high > MaxNumber || most < 1 || most > MaxTarget {
		return Puzzle{}, fmt.Errorf("countdown: %d numbers to %d, target to %d: out of bounds", n, high, most)
	}
	for range 10_000 {
		p := Puzzle{}
		v := frac{0, 1}
		for i := range n {
			x := 1 + rng.IntN(high)
			p.Numbers = append(p.Numbers, x)
			next, ok := frac{int64(x), 1}, true
			if i > 0 {
				next, ok = apply(rune("+-*/"[rng.IntN(4)]), v, next)
			}
			if !ok {
				break
			}
			v = next
		}
		if len(p.Numbers) == n && v.d == 1 && v.n >= 1 && v.n <= int64(most) && !slices.Contains(p.Numbers, int(v.n)) {
			p.Target = int(v.n)
			rng.Shuffle(n, func(i, j int) { p.Numbers[i], p.Numbers[j] = p.Numbers[j], p.Numbers[i] })
			return p, nil
		}
	}
	return Puzzle{}, errors.New("countdown: no puzzle found within these bounds")
}

var puzzleLine = regexp.MustCompile(`(?i)numbers?\s*[:=]?\s*((?:\d{1,4}\s*(?:,|;|\band\b|\s)\s*)+\d{1,4})[^0-9]{1,40}target\s*(?:is)?\s*[:=]?\s*(\d{1,6})`)

// Parse reads a puzzle that somebody wrote: "Numbers: 3, 5, 7. Target: 22".
func Parse(s string) (Puzzle, error) {
	m := puzzleLine.FindStringSubmatch(s)
	if m == nil {
		return Puzzle{}, errors.New("countdown: no line of numbers and target")
	}
	var p Puzzle
	for _, w := range regexp.MustCompile(`\d+`).FindAllString(m[1], -1) {
		n, _ := strconv.Atoi(w)
		p.Numbers = append(p.Numbers, n)
	}
	p.Target, _ = strconv.Atoi(m[2])
	return p, p.Valid()
}
