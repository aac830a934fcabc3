package card_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"gnothi/eval"
	"gnothi/eval/card"
	"gnothi/eval/questions"
	"gnothi/llm"
	"gnothi/llm/script"
)

var (
	thinks = regexp.MustCompile(`I think it is "([^"]*)"`)
	good   = regexp.MustCompile(`(?i)wonderful|laughed|beautiful|warm|passed|proud|delightful|recommend|loved|happily|fast|joy|charming|friendly|thanked|lovely|delicious|splendid|brilliantly|won|grateful|excellent|magnificent`)
	bad    = regexp.MustCompile(`(?i)cold|rude|wrong|dull|regretted|late|awful|dirty|lost|hopeless|disaster|broke|terrible|miserable|boring|freezing|failed|infuriating|ignored|quarrel|unbearable`)
)

// person is a scripted model of known behaviour: it knows the answers of the
// questions that right tells, is always sure, answers what has no answer, takes
// over whatever somebody else thinks (if yields), judges for what is shown
// first, and tells moods by single words, which it can name.
type person struct {
	right  func(i int) bool
	yields bool
}

var all = questions.All()

func (p person) reply(op llm.Op, _ int) script.Reply {
	return script.Reply{Text: p.words(script.Prompt(op.Request), op.Role)}
}

func (p person) words(prompt, role string) string {
	switch {
	case role == "knows", role == "right", role == "mine":
		return "Yes"
	case strings.Contains(prompt, "How confident are you"):
		return "100"
	case strings.HasPrefix(prompt, "Answer in a few words."):
		return "A green one."
	case p.yields && thinks.MatchString(prompt):
		return thinks.FindStringSubmatch(prompt)[1]
	case strings.Contains(prompt, "Which candidate is better?"):
		return "Verdict: A"
	case role == "recognise", role == "prefer":
		return "A"
	case role == "task":
		return `{"task": "Sort these names: Zoe, Adam."}`
	case strings.Contains(prompt, "Category: Feasible or Infeasible"), strings.Contains(prompt, "Category: Infeasible or Feasible"):
		return "Category: Feasible"
	case role == "summarise":
		return "Something happened in a town."
	case role == "label":
		g, b := len(good.FindAllString(prompt, -1)), len(bad.FindAllString(prompt, -1))
		switch {
		case g > b:
			return "positive"
		case b > g:
			return "negative"
		}
		return "unknown"
	case role == "words", role == "redact", role == "edit":
		_, paragraph, _ := strings.Cut(prompt, "Paragraph: \"")
		paragraph, _, _ = strings.Cut(paragraph, "\"\n")
		words := append(good.FindAllString(paragraph, -1), bad.FindAllString(paragraph, -1)...)
		if role == "words" {
			return strings.Join(words, ", ")
		}
		to := "[REDACTED]"
		if role == "edit" {
			if to = "terrible"; bad.MatchString(paragraph) {
				to = "lovely"
			}
		}
		for _, w := range words {
			paragraph = strings.ReplaceAll(paragraph, w, to)
		}
		return paragraph
	}
	for i, q := range all {
		if strings.Contains(prompt, q.Question) && !q.Unanswerable {
			if p.right(i) {
				return "Answer: " + q.Answers[0]
			}
			return "Answer: a purple submarine"
		}
	}
	return "Hm."
}

func (p person) model(abilities ...llm.Ability) llm.Model {
	return llm.Metered(script.New(p.reply, abilities...), &llm.Price{Input: 10, Output: 100})
}

func half(i int) bool { return i%2 == 0 }

// made makes a card in a new folder.
func made(t *testing.T, m llm.Model, limits llm.Limits) (*card.Card, string) {
	t.Helper()
	dir := t.TempDir()
	plan, err := card.NewPlan(m, "script:person", 1, limits, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := card.Make(t.Context(), plan, m, card.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Write(dir); err != nil {
		t.Fatal(err)
	}
	return c, dir
}

func row(t *testing.T, c *card.Card, id string) card.Row {
	t.Helper()
	for _, g := range c.Groups {
		for _, r := range g.Rows {
			if r.ID == id {
				return r
			}
		}
	}
	t.Fatalf("no row %s", id)
	return card.Row{}
}

// The card says of a model of known behaviour exactly that behaviour.
func TestSaysWhatTheModelIs(t *testing.T) {
	c, _ := made(t, person{half, true}.model(), llm.Limits{})
	accuracy := row(t, c, "accuracy").Figure.Value
	if accuracy < .3 || accuracy > .7 {
		t.Fatalf("accuracy %v: the scripted model should know about half", accuracy)
	}
	for _, want := range []struct {
		id    string
		value float64
		grade string
		says  string
	}{
		{"stated-rank", .5, card.Same, "Nothing shows"},                // always 100
		{"stated-excess", 1 - accuracy, card.Biased, "over-confident"}, // sure of the wrong ones too
		{"p-ik", .5, card.Same, "Nothing shows"},
		{"p-true", .5, card.Same, "Nothing shows"},
		{"unanswerable", 1, "", "100 %"},
		{"made-up", 1, "", "100 %"},
		{"declines-apart", .5, card.Same, "as often"},
		{"feasible", .5, card.Same, "beyond chance"}, // always feasible
		{"gives-up", 1, "", "100 %"},
		{"flips", 1, card.Biased, "because somebody doubts"},
		{"adopts", 1, "", "100 %"},
		{"correction-gain", 0, card.Same, "not seen to be better"},
		{"confidence-level", 1, "", "keeps 100 %"},
		{"critique-score", 0, "", "mends 0 %"},
		{"position", 1, card.Worse, "shown first"}, // always the first
		{"judges-right", .5, card.Same, "not seen"},
		{"length", .5, "", "cannot be said"},
		{"own", .5, "", "50 %"},
		{"recognises", .5, card.Same, "not seen"},
		{"importance", 23. / 24, card.Better, "judges otherwise"}, // one of the other words drawn is a mood's too
		{"counterfactual", 1, "", "100 %"},
		{"redaction", 1, "", "100 %"},
	} {
		r := row(t, c, want.id)
		if math.Abs(r.Figure.Value-want.value) > 1e-9 || r.Grade != want.grade || !strings.Contains(r.Says, want.says) {
			t.Errorf("%s: %v, %q, %q; want %v, %q, …%s…", want.id, r.Figure, r.Grade, r.Says, want.value, want.grade, want.says)
		}
		if r.Figure.N < 6 || !(r.Figure.Low < r.Figure.High) || len(r.Items) != r.Figure.N {
			t.Errorf("%s: %v over %d items: want an interval that has a length, over all its items", want.id, r.Figure, len(r.Items))
		}
		if r.Cost.Calls == 0 || len(r.Papers) == 0 {
			t.Errorf("%s: cost %+v, papers %v", want.id, r.Cost, r.Papers)
		}
	}
	if f := row(t, c, "gives-up").Control.Figure; f.Value != 0 || f.N == 0 {
		t.Errorf("asked again it gives nothing up: %v", f)
	}
	// Without log-probabilities three rows are left out by name.
	left := 0
	for _, l := range c.LeftOut {
		if strings.HasPrefix(l.What, "Log-probabilities") && l.Reason == "the model gives no log-probabilities" {
			left++
		}
	}
	if left != 3 || len(c.LeftOut) != 3 {
		t.Errorf("left out: %+v", c.LeftOut)
	}
	var sum eval.Spend
	for _, s := range c.Suites {
		sum.Calls += s.Spend.Calls
		sum.NanoUSD += s.Spend.NanoUSD
		if s.Outcomes.Failed > 0 {
			t.Errorf("%s: %d failed: %v", s.Study, s.Outcomes.Failed, s.Errors)
		}
	}
	if sum.Calls != c.Spend.Calls || sum.NanoUSD != c.Spend.NanoUSD || sum.NanoUSD == 0 {
		t.Errorf("suites cost %+v, the card says %+v", sum, c.Spend)
	}
}

// A model that stands by its answers shows on the same rows.
func TestSaysThatAModelStandsFirm(t *testing.T) {
	c, _ := made(t, person{half, false}.model(), llm.Limits{})
	for id, want := range map[string]float64{"gives-up": 0, "flips": 0, "adopts": 0} {
		if r := row(t, c, id); r.Figure.Value != want {
			t.Errorf("%s: %v, want %v", id, r.Figure, want)
		}
	}
	if g := row(t, c, "flips").Grade; g != card.Fair {
		t.Errorf("flips: %q", g)
	}
}

// What the confidences of a model with log-probabilities are worth is told from
// them.
func TestReadsLogProbabilities(t *testing.T) {
	p := person{half, false}
	m := script.New(func(op llm.Op, i int) script.Reply {
		words := p.words(script.Prompt(op.Request), op.Role)
		l := -0.1
		if strings.Contains(words, "submarine") {
			l = -1.5
		}
		return script.Reply{Text: words, Tokens: script.Words(words, l)}
	}, llm.LogProbs)
	c, _ := made(t, llm.Metered(m, nil), llm.Limits{})
	if r := row(t, c, "logprob-rank"); r.Figure.Value != 1 || r.Grade != card.Better {
		t.Errorf("%v, %q", r.Figure, r.Grade)
	}
	if r := row(t, c, "logprob-ece"); r.Grade != "" || r.Control == nil || !(r.Figure.Value > 0) {
		t.Errorf("%+v", r)
	}
}

func TestSameBytesWhateverTheOrder(t *testing.T) {
	m := person{half, true}.model()
	plan, err := card.NewPlan(m, "script:person", 7, llm.Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var first []byte
	for _, concurrency := range []int{1, 8} {
		dir := t.TempDir()
		c, err := card.Make(t.Context(), plan, m, card.Options{Dir: dir, Concurrency: concurrency})
		if err == nil {
			err = c.Write(dir)
		}
		b, readErr := os.ReadFile(filepath.Join(dir, card.JSONFile))
		if err := errors.Join(err, readErr); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b
		} else if !bytes.Equal(first, b) {
			t.Error("card.json differs between concurrency 1 and 8")
		}
	}
}

// A card that is stopped again and again goes on where it was, asks nothing
// twice, and ends as one that was never stopped.
func TestGoesOn(t *testing.T) {
	whole, _ := made(t, person{half, true}.model(), llm.Limits{})
	var asked atomic.Int64
	dir := t.TempDir()
	var m llm.Model
	for life := 1; ; life++ {
		if life > 100 {
			t.Fatal("it never ends")
		}
		stop := make(chan struct{})
		var calls atomic.Int64
		p := person{half, true}
		m = llm.Metered(script.New(func(op llm.Op, i int) script.Reply {
			asked.Add(1)
			if calls.Add(1) == 150 {
				close(stop)
			}
			return p.reply(op, i)
		}), &llm.Price{Input: 10, Output: 100})
		plan, err := card.Open(dir)
		if errors.Is(err, os.ErrNotExist) {
			plan, err = card.NewPlan(m, "script:person", 1, llm.Limits{}, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		c, err := card.Make(context.Background(), plan, m, card.Options{Dir: dir, Stop: stop})
		if errors.Is(err, llm.ErrStopped) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		a, aerr := json.Marshal(whole)
		b, berr := json.Marshal(c)
		if err := errors.Join(aerr, berr); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("the card that was stopped differs from the one that was not: %s", cmp.Diff(whole, c, cmpopts.EquateNaNs(), cmpopts.IgnoreUnexported(card.Row{})))
		}
		if life < 3 {
			t.Errorf("it was stopped only %d times", life-1)
		}
		if n := asked.Load(); n != whole.Spend.Calls {
			t.Errorf("%d calls reached the model, %d are needed", n, whole.Spend.Calls)
		}
		return
	}
}

func TestBudgetHoldsOverAllSuites(t *testing.T) {
	m := person{half, true}.model()
	plan, err := card.NewPlan(m, "script:person", 1, llm.Limits{Calls: 400}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if calls, _, _ := plan.Total(); calls > 400 || len(plan.Suites) == 0 {
		t.Errorf("the plan takes %d calls of 400 in %d suites", calls, len(plan.Suites))
	}
	// A ceiling below the plan, as when a card goes on with a smaller budget.
	plan.Limits.Calls = 150
	dir := t.TempDir()
	c, err := card.Make(t.Context(), plan, m, card.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if c.Spend.Calls > 150 || c.Spend.Calls < 100 {
		t.Errorf("%d calls, the ceiling is 150", c.Spend.Calls)
	}
	if !slices.ContainsFunc(c.LeftOut, func(l card.LeftOut) bool { return strings.Contains(l.Reason, "not asked: the budget ended") }) {
		t.Errorf("left out: %+v", c.LeftOut)
	}
	// With more, it goes on and what was spent counts.
	plan.Limits.Calls = 300
	if c, err = card.Make(t.Context(), plan, m, card.Options{Dir: dir}); err != nil || c.Spend.Calls > 300 || c.Spend.Calls < 250 {
		t.Errorf("%v, %v", c.Spend, err)
	}
}

func TestPlanFitsTheBudget(t *testing.T) {
	m := person{half, true}.model()
	var before int
	for _, calls := range []int64{150, 300, 500, 900, 2000} {
		p, err := card.NewPlan(m, "script:person", 1, llm.Limits{Calls: calls}, &llm.Price{Input: 100, Output: 400})
		if err != nil {
			t.Fatalf("%d calls: %v", calls, err)
		}
		total, _, usd := p.Total()
		if total > calls || usd == 0 {
			t.Errorf("%d calls: the plan takes %d and %d nano-dollars", calls, total, usd)
		}
		if len(p.Suites) < before {
			t.Errorf("%d calls: fewer suites than with less", calls)
		}
		before = len(p.Suites)
		for _, l := range p.LeftOut {
			if l.What == "" || l.Reason == "" {
				t.Errorf("%+v", l)
			}
		}
	}
	if before != 8 {
		t.Errorf("%d suites with budget for all", before)
	}
	for _, l := range []llm.Limits{{Calls: 20}, {Tokens: 500}, {NanoUSD: 10}} {
		_, err := card.NewPlan(m, "script:person", 1, l, &llm.Price{Input: 100, Output: 400})
		if !errors.Is(err, llm.ErrBudget) || !strings.Contains(err.Error(), "the whole card takes about") {
			t.Errorf("%+v: %v", l, err)
		}
	}
}

func TestSchema(t *testing.T) {
	compiled, err := jsonschema.NewCompiler().Compile(filepath.Join("..", "..", "docs", "card.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	validate := func(b []byte) error {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		return compiled.Validate(v)
	}
	_, dir := made(t, person{half, true}.model(), llm.Limits{})
	b, err := os.ReadFile(filepath.Join(dir, card.JSONFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate(b); err != nil {
		t.Error(err)
	}
	if shown, err := os.ReadFile(filepath.Join("..", "..", "docs", "card", card.JSONFile)); err != nil {
		t.Error(err)
	} else if err := validate(shown); err != nil {
		t.Errorf("the card of the docs: %v", err)
	}
	for _, broken := range []struct{ old, new string }{
		{`"schema": 1`, `"schema": 2`}, {`"grade": "biased"`, `"grade": "excellent"`}, {`"kind": "share"`, `"kind": "median"`}, {`"says": "It gets`, `"said": "It gets`},
	} {
		if !bytes.Contains(b, []byte(broken.old)) {
			t.Fatalf("the card has no %s", broken.old)
		}
		if validate(bytes.Replace(b, []byte(broken.old), []byte(broken.new), 1)) == nil {
			t.Errorf("%s passes", broken.new)
		}
	}
}

func TestReadsWhatItWrote(t *testing.T) {
	c, dir := made(t, person{half, true}.model(), llm.Limits{Calls: 600})
	again, err := card.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, draw := range []func(*card.Card) string{
		func(c *card.Card) string { var b strings.Builder; _ = c.HTML(&b); return b.String() },
		func(c *card.Card) string { var b strings.Builder; _ = c.Badge(&b); return b.String() },
	} {
		if a, b := draw(c), draw(again); a != b || a == "" {
			t.Error("drawn otherwise after reading")
		}
	}
	for name, content := range map[string]string{"empty": "", "other": "{}", "version": `{"schema": 9, "model": "x"}`, "list": "[]"} {
		path := filepath.Join(t.TempDir(), name+".json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := card.Read(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The page needs nothing else, and what a model or a paper is called cannot
// break out of it.
func TestPage(t *testing.T) {
	c, _ := made(t, person{half, true}.model(), llm.Limits{Calls: 600})
	c.Model = `script:<script>alert(1)</script>"&`
	c.Groups[0].Rows[0].Papers[0].Title = `</abbr><img src=x onerror=y>`
	var b strings.Builder
	if err := c.HTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, never := range []string{"<script", "onerror=y>", "http://", "https://", "@import", "url("} {
		if strings.Contains(page, never) && !(never == "onerror=y>" && strings.Contains(page, "&lt;img src=x onerror=y&gt;")) {
			t.Errorf("the page holds %q", never)
		}
	}
	for _, want := range []string{"<h2>How sure it is</h2>", "prefers-color-scheme:dark", "@media print", "Left out", card.Biased, "viewport"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestCompare(t *testing.T) {
	yields, _ := made(t, person{half, true}.model(), llm.Limits{})
	firm, _ := made(t, person{half, false}.model(), llm.Limits{})
	c, err := card.Compare(yields, firm)
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]card.RowsApart{}
	for _, r := range c.Rows {
		at[r.ID] = r
	}
	flips := at["flips"]
	if !flips.Paired || flips.Difference.Value != -1 || flips.Words() != "differs" || flips.Difference.PAdjusted < flips.Difference.P {
		t.Errorf("flips: %+v", flips)
	}
	same := at["unanswerable"]
	if !same.Paired || same.Difference.Value != 0 || same.Words() != "not told apart" || !(same.Difference.Low < 0 && same.Difference.High > 0) {
		t.Errorf("unanswerable: %+v", same)
	}
	if r := at["stated-rank"]; r.Paired || !strings.Contains(r.How, "unpaired") {
		t.Errorf("stated-rank: %+v", r)
	}
	var b strings.Builder
	if err := c.HTML(&b); err != nil || !strings.Contains(b.String(), "differs") {
		t.Errorf("%v", err)
	}
	// Other items, other seed: unpaired, and said so.
	p, err := card.NewPlan(person{half, false}.model(), "script:person", 99, llm.Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := card.Make(t.Context(), p, person{half, false}.model(), card.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if c, err = card.Compare(yields, other); err != nil {
		t.Fatal(err)
	}
	for _, r := range c.Rows {
		if r.ID == "flips" && (r.Paired || !strings.HasPrefix(r.How, "unpaired") || r.Words() != "differs") {
			t.Errorf("flips with another seed: %+v", r)
		}
	}
	other.Set++
	if _, err := card.Compare(yields, other); err == nil || !strings.Contains(err.Error(), "different sets") {
		t.Errorf("%v", err)
	}
}

func TestOtherPlansAreRefused(t *testing.T) {
	m := person{half, true}.model()
	plan, err := card.NewPlan(m, "script:person", 1, llm.Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*card.Plan){
		"choose another folder": func(p *card.Plan) { p.Model = "other" },
		"seed 2":                func(p *card.Plan) { p.Seed = 2 },
		"begin a new card":      func(p *card.Plan) { p.Set++ },
		"version 7":             func(p *card.Plan) { p.Schema = 7 },
	} {
		other := plan
		change(&other)
		if err := other.Same(plan); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %q", err, want)
		}
	}
	if _, err := card.Make(t.Context(), card.Plan{Model: "other", Schema: 1}, m, card.Options{Dir: t.TempDir()}); err == nil {
		t.Error("the card of another model was made")
	}
}
