package replay_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"gnothi/llm"
	"gnothi/llm/replay"
	"gnothi/llm/script"
)

// A recording of many draws answers an operation that wants some of them, whoever asks; what was never drawn is an error.
func TestPartsOfARecording(t *testing.T) {
	var tape bytes.Buffer
	rec := llm.Record(script.New(func(_ llm.Op, i int) script.Reply {
		return script.Reply{Text: fmt.Sprint("sample ", i)}
	}), &tape)
	op := llm.Op{Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: "Q"}}}, Indices: llm.Range(0, 8), Seed: 7, Role: "sample"}
	all, err := rec.Do(context.Background(), op)
	if err != nil {
		t.Fatal(err)
	}
	m, err := replay.Parse("tape", tape.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	some := op
	some.Indices, some.Role = []int{6, 2, 3}, "other"
	res, err := m.Do(context.Background(), some)
	if err != nil {
		t.Fatal(err)
	}
	for k, i := range some.Indices {
		if res.Choices[k].Index != i || res.Choices[k].Text != fmt.Sprint("sample ", i) {
			t.Errorf("choice %d is %+v", i, res.Choices[k])
		}
	}
	if got, want := res.Usage.CompletionTokens, all.Usage.CompletionTokens*3/8; got != want {
		t.Errorf("%d completion tokens, want %d", got, want)
	}
	if res.Usage.PromptCached != 0 {
		t.Error("the prompt was not paid for")
	}
	if res, err = m.Do(context.Background(), some); err != nil || res.Usage.PromptCached != res.Usage.PromptTokens {
		t.Errorf("the prompt is paid for twice: %+v, %v", res, err)
	}
	some.Indices = []int{7, 8}
	if _, err := m.Do(context.Background(), some); err == nil || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("got %v for a draw that was not made", err)
	}
	some.Indices, some.Seed = []int{1}, 8
	if _, err := m.Do(context.Background(), some); err == nil {
		t.Error("another seed got the draws of this one")
	}
}
