package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"gnothi/gateway"
	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/monitor/calibrate"
	"gnothi/store"
)

// calibratedFor fits a calibrator for what a trial was answered with, by which
// most answers are right.
func calibratedFor(t *testing.T, trials *store.Trials, id string, seed uint64) *calibrate.Set {
	t.Helper()
	x, err := trials.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var key calibrate.Key
	if err := json.Unmarshal([]byte(gjson.GetBytes(x.Body, "explanation.calibrator_key").Raw), &key); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	var examples []calibrate.Example
	for range 400 {
		score := rng.Float64()
		examples = append(examples, calibrate.Example{Right: rng.Float64() < 0.5+0.45*score, Readings: []calibrate.Named{{Name: "likelihood/mean-logprob", Reading: monitor.Reading{Score: score}}}})
	}
	c, _, err := calibrate.Fit(key, "small auto", "examples", examples, 1)
	if err != nil {
		t.Fatal(err)
	}
	set, err := calibrate.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	set.Add(c)
	return set
}

func watching(t *testing.T, trials *store.Trials, from string) *gateway.Watch {
	t.Helper()
	w, err := gateway.NewWatch(t.Context(), trials, from)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// calibration is what an answer's probability rests on.
func calibration(t *testing.T, trials *store.Trials, url string) (status, why string) {
	t.Helper()
	x, err := trials.Get(t.Context(), asked(t, url, "auto", "And now?"))
	if err != nil {
		t.Fatal(err)
	}
	b := gjson.GetBytes(x.Body, "belief.calibration")
	return b.Get("status").String(), b.Get("why").String()
}

func TestDriftWithdrawsACalibrator(t *testing.T) {
	trials := keeping(t)
	u, _ := serve(t, gateway.Options{Model: sample(), Trials: trials})
	key := asked(t, u, "auto", "Capital of France?")
	set := calibratedFor(t, trials, key, 1)
	options := gateway.Options{Model: sample(), Trials: trials, Calibrators: set, Audit: 1, Watch: watching(t, trials, gateway.DriftAudit)}
	u, _ = serve(t, options)
	if status, why := calibration(t, trials, u); status != "calibrated" || why != "" {
		t.Fatalf("%s: %s", status, why)
	}
	judge := func(url string, correct bool) {
		t.Helper()
		id := asked(t, url, "auto", "Capital of France?")
		if status, body, _ := post(t, url+"/v1/feedback", fmt.Sprintf(`{"id":%q,"correct":%v,"audit":true}`, id, correct)); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
	}
	// Verdicts as they were promised change nothing.
	for i := range 60 {
		judge(u, i%10 != 0)
	}
	if status, why := calibration(t, trials, u); status != "calibrated" {
		t.Fatalf("by chance: %s: %s", status, why)
	}
	wrong := 0
	for status := "calibrated"; status == "calibrated"; wrong++ {
		if wrong > 100 {
			t.Fatal("answers are wrong all the time, and the calibrator stays")
		}
		judge(u, false)
		status, _ = calibration(t, trials, u)
	}
	t.Logf("withdrawn after %d wrong answers", wrong)
	status, why := calibration(t, trials, u)
	if status != "prior" || !strings.Contains(why, "withdrawn") || !strings.Contains(why, "--from-feedback") {
		t.Errorf("%s: %s", status, why)
	}
	if _, body := get(t, u+"/reliability"); !strings.Contains(body, "the calibrator was withdrawn") || !strings.Contains(body, "stand for") {
		t.Errorf("the page does not tell: %s", body)
	}
	if _, body := get(t, u+"/metrics"); !strings.Contains(body, "gnothi_calibrators_withdrawn 1") || !strings.Contains(body, `gnothi_calibration_drift{calibrator=`) || !strings.Contains(body, `gnothi_trials_total{fate="written"}`) {
		t.Errorf("the metrics do not tell:\n%s", body)
	}
	// A server that starts again remembers, one with another fit begins anew.
	options.Watch = watching(t, trials, gateway.DriftAudit)
	u, _ = serve(t, options)
	if status, _ := calibration(t, trials, u); status != "prior" {
		t.Errorf("after a restart: %s", status)
	}
	options.Calibrators = calibratedFor(t, trials, key, 2)
	u, _ = serve(t, options)
	if status, _ := calibration(t, trials, u); status != "calibrated" {
		t.Errorf("fitted anew: %s", status)
	}

	labels, err := gateway.LabelledTrials(t.Context(), trials)
	if err != nil || len(labels) != 1 || labels[0].Marked != 60+wrong || labels[0].Own != 0 || labels[0].Waiting == 0 {
		t.Fatalf("%+v %v", labels, err)
	}
	if w := labels[0].Examples[0].Weight; w <= 1 {
		t.Errorf("an answer that was marked for sure stands for those that wait, too: %v", w)
	}
}

// Verdicts that come of their own accord are of wrong answers mostly; they do not
// withdraw a calibrator unless that is asked for.
func TestDriftIsNotOfThoseWhoComplain(t *testing.T) {
	for from, want := range map[string]string{gateway.DriftAudit: "calibrated", gateway.DriftAll: "prior", gateway.DriftNone: "calibrated"} {
		trials := keeping(t)
		u, _ := serve(t, gateway.Options{Model: sample(), Trials: trials})
		set := calibratedFor(t, trials, asked(t, u, "auto", "Capital of France?"), 1)
		u, _ = serve(t, gateway.Options{Model: sample(), Trials: trials, Calibrators: set, Watch: watching(t, trials, from)})
		for range 60 {
			id := asked(t, u, "auto", "Capital of France?")
			if status, body, _ := post(t, u+"/v1/feedback", fmt.Sprintf(`{"id":%q,"correct":false}`, id)); status != 200 {
				t.Fatalf("%d %s", status, body)
			}
		}
		if status, why := calibration(t, trials, u); status != want {
			t.Errorf("--drift %s: %s: %s", from, status, why)
		}
	}
	if _, err := gateway.NewWatch(t.Context(), keeping(t), "sometimes"); err == nil {
		t.Error("drift from sometimes")
	}
}

func TestFingerprint(t *testing.T) {
	var other, rounds atomic.Int64
	m := named(script.New(func(op llm.Op, i int) script.Reply {
		question := op.Request.Messages[0].Text
		if op.Role == "fingerprint" {
			if op.Request.Temperature == nil || *op.Request.Temperature != 0 {
				t.Errorf("asked at temperature %v", op.Request.Temperature)
			}
			rounds.Add(1)
		}
		text := fmt.Sprintf("answer %d to %s", other.Load(), question)
		return script.Reply{Text: text, Tokens: script.Words(text, -0.1)}
	}, llm.LogProbs))
	trials := keeping(t)
	u, _ := serve(t, gateway.Options{Model: m, Trials: trials})
	set := calibratedFor(t, trials, asked(t, u, "auto", "Capital of France?"), 1)
	g, err := gateway.New(gateway.Options{Model: m, Trials: trials, Calibrators: set, Policies: policies, Watch: watching(t, trials, gateway.DriftAudit)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		gateway.Fingerprint(ctx, time.Millisecond, func() *gateway.Gateway { return g })
	}()
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("never: %s", what)
			}
		}
	}
	until("several rounds", func() bool { return rounds.Load() > 12*12 })
	withdrawn := func() []byte {
		raw, err := trials.Note(t.Context(), "withdrawn calibrators")
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	if raw := withdrawn(); raw != nil {
		t.Fatalf("a model that is the same was withdrawn: %s", raw)
	}
	other.Store(1)
	until("an alarm", func() bool { return withdrawn() != nil })
	if raw := string(withdrawn()); !strings.Contains(raw, "behaves otherwise under the same name") || !strings.Contains(raw, "12 of 12") {
		t.Errorf("%s", raw)
	}
	stop()
	<-ended
	if m := gjson.GetBytes(withdrawn(), "@values.#").Int(); m != 1 {
		t.Errorf("%d calibrators withdrawn", m)
	}
}
