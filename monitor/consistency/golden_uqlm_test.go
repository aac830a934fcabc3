package consistency_test

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/consistency"
	"gnothi/monitor/likelihood"
)

// Every figure of uqlm 0.6.7 in the golden file: the signal that has its value as score or as raw, or why there is none.
var uqlm = map[string]struct {
	signal monitor.Signal
	raw    bool // the value is the raw one
	why    string
}{
	"exact_match":                             {signal: consistency.ExactMatch()},
	"noncontradiction":                        {signal: consistency.NonContradiction()},
	"entailment":                              {signal: consistency.Entailed()},
	"cosine_sim":                              {signal: consistency.Similar(consistency.Likeness)},
	"min_probability":                         {signal: likelihood.MinLogProb()},
	"sequence_probability":                    {signal: likelihood.MeanLogProb()},
	"sequence_probability_no_len_norm":        {signal: likelihood.SequenceLogProb()},
	"min_probability_no_len_norm":             {signal: likelihood.MinLogProb()},
	"monte_carlo_probability":                 {signal: consistency.MeanProbability()},
	"discrete_entropy_values":                 {signal: consistency.EntropyBy(0, consistency.ByInference), raw: true},
	"tokenprob_entropy_values":                {signal: consistency.SemanticEntropy(consistency.ByInference), raw: true},
	"num_semantic_sets":                       {signal: consistency.Sets(consistency.ByInference), raw: true},
	"cluster_probabilities_uniform":           {why: "shares of overlapping clusters; the shares of ours are in consistency/entropy-nli"},
	"discrete_confidence_scores":              {why: "1 − H/ln(samples + 1): ours divides by the logarithm of what H was computed over"},
	"tokenprob_confidence_scores":             {why: "the same scale"},
	"semantic_density":                        {why: "leaves the answer itself out and cuts by contra + neutral·√2/2; the paper's is consistency/semantic-density, as lm-polygraph has it"},
	"clusters_uqlm":                           {why: "one answer may join several clusters; TestEachAnswerIsInOneClass"},
	"best_response_discrete":                  {why: "a choice, not a score: policies choose"},
	"top5":                                    {why: "TestTopGolden of monitor/likelihood"},
	"cocoa_consistency_and_confidence":        {why: "probability times likeness; the paper's is uncertainty times unlikeness, consistency/cocoa-token-likeness"},
	"discrete_entropy_values_no_len_norm":     {why: "as with length normalisation"},
	"discrete_confidence_scores_no_len_norm":  {why: "as with length normalisation"},
	"num_semantic_sets_no_len_norm":           {why: "as with length normalisation"},
	"tokenprob_entropy_values_no_len_norm":    {why: "TestUqlmGolden checks ClassEntropy; the signal is length-normalised, as Farquhar's code is"},
	"tokenprob_confidence_scores_no_len_norm": {why: "the same scale"},
	"semantic_density_no_len_norm":            {why: "as with length normalisation"},
	"monte_carlo_probability_no_len_norm":     {why: "a mean of probabilities of texts of different lengths; consistency/sequence-entropy is its logarithmic form"},
}

func TestUqlmGolden(t *testing.T) {
	var arrays struct{ Items []goldenItem }
	var file struct {
		Items []struct {
			Vectors [][]float64
			Values  map[string]json.RawMessage
		}
	}
	golden(t, "lm_polygraph.json", &arrays)
	golden(t, "uqlm.json", &file)
	overlapping, differing := 0, 0
	for i, item := range file.Items {
		a := arrays.Items[i]
		n := len(a.Texts)
		answer := llm.Choice{Text: a.Texts[0], Tokens: tokens(a.Samples[0])}
		samples := make([]llm.Choice, n-1)
		for k := range samples {
			samples[k] = llm.Choice{Text: a.Texts[k+1], Tokens: tokens(a.Samples[k+1])}
		}
		newTrial := func(answer *llm.Choice, samples []llm.Choice) (*monitor.Trial, *monitor.Candidate) {
			return monitor.NewGiven(monitor.TrialOptions{Question: monitor.Question{Text: "What?"}}, monitor.Given{Answer: answer, Samples: samples})
		}
		all := consistency.NLI{Entail: consistency.NewMatrix(n), Contra: consistency.NewMatrix(n)}
		likeness := consistency.NewMatrix(n)
		for j := range n {
			for k := range n {
				all.Entail.Set(j, k, float64(a.NLI[j][k][2]))
				all.Contra.Set(j, k, float64(a.NLI[j][k][0]))
				if a.Texts[j] == a.Texts[k] {
					all.Entail.Set(j, k, 1)
					all.Contra.Set(j, k, 0)
				}
				likeness.Set(j, k, 0.5+cosine(item.Vectors[j], item.Vectors[k])/2)
			}
		}
		trial, c := newTrial(&answer, samples)
		monitor.Know(trial, consistency.Inferences{Of: c}, all)
		monitor.Know(trial, consistency.Likenesses{Of: c}, likeness)
		// Their entropies are over the answer and the samples together.
		together, _ := newTrial(nil, append([]llm.Choice{answer}, samples...))
		monitor.Know(together, consistency.Inferences{}, all)

		var clusters [][]int
		if err := json.Unmarshal(item.Values["clusters_uqlm"], &clusters); err != nil {
			t.Fatal(err)
		}
		members := 0
		for _, c := range clusters {
			members += len(c)
		}
		class := consistency.EntailmentClasses(all)
		same := members == n && len(clusters) == slices.Max(class)+1
		if members > n {
			overlapping++
		}
		if len(clusters) != slices.Max(class)+1 {
			differing++ // either direction is enough for theirs: README says mutual is right
		}
		for name, raw := range item.Values {
			e, listed := uqlm[name]
			switch {
			case !listed || e.signal == nil && e.why == "":
				t.Errorf("%s: not in the table, or neither signal nor reason", name)
				continue
			case e.signal == nil:
				continue
			}
			var want number
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			on := trial
			if e.raw {
				if on = together; !same {
					continue
				}
			}
			r, err := monitor.ScoreOne(t.Context(), e.signal, on, c)
			got := r.Score
			if e.raw {
				got = r.Raw
			}
			if err != nil || math.Abs(got-float64(want)) > 1e-9 {
				t.Errorf("%s of item %d by %s: %.12g, want %.12g (%v)", name, i, e.signal.Name(), got, want, err)
			}
		}
		if same {
			var want number
			if err := json.Unmarshal(item.Values["tokenprob_entropy_values_no_len_norm"], &want); err != nil {
				t.Fatal(err)
			}
			logP := make([]float64, n)
			for k, s := range a.Samples {
				for _, l := range s {
					logP[k] += float64(l)
				}
			}
			if got := consistency.ClassEntropy(logP, class); math.Abs(got-float64(want)) > 1e-9 {
				t.Errorf("entropy of item %d without length normalisation: %v, want %v", i, got, want)
			}
		}
	}
	if overlapping != 2 || differing != 6 { // as README counts them
		t.Errorf("%d items with overlapping clusters, %d with another number of clusters than ours; want 2 and 6", overlapping, differing)
	}
}

func cosine(a, b []float64) float64 {
	dot, x, y := 0.0, 0.0, 0.0
	for i := range a {
		dot += a[i] * b[i]
		x += a[i] * a[i]
		y += b[i] * b[i]
	}
	return dot / math.Sqrt(x*y)
}

// lm-polygraph's semantic entropy is negative for ten of these items, its direct form has 2.079 for two classes of three.
func TestSemanticEntropyIsOfNormalisedClasses(t *testing.T) {
	var file struct {
		Items      []goldenItem
		Estimators map[string][]json.RawMessage
	}
	golden(t, "lm_polygraph.json", &file)
	negative := 0
	for i, item := range file.Items {
		var theirs number
		if err := json.Unmarshal(file.Estimators["SemanticEntropy"][i], &theirs); err != nil {
			t.Fatal(err)
		}
		if theirs < 0 {
			negative++
		}
		trial, c := item.trial()
		r, err := monitor.ScoreOne(t.Context(), consistency.SemanticEntropy(consistency.ByInference), trial, c)
		most := math.Log(float64(slices.Max(item.Class) + 1))
		if err != nil || r.Raw < 0 || r.Raw > most+1e-12 || r.Score < 0 || r.Score > 1 {
			t.Errorf("item %d: %+v, %v; want 0 to %v", i, r, err, most)
		}
	}
	if negative != 10 {
		t.Errorf("theirs is negative for %d items, not 10", negative)
	}
	if h := consistency.ClassEntropy(make([]float64, 6), []int{0, 1, 0, 1, 1, 0}); math.Abs(h-math.Ln2) > 1e-12 {
		t.Errorf("two classes of three: %v, want ln 2", h)
	}
	// Very long answers underflow; the classes' shares do not.
	if h := consistency.ClassEntropy([]float64{-2000, -2000, -2000}, []int{0, 1, 1}); math.Abs(h-(math.Log(3)-2./3*math.Ln2)) > 1e-12 {
		t.Errorf("answers of probability e^−2000: %v", h)
	}
}

func TestEachAnswerIsInOneClass(t *testing.T) {
	// 1 is entailed by 0 and by 2 both ways, but 0 and 2 do not entail one another.
	x := consistency.NLI{Entail: consistency.NewMatrix(3), Contra: consistency.NewMatrix(3)}
	for i := range 3 {
		x.Entail.Set(i, i, 1)
	}
	for _, pair := range [][2]int{{0, 1}, {1, 0}, {1, 2}, {2, 1}} {
		x.Entail.Set(pair[0], pair[1], 0.9)
	}
	if got := consistency.EntailmentClasses(x); !slices.Equal(got, []int{0, 0, 1}) {
		t.Errorf("classes %v, want 0 0 1", got)
	}
	if got := consistency.SemanticSets(x); got != 1 {
		t.Errorf("%d sets that hang together, want 1", got)
	}
	// One direction is not enough.
	x.Entail.Set(1, 0, 0)
	x.Contra.Set(1, 0, 0.9)
	if got := consistency.EntailmentClasses(x); !slices.Equal(got, []int{0, 1, 1}) {
		t.Errorf("classes %v, want 0 1 1", got)
	}
}
