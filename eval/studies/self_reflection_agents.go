package studies

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"gnothi/eval"
	"gnothi/eval/questions"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/stats"
	"gnothi/text"
)

// AgentsResult is a question, answered and, where that was wrong, answered again
// after each style of reflection.
type AgentsResult struct {
	Answered
	Again    map[string]text.Outcome `json:"again,omitempty"`
	Redacted int                     `json:"redacted,omitempty"` // how much was struck out of the reflection
}

// reflectionParts are what one reflection writes, in the order asked for; each is
// an agent of its own.
var reflectionParts = []string{"explanation", "keywords", "solution", "instructions", "advice"}

const (
	retryAgent      = "retry"
	compositeAgent  = "composite"
	unredactedAgent = "unredacted"
)

// agents are the styles, from what tells least to what tells all.
var agents = []string{retryAgent, "keywords", "advice", "instructions", "explanation", "solution", compositeAgent, unredactedAgent}

// agentsPublished are accuracies over ten exams of 100 questions each.
var agentsPublished = []struct {
	model  string
	values [9]float64 // before, then as agents
}{
	{"gpt-4", [9]float64{.786, .827, .832, .840, .849, .876, .925, .932, .971}},
	{"claude-3-opus", [9]float64{.792, .849, .855, .852, .853, .908, .939, .947, .971}},
	{"gpt-3.5", [9]float64{.596, .686, .691, .704, .706, .802, .831, .827, .904}},
	{"llama-2-7b", [9]float64{.297, .372, .364, .374, .377, .457, .413, .427, .495}},
}

var (
	agentFirst   = prompt.Template{Name: "exam", Version: 1, Text: "{question}\nThink step by step. Then end with one line that says \"Answer:\" and the letter alone."}
	agentReflect = prompt.Template{Name: "exam-reflect", Version: 1, Text: "{question}\nYour answer was: {answer}\nThat is wrong. The right answer is {right}\nWrite five short parts, each beginning on a line of its own with its name and a colon:\nExplanation: why your answer was wrong\nKeywords: the kinds of error\nSolution: how the question is solved, step by step\nInstructions: how to go about such questions\nAdvice: what to mind in general"}
	agentAgain   = prompt.Template{Name: "exam-again", Version: 1, Text: "{question}\nYou have answered this question before, and the answer was wrong.{notes}\nThink step by step. Then end with one line that says \"Answer:\" and the letter alone."}
)

// ReflectionAgents is the study self-reflection-agents (Renze and Guven 2024):
// questions with options that a model got wrong are answered again by eight
// agents, each with another part of a reflection that was told the right answer:
// keywords, advice, instructions, explanation, solution, all of them, all with the
// answer left in, and retry, which is told only that it was wrong. The letters
// and texts of the options are struck out of what the others see. Accuracy is
// (right before + mended)/all. Since only wrong answers are asked again it can
// only rise, and a test against the first answers means little: each style is
// compared with retry. Published: ten exams, nine models.
//
// The user's questions with options come from questions.jsonl; else gnothi's own
// with answers of like questions as options. Chosen: no worked example; a part
// that the reflection lacks cannot mend and is counted. An answer that could not
// be read or declined is not asked again.
func ReflectionAgents() eval.Suite {
	return eval.Study[QA, AgentsResult]{
		Name:  "self-reflection-agents",
		About: "wrong answers answered again after eight styles of reflection, beside retrying",
		Needs: "text",
		Items: func(s eval.Source) iter.Seq2[QA, error] { return turned(s, few(s, examItems(s, 60))) },
		Ask:   askAgents, Measure: measureAgents,
	}
}

// examItems are the user's questions with options, or gnothi's own with options
// made for them: three answers of other questions of the kind beside the right one.
func examItems(s eval.Source, n int) iter.Seq2[QA, error] {
	kinds := []string{questions.Capitals, questions.Elements, questions.Makers, questions.Events}
	items := qaSource(s, n, func(q QA) bool {
		return !q.Unanswerable && (len(q.Options) > 0 || q.Level > 0 && slices.Contains(kinds, q.Kind))
	})
	pool := map[string][]string{}
	for _, q := range questions.Split(questions.Apart) {
		if !q.Unanswerable {
			pool[q.Kind] = append(pool[q.Kind], q.Answers[0])
		}
	}
	return func(yield func(QA, error) bool) {
		for q, err := range items {
			if err == nil && len(q.Options) == 0 {
				var others []string
				for _, k := range s.Rand.Perm(len(pool[q.Kind])) {
					if other := pool[q.Kind][k]; len(others) < 3 && !slices.ContainsFunc(slices.Concat(others, q.Answers), func(t string) bool { return text.Equal(text.Free, t, other) }) {
						others = append(others, other)
					}
				}
				q.Options, q.Answers = options(q.Answers[0], others...)
			}
			if !yield(q, err) {
				return
			}
		}
	}
}

// parts cuts a reflection at its headings. Text before the first one is in none.
func parts(reply string) map[string]string {
	out, at := map[string]string{}, ""
	for line := range strings.Lines(text.Sanitise(reply)) {
		for _, name := range reflectionParts {
			head, rest, _ := strings.Cut(line, ":")
			if strings.EqualFold(strings.Trim(head, "*#-_ \t\r\n1234567890."), name) {
				at, line = name, strings.TrimLeft(rest, "*_ ")
				break
			}
		}
		if at != "" {
			out[at] += line
		}
	}
	for name, words := range out {
		if out[name] = strings.TrimSpace(words); out[name] == "" {
			delete(out, name)
		}
	}
	return out
}

func askAgents(ctx context.Context, s *eval.Session, q QA) (AgentsResult, error) {
	r := AgentsResult{Answered: q.answered()}
	t := q.trial(s, "exam")
	first, err := t.Aside(ctx, monitor.Aside{Role: "answer", Text: agentFirst.Fill("question", t.Question.Text), MaxTokens: 300})
	if err != nil {
		return r, err
	}
	c := t.Candidate(first, monitor.FromGreedy, nil)
	if r.Grade = q.grade(c.Answer); r.Grade != text.Wrong {
		return r, nil
	}
	right := ""
	for _, o := range t.Question.Options {
		if o.Key == q.Answers[0] || o.Text == q.Answers[0] {
			right = o.Letter + ") " + o.Text
		}
	}
	if right == "" {
		return r, errors.New("the answer is none of the options")
	}
	reflection, err := t.Aside(ctx, monitor.Aside{Role: "reflect", Text: agentReflect.Fill("question", t.Question.Text, "answer", c.Text, "right", right), MaxTokens: 500})
	if err != nil {
		return r, err
	}
	open := parts(reflection.Text)
	hidden, all, plain := map[string]string{}, "", ""
	for _, name := range reflectionParts {
		if words := open[name]; words != "" {
			hidden[name] = text.RedactChoices(words, t.Question.Options)
			r.Redacted += strings.Count(hidden[name], text.Redacted)
			all += name + ": " + hidden[name] + "\n"
			plain += name + ": " + words + "\n"
		}
	}
	hidden[compositeAgent], hidden[unredactedAgent] = all, plain
	r.Again = map[string]text.Outcome{}
	for i, name := range agents {
		notes := ""
		if name != retryAgent {
			if hidden[name] == "" {
				continue // the reflection has no such part
			}
			notes = "\nA note on it, in which parts may be struck out: " + prompt.Quote(hidden[name])
		}
		reply, err := t.Aside(ctx, monitor.Aside{Role: "again", Index: i, Text: fill(agentAgain, []string{"question", t.Question.Text}, "notes", notes), MaxTokens: 300})
		if err != nil {
			return r, err
		}
		r.Again[name] = q.grade(t.Candidate(reply, monitor.FromRevision, c).Answer)
	}
	return r, nil
}

func measureAgents(rs []AgentsResult) []eval.Measure {
	published := func(at int) (out []eval.Published) {
		for _, p := range agentsPublished {
			out = append(out, eval.Published{Value: p.values[at], Of: p.model})
		}
		return out
	}
	after := func(name string) []float64 {
		out := make([]float64, len(rs))
		for i, r := range rs {
			out[i] = one(r.Grade == text.Right || r.Again[name] == text.Right)
		}
		return out
	}
	before := make([]float64, len(rs))
	wrong, unread := 0, 0
	for i, r := range rs {
		before[i] = one(r.Grade == text.Right)
		wrong += int(one(r.Grade == text.Wrong))
		unread += int(one(r.Grade == text.Unparsed || r.Grade == text.Refused))
	}
	out := []eval.Measure{eval.Average("before: accuracy", before, published(0)...), eval.Share("first answers that could not be read, or declined", unread, len(rs))}
	for i, name := range agents {
		out = append(out, eval.Average(name+": accuracy", after(name), published(i+1)...))
	}
	retry := after(retryAgent)
	for _, name := range agents[1:] {
		mine := after(name)
		b, c, missing := 0, 0, 0
		for i, r := range rs {
			b, c = b+int(one(mine[i] > retry[i])), c+int(one(mine[i] < retry[i]))
			if _, asked := r.Again[name]; r.Grade == text.Wrong && !asked {
				missing++
			}
		}
		out = append(out, paired(name+" less retry", mine, retry))
		if exact, _, err := stats.McNemar(b, c); err == nil {
			out = append(out, eval.Value(name+" against retry: McNemar, exact p", exact.P, len(rs), "McNemar", "a p-value has no interval"))
		}
		out = append(out, eval.Share(name+": the reflection has no such part", missing, wrong))
	}
	return out
}
