package stats

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"testing"
)

func TestSummarise(t *testing.T) {
	p, y := draws(seeded(1), 400, honest)
	kind := make([]int, len(y))
	for i := range kind {
		kind[i] = i % 3
	}
	s, err := Summarise(seeded(2), p, y, Options{Group: kind, Resamples: 200})
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]Figure{
		"accuracy": s.Accuracy, "auroc": s.AUROC, "within": s.AUROCWithin, "ap": s.APCorrect, "ap error": s.APError, "aurc": s.AURC, "eaurc": s.EAURC, "prr": s.PRR,
		"prr half": s.PRRHalf, "ece": s.ECE, "mass": s.ECEMass, "debiased": s.ECEDebiased, "perfect": s.ECEPerfect, "debiased perfect": s.ECEDebiasedPerfect, "rmsce": s.RMSCEDebiased,
		"mce": s.MCE, "brier": s.Brier, "log loss": s.LogLoss, "skill": s.Skill, "skill within": s.SkillWithin,
	} {
		if !(f.Low <= f.Value && f.Value <= f.High) || f.N != 400 || f.Method == "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if s.Skill.Low <= 0 || s.Cox == nil || s.Spiegelhalter == nil || s.Cox.Test.P < 0.01 || s.Spiegelhalter.P < 0.01 {
		t.Errorf("honest forecaster: skill %v, Cox %+v, z %+v", s.Skill, s.Cox, s.Spiegelhalter)
	}
	a, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Summarise(seeded(2), p, y, Options{Group: kind, Resamples: 200})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := json.Marshal(again); err != nil || !bytes.Equal(a, b) {
		t.Errorf("same seed, other bytes (%v)", err)
	}
}

func TestSummariseOfScoresThatAreNoProbabilities(t *testing.T) {
	s, err := Summarise(seeded(1), []float64{-3, 2, 8, 1, 4, 0}, []float64{0, 1, 1, 0, 0, 1}, Options{Resamples: 50})
	if err != nil {
		t.Fatal(err)
	}
	if math.IsNaN(s.AUROC.Value) || s.ECE.Why == "" || s.Brier.Why == "" || s.LogLoss.Why == "" || s.Cox != nil {
		t.Errorf("%+v", s)
	}
	if b, err := json.Marshal(s); err != nil || !bytes.Contains(b, []byte(`"ece":{"value":null`)) {
		t.Errorf("%s, %v", b, err)
	}
}

// Whatever the numbers are: a summary that JSON can hold, with a reason for each missing value, or an error.
func FuzzSummarise(f *testing.F) {
	pack := func(v ...float64) (b []byte) {
		for _, x := range v {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
		}
		return b
	}
	f.Add(pack(.1, 0, .5, 1, .9, 1), true)
	f.Add(pack(.5, 1, .5, 1), false)
	f.Add(pack(0, 1, 1, 0, 1, 1), true)
	f.Add(pack(math.NaN(), 1), false)
	f.Add(pack(-math.MaxFloat64, 0, math.MaxFloat64, 1, 5e-324, 0.3), true)
	f.Fuzz(func(t *testing.T, b []byte, grouped bool) {
		var score, y []float64
		var o Options
		for ; len(b) >= 16 && len(y) < 40; b = b[16:] {
			score = append(score, math.Float64frombits(binary.LittleEndian.Uint64(b)))
			y = append(y, math.Float64frombits(binary.LittleEndian.Uint64(b[8:])))
			if grouped {
				o.Group, o.Cluster = append(o.Group, len(y)%2), append(o.Cluster, len(y)/2)
			}
		}
		o.Resamples = 20
		s, err := Summarise(seeded(1), score, y, o)
		if err != nil {
			return
		}
		out, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back map[string]json.RawMessage
		if err := json.Unmarshal(out, &back); err != nil {
			t.Fatal(err)
		}
		for name, raw := range back {
			var f Figure
			if !bytes.HasPrefix(raw, []byte(`{"value"`)) {
				continue
			}
			if json.Unmarshal(raw, &f) == nil && f.N > 0 && math.IsNaN(f.Low) && f.Why == "" {
				t.Errorf("%s: %s lacks a part and does not say why", name, raw)
			}
		}
	})
}
