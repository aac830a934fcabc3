package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"gnothi"
	"gnothi/llm"
)

// The questions by which a model is known again. Their answers are short, differ
// from model to model, and are worth nothing in themselves.
var fingerprintQuestions = []string{
	"Describe the sea in exactly eight words.",
	"Name one town in Portugal that is not its capital, and one thing that it is known for.",
	"Continue: The clockmaker opened the door and",
	"What is 347 * 29? Show one step.",
	"Give three words that rhyme with stone.",
	"In one sentence, why is the sky red in the evening?",
	"Write a title for a book about lost keys.",
	"Translate into French: The train that we missed was the last one.",
	"Which is heavier, a litre of oil or a litre of water, and why? One sentence.",
	"Name a mineral that begins with the letter B, and its colour.",
	"Write a short line of code that reverses a string, in any language.",
	"What would you ask a lighthouse keeper? One question.",
}

const (
	// fingerprintRounds are asked to begin with, so that it is known how far the
	// answers vary by themselves.
	fingerprintRounds = 5
	fingerprintTokens = 24
	// fingerprintChance is how likely a round is to look changed where nothing has
	// changed; two in a row are needed.
	fingerprintChance = 0.001
	fingerprintTime   = 2 * time.Minute // for one question
)

// fingerprint is what a model said to each question, in the rounds to begin with.
type fingerprint struct {
	Schema int        `json:"schema"`
	Since  time.Time  `json:"since"`
	Rounds [][]string `json:"rounds"`
}

// Fingerprint asks the served model the same questions again and again, at
// temperature 0, until the context ends: where it behaves otherwise than before
// under the same name, its calibrators are withdrawn. current gives the gateway in
// force. A round that fails tells nothing, and the next one is waited for.
func Fingerprint(ctx context.Context, every time.Duration, current func() *Gateway) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		g := current()
		if err := g.fingerprintRound(ctx); err != nil && ctx.Err() == nil {
			g.Log.Warn("fingerprint", "error", explain(err).message)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// fingerprintRound compares what the model says now with what it said before.
func (g *Gateway) fingerprintRound(ctx context.Context) error {
	if g.Watch == nil {
		return errors.New("there is nowhere to keep it: it needs trials")
	}
	id := g.Model.ID()
	name := "fingerprint " + id.Key()
	raw, err := g.Trials.Note(ctx, name)
	if err != nil {
		return err
	}
	var known fingerprint
	if raw != nil {
		if err := json.Unmarshal(raw, &known); err != nil {
			return fmt.Errorf("what was kept of it: %w", err)
		}
	}
	if known.Schema != 1 || len(known.Rounds) < fingerprintRounds {
		return g.beginFingerprint(ctx, name)
	}
	changed := 0
	for again := range 2 {
		now, err := g.askFingerprint(ctx)
		if err != nil {
			return err
		}
		var p float64
		if changed, p = known.changed(now); p >= fingerprintChance {
			return nil
		}
		if again == 0 {
			g.Log.Warn("fingerprint: the model answers otherwise than before; it is asked again", "changed", changed, "of", len(now))
		}
	}
	why := fmt.Sprintf("the calibrator was withdrawn: %s behaves otherwise under the same name: twice in a row %d of %d answers to fixed questions at temperature 0 were none of those that it gave on %s; `gnothi calibrate` fits it anew",
		id, changed, len(fingerprintQuestions), known.Since.UTC().Format("2 January 2006"))
	g.Log.Error("fingerprint: the model has changed under its name", "model", id.String())
	var digests []string
	for key, digest := range g.digests {
		if key.Model == id.Key() {
			digests = append(digests, digest)
		}
	}
	slices.Sort(digests)
	if err := g.Watch.Withdraw(ctx, digests, why); err != nil {
		return err
	}
	return g.beginFingerprint(ctx, name) // what comes after is compared with what it is now
}

func (g *Gateway) beginFingerprint(ctx context.Context, name string) error {
	f := fingerprint{Schema: 1, Since: time.Now()}
	for range fingerprintRounds {
		round, err := g.askFingerprint(ctx)
		if err != nil {
			return err
		}
		f.Rounds = append(f.Rounds, round)
	}
	raw, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return g.Trials.SetNote(ctx, name, raw)
}

// askFingerprint asks each question once.
func (g *Gateway) askFingerprint(ctx context.Context) ([]string, error) {
	zero := 0.0
	ledger := llm.NewLedger(llm.Limits{})
	start := time.Now()
	defer func() { g.metrics.spent(gnothi.SpendOf(ledger, time.Since(start))) }()
	var said []string
	for i, q := range fingerprintQuestions {
		request := llm.Request{Messages: []llm.Message{{Role: "user", Text: q}}, MaxTokens: fingerprintTokens, Temperature: &zero}
		asking, cancel := context.WithTimeout(llm.WithCache(llm.WithLedger(ctx, ledger), llm.CacheUse{Off: true}), fingerprintTime)
		res, err := g.Model.Do(asking, llm.Op{Request: request, Indices: llm.Range(0, 1), Seed: g.Seed, Role: "fingerprint"})
		cancel()
		if err != nil {
			return nil, fmt.Errorf("question %d: %w", i+1, err)
		}
		if len(res.Choices) == 0 {
			return nil, fmt.Errorf("question %d: no answer", i+1)
		}
		said = append(said, strings.Join(strings.Fields(res.Choices[0].Text), " "))
	}
	return said, nil
}

// changed counts the questions that are answered as never before, and gives how
// likely as many are if nothing has changed: of all rounds, each answer that no
// other round gave is one, and which round they fall into is chance (Fisher's
// exact test, one-sided). An answer of a round to begin with has one round less to
// be found in than a new one, which errs on the side of no alarm.
func (f fingerprint) changed(now []string) (n int, p float64) {
	before := 0
	for i := range now {
		if !slices.ContainsFunc(f.Rounds, func(round []string) bool { return i < len(round) && round[i] == now[i] }) {
			n++
		}
		for k, round := range f.Rounds {
			single := i < len(round)
			for l, other := range f.Rounds {
				single = single && (k == l || i >= len(other) || other[i] != round[i])
			}
			if single {
				before++
			}
		}
	}
	// Of all answers n + before are single: how likely are n or more of them among
	// the latest?
	latest, all, single := int64(len(now)), int64(len(now)*(1+len(f.Rounds))), int64(n+before)
	sum, total := new(big.Rat), new(big.Int).Binomial(all, latest)
	for k := int64(n); k <= min(latest, single); k++ {
		ways := new(big.Int).Mul(new(big.Int).Binomial(single, k), new(big.Int).Binomial(all-single, latest-k))
		sum.Add(sum, new(big.Rat).SetFrac(ways, total))
	}
	p, _ = sum.Float64()
	return n, p
}
