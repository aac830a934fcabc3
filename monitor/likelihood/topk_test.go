package likelihood_test

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/likelihood"
)

func tops(logP ...float64) []llm.TopToken {
	out := make([]llm.TopToken, len(logP))
	for i, l := range logP {
		out[i] = llm.TopToken{Text: string(rune('a' + i)), LogProb: l}
	}
	return out
}

// TestTopGolden compares with uqlm 0.6.7 on the five likeliest of each token.
func TestTopGolden(t *testing.T) {
	dir := os.Getenv("GNOTHI_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	var arrays struct {
		Items []struct {
			LogProbs [][]any `json:"greedy_log_probs"`
		}
	}
	var file struct {
		Items []struct {
			Values struct {
				Top5 map[string]float64 `json:"top5"`
			}
		}
	}
	for name, into := range map[string]any{"lm_polygraph.json": &arrays, "uqlm.json": &file} {
		raw, err := os.ReadFile(filepath.Join(dir, "uq-golden", name))
		if err != nil {
			t.Skipf("no golden values here: %v", err)
		}
		if err := json.Unmarshal(raw, into); err != nil {
			t.Fatal(err)
		}
	}
	for i, item := range arrays.Items {
		var ts []llm.Token
		for _, row := range item.LogProbs {
			var logP []float64
			for _, v := range row {
				l, ok := v.(float64)
				if !ok {
					l = -50 // as the file was made
				}
				logP = append(logP, l)
			}
			slices.SortFunc(logP, func(a, b float64) int { return int(math.Copysign(1, b-a)) })
			ts = append(ts, llm.Token{Text: "x", LogProb: logP[0], Top: tops(logP[:5]...)})
		}
		for name, s := range map[string]monitor.Signal{"mean_token_negentropy": likelihood.TopEntropy(), "min_token_negentropy": likelihood.MaxTopEntropy(), "probability_margin": likelihood.Margin()} {
			r, err := read(t, s, ts)
			if want := file.Items[i].Values.Top5[name]; err != nil || math.Abs(r.Score-want) > 1e-9 {
				t.Errorf("%s of item %d: %v, want %v (%v)", name, i, r.Score, want, err)
			}
		}
	}
}

func TestTopFigures(t *testing.T) {
	half := []llm.Token{{Text: "a", LogProb: math.Log(.5), Top: tops(math.Log(.5), math.Log(.25))}}
	even := []llm.Token{{Text: "a", LogProb: math.Log(.25), Top: tops(math.Log(.25), math.Log(.25), math.Log(.25), math.Log(.25))}}
	h := -(2./3*math.Log(2./3) + 1./3*math.Log(1./3))
	for _, c := range []struct {
		s          monitor.Signal
		ts         []llm.Token
		score, raw float64
	}{
		{likelihood.TopEntropy(), half, 1 - h/math.Ln2, h},
		{likelihood.TopEntropy(), even, 0, math.Log(4)},
		{likelihood.TopEntropy(), append(half[:1:1], even...), (1 - h/math.Ln2) / 2, (h + math.Log(4)) / 2},
		{likelihood.MaxTopEntropy(), append(half[:1:1], even...), 0, math.Log(4)},
		{likelihood.Margin(), half, .25, .25},
		{likelihood.Margin(), even, 0, 0},
		{likelihood.TailMass(), half, .75, .25},
		{likelihood.TailMass(), even, 1, 0},
		{likelihood.Renyi(), even, 0, 0},
		{likelihood.FisherRao(), even, 0, 0},
	} {
		r, err := read(t, c.s, c.ts)
		if err != nil || !near(r.Score, c.score) || !near(r.Raw, c.raw) || r.Source != "top-k" {
			t.Errorf("%s: %+v, %v; want %v from %v", c.s.Name(), r, err, c.score, c.raw)
		}
	}
	for name, c := range map[string]struct {
		ts    []llm.Token
		needs string
	}{
		"no alternatives": {[]llm.Token{{Text: "x", LogProb: -1}}, "two likeliest tokens"},
		"one alternative": {[]llm.Token{{Text: "x", LogProb: -1, Top: tops(-1)}}, "two likeliest tokens"},
		"one, twice":      {[]llm.Token{{Text: "x", LogProb: -1, Top: []llm.TopToken{{Text: "x", LogProb: -1}, {Text: "x", LogProb: -1}}}}, "two likeliest tokens"},
		"NaN":             {[]llm.Token{{Text: "x", LogProb: -1, Top: tops(-1, math.NaN())}}, "log-probabilities below 0"},
		"above 0":         {[]llm.Token{{Text: "x", LogProb: -1, Top: tops(1, -1)}}, "log-probabilities below 0"},
		"mass above 1":    {[]llm.Token{{Text: "x", LogProb: -.1, Top: tops(-.1, -.1)}}, "of mass"},
		"impossible":      {[]llm.Token{{Text: "x", LogProb: -1, Top: tops(math.Inf(-1), math.Inf(-1))}}, "two likeliest tokens"},
	} {
		for _, s := range []monitor.Signal{likelihood.TopEntropy(), likelihood.MaxTopEntropy(), likelihood.Margin(), likelihood.TailMass(), likelihood.Renyi(), likelihood.FisherRao()} {
			if r, err := read(t, s, c.ts); !errors.Is(err, monitor.ErrMissing) || !strings.Contains(err.Error(), c.needs) {
				t.Errorf("%s, %s: %+v, %v", s.Name(), name, r, err)
			}
		}
	}
}
