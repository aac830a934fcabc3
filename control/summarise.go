package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

var summariseAsk = Ask{Role: "rewrite", Whole: true, Template: prompt.Template{Name: "summarise", Version: 1, Text: "Question: {question}\nIndependent answers to it:\n{answers}\nGive one answer in the same form that says what these answers say and how often: the main one as most likely, the others as what it could also be, numbers as a range. Correct nothing, add nothing, name nothing twice."}}

// Summarise is the policy `summarise` (selfreflect, Kirchhof et al. 2025): n
// samples at temperature 1, then one answer that states their spread honestly.
// The paper finds this faithful where a model that is only asked for its
// uncertainty is not; [Faithfulness] is its measure. n + 1 calls.
func Summarise(n int) Policy {
	return Loop{
		Name:   named("summarise", summariseAsk),
		Start:  Vote{Sampler: Independent{Sampling: monitor.Sampling{Temperature: 1}}, Stop: Fixed(n)},
		Rounds: 1,
		Revise: func(ctx context.Context, t *monitor.Trial, round int, sofar Result, _ string) ([]*monitor.Candidate, error) {
			c, err := summariseAsk.candidate(ctx, t, round, sofar.Best, "answers", listing(sofar.Pool))
			if err != nil {
				return nil, err
			}
			if strings.TrimSpace(c.Text) == "" {
				return nil, errors.New("the summary is empty")
			}
			return []*monitor.Candidate{c}, nil
		},
	}
}

func listing(cs []*monitor.Candidate) string {
	var b strings.Builder
	for i, c := range cs {
		fmt.Fprintf(&b, "x_%d = '%s'\n", i+1, text.SanitiseLine(c.Text))
	}
	return b.String()
}

// heat is the temperature at which the metric compares distributions.
const heat = 5

// Faithfulness is selfreflect's measure W of how much less a summary tells of
// what a model answers than its answers themselves do: lower is better, 0 is no
// difference, 2 the most there is. For each test answer, each word that is no
// stop word is blanked and a scoring model asked for it once with the summary
// and once with the conditioning answers in sight; W is Σ|p − q| over the next
// token at temperature 5, averaged over tokens, words and answers. An answer of
// stop words alone keeps them all.
//
// The scoring model scores given text and shows as many top tokens as it is
// asked for; with top the size of its vocabulary (the local engine) W is the
// paper's, with fewer the rest counts as one symbol and W is a lower bound.
// Chosen: a short fixed stop-word list in place of one mined from a corpus.
func Faithfulness(ctx context.Context, scorer llm.Model, question, summary string, answers, tests []string, top int) (float64, error) {
	if strings.TrimSpace(summary) == "" {
		return 0, errors.New("the summary is empty")
	}
	if len(answers) == 0 || len(tests) == 0 {
		return 0, errors.New("faithfulness needs answers to condition on and answers to test with")
	}
	var given strings.Builder
	for i, a := range answers {
		fmt.Fprintf(&given, "x_%d = '%s'\n", i+1, text.SanitiseLine(a))
	}
	total := 0.0
	for _, test := range tests {
		w, err := blanked(ctx, scorer, question, []string{summary, given.String()}, test, top)
		if err != nil {
			return 0, err
		}
		total += w
	}
	return total / float64(len(tests)), nil
}

var blankTemplate = prompt.Template{Name: "fill-the-blank", Version: 1, Text: "Question: {question}\nWhat is known of the answers to it:\n{known}\nAnother answer to it, with one word left out: {blanked}\nThe word left out:"}

// blanked averages W over the words of one test answer.
func blanked(ctx context.Context, scorer llm.Model, question string, contexts []string, test string, top int) (float64, error) {
	words := strings.Fields(text.SanitiseLine(test))
	telling := func(skip bool) (at []int) {
		for i, w := range words {
			bare := strings.ToLower(strings.TrimFunc(w, unicode.IsPunct))
			if bare != "" && (!skip || !stopWords[bare]) {
				at = append(at, i)
			}
		}
		return at
	}
	at := telling(true)
	if at == nil {
		at = telling(false)
	}
	if at == nil {
		return 0, fmt.Errorf("test answer %q has no words", test)
	}
	sum, n := 0.0, 0
	for _, i := range at {
		word := strings.TrimFunc(words[i], unicode.IsPunct)
		shown := strings.Join(words[:i], " ") + " ____ " + strings.Join(words[i+1:], " ")
		var tokens [2][]llm.Token
		for k, known := range contexts {
			req := llm.Request{Messages: []llm.Message{{Role: "user", Text: blankTemplate.Fill("question", question, "known", known, "blanked", shown)}}, LogProbs: true, TopLogProbs: top}
			res, err := scorer.Do(ctx, llm.Op{Kind: llm.Score, Request: req, Continuation: word, Role: "judge"})
			if err != nil {
				return 0, fmt.Errorf("word %q: %w", word, err)
			}
			tokens[k] = res.Choices[0].Tokens
		}
		if len(tokens[0]) != len(tokens[1]) {
			return 0, fmt.Errorf("word %q: the model splits it in two ways", word)
		}
		for j := range tokens[0] {
			w, err := distance(tokens[0][j], tokens[1][j])
			if err != nil {
				return 0, fmt.Errorf("word %q: %w", word, err)
			}
			sum, n = sum+w, n+1
		}
	}
	if n == 0 {
		return 0, fmt.Errorf("test answer %q: %w", test, &monitor.MissingError{Needs: "a scoring model that gives token distributions"})
	}
	return sum / float64(n), nil
}

// distance is Σ|p − q| of the next token at temperature [heat], in [0,2].
func distance(a, b llm.Token) (float64, error) {
	p, q := heated(a), heated(b)
	if len(p) == 0 || len(q) == 0 {
		return 0, &monitor.MissingError{Needs: "the most probable tokens at each place"}
	}
	d := 0.0
	both := maps.Clone(p)
	maps.Copy(both, q)
	for _, v := range slices.Sorted(maps.Keys(both)) {
		d += math.Abs(p[v] - q[v])
	}
	return d, nil
}

// heated is the distribution over the shown tokens, and "" for the rest, with
// its logits divided by [heat].
func heated(t llm.Token) map[string]float64 {
	p, shown := map[string]float64{}, 0.0
	for _, alt := range t.Top {
		p[alt.Text] += math.Exp(alt.LogProb)
		shown += math.Exp(alt.LogProb)
	}
	if rest := 1 - shown; len(p) > 0 && rest > 1e-6 {
		p[""] += rest
	}
	z := 0.0
	for _, v := range slices.Sorted(maps.Keys(p)) { // in one order, for sums are rounded
		p[v] = math.Pow(p[v], 1.0/heat)
		z += p[v]
	}
	for v := range p {
		p[v] /= z
	}
	return p
}

var stopWords = set("a about after all also an and any are as at be because been before being between both but by can could did do does for from had has have he her here him his how i if in into is it its itself just may me might more most must my no nor not of off on once only or other our out over own same she should so some such than that the their them then there these they this those through to too under until up very was we were what when where which while who whom why will with would you your")

func set(words string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(words) {
		out[w] = true
	}
	return out
}
