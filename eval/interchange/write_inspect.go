package interchange

import (
	"archive/zip"
	"bytes"
	"cmp"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"math"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gnothi/eval"
	"gnothi/stats"
)

// outcomeScore is the name of the score that says what became of an item.
const outcomeScore = "outcome"

// WriteInspect writes an .eval log, as inspect_ai 0.3.285 reads it. Right and wrong
// are the values C and I; refused and unparsed are N, told apart by their reasons;
// a failed item is a sample with an error; what was merely measured has no score,
// and what was not asked no sample. The item and the result stand in a sample's
// metadata, signals in gnothi_signals, and the figures of the report among the
// results. It holds one record at a time, and of each the key and a compressed
// summary.
func WriteInspect(w io.Writer, run Run, records Records) error {
	l := &inspectLog{zip: zip.NewWriter(w), run: run, model: strings.Replace(cmp.Or(run.Spec, run.Model), ":", "/", 1), epochs: map[[16]byte]int{}, most: 1}
	// The header needs what is known at the end; a start stands in for it until then.
	if err := l.add("_journal/start.json", map[string]any{"version": inspectSchema, "eval": l.spec(run.Items), "plan": l.plan()}); err != nil {
		return err
	}
	if err := l.summaries.open(); err != nil {
		return err
	}
	if err := each(records, l.sample); err != nil {
		return err
	}
	if err := l.summaries.close(l.zip, "summaries.json"); err != nil {
		return err
	}
	items := max(run.Items, l.samples+l.unasked)
	status := "success"
	if l.samples < items {
		status = "cancelled"
	}
	header := map[string]any{
		"version": inspectSchema, "status": status, "eval": l.spec(items), "plan": l.plan(), "results": l.results(items),
		"stats": map[string]any{"started_at": stamp(run.Created), "completed_at": stamp(later(run.Created, run.Ended)), "model_usage": map[string]any{l.model: l.usage(l.spend)}, "role_usage": map[string]any{}},
	}
	if err := l.add("header.json", header); err != nil {
		return err
	}
	return l.zip.Close()
}

type inspectLog struct {
	zip       *zip.Writer
	run       Run
	model     string
	summaries summaries
	epochs    map[[16]byte]int // how often a key has been there
	most      int
	ids       []string // of the samples, each once
	samples   int
	unasked   int
	failed    int
	values    [3]int // C, I, N
	spend     eval.Spend
}

func (l *inspectLog) add(name string, v any) error {
	w, err := l.zip.Create(name)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// id makes an identifier: the same run, the same one.
func id(parts ...any) string {
	sum := sha256.Sum256([]byte(fmt.Sprint(parts...)))
	return hex.EncodeToString(sum[:11])
}

func (l *inspectLog) spec(items int) map[string]any {
	begun := stamp(l.run.Created)
	metric := func(name string) map[string]any {
		return map[string]any{"name": "inspect_ai/" + name, "options": map[string]any{}}
	}
	return map[string]any{
		"eval_id": id("eval", l.run.Study, l.run.Model, l.run.Seed, begun), "run_id": id("run", l.run.Study, l.run.Model, l.run.Seed, begun), "task_id": id("task", l.run.Study),
		"created": begun, "task": l.run.Study, "task_version": 0, "task_args": map[string]any{"seed": l.run.Seed}, "task_args_passed": map[string]any{"seed": l.run.Seed},
		"dataset": map[string]any{"name": l.run.Study, "samples": items, "sample_ids": l.ids, "shuffled": false},
		"model":   l.model, "model_generate_config": map[string]any{}, "model_args": map[string]any{},
		"config": map[string]any{"epochs": l.most, "fail_on_error": false}, "packages": map[string]string{"gnothi": l.run.Gnothi}, "tags": []string{"gnothi"},
		"metadata": map[string]any{"gnothi": l.run.Header},
		"scorers":  []any{map[string]any{"name": outcomeScore, "options": map[string]any{}, "metrics": []any{metric("accuracy"), metric("stderr")}, "metadata": map[string]any{}}},
	}
}

func (l *inspectLog) plan() map[string]any {
	step := map[string]any{"solver": "gnothi/" + l.run.Study, "params": map[string]any{}, "params_passed": map[string]any{}}
	return map[string]any{"name": "plan", "steps": []any{step}, "config": map[string]any{}}
}

func (l *inspectLog) usage(s eval.Spend) map[string]any {
	u := map[string]any{"input_tokens": s.PromptTokens, "output_tokens": s.CompletionTokens, "total_tokens": s.PromptTokens + s.CompletionTokens}
	if s.Unpriced == 0 && s.Calls > 0 {
		u["total_cost"] = float64(s.NanoUSD) / 1e9
	}
	return u
}

type inspectMetric struct {
	Name     string         `json:"name"`
	Value    float64        `json:"value"`
	Params   map[string]any `json:"params"`
	Metadata map[string]any `json:"metadata,omitempty"`
}

// results has the accuracy and its error as Inspect would find them, N counted as
// not right, and what the study measured.
func (l *inspectLog) results(items int) map[string]any {
	n := l.values[0] + l.values[1] + l.values[2]
	score := func(name string, scored int, metrics map[string]inspectMetric) map[string]any {
		return map[string]any{"name": name, "scorer": name, "scored_samples": scored, "unscored_samples": l.samples - l.failed - scored, "params": map[string]any{}, "metrics": metrics}
	}
	var scores []any
	if n > 0 {
		p := float64(l.values[0]) / float64(n)
		metrics := map[string]inspectMetric{"accuracy": {Name: "accuracy", Value: p, Params: map[string]any{}}}
		if n > 1 {
			metrics["stderr"] = inspectMetric{Name: "stderr", Value: math.Sqrt(p * (1 - p) / float64(n-1)), Params: map[string]any{}}
		}
		scores = append(scores, score(outcomeScore, n, metrics))
	}
	if l.run.Report != nil {
		metrics := map[string]inspectMetric{}
		for _, m := range l.run.Report.Measures {
			if f := m.Figure; !math.IsNaN(f.Value) && !math.IsInf(f.Value, 0) {
				metrics[m.Name] = inspectMetric{Name: m.Name, Value: f.Value, Params: map[string]any{}, Metadata: figureMetadata(f)}
			}
		}
		if len(metrics) > 0 {
			scores = append(scores, score(l.run.Study, l.samples-l.failed, metrics))
		}
	}
	return map[string]any{"total_samples": items, "completed_samples": l.samples - l.failed, "scores": scores}
}

// figureMetadata has what Inspect has no place for: figures that are not numbers stay out.
func figureMetadata(f stats.Figure) map[string]any {
	m := map[string]any{"n": f.N, "unit": f.Unit, "method": f.Method, "why": f.Why}
	for name, v := range map[string]float64{"low": f.Low, "high": f.High} {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			m[name] = v
		}
	}
	return m
}

// sample writes one record.
func (l *inspectLog) sample(r eval.Record) error {
	l.spend = eval.Spend{Calls: l.spend.Calls + r.Spend.Calls, PromptTokens: l.spend.PromptTokens + r.Spend.PromptTokens, CompletionTokens: l.spend.CompletionTokens + r.Spend.CompletionTokens,
		NanoUSD: l.spend.NanoUSD + r.Spend.NanoUSD, Unpriced: l.spend.Unpriced + r.Spend.Unpriced}
	if r.Outcome == eval.OutcomeUnasked {
		l.unasked++
		return nil
	}
	for name, raw := range map[string]json.RawMessage{"item": r.Item, "result": r.Result} {
		if len(raw) > 0 && !json.Valid(raw) {
			return fmt.Errorf("%s: not JSON", name)
		}
	}
	l.samples++
	v := viewOf(r)
	key := sampleID(r)
	full := sha256.Sum256([]byte(key))
	sum := [16]byte(full[:16])
	l.epochs[sum]++
	epoch := l.epochs[sum]
	if epoch == 1 {
		l.ids = append(l.ids, key)
	}
	l.most = max(l.most, epoch)

	answer := v.answer
	message := map[string]any{"role": "assistant", "content": answer, "source": "generate", "model": l.model}
	output := map[string]any{"model": l.model, "choices": []any{map[string]any{"message": message, "stop_reason": "stop"}}, "completion": answer, "usage": l.usage(r.Spend)}
	messages := []any{map[string]any{"role": "user", "content": v.question, "source": "input"}, message}
	metadata := map[string]any{"outcome": r.Outcome, "index": r.Index, "calls": r.Spend.Calls, signalsField: v.signals}
	if v.cluster != "" {
		metadata["cluster"] = v.cluster
	}
	scores := map[string]any{}
	var failure map[string]any
	value, reason := "", ""
	switch r.Outcome {
	case eval.OutcomeRight:
		value = "C"
		l.values[0]++
	case eval.OutcomeWrong:
		value = "I"
		l.values[1]++
	case eval.OutcomeRefused:
		value, reason = "N", "refusal"
		l.values[2]++
	case eval.OutcomeUnparsed:
		value, reason = "N", "invalid_response_format"
		l.values[2]++
	case eval.OutcomeFailed:
		l.failed++
		failure = map[string]any{"message": cmp.Or(r.Error, "failed"), "traceback": "", "traceback_ansi": ""}
	}
	if value != "" {
		score := map[string]any{"value": value, "answer": answer, "explanation": r.Outcome, "metadata": v.signals, "history": []any{}}
		if reason != "" {
			score["reason"] = reason
		}
		scores[outcomeScore] = score
	}
	if len(r.Result) == 0 || string(r.Result) == "null" {
		output["choices"], messages = []any{}, messages[:1]
	}
	s := map[string]any{
		"id": key, "epoch": epoch, "input": v.question, "target": v.target(), "messages": messages, "output": output, "scores": scores,
		"metadata": metadata, "store": map[string]any{}, "events": []any{l.event(r, key, epoch)}, "model_usage": map[string]any{l.model: l.usage(r.Spend)}, "role_usage": map[string]any{},
		"total_time": float64(r.WallMS) / 1e3, "uuid": id("sample", r.Study, key, epoch), "attachments": map[string]any{},
	}
	if v.choices() != nil {
		s["choices"] = v.choices()
	}
	if failure != nil {
		s["error"] = failure
	}
	// A summary has what the list of samples shows.
	summary := map[string]any{"completed": true, "message_count": len(messages), "metadata": map[string]any{"outcome": r.Outcome, signalsField: v.signals}}
	for _, name := range []string{"id", "epoch", "choices", "model_usage", "role_usage", "total_time", "uuid"} {
		if x, ok := s[name]; ok {
			summary[name] = x
		}
	}
	summary["input"], summary["target"], summary["scores"] = short(v.question), v.target(), scores
	if value != "" && len(answer) > thin {
		score := map[string]any{}
		for name, x := range scores[outcomeScore].(map[string]any) {
			score[name] = x
		}
		score["answer"] = short(answer)
		summary["scores"] = map[string]any{outcomeScore: score}
	}
	if failure != nil {
		summary["error"] = short(r.Error)
	}
	if err := l.summaries.add(summary); err != nil {
		return err
	}
	metadata["item"], metadata["result"] = orNull(r.Item), orNull(r.Result)
	return l.add(fmt.Sprintf("samples/%s_epoch_%d.json", key, epoch), s)
}

// event is what Inspect's transcript of a sample shows: what was found out.
func (l *inspectLog) event(r eval.Record, key string, epoch int) map[string]any {
	return map[string]any{"event": "info", "uuid": id("event", r.Study, key, epoch), "timestamp": stamp(l.run.Created), "working_start": 0, "source": "gnothi", "data": orNull(r.Result)}
}

// stamp words a time, which Inspect wants to know even where nobody does.
func stamp(t time.Time) string {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.UTC().Format("2006-01-02T15:04:05-07:00")
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func orNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}

// sampleID is the key, or another one where the key can be no member's name.
func sampleID(r eval.Record) string {
	k := r.Key
	if k == "" || len(k) > 200 || !utf8.ValidString(k) || path.IsAbs(k) || strings.ContainsAny(k, "\x00\\") || slices.Contains(strings.Split(k, "/"), "..") {
		return "key-" + id(k)
	}
	return k
}

// target names the right options by the letters that Inspect gives them, or the
// accepted answers.
func (v view) target() any {
	var letters []string
	for _, a := range v.answers {
		if i := slices.IndexFunc(v.keys, func(k string) bool { return k == a || v.options[k] == a }); i >= 0 {
			letters = append(letters, letter(i))
		}
	}
	if len(letters) == 0 || len(letters) < len(v.answers) {
		letters = v.answers
	}
	switch len(letters) {
	case 0:
		return ""
	case 1:
		return letters[0]
	}
	return letters
}

func (v view) choices() []string {
	var out []string
	for _, k := range v.keys {
		out = append(out, v.options[k])
	}
	return out
}

// thin is the length to which Inspect cuts texts in its summaries.
const thin = 1024

func short(s string) string {
	if len(s) <= thin {
		return s
	}
	end := thin
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "..."
}

// summaries is the list of all samples, which the log has in one member at its
// end. It is compressed as it grows.
type summaries struct {
	packed bytes.Buffer
	flate  *flate.Writer
	crc    hash.Hash32
	size   uint64
	n      int
}

func (s *summaries) open() (err error) {
	s.crc = crc32.NewIEEE()
	s.flate, err = flate.NewWriter(&s.packed, flate.DefaultCompression)
	return err
}

func (s *summaries) write(b []byte) error {
	_, _ = s.crc.Write(b) // never fails
	s.size += uint64(len(b))
	_, err := s.flate.Write(b)
	return err
}

func (s *summaries) add(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	lead := byte(',')
	if s.n == 0 {
		lead = '['
	}
	s.n++
	return s.write(append([]byte{lead}, b...))
}

func (s *summaries) close(z *zip.Writer, name string) error {
	tail := "]"
	if s.n == 0 {
		tail = "[]"
	}
	if err := s.write([]byte(tail)); err != nil {
		return err
	}
	if err := s.flate.Close(); err != nil {
		return err
	}
	w, err := z.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Deflate, CRC32: s.crc.Sum32(), CompressedSize64: uint64(s.packed.Len()), UncompressedSize64: s.size})
	if err == nil {
		_, err = s.packed.WriteTo(w)
	}
	return err
}
