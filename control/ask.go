package control

import (
	"context"
	"errors"
	"strings"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// Ask is a versioned question to the model about a trial: most of what a
// method is. It is put in a context of its own ([monitor.Aside]); whatever
// fills its slots is quoted.
type Ask struct {
	Template    prompt.Template
	Role        string // how the ledger books it: judge, rewrite, rank, …
	MaxTokens   int    // 0: 160
	Temperature float64
	// Whole takes all of the reply for the answer: a text, not something to be
	// read from one.
	Whole bool
}

// answerLine ends the templates whose reply is read as an answer.
const answerLine = "Then end with one line that says \"Answer:\" and only the answer, in a few words."

// Reply asks once. The slot question is filled with the trial's question and
// its context; pairs of slot and value fill the others. index numbers the asks
// of one role, so that each has a seed of its own.
func (a Ask) Reply(ctx context.Context, t *monitor.Trial, index int, pairs ...string) (llm.Choice, error) {
	return t.Aside(ctx, a.aside(t, index, pairs))
}

// Replies asks n times with one shared prompt.
func (a Ask) Replies(ctx context.Context, t *monitor.Trial, n int, pairs ...string) ([]llm.Choice, error) {
	return t.Asides(ctx, a.aside(t, 0, pairs), n)
}

func (a Ask) aside(t *monitor.Trial, index int, pairs []string) monitor.Aside {
	if a.MaxTokens == 0 {
		a.MaxTokens = 160
	}
	return monitor.Aside{
		Role: a.Role, Index: index, MaxTokens: a.MaxTokens, Temperature: a.Temperature,
		Text: a.Template.Fill(append([]string{"question", asked(t)}, pairs...)...),
	}
}

// With puts words of ours, such as how sure is sure enough, into a slot of the
// template. They become part of it and of its identity.
func (a Ask) With(slot, words string) Ask {
	a.Template.Text = strings.ReplaceAll(a.Template.Text, "{"+slot+"}", words)
	return a
}

// Feedback makes feedback of the reply; slots: question, answer. content says
// which replies have nothing against the answer; nil: none. An empty reply is
// an error, for it never qualifies an answer.
func (a Ask) Feedback(content func(words string) bool) Feedback {
	return func(ctx context.Context, t *monitor.Trial, sofar Result) (string, bool, error) {
		words, err := a.words(ctx, t, 0, "answer", sofar.Best.Text)
		return words, err == nil && content != nil && content(words), err
	}
}

// words asks for a text and refuses an empty one.
func (a Ask) words(ctx context.Context, t *monitor.Trial, index int, pairs ...string) (string, error) {
	reply, err := a.Reply(ctx, t, index, pairs...)
	if err != nil {
		return "", err
	}
	words := strings.TrimSpace(reply.Text)
	if words == "" {
		return "", errors.New("the " + a.Template.Name + " is empty")
	}
	return words, nil
}

// Reviser makes one revision of the answer that stands; slots: question,
// answer, feedback.
func (a Ask) Reviser() Reviser {
	return func(ctx context.Context, t *monitor.Trial, round int, sofar Result, feedback string) ([]*monitor.Candidate, error) {
		c, err := a.candidate(ctx, t, round, sofar.Best, "answer", sofar.Best.Text, "feedback", feedback)
		if err != nil {
			return nil, err
		}
		return []*monitor.Candidate{c}, nil
	}
}

// candidate reads the reply as a revision of parent, or as an answer of its
// own where there is none.
func (a Ask) candidate(ctx context.Context, t *monitor.Trial, index int, parent *monitor.Candidate, pairs ...string) (*monitor.Candidate, error) {
	aside := a.aside(t, index, pairs)
	aside.Answers = true
	reply, err := t.Aside(ctx, aside)
	if err != nil {
		return nil, err
	}
	reply.Index = index
	origin := monitor.FromRevision
	if parent == nil {
		origin = monitor.FromSample
	}
	if a.Whole && t.Form() == nil {
		return whole(t, reply, origin, parent), nil
	}
	return t.Candidate(reply, origin, parent), nil
}

// whole takes a text for an answer as it stands, unless it refuses or is empty.
func whole(t *monitor.Trial, c llm.Choice, origin monitor.Origin, parent *monitor.Candidate) *monitor.Candidate {
	read := t.Candidate(c, origin, parent)
	s := strings.TrimSpace(text.Sanitise(c.Text))
	if _, bad := text.Degenerate(s, ""); bad || read.Answer.Status == text.Refused {
		return read
	}
	read.Answer = text.Answer{Text: s, Kind: text.Free, Rule: text.RuleWhole, Status: text.Parsed, Span: text.Trim(c.Text, text.Span{End: len(c.Text)})}
	read.Key = (text.Task{Kind: text.Free}).Key(read.Answer)
	return read
}

// asked is the question with what it is to be answered from.
func asked(t *monitor.Trial) string {
	if t.Question.Context == "" {
		return t.Question.Text
	}
	return "Context: " + t.Question.Context + "\n\n" + t.Question.Text
}

// named is a method's name with the identity of all that it asks.
func named(name string, asks ...Ask) string {
	for _, a := range asks {
		name += " " + a.Template.ID()
	}
	return name
}

// yes reads a verdict: the last line that takes a side, so that reasoning may
// come before it.
func yes(reply string) (verdict, ok bool) {
	lines := strings.Split(strings.TrimSpace(text.Sanitise(reply)), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if verdict, ok = text.ReadBool(lines[i]); ok {
			return verdict, true
		}
	}
	return false, false
}
