package control

import (
	"context"
	"regexp"
	"strings"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

var (
	aspectsAsk   = Ask{Role: "rewrite", MaxTokens: 128, Template: prompt.Template{Name: "aspects", Version: 1, Text: "Event: {question}\nSum it up in four lines of one sentence each: topic, background, process, result."}}
	proposeAsk   = Ask{Role: "sample", MaxTokens: 256, Template: prompt.Template{Name: "analogies", Version: 1, Text: "Event: {question}\nIn four aspects: {aspects}\nWhat was wanting in earlier proposals: {feedback}\nPropose 5 other events of history that are like it in these aspects. One a line, numbered: the name, a colon, one sentence of what happened that does not name it."}}
	nameAsk      = Ask{Role: "judge", MaxTokens: 32, Template: prompt.Template{Name: "which-event", Version: 1, Text: "Which historical event is this? {description}\nGive only its name."}}
	surfaceAsk   = Ask{Role: "judge", MaxTokens: 96, Template: prompt.Template{Name: "same-kind", Version: 1, Text: "Event: {question}\nA past event: {name}, {description}\nAre they alike in what led to them and how they went, not only on the surface? End with Yes or No."}}
	shortcomings = Ask{Role: "judge", Template: prompt.Template{Name: "shortcomings", Version: 1, Text: "Event: {question}\nA proposed historical analogy: {answer}\nSay in one or two sentences what is wanting in it."}}
)

// HistoricalAnalogy is the policy `historical-analogy` (historical-analogy, Li
// et al. 2024): the question is an event; the model sums it up in four aspects,
// proposes five past events, checks that each exists (a fresh context names it
// from its description, or the question's context mentions it), is another
// event, and is alike in more than the surface; where none passes it reflects
// on what is wanting and proposes again, for at most so many rounds. The best
// that was proposed stands, the first among equals.
//
// Chosen: an encyclopedia is replaced by the supplied context or by naming from
// the description; a proposal's score is the mean of its checks, 0 for the
// event itself.
func HistoricalAnalogy(rounds int) Policy {
	v := &Verifier{Signal: analogy(), At: 1}
	return Loop{
		Name:     named("historical-analogy", aspectsAsk, proposeAsk, nameAsk, surfaceAsk, shortcomings),
		Start:    Vote{Sampler: proposals{}, Stop: Fixed(proposed), Scorer: v.Signal, Aggregate: Best{}},
		Feedback: Failing(v, shortcomings.Feedback(nil)), Keep: Highest(v), Rounds: rounds,
		Revise: func(ctx context.Context, t *monitor.Trial, round int, _ Result, feedback string) ([]*monitor.Candidate, error) {
			return propose(ctx, t, round, feedback)
		},
	}
}

// proposed is how many events are proposed at a time.
const proposed = 5

// proposals samples the first list of events.
type proposals struct{}

// Draw implements Sampler.
func (proposals) Draw(ctx context.Context, t *monitor.Trial, n int) ([]*monitor.Candidate, error) {
	cs, err := monitor.Get(ctx, t, proposals{})
	return cs[:min(n, len(cs))], err
}

func (proposals) String() string { return "proposals" }

// Gather implements monitor.Evidence.
func (proposals) Gather(ctx context.Context, t *monitor.Trial) ([]*monitor.Candidate, error) {
	return propose(ctx, t, 0, "nothing")
}

// aspects is the evidence of an event's summary.
type aspects struct{}

// Gather implements monitor.Evidence.
func (aspects) Gather(ctx context.Context, t *monitor.Trial) (string, error) {
	return aspectsAsk.words(ctx, t, 0)
}

// propose asks for events. A candidate's text is the event's name; the
// description, with the name struck out, is its reasoning.
func propose(ctx context.Context, t *monitor.Trial, round int, feedback string) ([]*monitor.Candidate, error) {
	four, err := monitor.Get(ctx, t, aspects{})
	if err != nil {
		return nil, err
	}
	words, err := proposeAsk.words(ctx, t, round, "aspects", four, "feedback", feedback)
	if err != nil {
		return nil, err
	}
	var out []*monitor.Candidate
	for i, line := range listed(words, proposed) {
		name, description, _ := strings.Cut(line, ":")
		name = strings.Trim(name, " *_\"'.")
		out = append(out, whole(t, llm.Choice{Index: round*proposed + i, Text: name, Reasoning: text.Redact(description, name)}, monitor.FromSample, nil))
	}
	return out, nil
}

// analogy is the signal of a proposal's checks.
func analogy() monitor.Signal {
	return monitor.Each("judge/analogy", func(ctx context.Context, t *monitor.Trial, c *monitor.Candidate) (monitor.Reading, error) {
		score, err := monitor.Get(ctx, t, analogous{c})
		return monitor.Reading{Score: score, Raw: score, Source: "asked", Reads: 2}, err
	})
}

// analogous is the evidence of the checks of a proposal.
type analogous struct{ candidate *monitor.Candidate }

// Gather implements monitor.Evidence.
func (e analogous) Gather(ctx context.Context, t *monitor.Trial) (float64, error) {
	name, description := e.candidate.Text, e.candidate.Reasoning
	if name == "" || mentions(t.Question.Text, name) {
		return 0, nil // no proposal, or the event itself
	}
	score := 0.0
	if mentions(t.Question.Context, name) {
		score += 0.5
	} else if strings.TrimSpace(description) != "" {
		reply, err := nameAsk.Reply(ctx, t, e.candidate.Index, "description", description)
		if err != nil {
			return 0, err
		}
		if mentions(reply.Text, name) {
			score += 0.5
		}
	}
	reply, err := surfaceAsk.Reply(ctx, t, e.candidate.Index, "name", name, "description", description)
	if err != nil {
		return 0, err
	}
	if alike, ok := yes(reply.Text); ok && alike {
		score += 0.5
	}
	return score, nil
}

// mentions reports whether a text names something, in normalised words.
func mentions(in, name string) bool {
	name = text.Normalise(name)
	return name != "" && strings.Contains(" "+text.Normalise(in)+" ", " "+name+" ")
}

// Aspects are figures of the four aspects of an analogy.
type Aspects struct{ Topic, Background, Process, Result float64 }

// AnalogyScore is the measure of historical-analogy: an aspect counts as its
// abstract similarity, 1..4 by a judge, times what its literal overlap, 0..1,
// leaves of 0.35; total = 0.5·topic + background + 2·process + 2·result.
func AnalogyScore(abstract, literal Aspects) float64 {
	one := func(a, l float64) float64 { return a * max(0, 0.35-l) }
	return 0.5*one(abstract.Topic, literal.Topic) + one(abstract.Background, literal.Background) + 2*one(abstract.Process, literal.Process) + 2*one(abstract.Result, literal.Result)
}

var wordRuns = regexp.MustCompile(`[\p{L}\p{N}]+`)

// LiteralOverlap is the Jaccard overlap, 0..1, of the words of two texts that
// are no stop words.
func LiteralOverlap(a, b string) float64 {
	telling := func(s string) string {
		var out []string
		for _, w := range wordRuns.FindAllString(strings.ToLower(s), -1) {
			if !stopWords[w] {
				out = append(out, w)
			}
		}
		return strings.Join(out, " ")
	}
	return text.Jaccard(telling(a), telling(b))
}
