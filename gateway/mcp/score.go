package mcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gnothi"
	"gnothi/catalog"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/calibrate"
	"gnothi/monitor/consistency"
	"gnothi/monitor/likelihood"
	"gnothi/monitor/prompt"
)

type scoreIn struct {
	Question string   `json:"question" jsonschema:"the question that was answered"`
	Answer   string   `json:"answer" jsonschema:"the answer to score"`
	Context  string   `json:"context,omitempty" jsonschema:"text that the question came with"`
	Samples  []string `json:"samples,omitempty" jsonschema:"other answers to the same question by whoever gave this one, at most 100; without them this server's model draws some"`
	Draw     *int     `json:"draw,omitempty" jsonschema:"how many it draws then, 0 to 50; default 5"`
	Signals  []string `json:"signals,omitempty" jsonschema:"which signals to read, such as consistency/agreement or verbal/p-true; all: every one that asks the model nothing more; default: a few that say most"`
	Budget   *Budget  `json:"budget,omitempty" jsonschema:"ceilings of this call"`
}

func (in scoreIn) ceilings() *Budget { return in.Budget }

type scoreOut struct {
	Signals     []gnothi.Signal       `json:"signals" jsonschema:"scores from 0 to 1, higher is more to be trusted; no probabilities"`
	Missing     map[string]string     `json:"missing,omitempty" jsonschema:"signals that could not be read, and why"`
	Probability *float64              `json:"probability" jsonschema:"that the answer is right; null where nobody calibrated such scores"`
	Interval    *[2]float64           `json:"interval"`
	Calibration calibrate.Calibration `json:"calibration"`
	Samples     int                   `json:"samples" jsonschema:"answers that it was compared with"`
	Drawn       bool                  `json:"drawn" jsonschema:"they are this server's model's, not the answerer's"`
	Stopped     string                `json:"stopped,omitempty" jsonschema:"why something was not gathered"`
	Model       string                `json:"model"`
	Spend       gnothi.Spend          `json:"spend"`
}

func addScore(s *Server) error {
	return add(s, tool{"score_answer", "Score an answer", "Score an answer that exists already: how likely the model behind this server finds its words, and how far it agrees with other answers " +
		"(given, or drawn from that model). A probability comes with it where such scores were calibrated on labelled answers (gnothi calibrate)."}, score)
}

func score(ctx context.Context, c *call, in scoreIn) (out scoreOut, err error) {
	draw := orElse(in.Draw, defaultDraw)
	if err := cmp.Or(filled("question", in.Question), filled("answer", in.Answer), readable("context", in.Context), within("draw", draw, 0, 50), within("samples", len(in.Samples), 0, 100)); err != nil {
		return out, err
	}
	calibrator, calibrated := c.Calibrators.Find(c.Evidence)
	signals, err := c.signals(in.Signals, calibrator)
	if err != nil {
		return out, err
	}
	q := monitor.Question{Text: in.Question, Context: in.Context}
	form, ok := prompt.Select(c.Form, c.Model, q)
	if !ok {
		return out, fmt.Errorf("form %q: want auto, shots or chat", c.Form)
	}
	o := monitor.TrialOptions{
		Model: c.Model, Question: q, Request: form.Request(q), Ledger: c.ledger, Seed: llm.Derive(c.Seed, in.Question, 0), Progress: func(n int) { c.progress(n, "samples") },
	}
	given := monitor.Given{Answer: &llm.Choice{Text: in.Answer}}
	for _, s := range in.Samples {
		given.Samples = append(given.Samples, llm.Choice{Text: s})
	}
	out = scoreOut{Signals: []gnothi.Signal{}, Model: c.Model.ID().String(), Drawn: len(in.Samples) == 0 && draw > 0}
	asked := monitor.NewTrial(o)
	var gathering error // what of it failed; what came before it is read
	if c.Model.Can(llm.ScoreText) {
		given.Answer.Tokens, err = asked.Tokens(ctx, in.Answer)
		gathering = errors.Join(gathering, err)
	}
	if out.Drawn && gathering == nil {
		drawn, err := asked.Samples(ctx, monitor.DefaultSampling, draw)
		for _, s := range drawn {
			choice := s.Choice
			choice.Text = strings.TrimSpace(choice.Text)
			given.Samples = append(given.Samples, choice)
		}
		gathering = errors.Join(gathering, err)
	}
	if ctx.Err() != nil {
		return out, ctx.Err()
	}
	if gathering != nil {
		out.Stopped = gathering.Error()
	}
	t, answer := monitor.NewGiven(o, given)
	out.Samples = len(given.Samples)
	readings, missing, err := gnothi.Read(ctx, t, answer, signals)
	if err != nil {
		return out, err
	}
	out.Signals, out.Missing = signalsOf(readings), missing
	if len(readings) == 0 && gathering != nil {
		return out, gathering
	}
	out.Calibration.Status = calibrate.Uncalibrated
	why := "nobody calibrated scores of such answers: gnothi calibrate --in LABELLED.jsonl does"
	if calibrated {
		var e *calibrate.Estimate
		if e, out.Calibration = c.Calibrators.Estimate(c.Evidence, readings); e != nil {
			out.Probability, out.Interval = &e.P, &[2]float64{e.Low, e.High}
		}
	} else {
		out.Calibration.Why = &why
	}
	out.Spend = c.spend()
	return out, nil
}

// defaultDraw is how many samples are drawn where a call does not say.
const defaultDraw = 5

// signals finds those that a call names, and those that the calibrator reads.
func (s *Server) signals(names []string, calibrator *calibrate.Calibrator) (out []monitor.Signal, err error) {
	if len(names) > 100 {
		return nil, fmt.Errorf("signals: %d: want at most 100", len(names))
	}
	if len(names) == 0 {
		out = []monitor.Signal{
			likelihood.MeanLogProb(), likelihood.MinLogProb(), likelihood.SequenceLogProb(), likelihood.TokenEntropy(), likelihood.SelfCertainty(),
			consistency.Agreement(0), consistency.Entropy(0), consistency.NovelWords(),
		}
	}
	if calibrator != nil {
		names = slices.Concat(names, calibrator.Signals)
	}
	for _, name := range names {
		if name == "all" {
			for _, signal := range catalog.Signals() {
				if _, free := monitor.NeedsOf(signal); free {
					out = append(out, signal)
				}
			}
			continue
		}
		signal, err := catalog.Signal(name)
		if err != nil {
			return nil, fmt.Errorf("signals: %w", err)
		}
		out = append(out, signal)
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(out, func(s monitor.Signal) bool {
		twice := seen[s.Name()]
		seen[s.Name()] = true
		return twice
	}), nil
}

func signalsOf(readings []calibrate.Named) []gnothi.Signal {
	out := []gnothi.Signal{}
	for _, r := range readings {
		out = append(out, gnothi.Signal{Name: r.Name, Score: r.Score, Raw: r.Raw, Source: r.Source, Reads: r.Reads, Why: r.Why})
	}
	return out
}
