package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// progress is a bar on standard error, or nothing where nobody would see it.
type progress struct{ bar *progressbar.ProgressBar }

// visible tells whether progress has someone to look at it.
func visible(cmd *cobra.Command) (io.Writer, bool) {
	quiet, _ := cmd.Flags().GetBool("quiet")
	f, isFile := cmd.ErrOrStderr().(*os.File)
	return cmd.ErrOrStderr(), isFile && term.IsTerminal(int(f.Fd())) && !quiet
}

func newProgress(cmd *cobra.Command, total int, what string) progress {
	w, ok := visible(cmd)
	if !ok {
		return progress{}
	}
	return progress{progressbar.NewOptions(total, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what), progressbar.OptionShowCount(),
		progressbar.OptionShowIts(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionFullWidth(), progressbar.OptionClearOnFinish())}
}

// A bar that cannot be drawn is no reason to stop the work it is about.

func (p progress) set(n int) {
	if p.bar != nil {
		_ = p.bar.Set(n)
	}
}

func (p progress) add() {
	if p.bar != nil {
		_ = p.bar.Add(1)
	}
}

func (p progress) done() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
