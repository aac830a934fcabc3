package control_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"gnothi/control"
	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/stats"
)

// On another model's recorded answers (gemma-2b-it on TriviaQA: a greedy answer and ten samples, without log-probabilities), no
// published rule is significantly right more often than auto with fewer answers. (On sentences as long as these, few of which
// are equal, no vote of ten is worth much.)
func TestAutoOnRecordedAnswers(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates for seconds")
	}
	data := os.Getenv("GNOTHI_DATA")
	if data == "" {
		data = "../../shared/data"
	}
	raw, err := os.ReadFile(filepath.Join(data, "triviaqa-gemma2b-samples", "batch_0.json"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the recorded answers are not here; GNOTHI_DATA names the folder of triviaqa-gemma2b-samples")
	}
	var rows []struct {
		Question     string
		Greedy       string   `json:"greedy_completion"`
		Samples      []string `json:"sampled_completions"`
		GreedyLabel  string   `json:"string_matching_greedy_label"`
		SampleLabels []string `json:"string_matching_sampled_labels"`
	}
	if err := errors.Join(err, json.Unmarshal(raw, &rows)); err != nil {
		t.Fatal(err)
	}
	play := func(p control.Policy) (right []bool, calls float64) {
		for _, row := range rows {
			m := script.New(func(op llm.Op, i int) script.Reply {
				if op.Request.Temperature != nil && *op.Request.Temperature > 0 {
					return script.Reply{Text: row.Samples[i%len(row.Samples)]}
				}
				return script.Reply{Text: row.Greedy}
			})
			trial := monitor.NewTrial(monitor.TrialOptions{Model: llm.Metered(m, nil), Question: monitor.Question{Text: row.Question}, Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: row.Question}}}, Seed: 1})
			best := run(t, p, trial).Best
			label := row.GreedyLabel
			if best.Origin == monitor.FromSample {
				label = row.SampleLabels[best.Index]
			}
			right = append(right, label == "correct")
			calls += float64(m.Calls()) / float64(len(rows))
		}
		return right, calls
	}
	independent := control.Independent{Sampling: monitor.DefaultSampling}
	auto := control.DefaultAuto()
	auto.Max = 10
	right, calls := play(auto)
	t.Logf("auto: %.1f answers (n = %d)", calls, len(rows))
	for name, p := range map[string]control.Policy{
		"direct":              control.Direct(),
		"self-consistency 5":  control.Vote{Sampler: independent, Stop: control.Fixed(5)},
		"self-consistency 10": control.Vote{Sampler: independent, Stop: control.Fixed(10)},
		"adaptive":            control.Vote{Sampler: independent, Stop: control.Settled{Conf: 0.95, Max: 10}},
		"early-stopping":      control.Vote{Sampler: independent, Stop: control.Window{W: 5, Max: 10}},
	} {
		r, c := play(p)
		rescued, spoilt := 0, 0
		for i := range r {
			switch {
			case right[i] && !r[i]:
				rescued++
			case r[i] && !right[i]:
				spoilt++
			}
		}
		exact, _, err := stats.McNemar(rescued, spoilt)
		p := 1.0
		if err == nil {
			p = exact.P
		}
		t.Logf("%s: %.1f answers; auto is right on %d that it misses and misses %d (p = %.2f)", name, c, rescued, spoilt, p)
		if spoilt > rescued && p < 0.05 && c < calls {
			t.Errorf("%s is right more often (%d against %d, p = %.3f) with fewer answers (%.1f against %.1f)", name, spoilt, rescued, p, c, calls)
		}
	}
}
