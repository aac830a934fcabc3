package consistency_test

import (
	"errors"
	"math"
	"testing"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/consistency"
)

func TestNovelWords(t *testing.T) {
	for name, c := range map[string]struct {
		question, answer string
		samples          []string
		want             float64
	}{
		"the question's words do not count": {"Who directed Stagecoach?", "Stagecoach was directed by John Ford. It was released in 1939.",
			[]string{"John Ford directed Stagecoach.", "Stagecoach was directed by Howard Hawks."}, 0.5},
		"one of two words in each":       {"Who wrote it?", "Mark Twain", []string{"Mark Rothko", "Shania Twain"}, 0.5},
		"numbers are words":              {"When did it open?", "In 1932.", []string{"It opened in 1932", "In 1931"}, 0.5},
		"short words alone":              {"Is it so?", "No", []string{"no.", "Yes"}, 0.5},
		"only the question's words":      {"Is the answer yes?", "Yes", []string{"Yes", "yes", "Yes!", "no"}, 0.75},
		"a word said twice counts once":  {"Where?", "Paris, Paris", []string{"Paris Paris Paris", "Rome"}, 0.5},
		"nothing of it in any sample":    {"Where?", "Paris", []string{"Rome", "Oslo"}, 0},
		"later sentences are not judged": {"Where?", "Paris. Since Napoleon.", []string{"Paris"}, 1},
	} {
		var samples []llm.Choice
		for _, s := range c.samples {
			samples = append(samples, llm.Choice{Text: s})
		}
		trial, answer := monitor.NewGiven(monitor.TrialOptions{Question: monitor.Question{Text: c.question}}, monitor.Given{Answer: &llm.Choice{Text: c.answer}, Samples: samples})
		r, err := monitor.ScoreOne(t.Context(), consistency.NovelWords(), trial, answer)
		if err != nil || math.Abs(r.Score-c.want) > 1e-12 || r.Reads != len(c.samples) {
			t.Errorf("%s: %+v, %v; want %v", name, r, err, c.want)
		}
	}
	trial, answer := monitor.NewGiven(monitor.TrialOptions{}, monitor.Given{Answer: &llm.Choice{Text: "?!"}, Samples: []llm.Choice{{Text: "x"}}})
	if _, err := monitor.ScoreOne(t.Context(), consistency.NovelWords(), trial, answer); !errors.Is(err, monitor.ErrMissing) {
		t.Errorf("an answer without words: %v", err)
	}
	trial, answer = monitor.NewGiven(monitor.TrialOptions{}, monitor.Given{Answer: &llm.Choice{Text: "Paris"}})
	if _, err := monitor.ScoreOne(t.Context(), consistency.NovelWords(), trial, answer); !errors.Is(err, monitor.ErrMissing) {
		t.Errorf("without samples: %v", err)
	}
}
