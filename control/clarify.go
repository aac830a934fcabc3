package control

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// AskBack is the offer to find out whether the question is ambiguous, so that
// asking back would help, or whether the model does not know, where it would not.
// The model writes the ways in which the question can be read, and each is asked
// by itself: if its answers agree within readings and differ between them, the
// disagreement is the question's; if they disagree within readings too, it is the
// model's (after input clarification ensembling, Hou et al. 2024; that rule
// compares entropies, which four samples cannot carry, so agreement is counted:
// chosen).
type AskBack struct {
	// Ambiguous is how often a question whose answers differ is ambiguous.
	Ambiguous float64
}

// The size of the study: at most so many readings, each with so many samples, of
// which all but one have to agree.
const (
	readings       = 3
	readingSamples = 4
)

var readingsTemplate = prompt.Template{Name: "readings", Version: 1, Text: "Question: {question}\nCan this question be understood in more than one way? If so, write each way as a full question of its own, one a line, at most three, and nothing else. If it can be understood in one way only, write CLEAR."}

// String implements Offer.
func (o AskBack) String() string {
	return fmt.Sprintf("ask-back ambiguous=%g %s", o.Ambiguous, readingsTemplate.ID())
}

// Appraise implements Offer. If the question is ambiguous, being told which
// reading is meant adds what the second answer has.
func (o AskBack) Appraise(s *State) (gain, price float64) {
	price = 1 + readings*readingSamples
	if s.lead < 0 || s.seen[o.String()] {
		return 0, price
	}
	second := 0.0
	for k, p := range s.p {
		if k != s.lead {
			second = max(second, p)
		}
	}
	return o.Ambiguous * (s.worth(min(1, s.p[s.lead]+second)) - s.now()), price
}

// Buy implements Offer.
func (o AskBack) Buy(ctx context.Context, t *monitor.Trial, s *State) (string, error) {
	s.once(o.String())
	reply, err := t.Aside(ctx, monitor.Aside{Role: "rewrite", Text: readingsTemplate.Fill("question", t.Question.Text)})
	if err != nil {
		return "", err
	}
	ways := waysOf(reply.Text)
	if len(ways) < 2 {
		return "the question reads in one way", nil
	}
	var settled []*monitor.Candidate
	var meant []string
	for i, way := range ways {
		c, err := o.agreed(ctx, t, i, way)
		if errors.Is(err, llm.ErrBudget) || ctx.Err() != nil {
			return "", err
		}
		if err != nil || c == nil {
			continue
		}
		fresh := true
		for _, other := range settled {
			fresh = fresh && other.Key != c.Key
		}
		if fresh {
			settled, meant = append(settled, c), append(meant, way)
		}
	}
	if len(settled) < 2 {
		return fmt.Sprintf("%s, but the answers do not follow them", plural(len(ways), "reading")), nil
	}
	s.clarify = "Which do you mean: " + strings.Join(meant, " Or: ")
	return fmt.Sprintf("%s with answers of their own", plural(len(settled), "reading")), nil
}

// agreed asks one reading and gives the answer that all but one of its samples
// have, nil if there is none.
func (o AskBack) agreed(ctx context.Context, t *monitor.Trial, i int, way string) (*monitor.Candidate, error) {
	q := t.Question
	q.Text = way
	form, _ := prompt.Select("auto", t.Model, q)
	child := t.Child("reading", i, nil, form.Request(q))
	child.Question = q
	cs, err := child.Samples(ctx, monitor.DefaultSampling, readingSamples)
	if err != nil {
		return nil, err
	}
	count := map[string]int{}
	for _, c := range cs {
		if c.Key != "" && c.Answer.Status == text.Parsed {
			if count[c.Key]++; count[c.Key] >= readingSamples-1 {
				return c, nil
			}
		}
	}
	return nil, nil
}

// waysOf reads the lines of a reply that are questions, each once.
func waysOf(reply string) []string {
	var ways []string
	seen := map[string]bool{}
	for line := range strings.Lines(text.Sanitise(reply)) {
		line = strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(line), "-*•0123456789.) "))
		if !strings.HasSuffix(line, "?") || len(line) > 300 || seen[text.Normalise(line)] {
			continue
		}
		seen[text.Normalise(line)] = true
		if ways = append(ways, line); len(ways) == readings {
			break
		}
	}
	return ways
}
