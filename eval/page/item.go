package page

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gnothi/eval"
	"gnothi/internal/web"
	"gnothi/llm"
	"gnothi/text"
)

// item is what there is to see of an item. Its JSON is what the script of
// report.html reads: short names, since there are thousands of them.
type item struct {
	Index      int      `json:"i"`
	Key        string   `json:"k"`
	Outcome    string   `json:"o"`
	Error      string   `json:"e,omitempty"`
	Question   string   `json:"q"`
	Fields     []field  `json:"f,omitempty"` // the rest of the item
	Result     []field  `json:"r,omitempty"`
	Signals    []signal `json:"s,omitempty"` // numbers of the result between 0 and 1
	Confidence *float64 `json:"c,omitempty"`
	Asked      []asked  `json:"a,omitempty"`
	Calls      int64    `json:"n"`
	Tokens     int64    `json:"t"`
	NanoUSD    int64    `json:"d,omitempty"`
	WallMS     int64    `json:"w,omitempty"`
}

// field is a value with its place in the JSON it comes from.
type field struct {
	Name string `json:"n"`
	Text string `json:"v"`
}

// signal is a number between 0 and 1.
type signal struct {
	Name  string  `json:"n"`
	Value float64 `json:"v"`
}

// asked is what was asked in one role with one prompt, with the replies in
// classes of the same words.
type asked struct {
	Role    string  `json:"r,omitempty"`
	Prompt  string  `json:"p,omitempty"` // empty: those of the role, not told apart
	Classes []class `json:"c"`
}

// class is replies that say the same.
type class struct {
	N         int    `json:"n"`
	Text      string `json:"t"`
	Reasoning string `json:"g,omitempty"`
	Finish    string `json:"f,omitempty"`

	whole, same string // the reply, and what classes are told by
}

// clip says how much is shown of an item.
type clip struct {
	text   int // longest text, in characters
	whole  int // all texts together, in bytes
	fields int // of an item, and of its result
}

var (
	// inReport keeps 5,000 items of any model within some 20 MB.
	inReport = clip{text: 1200, whole: 6000, fields: 60}
	inDepth  = clip{text: 20_000, whole: 2 << 20, fields: 2000}
	inFull   = clip{text: 64 << 20, whole: 256 << 20, fields: 100_000}
)

// questionKeys are where studies keep what an item is about, the best first.
var questionKeys = []string{"question", "problem", "prompt", "query", "statement", "claim", "sentence", "premise", "task", "instruction", "text", "input", "story", "passage", "title", "name"}

// see makes of a record and its calls what there is to see.
func see(rec eval.Record, calls []llm.Written, confidence *float64, c clip) item {
	v := item{
		Index: rec.Index, Key: rec.Key, Outcome: rec.Outcome, Error: c.cut(rec.Error), Confidence: confidence,
		Calls: rec.Spend.Calls, Tokens: rec.Spend.PromptTokens + rec.Spend.CompletionTokens, NanoUSD: rec.Spend.NanoUSD, WallMS: rec.WallMS,
	}
	fields, _ := flatten(rec.Item, c, false)
	v.Question, v.Fields = question(fields)
	v.Result, v.Signals = flatten(rec.Result, c, true)
	v.Asked = group(calls, c)
	v.trim(c)
	return v
}

// question takes what the item is about out of its fields.
func question(fields []field) (string, []field) {
	best := -1
	for _, key := range questionKeys {
		if best = slices.IndexFunc(fields, func(f field) bool { return f.Name == key && f.Text != "" }); best >= 0 {
			break
		}
	}
	if best < 0 { // the longest text is the most telling
		for i, f := range fields {
			if best < 0 || len(f.Text) > len(fields[best].Text) {
				best = i
			}
		}
	}
	if best < 0 {
		return "", nil
	}
	q := fields[best].Text
	return q, slices.Delete(fields, best, best+1)
}

// trim keeps all texts together within the limit: what was asked and answered
// last goes first.
func (v *item) trim(c clip) {
	left := c.whole - len(v.Question) - len(v.Error)
	for _, list := range []*[]field{&v.Fields, &v.Result} {
		for i := range *list {
			if left -= len((*list)[i].Name) + len((*list)[i].Text); left < 0 {
				*list = append((*list)[:i], field{"…", "cut here"})
				break
			}
		}
	}
	for i, a := range v.Asked {
		left -= len(a.Prompt)
		for j, r := range a.Classes {
			if left -= len(r.Text) + len(r.Reasoning) + 20; left < 0 {
				v.Asked[i].Classes = append(a.Classes[:j:j], class{Text: "… cut here"})
				v.Asked = v.Asked[:i+1]
				return
			}
		}
	}
}

// cut makes a text fit to be shown: valid, without characters that cannot be
// seen, and not too long.
func (c clip) cut(s string) string {
	whole := len(s)
	if whole > c.text {
		end := c.text
		for end > 0 && end > c.text-utf8.UTFMax && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end]
	}
	shown := web.Visible(s)
	if len(s) < whole {
		shown += fmt.Sprintf(" … (%d more bytes)", whole-len(s))
	}
	return shown
}

// flatten lists the values of a JSON text with their places, in its order; broken
// numbers between 0 and 1 are signals, if they are told apart. What is no JSON is
// one value.
func flatten(raw json.RawMessage, c clip, apart bool) (fields []field, signals []signal) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if !json.Valid(raw) {
		return []field{{"", c.cut(string(raw))}}, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var walk func(name string) bool
	add := func(name, value string) bool {
		if len(fields) >= c.fields {
			fields = append(fields, field{"…", "more fields than are shown"})
			return false
		}
		fields = append(fields, field{name, c.cut(value)})
		return true
	}
	walk = func(name string) bool {
		t, err := d.Token()
		if err != nil {
			return false
		}
		switch t := t.(type) {
		case json.Delim:
			for i := 0; d.More(); i++ {
				inner := name + "[" + strconv.Itoa(i) + "]"
				if t == '{' {
					key, err := d.Token()
					if err != nil {
						return false
					}
					inner = c.cut(fmt.Sprint(key))
					if name != "" {
						inner = name + "." + inner
					}
				}
				if !walk(inner) {
					return false
				}
			}
			_, err = d.Token()
			return err == nil
		case json.Number:
			x, err := t.Float64()
			switch broken := err == nil && strings.ContainsAny(t.String(), ".eE"); {
			case broken && apart && x >= 0 && x <= 1 && len(signals) < c.fields:
				signals = append(signals, signal{name, x})
				return true
			case broken:
				return add(name, strconv.FormatFloat(x, 'g', 4, 64))
			}
			return add(name, t.String())
		case nil:
			return add(name, "none")
		default:
			return add(name, fmt.Sprint(t))
		}
	}
	walk("")
	return join(fields), signals
}

// join makes one value of the texts of a list.
func join(fields []field) []field {
	var out []field
	list := ""
	for _, f := range fields {
		stem, _, ok := strings.Cut(f.Name, "[")
		if ok = ok && strings.HasSuffix(f.Name, "]") && len(f.Text) < 100; ok && stem == list {
			out[len(out)-1].Text += " · " + f.Text
			continue
		}
		if list = ""; ok && strings.HasSuffix(f.Name, "[0]") && strings.Count(f.Name, "[") == 1 {
			list, f.Name = stem, stem
		}
		out = append(out, f)
	}
	return out
}

// group puts calls together that asked the same, and their replies into classes.
func group(calls []llm.Written, c clip) []asked {
	type question struct{ role, prompt string }
	var out []asked
	at := map[question]int{}
	prompts := map[string]int{} // of a role
	type operation struct{ role, op string }
	of := map[operation]string{} // its prompt
	for _, w := range calls {
		if q := (question{w.Role, w.Prompt}); w.Prompt != "" {
			if w.Op != "" {
				of[operation{w.Role, w.Op}] = w.Prompt
			}
			if _, ok := at[q]; !ok {
				at[q] = len(out)
				prompts[w.Role]++
				out = append(out, asked{Role: w.Role, Prompt: c.cut(w.Prompt)})
			}
		}
	}
	only := map[string]string{}
	for q := range at {
		only[q.role] = q.prompt
	}
	for _, w := range calls {
		q := question{w.Role, w.Prompt}
		switch {
		case w.Prompt != "":
		case w.Op != "":
			q.prompt = of[operation{w.Role, w.Op}]
		case prompts[w.Role] == 1: // written before operations had names: samples of the one thing that was asked
			q.prompt = only[w.Role]
		}
		i, ok := at[q]
		if !ok {
			i = len(out)
			at[q] = i
			out = append(out, asked{Role: w.Role})
		}
		out[i].add(w.Choice(), c)
	}
	for i := range out {
		slices.SortStableFunc(out[i].Classes, func(a, b class) int { return b.N - a.N })
	}
	slices.SortStableFunc(out, func(a, b asked) int { return cmp.Compare(order(a), order(b)) })
	return out
}

// order puts what was asked of the item itself before what was asked about it.
func order(a asked) int {
	switch {
	case strings.Contains(a.Role, "answer"):
		return 0
	case strings.Contains(a.Role, "sample"):
		return 1
	case a.Prompt == "":
		return 4
	case strings.Contains(a.Role, "judge"):
		return 3
	}
	return 2
}

// longReply is how long a reply may be, in bytes, to be the same as another one
// that differs in its letters.
const longReply = 400

// add puts a reply to its class: the same words but for case, blanks and
// punctuation.
func (a *asked) add(choice llm.Choice, c clip) {
	reply, same := choice.Text, ""
	if len(reply) < longReply {
		same = text.Normalise(reply)
	}
	for i, k := range a.Classes {
		if k.whole == reply || same != "" && k.same == same {
			a.Classes[i].N++
			return
		}
	}
	k := class{N: 1, Text: c.cut(reply), Reasoning: c.cut(choice.Reasoning), whole: reply, same: same}
	if choice.Finish != "stop" {
		k.Finish = choice.Finish
	}
	a.Classes = append(a.Classes, k)
}
