package questions

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gnothi/monitor/prompt"
)

func TestSetIsWellFormed(t *testing.T) {
	set := All()
	if len(set) < 2400 {
		t.Errorf("%d questions, want at least 2,400", len(set))
	}
	ids, texts, counts := map[string]string{}, map[string]string{}, map[string]int{}
	for _, q := range set {
		if other, ok := ids[q.ID]; ok {
			t.Errorf("%s is both %q and %q", q.ID, other, q.Question)
		}
		ids[q.ID] = q.Question
		text := strings.ToLower(q.Question)
		if other, ok := texts[text]; ok {
			t.Errorf("asked twice: %q and %q", other, q.Question)
		}
		texts[text] = q.Question
		counts[q.Kind]++

		if strings.ContainsAny(q.Question, "%\t|;") || strings.TrimSpace(q.Question) != q.Question || len(q.Question) > 120 ||
			strings.Contains(q.Question, ",?") || strings.Contains(q.Question, ", in?") {
			t.Errorf("malformed question %q", q.Question)
		}
		if end := q.Question[len(q.Question)-1]; end != '?' && end != '.' {
			t.Errorf("%q ends in %q", q.Question, end)
		}
		if len(q.Answers) == 0 || slices.Contains(q.Answers, "") {
			t.Errorf("%q: answers %q", q.Question, q.Answers)
		}
		if sorted := slices.Sorted(slices.Values(q.Answers)); len(slices.Compact(sorted)) != len(q.Answers) {
			t.Errorf("%q: repeated answers %q", q.Question, q.Answers)
		}
		if !slices.Contains(kinds, q.Kind) || q.Level < Easiest || q.Level > Hardest {
			t.Errorf("%q: kind %q, level %d", q.Question, q.Kind, q.Level)
		}
		if !regexp.MustCompile(`^[a-z0-9-]+(:\S+)?$`).MatchString(q.Cluster) {
			t.Errorf("%q: cluster %q", q.Question, q.Cluster)
		}
		if q.Unanswerable != (q.Kind == Unanswerable) {
			t.Errorf("%q: kind %s, unanswerable %v", q.Question, q.Kind, q.Unanswerable)
		}
		if q.Kind != YesNo && mentionsAnswer(q) {
			t.Errorf("%q contains one of its answers %q", q.Question, q.Answers)
		}
	}
	if len(counts) < 10 {
		t.Errorf("%d kinds, want at least 10", len(counts))
	}
	for kind, n := range counts {
		if share := float64(n) / float64(len(set)); share > .15 {
			t.Errorf("kind %s is %.0f%% of the set, want at most 15%%", kind, 100*share)
		}
	}
}

func TestSetIsStable(t *testing.T) {
	if diff := cmp.Diff(All(), All()); diff != "" {
		t.Errorf("two calls differ:\n%s", diff)
	}
	// An identifier depends on the text alone; stored labels hang on it.
	if got, want := identifier("What is the capital of France?"), "q-115049a298"; got != want {
		t.Errorf("identifier = %s, want %s", got, want)
	}
}

// What the few-shot form shows with its answer must not be asked.
func TestNoQuestionIsAnExampleOfThePrompt(t *testing.T) {
	shown := prompt.ShotsPrefix()
	if !strings.Contains(shown, "?") {
		t.Fatalf("no questions in the examples %q", shown)
	}
	for _, q := range All() {
		if strings.Contains(shown, q.Question) {
			t.Errorf("%q stands in the few-shot prompt", q.Question)
		}
	}
}

func TestHalves(t *testing.T) {
	count := map[string]map[string]int{}
	halves := map[string]string{}
	for _, q := range All() {
		if h, ok := halves[q.Cluster]; ok && h != q.Half {
			t.Errorf("cluster %s is in both halves", q.Cluster)
		}
		halves[q.Cluster] = q.Half
		for _, key := range []string{"all", q.Kind} {
			if count[key] == nil {
				count[key] = map[string]int{}
			}
			count[key][q.Half]++
		}
	}
	for kind, n := range count {
		share, slack := float64(n[Fit])/float64(n[Fit]+n[Apart]), .1
		if kind == "all" {
			slack = .03
		}
		if share < .5-slack || share > .5+slack {
			t.Errorf("%s: %d to fit, %d apart", kind, n[Fit], n[Apart])
		}
	}
	if got, want := len(Split(Fit))+len(Split(Apart)), len(All()); got != want {
		t.Errorf("the halves hold %d questions, the set %d", got, want)
	}
	if stray := Split("neither"); len(stray) != 0 {
		t.Errorf("an unknown half holds %d questions", len(stray))
	}
}

// Answers are worked out again from the wording, not from the generator's operands.
func TestArithmeticFromTheWording(t *testing.T) {
	numbers := regexp.MustCompile(`\d+`)
	signs := []struct {
		wording *regexp.Regexp
		result  func(a, b int) (int, bool)
	}{
		{regexp.MustCompile(`\+|plus|more`), func(a, b int) (int, bool) { return a + b, true }},
		{regexp.MustCompile(` - |minus|away`), func(a, b int) (int, bool) { return a - b, true }},
		{regexp.MustCompile(`×|times`), func(a, b int) (int, bool) { return a * b, true }},
		{regexp.MustCompile(`÷|divided by`), func(a, b int) (int, bool) { return a / b, a%b == 0 }},
	}
	for _, q := range All() {
		if q.Kind != Arithmetic {
			continue
		}
		found, matched := numbers.FindAllString(q.Question, -1), 0
		if len(found) != 2 {
			t.Errorf("%q does not hold two numbers", q.Question)
			continue
		}
		a, _ := strconv.Atoi(found[0])
		b, _ := strconv.Atoi(found[1])
		for _, s := range signs {
			if !s.wording.MatchString(q.Question) {
				continue
			}
			matched++
			if want, exact := s.result(a, b); !exact || q.Answers[0] != strconv.Itoa(want) {
				t.Errorf("%q: answers %q, want %d (exact: %v)", q.Question, q.Answers, want, exact)
			}
		}
		if matched != 1 {
			t.Errorf("%q: %d operations", q.Question, matched)
		}
	}
}

func TestNumeral(t *testing.T) {
	for n, want := range map[int]string{
		0: "zero", 8: "eight", 17: "seventeen", 40: "forty", 56: "fifty-six", 100: "one hundred",
		206: "two hundred and six", 1000: "one thousand", 1066: "one thousand and sixty-six",
		5280: "five thousand two hundred and eighty", 86400: "eighty-six thousand four hundred",
	} {
		if got := spell(n); got != want {
			t.Errorf("spell(%d) = %q, want %q", n, got, want)
		}
	}
	if diff := cmp.Diff([]string{"86400", "86,400", "eighty-six thousand four hundred"}, numeral(86400)); diff != "" {
		t.Error(diff)
	}
}

func TestElementTable(t *testing.T) {
	// The periodic table by rows, written down apart from the table under test.
	const symbols = `H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar
		K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe
		Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn
		Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og`
	want := strings.Fields(symbols)
	rows := table("elements")
	if len(rows) != len(want) || len(want) != 118 {
		t.Fatalf("%d rows for %d elements", len(rows), len(want))
	}
	for i, r := range rows {
		if r["number"] != strconv.Itoa(i+1) || r["symbol"] != want[i] {
			t.Errorf("row %d: number %s, symbol %s, want %s", i+1, r["number"], r["symbol"], want[i])
		}
	}
}

func TestTablesNameEachSubjectOnce(t *testing.T) {
	for name, column := range map[string]string{
		"countries": "name", "cities": "city", "elements": "name", "works": "work", "events": "event",
		"animals": "animal", "opposites": "word", "plurals": "word", "pasts": "word", "categories": "item",
		"meanings": "definition", "letters": "word", "facts": "question", "statements": "question", "unanswerable": "question",
	} {
		seen := map[string]bool{}
		for _, r := range table(name) {
			if subject := r[column]; subject == "" || seen[subject] {
				t.Errorf("table %s: %q is empty or repeated", name, subject)
			}
			seen[r[column]] = true
			if level := r.level(); level < Easiest || level > Hardest {
				t.Errorf("table %s: %q has level %d", name, r[column], level)
			}
		}
	}
}

// A misspelt cluster in a hand-written table would let a subject into both halves.
func TestClustersOfHandWrittenQuestionsExist(t *testing.T) {
	known := map[string]bool{}
	for _, rel := range relations {
		for _, r := range table(rel.Table) {
			if r["cluster"] == "" {
				known[rel.cluster(r)] = true
			}
		}
	}
	for _, name := range []string{"facts", "statements", "unanswerable", "events"} {
		for _, r := range table(name) {
			prefix, _, _ := strings.Cut(r["cluster"], ":")
			if (prefix == "country" || prefix == "element" || prefix == "author") && !known[r["cluster"]] {
				t.Errorf("table %s: no table has the subject of cluster %q", name, r["cluster"])
			}
		}
	}
}

func TestEachCapitalBelongsToOneCountry(t *testing.T) {
	of := map[string]string{}
	for _, r := range table("countries") {
		for _, capital := range r.forms("capital") {
			if other := of[capital]; other != "" {
				t.Errorf("%s is the capital of %s and of %s", capital, other, r["name"])
			}
			of[capital] = r["name"]
		}
	}
}

func TestYesAndNoAreBalanced(t *testing.T) {
	count := map[string]int{}
	for _, q := range All() {
		if q.Kind == YesNo {
			count[q.Answers[0]]++
		}
	}
	share := float64(count["yes"]) / float64(count["yes"]+count["no"])
	if share < .4 || share > .6 {
		t.Errorf("yes is right in %.0f%% of the yes-no questions (%v)", 100*share, count)
	}
}

func TestWrite(t *testing.T) {
	var out bytes.Buffer
	if err := Write(&out); err != nil {
		t.Fatal(err)
	}
	var read []Question
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		var q Question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		read = append(read, q)
	}
	if diff := cmp.Diff(All(), read); diff != "" {
		t.Errorf("what was written reads differently:\n%s", diff)
	}
	if err := Write(full{}); !errors.Is(err, errFull) {
		t.Errorf("a full disk gives %v", err)
	}
}

var errFull = errors.New("disk full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestShape(t *testing.T) {
	byKind := map[string][]Question{}
	for _, q := range All() {
		byKind[q.Kind] = append(byKind[q.Kind], q)
		byKind["all"] = append(byKind["all"], q)
	}
	t.Logf("%-14s %5s %5s %5s   levels 1 to 5", "kind", "all", Fit, Apart)
	for _, kind := range append(slices.Clone(kinds), "all") {
		halves, levels := map[string]int{}, [Hardest + 1]int{}
		for _, q := range byKind[kind] {
			halves[q.Half]++
			levels[q.Level]++
		}
		t.Logf("%-14s %5d %5d %5d   %v", kind, len(byKind[kind]), halves[Fit], halves[Apart], levels[Easiest:])
		if len(byKind[kind]) == 0 {
			t.Errorf("no questions of kind %s", kind)
		}
	}
	levels := map[int]int{}
	for _, q := range byKind["all"] {
		levels[q.Level]++
	}
	for level := Easiest; level <= Hardest; level++ {
		if share := float64(levels[level]) / float64(len(byKind["all"])); share < .08 {
			t.Errorf("level %d is %.0f%% of the set (%v)", level, 100*share, levels)
		}
	}
}
