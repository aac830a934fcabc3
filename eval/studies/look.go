package studies

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gnothi/control"
	"gnothi/eval"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/stats"
	"gnothi/text"
)

// Look is what one way of answering made of a question: the answer before any
// revision and the one that stands at the end.
type Look struct {
	Before  text.Outcome `json:"before"`
	After   text.Outcome `json:"after"`
	Changed bool         `json:"changed"` // by equivalence of the answers, never by their text
	Tokens  int64        `json:"tokens"`  // prompt and completion, judging and ranking included
	// Broke says why it ended without the revision that it was for.
	Broke string `json:"broke,omitempty"`
}

// pair tells whether both answers could be read, and of each whether it is right.
func (l Look) pair() (before, after, ok bool) {
	graded := func(o text.Outcome) bool { return o == text.Right || o == text.Wrong }
	return l.Before == text.Right, l.After == text.Right, graded(l.Before) && graded(l.After) && l.Broke == ""
}

// trial puts the question to the model so that a policy, which shows the
// question's text alone, shows the options too. Its tokens are counted apart.
func (q QA) trial(s *eval.Session, name string) *monitor.Trial {
	question := q.question()
	if len(question.Options) == 0 {
		form, _ := prompt.Select("auto", s.Model, question)
		return counted(s, s.On(name, 0, question, form.Request(question)))
	}
	for _, o := range question.Options {
		question.Text += fmt.Sprintf("\n%s) %s", o.Letter, o.Text)
	}
	return counted(s, s.On(name, 0, question, prompt.Chat.Request(question)))
}

// counted gives a trial an account below the session's.
func counted(s *eval.Session, t *monitor.Trial) *monitor.Trial {
	t.Ledger = s.Ledger.Sub()
	return t
}

// look answers the question by a policy.
func (q QA) look(ctx context.Context, s *eval.Session, name string, p control.Policy) (Look, control.Result, error) {
	t := q.trial(s, name)
	r, err := p.Run(ctx, t)
	l := Look{Tokens: t.Ledger.Spent().Tokens()}
	if err != nil {
		return l, r, err
	}
	if r.Stopped == "budget" {
		return l, r, llm.ErrBudget
	}
	if r.Best == nil {
		return l, r, nil // unparsed
	}
	if _, loops := p.(control.Loop); loops && !slices.Contains([]string{"rounds", "content", "tokens"}, r.Stopped) {
		l.Broke = r.Stopped
	}
	first := r.First()
	l.Before, l.After, l.Changed = q.grade(first.Answer), q.grade(r.Best.Answer), first.Key != r.Best.Key
	return l, r, nil
}

// looks takes a look under each of the policies, and of votes at the tokens of
// the first.
func (q QA) looks(ctx context.Context, s *eval.Session, names []string, policies []control.Policy) (Looks, error) {
	r := Looks{Related{q.Group}, map[string]Look{}}
	for i, p := range policies {
		l, _, err := q.look(ctx, s, names[i], p)
		if err != nil {
			return r, err
		}
		r.Looks[names[i]] = l
	}
	l, err := q.among(ctx, s, voteAlike, r.Looks[names[0]].Tokens)
	r.Looks[voteAlike] = l
	return r, err
}

// among answers by majority over samples, as many as so many tokens buy: the
// control of what else they might have bought.
func (q QA) among(ctx context.Context, s *eval.Session, name string, tokens int64) (Look, error) {
	p, _ := control.UpTo(control.Vote{Sampler: control.Independent{Sampling: monitor.DefaultSampling}}, max(1, tokens))
	l, _, err := q.look(ctx, s, name, p)
	return l, err
}

// arm is one way of answering, with what it made of each question in order.
type arm struct {
	name  string
	looks []Look
}

// arms gathers by name what each question's looks are, in the order of names.
func arms(names []string, rs []map[string]Look) []arm {
	out := make([]arm, len(names))
	for i, name := range names {
		out[i].name = name
		for _, r := range rs {
			if l, ok := r[name]; ok {
				out[i].looks = append(out[i].looks, l)
			}
		}
	}
	return out
}

// corrected measures what a way did to right and to wrong answers
// (confidence-vs-critique has the split). Pairs of which an answer could not be
// read, or was a refusal, are counted apart.
func (a arm) corrected(published map[string][]eval.Published) []eval.Measure {
	var before, after [][]bool
	var tokens []float64
	changed, unread := 0, 0
	for _, l := range a.looks {
		tokens = append(tokens, float64(l.Tokens))
		b, f, ok := l.pair()
		if !ok {
			unread++
			continue
		}
		before, after = append(before, []bool{b}), append(after, []bool{f})
		changed += int(one(l.Changed))
	}
	name := func(s string) string { return a.name + ": " + s }
	c, err := stats.Bootstrap{}.Correction(fixed(), before, after)
	var out []eval.Measure
	for _, m := range []struct {
		name string
		f    stats.Figure
	}{
		{"accuracy before", c.Before}, {"accuracy after", c.After}, {"change", c.Change}, {"confidence level, right that stay right", c.Confidence},
		{"critique score, wrong that become right", c.Critique}, {"relative score RSS, ½ is no change", c.Relative},
	} {
		out = append(out, eval.Of(name(m.name), m.f, err, published[m.name]...))
	}
	out = append(out, eval.Share(name("answers that changed"), changed, len(before)))
	if c.McNemar != nil {
		out = append(out, eval.Value(name("McNemar, exact p"), c.McNemar.P, len(before), "McNemar", "a p-value has no interval"))
	}
	if len(a.looks) > 0 {
		out = append(out, eval.Share(name("an answer could not be read, or declined"), unread, len(a.looks)), eval.Average(name("tokens a question"), tokens))
	}
	return out
}

// accuracy measures what stands at the end, among answers that could be read.
func (a arm) accuracy(published ...eval.Published) eval.Measure {
	right, n := 0, 0
	for _, l := range a.looks {
		if l.After == text.Right || l.After == text.Wrong {
			right, n = right+int(one(l.After == text.Right)), n+1
		}
	}
	return eval.Share(a.name+": accuracy", right, n, published...)
}

// against measures how much more often one way is right than another, on the
// questions that both answered. Not right is wrong, declined and unread alike.
func (a arm) against(b arm) eval.Measure {
	n := min(len(a.looks), len(b.looks))
	x, y := make([]float64, n), make([]float64, n)
	for i := range n {
		x[i], y[i] = one(a.looks[i].After == text.Right), one(b.looks[i].After == text.Right)
	}
	return paired(a.name+" less "+b.name+", right", x, y)
}

// ratio measures Σx/Σy over items, with a bootstrap interval.
func ratio(name string, x, y []float64, published ...eval.Published) eval.Measure {
	f, err := stats.Bootstrap{}.Figure(fixed(), len(x), func(idx []int) (float64, error) {
		a, b := 0.0, 0.0
		for _, i := range idx {
			a, b = a+x[i], b+y[i]
		}
		if b == 0 {
			return math.NaN(), fmt.Errorf("nothing to divide by: %w", stats.ErrEmpty)
		}
		return a / b, nil
	})
	f.N = len(x)
	return eval.Of(name, f, err, published...)
}
