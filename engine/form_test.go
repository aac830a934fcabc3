package engine_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"gnothi/engine"
	"gnothi/engine/enginetest"
	"gnothi/engine/gguf"
)

// everything asks for the whole distribution.
var everything = engine.Stats{Top: enginetest.Vocab, Varentropy: true, Tokens: []int32{7, 200, 7}}

// TestStats: what is asked for agrees with the whole distribution, written down by token.
func TestStats(t *testing.T) {
	e := tiny(t, engine.Options{})
	scored, err := e.Score(bg, nil, randomIDs(30, 20), everything)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range scored[1:] {
		mean, square := 0.0, 0.0
		byID := map[int32]float64{}
		for _, c := range s.Top {
			p := math.Exp(c.LogProb)
			mean -= p * c.LogProb
			square += p * c.LogProb * c.LogProb
			byID[c.ID] = c.LogProb
		}
		if want := square - mean*mean; math.Abs(s.Varentropy-want) > 1e-4*max(1, want) {
			t.Errorf("token %d: varentropy %g, want %g", i, s.Varentropy, want)
		}
		if !slices.Equal(s.Probs, []float64{byID[7], byID[200], byID[7]}) {
			t.Errorf("token %d: probabilities of named tokens %v", i, s.Probs)
		}
	}
	plain := score(t, e, nil, randomIDs(30, 20))
	if plain[3].Varentropy != 0 || plain[3].Probs != nil {
		t.Error("figures that nobody asked for")
	}
	if _, err := e.Score(bg, nil, randomIDs(1, 3), engine.Stats{Tokens: []int32{enginetest.Vocab}}); err == nil {
		t.Error("a token that there is not: no error")
	}
}

// TestPenalties: greedy decoding under biases and penalties takes the token that arithmetic says.
func TestPenalties(t *testing.T) {
	e := tiny(t, engine.Options{})
	ids := randomIDs(31, 12)
	p := prefill(t, e, nil, ids)
	for name, s := range map[string]engine.Sampling{
		"bias":       {Bias: map[int32]float64{40: 4.5, 41: 4, 7: -100}},
		"repetition": {Repetition: 1.8},
		"frequency":  {Frequency: 0.7, Presence: 0.4},
		"all":        {Bias: map[int32]float64{9: 3}, Repetition: 1.3, Frequency: 0.5, Presence: -0.2},
	} {
		s.MaxTokens, s.Stats = 60, everything
		count, seen := map[int32]int{}, map[int32]bool{}
		for _, id := range ids {
			seen[id] = true
		}
		changed := false
		for i, st := range generate(t, e, p, s)[0] {
			best, at := math.Inf(-1), int32(-1)
			for _, c := range st.Top {
				x := c.LogProb + st.LogZ + s.Bias[c.ID]
				if s.Repetition != 0 && seen[c.ID] {
					if x > 0 {
						x /= s.Repetition
					} else {
						x *= s.Repetition
					}
				}
				if n := count[c.ID]; n > 0 {
					x -= s.Frequency*float64(n) + s.Presence
				}
				if x > best {
					best, at = x, c.ID
				}
			}
			if at != st.ID {
				t.Errorf("%s: token %d is %d, arithmetic says %d", name, i, st.ID, at)
				break
			}
			changed = changed || st.ID != st.Top[0].ID
			count[st.ID]++
			seen[st.ID] = true
		}
		if !changed {
			t.Errorf("%s: nothing changed", name)
		}
	}
	for name, s := range map[string]engine.Sampling{
		"bias of no token": {Bias: map[int32]float64{-1: 1}}, "NaN": {Bias: map[int32]float64{1: math.NaN()}},
		"repetition": {Repetition: -1}, "presence": {Presence: math.Inf(1)},
	} {
		if err := e.Generate(bg, p, []engine.Sampling{s}, func(int, engine.Step) bool { return false }); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

var formSchemas = []string{
	`{"type":"object"}`,
	`{"type":"object","properties":{"name":{"type":"string","maxLength":12},"age":{"type":"integer","minimum":0,"maximum":150},"tags":{"type":"array","items":{"enum":["a","b"]},"maxItems":3}},"required":["name","age"],"additionalProperties":false}`,
	`{"$defs":{"tree":{"type":"object","properties":{"v":{"type":"number"},"sub":{"type":"array","items":{"$ref":"#/$defs/tree"}}},"required":["v"]}},"$ref":"#/$defs/tree"}`,
	`{"anyOf":[{"type":"string","pattern":"^[A-Z]+-\\d{2}$"},{"type":"null"},{"type":"array","items":{"type":"boolean"},"minItems":2}]}`,
	`{"type":"integer"}`,
	`{"type":"string"}`,
}

// TestGrammar: what a model of random weights writes in a form is valid where it ends by itself, and it
// ends in time wherever the shortest text fits.
func TestGrammar(t *testing.T) {
	e := tiny(t, engine.Options{})
	tok := e.Tokenizer()
	p := prefill(t, e, nil, randomIDs(32, 10))
	for _, schema := range formSchemas {
		g, err := e.Grammar([]byte(schema))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := e.Grammar([]byte(schema)); err != nil || again != g {
			t.Error("the same schema is compiled twice")
		}
		shortest, ok := g.Matcher().Plan()
		if !ok {
			t.Fatal("no plan")
		}
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource("s.json", doc); err != nil {
			t.Fatal(err)
		}
		valid, err := c.Compile("s.json")
		if err != nil {
			t.Fatal(err)
		}
		var samplings []engine.Sampling
		for i := range 40 {
			samplings = append(samplings, engine.Sampling{
				Seed: uint64(i), Temperature: []float64{0, 1, 3}[i%3], MaxTokens: 1 + i*2, Grammar: g, Stop: []int32{tok.EOS()},
				TopK: []int{0, 5, 0, 0}[i%4], TopP: []float64{0, 0, 0.9, 0}[i%4], MinP: []float64{0, 0, 0, 0.1}[i%4], Repetition: []float64{0, 1.2}[i%2],
			})
		}
		ended := 0
		for i, steps := range generate(t, e, p, samplings...) {
			last := steps[len(steps)-1]
			var ids []int32
			for _, s := range steps {
				if s.Finish != engine.Stop {
					ids = append(ids, s.ID)
				}
			}
			text := tok.Decode(ids)
			if last.Finish == engine.Length {
				if len(shortest) <= samplings[i].MaxTokens {
					t.Errorf("%s: %q ended for its length, %d tokens, though %d suffice", schema, text, len(steps), len(shortest))
				}
				continue
			}
			ended++
			v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
			if err == nil {
				err = valid.Validate(v)
			}
			if err != nil {
				t.Errorf("%s: %q ended with %v: %v", schema, text, last.Finish, err)
			}
		}
		if ended < 20 {
			t.Errorf("%s: only %d of 40 texts ended", schema, ended)
		}
		// Alone a sequence is the same.
		if alone := generate(t, e, p, samplings[37])[0]; !reflect.DeepEqual(alone, generate(t, e, p, samplings[30:40]...)[7]) {
			t.Errorf("%s: in company a text is another", schema)
		}
	}
	if _, err := e.Grammar([]byte(`{"not":{}}`)); err == nil || !strings.Contains(err.Error(), `"not"`) {
		t.Errorf("a keyword that is not supported: %v", err)
	}
	foreign, err := tiny(t, engine.Options{}).Grammar([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Generate(bg, p, []engine.Sampling{{Grammar: foreign}}, func(int, engine.Step) bool { return true }); err == nil {
		t.Error("another model's grammar: no error")
	}
}

// TestBranches: a text is continued from wherever it is cut, and from where a generation ended.
func TestBranches(t *testing.T) {
	e := tiny(t, engine.Options{})
	ids, more := randomIDs(33, 60), randomIDs(34, 9)
	p := prefill(t, e, prefill(t, e, nil, ids[:25]), ids[25:])
	for _, n := range []int{1, 24, 25, 26, 59, 60} {
		cut := p.Cut(n)
		if cut.Len() != n || !slices.Equal(cut.IDs(), ids[:n]) {
			t.Fatalf("cut at %d: %v", n, cut.IDs())
		}
		if !reflect.DeepEqual(score(t, e, cut, more), score(t, e, prefill(t, e, nil, ids[:n]), more)) {
			t.Errorf("cut at %d continues differently", n)
		}
		if !reflect.DeepEqual(score(t, e, prefill(t, e, cut, more[:4]), more[4:]), score(t, e, nil, slices.Concat(ids[:n], more))[n+4:]) {
			t.Errorf("cut at %d and extended continues differently", n)
		}
	}
	if p.Cut(0) != nil || p.Cut(61) != p || (*engine.Prefix)(nil).Cut(3) != nil {
		t.Error("cuts at the ends")
	}
	if engine.KVMemory(p, p.Cut(40), nil) != engine.KVMemory(p) || engine.KVMemory(p) < int64(60*e.Info().KVBytes) {
		t.Errorf("memory %d, of a token %d", engine.KVMemory(p), e.Info().KVBytes)
	}
	var done [3]*engine.Prefix
	var samplings []engine.Sampling
	for i := range done {
		samplings = append(samplings, engine.Sampling{Seed: uint64(i), Temperature: 1, MaxTokens: []int{1, 2, 50}[i], Done: func(p *engine.Prefix) { done[i] = p }})
	}
	for i, steps := range generate(t, e, p, samplings...) {
		text := slices.Clone(ids)
		for _, s := range steps[:len(steps)-1] {
			text = append(text, s.ID)
		}
		if !slices.Equal(done[i].IDs(), text) {
			t.Fatalf("sequence %d leaves %v, want %v", i, done[i].IDs(), text)
		}
		if !reflect.DeepEqual(score(t, e, done[i], more), score(t, e, prefill(t, e, nil, text), more)) {
			t.Errorf("sequence %d continues differently from where it ended", i)
		}
	}
}

// TestFairSlots: a call of many sequences leaves a slot to others, and loses nothing by it.
func TestFairSlots(t *testing.T) {
	path := enginetest.Tiny{Seed: 1, Type: gguf.Q4_1}.File(t)
	e := open(t, path, engine.Options{Sequences: 2})
	p := prefill(t, e, nil, randomIDs(35, 10))
	samplings := make([]engine.Sampling, 30)
	for i := range samplings {
		samplings[i] = engine.Sampling{Seed: uint64(i), Temperature: 1, MaxTokens: 200}
	}
	begun, ended := make(chan struct{}), make(chan struct{})
	got := make([][]engine.Step, len(samplings))
	go func() {
		defer close(ended)
		n := 0
		err := e.Generate(bg, p, samplings, func(seq int, s engine.Step) bool {
			if got[seq] = append(got[seq], s); n == 100 {
				close(begun)
			}
			n++
			return true
		})
		if err != nil {
			t.Error(err)
		}
	}()
	<-begun
	for range 3 {
		generate(t, e, p, engine.Sampling{MaxTokens: 20})
	}
	select {
	case <-ended:
		t.Error("the other call had to wait for all 30 texts")
	default:
	}
	<-ended
	for i, steps := range got {
		if i%7 == 0 && !reflect.DeepEqual(steps, generate(t, e, p, samplings[i])[0]) {
			t.Errorf("sequence %d is another text than alone", i)
		}
	}
}

// TestSlowReader: who takes long over a step gives up the slot, and takes the text up again later.
func TestSlowReader(t *testing.T) {
	e := open(t, enginetest.Tiny{Seed: 1, Type: gguf.Q4_1}.File(t), engine.Options{Sequences: 1})
	p := prefill(t, e, nil, randomIDs(36, 10))
	s := engine.Sampling{Seed: 3, Temperature: 1, MaxTokens: 40}
	want := generate(t, e, p, s)[0]
	sleeps, wake, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var got []engine.Step
	go func() {
		defer close(ended)
		err := e.Generate(bg, p, []engine.Sampling{s}, func(_ int, st engine.Step) bool {
			if got = append(got, st); len(got) == 5 {
				close(sleeps)
				<-wake
			}
			return true
		})
		if err != nil {
			t.Error(err)
		}
	}()
	<-sleeps
	generate(t, e, p, engine.Sampling{MaxTokens: 100}) // there is one slot only
	close(wake)
	<-ended
	if !reflect.DeepEqual(got, want) {
		t.Error("the slow reader's text is another")
	}
	// One who never wakes is gone with the context.
	ctx, cancel := context.WithCancel(bg)
	stuck := make(chan error)
	asleep := make(chan struct{})
	go func() {
		n := 0
		stuck <- e.Generate(ctx, p, []engine.Sampling{s}, func(int, engine.Step) bool {
			if n++; n == 5 {
				close(asleep)
				<-ctx.Done()
			}
			return true
		})
	}()
	<-asleep
	generate(t, e, p, engine.Sampling{MaxTokens: 50})
	cancel()
	if err := <-stuck; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	generate(t, e, p, engine.Sampling{MaxTokens: 5})
}

// TestManyAtOnce mixes calls of every kind; each gets what it would get alone.
func TestManyAtOnce(t *testing.T) {
	e := tiny(t, engine.Options{Sequences: 3})
	g, err := e.Grammar([]byte(formSchemas[1]))
	if err != nil {
		t.Fatal(err)
	}
	p := prefill(t, e, nil, randomIDs(37, 10))
	rng := rand.New(rand.NewPCG(1, 1))
	calls := make([][]engine.Sampling, 12)
	want := make([][][]engine.Step, len(calls))
	for i := range calls {
		for range 1 + rng.IntN(4) {
			s := engine.Sampling{Seed: rng.Uint64(), Temperature: 1, MaxTokens: 1 + rng.IntN(60)}
			if rng.IntN(2) == 0 {
				s.Grammar = g
			}
			calls[i] = append(calls[i], s)
		}
		want[i] = generate(t, e, p, calls[i]...)
	}
	done := make(chan int)
	got := make([][][]engine.Step, len(calls))
	for i := range calls {
		go func() {
			got[i] = generate(t, e, p, calls[i]...)
			done <- i
		}()
	}
	for range calls {
		if i := <-done; !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("call %d differs in company", i)
		}
	}
}
