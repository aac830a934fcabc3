package verbal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// Familiarity is verbal/familiarity (self-familiarity, Luo et al. 2023): before
// any answer, are the concepts of the question known? The model explains each of
// them, the name is masked in the explanation, and from that the name has to be
// found again. It is a signal of the question: every candidate has the same score,
// the weighted mean of the concepts' familiarities.
//
// A concept's familiarity is exp of the mean log-probability of its name where
// the model can score a given text, else the share of five guesses that name it.
// Chosen: concepts are capitalised names and what the model itself lists, as far
// as it stands in the question, in place of a tagger; the name is scored as it
// stands, in place of the best of 30 beams that hold it; and weights halve from
// one concept to the next, names before other words and long ones before short
// ones, since rare words are long (Zipf), in place of corpus frequencies. As in
// the authors' program the way from the explanation back to the name decides and
// the way there counts nothing.
func Familiarity() monitor.Signal {
	return monitor.Each("verbal/familiarity", func(ctx context.Context, t *monitor.Trial, _ *monitor.Candidate) (monitor.Reading, error) {
		cs, err := monitor.Get(ctx, t, Concepts{})
		if err != nil {
			return monitor.Reading{}, err
		}
		return weigh(cs)
	})
}

// The size of the study of a question.
const (
	mostConcepts = 5
	guesses      = 5
)

var (
	conceptsTemplate = prompt.Template{Name: "concepts", Version: 1, Text: "Question: {question}\nWhich names and special terms in this question must one know in order to answer it? Copy them from the question, one a line, and write nothing else."}
	explainTemplate  = prompt.Template{Name: "explain-concept", Version: 1, Text: "Explain in one or two sentences what {concept} is."}
	guessTemplate    = prompt.Template{Name: "guess-concept", Version: 1, Text: "In this explanation the name of the thing is hidden: {masked}\nWhat is it about? Reply with the name alone."}
)

// Concept is a concept of a question and how familiar it is.
type Concept struct {
	Name   string
	F      float64 // in [0,1]
	Source string  // logprobs or samples
	Reads  int
	Err    error // why there is no F
}

// Concepts is the evidence of how familiar the concepts of a question are, in the
// order of their weight. No concept is a MissingError.
type Concepts struct{}

// Gather implements monitor.Evidence.
func (Concepts) Gather(ctx context.Context, t *monitor.Trial) ([]Concept, error) {
	names, err := conceptsOf(ctx, t)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, &monitor.MissingError{Needs: "a name or a special term in the question"}
	}
	out := make([]Concept, len(names))
	for i, name := range names {
		if out[i], err = familiar(ctx, t, i, name, names); err != nil {
			return nil, fmt.Errorf("concept %q: %w", name, err)
		}
	}
	return out, nil
}

// weigh averages the familiarities, the weight halving from one to the next.
func weigh(cs []Concept) (monitor.Reading, error) {
	r := monitor.Reading{}
	var sum, total float64
	var why []string
	weight := 1.0
	for _, c := range cs {
		if c.Err != nil {
			continue
		}
		sum, total = sum+weight*c.F, total+weight
		weight /= 2
		r.Source = c.Source
		r.Reads += c.Reads
		why = append(why, fmt.Sprintf("%s %.2f", c.Name, c.F))
	}
	if total == 0 {
		return r, &monitor.MissingError{Needs: "a concept that can be explained without its name; " + cs[0].Err.Error()}
	}
	r.Score, r.Raw, r.Why = sum/total, sum/total, strings.Join(why, ", ")
	return r, nil
}

// conceptsOf finds the names and terms: the capitalised ones, then those that the
// model lists and that do stand in the question, then its uncommon words.
func conceptsOf(ctx context.Context, t *monitor.Trial) ([]string, error) {
	question := t.Question.Text
	type found struct {
		name   string
		proper bool
	}
	var all []found
	add := func(name string, proper bool) {
		name = strings.Trim(name, " \t\r\n\"'`*-•.,;:?!()[]0123456789")
		norm := " " + text.Normalise(name) + " "
		if strings.TrimSpace(norm) == "" || common(name) || !strings.Contains(" "+text.Normalise(question)+" ", norm) {
			return
		}
		for i, f := range all { // one inside another is part of it
			have := " " + text.Normalise(f.name) + " "
			if strings.Contains(have, norm) {
				return
			}
			if strings.Contains(norm, have) {
				all[i] = found{name, f.proper || proper}
				return
			}
		}
		all = append(all, found{name, proper})
	}
	for _, p := range text.Particulars(question) {
		if p.Kind == text.AName {
			add(p.Span.In(question), true)
		}
	}
	reply, err := t.Aside(ctx, monitor.Aside{Role: "concepts", Text: conceptsTemplate.Fill("question", question), MaxTokens: 48})
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(text.Sanitise(reply.Text)) {
		if len(line) <= 80 {
			add(line, false)
		}
	}
	if len(all) == 0 {
		for _, w := range strings.FieldsFunc(question, func(r rune) bool { return !unicode.IsLetter(r) && r != '-' && r != '\'' }) {
			add(w, false)
		}
	}
	slices.SortStableFunc(all, func(a, b found) int {
		if a.proper != b.proper {
			return -cmp.Compare(btoi(a.proper), btoi(b.proper))
		}
		return -cmp.Compare(longest(a.name), longest(b.name))
	})
	var out []string
	for _, f := range all[:min(len(all), mostConcepts)] {
		out = append(out, f.name)
	}
	return out, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func longest(name string) (n int) {
	for _, w := range strings.Fields(name) {
		n = max(n, len([]rune(w)))
	}
	return n
}

// familiar explains the i-th concept, hides its name and has it found again.
func familiar(ctx context.Context, t *monitor.Trial, i int, name string, all []string) (Concept, error) {
	c := Concept{Name: name}
	reply, err := t.Aside(ctx, monitor.Aside{Role: "explain", Index: i, Text: explainTemplate.Fill("concept", name), MaxTokens: 96})
	if err != nil {
		return c, err
	}
	hide := strings.Fields(name)
	for _, other := range all { // concepts that share words are hidden together
		if slices.ContainsFunc(strings.Fields(other), func(w string) bool { return slices.Contains(strings.Fields(name), w) }) {
			hide = append(hide, strings.Fields(other)...)
		}
	}
	hide = slices.DeleteFunc(append([]string{name}, hide...), common)
	masked := text.Redact(text.Sanitise(reply.Text), hide...)
	left := strings.Fields(strings.ReplaceAll(masked, text.Redacted, " "))
	if len(left) < 3 {
		c.Err = errors.New("its explanation is but its name")
		return c, nil
	}
	guess := guessTemplate.Fill("masked", masked)
	if t.Model.Can(llm.ScoreText) {
		err := c.score(ctx, t, guess)
		var unsupported *llm.UnsupportedError
		if !errors.As(err, &unsupported) {
			return c, err
		}
	}
	replies, err := t.Asides(ctx, monitor.Aside{Role: "guess", Index: i, Text: guess, MaxTokens: 16, Temperature: 1}, guesses)
	if err != nil {
		return c, err
	}
	for _, r := range replies {
		if names(r.Text, name) {
			c.F += 1 / float64(len(replies))
		}
	}
	c.Source, c.Reads = "samples", len(replies)
	return c, nil
}

// score reads the probability of the name after the explanation, as it stands and
// with a capital, whichever is likelier.
func (c *Concept) score(ctx context.Context, t *monitor.Trial, guess string) error {
	first, size := utf8.DecodeRuneInString(c.Name)
	for _, name := range slices.Compact([]string{c.Name, string(unicode.ToUpper(first)) + c.Name[size:]}) {
		scored, err := t.Ask(ctx, llm.Op{Kind: llm.Score, Continuation: name, Role: "guess", Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: guess}}, LogProbs: true}})
		if err != nil {
			return err
		}
		var sum float64
		for _, tok := range scored.Tokens {
			sum += tok.LogProb
		}
		f := math.Exp(sum / float64(len(scored.Tokens)))
		if !(f >= 0 && f <= 1+roundOff) {
			c.Err = errors.New("its name's log-probability is no number")
			return nil
		}
		c.F, c.Source, c.Reads = max(c.F, min(1, f)), "logprobs", len(scored.Tokens)
	}
	return nil
}

// names tells whether a guess names a concept: equal after normalising, or within
// a short reply as whole words.
func names(guess, name string) bool {
	guess, name = text.Normalise(text.Sanitise(guess)), text.Normalise(name)
	return name != "" && len(strings.Fields(guess)) <= len(strings.Fields(name))+6 && strings.Contains(" "+guess+" ", " "+name+" ")
}

// common tells whether all words of a name are everyday ones.
func common(name string) bool {
	for _, w := range strings.Fields(strings.ToLower(name)) {
		if !everyday[strings.Trim(w, ".,;:?!'\"()")] {
			return false
		}
	}
	return true
}

// everyday are words that every model knows, chosen in place of a list of the
// ten thousand commonest.
var everyday = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(`
a about above after again against all also always am an and another any are around as ask at away back bad be became because become been
before began begin behind being below best better between big black blue body book both box boy bring brought build built but buy by call
called came can car care carry case change child children city close cold come common could country course cut day days did different do
does done door down draw during each early earth easy eat either else end enough even ever every example eye face fact family far fast
father feel feet few find fire first five fly follow food for form found four free friend from full gave get girl give given go goes gone
good got great green group grow had half hand hard has have he head hear heard help her here high him his hold home hot hour house how
hundred i idea if in into is it its just keep kind know known land large last late later lay learn least leave left less let letter life
light like line list little live long look lot low made main make man many may me mean means men might mile mind minute money month moon
more morning most mother move much must my name named names near need never new next night no north not note nothing now number of off often
old on once one only open or order other our out over own page paper part people person place plan play point power problem put question
quick quite rain ran read real really red rest right river road room round rule run said same saw say school sea second see seem sentence
set several she short should show side since sing six size small so some something song soon south space special stand star start state stay
still stop story street strong such sun sure system table take talk tell ten than that the their them then there these they thing things
think third this those though thought three through time times to today together told too took toward town travel tree true try turn two
type under until up us use used usually very voice walk want war was watch water way we week weight well went were west what when where
which while white who whole whose why will wind wish with without woman women word words work world would write written year years yes you
young your capital largest smallest highest longest oldest famous happen happened mean describe explain answer following cause made someone`) {
		m[w] = true
	}
	return m
}()
