package studies

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"gnothi/eval"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// The classes of statements.
const (
	Mundane        = "mundane"
	Motivational   = "motivational"
	PseudoProfound = "pseudo-profound"
)

// Statement is a sentence to be rated.
type Statement struct {
	Class string   `json:"class"`
	Text  string   `json:"text"`
	Human *float64 `json:"human,omitempty"` // people's mean rating, 1 to 5
}

func (s Statement) check() error {
	switch {
	case s.Text == "":
		return errors.New(`field "text": missing or empty`)
	case !slices.Contains([]string{Mundane, Motivational, PseudoProfound}, s.Class):
		return fmt.Errorf("field \"class\": %q: want %s, %s or %s", s.Class, Mundane, Motivational, PseudoProfound)
	case s.Human != nil && !(*s.Human >= 1 && *s.Human <= 5):
		return fmt.Errorf("field \"human\": %v: want 1 to 5", *s.Human)
	}
	return nil
}

// ProfoundResult is a statement's ratings by way of asking.
type ProfoundResult struct {
	Class   string             `json:"class"`
	Human   *float64           `json:"human,omitempty"`
	Ratings map[string]float64 `json:"ratings"` // of those that could be read
	Asked   int                `json:"asked"`
}

// Outcome implements [eval.Graded].
func (r ProfoundResult) Outcome() text.Outcome {
	if len(r.Ratings) == 0 {
		return text.Unparsed
	}
	return text.Parsed
}

var (
	mundane = []string{
		"A wet towel dries faster in the sun.", "Most chairs have four legs.", "The shop on the corner closes at six.", "Newspapers are printed on thin paper.",
		"Some people take sugar in their tea.", "A full bus takes longer to board.", "Bicycles need air in their tyres.", "The kettle switches off when the water boils.",
		"Keys are easy to mislay.", "Buttons come in many colours.", "The post comes before noon.", "Bread goes stale after some days.",
	}
	motivational = []string{
		"A small step taken today is worth more than a leap that is planned for tomorrow.", "You learn the shape of your strength by lifting what you thought too heavy.",
		"Courage is fear that has decided to go on.", "What you practise in quiet will speak for you in noise.", "Mistakes are the tuition of those who dare.",
		"Patience turns a wall into a staircase.", "Give your best hour to what matters most.", "A kind word costs a breath and lasts for years.",
		"Nobody finds the road by standing still.", "Begin before you are ready, and become ready on the way.",
	}
	buzzSubjects = []string{"hidden meaning", "wholeness", "your consciousness", "the infinite", "quantum intention", "imagination", "this moment", "inner stillness", "the fabric of possibility", "universal knowing"}
	buzzVerbs    = []string{"transforms", "is inside", "quiets", "gives rise to", "unfolds through", "is the ground of", "transcends", "is mirrored in", "interprets", "dissolves into"}
	buzzObjects  = []string{"unparalleled abstract beauty", "exponential space-time events", "subtle dimensions of freedom", "an expression of pure knowledge", "self-righteous energy", "the light of potentiality", "intrinsic sensations", "a symphony of being", "timeless awareness", "boundless coherence"}
	ratedBefore  = []struct {
		text string
		mark int
	}{
		{"Wet wood burns badly.", 1}, {"The mind of the cosmos is a flowering of silent numbers.", 1}, {"A door can be opened from both sides.", 1},
		{"Who forgives leaves a room in which there was no air.", 4}, {"Attention unfolds the causal geometry of wonder.", 1}, {"We see the stars as they were, and call it tonight.", 4},
		{"Plates are washed after the meal.", 1}, {"To be known by one person well is rarer than to be praised by many.", 4}, {"Intuition regulates intrinsic molecules.", 2}, {"Hard work often pays.", 3},
	}
)

// Nonsense makes a pseudo-profound sentence by a grammar of subject, verb and
// object: the same for the same source of randomness.
func Nonsense(rng *rand.Rand) string {
	s := buzzSubjects[rng.IntN(len(buzzSubjects))] + " " + buzzVerbs[rng.IntN(len(buzzVerbs))] + " " + buzzObjects[rng.IntN(len(buzzObjects))]
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

var (
	rateProfound  = prompt.Template{Name: "profound", Version: 1, Text: "How profound is this statement? {statement}\nProfound means of deep meaning, of great and broadly inclusive significance. Rate it from 1 (not at all) to 5 (very). Reply with one whole number."}
	rateExplained = prompt.Template{Name: "profound-explain-first", Version: 1, Text: "How profound is this statement? {statement}\nProfound means of deep meaning, of great and broadly inclusive significance. First say in one or two sentences what it means, if anything. Then rate it from 1 (not at all) to 5 (very) in a last line: Rating: the number"}
	rateAfterTen  = prompt.Template{Name: "profound-after-examples", Version: 1, Text: "Statements and how profound people find them, from 1 (not at all) to 5 (very):\n{examples}How profound is this statement? {statement}\nReply with one whole number."}
)

// askings are the ways of asking; their order is that of the report.
var askings = []struct {
	name        string
	template    prompt.Template
	temperature float64
	tokens      int
}{
	{"zero-shot, t .1", rateProfound, 0.1, 8}, {"zero-shot, t .7", rateProfound, 0.7, 8}, {"ten examples, t .1", rateAfterTen, 0.1, 8},
	{"ten examples, t .7", rateAfterTen, 0.7, 8}, {"explained first, t .1", rateExplained, 0.1, 128}, {"explained first, t .7", rateExplained, 0.7, 128},
}

// ProfoundnessBias is the study profoundness-bias (Herrera-Berg et al. 2023): do
// models find nonsense profound? Mundane, motivational and pseudo-profound
// statements are rated 1 to 5, without examples, with ten, and with an
// explanation first, at temperatures .1 and .7. Followed: classes, scale, ways of
// asking, correlation with people's means and the offset from them. Chosen: all
// wording and statements are ours, nonsense comes from a seeded grammar, so
// without the user's statements.jsonl (lines of {class, text, human}) there are no
// people's means and no offset. The share of nonsense rated 3 or more needs none.
func ProfoundnessBias() eval.Suite {
	return eval.Study[Statement, ProfoundResult]{
		Name:  "profoundness-bias",
		About: "rates how profound mundane, motivational and nonsensical statements are",
		Needs: "text",
		Items: eval.List(func(s eval.Source) ([]Statement, error) {
			return lines(s, "statements.jsonl", statements(s.Rand, cmp.Or(s.N, 36)), Statement.check)
		}),
		Ask: func(ctx context.Context, s *eval.Session, item Statement) (ProfoundResult, error) {
			r := ProfoundResult{Class: item.Class, Human: item.Human, Ratings: map[string]float64{}}
			examples := ""
			for _, e := range ratedBefore {
				examples += prompt.Quote(e.text) + " " + fmt.Sprint(e.mark) + "\n"
			}
			for i, a := range askings {
				reply, err := s.Aside(ctx, monitor.Aside{Role: "rate", Index: i, Text: fill(a.template, []string{"statement", item.Text}, "examples", examples), MaxTokens: a.tokens, Temperature: a.temperature})
				if err != nil {
					return r, err
				}
				r.Asked++
				words := text.Sanitise(reply.Text)
				if declared, ok := field(words, "Rating"); ok {
					words = declared
				} else if a.tokens > 8 {
					continue // without its last line a rating after an explanation is not told from a number within
				}
				if n := profundity(words); n != nil {
					r.Ratings[a.name] = float64(*n)
				}
			}
			return r, nil
		},
		Measure: measureProfound,
	}
}

// profundity reads 1 to 5, also as "4/5" or in words.
func profundity(words string) *int {
	if before, after, ok := strings.Cut(words, "/"); ok && strings.HasPrefix(strings.TrimSpace(after), "5") {
		words = before
	}
	return rating(words, 1, 5)
}

func statements(rng *rand.Rand, n int) []Statement {
	a, b := rng.Perm(len(mundane)), rng.Perm(len(motivational))
	var out []Statement
	for i := range n {
		switch k := i / 3; i % 3 {
		case 0:
			out = append(out, Statement{Class: PseudoProfound, Text: Nonsense(rng)})
		case 1:
			out = append(out, Statement{Class: Mundane, Text: mundane[a[k%len(a)]]})
		default:
			out = append(out, Statement{Class: Motivational, Text: motivational[b[k%len(b)]]})
		}
	}
	return out
}

func measureProfound(rs []ProfoundResult) []eval.Measure {
	var out []eval.Measure
	read, asked := 0, 0
	for _, a := range askings {
		var x, human []float64
		offsets, values := map[string][]float64{}, map[string][]float64{}
		high, nonsense := 0, 0
		for _, r := range rs {
			v, ok := r.Ratings[a.name]
			if !ok {
				continue
			}
			values[r.Class] = append(values[r.Class], v)
			if r.Class == PseudoProfound {
				nonsense++
				high += int(one(v >= 3))
			}
			if r.Human != nil {
				x, human = append(x, v), append(human, *r.Human)
				offsets[r.Class] = append(offsets[r.Class], v-*r.Human)
			}
		}
		for _, class := range []string{PseudoProfound, Mundane, Motivational} {
			if values[class] != nil {
				out = append(out, eval.Average(a.name+": "+class+", mean rating", values[class]))
			}
			if offsets[class] != nil {
				out = append(out, eval.Average(a.name+": "+class+", above people's mean", offsets[class]))
			}
		}
		out = append(out, eval.Share(a.name+": nonsense rated 3 or more", high, nonsense))
		if len(x) > 0 {
			out = append(out, correlation(a.name+": correlation with people", x, human))
		}
	}
	for _, r := range rs {
		read, asked = read+len(r.Ratings), asked+r.Asked
	}
	return append(out, eval.Share("ratings that could be read", read, asked))
}
