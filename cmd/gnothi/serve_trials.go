package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"gnothi/gateway"
	"gnothi/store"
)

// trialsFile is the file of trials in a state folder.
const trialsFile = "trials.sqlite"

// inMemory bounds trials that are not kept on disk.
const inMemory = 16 << 20

// trialFlags are the flags of serve about what is kept of answers.
type trialFlags struct {
	none           bool
	keep, maxBytes string
	audit          float64
	drift          string
	fingerprint    time.Duration
}

func (t *trialFlags) add(f *pflag.FlagSet) {
	f.BoolVar(&t.none, "no-trials", false, "keep no trials: questions and answers are then nowhere on disk, and there is nothing to look at")
	f.StringVar(&t.keep, "trials-keep", "30d", "how long trials are kept, such as 36h or 30d")
	f.StringVar(&t.maxBytes, "trials-max-bytes", "512MiB", "most bytes of trials; the oldest go first")
	f.Float64Var(&t.audit, "audit", 0, "share of answers, 0 to 1, that are marked at random to be labelled, so that figures hold for all answers")
	f.StringVar(&t.drift, "drift", gateway.DriftAudit, "verdicts that withdraw a calibrator which no longer holds: audit (of marked answers), all (if verdicts come for all answers), none")
	f.DurationVar(&t.fingerprint, "fingerprint", 0, "ask the model fixed questions so often, such as 1h, and withdraw its calibrators if it changes under its name (0: never)")
}

// open opens the trials of a server and tells the gateway of them.
func (t *trialFlags) open(ctx context.Context, s *state, o *gateway.Options) (closeTrials func() error, err error) {
	closeTrials = func() error { return nil }
	if !(t.audit >= 0 && t.audit <= 1) {
		return nil, usagef("--audit %v: want a share from 0 to 1", t.audit)
	}
	o.Audit = t.audit
	if t.fingerprint < 0 || t.fingerprint > 0 && (t.fingerprint < time.Minute || t.none) {
		return nil, usagef("--fingerprint %v: want a minute or more, and trials to keep it with", t.fingerprint)
	}
	if !slices.Contains([]string{gateway.DriftAudit, gateway.DriftAll, gateway.DriftNone}, t.drift) {
		return nil, usagef("--drift %q: want %s, %s or %s", t.drift, gateway.DriftAudit, gateway.DriftAll, gateway.DriftNone)
	}
	keep, err := parseDays(t.keep)
	if err != nil {
		return nil, usagef("--trials-keep %q: %w", t.keep, err)
	}
	most, err := parseBytes(t.maxBytes)
	if err != nil {
		return nil, usagef("--trials-max-bytes %q: %w", t.maxBytes, err)
	}
	if t.none {
		return closeTrials, nil
	}
	path := s.file(trialsFile)
	if path == "" {
		most = min(most, inMemory)
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	o.Trials, err = store.OpenTrials(ctx, path, store.TrialOptions{Keep: keep, MaxBytes: most, Report: func(err error) { log.Error("trials", "error", err.Error()) }})
	if err != nil {
		return nil, err
	}
	if o.Watch, err = gateway.NewWatch(ctx, o.Trials, t.drift); err != nil {
		return nil, errors.Join(err, o.Trials.Close())
	}
	return o.Trials.Close, nil
}

// watch asks the served model for its fingerprint, if that is wanted, until it is
// stopped. current gives the gateway in force.
func (t *trialFlags) watch(ctx context.Context, current func() *gateway.Gateway) (stop func()) {
	if t.fingerprint <= 0 || t.none {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { gateway.Fingerprint(ctx, t.fingerprint, current) })
	return func() { cancel(); wg.Wait() }
}

// parseDays reads a time that may be in days.
func parseDays(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || !(n > 0 && n <= 36500) {
			return 0, fmt.Errorf("want days such as 30d, or hours such as 36h")
		}
		return time.Duration(n * 24 * float64(time.Hour)), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("want days such as 30d, or hours such as 36h")
	}
	return d, nil
}

// parseBytes reads a size such as 512MiB.
func parseBytes(s string) (int64, error) {
	number, unit := s, 1.0
	for suffix, u := range map[string]float64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12} {
		if n, ok := strings.CutSuffix(s, suffix); ok {
			number, unit = strings.TrimSpace(n), u
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if n *= unit; err != nil || !(n >= 1 && n < math.MaxInt64/2) {
		return 0, fmt.Errorf("want bytes, or a size such as 512MiB")
	}
	return int64(n), nil
}
