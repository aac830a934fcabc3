package llm

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
)

type seeded struct {
	Model
	yes bool
}

func (s seeded) ID() ID             { return ID{Provider: "p", Name: "n"} }
func (s seeded) Can(a Ability) bool { return s.yes && a == Seeded }

// TestKeysSeeEveryField changes each field of a request in turn, so that a new
// field that the key forgets is noticed.
func TestKeysSeeEveryField(t *testing.T) {
	f := 0.5
	changed := map[string]Request{
		"Messages":    {Messages: []Message{{Role: "user", Text: "x"}}},
		"Prompt":      {Prompt: "x"},
		"MaxTokens":   {MaxTokens: 1},
		"Temperature": {Temperature: &f},
		"TopP":        {TopP: &f},
		"MinP":        {MinP: &f},
		"TopK":        {TopK: 1},
		"Stop":        {Stop: []string{"x"}},
		"LogProbs":    {LogProbs: true},
		"TopLogProbs": {TopLogProbs: 1},
		"Extra":       {Extra: map[string]json.RawMessage{"x": json.RawMessage("1")}},
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Request]()) {
		if _, ok := changed[field.Name]; !ok {
			t.Errorf("no case for the field %s", field.Name)
		}
	}
	changed["message's role"] = Request{Messages: []Message{{Role: "system", Text: "x"}}}
	changed["message's Raw"] = Request{Messages: []Message{{Role: "user", Text: "x", Raw: json.RawMessage("{}")}}}
	changed["two messages"] = Request{Messages: []Message{{Role: "user"}, {Text: "x"}}}
	changed["Extra's name"] = Request{Extra: map[string]json.RawMessage{"y": json.RawMessage("1")}}
	seen := map[string]string{Op{}.Key(): "nothing", choiceKey(seeded{}, Op{}, 0): "nothing"}
	for name, r := range changed {
		for _, key := range []string{Op{Request: r}.Key(), choiceKey(seeded{}, Op{Request: r}, 0)} {
			if other, ok := seen[key]; ok {
				t.Errorf("%s has the key of %s", name, other)
			}
			seen[key] = name
		}
	}
}

func TestKeysOfOperations(t *testing.T) {
	base := Op{}
	changed := map[string]Op{
		"Kind": {Kind: Score}, "Continuation": {Continuation: "x"}, "Depth": {Depth: 0.5}, "Indices": {Indices: []int{1}}, "Seed": {Seed: 1}, "Role": {Role: "judge"}, "Endpoint": {Endpoint: "responses"}, "Body": {Body: json.RawMessage("{}")},
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Op]()) {
		if _, ok := changed[field.Name]; !ok && field.Name != "Request" && field.Name != "Stream" {
			t.Errorf("no case for the field %s", field.Name)
		}
	}
	for name, op := range changed {
		if op.Key() == base.Key() {
			t.Errorf("%s plays no part in an operation's key", name)
		}
	}
	if (Op{Indices: []int{0}}).Key() != base.Key() {
		t.Error("no indexes and index 0 are the same")
	}
	with := func(s seeded, op Op, i int) string { return choiceKey(s, op, i) }
	if with(seeded{}, Op{Seed: 1}, 0) != with(seeded{}, Op{Seed: 2}, 0) {
		t.Error("without seeds a choice is known by its index alone")
	}
	if with(seeded{yes: true}, Op{Seed: 1}, 0) == with(seeded{yes: true}, Op{Seed: 2}, 0) {
		t.Error("the seed decides what the choice is")
	}
	if with(seeded{}, Op{}, 0) == with(seeded{}, Op{}, 1) {
		t.Error("the repeat index plays no part")
	}
	if with(seeded{}, Op{Role: "a", Indices: []int{0, 1}}, 0) != with(seeded{}, Op{Role: "b"}, 0) {
		t.Error("role or number of choices plays a part")
	}
}

func TestCodecKeepsBytes(t *testing.T) {
	c := Choice{
		Index: 3, Text: "é<b>\xc3", Reasoning: "hm", Finish: "stop", Raw: json.RawMessage(`{"a":"<é>","n":9007199254740993}`), State: []float32{0.1, -3e-20},
		Tokens: []Token{{Text: "\xc3", LogProb: -0.1, Top: []TopToken{{"\xa9", -2.3}}, Dist: &Dist{Entropy: 1}}, {Text: "{"}},
	}
	b, err := encode(saveChoice(c))
	if err != nil {
		t.Fatal(err)
	}
	var s savedChoice
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	if got := s.choice(); !reflect.DeepEqual(got, c) {
		t.Errorf("got %s, want %s", fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", c))
	}
}
