package stats

import (
	"encoding/json"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat"
)

// What other libraries call by the same names comes out too, where it is another setting of what is here.
func TestGoldenOtherLibraries(t *testing.T) {
	compared := 0
	for _, c := range calibrationCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			check := func(key string, got float64, tol float64) {
				t.Helper()
				if want, ok := c.Values[key].(float64); ok {
					near(t, key, got, nil, want, tol)
					compared++
				}
			}
			for suffix, m := range map[string]int{"_10": 10, "_15": 15} {
				bins, err := Bins(c.P, c.Y, WidthLeft, m)
				if err != nil {
					t.Fatal(err)
				}
				check("netcal_ece"+suffix, ECE(bins), 1e-9)
				check("netcal_mce"+suffix, MCE(bins), 1e-9)
				check("relplot_binnedECE"+suffix, ECE(bins), 1e-9)
				mass, err := Bins(c.P, c.Y, MassQuantile, m)
				if err != nil {
					t.Fatal(err)
				}
				// A value on an edge goes up there and down here: with ties, or where an edge's rank is whole, they differ.
				onEdge := len(slices.Compact(slices.Sorted(slices.Values(c.P)))) < len(c.P)
				for k := 1; k < m; k++ {
					onEdge = onEdge || (len(c.P)-1)*k%m == 0
				}
				if !onEdge {
					check("netcal_ece_equal_mass"+suffix, ECE(mass), 1e-9)
				}
			}
			// scikit-learn's default is a ridge on the score as it is; ours is on standardised features.
			if raw := c.Fits["platt_l2_C1_raw_as_uqlm"]; raw != nil {
				var want struct{ Probe []float64 }
				if err := json.Unmarshal(raw, &want); err != nil {
					t.Fatal(err)
				}
				x := make([][]float64, len(c.P))
				for i, p := range c.P {
					x[i] = []float64{p}
				}
				m, err := FitLogistic(x, c.Y, 1/stat.PopVariance(c.P, nil))
				if err != nil {
					t.Fatal(err)
				}
				for i, p := range c.Probe {
					v, err := m.Predict([]float64{p})
					near(t, "ridge", v, err, want.Probe[i], 1e-3) // it stops early
					compared++
				}
			}
			// Where p reaches 0 or 1 a library's clip decides the temperature, so those cases are left out.
			if raw := c.Fits["netcal_temperature"]; raw != nil && slices.Min(c.P) > 0 && slices.Max(c.P) < 1 {
				var want struct{ Probe []float64 }
				if err := json.Unmarshal(raw, &want); err != nil {
					t.Fatal(err)
				}
				m, err := FitTemperature(c.P, c.Y)
				for i, p := range c.Probe {
					near(t, "netcal temperature", m.Apply(p), err, want.Probe[i], 1e-4)
					compared++
				}
			}
		})
	}
	if compared < 100 {
		t.Errorf("only %d values compared", compared)
	}
}
