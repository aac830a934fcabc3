package learn

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode/utf8"

	"gnothi/llm"
	"gnothi/monitor/judge"
	"gnothi/stats"
)

// Report says what came of a recipe, and what else its rows may teach.
type Report struct {
	Recipe  string         `json:"recipe"`
	Model   string         `json:"model"`
	Prompts int            `json:"prompts"`
	Failed  int            `json:"failed"`    // prompts that ended in an error
	Budget  int            `json:"no_budget"` // prompts that the budget cut off or kept from beginning
	Rows    map[string]int `json:"rows"`      // by kind, with the role where there is one
	Dropped map[string]int `json:"dropped"`   // by reason
	// Length of chosen and rejected, in characters, over the pairs of the one who
	// answers; Longer is how often the chosen one is longer, equal ones left out.
	Length struct {
		Chosen   stats.Figure `json:"chosen"`
		Rejected stats.Figure `json:"rejected"`
		Longer   stats.Figure `json:"chosen_longer"`
	} `json:"length"`
	// Judge is what the judge's verdicts may rest on; nil where none was asked.
	Judge *judge.Bias `json:"judge,omitempty"`
	// SelfJudged: the model judged what it had written itself. Its taste for its own
	// is then in the rows, unmeasured unless Judge says otherwise.
	SelfJudged bool      `json:"self_judged"`
	Histogram  Histogram `json:"scores"`
	// Shares and Values are the recipe's own figures, by name.
	Shares map[string]stats.Figure `json:"shares,omitempty"`
	Values map[string]Spread       `json:"values,omitempty"`
	// Gold compares scores with what a checker says, where there is one.
	Gold  *Gold    `json:"gold,omitempty"`
	Notes []string `json:"notes,omitempty"`
	Spend Spend    `json:"spend"`
}

// Histogram counts scores in ten bins of equal width.
type Histogram struct {
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Counts []int   `json:"counts"`
}

// Spread describes values by mean and lower end: what is trained on is as good
// as its worst, too.
type Spread struct {
	N    int     `json:"n"`
	Mean float64 `json:"mean"`
	Min  float64 `json:"min"`
	P5   float64 `json:"p5"` // the 5th percentile, the value of rank ⌈n/20⌉
}

// Gold is how well scores tell right from wrong, before any training.
type Gold struct {
	Accuracy stats.Figure `json:"accuracy"`
	AUROC    stats.Figure `json:"auroc"`
	ECE      stats.Figure `json:"ece"` // ten bins; only of scores that all lie in [0,1]
	// Right and Wrong are the scores of either kind, in the same bins.
	Right Histogram `json:"right"`
	Wrong Histogram `json:"wrong"`
}

// Spend is what it cost, by the role of calls.
type Spend struct {
	Calls            int64            `json:"calls"`
	PromptTokens     int64            `json:"prompt_tokens"`
	CompletionTokens int64            `json:"completion_tokens"`
	CallsByRole      map[string]int64 `json:"calls_by_role,omitempty"`
}

// ranks is the AUROC below which scores do not rank answers, if enough were checked
// (both chosen).
const ranks, enough = 0.6, 30

// Tally gathers what prompts came to. It is not safe for concurrent use.
type Tally struct {
	made    Made
	bias    judge.Tally
	report  Report
	pairs   [][2]int // lengths of chosen and rejected
	of      []int    // the prompt of each pair, by its number
	numbers map[string]int
	shares  map[string][][2]int // for each prompt how many of how many
	cluster []int               // the prompt of each labelled score
}

// NewTally begins the report of a recipe.
func NewTally(r Recipe, m llm.Model) *Tally {
	return &Tally{numbers: map[string]int{}, shares: map[string][][2]int{}, report: Report{Recipe: r.Name, Model: m.ID().String(), Rows: map[string]int{}, Dropped: map[string]int{}}}
}

// Add adds what a prompt came to, in the order of the prompts, beside its rows.
func (t *Tally) Add(m *Made) {
	r := &t.report
	r.Prompts++
	switch {
	case errors.Is(m.Err, llm.ErrBudget):
		r.Budget++
		return
	case m.Err != nil:
		r.Failed++
		return
	}
	t.gather(m)
}

func (t *Tally) gather(m *Made) {
	for why, n := range m.dropped {
		t.report.Dropped[why] += n
	}
	t.made.scores = append(t.made.scores, m.scores...)
	for range m.labelled {
		t.cluster = append(t.cluster, t.report.Prompts)
	}
	t.made.labelled = append(t.made.labelled, m.labelled...)
	t.made.self = t.made.self || m.self
	for name, s := range m.shares {
		t.shares[name] = append(t.shares[name], s)
	}
	for _, name := range slices.Sorted(maps.Keys(m.values)) {
		for _, x := range m.values[name] {
			t.made.Value(name, x)
		}
	}
	for _, tell := range m.judged {
		tell(&t.bias)
	}
	t.made.judged = append(t.made.judged, m.judged...)
	for _, n := range m.notes {
		if !slices.Contains(t.report.Notes, n) {
			t.report.Notes = append(t.report.Notes, n)
		}
	}
}

// Choose applies the recipe's rule about the whole set, if it has one.
func (t *Tally) Choose(r Recipe, rows []Row) []Row {
	if r.All == nil {
		return rows
	}
	m := Made{finished: t.report.Prompts - t.report.Failed - t.report.Budget}
	rows = r.All(rows, &m)
	t.gather(&m)
	return rows
}

// Row counts a row that is written.
func (t *Tally) Row(r Row) {
	kind := string(r.Kind)
	if r.Role != "" {
		kind += " (" + r.Role + ")"
	}
	t.report.Rows[kind]++
	if r.Kind == Pair && r.Role == "" {
		if _, ok := t.numbers[r.ID]; !ok {
			t.numbers[r.ID] = len(t.numbers)
		}
		t.of = append(t.of, t.numbers[r.ID])
		t.pairs = append(t.pairs, [2]int{utf8.RuneCountInString(r.Chosen), utf8.RuneCountInString(r.Rejected)})
	}
}

// Report makes the figures, with intervals at 95 %.
func (t *Tally) Report(ledger *llm.Ledger) Report {
	r := t.report
	var chosen, rejected []float64
	var longer [][2]int
	by := map[int]int{} // the place in longer of each prompt
	for i, p := range t.pairs {
		chosen, rejected = append(chosen, float64(p[0])), append(rejected, float64(p[1]))
		if p[0] == p[1] {
			continue
		}
		at, ok := by[t.of[i]]
		if !ok {
			at = len(longer)
			by[t.of[i]], longer = at, append(longer, [2]int{})
		}
		if longer[at][1]++; p[0] > p[1] {
			longer[at][0]++
		}
	}
	r.Length.Chosen, r.Length.Rejected = mean(chosen, t.of, "no pairs"), mean(rejected, t.of, "no pairs")
	r.Length.Longer = share(longer, "no pair differs in length")
	if len(t.made.judged) > 0 {
		b := t.bias.Bias()
		r.Judge, r.SelfJudged = &b, t.made.self
	}
	r.Histogram = histogram(t.made.scores)
	for name, s := range t.shares {
		if r.Shares == nil {
			r.Shares = map[string]stats.Figure{}
		}
		r.Shares[name] = share(s, "none")
	}
	for name, x := range t.made.values {
		if r.Values == nil {
			r.Values = map[string]Spread{}
		}
		r.Values[name] = spread(x)
	}
	if r.Gold = t.gold(); r.Gold != nil && r.Gold.AUROC.N >= enough && r.Gold.AUROC.Value < ranks {
		r.Notes = append(r.Notes[:len(r.Notes):len(r.Notes)], "the scores hardly tell right from wrong here: what is selected by them teaches little")
	}
	if ledger != nil {
		s := ledger.Spent()
		r.Spend = Spend{s.Calls, s.PromptTokens, s.CompletionTokens, map[string]int64{}}
		for role, s := range ledger.ByRole() {
			r.Spend.CallsByRole[role] = s.Calls
		}
	}
	return r
}

// share is a proportion of cases. Cases of one prompt are alike, so with several
// of them the interval is over prompts.
func share(perPrompt [][2]int, why string) stats.Figure {
	k, n := 0, 0
	var y []float64
	var cluster []int
	for i, s := range perPrompt {
		k, n = k+s[0], n+s[1]
		for j := range s[1] {
			hit := 0.0
			if j < s[0] {
				hit = 1
			}
			y, cluster = append(y, hit), append(cluster, i)
		}
	}
	if n == len(perPrompt) {
		f, err := stats.Wilson(k, n, 0.95)
		if err != nil {
			return stats.Missing(n, errors.New(why))
		}
		return f
	}
	return mean(y, cluster, why)
}

func mean(x []float64, cluster []int, why string) stats.Figure {
	f, err := stats.Mean(x, cluster, 0.95)
	if err != nil {
		return stats.Missing(len(x), errors.New(why))
	}
	return f
}

func (t *Tally) gold() *Gold {
	if len(t.made.labelled) == 0 {
		return nil
	}
	var score, y []float64
	unit := true
	var kinds [2][]float64
	for _, l := range t.made.labelled {
		kinds[int(l[1])] = append(kinds[int(l[1])], l[0])
		score, y = append(score, l[0]), append(y, l[1])
		unit = unit && l[0] >= 0 && l[0] <= 1
	}
	// Samples of one prompt are alike: intervals are over prompts.
	low, high := slices.Min(score), slices.Max(score)
	g := &Gold{Right: binned(kinds[1], low, high), Wrong: binned(kinds[0], low, high)}
	var err error
	if g.Accuracy, err = stats.Mean(y, t.cluster, 0.95); err != nil {
		g.Accuracy = stats.Missing(len(y), err)
	}
	boot := stats.Bootstrap{Cluster: t.cluster}
	if g.AUROC, err = boot.AUROC(rand.New(rand.NewPCG(1, 0)), score, y); err != nil {
		g.AUROC = stats.Missing(len(y), err)
	}
	g.ECE = stats.Missing(len(y), errors.New("the scores are no probabilities"))
	if unit {
		if bins, err := stats.Bins(score, y, stats.WidthRight, 10); err != nil {
			g.ECE = stats.Missing(len(y), err)
		} else {
			g.ECE = stats.Figure{Value: stats.ECE(bins), Low: math.NaN(), High: math.NaN(), N: len(y), Method: "10 bins"}
		}
	}
	return g
}

func histogram(scores []float64) Histogram {
	if len(scores) == 0 {
		return Histogram{}
	}
	return binned(scores, slices.Min(scores), slices.Max(scores))
}

func binned(scores []float64, low, high float64) Histogram {
	h := Histogram{Low: low, High: high, Counts: make([]int, 10)}
	for _, s := range scores {
		i := 0
		if high > low {
			i = min(9, int((s-low)/(high-low)*10))
		}
		h.Counts[i]++
	}
	return h
}

func spread(x []float64) Spread {
	sorted := slices.Sorted(slices.Values(x))
	s := Spread{N: len(x), Min: sorted[0], P5: sorted[(len(x)+19)/20-1]}
	for _, v := range x {
		s.Mean += v / float64(len(x))
	}
	return s
}

// String is the report in lines.
func (r Report) String() string {
	var s strings.Builder
	line := func(name string, v any) { fmt.Fprintf(&s, "%-32s %v\n", name, v) }
	line("recipe", r.Recipe+" on "+r.Model)
	prompts := fmt.Sprint(r.Prompts)
	if r.Failed > 0 {
		prompts += fmt.Sprintf(", %d failed", r.Failed)
	}
	if r.Budget > 0 {
		prompts += fmt.Sprintf(", %d without budget", r.Budget)
	}
	line("prompts", prompts)
	line("rows", counts(r.Rows))
	if len(r.Dropped) > 0 {
		line("dropped", counts(r.Dropped))
	}
	if r.Length.Chosen.N > 0 {
		line("chosen, characters", r.Length.Chosen)
		line("rejected, characters", r.Length.Rejected)
		line("chosen is longer", r.Length.Longer)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Shares)) {
		line(name, r.Shares[name])
	}
	for _, name := range slices.Sorted(maps.Keys(r.Values)) {
		v := r.Values[name]
		if v.N == 1 {
			line(name, fmt.Sprintf("%.3g", v.Mean))
			continue
		}
		line(name, fmt.Sprintf("mean %.3f, 5th percentile %.3f, least %.3f (n=%d)", v.Mean, v.P5, v.Min, v.N))
	}
	if r.Gold != nil {
		line("right", r.Gold.Accuracy)
		line("score tells right, AUROC", r.Gold.AUROC)
		line("ECE of the score", r.Gold.ECE)
	}
	if r.Histogram.Counts != nil {
		line("scores", fmt.Sprintf("%s from %.3g to %.3g", bars(r.Histogram.Counts), r.Histogram.Low, r.Histogram.High))
	}
	if r.Judge != nil {
		s.WriteString(r.Judge.String())
		if r.SelfJudged {
			line("self-judged", "yes: the model's taste for its own is in these rows")
		}
	}
	line("spend", fmt.Sprintf("%d calls (%s), %d tokens", r.Spend.Calls, calls(r.Spend.CallsByRole), r.Spend.PromptTokens+r.Spend.CompletionTokens))
	for _, n := range r.Notes {
		line("note", n)
	}
	return s.String()
}

func counts(m map[string]int) string {
	if len(m) == 0 {
		return "none"
	}
	keys := slices.Sorted(maps.Keys(m))
	slices.SortStableFunc(keys, func(a, b string) int { return cmp.Compare(m[b], m[a]) })
	for i, k := range keys {
		keys[i] = fmt.Sprintf("%d %s", m[k], k)
	}
	return strings.Join(keys, ", ")
}

func calls(m map[string]int64) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%d %s", m[k], k))
	}
	return strings.Join(out, ", ")
}

func bars(counts []int) string {
	most := max(1, slices.Max(counts))
	var s strings.Builder
	for _, n := range counts {
		s.WriteRune([]rune(" ▁▂▃▄▅▆▇█")[(8*n+most-1)/most])
	}
	return s.String()
}
