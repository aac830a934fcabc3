package control

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// patterns are the ten unhelpful patterns of thought, with what each is.
var patterns = [][2]string{
	{"all-or-nothing thinking", "seeing only extremes"},
	{"catastrophising", "expecting the worst"},
	{"discounting the positive", "good things do not count"},
	{"emotional reasoning", "a feeling is taken for proof"},
	{"fortune telling", "the future is known to be bad"},
	{"labelling", "one trait stands for the whole person"},
	{"mental filter", "only the bad is seen"},
	{"mind reading", "knowing what others think"},
	{"overgeneralising", "once means always"},
	{"should statements", "rules that nobody can keep"},
}

var (
	recogniseAsk = Ask{Role: "judge", MaxTokens: 64, Template: prompt.Template{Name: "recognise-pattern", Version: 1, Text: "A thought: {answer}\nWhich of these unhelpful patterns does it show?\n" + patternList() + "Name each on a line of its own, or say None."}}
	reframeAsk   = Ask{Role: "rewrite", Whole: true, Template: prompt.Template{Name: "reframe", Version: 1, Text: "A thought: {answer}\nUnhelpful patterns in it: {feedback}\nRewrite the thought in the first person so that it is hopeful, keeps the facts, and answers these patterns. One or two sentences, only the new thought."}}
	factsAsk     = Ask{Role: "judge", MaxTokens: 64, Template: prompt.Template{Name: "reframe-keeps-facts", Version: 1, Text: "A thought: {answer}\nRewritten: {revised}\nDoes the rewritten thought keep the facts and see them more hopefully? End with Yes or No."}}
)

// ReframeNotice stands below every reframed thought.
const ReframeNotice = "(Words of a language model, not of a therapist. If a thought keeps hurting, please speak to somebody you trust or to a doctor.)"

// CrisisNotice is all that is said where a text speaks of suicide or harm.
const CrisisNotice = "This sounds serious, and a program is no help here. Please speak to somebody now: your local emergency number, or a crisis line in your country (findahelpline.com lists them)."

// Patterns names the ten patterns, sorted.
func Patterns() []string {
	out := make([]string, len(patterns))
	for i, p := range patterns {
		out[i] = p[0]
	}
	return out
}

func patternList() string {
	var b strings.Builder
	for _, p := range patterns {
		b.WriteString("- " + p[0] + ": " + p[1] + "\n")
	}
	return b.String()
}

// PatternReframe is the policy `patternreframe` (patternreframe, Maddela et al.
// 2023): the question is a thought; the model names the unhelpful patterns in
// it and rewrites it; a judge's yes keeps the rewriting. Without a pattern the
// thought stays as it is. Whatever comes out carries a fixed notice, and a text
// with words of crisis is not worked on at all. Prompts, the names of the
// patterns and the words of crisis (English) are ours.
func PatternReframe() Policy {
	return reframe{Loop{
		Name: named("patternreframe", recogniseAsk, reframeAsk, factsAsk), Start: given{},
		Feedback: recognise, Revise: reframeAsk.Reviser(), Keep: judged, Rounds: 1,
	}}
}

// reframe is a loop between two fixed notices.
type reframe struct{ Loop }

// Run implements Policy.
func (r reframe) Run(ctx context.Context, t *monitor.Trial) (Result, error) {
	if crisis.MatchString(t.Question.Text) {
		c := whole(t, llm.Choice{Text: CrisisNotice}, monitor.FromOutside, nil)
		return Result{Best: c, Pool: []*monitor.Candidate{c}, Stopped: "crisis words"}, nil
	}
	res, err := r.Loop.Run(ctx, t)
	if err == nil && res.Best != nil && res.Best.Origin == monitor.FromRevision {
		noted := res.Best.Choice
		noted.Text = strings.TrimSpace(noted.Text) + "\n\n" + ReframeNotice
		res.Best = whole(t, noted, monitor.FromRevision, res.Best)
		res.Pool = append(res.Pool, res.Best)
	}
	return res, err
}

var crisis = regexp.MustCompile(`(?i)\b(suicid\w*|kill(ing)? (myself|me|himself|herself|themselves|somebody|someone)|end(ing)? (my|it all|my own) ?(life)?|(hurt|harm|cut)(ing|ting)? myself|self.?harm\w*|want(ed)? to die|better off dead|no reason to live|overdos\w*)\b`)

// given starts from the question itself: the text to work on.
type given struct{}

// Run implements Policy.
func (given) Run(_ context.Context, t *monitor.Trial) (Result, error) {
	c := whole(t, llm.Choice{Text: t.Question.Text}, monitor.FromOutside, nil)
	return Result{Best: c, Pool: []*monitor.Candidate{c}, Stopped: "given"}, nil
}

func (given) String() string { return "given" }

func recognise(ctx context.Context, t *monitor.Trial, sofar Result) (string, bool, error) {
	words, err := recogniseAsk.words(ctx, t, 0, "answer", sofar.Best.Text)
	found := RecognisedPatterns(words)
	return strings.Join(found, ", "), err == nil && len(found) == 0, err
}

// RecognisedPatterns reads the names of patterns from a reply, each once, in
// the order of [Patterns]; spelling differences of -ize and dashes are let pass.
func RecognisedPatterns(reply string) []string {
	plain := func(s string) string {
		return strings.NewReplacer("-", " ", "z", "s", "labelling", "labeling").Replace(strings.ToLower(s))
	}
	reply = plain(text.Sanitise(reply))
	var out []string
	for _, p := range Patterns() {
		if strings.Contains(reply, plain(p)) {
			out = append(out, p)
		}
	}
	return out
}

func judged(ctx context.Context, t *monitor.Trial, sofar Result, revised []*monitor.Candidate) (*monitor.Candidate, error) {
	reply, err := factsAsk.Reply(ctx, t, 0, "answer", sofar.Best.Text, "revised", revised[0].Text)
	if err != nil {
		return nil, err
	}
	if ok, read := yes(reply.Text); !read || !ok {
		return sofar.Best, nil
	}
	return revised[0], nil
}

// PatternScores measures recognition: the share of thoughts whose set of
// patterns is found exactly, and the mean over patterns of F1, where a pattern
// that neither side names is left out. Both in [0,1].
func PatternScores(gold, got [][]string) (exact, macroF1 float64) {
	classes := 0
	for _, p := range Patterns() {
		both, one := 0, 0
		for i := range gold {
			g, h := slices.Contains(gold[i], p), i < len(got) && slices.Contains(got[i], p)
			switch {
			case g && h:
				both++
			case g || h:
				one++
			}
		}
		if both+one > 0 {
			classes++
			macroF1 += 2 * float64(both) / float64(2*both+one)
		}
	}
	for i := range gold {
		if i < len(got) && slices.Equal(slices.Sorted(slices.Values(gold[i])), slices.Sorted(slices.Values(got[i]))) {
			exact++
		}
	}
	return exact / max(1, float64(len(gold))), macroF1 / max(1, float64(classes))
}
