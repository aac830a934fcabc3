package mcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"gnothi"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/claims"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

type checkIn struct {
	Text      string   `json:"text" jsonschema:"the text to check, such as an answer or a summary"`
	Context   string   `json:"context,omitempty" jsonschema:"what the text must rest on; without it, what the model knows"`
	Question  string   `json:"question,omitempty" jsonschema:"the question that the text answers: the text is then held against the model's own answers to it"`
	Samples   *int     `json:"samples,omitempty" jsonschema:"how many of those answers, 1 to 50; default 5"`
	Threshold *float64 `json:"threshold,omitempty" jsonschema:"claims with less support than this are unsupported, 0 to 1; default 0.5"`
	Limit     *int     `json:"claims,omitempty" jsonschema:"most claims to check, 1 to 1000; default 100"`
	Budget    *Budget  `json:"budget,omitempty" jsonschema:"ceilings of this call"`
}

func (in checkIn) ceilings() *Budget { return in.Budget }

type checkOut struct {
	By        string         `json:"by" jsonschema:"where the support comes from: context, samples or knowledge"`
	Threshold float64        `json:"threshold"`
	Claims    []claim        `json:"claims"`
	Counts    map[string]int `json:"counts" jsonschema:"claims by status"`
	Stopped   string         `json:"stopped,omitempty" jsonschema:"why not everything was checked"`
	Model     string         `json:"model"`
	Spend     gnothi.Spend   `json:"spend"`
}

// claim is a piece of a text and how far it is supported.
type claim struct {
	Text      string   `json:"text"`
	Span      [2]int   `json:"span" jsonschema:"byte offsets in the text"`
	Status    string   `json:"status" jsonschema:"supported, unsupported, or why nobody could tell: unparsed, failed, inapplicable, not checked"`
	Supported *float64 `json:"supported" jsonschema:"from 0 to 1; no probability"`
	Yes       int      `json:"yes" jsonschema:"verdicts for it"`
	No        int      `json:"no"`
	Unclear   int      `json:"unclear"`
}

// The statuses of a claim that was checked.
const (
	supported   = "supported"
	unsupported = "unsupported"
)

// defaultSupport is the support below which a claim is unsupported, where the
// call does not say.
const defaultSupport = 0.5

func addCheck(s *Server) error {
	return add(s, tool{"check", "Check a text claim by claim", "Split a text into claims and say how far each is supported: by the context if there is one, " +
		"else by the model's own answers to the question if there is one, else by what the model knows. Spans say where the claims stand."}, check)
}

func check(ctx context.Context, c *call, in checkIn) (out checkOut, err error) {
	n, limit := orElse(in.Samples, claims.DefaultSamples), orElse(in.Limit, claims.Limit)
	if err := cmp.Or(filled("text", in.Text), readable("context", in.Context), readable("question", in.Question), within("samples", n, 1, 50), within("claims", limit, 1, 1000)); err != nil {
		return out, err
	}
	rule, err := c.rule(in.Threshold, nil)
	if err != nil {
		return out, err
	}
	out = checkOut{Threshold: cmp.Or(rule.Threshold, defaultSupport), Claims: []claim{}, Counts: map[string]int{}, Model: c.Model.ID().String()}
	if in.Threshold != nil {
		out.Threshold = *in.Threshold
	}
	var by claims.Source
	switch {
	case strings.TrimSpace(in.Context) != "":
		out.By, by = "context", claims.Context{}
	case strings.TrimSpace(in.Question) != "":
		out.By, by = "samples", claims.Samples{N: n}
	default:
		out.By, by = "knowledge", claims.Knowledge{}
	}
	q := monitor.Question{Text: in.Question, Context: in.Context}
	name := c.Form
	if name == "auto" {
		name = "chat" // a text is longer than the short answers of the other forms
	}
	form, ok := prompt.Select(name, c.Model, q)
	if !ok {
		return out, fmt.Errorf("form %q: want auto, shots or chat", c.Form)
	}
	req := form.Request(monitor.Question{Text: q.Text}) // what the text is held against is not shown to samples
	req.MaxTokens = min(req.MaxTokens, max(64, len(in.Text)/2))
	t := monitor.NewTrial(monitor.TrialOptions{
		Model: c.Model, Question: q, Request: req, Ledger: c.ledger, Seed: llm.Derive(c.Seed, in.Text, 0), Progress: func(n int) { c.progress(n, "samples") },
	})
	given := &monitor.Candidate{Choice: llm.Choice{Text: in.Text}, Origin: monitor.FromOutside}
	out.Claims, out.Stopped, err = support(ctx, t, claims.Supports{Candidate: given, Source: by, Limit: limit}, out.Threshold)
	for _, cl := range out.Claims {
		out.Counts[cl.Status]++
	}
	out.Spend = c.spend()
	return out, err
}

// support gathers the support of a text's claims. What ended it early is told in
// stopped; it is an error if nothing came before it.
func support(ctx context.Context, t *monitor.Trial, want claims.Supports, threshold float64) (found []claim, stopped string, err error) {
	found = []claim{}
	all, _ := text.Claims(want.Candidate.Text, 0)
	for _, cl := range all {
		found = append(found, claim{Text: cl.Text, Span: [2]int{cl.Span.Start, cl.Span.End}, Status: claims.NotChecked.String()})
	}
	if len(all) == 0 {
		return found, "", nil
	}
	report, err := monitor.Get(ctx, t, want)
	if ctx.Err() != nil {
		return found, "", ctx.Err()
	}
	if err == nil {
		err = report.Err
	}
	known := false
	for i, s := range report.Supports {
		cl := &found[i]
		cl.Status, cl.Yes, cl.No, cl.Unclear = s.Status.String(), s.Yes, s.No, s.Unclear
		if s.Status == claims.Checked {
			known = true
			cl.Supported, cl.Status = &s.Score, supported
			if s.Score < threshold {
				cl.Status = unsupported
			}
		}
	}
	if err != nil {
		if !known {
			return found, "", err
		}
		return found, err.Error(), nil
	}
	if report.Left > 0 {
		return found, fmt.Sprintf("%d claims beyond the first %d were not checked", report.Left, len(report.Supports)), nil
	}
	if !known {
		err = errors.New("the model gave no verdict that can be read: another model may")
	}
	return found, stopped, err
}
