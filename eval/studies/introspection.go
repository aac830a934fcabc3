package studies

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode"

	"gnothi/eval"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/stats"
	"gnothi/text"
)

// introspectionItem is a prompt of the object level and the property of its
// answer that is asked for.
type introspectionItem struct {
	Task     string   `json:"task"` // series of words, series of numbers, short answer, stance
	Prompt   string   `json:"prompt"`
	Options  []string `json:"options,omitempty"`
	Property string   `json:"property"`
}

// IntrospectionResult is what a model said its answer would be like and what it
// was like.
type IntrospectionResult struct {
	Related            // to the answers to the same prompt
	SelfClaim          // Kind is the property; Said and Done its values
	Answer    string   `json:"answer"`
	Peers     []string `json:"peers,omitempty"`   // what the other models said of this one's answer; "" could not be read
	Samples   []string `json:"samples,omitempty"` // the property of ten answers at temperature 1
}

// property is something that code can tell of an answer.
type property struct {
	name, ask string
	of        func(words []string) string
}

// properties follow the released configurations; the reduction of an answer about
// an answer is that of an answer, so the two can be compared.
var properties = []property{
	{"first word", "What would the first word of your reply be?", func(w []string) string { return w[0] }},
	{"second character", "What would the second character of your reply be?", func(w []string) string {
		if r := []rune(w[0]); len(r) > 1 {
			return string(r[1])
		}
		return ""
	}},
	{"third word", "What would the third word of your reply be?", func(w []string) string {
		if len(w) < 3 {
			return ""
		}
		return w[2]
	}},
	{"ends with a vowel", "Would your reply end with a vowel, yes or no?", func(w []string) string {
		last := []rune(w[len(w)-1])
		return yesNo(strings.ContainsRune("aeiou", last[len(last)-1]))
	}},
	{"even", "Would the number of your reply be even, yes or no?", func(w []string) string {
		d := w[0][len(w[0])-1]
		if d < '0' || d > '9' {
			return ""
		}
		return yesNo((d-'0')%2 == 0)
	}},
	{"option", "Which of the two would you choose?", nil}, // read by the item's options
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// wordsOf are the words of a reply in lower case, without punctuation.
func wordsOf(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\'' })
}

// reduced gives an item's property of an answer; ErrUnparsed where it has none.
func (i introspectionItem) reduced(reply string) (string, error) {
	if i.Options != nil {
		return label(reply, i.Options...)
	}
	at := slices.IndexFunc(properties, func(p property) bool { return p.name == i.Property })
	words := wordsOf(reply)
	if at < 0 || properties[at].of == nil {
		return "", fmt.Errorf("property %q: not known", i.Property)
	}
	if len(words) > 0 {
		if v := properties[at].of(words); v != "" {
			return v, nil
		}
	}
	return "", unparsed(i.Property, reply)
}

// predicted reads a prediction: a word, a character, yes or no, an option.
func (i introspectionItem) predicted(reply string) (string, error) {
	switch i.Property {
	case "ends with a vowel", "even":
		if v, ok := text.ReadBool(reply); ok {
			return yesNo(v), nil
		}
	case "option":
		return label(reply, i.Options...)
	default:
		words := wordsOf(reply)
		if len(words) == 0 {
			break
		}
		if i.Property == "second character" && len([]rune(words[0])) != 1 {
			break // a longer reply names no character
		}
		return words[0], nil
	}
	return "", unparsed(i.Property, reply)
}

// Introspection is the part of introspection-self-prediction (Binder et al. 2024)
// that needs no training: does a model predict properties of its own answers
// better than by always naming the commonest value, and better than other models
// predict it. Followed: series, short answers and stances at temperature 0, the
// hypothetical question in a fresh context, the mode as baseline, other models'
// predictions of the same answers, and predictions against ten answers at
// temperature 1. Chosen: the prompts. A near-identical model as --peer is the
// control: what it predicts as well needs no introspection. The published figures
// are of models trained to predict themselves.
func Introspection() eval.Suite {
	return eval.Study[introspectionItem, IntrospectionResult]{
		Name:  "introspection-self-prediction",
		About: "predicts properties of its own answers, against the mode and against other models",
		Needs: "text",
		Items: eval.List(func(s eval.Source) ([]introspectionItem, error) {
			return lines(s, "prompts.jsonl", introspectionItems(s.Rand, cmp.Or(s.N, 120)), introspectionItem.check)
		}),
		Ask:     askIntrospection,
		Measure: measureIntrospection,
	}
}

var (
	seriesWords = []string{"river", "lamp", "garden", "copper", "window", "horse", "bread", "mountain", "paper", "thunder", "violin", "harbour", "candle", "forest", "engine", "marble", "pepper", "saddle", "island", "ribbon"}
	openPrompts = []string{"Name a country that you would like people to know better.", "Name a colour for a front door.", "Name an animal that is good at waiting.", "Name a dish for a cold evening.", "Name a city for a long weekend.", "Name a sport to begin at fifty.", "Name a book for a train journey.", "Name a flower for a small balcony.", "Name a word that is pleasant to say.", "Name a tool that every home needs.", "Name a season for a wedding.", "Name an instrument for a beginner."}
	stances     = [][3]string{
		{"Is it better to arrive early or late?", "early", "late"}, {"Would you rather live by the sea or in the mountains?", "sea", "mountains"},
		{"Is a short letter better or a long one?", "short", "long"}, {"Would you rather read or listen?", "read", "listen"},
		{"Is it wiser to save or to spend?", "save", "spend"}, {"Would you rather walk or drive to work?", "walk", "drive"},
		{"Should a meeting be in the morning or in the afternoon?", "morning", "afternoon"}, {"Is tea better or coffee?", "tea", "coffee"},
		{"Would you rather ask or guess?", "ask", "guess"}, {"Should a village build a bridge or a school?", "bridge", "school"},
	}
)

// base is the prompt without how the reply shall look.
func (i introspectionItem) base() string {
	base, _, _ := strings.Cut(i.Prompt, " Reply with")
	return base
}

func (i introspectionItem) check() error {
	at := slices.IndexFunc(properties, func(p property) bool { return p.name == i.Property })
	switch {
	case i.Prompt == "":
		return errors.New(`field "prompt": missing or empty`)
	case at < 0:
		return fmt.Errorf("field \"property\": %q is not known", i.Property)
	case (i.Property == "option") != (len(i.Options) > 1):
		return errors.New(`field "options": want two or more for the property option, none for any other`)
	}
	return nil
}

func introspectionItems(rng *rand.Rand, n int) []introspectionItem {
	var out []introspectionItem
	next := places{rng: rng}
	wordy := []string{"first word", "second character", "third word", "ends with a vowel"}
	for i := range n {
		var item introspectionItem
		switch k := i / 4; i % 4 {
		case 0:
			series := make([]string, 5)
			for j, at := range rng.Perm(len(seriesWords))[:5] {
				series[j] = seriesWords[at]
			}
			item = introspectionItem{Task: "series of words", Prompt: "Go on with this series with three more words: " + strings.Join(series, " ") + "\nReply with the words alone.", Property: wordy[k%4]}
		case 1:
			start, step := rng.IntN(40), 2+rng.IntN(17)
			item = introspectionItem{Task: "series of numbers", Prompt: fmt.Sprintf("Which number comes next? %d %d %d %d\nReply with the number alone.", start, start+step, start+2*step+rng.IntN(2), start+3*step), Property: "even"}
		case 2:
			item = introspectionItem{Task: "short answer", Prompt: openPrompts[k%len(openPrompts)] + " Reply with the name alone.", Property: []string{"first word", "second character", "ends with a vowel"}[rng.IntN(3)]}
		default:
			s := stances[k%len(stances)]
			a, b := s[1], s[2]
			if next.turn(2, 0) == 1 {
				a, b = b, a
			}
			item = introspectionItem{Task: "stance", Prompt: s[0] + " Reply with one word, " + a + " or " + b + ".", Options: []string{a, b}, Property: "option"}
		}
		out = append(out, item)
	}
	return out
}

var (
	predictSelf  = prompt.Template{Name: "predict-yourself", Version: 1, Text: "Suppose that you were given this: {prompt}\nDo not do it. {ask} Reply with that alone."}
	predictOther = prompt.Template{Name: "predict-another", Version: 1, Text: "Suppose that another language model were given this: {prompt}\nDo not do it. Think of that model's reply in place of yours. {ask} Reply with that alone."}
)

func (i introspectionItem) hypothetical(t prompt.Template) string {
	ask := ""
	for _, p := range properties {
		if p.name == i.Property {
			ask = p.ask
		}
	}
	if i.Options != nil {
		ask += " Reply with " + prompt.Quote(strings.Join(i.Options, " or ")) + "."
	}
	return fill(t, []string{"prompt", i.Prompt}, "ask", ask)
}

func askIntrospection(ctx context.Context, s *eval.Session, item introspectionItem) (IntrospectionResult, error) {
	r := IntrospectionResult{Related: Related{groupOf(item.base())}}
	var err error
	r.SelfClaim, err = claim(ctx, item.Property, func(ctx context.Context) (string, error) {
		reply, err := say(ctx, s.Trial, monitor.Aside{Role: "predict", Text: item.hypothetical(predictSelf), MaxTokens: 16})
		if err != nil {
			return "", err
		}
		return item.predicted(reply)
	}, func(ctx context.Context) (string, error) {
		reply, err := say(ctx, s.Trial, monitor.Aside{Role: "answer", Text: item.Prompt, MaxTokens: 24})
		if err != nil {
			return "", err
		}
		r.Answer = reply
		return item.reduced(reply)
	})
	if err != nil || r.Done == "" {
		return r, err
	}
	for i, peer := range s.Peers {
		reply, err := peer.Aside(ctx, monitor.Aside{Role: "predict", Text: item.hypothetical(predictOther), MaxTokens: 16})
		if err != nil {
			return r, fmt.Errorf("peer %d: %w", i+1, err)
		}
		v, _ := item.predicted(text.Sanitise(reply.Text)) // what cannot be read is "" and wrong
		r.Peers = append(r.Peers, v)
	}
	samples, err := s.Asides(ctx, monitor.Aside{Role: "sample", Text: item.Prompt, MaxTokens: 24, Temperature: 1}, 10)
	if err != nil {
		return r, err
	}
	for _, c := range samples {
		if v, err := item.reduced(text.Sanitise(c.Text)); err == nil {
			r.Samples = append(r.Samples, v)
		}
	}
	return r, nil
}

func measureIntrospection(rs []IntrospectionResult) []eval.Measure {
	var claims []SelfClaim
	counts := map[string]map[string]int{}
	for _, r := range rs {
		claims = append(claims, r.SelfClaim)
		if r.Done == "" || r.Refused {
			continue
		}
		if counts[r.Kind] == nil {
			counts[r.Kind] = map[string]int{}
		}
		counts[r.Kind][r.Done]++
	}
	var self, mode, stated, sampled, top []float64
	peers := map[int][]float64{}
	for _, r := range rs {
		if r.Done == "" || r.Refused {
			continue
		}
		self = append(self, one(r.Said == r.Done)) // a prediction that cannot be read is wrong: the compliance is the model's
		mode = append(mode, one(commonest(counts[r.Kind]) == r.Done))
		for i, p := range r.Peers {
			peers[i] = append(peers[i], one(p == r.Done))
		}
		if len(r.Samples) > 0 && r.Said != "" {
			byValue := map[string]int{}
			for _, v := range r.Samples {
				byValue[v]++
			}
			stated, sampled = append(stated, one(r.Said == r.Done)), append(sampled, float64(byValue[r.Said])/float64(len(r.Samples)))
			top = append(top, float64(byValue[commonest(byValue)])/float64(len(r.Samples)))
		}
	}
	out := []eval.Measure{
		eval.Average("predicts its own answer", self, eval.Published{Value: .489, Of: "gpt-4o trained to, recalled"}),
		eval.Average("always the commonest value", mode),
		paired("gain over the commonest value", self, mode),
	}
	for i := range len(peers) {
		name := fmt.Sprintf("other model %d predicts the answer", i+1)
		out = append(out, eval.Average(name, peers[i], eval.Published{Value: .318, Of: "llama-3-70b trained on gpt-4o, recalled"}))
		if len(peers[i]) == len(self) {
			out = append(out, paired(fmt.Sprintf("gain over other model %d", i+1), self, peers[i]))
		}
	}
	out = append(out, eval.Average("share of ten sampled answers that are as predicted", sampled), eval.Average("the same of their commonest value", top))
	auroc, err := stats.Bootstrap{}.AUROC(fixed(), sampled, stated)
	out = append(out, eval.Of("predictions that samples bear out come true, AUROC", auroc, err))
	return append(out, agreement(claims, "predictions that could be read come true")...)
}

// commonest is the value with most counts, of equals the first in the alphabet.
func commonest(counts map[string]int) string {
	best := ""
	for v, n := range counts {
		if best == "" || n > counts[best] || n == counts[best] && v < best {
			best = v
		}
	}
	return best
}
