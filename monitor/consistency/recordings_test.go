package consistency_test

import (
	"math"
	"os"
	"testing"

	"gnothi/eval/questions"
	"gnothi/llm"
	"gnothi/llm/replay"
	"gnothi/monitor"
	"gnothi/monitor/consistency"
	"gnothi/monitor/prompt"
	"gnothi/stats"
)

// The prior that ships is the one that fits the recordings of the default model, on the half of the questions that is for
// fitting: `make recordings`, then `go test ./monitor/consistency -run AnswerPrior -v` prints the fit.
func TestAnswerPriorIsFitted(t *testing.T) {
	path := os.Getenv("GNOTHI_RECORDINGS")
	if path == "" {
		path = "../../dist/recordings.jsonl"
	}
	if _, err := os.Stat(path); err != nil {
		t.Skip("no recordings here: make recordings, or GNOTHI_RECORDINGS=FILE")
	}
	m, err := replay.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var seqs []stats.Sequence
	for _, q := range questions.Split(questions.Fit) {
		question := monitor.Question{Text: q.Question}
		trial := monitor.NewTrial(monitor.TrialOptions{Model: m, Question: question, Request: prompt.ShotsRaw.Request(question), Seed: llm.Derive(1, q.Question, 0)})
		greedy, err := monitor.Get(t.Context(), trial, monitor.Greedy{})
		if err != nil {
			t.Fatal(err)
		}
		samples, err := trial.Samples(t.Context(), monitor.DefaultSampling, 40)
		if err != nil {
			t.Fatal(err)
		}
		s := stats.Sequence{LogP: math.Inf(-1)}
		if greedy.Key != "" {
			s.LogP = 0
			for _, tok := range greedy.Tokens {
				s.LogP += tok.LogProb
			}
		}
		keys := make([]string, len(samples))
		for i, c := range samples {
			keys[i] = c.Key
		}
		s.Draws = stats.Number(greedy.Key, keys)
		seqs = append(seqs, s)
	}
	fit, err := stats.FitUrnPrior(seqs)
	if err != nil {
		t.Fatal(err)
	}
	best, ours := fit.LogLikelihood(seqs), consistency.AnswerPrior.LogLikelihood(seqs)
	t.Logf("fitted on %d questions: %+v, log-likelihood %.4f a question; the one that ships has %.4f", len(seqs), fit, best, ours)
	if ours < best-0.05 {
		t.Errorf("the prior that ships is %.3f nats a question behind the fit", best-ours)
	}
}
