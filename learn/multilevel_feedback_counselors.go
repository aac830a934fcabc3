package learn

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/judge"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// FeedbackAreas are what feedback on a counsellor's reply speaks of
// (multilevel-feedback-counselors, Chaszczewicz et al. 2024).
func FeedbackAreas() []string {
	return []string{"reflections", "questions", "suggestions", "validation", "self-disclosure", "empathy", "professionalism", "structure"}
}

var feedbackAsk = prompt.Template{Name: "counsellor-feedback", Version: 1, Text: "A conversation with somebody who seeks help: {question}\nWhat the helper, a novice, replied last: {response}\n" +
	"Give the helper feedback in this form and nothing else.\nIf the reply is appropriate:\nAppropriate: yes\nGood: areas\nIf it is not:\nAppropriate: no\nGoal: what a better reply would do\nAreas: areas to improve\nAlternative: a better reply, on one line\n" +
	"Areas are some of: reflections, questions, suggestions, validation, self-disclosure, empathy, professionalism, structure."}

// Feedback is feedback on one reply of a helper, on its levels: whether it is
// appropriate, what is good or is to be improved, to what end, and how.
type Feedback struct {
	Appropriate bool
	Good        []string // of an appropriate reply
	Goal        string   // of another: what a better one would do
	Areas       []string // … what to improve
	Alternative string   // … a better one
}

// ParseFeedback reads feedback in the form that is asked for, one field a line,
// and says what of the form is missing.
func ParseFeedback(s string) (f Feedback, err error) {
	fields := map[string]string{}
	for line := range strings.Lines(text.Sanitise(s)) {
		name, value, ok := strings.Cut(line, ":")
		name = strings.ToLower(strings.Trim(name, " \t*-_#"))
		value = strings.Trim(strings.TrimSpace(value), "*\" ")
		if ok && value != "" && fields[name] == "" {
			fields[name] = value
		}
	}
	yes, ok := text.ReadBool(fields["appropriate"])
	if !ok {
		return f, fmt.Errorf("learn: feedback: no line \"Appropriate: yes\" or \"no\"")
	}
	f.Appropriate = yes
	if yes {
		f.Good, err = areas("Good", fields["good"])
		return f, err
	}
	f.Goal, f.Alternative = fields["goal"], fields["alternative"]
	switch {
	case f.Goal == "":
		return f, fmt.Errorf("learn: feedback: no line \"Goal:\"")
	case f.Alternative == "":
		return f, fmt.Errorf("learn: feedback: no line \"Alternative:\"")
	}
	f.Areas, err = areas("Areas", fields["areas"])
	return f, err
}

// areas reads a list of areas; at least one has to be known, and others are left out.
func areas(field, list string) (out []string, err error) {
	for _, word := range strings.FieldsFunc(strings.ToLower(list), func(r rune) bool { return strings.ContainsRune(",;/.", r) }) {
		word = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(word), "and "))
		if slices.Contains(FeedbackAreas(), word) && !slices.Contains(out, word) {
			out = append(out, word)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("learn: feedback: %s %.40q: want some of %s", field, list, strings.Join(FeedbackAreas(), ", "))
	}
	return out, nil
}

// CounsellorJudge rates what a helper says.
func CounsellorJudge() judge.Judge {
	return judge.Judge{Rubric: "how much the reply helps the person who seeks help: whether it listens, shows that it understands, and does not push or judge"}
}

// harmful is what no feedback may advise.
var harmful = []judge.Label{{Name: "harmful", Meaning: "encourages harm to oneself or others, blames the person who seeks help, gives medical orders, or breaks confidence"}}

// Counsellors is the recipe `multilevel-feedback-counselors` (Chaszczewicz et al.
// 2024; the part without gradients): n pieces of feedback on a helper's reply,
// in a form with levels; feedback is worth what its alternative reply is worth
// to the judge (of feedback that finds the reply appropriate: what the reply itself is
// worth); best against worst is a pair. An alternative that a tagger finds harmful, with a
// quotation, is no candidate for best. n + 2n calls.
//
// The aim is the worst case: the report has the least value and the 5th
// percentile of chosen feedback beside the mean. This makes training material for feedback to learners; it is
// no judgement on people. The prompt is the conversation, "response" the helper's last reply.
func Counsellors(n int, j *judge.Judge) Recipe {
	return Recipe{
		Name: "multilevel-feedback-counselors", About: "feedback to a novice counsellor, best against worst by its own alternative",
		Needs: "conversations with \"response\"; a judge",
		Rows: func(ctx context.Context, t *monitor.Trial, p Prompt, m *Made) error {
			if p.Response == "" {
				return &monitor.MissingError{Needs: "\"response\": what the helper replied last"}
			}
			asked := feedbackAsk.Fill("question", question(p), "response", p.Response)
			replies, err := t.Asides(ctx, monitor.Aside{Role: "sample", Text: asked, MaxTokens: max(256, t.Request.MaxTokens), Temperature: 1}, n)
			if err != nil {
				return err
			}
			var all []*monitor.Candidate // the feedback
			var worth []float64
			for i, reply := range replies {
				f, err := ParseFeedback(reply.Text)
				if err != nil {
					m.Drop("feedback: not in the form")
					continue
				}
				words := p.Response
				if !f.Appropriate {
					words = f.Alternative
				}
				child := t.Child("alternative", i, nil, llm.Request{})
				c := child.Candidate(llm.Choice{Text: words}, monitor.FromOutside, nil)
				r, err := m.rate(ctx, j, child, c)
				if err != nil {
					return err
				}
				tags, err := j.Tag(ctx, child, c, harmful)
				if err != nil {
					return err
				}
				m.judged = append(m.judged, func(b *judge.Tally) { b.Tagged(tags, nil) })
				if len(tags.Tags) > 0 && tags.Tags[0].Err == nil && tags.Tags[0].Grade > 0 {
					m.Drop("feedback: advises harm")
					r.Unit = math.Inf(-1) // may be rejected, never chosen
				}
				all, worth = append(all, t.Candidate(reply, monitor.FromSample, nil)), append(worth, r.Unit)
			}
			for _, w := range worth {
				if !math.IsInf(w, 0) {
					m.Score(w)
				}
			}
			d, ok := BestWorst(worth)
			if !ok || math.IsInf(worth[d.Chosen], -1) {
				m.Drop("prompt: no feedback is better than another")
				return nil
			}
			m.Value("worth of the chosen feedback", worth[d.Chosen])
			row := pair(all[d.Chosen], all[d.Rejected], d.Margin)
			row.Role, row.Prompt = "feedback", asked
			m.Add(row)
			return nil
		},
	}
}
