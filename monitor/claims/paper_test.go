package claims_test

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/monitor/claims"
	"gnothi/stats"
)

func data(t testing.TB, name ...string) *os.File {
	t.Helper()
	root := os.Getenv("GNOTHI_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	f, err := os.Open(filepath.Join(append([]string{root}, name...)...))
	if err != nil {
		t.Skipf("no data: %v (set GNOTHI_DATA)", err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func jsonLines[T any](t testing.TB, name ...string) []T {
	t.Helper()
	var out []T
	sc := bufio.NewScanner(data(t, name...))
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var v T
		if err := json.Unmarshal(sc.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

func rows(t testing.TB, name ...string) []map[string]string {
	t.Helper()
	all, err := csv.NewReader(data(t, name...)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]string
	for _, r := range all[1:] {
		m := map[string]string{}
		for i, v := range r {
			m[all[0][i]] = v
		}
		out = append(out, m)
	}
	return out
}

// passage is one of the 238 of wiki_bio_gpt3_hallucination (Manakul et al. 2023).
type passage struct {
	Index      int      `json:"dataset_idx"`
	Text       string   `json:"gpt3_text"`
	Sentences  []string `json:"gpt3_sentences"`
	Annotation []string `json:"annotation"`
	Samples    []string `json:"gpt3_text_samples"`
}

func passages(t testing.TB) []passage {
	return append(jsonLines[passage](t, "wikibio-gpt3-hallucination", "passages_000_118.jsonl"), jsonLines[passage](t, "wikibio-gpt3-hallucination", "passages_119_237.jsonl")...)
}

// wikibio collects sentence scores, higher is worse, with people's labels.
type wikibio struct {
	score, nonFact, major []float64
	passage               []int
	byPassage             map[int][]int
}

func (w *wikibio) add(passage int, score float64, annotation string) {
	label := map[string]float64{"accurate": 0, "minor_inaccurate": 0.5, "major_inaccurate": 1}[annotation]
	if w.byPassage == nil {
		w.byPassage = map[int][]int{}
	}
	w.byPassage[passage] = append(w.byPassage[passage], len(w.score))
	w.score = append(w.score, score)
	w.nonFact = append(w.nonFact, math.Ceil(label))
	w.major = append(w.major, label)
	w.passage = append(w.passage, passage)
}

// areas are the published figures, in per cent: AUC-PR of NonFact, of Factual, of
// NonFact* (major errors in passages that are not made up throughout), and
// Pearson's and Spearman's correlation over passages.
func (w *wikibio) areas(t testing.TB) (nonFact, factual, nonFactStar, pearson, spearman float64) {
	t.Helper()
	must := func(v float64, err error) float64 {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return 100 * v
	}
	down, fact := make([]float64, len(w.score)), make([]float64, len(w.score))
	var star, starLabel, means, labels []float64
	for i := range w.score {
		down[i], fact[i] = -w.score[i], 1-w.nonFact[i]
	}
	for _, p := range keys(w.byPassage) {
		mean, label := 0.0, 0.0
		at := w.byPassage[p]
		for _, i := range at {
			mean += w.score[i]
			label += w.major[i]
		}
		mean, label = mean/float64(len(at)), label/float64(len(at)) // ties must stay ties
		means, labels = append(means, mean), append(labels, label)
		if label > 1-1e-9 {
			continue
		}
		for _, i := range at {
			star, starLabel = append(star, w.score[i]), append(starLabel, math.Floor(w.major[i]))
		}
	}
	return must(stats.PRAUCTrapezoid(w.score, w.nonFact)), must(stats.PRAUCTrapezoid(down, fact)), must(stats.PRAUCTrapezoid(star, starLabel)), must(stats.Pearson(means, labels)), must(stats.Spearman(means, labels))
}

func keys(m map[int][]int) []int {
	var out []int
	for i := 0; len(out) < len(m); i++ {
		if _, ok := m[i]; ok {
			out = append(out, i)
		}
	}
	return out
}

func TestPaper(t *testing.T) {
	t.Run("selfcheckagent", func(t *testing.T) {
		t.Run("unigram", wikiBioUnigram)
		t.Run("checkers", wikiBioCheckers)
		t.Run("contextual", contextualAgent)
		t.Run("fused", wikiBioFused)
	})
	t.Run("rlfh-fine-grained-knowledge", func(t *testing.T) {
		t.Run("fact-score", factScore)
		t.Run("reward", factRewards)
	})
}

// The symbolic agent on real samples: every sentence's score, and the areas. The
// published row is without smoothing; with it they are told beside.
func wikiBioUnigram(t *testing.T) {
	golden := rows(t, "uq-golden", "selfcheck_ngram_sentences.csv")
	var w, smooth wikibio
	at := 0
	for _, p := range passages(t) {
		u := claims.NewUnigram(0, append([]string{p.Text}, p.Samples...)...)
		laplace := claims.NewUnigram(1, append([]string{p.Text}, p.Samples...)...)
		for i, s := range p.Sentences {
			g := golden[at]
			at++
			largest, mean, _ := u.Surprise(s)
			if g["dataset_idx"] != strconv.Itoa(p.Index) || !close(largest, g["regex_unigram_max"], p) || !close(mean, g["regex_unigram_avg"], p) {
				t.Fatalf("passage %d sentence %d: max %.9f mean %.9f, want %v", p.Index, i, largest, mean, g)
			}
			w.add(p.Index, largest, p.Annotation[i])
			largest, _, _ = laplace.Surprise(s)
			smooth.add(p.Index, largest, p.Annotation[i])
		}
	}
	if at != 1908 {
		t.Errorf("%d sentences", at)
	}
	nonFact, factual, _, pearson, spearman := w.areas(t)
	within(t, "NonFact", nonFact, 85.63, 0.01)
	within(t, "Factual", factual, 57.70, 0.01)
	within(t, "Pearson", pearson, 62.835, 0.01)
	within(t, "Spearman", spearman, 62.991, 0.01)
	nonFact, factual, _, pearson, _ = smooth.areas(t)
	t.Logf("with Laplace smoothing: NonFact %.2f Factual %.2f Pearson %.2f", nonFact, factual, pearson)
	if nonFact < 85 || factual < 57 || pearson < 62 {
		t.Error("smoothing changes the ranking by more than half a point")
	}
}

// close allows for passages with a "İ", which Python lowers to two characters,
// so that it counts up to two tokens more for each.
func close(v float64, want string, p passage) bool {
	w, err := strconv.ParseFloat(want, 64)
	tolerance := 1e-8
	if strings.Contains(p.Text+strings.Join(p.Samples, ""), "İ") {
		tolerance = 2e-3
	}
	return err == nil && math.Abs(v-w) < tolerance
}

func within(t testing.TB, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s: %.4f, want %.4f", what, got, want)
	}
}

// The published figures of other people's checkers, from their sentence scores:
// NonFact, NonFact*, Factual, Pearson, Spearman.
func wikiBioCheckers(t *testing.T) {
	for _, c := range []struct {
		column string
		last   int
		want   [5]float64
	}{
		{"nli_kaist", 118, [5]float64{91.74, 45.08, 64.32, 70.80, 70.87}},
		{"bertscore_kaist", 118, [5]float64{81.24, 45.36, 40.90, 54.28, 49.31}},
		{"prompt_kaist_qwen3.5_9b", 118, [5]float64{92.54, 64.49, 69.86, 68.77, 70.26}},
		{"prompt_gemma4_31b", 237, [5]float64{93.07, 65.22, 72.99, 70.93, 73.43}},
	} {
		var w wikibio
		for _, r := range rows(t, "wikibio-gpt3-hallucination", "sentence_scores.csv") {
			p, err := strconv.Atoi(r["dataset_idx"])
			if err != nil {
				t.Fatal(err)
			}
			if s, err := strconv.ParseFloat(r[c.column], 64); err == nil && p <= c.last {
				w.add(p, s, r["annotation"])
			}
		}
		nonFact, factual, star, pearson, spearman := w.areas(t)
		for i, v := range []float64{nonFact, star, factual, pearson, spearman} {
			within(t, c.column+" "+[...]string{"NonFact", "NonFact*", "Factual", "Pearson", "Spearman"}[i], v, c.want[i], 0.006)
		}
	}
}

// The contextual agent on a judge that is known: a sample supports a sentence if
// it holds it. One sentence stands in all samples, one in one of four, one in none.
func contextualAgent(t *testing.T) {
	const answer = "Ada was born in 1815. She was a poet. She lived in Paris."
	samples := []string{"Ada was born in 1815. She was a poet.", "Ada was born in 1815.", "Ada was born in 1815. Nothing else is known.", "Ada was born in 1815, they say. Ada was born in 1815."}
	for _, s := range []claims.Samples{{N: 4}, {N: 4, Alone: true}, {N: 4, CoT: true}} {
		m := script.New(func(op llm.Op, i int) script.Reply {
			if op.Role == "sample" {
				return script.Reply{Text: samples[i]}
			}
			return script.Reply{Text: containment(script.Prompt(op.Request), s.CoT)}
		})
		trial := newTrial(m, "")
		r, err := monitor.ScoreOne(t.Context(), claims.Signal(s), trial, given(trial, answer))
		if err != nil {
			t.Fatal(err)
		}
		want := []float64{1, 0.25, 0}
		for i, p := range r.Parts {
			if p.Score != want[i] || answer[p.Span[0]:p.Span[1]] != p.Text {
				t.Errorf("%s: %+v, want %v", s.Name(), p, want[i])
			}
		}
		if len(r.Parts) != 3 || math.Abs(r.Score-1.25/3) > 1e-9 || r.Source != "samples" || r.Reads != 12 {
			t.Errorf("%s: %+v", s.Name(), r)
		}
		// One call for a sample and all its claims, or one for each pair.
		if calls := m.Calls(); (s == claims.Samples{N: 4}) && calls != 4+4 || (s != claims.Samples{N: 4}) && calls != 4+12 {
			t.Errorf("%+v: %d calls", s, calls)
		}
	}
}

// containment plays a judge that says yes to what stands in the passage word for
// word.
func containment(asked string, reason bool) string {
	passage, rest, _ := strings.Cut(asked, "\nNumbered statements:")
	if rest == "" {
		passage, rest, _ = strings.Cut(asked, "\nStatement:")
		claim, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
		_, passage, _ = strings.Cut(passage, "Passage:")
		verdict := "No"
		if strings.Contains(passage, strings.Trim(claim, `" `)) {
			verdict = "Yes"
		}
		if reason {
			return "The passage says what it says, yes or no.\n\n**" + verdict + "**."
		}
		return verdict + "."
	}
	var out strings.Builder
	for line := range strings.Lines(rest) {
		line = strings.Trim(strings.TrimSpace(line), `"`)
		n, claim, ok := strings.Cut(line, ". ")
		if _, err := strconv.Atoi(n); !ok || err != nil {
			continue
		}
		if strings.Contains(passage, claim) {
			out.WriteString(n + ": Yes\n")
		} else {
			out.WriteString(n + ": No\n")
		}
	}
	return out.String()
}

// The rank average of two checkers is better than the weaker and no worse than
// the stronger by more than a point, on people's labels.
func wikiBioFused(t *testing.T) {
	var prompts, grams []float64
	var fused, alone wikibio
	csv := rows(t, "wikibio-gpt3-hallucination", "sentence_scores.csv")
	ngram := rows(t, "uq-golden", "selfcheck_ngram_sentences.csv")
	for i, r := range csv {
		p, err1 := strconv.ParseFloat(r["prompt_gemma4_31b"], 64)
		g, err2 := strconv.ParseFloat(ngram[i]["regex_unigram_max"], 64)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		prompts, grams = append(prompts, p), append(grams, g)
	}
	a, b := claims.RankShares(prompts), claims.RankShares(grams)
	for i, r := range csv {
		p, _ := strconv.Atoi(r["dataset_idx"])
		fused.add(p, (a[i]+b[i])/2, r["annotation"])
		alone.add(p, grams[i], r["annotation"])
	}
	nonFact, factual, _, pearson, _ := fused.areas(t)
	weak, weakFactual, _, weakPearson, _ := alone.areas(t)
	if nonFact < weak+3 || factual < weakFactual+3 || pearson < weakPearson+3 {
		t.Errorf("fused %.2f %.2f %.2f, the n-grams alone %.2f %.2f %.2f", nonFact, factual, pearson, weak, weakFactual, weakPearson)
	}
	t.Logf("fused: NonFact %.2f Factual %.2f Pearson %.2f", nonFact, factual, pearson)
}

// biography is one of FActScore's, with people's atomic facts.
type biography struct {
	Annotations []struct {
		Relevant bool `json:"is-relevant"`
		Model    []struct {
			Text string `json:"text"`
		} `json:"model-atomic-facts"`
		Human []struct {
			Text  string `json:"text"`
			Label string `json:"label"`
		} `json:"human-atomic-facts"`
	} `json:"annotations"`
}

func factScore(t *testing.T) {
	for name, want := range map[string]struct {
		score     float64
		responded int
	}{"InstructGPT": {42.6, 182}, "ChatGPT": {58.3, 157}, "PerplexityAI": {71.6, 166}} {
		sum, responded := 0.0, 0
		for _, b := range jsonLines[biography](t, "factscore-human", name+".jsonl") {
			if b.Annotations == nil {
				continue // the model abstained
			}
			n := map[string]int{}
			for _, s := range b.Annotations {
				if !s.Relevant {
					n["IR"] += len(s.Model)
					continue
				}
				for _, f := range s.Human {
					n[f.Label]++
				}
			}
			f, err := claims.FactPrecision(n["S"], n["NS"], n["IR"])
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			sum += f
			responded++
		}
		within(t, name, 100*sum/float64(responded), want.score, 0.051)
		if responded != want.responded {
			t.Errorf("%s: %d responded, want %d", name, responded, want.responded)
		}
	}
}

// Facts, verdicts and token rewards of one answer, on a scripted model.
func factRewards(t *testing.T) {
	const answer = "Ada Lovelace was born in London in 1815. She perhaps died in Rome."
	m := script.New(func(op llm.Op, _ int) script.Reply {
		asked := script.Prompt(op.Request)
		switch {
		case op.Role == "split" && strings.Contains(asked, `Sentence: "Ada`):
			return script.Reply{Text: "Here they are:\n- Ada Lovelace was born in London.\n- Ada Lovelace was born in 1815.\n- Ada Lovelace was born in 1815.\n- Ada Lovelace wrote 12 operas.\n- Bananas are yellow and sweet."}
		case op.Role == "split":
			return script.Reply{Text: "I cannot list anything."}
		}
		return script.Reply{Text: "1: correct, 3\n2: Correct, 5\n3: hedged wrong, 4"}
	})
	trial := newTrial(m, "Ada Lovelace was born in London in 1815 and died there.")
	c := given(trial, answer)
	list, err := monitor.Get(t.Context(), trial, claims.Facts{Candidate: c})
	if err != nil || len(list.Facts) != 3 || list.Discarded != 2 || list.Whole != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	g, err := monitor.Get(t.Context(), trial, claims.Grades{Candidate: c})
	if err != nil || len(g.Facts) != 3 || g.Unparsed != 0 {
		t.Fatalf("%+v, %v", g, err)
	}
	for i, want := range []float64{1, 1.25, -0.7} {
		if r := g.Facts[i].Reward(); math.Abs(r-want) > 1e-12 {
			t.Errorf("%s: reward %v, want %v", g.Facts[i].Text, r, want)
		}
	}
	within(t, "bonus", claims.Bonus(g.Facts), math.Log(3)/4, 1e-12)
	tokens := script.Words(answer, -0.1)
	rewards, owner, lost, err := claims.TokenRewards(answer, tokens, g.Facts)
	if err != nil || lost != 0 {
		t.Fatal(err, lost)
	}
	got := map[string]float64{}
	total := 0.0
	for i, r := range rewards {
		if total += r; r != 0 {
			got[strings.TrimSpace(tokens[i].Text)] = r
		}
		if owner[i] < -1 || owner[i] > 2 {
			t.Errorf("token %d belongs to %d", i, owner[i])
		}
	}
	// The first fact has the words up to London, the second what is left of its span.
	if math.Abs(total-1.55) > 1e-12 || got["London"] != 1 || got["1815."] != 1.25 || got["Rome."] != -0.7 {
		t.Errorf("rewards %v", got)
	}
	r, err := monitor.ScoreOne(t.Context(), claims.FactScore(), trial, c)
	if err != nil || math.Abs(r.Score-2.0/3) > 1e-12 || len(r.Parts) != 3 || r.Parts[2].Score != 0.25 || m.Calls() != 3 {
		t.Errorf("%+v, %v after %d calls", r, err, m.Calls())
	}
	if _, _, _, err := claims.TokenRewards(answer, tokens[1:], g.Facts); err == nil {
		t.Error("tokens of another text pass")
	}
}
