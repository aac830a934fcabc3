package studies

import (
	"cmp"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"gnothi/eval"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/verbal"
	"gnothi/stats"
)

// ConceptItem is a question about something that exists or does not.
type ConceptItem struct {
	Question string `json:"question"`
	Known    bool   `json:"known"` // everybody has heard of it
}

// FamiliarResult is how familiar the question is to the model.
type FamiliarResult struct {
	Known bool    `json:"known"`
	F     float64 `json:"familiarity"`
	Why   string  `json:"why"`
}

// SelfFamiliarity is the study self-familiarity (Luo et al. 2023): told before any
// answer, does a model's familiarity with the concepts of a question part what
// exists from what was made up, and what does a threshold withhold that lets 95 %
// of common concepts pass? Followed: the threshold is the 5th percentile of what
// is known, with its bootstrap interval. It is found on one half of the known
// questions and tried on the other. Chosen: without the user's concepts.jsonl
// (lines of {question, known}) common things and names from a seeded generator; the
// paper's Concept-7 is not public. A made-up name is an unlikely string whatever
// precedes it, which makes this sample easy where names are scored.
func SelfFamiliarity() eval.Suite {
	return eval.Study[ConceptItem, FamiliarResult]{
		Name:  "self-familiarity",
		About: "finds the names of things again from its own explanations, of real and of made-up things",
		Needs: "text",
		Items: eval.List(func(s eval.Source) ([]ConceptItem, error) {
			return lines(s, "concepts.jsonl", conceptItems(s.Rand, cmp.Or(s.N, 2*len(commonThings))), func(c ConceptItem) error {
				if c.Question == "" {
					return errors.New(`field "question": missing or empty`)
				}
				return nil
			})
		}),
		Ask: func(ctx context.Context, s *eval.Session, item ConceptItem) (FamiliarResult, error) {
			r := FamiliarResult{Known: item.Known}
			t := s.On("question", 0, monitor.Question{Text: item.Question}, llm.Request{Prompt: item.Question})
			reading, err := monitor.ScoreOne(ctx, verbal.Familiarity(), t, t.Candidate(llm.Choice{}, monitor.FromOutside, nil))
			if errors.Is(err, monitor.ErrMissing) {
				return r, unparsed("concept", err.Error())
			}
			r.F, r.Why = reading.Score, reading.Why
			return r, err
		},
		Measure: measureFamiliar,
	}
}

var commonThings = []string{"aspirin", "gravity", "Mozart", "the Eiffel Tower", "photosynthesis", "Shakespeare", "penicillin", "Napoleon", "oxygen", "the Amazon", "chess", "Einstein",
	"democracy", "volcanoes", "Cleopatra", "diamonds", "the violin", "Leonardo da Vinci", "hurricanes", "electricity", "Beethoven", "the Great Wall of China", "dinosaurs", "sugar"}

var aboutThings = []string{"What is {} known for?", "How would you describe {} to a visitor?", "What is the most important thing about {}?", "Why do people talk about {}?"}

// conceptItems takes turns between what exists and what a generator of names makes.
func conceptItems(rng *rand.Rand, n int) []ConceptItem {
	var out []ConceptItem
	order := rng.Perm(len(commonThings))
	for i := range n {
		name, known := commonThings[order[i/2%len(order)]], true
		if i%2 == 1 {
			name, known = inventedName(rng), false
		}
		out = append(out, ConceptItem{strings.Replace(aboutThings[i/2%len(aboutThings)], "{}", name, 1), known})
	}
	return out
}

// inventedName makes a name that nobody has: syllables that can be spoken.
func inventedName(rng *rand.Rand) string {
	pick := func(of string) string { parts := strings.Fields(of); return parts[rng.IntN(len(parts))] }
	name := pick("zor vel qui tra blo mex fen gar lum pry sko dra")
	for range 1 + rng.IntN(2) {
		name += pick("ta vi lo mar ne zu phi ro da ke")
	}
	name += pick("x n th blax vian dor mund quil lith zar")
	return strings.ToUpper(name[:1]) + name[1:]
}

// withheld is the share of the known that the threshold may withhold.
const withheld = 0.05

func measureFamiliar(rs []FamiliarResult) []eval.Measure {
	var known, invented, f, y []float64
	for _, r := range rs {
		f, y = append(f, r.F), append(y, one(r.Known))
		if r.Known {
			known = append(known, r.F)
		} else {
			invented = append(invented, r.F)
		}
	}
	auroc, err := stats.Bootstrap{}.AUROC(fixed(), f, y)
	out := []eval.Measure{eval.Average("familiarity of what exists", known), eval.Average("familiarity of what was made up", invented), eval.Of("existing against made up, AUROC", auroc, err)}
	half := len(known) / 2
	tau, err := stats.Bootstrap{}.Figure(fixed(), half, func(idx []int) (float64, error) {
		x := make([]float64, len(idx))
		for i, k := range idx {
			x[i] = known[k]
		}
		return percentile(x, withheld), nil
	})
	if half < 2 {
		err = errors.New("needs 4 known questions or more")
	}
	out = append(out, eval.Of("threshold: 5th percentile of one half of the known", tau, err))
	if err != nil {
		return out
	}
	below := func(x []float64) (k int) {
		for _, v := range x {
			if v < tau.Value {
				k++
			}
		}
		return k
	}
	return append(out, eval.Share("withheld at it, of the other half of the known", below(known[half:]), len(known)-half), eval.Share("withheld at it, of the made up", below(invented), len(invented)))
}

// percentile interpolates between the values around its place.
func percentile(x []float64, p float64) float64 {
	slices.Sort(x)
	at := p * float64(len(x)-1)
	low := int(math.Floor(at))
	if low+1 >= len(x) {
		return x[len(x)-1]
	}
	return x[low] + (at-float64(low))*(x[low+1]-x[low])
}
