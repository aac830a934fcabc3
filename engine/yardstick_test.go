package engine_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"gnothi/engine"
	"gnothi/engine/enginetest"
)

// TestYardstick compares tiny models of every architecture and every type of weights with what llama.cpp said of them,
// in float32 and with weights that another program has dequantised. `make yardstick` writes the values again.
func TestYardstick(t *testing.T) {
	b, err := os.ReadFile("testdata/yardstick.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []struct {
			Name string
			Last []float64 // logits of the last position
			LogZ []float64 `json:"log_z"` // of every position
		}
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	cases := enginetest.Cases()
	if len(cases) != len(file.Cases) {
		t.Fatalf("%d cases, values for %d: run make yardstick", len(cases), len(file.Cases))
	}
	for i, c := range cases {
		want := file.Cases[i]
		t.Run(c.Name, func(t *testing.T) {
			e := open(t, c.Tiny.File(t), engine.Options{})
			if c.Name != want.Name || len(want.Last) != e.Info().Vocab || len(want.LogZ) != len(c.IDs) {
				t.Fatalf("values of %q: run make yardstick", want.Name)
			}
			rms := 0.0
			for _, x := range want.Last {
				rms += x * x / float64(len(want.Last))
			}
			// What two programs that round differently are apart. llama.cpp looks GELU up in a table of float16.
			limit := 3e-5 * math.Max(1, math.Sqrt(rms))
			if c.Tiny.Arch == "gemma3" {
				limit = 5e-3
			}
			worst := 0.0
			scored := score(t, e, nil, c.IDs)
			for i, s := range scored[1:] {
				worst = max(worst, math.Abs(s.LogZ-want.LogZ[i]))
			}
			steps := generate(t, e, prefill(t, e, nil, c.IDs), engine.Sampling{MaxTokens: 1, Stats: engine.Stats{Top: len(want.Last)}})
			dist := steps[0][0].Dist
			for _, top := range dist.Top {
				worst = max(worst, math.Abs(top.LogProb+dist.LogZ-want.Last[top.ID]))
			}
			t.Logf("rms logit %.2f, largest difference %.2g", math.Sqrt(rms), worst)
			if len(dist.Top) != len(want.Last) || !(worst <= limit) {
				t.Errorf("logits differ by %.3g, more than %.3g", worst, limit)
			}
		})
	}
}
