package monitor_test

import (
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
