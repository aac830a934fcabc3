package engine_test

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gnothi/engine"

	"golang.org/x/sync/errgroup"
)

// modelPath returns the default model's file, or skips.
func modelPath(t testing.TB) string { return goldenModels[0].path(t) }

// goldenModel is a real model with reference values.
type goldenModel struct{ name, env, golden string }

var goldenModels = []goldenModel{
	{"smollm2-135m", "GNOTHI_TEST_MODEL", "smollm2"},
	{"gemma3-270m", "GNOTHI_TEST_GEMMA", "gemma3"},
}

func (m goldenModel) path(t testing.TB) string {
	t.Helper()
	path := os.Getenv(m.env)
	if path == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			t.Skip(err)
		}
		path = filepath.Join(dir, "gnothi", "models", m.name+".gguf")
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the model is not here (gnothi model pull %s, or set %s): %v", m.name, m.env, err)
	}
	return path
}

// golden reads a file of reference values, or skips.
func golden(t testing.TB, name string, into any) {
	t.Helper()
	dir := os.Getenv("GNOTHI_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	b, err := os.ReadFile(filepath.Join(dir, "engine-golden", name))
	if os.IsNotExist(err) {
		t.Skip("reference values are not here (set GNOTHI_DATA): ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, path string, opts engine.Options) *engine.Engine {
	t.Helper()
	e, err := engine.Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func isGo(e *engine.Engine) bool { return e.Info().Kernels == "go" }

type goldenPrompt struct {
	Name      string
	IDs       []int32
	Positions []struct {
		Pos         int
		TopIDs      []int32   `json:"top_ids"`
		TopLogprobs []float64 `json:"top_logprobs"`
	}
	Entropy       []float64
	LogSumExp     []float64
	TokenLogprobs []float64 `json:"token_logprobs"`
	Last          struct {
		ProbeIDs    []int32   `json:"probe_ids"`
		ProbeLogits []float64 `json:"probe_logits"`
		MaxLogit    float64   `json:"max_logit"`
		MeanLogit   float64   `json:"mean_logit"`
	}
	Greedy struct {
		IDs      []int32
		Logprobs []float64
		Entropy  []float64
		Gap      []float64
	}
}

const tolerance = 1e-3 // of the reference values' README; rounding alone gives about 1e-5

func check(t *testing.T, what string, i int, got, want float64) {
	t.Helper()
	if diff := math.Abs(got - want); !(diff <= tolerance) {
		t.Errorf("%s at %d: %v, reference %v (difference %.2g)", what, i, got, want, diff)
	}
}

// result is what the engine says of a golden prompt.
type result struct {
	scored []engine.Scored // the prompt's tokens
	steps  []engine.Step   // greedy continuation
	probes []engine.Scored // single tokens after the prompt
}

func measure(e *engine.Engine, g goldenPrompt) (r result, err error) {
	const top = 10
	if r.scored, err = e.Score(bg, nil, g.IDs, engine.Stats{Top: top}); err != nil {
		return r, err
	}
	p, err := e.Prefill(bg, nil, g.IDs)
	if err != nil {
		return r, err
	}
	err = e.Generate(bg, p, []engine.Sampling{{MaxTokens: len(g.Greedy.IDs), Stats: engine.Stats{Top: top}}}, func(_ int, s engine.Step) bool {
		r.steps = append(r.steps, s)
		return true
	})
	for _, id := range g.Last.ProbeIDs {
		s, perr := e.Score(bg, p, []int32{id}, engine.Stats{})
		if err = errors.Join(err, perr); err != nil {
			return r, err
		}
		r.probes = append(r.probes, s...)
	}
	return r, err
}

// TestGolden compares every number the engine gives with a float64 reference on the real models.
func TestGolden(t *testing.T) {
	for _, m := range goldenModels {
		t.Run(m.name, m.logits)
	}
}

func (m goldenModel) logits(t *testing.T) {
	var file struct{ Prompts []goldenPrompt }
	path := m.path(t)
	golden(t, "logits-"+m.golden+".json", &file)
	e := open(t, path, engine.Options{})
	prompts := file.Prompts
	if isGo(e) { // some twenty times slower
		prompts = slices.DeleteFunc(prompts, func(g goldenPrompt) bool { return len(g.IDs) > 8 })
		for i := range prompts {
			prompts[i].Greedy.IDs = prompts[i].Greedy.IDs[:2]
		}
	}
	if len(prompts) < 5 {
		t.Fatalf("only %d prompts", len(prompts))
	}
	// The prompts run side by side, in shared batches: that must change nothing.
	results := make([]result, len(prompts))
	var group errgroup.Group
	for i, g := range prompts {
		group.Go(func() (err error) {
			results[i], err = measure(e, g)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for i, g := range prompts {
		scored, steps := results[i].scored, results[i].steps
		t.Run(g.Name, func(t *testing.T) {
			dists := make([]engine.Dist, len(g.IDs)) // after each token
			for i := 1; i < len(g.IDs); i++ {
				dists[i-1] = scored[i].Dist
				check(t, "log-probability", i, scored[i].LogProb, g.TokenLogprobs[i-1])
			}
			dists[len(dists)-1] = steps[0].Dist
			if scored[0].Conditioned || scored[0].ID != g.IDs[0] {
				t.Errorf("the first token has numbers: %+v", scored[0])
			}
			for i, d := range dists {
				check(t, "entropy", i, d.Entropy, g.Entropy[i])
				check(t, "log Z", i, d.LogZ, g.LogSumExp[i])
			}
			for _, want := range g.Positions {
				// KL over the reference's ten tokens and the rest as an eleventh: a lower bound on
				// the whole. Each term is p·ln(p/q) − p + q, which the reference's six digits
				// hardly disturb.
				kl, restP, restQ := 0.0, 1.0, 1.0
				term := func(p, q float64) float64 { return p*math.Log(p/q) - p + q }
				top := dists[want.Pos].Top
				got := map[int32]float64{}
				for _, c := range top {
					got[c.ID] = c.LogProb
				}
				for j, id := range want.TopIDs {
					lp := want.TopLogprobs[j]
					lq, ok := got[id]
					if !ok { // two nearly equal tokens may change places at the end of the list
						lq = top[len(top)-1].LogProb
					}
					check(t, "top log-probability", want.Pos, lq, lp)
					p, q := math.Exp(lp), math.Exp(lq)
					kl += term(p, q)
					restP, restQ = restP-p, restQ-q
				}
				if restP > 1e-3 {
					kl += term(restP, restQ)
				}
				if kl > 1e-8 {
					t.Errorf("KL at %d: %.3g", want.Pos, kl)
				}
			}
			last := steps[0].Dist
			for j, p := range results[i].probes {
				check(t, "probed logit", int(p.ID), p.LogProb+p.LogZ, g.Last.ProbeLogits[j])
			}
			check(t, "largest logit", 0, last.Top[0].LogProb+last.LogZ, g.Last.MaxLogit)
			check(t, "self-certainty", 0, last.SelfCertainty, g.LogSumExp[len(g.IDs)-1]-g.Last.MeanLogit-math.Log(float64(e.Info().Vocab)))
			if len(steps) != len(g.Greedy.IDs) {
				t.Fatalf("%d greedy steps, want %d", len(steps), len(g.Greedy.IDs))
			}
			for i, s := range steps {
				if s.ID != g.Greedy.IDs[i] {
					if g.Greedy.Gap[i] < tolerance {
						break // either choice is right, and what follows differs
					}
					t.Fatalf("greedy token %d is %d, reference %d", i, s.ID, g.Greedy.IDs[i])
				}
				check(t, "greedy log-probability", i, s.LogProb, g.Greedy.Logprobs[i])
				check(t, "greedy entropy", i, s.Entropy, g.Greedy.Entropy[i])
			}
		})
	}
}

func TestGoldenHidden(t *testing.T) {
	for _, m := range goldenModels {
		t.Run(m.name, m.hidden)
	}
}

func (m goldenModel) hidden(t *testing.T) {
	var file struct {
		States []struct {
			Name      string
			IDs       []int32
			ResidPost []struct {
				Layer  int
				L2     float64
				MaxAbs float64 `json:"max_abs"`
				First8 []float64
			} `json:"resid_post"`
			FinalNorm struct {
				L2     float64
				First8 []float64
			} `json:"final_norm"`
		}
	}
	path := m.path(t)
	golden(t, "hidden-"+m.golden+".json", &file)
	e := open(t, path, engine.Options{})
	worst := 0.0
	for _, g := range file.States {
		if isGo(e) && len(g.IDs) > 8 {
			continue
		}
		var sites []engine.Site
		for _, r := range g.ResidPost {
			sites = append(sites, engine.Site{Layer: r.Layer, Point: engine.ResidPost})
		}
		sites = append(sites, engine.Site{Point: engine.FinalNorm})
		states, err := e.Hidden(bg, nil, g.IDs, sites...)
		if err != nil {
			t.Fatal(err)
		}
		compare := func(what string, got []float32, l2 float64, first8 []float64) {
			sum := 0.0
			for _, x := range got {
				sum += float64(x) * float64(x)
			}
			diff := math.Abs(math.Sqrt(sum) - l2)
			for i, want := range first8 {
				diff = max(diff, math.Abs(float64(got[i])-want))
			}
			worst = max(worst, diff/l2)
			if !(diff/l2 < 1e-5) {
				t.Errorf("%s, %s: off by %.3g of the L2 norm %v", g.Name, what, diff/l2, l2)
			}
		}
		for i, r := range g.ResidPost {
			compare("layer", states[i], r.L2, r.First8)
		}
		compare("final norm", states[len(states)-1], g.FinalNorm.L2, g.FinalNorm.First8)
	}
	t.Logf("largest difference ÷ L2: %.2g", worst)
}
