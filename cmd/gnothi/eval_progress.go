package main

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"gnothi/catalog"
	"gnothi/eval"
)

// runProgress is a bar with what a run has come to so far; on no terminal it
// says nothing before the end.
type runProgress struct {
	name   string
	w      io.Writer
	quiet  bool
	limits *catalog.Limiters
	start  time.Time

	mu   sync.Mutex
	bar  *progressbar.ProgressBar
	seen bool
	last eval.Progress
}

func newRunProgress(cmd *cobra.Command, name string, limits *catalog.Limiters) *runProgress {
	w, seen := visible(cmd)
	quiet, _ := cmd.Flags().GetBool("quiet")
	return &runProgress{name: name, w: w, quiet: quiet, limits: limits, start: time.Now(), seen: seen}
}

func (r *runProgress) set(p eval.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last = p; !r.seen {
		return
	}
	if r.bar == nil {
		r.bar = progressbar.NewOptions(p.Total, progressbar.OptionSetWriter(r.w), progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionFullWidth(), progressbar.OptionClearOnFinish())
		if p.Before > 0 { // what was done before is no part of the pace
			r.bar.AddMax(-p.Before)
		}
	}
	r.bar.Describe(r.name + " " + outcomeWords(p.Outcomes) + spendWords(p.Spend) + r.pace() + r.flight())
	_ = r.bar.Set(p.Done - p.Before)
}

// pace is how fast items were done, once some were.
func (r *runProgress) pace() string {
	n, took := r.last.Done-r.last.Before, time.Since(r.start)
	if n == 0 || took <= 0 {
		return ""
	}
	if a := float64(n) / took.Minutes(); a < 60 {
		return fmt.Sprintf(", %.3g a minute", a)
	}
	return fmt.Sprintf(", %.3g a second", float64(n)/took.Seconds())
}

func (r *runProgress) flight() string {
	n, throttled := 0, int64(0)
	for _, s := range r.limits.Stats() {
		n += s.InFlight
		throttled += s.Throttled
	}
	words := fmt.Sprintf(", %d in flight", n)
	if throttled > 0 {
		words += fmt.Sprintf(", %d throttled", throttled)
	}
	return words
}

func (r *runProgress) done() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bar != nil {
		_ = r.bar.Finish()
	}
}

// tell says where the run is kept, and how fast it went.
func (r *runProgress) tell(dir string, report *eval.Report) {
	if r.quiet {
		return
	}
	for name, s := range r.limits.Stats() {
		if s.Why != "" {
			fmt.Fprintf(r.w, "%s: up to %d calls at once, %d at the end (%s), %d throttled\n", name, s.Highest, s.Limit, s.Why, s.Throttled)
		}
	}
	r.mu.Lock()
	before := r.last.Before
	r.mu.Unlock()
	earlier := ""
	if before > 0 {
		earlier = fmt.Sprintf(", %d before", before)
	}
	fmt.Fprintf(r.w, "%d items in %s%s; kept in %s\n", report.N-report.Outcomes.Unasked-before, time.Since(r.start).Round(10*time.Millisecond), earlier, filepath.ToSlash(dir))
}

// outcomeWords counts what there is, apart.
func outcomeWords(o eval.Outcomes) string {
	var words []string
	for _, c := range []struct {
		n    int
		what string
	}{{o.Right, "right"}, {o.Wrong, "wrong"}, {o.Measured, "measured"}, {o.Refused, "refused"}, {o.Unparsed, "unparsed"}, {o.Failed, "failed"}} {
		if c.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	return cmp.Or(strings.Join(words, ", "), "nothing yet")
}

func spendWords(s eval.Spend) string {
	if s.NanoUSD == 0 {
		return ""
	}
	return fmt.Sprintf(", $%.4f", float64(s.NanoUSD)/1e9)
}
