package interchange

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"gnothi/eval"
)

// member is one of a zip that a test makes.
type member struct {
	name, body string
	method     uint16
}

const head = `{"version": 2, "status": "success", "eval": {"task": "rivers", "model": "mockllm/model", "config": {"epochs": 2},
	"scorers": [{"name": "exact"}, {"name": "length"}], "packages": {"inspect_ai": "0.3.285"}},
	"results": {"headline": {"scorer": "exact", "score": "exact", "metric": "accuracy"}}}`

// The samples of a made-up log, with all that a reader meets.
var riverSamples = []member{
	{"samples/1_epoch_1.json", `{"id": 1, "epoch": 1, "input": "Which river runs through Vienna?", "target": "Danube",
		"messages": [{"role": "user", "content": "Which river runs through Vienna?"}],
		"output": {"model": "mockllm/model", "choices": [{"message": {"role": "assistant", "content": [{"type": "reasoning", "reasoning": "…"}, {"type": "text", "text": "The Danube."}]},
			"stop_reason": "stop", "logprobs": {"content": [{"token": "The", "logprob": -0.5, "top_logprobs": [{"token": "The", "logprob": -0.5}, {"token": "Rhine", "logprob": -Infinity}]}, {"token": " Danube.", "logprob": -0.25}]}}], "completion": "The Danube."},
		"scores": {"length": {"value": 11}, "exact": {"value": "C", "answer": "Danube", "metadata": {"confidence": 0.9}}},
		"metadata": {"gnothi_signals": {"verbal/stated": 0.75}, "page": 4, "seed": NaN}, "store": {}, "events": [{"event": "model", "deep": [[[{"a": "\"}]"}]]]}],
		"model_usage": {"mockllm/model": {"input_tokens": 10, "output_tokens": 3, "total_tokens": 13, "input_tokens_cache_read": 2, "total_cost": 0.00025}}, "turn_count": 1}`, 93},
	{"samples/1_epoch_2.json", `{"id": 1, "epoch": 2, "input": "Which river runs through Vienna?", "target": ["Danube", "Donau"],
		"output": {"choices": [{"message": {"content": "The Rhine."}}]}, "scores": {"exact": {"value": "I", "answer": "Rhine"}}, "turn_count": 1}`, zip.Deflate},
	{"samples/a/b_epoch_1.json", `{"id": "a/b", "epoch": 1, "input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "attachment://0123abcd"}],
		"choices": ["Seine", "Thames"], "target": "B", "output": {"choices": [{"message": {"content": "ANSWER: A"}}, {"message": {"content": "ANSWER: B"}}]},
		"scores": {"exact": {"value": 0, "answer": "A"}}, "attachments": {"ffff": "not wanted", "0123abcd": "Which river runs through London?"}}`, zip.Store},
	{"samples/r_epoch_1.json", `{"id": "r", "epoch": 1, "input": "q", "target": "t", "output": {"choices": [{"message": {"content": "I cannot say."}}]}, "scores": {"exact": {"value": "N"}}}`, 93},
	{"samples/u_epoch_1.json", `{"id": "u", "epoch": 1, "input": "q", "target": "t", "output": {"choices": [{"message": {"content": "Hm."}}]}, "scores": {"exact": {"value": "I", "reason": "invalid_response_format"}}}`, 93},
	{"samples/p_epoch_1.json", `{"id": "p", "epoch": 1, "input": "q", "target": "t", "output": {"completion": "half"}, "scores": {"exact": {"value": "P"}}}`, 93},
	{"samples/n_epoch_1.json", `{"id": "n", "epoch": 1, "input": "q", "target": "t", "output": {"completion": "?"}, "scores": {"exact": {"value": NaN, "reason": "grader_failed"}}}`, 93},
	{"samples/e_epoch_1.json", `{"id": "e", "epoch": 1, "input": "q", "target": "t", "output": {"choices": [], "completion": ""}, "scores": {}, "error": {"message": "TimeoutError()", "traceback": "", "traceback_ansi": ""}}`, 93},
}

func withHead(ms ...member) []member {
	return append([]member{{"_journal/start.json", `{"version": 2, "eval": {"task": "rivers"}}`, 93}, {"header.json", head, 93}}, ms...)
}

func zipOf(t testing.TB, ms []member) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	z.RegisterCompressor(methodZstd, zstd.ZipCompressor())
	for _, m := range ms {
		w, err := z.CreateHeader(&zip.FileHeader{Name: m.name, Method: m.method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func file(t testing.TB, name string, body []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// all reads a file to its end, errors included.
func all(path string, o Options) (answers map[string]*Answer, order []string, src Source, errs []error) {
	answers = map[string]*Answer{}
	for a, err := range Read(path, o, &src) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		answers[a.ID], order = a, append(order, a.ID)
	}
	return answers, order, src, errs
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var riverLines = map[string]string{
	"1": `{"id":"1","question":"Which river runs through Vienna?","answer":"The Danube.","extracted":"Danube","tokens":[{"token":"The","logprob":-0.5,"top":[{"token":"The","logprob":-0.5}]},{"token":" Danube.","logprob":-0.25}],` +
		`"label":true,"outcome":"right","cluster":"1","kind":"rivers","answers":["Danube"],"scores":{"confidence":0.9,"verbal/stated":0.75},"model":"mockllm/model","epoch":1}`,
	"1#2": `{"id":"1#2","question":"Which river runs through Vienna?","answer":"The Rhine.","extracted":"Rhine","label":false,"outcome":"wrong","cluster":"1","kind":"rivers","answers":["Danube","Donau"],"scores":{},"model":"mockllm/model","epoch":2}`,
	"a/b": `{"id":"a/b","question":"system: Be brief.\n\nuser: Which river runs through London?","answer":"ANSWER: A","extracted":"A","samples":[{"text":"ANSWER: B"}],"label":false,"outcome":"wrong","cluster":"a/b","kind":"rivers","answers":["Thames"],"choices":{"A":"Seine","B":"Thames"},"scores":{},"model":"mockllm/model","epoch":1}`,
	"r":   `{"id":"r","question":"q","answer":"I cannot say.","label":null,"outcome":"refused","cluster":"r","kind":"rivers","answers":["t"],"scores":{},"model":"mockllm/model","epoch":1}`,
	"u":   `{"id":"u","question":"q","answer":"Hm.","label":null,"outcome":"unparsed","cluster":"u","kind":"rivers","answers":["t"],"scores":{},"model":"mockllm/model","epoch":1}`,
	"p":   `{"id":"p","question":"q","answer":"half","label":0.5,"outcome":"measured","cluster":"p","kind":"rivers","answers":["t"],"scores":{},"model":"mockllm/model","epoch":1}`,
	"n":   `{"id":"n","question":"q","answer":"?","label":null,"outcome":"failed","error":"grader failed","cluster":"n","kind":"rivers","answers":["t"],"scores":{},"model":"mockllm/model","epoch":1}`,
	"e":   `{"id":"e","question":"q","answer":null,"label":null,"outcome":"failed","error":"TimeoutError()","cluster":"e","kind":"rivers","answers":["t"],"scores":{},"model":"mockllm/model","epoch":1}`,
}

// jsonLog is the plain form of the log.
func jsonLog() string {
	var bodies []string
	for _, m := range riverSamples {
		bodies = append(bodies, m.body)
	}
	return strings.TrimSuffix(strings.TrimSpace(head), "}") + `, "samples": [` + strings.Join(bodies, ",\n") + `], "reductions": []}`
}

func TestInspectLogs(t *testing.T) {
	for name, body := range map[string][]byte{
		"log.eval": zipOf(t, withHead(riverSamples...)),
		"log.json": []byte(jsonLog()),
		"log.zip":  zipOf(t, withHead(riverSamples...)),
	} {
		got, order, src, errs := all(file(t, name, body), Options{Signals: []string{"confidence"}})
		if len(errs) > 0 {
			t.Fatalf("%s: %v", name, errs)
		}
		if want := []string{"1", "1#2", "a/b", "r", "u", "p", "n", "e"}; !slices.Equal(order, want) {
			t.Errorf("%s: order %v, want %v", name, order, want)
		}
		for id, want := range riverLines {
			if got[id] == nil || asJSON(t, got[id]) != want {
				t.Errorf("%s: %s:\n got %s\nwant %s", name, id, asJSON(t, got[id]), want)
			}
		}
		if s := got["1"].Spend; s != (eval.Spend{Calls: 1, PromptTokens: 12, CompletionTokens: 3, NanoUSD: 250000}) {
			t.Errorf("%s: spend %+v", name, s)
		}
		if src.Format != "Inspect log" || src.Task != "rivers" || src.Model != "mockllm/model" || src.Scorer != "exact" || src.Version != "2 (inspect_ai 0.3.285)" {
			t.Errorf("%s: %+v", name, src)
		}
		if got, want := fmt.Sprint(src.Outcomes), "map[failed:2 measured:1 refused:1 right:1 unparsed:1 wrong:2]"; got != want {
			t.Errorf("%s: outcomes %s, want %s", name, got, want)
		}
		want := "map[events:1 messages:1 metadata/page:1 metadata/seed:1 parts of messages: reasoning:1 samples without the signal confidence:7 verdicts of length:1]"
		if got := fmt.Sprint(src.Left); got != want {
			t.Errorf("%s: left out %s, want %s", name, got, want)
		}
	}
}

func TestOtherScorerAndAsWrong(t *testing.T) {
	path := file(t, "log.eval", zipOf(t, withHead(riverSamples...)))
	got, _, src, errs := all(path, Options{AsWrong: true})
	if len(errs) > 0 || *got["r"].Label != 0 || *got["u"].Label != 0 || got["e"].Label != nil || src.Outcomes["refused"] != 1 {
		t.Errorf("as wrong: %v %v", errs, asJSON(t, got["r"]))
	}
	got, _, src, errs = all(path, Options{Scorer: "length"})
	if len(errs) != 6 || got["1"].Outcome != eval.OutcomeMeasured || src.Left["verdicts that are no share from 0 to 1"] != 1 {
		t.Errorf("length: %v %v", errs, src.Left)
	}
	if bad := (*SampleError)(nil); !errors.As(errs[0], &bad) || !strings.Contains(errs[0].Error(), `log.eval: samples/1_epoch_2.json: field "scores": no scorer "length": there are exact`) {
		t.Errorf("no such scorer: %v", errs[0])
	}
}

func TestEpochsAsSamples(t *testing.T) {
	log := withHead(riverSamples[1], riverSamples[0], riverSamples[2])
	got, order, _, errs := all(file(t, "log.eval", zipOf(t, log)), Options{Epochs: EpochsAsSamples})
	if len(errs) > 0 || !slices.Equal(order, []string{"1", "a/b"}) {
		t.Fatalf("%v, %v", order, errs)
	}
	if a := got["1"]; *a.Answer != "The Danube." || len(a.Samples) != 1 || a.Samples[0].Text != "The Rhine." {
		t.Errorf("%s", asJSON(t, a))
	}
	_, _, _, errs = all(file(t, "log.json", []byte(jsonLog())), Options{Epochs: EpochsAsSamples})
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), "inspect log convert LOG --to eval") {
		t.Errorf("a .json log: %v", errs)
	}
	if _, _, _, errs := all("log.json", Options{Epochs: "twice"}); len(errs) != 1 || !strings.Contains(errs[0].Error(), `epochs "twice"`) {
		t.Errorf("%v", errs)
	}
}

func TestUnfinishedAndUnusualLogs(t *testing.T) {
	sample := `{"id": 7, "epoch": 1, "input": "q", "target": "x", "output": {"completion": "a"}, "score": {"value": true}}`
	for name, c := range map[string]struct {
		members []member
		answer  string
		note    string
	}{
		"running":    {[]member{{"_journal/start.json", `{"version": 2, "eval": {"task": "t", "model": "m"}}`, 8}, {"samples/7_epoch_1.json", sample, 8}}, "a", "not finished"},
		"cancelled":  {[]member{{"header.json", `{"version": 2, "status": "cancelled", "eval": {"task": "t"}}`, 8}, {"samples/7_epoch_1.json", sample, 8}}, "a", `status is "cancelled"`},
		"newer":      {[]member{{"header.json", `{"version": 3, "eval": {"task": "t"}}`, 8}, {"samples/7_epoch_1.json", sample, 8}}, "a", "version 3"},
		"relogged":   {[]member{{"header.json", `{"version": 2, "eval": {}}`, 8}, {"samples/7_epoch_1.json", `{"broken`, 8}, {"samples/7_epoch_1.json", sample, 8}}, "a", ""},
		"in chunks":  {[]member{{"header.json", `{"version": 2, "eval": {}}`, 8}, {"samples/7_epoch_1/sample.json", sample, 8}, {"samples/7_epoch_1/events/0.json", `[`, 8}}, "a", ""},
		"no samples": {[]member{{"header.json", `{"version": 2, "eval": {}}`, 8}}, "", "no samples"},
	} {
		got, order, src, errs := all(file(t, "log.eval", zipOf(t, c.members)), Options{})
		if len(errs) > 0 {
			t.Errorf("%s: %v", name, errs)
			continue
		}
		if c.answer != "" && (len(order) != 1 || *got["7"].Answer != c.answer || got["7"].Outcome != eval.OutcomeRight) {
			t.Errorf("%s: %v", name, got)
		}
		if c.note != "" && !strings.Contains(strings.Join(src.Notes, "\n"), c.note) {
			t.Errorf("%s: notes %q, want %q", name, src.Notes, c.note)
		}
	}
}

func TestBadInspectLogs(t *testing.T) {
	good := zipOf(t, withHead(riverSamples...))
	encrypted := bytes.Clone(zipOf(t, withHead(member{"samples/1_epoch_1.json", `{"id": 1}`, zip.Store})))
	for at := bytes.Index(encrypted, []byte("PK\x01\x02")); at >= 0; { // the flag of every member in the directory
		encrypted[at+8] |= 1
		next := bytes.Index(encrypted[at+4:], []byte("PK\x01\x02"))
		if next < 0 {
			break
		}
		at += 4 + next
	}
	flipped := bytes.Clone(zipOf(t, withHead(member{"samples/1_epoch_1.json", `{"id": 1, "epoch": 1, "input": "abc", "target": "t"}`, zip.Store})))
	flipped[bytes.Index(flipped, []byte(`"abc"`))+1] = 'x'
	one := func(body string) []byte { return zipOf(t, withHead(member{"samples/1_epoch_1.json", body, 93})) }
	for name, c := range map[string]struct {
		file string
		body []byte
		o    Options
		want string
	}{
		"truncated":        {"log.eval", good[:len(good)/2], Options{}, "log.eval: no complete zip file"},
		"empty":            {"log.eval", nil, Options{}, "log.eval: empty"},
		"text":             {"log.eval", []byte("hello, this is no zip"), Options{}, "log.eval: no complete zip file"},
		"another zip":      {"log.eval", zipOf(t, []member{{"readme.txt", "hello", 8}}), Options{}, "no Inspect log: it has neither header.json"},
		"encrypted":        {"log.eval", encrypted, Options{}, "log.eval: header.json: encrypted"},
		"checksum":         {"log.eval", flipped, Options{}, "log.eval: samples/1_epoch_1.json: at line 1, byte 53: zip: checksum error"},
		"path":             {"log.eval", zipOf(t, withHead(member{"samples/../../x_epoch_1.json", "{}", 8})), Options{}, `member "samples/../../x_epoch_1.json": a name that leads out of the log`},
		"absolute":         {"log.eval", zipOf(t, withHead(member{"/etc/passwd", "{}", 8})), Options{}, `member "/etc/passwd": a name that leads out`},
		"header":           {"log.eval", zipOf(t, []member{{"header.json", `{"version": "two"}`, 8}}), Options{}, "log.eval: header.json: "},
		"bomb":             {"log.eval", one(`{"id": 1, "events": "` + strings.Repeat("a", 1<<20) + `"}`), Options{MaxMember: 1 << 16}, "log.eval: samples/1_epoch_1.json: 1048599 bytes uncompressed: more than the 65536 that are allowed"},
		"too much kept":    {"log.eval", one(`{"id": 1, "epoch": 1, "input": "` + strings.Repeat("a", 1<<12) + `"}`), Options{MaxKept: 1 << 10}, `samples/1_epoch_1.json: field "input": more than the 1024 bytes that are kept`},
		"cut":              {"log.eval", one(`{"id": 1, "epoch": 1,` + "\n" + `"input": "ab`), Options{}, "log.eval: samples/1_epoch_1.json: ends in the middle of a value, at line 2, byte 35"},
		"no JSON":          {"log.eval", one(`{"id": 1, "events": [tru]}`), Options{}, `samples/1_epoch_1.json: not JSON at line 1, byte 22: "tru" is no value`},
		"two values":       {"log.eval", one(`{"id": 1, "epoch": 1} {}`), Options{}, "samples/1_epoch_1.json: not JSON at line 1, byte 23: more than one value"},
		"no object":        {"log.eval", one(`[1]`), Options{}, "samples/1_epoch_1.json: field \"samples\": want an object"},
		"type":             {"log.eval", one(`{"id": 1, "choices": "A, B"}`), Options{}, `samples/1_epoch_1.json: field "choices": want []string, found string`},
		"no id":            {"log.eval", one(`{"epoch": 1}`), Options{}, `field "id": missing`},
		"deep":             {"log.eval", one(`{"id": 1, "events": ` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`), Options{}, "nested more than 1000 deep"},
		"json: cut":        {"log.json", []byte(jsonLog()[:2000]), Options{}, "log.json: "},
		"json: other":      {"log.json", []byte(`{"a": 1}`), Options{}, `log.json: no Inspect log: it has no "eval"`},
		"json: list":       {"log.json", []byte(`[1]`), Options{}, "log.json: not JSON at line 1, byte 1: want '{'"},
		"json: bad sample": {"log.json", []byte("{\"eval\": {}, \"samples\": [\n{\"id\": 1, \"epoch\": 1, \"choices\": 3}, {\"id\": 2, \"epoch\": 1}]}"), Options{}, `log.json: sample 1, line 2: field "choices": want []string, found number`},
	} {
		_, _, _, errs := all(file(t, c.file, c.body), c.o)
		if len(errs) == 0 || !strings.Contains(errs[0].Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", name, errs, c.want)
		}
	}
	// One bad sample does not hide the others.
	path := file(t, "log.json", []byte("{\"eval\": {}, \"samples\": [{\"id\": null}, 3, {\"id\": 2, \"epoch\": 1}]}"))
	if got, _, _, errs := all(path, Options{}); len(errs) != 2 || got["2"] == nil {
		t.Errorf("after bad samples: %v, %v", got, errs)
	}
}

// repeated is a long stream of one piece.
type repeated struct {
	piece string
	left  int
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p)/len(r.piece), r.left)
	for i := range n {
		copy(p[i*len(r.piece):], r.piece)
	}
	r.left -= n
	return n * len(r.piece), nil
}

// A transcript of 20 MB is gone past, not held.
func TestLongTranscriptIsNotHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.eval")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	write := func(name string, parts ...io.Reader) {
		w, err := z.Create(name)
		if err == nil {
			_, err = io.Copy(w, io.MultiReader(parts...))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write("header.json", strings.NewReader(head))
	write("samples/1_epoch_1.json", strings.NewReader(`{"id": 1, "epoch": 1, "input": "q", "target": "t", "output": {"completion": "a"}, "events": [`),
		&repeated{`{"event": "info", "data": ["xxxxxxxxxxxxxxxxxxxxxxxx", 1.25]},` + "\n", 1 << 18}, strings.NewReader(`{"event": "long", "data": "`), &repeated{strings.Repeat("y", 1<<10), 1 << 12}, strings.NewReader(`"}], "scores": {"exact": {"value": "C"}}}`))
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, _, _, errs := all(path, Options{})
	runtime.ReadMemStats(&after)
	if len(errs) > 0 || got["1"].Outcome != eval.OutcomeRight {
		t.Fatalf("%v, %v", got, errs)
	}
	if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 4 {
		t.Errorf("%d MB allocated for a sample of 20 MB of which 100 bytes matter", used)
	}
}

func FuzzInspect(f *testing.F) {
	f.Add(zipOf(f, withHead(riverSamples...)), true)
	f.Add([]byte(jsonLog()), false)
	for _, m := range riverSamples {
		f.Add([]byte(`{"eval": {}, "samples": [`+m.body+`]}`), false)
	}
	path := filepath.Join(f.TempDir(), "fuzz")
	f.Fuzz(func(t *testing.T, body []byte, zipped bool) {
		name := path + ".json"
		if zipped {
			name = path + ".eval"
		}
		if err := os.WriteFile(name, body, 0o600); err != nil {
			t.Fatal(err)
		}
		checkRead(t, name, Options{MaxMember: 1 << 20, MaxKept: 1 << 16})
		checkRead(t, name, Options{Epochs: EpochsAsSamples, MaxMember: 1 << 20, MaxKept: 1 << 16})
	})
}

// checkRead holds what is true of every file: what is read can be written, and a
// stop is heeded.
func checkRead(t *testing.T, path string, o Options) {
	t.Helper()
	var src Source
	n := 0
	for a, err := range Read(path, o, &src) {
		if (a == nil) == (err == nil) {
			t.Fatalf("answer %v and error %v", a, err)
		}
		n++
		if err != nil {
			continue
		}
		line, err := json.Marshal(a)
		if err != nil {
			t.Fatalf("%+v: %v", a, err)
		}
		if a.Label != nil && !(*a.Label >= 0 && *a.Label <= 1) {
			t.Fatalf("label of %s", line)
		}
		if _, err := a.Record(n); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	for range Read(path, o, &src) {
		break
	}
}
