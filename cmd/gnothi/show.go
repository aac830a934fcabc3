package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"gnothi"
	"gnothi/control"
	"gnothi/monitor/calibrate"
	"gnothi/text"
)

// palette colours text, or not.
type palette bool

// paletteFor is a colourful palette only if standard output is a terminal and
// nobody asked for none.
func paletteFor(cmd *cobra.Command) palette {
	f, isFile := cmd.OutOrStdout().(*os.File)
	quiet, _ := cmd.Flags().GetBool("quiet")
	plain, _ := cmd.Flags().GetBool("no-color")
	return palette(isFile && term.IsTerminal(int(f.Fd())) && !quiet && !plain && os.Getenv("NO_COLOR") == "")
}

func (p palette) paint(code, s string) string {
	if !p {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p palette) bold(s string) string { return p.paint("1", s) }
func (p palette) dim(s string) string  { return p.paint("2", s) }

// trust colours by how far something can be trusted.
func (p palette) trust(prob float64, s string) string {
	switch {
	case prob >= 0.75:
		return p.paint("32", s)
	case prob >= 0.4:
		return p.paint("33", s)
	}
	return p.paint("31", s)
}

// meter draws a probability ten characters wide.
func meter(prob float64) string {
	full := int(math.Round(prob * 10))
	return strings.Repeat("█", full) + strings.Repeat("░", 10-full)
}

func percent(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }

// printBelief writes a belief for people: the answer alone on the first line,
// then how far to trust it.
func printBelief(w io.Writer, b gnothi.Belief, explain bool, p palette) error {
	var s strings.Builder
	switch b.Decision {
	case control.Answer, control.Hedge:
		answer := ""
		if b.Answer != nil {
			answer = text.Sanitise(*b.Answer)
			if b.Option != "" && b.Option != *b.Answer {
				answer = text.Sanitise(b.Option) + ": " + answer
			}
		}
		if b.Decision == control.Hedge {
			answer = "Perhaps: " + answer
		}
		s.WriteString(p.bold(answer) + "\n\n")
	case control.Clarify:
		s.WriteString(p.bold(text.Sanitise(b.Clarify)) + p.dim("  (decision: clarify)") + "\n\n")
	default:
		s.WriteString(p.bold("I am not sure enough to answer.") + p.dim("  (decision: "+string(b.Decision)+")") + "\n\n")
	}
	s.WriteString("  " + trustLine(b, p) + "\n")
	if why := evidenceLine(b); why != "" {
		s.WriteString(p.dim("  because ") + why + "\n")
	}
	s.WriteString(p.dim("  cost    ") + costLine(b.Spend) + "\n")
	if explain {
		explainTo(&s, b, p)
	}
	_, err := io.WriteString(w, s.String())
	return err
}

func trustLine(b gnothi.Belief, p palette) string {
	switch {
	case b.Outcome == text.Unparsed.String():
		return "the reply could not be read as an answer, so there is no probability"
	case b.Outcome == text.Refused.String():
		return "the model declined to answer, which is neither right nor wrong, so there is no probability"
	case b.Probability == nil:
		return "no probability: " + *b.Calibration.Why
	}
	prob := *b.Probability
	s := p.trust(prob, meter(prob)+" "+percent(prob)+" likely right")
	if b.Interval != nil {
		s += fmt.Sprintf("  (90 %% interval %.0f–%.0f %%; %s)", 100*b.Interval[0], 100*b.Interval[1], calibrationWords(b.Calibration))
	}
	if b.Calibration.Outside {
		s += "\n  " + p.paint("33", "careful: these signals are unlike those of the calibration questions")
	}
	if b.Calibration.Status == calibrate.Borrowed && b.Calibration.Why != nil {
		s += "\n  " + p.dim(*b.Calibration.Why)
	}
	return s
}

func calibrationWords(c calibrate.Calibration) string {
	if c.Status == calibrate.Borrowed {
		return fmt.Sprintf("prior, borrowed from other models: n = %d", c.N)
	}
	return fmt.Sprintf("calibrated on %s, n = %d", c.On, c.N)
}

// evidenceLine says in one line, without terms of the trade, what speaks for
// and against the answer.
func evidenceLine(b gnothi.Belief) string {
	var parts []string
	if b.Outcome == text.Refused.String() {
		parts = append(parts, "the model says that it does not know")
	}
	for _, s := range b.Signals {
		switch s.Name {
		case "consistency/agreement":
			parts = append(parts, fmt.Sprintf("%.0f of %d tries gave this answer", s.Raw, s.Reads))
		case "consistency/share":
			parts = append(parts, fmt.Sprintf("asked again it would say so %s of the time", percent(s.Score)))
		case "likelihood/sequence-logprob":
			parts = append(parts, fmt.Sprintf("these very words had a probability of %s", percent(s.Score)))
		case "verbal/p-true":
			parts = append(parts, fmt.Sprintf("asked back, it says yes with %s", percent(s.Score)))
		case "verbal/stated":
			parts = append(parts, fmt.Sprintf("it states a confidence of %s", percent(s.Score)))
		default:
			if name, ok := strings.CutPrefix(s.Name, "verifier/"); ok {
				says := fmt.Sprintf("%s gives it %.2f", name, s.Score)
				if s.Why != "" {
					says += fmt.Sprintf(" (%s)", shown(s.Why))
				}
				parts = append(parts, says)
			}
		}
	}
	if len(b.Alternatives) > 0 {
		alt := b.Alternatives[0]
		parts = append(parts, fmt.Sprintf("the best rival was %q (%d×)", text.Clip(text.Sanitise(alt.Answer), 40), alt.Count))
	}
	return strings.Join(parts, "; ")
}

func costLine(s gnothi.Spend) string {
	line := fmt.Sprintf("%d calls, %d + %d tokens, %.2f s", s.Calls, s.PromptTokens, s.CompletionTokens, float64(s.WallMS)/1000)
	switch {
	case s.USD == nil:
		return line + ", price unknown"
	case *s.USD == 0:
		return line
	}
	return line + fmt.Sprintf(", $%.6f", *s.USD)
}

func explainTo(s *strings.Builder, b gnothi.Belief, p palette) {
	e := b.Explain()
	t := tabwriter.NewWriter(s, 0, 0, 2, ' ', 0)
	head := func(title string) { fmt.Fprintf(t, "\n%s\n", p.bold(title)) }
	head("What the model said")
	for i, c := range e.Pool {
		prob := ""
		if c.LogProb != nil {
			prob = "p " + fmt.Sprintf("%.3f", math.Exp(*c.LogProb))
		}
		fmt.Fprintf(t, "  %d\t%s\t%s\t%s\t%s\n", i, c.Origin, shown(c.Text), c.Status, prob)
	}
	head("Answers that mean the same")
	for _, c := range e.Classes {
		fmt.Fprintf(t, "  %s\tweight %.3g\tof %v\n", shown(c.Answer), c.Weight, c.Members)
	}
	if e.Tie {
		fmt.Fprintln(t, "  a tie: the first of the equals won")
	}
	fmt.Fprintf(t, "  stopped: %s\n", e.Stopped)
	if len(e.Bought) > 0 {
		head("What was bought, and what for")
		half := e.Bought[len(e.Bought)-1].Tokens / 2
		for i, p := range e.Bought {
			why := "to begin with"
			if i > 0 {
				why = fmt.Sprintf("expected to add %.1f points for the cost of %.1f answers", 100*p.Gain, p.Cost)
			}
			at := ""
			if p.Tokens <= half && (i+1 == len(e.Bought) || e.Bought[i+1].Tokens > half) {
				at = "(at half the cost)"
			}
			fmt.Fprintf(t, "  %s\t%s\t→ %s\t%s\t%s\n", shown(p.What), why, shown(p.Answer), percent(p.P), at)
		}
	}
	for _, st := range e.Trace {
		head(fmt.Sprintf("Round %d", st.Round))
		fmt.Fprintf(t, "  before\t%s\n", shown(st.Before))
		if st.Feedback != "" {
			fmt.Fprintf(t, "  feedback\t%s\n", shown(st.Feedback))
		}
		fmt.Fprintf(t, "  after\t%s\n", shown(st.After))
	}
	head("Signals")
	for _, sig := range b.Signals {
		fmt.Fprintf(t, "  %s\t%.3f\t%s\t(raw %.4g from %s, %d read)\n", sig.Name, sig.Score, meter(sig.Score), sig.Raw, sig.Source, sig.Reads)
	}
	for name, why := range b.Missing {
		fmt.Fprintf(t, "  %s\t–\t\t%s\n", name, why)
	}
	if len(e.Terms) > 0 {
		head("How the probability came about (log-odds)")
		sum := 0.0
		for _, term := range e.Terms {
			sum += term.LogOdds
			fmt.Fprintf(t, "  %s\t%+.2f\n", term.Name, term.LogOdds)
		}
		fmt.Fprintf(t, "  sum\t%+.2f\t→ %s\n", sum, percent(1/(1+math.Exp(-sum))))
	}
	fmt.Fprintf(t, "\n  %s\t%s\n  policy\t%s\n  form\t%s\n  seed\t%d\n", "model", b.Model, e.Key.Policy, b.Form, b.Seed)
	t.Flush()
}

func shown(s string) string {
	return text.Clip(strings.Join(strings.Fields(text.Sanitise(s)), " "), 70)
}

func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}
