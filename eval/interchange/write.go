package interchange

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"gnothi/eval"
)

// Run is what records are of.
type Run struct {
	eval.Header
	// Ended and Report, what the run came to, are for an Inspect log. Where the end is
	// not known, Inspect shows a run of no length.
	Ended  time.Time
	Report *eval.Report // nil: it is not told
}

// Records are what the writers write, in order. The first error ends them.
type Records = iter.Seq2[eval.Record, error]

// each hands over records and says which one an error is of.
func each(records Records, use func(eval.Record) error) error {
	n := 0
	for r, err := range records {
		n++
		if err == nil {
			err = use(r)
		}
		if err != nil {
			return fmt.Errorf("record %d (%s): %w", n, cmp.Or(r.Key, "no key"), err)
		}
	}
	return nil
}

// WriteJSONL writes each record as a line of JSON, as it is, with the model beside it.
func WriteJSONL(w io.Writer, run Run, records Records) error {
	b := bufio.NewWriter(w)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	err := each(records, func(r eval.Record) error {
		return enc.Encode(struct {
			Model string `json:"model"`
			eval.Record
		}{run.Model, r})
	})
	if err != nil {
		return err
	}
	return b.Flush()
}

var csvColumns = []string{"study", "model", "key", "index", "outcome", "error", "question", "options", "answers", "answer", "signals", "item", "result",
	"calls", "prompt_tokens", "completion_tokens", "usd", "wall_ms"}

// WriteCSV writes a table as RFC 4180 has it, in UTF-8, with a line of names: one
// record a line. Options and signals, item and result are JSON. A text that a
// spreadsheet would take for a formula, because it begins with =, +, -, @, a
// tabulator or a carriage return, gets an apostrophe before it, and so does one
// that begins with an apostrophe: take one away to have the text as it was.
func WriteCSV(w io.Writer, run Run, records Records) error {
	b := bufio.NewWriter(w)
	row := make([]byte, 0, 4096)
	line := func(fields ...string) error {
		row = row[:0]
		for i, f := range fields {
			if i > 0 {
				row = append(row, ',')
			}
			row = appendCSV(row, f)
		}
		_, err := b.Write(append(row, "\r\n"...))
		return err
	}
	if err := line(csvColumns...); err != nil {
		return err
	}
	err := each(records, func(r eval.Record) error {
		v := viewOf(r)
		usd := "" // not known
		if r.Spend.Unpriced == 0 {
			usd = strconv.FormatFloat(float64(r.Spend.NanoUSD)/1e9, 'f', -1, 64)
		}
		options, err := jsonText(v.options, len(v.options) == 0)
		if err != nil {
			return err
		}
		signals, err := jsonText(v.signals, len(v.signals) == 0)
		if err != nil {
			return err
		}
		return line(inert(r.Study), inert(run.Model), inert(r.Key), strconv.Itoa(r.Index), inert(r.Outcome), inert(r.Error),
			inert(v.question), options, inert(strings.Join(v.answers, "\n")), inert(v.answer), signals, inert(string(r.Item)), inert(string(r.Result)),
			strconv.FormatInt(r.Spend.Calls, 10), strconv.FormatInt(r.Spend.PromptTokens, 10), strconv.FormatInt(r.Spend.CompletionTokens, 10), usd, strconv.FormatInt(r.WallMS, 10))
	})
	if err != nil {
		return err
	}
	return b.Flush()
}

func jsonText(v any, empty bool) (string, error) {
	if empty {
		return "", nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}

// inert makes a text no formula.
func inert(s string) string {
	if s != "" && strings.IndexByte("=+-@\t\r'", s[0]) >= 0 {
		return "'" + s
	}
	return s
}

// appendCSV quotes where that is needed, also for readers that part fields at
// semicolons or tabulators. Line ends within a text stay as they are, which
// encoding/csv with UseCRLF does not do.
func appendCSV(row []byte, s string) []byte {
	if !strings.ContainsAny(s, ",;\"\r\n\t") && strings.TrimSpace(s) == s {
		return append(row, s...)
	}
	row = append(row, '"')
	for {
		i := strings.IndexByte(s, '"')
		if i < 0 {
			break
		}
		row = append(append(row, s[:i]...), `""`...)
		s = s[i+1:]
	}
	return append(append(row, s...), '"')
}

// view is what other programs want to know of a record. Items and results are each
// study's own, so it is found under the names that studies give it; what none of
// them has is the JSON as it stands.
type view struct {
	question string
	options  map[string]string
	keys     []string // of the options, in order
	answers  []string
	answer   string
	signals  map[string]float64
	cluster  string
}

var (
	questionNames = []string{"question", "prompt", "input", "task", "text", "claim", "story"}
	answersNames  = []string{"answers", "answer", "gold", "target", "right"}
	answerNames   = []string{"answer", "reply", "text", "output", "completion", "said"}
	signalNames   = []string{"probability", "confidence"} // beside those under "signals" and "scores"
)

func viewOf(r eval.Record) view {
	var item, result map[string]json.RawMessage
	_, _ = json.Unmarshal(r.Item, &item), json.Unmarshal(r.Result, &result) // either may be something else than an object
	v := view{question: first(item, questionNames), answer: first(result, answerNames), signals: map[string]float64{}}
	if v.question == "" {
		v.question = given(r.Item)
	}
	if v.answer == "" {
		v.answer = given(r.Result)
	}
	for _, name := range answersNames {
		if v.answers = list(item[name]); v.answers != nil {
			break
		}
	}
	if json.Unmarshal(item["options"], &v.options) != nil {
		v.options = nil
		for i, text := range list(item["options"]) {
			if v.options == nil {
				v.options = map[string]string{}
			}
			v.options[letter(i)] = text
		}
	}
	v.keys = slices.SortedFunc(maps.Keys(v.options), func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	v.cluster = cmp.Or(first(result, []string{"cluster"}), first(item, []string{"cluster"}))
	take := func(name string, raw json.RawMessage) {
		var x float64
		if raw != nil && string(raw) != "null" && json.Unmarshal(raw, &x) == nil {
			v.signals[name] = x
		}
	}
	for _, group := range []string{"signals", "scores"} {
		var named map[string]json.RawMessage
		_ = json.Unmarshal(result[group], &named) // or there are none
		for name, raw := range named {
			take(name, raw)
		}
	}
	for _, name := range signalNames {
		take(name, result[name])
	}
	return v
}

// given gives JSON as a text, and nothing for null.
func given(raw json.RawMessage) string {
	if string(raw) == "null" {
		return ""
	}
	return words(raw)
}

// first gives the first text there is under one of several names.
func first(from map[string]json.RawMessage, names []string) string {
	for _, name := range names {
		var s string
		if json.Unmarshal(from[name], &s) == nil && s != "" {
			return s
		}
	}
	return ""
}

// list reads one value or a list of them as texts.
func list(raw json.RawMessage) (out []string) {
	var many []json.RawMessage
	if json.Unmarshal(raw, &many) != nil {
		many = []json.RawMessage{raw}
	}
	for _, one := range many {
		if s := given(one); s != "" {
			out = append(out, s)
		}
	}
	return out
}
