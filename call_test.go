package gnothi_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"gnothi"
	"gnothi/control"
	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
)

// calling answers each draw with a call whose arguments are the next of a list.
func calling(arguments ...string) *script.Model {
	return script.New(func(op llm.Op, i int) script.Reply {
		args, _ := json.Marshal(arguments[i%len(arguments)])
		return script.Reply{Finish: "tool_calls", Raw: fmt.Appendf(nil, `{"message":{"content":null,"tool_calls":[{"id":"c%d","type":"function","function":{"name":"weather","arguments":%s}}]}}`, i, args)}
	})
}

// Samples that call the same tool with equal arguments are one class, however
// they are spelled, and the belief is about the call.
func TestBeliefAboutACall(t *testing.T) {
	m := calling(`{"city":"Oslo","days":2}`, `{"days":2.0, "city":"Oslo"}`, `{"city":"Rome"}`, `{"city":"O\u0073lo","days":20e-1}`)
	policy := control.Vote{Sampler: control.Independent{Sampling: monitor.DefaultSampling}, Stop: control.Fixed(4), Aggregate: control.Mass{}}
	mind, err := gnothi.New(llm.Metered(m, nil), gnothi.WithPolicy("self-consistency?n=4", policy))
	if err != nil {
		t.Fatal(err)
	}
	b, err := mind.Deliberate(t.Context(), gnothi.Question{Text: "What is the weather in Oslo?"}, "conversation", llm.Request{Messages: []llm.Message{{Role: "user", Text: "What is the weather in Oslo?"}}})
	if err != nil {
		t.Fatal(err)
	}
	if *b.Answer != `weather({"city":"Oslo","days":2})` || b.Outcome != "parsed" || b.Study.Key.Kind != "call" {
		t.Errorf("answer %s, %s, kind %s", *b.Answer, b.Outcome, b.Study.Key.Kind)
	}
	if len(b.Alternatives) != 1 || b.Alternatives[0].Answer != `weather({"city":"Rome"})` || b.Alternatives[0].Count != 1 {
		t.Errorf("alternatives %+v", b.Alternatives)
	}
	found := false
	for _, s := range b.Signals {
		if s.Name == "consistency/agreement" {
			found = s.Raw == 3 && s.Reads == 4
		}
	}
	if !found {
		t.Errorf("signals %+v", b.Signals)
	}
	if b.Probability == nil || *b.Probability <= 0 || *b.Probability >= 1 {
		t.Errorf("probability %v", b.Probability)
	}
}

// What would put words in the place of a call leaves it alone.
func TestACallIsNotRevised(t *testing.T) {
	m := calling(`{"city":"Oslo"}`)
	mind, err := gnothi.New(llm.Metered(m, nil), gnothi.WithPolicy("self-refine", control.SelfRefine(3)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := mind.Deliberate(t.Context(), gnothi.Question{Text: "Weather?"}, "conversation", llm.Request{Messages: []llm.Message{{Role: "user", Text: "Weather?"}}})
	if err != nil || *b.Answer != `weather({"city":"Oslo"})` || m.Calls() != 1 {
		t.Errorf("%+v, %v after %d calls", b.Answer, err, m.Calls())
	}
}
