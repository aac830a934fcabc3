package interchange

import (
	"archive/zip"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"gnothi/eval"
	"gnothi/llm"
)

// The layout of an Inspect log, version 2 of its schema, as inspect_ai 0.3.285
// writes it: header.json (while it runs _journal/start.json) and one member for
// each epoch of each sample, deflated or, as method 93, Zstandard.
const (
	inspectSchema = 2
	methodZstd    = 93
	maxHeader     = 256 << 20
)

// evalHeader is what is read of a log's header.
type evalHeader struct {
	Version *int   `json:"version"`
	Status  string `json:"status"`
	Eval    struct {
		Task    string `json:"task"`
		Model   string `json:"model"`
		Scorers []struct {
			Name string `json:"name"`
		} `json:"scorers"`
		Config struct {
			Epochs int `json:"epochs"`
		} `json:"config"`
		Packages map[string]string `json:"packages"`
	} `json:"eval"`
	Results struct {
		Headline *struct {
			Score string `json:"score"`
		} `json:"headline"`
	} `json:"results"`
}

// take puts what a header says where it belongs.
func (h evalHeader) take(o Options, src *Source) {
	src.Format, src.Task, src.Model = "Inspect log", h.Eval.Task, h.Eval.Model
	if h.Version != nil {
		src.Version = strconv.Itoa(*h.Version)
		if *h.Version > inspectSchema {
			src.note("version %d of the log's schema: read as %d, which is the last one known", *h.Version, inspectSchema)
		}
	}
	if v := h.Eval.Packages["inspect_ai"]; v != "" {
		src.Version += " (inspect_ai " + v + ")"
	}
	if h.Status != "" && h.Status != "success" {
		src.note("the run's status is %q: not all its samples may be here", h.Status)
	}
	src.Scorer = o.Scorer
	if src.Scorer == "" && h.Results.Headline != nil {
		src.Scorer = h.Results.Headline.Score
	}
	if src.Scorer == "" && len(h.Eval.Scorers) > 0 {
		src.Scorer = h.Eval.Scorers[0].Name
	}
}

// readEvalZip reads an .eval log.
func readEvalZip(path string, o Options, src *Source, yield func(*Answer, error) bool) {
	fail := func(format string, args ...any) {
		yield(nil, fmt.Errorf("%s: "+format, append([]any{path}, args...)...))
	}
	f, err := os.Open(path)
	if err != nil {
		yield(nil, err)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		yield(nil, err)
		return
	}
	z, err := zip.NewReader(f, info.Size())
	if errors.Is(err, zip.ErrFormat) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		fail("no complete zip file: its directory, which is at the end, is missing or broken; was it copied whole?")
		return
	}
	if err != nil {
		fail("%w", err)
		return
	}
	// Members are read one after another: one decoder and one scanner do for all.
	var decoder *zstd.Decoder
	defer func() {
		if decoder != nil {
			decoder.Close()
		}
	}()
	z.RegisterDecompressor(methodZstd, func(r io.Reader) io.ReadCloser {
		var err error
		if decoder == nil {
			decoder, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(128<<20))
		} else {
			err = decoder.Reset(r)
		}
		if err != nil {
			return io.NopCloser(errReader{err})
		}
		return io.NopCloser(decoder)
	})
	s := newScanner(nil, 0)
	members, samples, err := evalMembers(z)
	if err != nil {
		fail("%w", err)
		return
	}
	head := members["header.json"]
	if head == nil {
		if head = members["_journal/start.json"]; head == nil {
			fail("a zip file, but no Inspect log: it has neither header.json nor _journal/start.json")
			return
		}
		src.note("the run is not finished: there is no header.json")
	}
	var h evalHeader
	if err := readMember(s, head, min(o.MaxMember, maxHeader), maxHeader, func() error {
		raw, err := s.value()
		if err == nil {
			err = json.Unmarshal(raw, &h)
		}
		return err
	}); err != nil {
		fail("%s: %w", head.Name, err)
		return
	}
	h.take(o, src)
	if len(samples) == 0 {
		src.note("the log holds no samples")
	}
	one := func(m *zip.File) (a *Answer, err error) {
		err = readMember(s, m, o.MaxMember, o.MaxKept, func() error {
			a, err = inspectSample(s, o, src, h.Eval.Config.Epochs)
			return err
		})
		if err != nil {
			return nil, &SampleError{path, m.Name, err}
		}
		return a, nil
	}
	if o.Epochs != EpochsAsSamples {
		for _, m := range samples {
			if !yield(one(m)) {
				return
			}
		}
		return
	}
	for _, group := range byID(samples) {
		var first *Answer
		for _, m := range group {
			a, err := one(m)
			switch {
			case err != nil:
				if !yield(nil, err) {
					return
				}
			case first == nil:
				first = a
			case a.Answer != nil:
				first.Samples = append(first.Samples, Sample{*a.Answer, a.Tokens})
			}
		}
		if first != nil && !yield(first, nil) {
			return
		}
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// sampleName is a member that holds a sample, whole or (sample.json in a folder)
// without its transcript.
var sampleName = regexp.MustCompile(`^samples/(.*)_epoch_(\d+)(\.json|/sample\.json)$`)

// evalMembers gives the members by their names and those of samples in the order
// of the zip. Of several members of one name the last one counts.
func evalMembers(z *zip.Reader) (all map[string]*zip.File, samples []*zip.File, err error) {
	all = map[string]*zip.File{}
	for _, m := range z.File {
		for part := range strings.SplitSeq(m.Name, "/") {
			if part == ".." || strings.HasPrefix(m.Name, "/") || strings.ContainsRune(m.Name, 0) {
				return nil, nil, fmt.Errorf("member %q: a name that leads out of the log", m.Name)
			}
		}
		all[m.Name] = m
	}
	for _, m := range z.File {
		if all[m.Name] == m && sampleName.MatchString(m.Name) {
			samples = append(samples, m)
		}
	}
	return all, samples, nil
}

// byID puts the epochs of each sample together, in the order of the epochs.
func byID(samples []*zip.File) [][]*zip.File {
	var groups [][]*zip.File
	place := map[string]int{}
	epoch := func(m *zip.File) int {
		n, _ := strconv.Atoi(sampleName.FindStringSubmatch(m.Name)[2]) // it matches
		return n
	}
	for _, m := range samples {
		id := sampleName.FindStringSubmatch(m.Name)[1]
		i, ok := place[id]
		if !ok {
			i = len(groups)
			place[id], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], m)
	}
	for _, g := range groups {
		slices.SortStableFunc(g, func(a, b *zip.File) int { return cmp.Compare(epoch(a), epoch(b)) })
	}
	return groups
}

// readMember reads one JSON value of a member, of at most limit bytes, of which
// at most room are kept.
func readMember(s *scanner, m *zip.File, limit int64, room int, read func() error) error {
	const encrypted = 1
	switch {
	case m.Flags&encrypted != 0:
		return errors.New("encrypted, which Inspect's logs are not")
	case m.UncompressedSize64 > uint64(limit):
		return fmt.Errorf("%d bytes uncompressed: more than the %d that are allowed", m.UncompressedSize64, limit)
	}
	r, err := m.Open()
	if errors.Is(err, zip.ErrAlgorithm) {
		return fmt.Errorf("compressed by method %d: stored, deflate (8) and Zstandard (93) are known", m.Method)
	}
	if err != nil {
		return err
	}
	defer r.Close()
	s.reset(&limitReader{r, limit}, room)
	if err := read(); err != nil {
		return err
	}
	if b, err := s.peek(); err == nil {
		return s.badf("more than one value: %q", b)
	} else if !errors.Is(err, io.ErrUnexpectedEOF) { // the end, checksum included
		return err
	}
	return nil
}

// limitReader fails after so many bytes; a directory may lie about them.
type limitReader struct {
	r    io.Reader
	left int64
}

func (l *limitReader) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, errors.New("larger than is allowed, and than the zip's directory says")
	}
	n, err := l.r.Read(p)
	l.left -= int64(n)
	return n, err
}

// readEvalJSON reads the plain form of a log, whose samples are a list.
func readEvalJSON(path string, o Options, src *Source, yield func(*Answer, error) bool) {
	f, err := os.Open(path)
	if err != nil {
		yield(nil, err)
		return
	}
	defer f.Close()
	stopped := errors.New("stopped")
	s := newScanner(f, 0)
	var h evalHeader
	taken, sampled := false, false
	field := func(key string, to any) error {
		s.room = maxHeader
		raw, err := s.value()
		if err == nil {
			err = json.Unmarshal(raw, to)
		}
		if err != nil {
			return fmt.Errorf("field %q: %w", key, err)
		}
		return nil
	}
	err = s.object(func(key string) error {
		switch key {
		case "version":
			return field(key, &h.Version)
		case "status":
			return field(key, &h.Status)
		case "eval":
			taken = true
			return field(key, &h.Eval)
		case "results":
			return field(key, &h.Results)
		case "samples":
			if !taken {
				return errors.New(`no Inspect log: "samples" before "eval"`)
			}
			sampled = true
			h.take(o, src)
			if o.Epochs == EpochsAsSamples && h.Eval.Config.Epochs > 1 {
				return errors.New("the epochs of a sample are far from one another in a .json log; make it an .eval log first: inspect log convert LOG --to eval --output-dir FOLDER")
			}
			if b, err := s.peek(); err != nil || b == 'n' {
				_, err := s.skip()
				return err
			}
			return s.array(func(i int) error {
				s.room = o.MaxKept
				line := s.line
				a, err := inspectSample(s, o, src, h.Eval.Config.Epochs)
				if err != nil {
					bad := &SampleError{path, fmt.Sprintf("sample %d, line %d", i+1, line), err}
					if !errors.As(err, new(fieldError)) { // the reader is lost
						return bad
					}
					err = bad
				}
				if !yield(a, err) {
					return stopped
				}
				return nil
			})
		}
		_, err := s.skip()
		return err
	})
	if err == nil {
		if b, perr := s.peek(); perr == nil {
			err = s.badf("more than one value: %q", b)
		}
	}
	switch {
	case errors.Is(err, stopped):
	case err == nil && !taken:
		yield(nil, fmt.Errorf("%s: no Inspect log: it has no \"eval\"", path))
	case err == nil && !sampled:
		h.take(o, src)
		src.note("the log holds no samples")
	case err != nil:
		if bad := (*SampleError)(nil); !errors.As(err, &bad) {
			err = fmt.Errorf("%s: %w", path, err)
		} else {
			err = fmt.Errorf("%w; what comes after it cannot be read", bad)
		}
		yield(nil, err)
	}
}

// fieldError is a field that is well-formed JSON but not what it should be.
type fieldError struct {
	name string
	err  error
}

func (e fieldError) Error() string { return fmt.Sprintf("field %q: %v", e.name, e.err) }
func (e fieldError) Unwrap() error { return e.err }

type inspectScore struct {
	Value       json.RawMessage            `json:"value"`
	Answer      *string                    `json:"answer"`
	Explanation *string                    `json:"explanation"`
	Reason      *string                    `json:"reason"`
	Metadata    map[string]json.RawMessage `json:"metadata"`
}

type inspectToken struct {
	Token   string         `json:"token"`
	LogProb *float64       `json:"logprob"`
	Top     []inspectToken `json:"top_logprobs"`
}

type inspectOutput struct {
	Model      string `json:"model"`
	Completion string `json:"completion"`
	Error      string `json:"error"`
	Choices    []struct {
		Message struct {
			Content json.RawMessage `json:"content"`
		} `json:"message"`
		LogProbs *struct {
			Content []inspectToken `json:"content"`
		} `json:"logprobs"`
	} `json:"choices"`
}

type inspectUsage struct {
	Input      int64    `json:"input_tokens"`
	Output     int64    `json:"output_tokens"`
	CacheRead  int64    `json:"input_tokens_cache_read"`
	CacheWrite int64    `json:"input_tokens_cache_write"`
	Cost       *float64 `json:"total_cost"`
}

type inspectFields struct {
	ID          json.RawMessage
	Epoch       int
	Input       json.RawMessage
	Choices     []string
	Target      json.RawMessage
	Output      inspectOutput
	Scores      map[string]inspectScore
	order       []string // of the scores
	Metadata    map[string]json.RawMessage
	Error       *struct{ Message string }
	Invalidated bool
	Usage       map[string]inspectUsage
	Calls       int64
	attached    map[string]string
}

var attachment = regexp.MustCompile(`attachment://([0-9a-f]+)`)

// inspectSample reads one sample. What is no part of an answer is gone past.
func inspectSample(s *scanner, o Options, src *Source, epochs int) (*Answer, error) {
	f := inspectFields{attached: map[string]string{}}
	var wrong error // the first field that is not what it should be
	wanted := map[string]bool{}
	field := func(key string, to any) error {
		raw, err := s.value()
		if errors.Is(err, errRoom) {
			err = fmt.Errorf("more than the %d bytes that are kept of one sample", o.MaxKept)
		} else if err != nil {
			return err
		} else if err = json.Unmarshal(raw, to); err == nil {
			for _, m := range attachment.FindAllSubmatch(raw, -1) {
				wanted[string(m[1])] = true
			}
		}
		if err != nil && wrong == nil {
			wrong = fieldError{key, plain(err)}
		}
		return nil
	}
	if b, err := s.peek(); err == nil && b != '{' {
		if _, err := s.skip(); err != nil {
			return nil, err
		}
		return nil, fieldError{"samples", fmt.Errorf("want an object, found %q", b)}
	}
	err := s.object(func(key string) error {
		switch key {
		case "id":
			return field(key, &f.ID)
		case "epoch":
			return field(key, &f.Epoch)
		case "input":
			return field(key, &f.Input)
		case "choices":
			return field(key, &f.Choices)
		case "target":
			return field(key, &f.Target)
		case "output":
			return field(key, &f.Output)
		case "score": // before version 2
			var one *inspectScore
			err := field(key, &one)
			if one != nil {
				f.Scores, f.order = map[string]inspectScore{"score": *one}, []string{"score"}
			}
			return err
		case "scores":
			if b, err := s.peek(); err != nil || b != '{' {
				return field(key, &f.Scores)
			}
			f.Scores = map[string]inspectScore{}
			return s.object(func(name string) error {
				var one inspectScore
				err := field("scores/"+name, &one)
				f.Scores[name], f.order = one, append(f.order, name)
				return err
			})
		case "metadata":
			return field(key, &f.Metadata)
		case "error":
			return field(key, &f.Error)
		case "invalidation":
			some, err := s.skip()
			f.Invalidated = some
			return err
		case "model_usage":
			return field(key, &f.Usage)
		case "turn_count":
			return field(key, &f.Calls)
		case "attachments":
			if b, err := s.peek(); err != nil || b != '{' {
				_, err := s.skip()
				return err
			}
			return s.object(func(hash string) error {
				if !wanted[hash] {
					_, err := s.skip()
					return err
				}
				var text string
				err := field(key, &text)
				f.attached[hash] = text
				return err
			})
		case "uuid", "started_at", "completed_at", "total_time", "working_time", "role_usage", "error_retries", "events_data": // of the run, not of the answer
			_, err := s.skip()
			return err
		}
		some, err := s.skip()
		if some {
			src.left(key)
		}
		return err
	})
	if err == nil {
		err = wrong
	}
	if err != nil {
		return nil, err
	}
	return f.answer(o, src, epochs)
}

// plain words an error of encoding/json for people.
func plain(err error) error {
	if t := (*json.UnmarshalTypeError)(nil); errors.As(err, &t) {
		return fmt.Errorf("want %s, found %s", strings.TrimPrefix(t.Type.String(), "interchange."), t.Value)
	}
	return err
}

func (f inspectFields) answer(o Options, src *Source, epochs int) (*Answer, error) {
	a := &Answer{Kind: src.Task, Model: src.Model, Epoch: f.Epoch}
	var id any
	if err := json.Unmarshal(f.ID, &id); f.ID == nil || err != nil || id == nil {
		return nil, fieldError{"id", errors.New("missing")}
	}
	a.ID = strings.Trim(string(f.ID), `"`)
	if s, ok := id.(string); ok {
		a.ID = s
	}
	if epochs > 1 || f.Epoch > 1 {
		a.Cluster = a.ID // the epochs of a question are no independent answers
	}
	if f.Epoch > 1 {
		a.ID += "#" + strconv.Itoa(f.Epoch)
	}
	if raw, ok := f.Metadata["cluster"]; ok {
		var c string
		if json.Unmarshal(raw, &c) == nil && c != "" {
			a.Cluster = c
		}
	}
	a.Question = f.messages(f.Input, src)
	var target []string
	if json.Unmarshal(f.Target, &target) != nil {
		var one string
		if json.Unmarshal(f.Target, &one) == nil && one != "" {
			target = []string{one}
		}
	}
	if len(f.Choices) > 0 {
		a.Choices = map[string]string{}
		for i, text := range f.Choices {
			a.Choices[letter(i)] = text
		}
	}
	for _, t := range target {
		if text, ok := a.Choices[t]; ok { // named by its letter
			a.Answers = append(a.Answers, text)
		} else {
			a.Answers = append(a.Answers, t)
		}
	}
	for i, c := range f.Output.Choices {
		text := f.content(c.Message.Content, src)
		var tokens []llm.Token
		if c.LogProbs != nil {
			tokens = src.tokens(convert(c.LogProbs.Content))
		}
		if i == 0 {
			a.Answer, a.Tokens = &text, tokens
		} else {
			a.Samples = append(a.Samples, Sample{text, tokens})
		}
	}
	if a.Answer == nil && f.Output.Completion != "" {
		text := f.resolve(f.Output.Completion, src)
		a.Answer = &text
	}
	f.spend(a)
	switch {
	case f.Error != nil:
		a.Outcome, a.Error = eval.OutcomeFailed, f.Error.Message
	case f.Invalidated:
		a.Outcome, a.Error = eval.OutcomeFailed, "invalidated by whoever ran it"
	default:
		if err := f.judge(a, o, src); err != nil {
			return nil, err
		}
	}
	f.signals(a, o, src)
	return a, nil
}

func letter(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return strconv.Itoa(i + 1)
}

// judge takes the verdict of the scorer.
func (f inspectFields) judge(a *Answer, o Options, src *Source) error {
	if src.Scorer == "" && len(f.order) > 0 {
		src.Scorer = f.order[0]
	}
	for _, name := range f.order {
		if name != src.Scorer {
			src.left("verdicts of " + name)
		}
	}
	score, ok := f.Scores[src.Scorer]
	if !ok {
		if o.Scorer != "" && len(f.order) > 0 {
			return fieldError{"scores", fmt.Errorf("no scorer %q: there are %s", o.Scorer, strings.Join(f.order, ", "))}
		}
		a.Outcome, a.Error = eval.OutcomeMeasured, "not scored"
		return nil
	}
	if score.Answer != nil && (a.Answer == nil || *score.Answer != *a.Answer) {
		a.Extracted = f.resolve(*score.Answer, src)
	}
	reason := ""
	if score.Reason != nil {
		reason = *score.Reason
	}
	value, refused, ok := verdict(score.Value)
	switch {
	case reason == "refusal":
		a.Outcome = eval.OutcomeRefused
	case reason == "invalid_response_format", reason == "no_response":
		a.Outcome = eval.OutcomeUnparsed
	case reason == "grader_failed", reason == "scoring_failed":
		a.Outcome, a.Error = eval.OutcomeFailed, strings.ReplaceAll(reason, "_", " ")
	case refused:
		a.Outcome = eval.OutcomeRefused
	case !ok || !a.judge(value):
		a.Outcome = eval.OutcomeMeasured
		src.left("verdicts that are no share from 0 to 1")
	}
	return nil
}

// verdict reads the value of a score the way Inspect's accuracy does: C, I, P
// (half) and N (no answer, or a refusal), words and numbers.
func verdict(raw json.RawMessage) (value float64, refused, ok bool) {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return 0, false, false
	}
	switch v := v.(type) {
	case bool:
		if v {
			value = 1
		}
		return value, false, true
	case float64:
		return v, false, true
	case string:
		switch strings.ToLower(v) {
		case "c", "yes", "true", "correct":
			return 1, false, true
		case "i", "no", "false", "incorrect":
			return 0, false, true
		case "p":
			return 0.5, false, true
		case "n":
			return 0, true, true
		}
		value, err := strconv.ParseFloat(v, 64)
		return value, false, err == nil
	}
	return 0, false, false
}

// signals takes numbers of the metadata as scores: those that gnothi itself wrote,
// and those that are asked for. What else gnothi wrote there is in the answer.
func (f inspectFields) signals(a *Answer, o Options, src *Source) {
	take := func(name string, raw json.RawMessage) bool {
		var v float64
		if raw == nil || json.Unmarshal(raw, &v) != nil || string(raw) == "null" {
			return false
		}
		put(&a.Scores, name, v)
		return true
	}
	var own map[string]json.RawMessage
	if json.Unmarshal(f.Metadata[signalsField], &own) == nil && own != nil {
		a.Scores = map[string]float64{}
		for name, raw := range own {
			take(name, raw)
		}
	}
	for _, name := range o.Signals {
		if !take(name, f.Scores[src.Scorer].Metadata[name]) && !take(name, f.Metadata[name]) {
			src.left("samples without the signal " + name)
		}
	}
	for name := range f.Metadata {
		if own != nil && slices.Contains(ownMetadata, name) {
			continue
		}
		if name != signalsField && name != "cluster" && !slices.Contains(o.Signals, name) {
			src.left("metadata/" + name)
		}
	}
}

// signalsField is the metadata of a sample in which gnothi keeps its signals.
const signalsField = "gnothi_signals"

// ownMetadata is what [WriteInspect] puts beside it.
var ownMetadata = []string{"outcome", "index", "calls", "item", "result"}

func (f inspectFields) spend(a *Answer) {
	a.Spend.Calls = f.Calls
	for _, name := range slices.Sorted(maps.Keys(f.Usage)) {
		u := f.Usage[name]
		a.Spend.PromptTokens += u.Input + u.CacheRead + u.CacheWrite
		a.Spend.CompletionTokens += u.Output
		if u.Cost != nil && *u.Cost >= 0 && *u.Cost < 1e9 {
			a.Spend.NanoUSD += int64(math.Round(*u.Cost * 1e9))
		} else {
			a.Spend.Unpriced = max(f.Calls, 1)
		}
	}
}

func convert(in []inspectToken) []llm.Token {
	number := func(v *float64) float64 {
		if v == nil {
			return math.NaN()
		}
		return *v
	}
	var out []llm.Token
	for _, t := range in {
		token := llm.Token{Text: t.Token, LogProb: number(t.LogProb)}
		for _, alt := range t.Top {
			token.Top = append(token.Top, llm.TopToken{Text: alt.Token, LogProb: number(alt.LogProb)})
		}
		out = append(out, token)
	}
	return out
}

// messages reads an input: a text, or a conversation. That of one user alone is
// the user's words.
func (f inspectFields) messages(raw json.RawMessage, src *Source) string {
	var turns []struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	}
	if json.Unmarshal(raw, &turns) != nil {
		return f.content(raw, src)
	}
	if len(turns) == 1 {
		return f.content(turns[0].Content, src)
	}
	var lines []string
	for _, t := range turns {
		lines = append(lines, t.Role+": "+f.content(t.Content, src))
	}
	return strings.Join(lines, "\n\n")
}

// content reads a text, or the texts among the parts of a message.
func (f inspectFields) content(raw json.RawMessage, src *Source) string {
	var s string
	if raw == nil || json.Unmarshal(raw, &s) == nil {
		return f.resolve(s, src)
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if json.Unmarshal(raw, &parts) != nil {
		src.left("messages that are no text")
		return ""
	}
	var texts []string
	for _, p := range parts {
		if p.Type != "text" {
			src.left("parts of messages: " + p.Type)
			continue
		}
		texts = append(texts, f.resolve(p.Text, src))
	}
	return strings.Join(texts, "\n")
}

// resolve puts a text that the log keeps apart in its place.
func (f inspectFields) resolve(s string, src *Source) string {
	m := attachment.FindStringSubmatch(s)
	if m == nil || m[0] != s {
		return s
	}
	text, ok := f.attached[m[1]]
	if !ok {
		src.left("texts that the log keeps apart and does not hold")
	}
	return text
}
