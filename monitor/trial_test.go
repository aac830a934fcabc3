package monitor_test

import (
	"strings"
	"testing"

	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/text"
)

// What a provider's filter withheld was declined, not said unreadably.
func TestFilteredRepliesAreRefusals(t *testing.T) {
	tr := monitor.NewTrial(monitor.TrialOptions{Model: script.Texts("x"), Question: monitor.Question{Text: "How?"}})
	for finish, want := range map[string]text.Outcome{"content_filter": text.Refused, "stop": text.Unparsed} {
		if got := tr.Candidate(llm.Choice{Finish: finish}, monitor.FromGreedy, nil).Answer.Status; got != want {
			t.Errorf("%s: %v, want %v", finish, got, want)
		}
	}
}

// A reply of megabytes is not read for an answer, which would take seconds.
func TestEndlessReply(t *testing.T) {
	trial := monitor.NewTrial(monitor.TrialOptions{Question: monitor.Question{Text: "Where?"}})
	c := trial.Candidate(llm.Choice{Text: strings.Repeat("Paris is where it is. ", 1<<17)}, monitor.FromSample, nil)
	if c.Answer.Status != text.Unparsed || c.Key != "" {
		t.Errorf("%v, key of %d bytes", c.Answer.Status, len(c.Key))
	}
}
