package interchange

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gnothi/eval"
	"gnothi/internal/jsonl"
	"gnothi/llm"
)

// samplesName is how lm-eval 0.4 names the file of a task's samples.
var samplesName = regexp.MustCompile(`^samples_(.+?)(?:_\d{4}-\d{2}-\d{2}T[\d:.-]*\d)?\.jsonl(?:\.gz|\.zst)?$`)

// readLMEval reads a sample file that lm-eval wrote with --log_samples. Scored
// options become an answer, the likeliest of them; generated texts stand as they
// were filtered.
func readLMEval(path string, o Options, src *Source, yield func(*Answer, error) bool) {
	src.Format = "lm-eval samples"
	if m := samplesName.FindStringSubmatch(filepath.Base(path)); m != nil {
		src.Task = m[1]
		if dir := filepath.Base(filepath.Dir(path)); dir != "." && dir != string(filepath.Separator) {
			src.Model = dir // lm-eval names the folder after the model
		}
	}
	src.Scorer = o.Scorer
	stopped := errors.New("stopped")
	filter, known := o.Filter, o.Filter != ""
	filters := map[string]int{}
	s := newScanner(nil, 0)
	lines, over := 0, false
	tell := func(e *jsonl.LineError) bool {
		lines = max(lines, 1)
		over = errors.Is(e, stopped) || !yield(nil, e)
		return !over
	}
	err := jsonl.Each(path, func(_ int, line []byte) error {
		lines++
		s.reset(bytes.NewReader(line), len(line)*2)
		f, err := lmSample(s)
		if err != nil {
			return err
		}
		filters[f.Filter]++
		if !known {
			filter, known = f.Filter, true
		}
		if f.Filter != filter {
			src.left("lines of the filter " + f.Filter)
			return nil
		}
		a, err := f.answer(o, src)
		if err != nil {
			return err
		}
		if !yield(a, nil) {
			return stopped
		}
		return nil
	}, tell)
	switch {
	case over:
	case err == nil && lines == 0:
		yield(nil, fmt.Errorf("%s: no lines", path))
	case err == nil && filters[filter] == 0 && len(filters) > 0:
		yield(nil, fmt.Errorf("%s: no lines of the filter %q", path, filter))
	case err != nil:
		yield(nil, err)
	}
}

// lmFields are those of a line: what was asked, what came back, what it was worth.
type lmFields struct {
	DocID     json.RawMessage
	Doc       map[string]json.RawMessage
	Target    json.RawMessage
	Arguments [][]json.RawMessage // of each request: the prompt, then a continuation or settings
	Resps     []json.RawMessage   // of each request, each time it was repeated
	Filtered  []json.RawMessage   // of each request
	Filter    string
	Metrics   []string
	values    map[string]json.RawMessage // of the metrics, by name
	order     []string
}

func lmSample(s *scanner) (f lmFields, err error) {
	if b, err := s.peek(); err != nil {
		return f, err
	} else if b == '[' {
		return f, errors.New("want an object, found a list: lm-eval before 0.4.3 wrote a list of samples; put each on a line of its own")
	}
	f.values = map[string]json.RawMessage{}
	err = s.object(func(key string) error {
		raw, err := s.value()
		if err != nil {
			return err
		}
		switch key {
		case "doc_id":
			f.DocID = raw
		case "doc":
			_ = json.Unmarshal(raw, &f.Doc) // a document may be anything
		case "target":
			f.Target = raw
		case "arguments":
			f.Arguments, err = lmArguments(raw)
		case "resps":
			err = json.Unmarshal(raw, &f.Resps)
		case "filtered_resps":
			err = json.Unmarshal(raw, &f.Filtered)
		case "filter":
			err = json.Unmarshal(raw, &f.Filter)
		case "metrics":
			err = json.Unmarshal(raw, &f.Metrics)
		case "doc_hash", "prompt_hash", "target_hash":
		default:
			f.values[key], f.order = raw, append(f.order, key)
		}
		if err != nil {
			return fieldError{key, plain(err)}
		}
		return nil
	})
	if err == nil {
		if b, perr := s.peek(); perr == nil {
			err = s.badf("more than one value: %q", b)
		}
	}
	if err == nil && (f.DocID == nil || f.Filtered == nil && f.Resps == nil) {
		err = errors.New(`no sample of lm-eval: it has no "doc_id" or no "resps"`)
	}
	return f, err
}

// lmArguments reads {"gen_args_0": {"arg_0": …}} and, of older versions, [[…]].
func lmArguments(raw json.RawMessage) ([][]json.RawMessage, error) {
	var list [][]json.RawMessage
	if json.Unmarshal(raw, &list) == nil {
		return list, nil
	}
	var named map[string]map[string]json.RawMessage
	if err := json.Unmarshal(raw, &named); err != nil {
		return nil, err
	}
	for i := 0; ; i++ {
		args, ok := named["gen_args_"+strconv.Itoa(i)]
		if !ok {
			return list, nil
		}
		var one []json.RawMessage
		for j := 0; args["arg_"+strconv.Itoa(j)] != nil; j++ {
			one = append(one, args["arg_"+strconv.Itoa(j)])
		}
		list = append(list, one)
	}
}

// words gives a string as it is and any other value as JSON.
func words(raw json.RawMessage) string {
	var s string
	if raw == nil || json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// arg gives an argument of a request.
func (f lmFields) arg(request, i int) string {
	if request >= len(f.Arguments) || i >= len(f.Arguments[request]) {
		return ""
	}
	return words(f.Arguments[request][i])
}

// logLikelihood reads ["-1.5", "True"], as lm-eval writes it, or [-1.5, true].
func logLikelihood(raw json.RawMessage) (ll float64, ok bool) {
	var pair []json.RawMessage
	if json.Unmarshal(raw, &pair) == nil && len(pair) > 0 && bytes.HasPrefix(pair[0], []byte("[")) {
		raw, pair = pair[0], nil // not filtered: the first of the repeats
	}
	if json.Unmarshal(raw, &pair) != nil || len(pair) != 2 {
		return 0, false
	}
	switch strings.ToLower(words(pair[1])) {
	case "true", "false":
	default:
		return 0, false
	}
	ll, err := strconv.ParseFloat(words(pair[0]), 64)
	return ll, err == nil && !math.IsNaN(ll)
}

func (f lmFields) answer(o Options, src *Source) (*Answer, error) {
	a := &Answer{ID: words(f.DocID), Kind: src.Task, Model: src.Model}
	if src.Task != "" {
		a.ID = src.Task + "/" + a.ID
	}
	if a.Question = words(f.Doc["question"]); a.Question == "" {
		a.Question = f.arg(0, 0)
	}
	responses := f.Filtered
	if responses == nil {
		responses = f.Resps
	}
	if len(responses) == 0 {
		a.Outcome, a.Error = eval.OutcomeFailed, "no response"
		return a, nil
	}
	var lls []float64
	for _, r := range responses {
		ll, ok := logLikelihood(r)
		if !ok {
			break
		}
		lls = append(lls, ll)
	}
	if err := f.judge(a, o, src); err != nil {
		return nil, err
	}
	switch {
	case len(lls) == len(responses) && len(lls) > 1:
		f.choose(a, lls, src)
	case len(lls) == len(responses):
		f.continuation(a, lls[0])
	default:
		f.generated(a, responses, src)
	}
	return a, nil
}

// judge takes a metric as the verdict.
func (f lmFields) judge(a *Answer, o Options, src *Source) error {
	names := f.Metrics
	if names == nil {
		names = f.order
	}
	share := func(name string) (float64, bool) {
		v, _, ok := verdict(f.values[name])
		return v, ok && v >= 0 && v <= 1
	}
	if src.Scorer == "" {
		for _, name := range slices.Concat([]string{"acc", "exact_match"}, names) {
			if _, ok := share(name); ok {
				src.Scorer = name
				break
			}
		}
	}
	for _, name := range names {
		if name != src.Scorer {
			src.left("values of " + name)
		}
	}
	if o.Scorer != "" && f.values[o.Scorer] == nil {
		return fmt.Errorf("no metric %q: there are %s", o.Scorer, strings.Join(names, ", "))
	}
	if v, ok := share(src.Scorer); ok {
		a.judge(v)
	} else {
		src.left("lines without a metric that is a share from 0 to 1")
	}
	return nil
}

// choose takes the option that the metric takes: the likeliest, for acc_norm and
// acc_bytes by its length in characters and in bytes.
func (f lmFields) choose(a *Answer, lls []float64, src *Source) {
	n := len(lls)
	// For acc_mutual_info each option was also scored without the question.
	if half := n / 2; n%2 == 0 && n > 2 && f.arg(half, 0) == "" && f.arg(half-1, 0) != "" {
		n = half
	}
	texts := make([]string, n)
	for i := range texts {
		texts[i] = f.arg(i, 1)
		if f.arg(0, 1) == f.arg(1, 1) && f.arg(0, 0) != f.arg(1, 0) { // the options stand in the question, which goes on alike
			texts[i] = f.arg(i, 0)
		}
	}
	if texts[0] == "" {
		src.left("options without their texts")
		for i := range texts {
			texts[i] = strconv.Itoa(i)
		}
	}
	best := 0
	score := func(i int) float64 {
		option := strings.TrimPrefix(texts[i], " ") // lm-eval's delimiter
		switch src.Scorer {
		case "acc_norm":
			return lls[i] / float64(max(1, len([]rune(option))))
		case "acc_bytes":
			return lls[i] / float64(max(1, len(option)))
		case "acc_mutual_info":
			if n < len(lls) {
				return lls[i] - lls[n+i]
			}
		}
		return lls[i]
	}
	for i := range n {
		if score(i) > score(best) {
			best = i
		}
	}
	keys := make([]string, n)
	seen := map[string]bool{}
	a.Choices = map[string]string{}
	for i, text := range texts {
		if keys[i] = strings.TrimSpace(text); seen[keys[i]] || keys[i] == "" {
			keys[i] = fmt.Sprintf("%s (%d)", keys[i], i+1)
		}
		seen[keys[i]] = true
		a.Choices[letter(i)] = strings.TrimSpace(text)
	}
	answer := strings.TrimSpace(texts[best])
	a.Answer = &answer
	a.Scores = map[string]float64{}
	// An impossible option (-Infinity) has no place among the tokens and no share.
	var all []llm.TopToken
	sum, top := 0.0, slices.Max(lls[:n])
	for i := range n {
		sum += math.Exp(lls[i] - top)
		all = append(all, llm.TopToken{Text: texts[i], LogProb: lls[i]})
	}
	if math.IsInf(top, 0) || math.IsInf(lls[best], 0) {
		src.left("lines whose log-likelihoods are no numbers")
	} else {
		slices.SortStableFunc(all, func(a, b llm.TopToken) int { return cmp.Compare(b.LogProb, a.LogProb) })
		a.Tokens = src.tokens([]llm.Token{{Text: texts[best], LogProb: lls[best], Top: all}})
		a.Options = map[string]float64{}
		for i := range n {
			a.Options[keys[i]] = math.Exp(lls[i]-top) / sum
		}
		a.Scores[OptionScore] = a.Options[keys[best]]
	}
	gold, ok := f.gold(a, texts, best)
	if !ok {
		src.left("lines whose target is no option, or might be two")
		return
	}
	a.Right = keys[gold]
	a.Answers = []string{strings.TrimSpace(texts[gold])}
}

// OptionScore is the score of an answer chosen among options: its share of their
// likelihood.
const OptionScore = "lm-eval/option"

// gold finds the right option. A target is written as a text, which may be the
// option's or its place: where it could be both, what the metric said decides.
func (f lmFields) gold(a *Answer, texts []string, best int) (int, bool) {
	target := words(f.Target)
	var found []int
	if i, err := strconv.Atoi(target); err == nil && i >= 0 && i < len(texts) {
		found = append(found, i)
	}
	for i, t := range texts {
		if strings.TrimSpace(t) == strings.TrimSpace(target) && !slices.Contains(found, i) {
			found = append(found, i)
		}
	}
	if len(found) > 1 && a.Label != nil {
		found = slices.DeleteFunc(found, func(i int) bool { return (i == best) != (*a.Label == 1) })
	}
	if len(found) != 1 {
		return 0, false
	}
	return found[0], true
}

// continuation is a text whose likelihood was asked for: right if the model would
// have gone on with it.
func (f lmFields) continuation(a *Answer, ll float64) {
	text := f.arg(0, 1)
	answer := strings.TrimSpace(text)
	a.Answer, a.Answers = &answer, []string{strings.TrimSpace(words(f.Target))}
	if !math.IsInf(ll, 0) {
		a.Tokens = []llm.Token{{Text: text, LogProb: ll}}
	}
}

// noMatch is what the filters of lm-eval leave where they found nothing.
const noMatch = "[invalid]"

// generated takes texts: that of the filter as the answer, repeats as samples.
func (f lmFields) generated(a *Answer, responses []json.RawMessage, src *Source) {
	if len(responses) > 1 {
		src.left("further requests of a line")
	}
	filtered, ok := texts(responses[0])
	if !ok {
		a.Label = nil
		a.Outcome = eval.OutcomeMeasured
		src.left("responses that are no text")
		return
	}
	var raw []string
	if len(f.Resps) > 0 {
		raw, _ = texts(f.Resps[0])
	}
	if target := words(f.Target); target != "" {
		a.Answers = []string{target}
	}
	if len(filtered) == 0 || strings.TrimSpace(filtered[0]) == "" || filtered[0] == noMatch {
		a.Outcome = eval.OutcomeUnparsed
		if len(raw) > 0 {
			a.Answer = &raw[0]
		}
	} else {
		a.Answer = &filtered[0]
	}
	rest := filtered[min(1, len(filtered)):]
	if len(rest) == 0 && len(raw) > 1 { // a filter that leaves one of several
		rest = raw
		if a.Answer != nil && strings.Contains(raw[0], *a.Answer) {
			rest = raw[1:]
		}
	}
	for _, t := range rest {
		a.Samples = append(a.Samples, Sample{Text: t})
	}
}

// texts reads a text or a list of texts.
func texts(raw json.RawMessage) ([]string, bool) {
	var one string
	if json.Unmarshal(raw, &one) == nil && string(raw) != "null" {
		return []string{one}, true
	}
	var many []string
	if json.Unmarshal(raw, &many) != nil || len(many) == 0 {
		return nil, false
	}
	return many, true
}
