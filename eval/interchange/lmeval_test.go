package interchange

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gnothi/eval"
	"gnothi/internal/jsonl"
)

// Lines of made-up tasks in the layout of lm-eval 0.4.13.
const (
	chosen = `{"doc_id": 3, "doc": {"q": "Which is wet?", "gold": 1}, "target": "1", "arguments": {` +
		`"gen_args_0": {"arg_0": "Which is wet?\nAnswer:", "arg_1": " sand"}, "gen_args_1": {"arg_0": "Which is wet?\nAnswer:", "arg_1": " the sea, mostly"}},` +
		` "resps": [[["-1.0", "False"]], [["-3.0", "False"]]], "filtered_resps": [["-1.0", "False"], ["-3.0", "False"]], "filter": "none",` +
		` "metrics": ["acc", "acc_norm"], "doc_hash": "0", "prompt_hash": "0", "target_hash": "0", "acc": 0.0, "acc_norm": 1.0}`
	generated = `{"doc_id": 0, "doc": {"question": "What is 2+2?"}, "target": "4", "arguments": {"gen_args_0": {"arg_0": "Q: What is 2+2?\nA:", "arg_1": {"until": ["\n"]}}},` +
		` "resps": [["It is 4", "5"]], "filtered_resps": [%s], "filter": "%s", "metrics": ["exact_match"], "exact_match": %s}`
)

func lines(t *testing.T, ls ...string) string {
	return file(t, "samples_wet_2026-01-02T03-04-05.678901.jsonl", []byte(strings.Join(ls, "\n")+"\n"))
}

func TestLMEvalOptions(t *testing.T) {
	got, _, src, errs := all(lines(t, chosen), Options{})
	a := got["wet/3"]
	if len(errs) > 0 || a == nil {
		t.Fatalf("%v, %v", got, errs)
	}
	p := 1 / (1 + math.Exp(-2))
	if *a.Answer != "sand" || *a.Label != 0 || a.Outcome != eval.OutcomeWrong || a.Right != "the sea, mostly" || a.Kind != "wet" ||
		math.Abs(a.Options["sand"]-p) > 1e-12 || math.Abs(a.Scores[OptionScore]-p) > 1e-12 || a.Question != "Which is wet?\nAnswer:" {
		t.Errorf("%s", asJSON(t, a))
	}
	if len(a.Tokens) != 1 || a.Tokens[0].Text != " sand" || a.Tokens[0].LogProb != -1 || len(a.Tokens[0].Top) != 2 || a.Tokens[0].Top[1].LogProb != -3 {
		t.Errorf("tokens %+v", a.Tokens)
	}
	if src.Scorer != "acc" || src.Task != "wet" || src.Left["values of acc_norm"] != 1 {
		t.Errorf("%+v", src)
	}
	// By characters the longer option is likelier.
	got, _, _, errs = all(lines(t, chosen), Options{Scorer: "acc_norm"})
	if a := got["wet/3"]; len(errs) > 0 || *a.Answer != "the sea, mostly" || *a.Label != 1 {
		t.Errorf("acc_norm: %v, %v", got, errs)
	}
	if _, _, _, errs = all(lines(t, chosen), Options{Scorer: "f1"}); len(errs) != 1 || !strings.Contains(errs[0].Error(), `:1: no metric "f1": there are acc, acc_norm`) {
		t.Errorf("f1: %v", errs)
	}
}

func TestLMEvalLayouts(t *testing.T) {
	pair := func(ll string) string { return `[["` + ll + `", "False"]]` }
	line := func(target, arguments, resps, rest string) string {
		filtered := strings.NewReplacer("[[", "[", "]]", "]").Replace(resps)
		return fmt.Sprintf(`{"doc_id": 1, "doc": {}, "target": %q, "arguments": %s, "resps": [%s], "filtered_resps": [%s], "filter": "none", %s}`, target, arguments, resps, filtered, rest)
	}
	two := `[["Q", " 1"], ["Q", " 0"]]`
	for name, c := range map[string]struct{ line, answer, right, outcome string }{
		"list of arguments":       {line("0", `[["Q", " a"], ["Q", " b"]]`, pair("-2")+","+pair("-1"), `"acc": 0.0`), "b", "a", "wrong"},
		"numbers, not words":      {`{"doc_id": 1, "doc": {}, "target": "0", "arguments": [["Q", " a"], ["Q", " b"]], "resps": [[[-2.5, false]], [[-1.5, true]]], "acc": 0.0}`, "b", "a", "wrong"},
		"target by its text":      {line("b", `[["Q", " a"], ["Q", " b"]]`, pair("-2")+","+pair("-1"), `"acc": 1.0`), "b", "b", "right"},
		"place or text: by acc":   {line("0", two, pair("-1")+","+pair("-2"), `"acc": 1.0`), "1", "1", "right"},
		"place or text: not told": {line("0", `[["Q", " 1"], ["Q", " 0"], ["Q", " 7"]]`, pair("-2")+","+pair("-3")+","+pair("-1"), `"acc": 0.0`), "7", "", "wrong"},
		"no such option":          {line("z", two, pair("-1")+","+pair("-2"), `"acc": 0.0`), "1", "", "wrong"},
		"twice the same":          {line("1", `[["Q", " a"], ["Q", " a"]]`, pair("-2")+","+pair("-1"), `"acc": 1.0`), "a", "a (2)", "right"},
		"options in the question": {line("1", `[["The cat is", " wet"], ["The dog is", " wet"]]`, pair("-2")+","+pair("-1"), `"acc": 1.0`), "The dog is", "The dog is", "right"},
		"mutual information":      {line("0", `[["Q", " a"], ["Q", " b"], ["", " a"], ["", " b"]]`, pair("-2")+","+pair("-1")+","+pair("-5")+","+pair("-1"), `"acc_mutual_info": 1.0`), "a", "a", "right"},
		"impossible option":       {line("1", `[["Q", " a"], ["Q", " b"]]`, pair("-inf")+","+pair("-1"), `"acc": 1.0`), "b", "b", "right"},
		"a share":                 {line("1", `[["Q", " a"], ["Q", " b"]]`, pair("-2")+","+pair("-1"), `"metrics": ["f1"], "f1": 0.4`), "b", "b", "measured"},
		"a tuple for a metric":    {line("1", `[["Q", " a"], ["Q", " b"]]`, pair("-2")+","+pair("-1"), `"f1": [1, 0]`), "b", "b", "measured"},
	} {
		got, _, _, errs := all(lines(t, c.line), Options{})
		a := got["wet/1"]
		if len(errs) > 0 || a == nil {
			t.Errorf("%s: %v, %v", name, got, errs)
			continue
		}
		if *a.Answer != c.answer || a.Right != c.right || a.Outcome != c.outcome {
			t.Errorf("%s: %s", name, asJSON(t, a))
		}
	}
	one := line(" 4", `[["Q", " 4"]]`, `[["-0.5", "True"]]`, `"metrics": ["perplexity", "acc"], "perplexity": -0.5, "acc": 1`)
	if got, _, _, errs := all(lines(t, one), Options{}); len(errs) > 0 || *got["wet/1"].Answer != "4" || *got["wet/1"].Label != 1 || got["wet/1"].Tokens[0].LogProb != -0.5 {
		t.Errorf("a continuation: %v, %v", got, errs)
	}
	rolling := `{"doc_id": 1, "doc": "some page", "target": "p", "arguments": [["p"]], "resps": [["-120.5"]], "filtered_resps": [-120.5], "word_perplexity": [-120.5, 3]}`
	if got, _, src, errs := all(lines(t, rolling), Options{}); len(errs) > 0 || got["wet/1"].Outcome != eval.OutcomeMeasured || got["wet/1"].Label != nil || src.Left["responses that are no text"] != 1 {
		t.Errorf("a page: %v, %v", got, errs)
	}
	if got, _, _, errs := all(lines(t, `{"doc_id": 1, "resps": []}`), Options{}); len(errs) > 0 || got["wet/1"].Outcome != eval.OutcomeFailed {
		t.Errorf("no response: %v, %v", got, errs)
	}
}

func TestLMEvalGenerated(t *testing.T) {
	first, vote := fmt.Sprintf(generated, `"4"`, "take_first", "1.0"), fmt.Sprintf(generated, `"7"`, "maj", "0.0")
	got, order, src, errs := all(lines(t, first, vote), Options{})
	if a := got["wet/0"]; len(errs) > 0 || len(order) != 1 || *a.Answer != "4" || a.Outcome != eval.OutcomeRight || len(a.Samples) != 1 || a.Samples[0].Text != "5" ||
		a.Question != "What is 2+2?" || a.Answers[0] != "4" || src.Left["lines of the filter maj"] != 1 {
		t.Errorf("%v, %v, %v", asJSON(t, got), src, errs)
	}
	got, _, _, _ = all(lines(t, first, vote), Options{Filter: "maj"})
	if a := got["wet/0"]; *a.Answer != "7" || len(a.Samples) != 2 {
		t.Errorf("maj: %s", asJSON(t, a))
	}
	if _, _, _, errs = all(lines(t, first), Options{Filter: "none"}); len(errs) != 1 || !strings.Contains(errs[0].Error(), `no lines of the filter "none"`) {
		t.Errorf("none: %v", errs)
	}
	got, _, _, _ = all(lines(t, fmt.Sprintf(generated, `["4", "5"]`, "each", "1.0")), Options{})
	if a := got["wet/0"]; *a.Answer != "4" || len(a.Samples) != 1 || a.Samples[0].Text != "5" {
		t.Errorf("each: %s", asJSON(t, a))
	}
	got, _, _, _ = all(lines(t, fmt.Sprintf(generated, `"[invalid]"`, "strict", "0.0")), Options{})
	if a := got["wet/0"]; *a.Answer != "It is 4" || a.Outcome != eval.OutcomeUnparsed || a.Label != nil {
		t.Errorf("invalid: %s", asJSON(t, a))
	}
}

func TestBadLMEvalFiles(t *testing.T) {
	for name, c := range map[string]struct{ line, want string }{
		"cut":         {chosen + "\n" + `{"doc_id": 4, "resps": [[`, ".jsonl:2: ends in the middle of a value, at line 1, byte 26"},
		"no JSON":     {chosen + "\n\nhello", `.jsonl:3: not JSON at line 1, byte 1: want '{', found 'h'`},
		"list":        {"[" + chosen + "]", ".jsonl:1: want an object, found a list: lm-eval before 0.4.3"},
		"other":       {`{"id": 1}`, `.jsonl:1: no sample of lm-eval: it has no "doc_id" or no "resps"`},
		"type":        {`{"doc_id": 1, "resps": 3}`, `.jsonl:1: field "resps": want []json.RawMessage, found number`},
		"two values":  {`{"doc_id": 1, "resps": []} 2`, ".jsonl:1: not JSON at line 1, byte 28: more than one value"},
		"bytes":       {"{\"doc_id\": \"\xff\"}", ".jsonl:1: not valid UTF-8"},
		"empty lines": {"\n\n", ".jsonl: no lines"},
	} {
		_, _, _, errs := all(lines(t, c.line), Options{})
		if len(errs) != 1 || !strings.Contains(errs[0].Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", name, errs, c.want)
		}
	}
	got, _, _, errs := all(lines(t, "nonsense", chosen), Options{})
	if line := (*jsonl.LineError)(nil); len(errs) != 1 || !errors.As(errs[0], &line) || line.Line != 1 || got["wet/3"] == nil {
		t.Errorf("after a bad line: %v, %v", got, errs)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(strings.Repeat(chosen+"\n", 100))); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path := file(t, "samples_wet.jsonl.gz", b.Bytes())
	if got, _, src, errs := all(path, Options{}); len(errs) > 0 || got["wet/3"] == nil || src.Outcomes["wrong"] != 100 {
		t.Errorf("gzip: %v, %v", src, errs)
	}
	path = file(t, "samples_wet.jsonl.gz", b.Bytes()[:b.Len()-10])
	if _, _, _, errs := all(path, Options{}); len(errs) != 1 || !strings.Contains(errs[0].Error(), "unexpected EOF") {
		t.Errorf("truncated gzip: %v", errs)
	}
	if _, _, _, errs := all(filepath.Join(t.TempDir(), "none.jsonl"), Options{}); len(errs) != 1 || !errors.Is(errs[0], os.ErrNotExist) {
		t.Errorf("no file: %v", errs)
	}
}

func FuzzLMEval(f *testing.F) {
	f.Add([]byte(chosen))
	for _, filtered := range []string{`"4"`, `["4", "5"]`, `"[invalid]"`, `["-1", "True"]`} {
		f.Add([]byte(fmt.Sprintf(generated, filtered, "none", "1.0")))
	}
	f.Add([]byte(`{"doc_id": 1, "target": "0", "arguments": [["Q", " 1"], ["Q", " 0"], ["", " 1"], ["", " 0"]], "resps": [[["-inf", "False"]], [[-1, true]], [["-2", "False"]], [["-1e400", "False"]]], "acc": 1}`))
	path := filepath.Join(f.TempDir(), "samples_t.jsonl")
	f.Fuzz(func(t *testing.T, body []byte) {
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, scorer := range []string{"", "acc_norm", "acc_mutual_info"} {
			checkRead(t, path, Options{Scorer: scorer})
		}
	})
}
