package studies

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"

	"gnothi/eval"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/stats"
)

// GapResult is an answer with ratings of 1 to 10 before and after it.
type GapResult struct {
	Answered
	Kind   string `json:"kind"`
	Level  int    `json:"level"`
	Before *int   `json:"before"` // null: could not be read
	After  *int   `json:"after"`
}

// Confidences are the two ratings, of 10.
func (r GapResult) Confidences() map[string]float64 {
	out := map[string]float64{}
	for name, rating := range map[string]*int{"rated before": r.Before, "rated after": r.After} {
		if rating != nil {
			out[name] = float64(*rating) / 10
		}
	}
	return out
}

var (
	rateBefore = prompt.Template{Name: "rate-before", Version: 1, Text: "You will be asked this question: {question}\nDo not answer it yet. How sure are you that you will answer it correctly? Reply with one whole number from 1 (not at all) to 10 (entirely) and nothing else."}
	rateAfter  = prompt.Template{Name: "rate-after", Version: 1, Text: "You were asked this question: {question}\nYou answered: {answer}\nHow sure are you that your answer is correct? Reply with one whole number from 1 (not at all) to 10 (entirely) and nothing else."}
)

// ConfidenceGap is the study confidence-competence-gap (Singh et al. 2023):
// self-rated confidence before and after an answer against its correctness, by
// subject and difficulty. The prompts are ours, since the abstract gives none;
// ratings before are asked without the options. The Dunning–Kruger slope is
// taken over cells of subject and level, once as it is usually done and once with
// cells sorted by an independent half of their items: the first is steep even for
// ratings that are noise, for the same errors stand on both sides.
func ConfidenceGap() eval.Suite {
	return eval.Study[QA, GapResult]{
		Name:  "confidence-competence-gap",
		About: "rates itself before and after each answer, by subject and difficulty",
		Needs: "text",
		Items: func(s eval.Source) iter.Seq2[QA, error] {
			return qaItems(s, 300, func(q QA) bool { return !q.Unanswerable })
		},
		Ask: func(ctx context.Context, s *eval.Session, q QA) (GapResult, error) {
			r := GapResult{Answered: q.answered(), Kind: q.Kind, Level: q.Level}
			before, err := s.Aside(ctx, monitor.Aside{Role: "before", Text: rateBefore.Fill("question", q.Question), MaxTokens: 16})
			if err != nil {
				return r, err
			}
			r.Before = rating(before.Text, 1, 10)
			c, grade, err := q.answer(ctx, s)
			if err != nil {
				return r, err
			}
			r.Grade = grade
			after, err := s.Aside(ctx, monitor.Aside{Role: "after", Text: rateAfter.Fill("question", q.Question, "answer", c.Text), MaxTokens: 16})
			if err != nil {
				return r, err
			}
			r.After = rating(after.Text, 1, 10)
			return r, nil
		},
		Measure: measureCompetence,
	}
}

// rating reads a whole number of a scale; anything else is nil.
func rating(reply string, low, high int) *int {
	if n, ok := number(reply); ok && n >= low && n <= high {
		return &n
	}
	return nil
}

func measureCompetence(rs []GapResult) []eval.Measure {
	var p, y, before, after []float64
	var cells, of []string
	byLevel := map[int][2][]float64{}
	for _, r := range rs {
		right, ok := r.graded()
		if !ok || r.After == nil {
			continue
		}
		rated := float64(*r.After) / 10
		p, y, of, cells = append(p, rated), append(y, right), append(of, r.Group), append(cells, fmt.Sprintf("%s/%d", r.Kind, r.Level))
		level := byLevel[r.Level]
		byLevel[r.Level] = [2][]float64{append(level[0], rated), append(level[1], right)}
		if r.Before != nil {
			before, after = append(before, float64(*r.Before)/10), append(after, rated)
		}
	}
	out := []eval.Measure{
		clustered("accuracy", y, of), eval.Average("mean rating after, of 1", p), paired("over-confidence: rating less accuracy", p, y),
		paired("rating after less rating before", after, before),
	}
	for level := range 6 {
		if l, ok := byLevel[level]; ok && len(byLevel) > 1 {
			out = append(out, paired(fmt.Sprintf("over-confidence at level %d", level), l[0], l[1]))
		}
	}
	naive, fair := dunningKruger(fixed(), p, y, stats.Groups(cells))
	out = append(out, naive, fair)
	return append(out, calibration("", p, y, of, nil)[1:]...)
}

var errFewCells = errors.New("needs at least 4 cells of subject and level with 4 items each")

// dunningKruger gives the slope of over-confidence over accuracy, of cells of
// items: with both from the same items, and with the accuracy that the slope is
// over from one random half of each cell and the over-confidence from the other.
func dunningKruger(rng *rand.Rand, p, y []float64, cell []int) (naive, fair eval.Measure) {
	var cells [][]int
	for i, c := range cell {
		for c >= len(cells) {
			cells = append(cells, nil)
		}
		cells[c] = append(cells[c], i)
	}
	cells = slices.DeleteFunc(cells, func(c []int) bool { return len(c) < 4 })
	mean := func(x []float64, at []int) (m float64) {
		for _, i := range at {
			m += x[i] / float64(len(at))
		}
		return m
	}
	const reps = 50 // random halves, so that none of them decides
	slopes := func(split bool) eval.Measure {
		name := "over-confidence over accuracy, slope, same items (artefact)"
		if split {
			name = "over-confidence over accuracy, slope, split halves"
		}
		if len(cells) < 4 {
			return eval.Of(name, stats.Figure{N: len(cells)}, errFewCells)
		}
		f, err := stats.Bootstrap{Resamples: 500}.Figure(rng, len(cells), func(idx []int) (float64, error) {
			var total float64
			n := 1
			if split {
				n = reps
			}
			for range n {
				acc, over := make([]float64, len(idx)), make([]float64, len(idx))
				for k, c := range idx {
					a, b := cells[c], cells[c]
					if split {
						order := rng.Perm(len(cells[c]))
						half := len(order) / 2
						a, b = pick(cells[c], order[:half]), pick(cells[c], order[half:])
					}
					acc[k], over[k] = mean(y, a), mean(p, b)-mean(y, b)
				}
				s, err := slope(acc, over)
				if err != nil {
					return 0, err
				}
				total += s
			}
			return total / float64(n), nil
		})
		return eval.Of(name, f, err)
	}
	return slopes(false), slopes(true)
}

func pick(x, at []int) []int {
	out := make([]int, len(at))
	for i, k := range at {
		out[i] = x[k]
	}
	return out
}

// slope is the least-squares slope of y on x.
func slope(x, y []float64) (float64, error) {
	var mx, my, sxy, sxx float64
	for i := range x {
		mx += x[i] / float64(len(x))
		my += y[i] / float64(len(x))
	}
	for i := range x {
		sxy += (x[i] - mx) * (y[i] - my)
		sxx += (x[i] - mx) * (x[i] - mx)
	}
	if sxx == 0 {
		return 0, stats.ErrConstant
	}
	return sxy / sxx, nil
}
