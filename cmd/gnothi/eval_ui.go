package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gnothi/eval"
	"gnothi/eval/page"
	"gnothi/gateway"
)

// uiFlag is for a command that works on a run: a page to watch it by.
func (o *evalOptions) uiFlag(f *pflag.FlagSet) {
	f.StringVar(&o.ui, "ui", "", "show the run in the browser while it goes on, at this HOST:PORT (default: a free port of this machine)")
	f.Lookup("ui").NoOptDefVal = "127.0.0.1:0"
}

// watch serves the page of a run, if that was asked for, until done is called.
func (o evalOptions) watch(cmd *cobra.Command, suite eval.Suite, folder *eval.Folder) (done func() error, err error) {
	if o.ui == "" {
		return func() error { return nil }, nil
	}
	shown, closeShown := folder, func() error { return nil }
	if !isShared(folder.Where()) {
		// A handle of its own: looking must not take the run's places.
		if shown, err = eval.ReadRun(cmd.Context(), folder.Dir()); err != nil {
			return nil, err
		}
		closeShown = shown.Close
	}
	pages, err := page.New(shown, suite)
	if err != nil {
		return nil, errors.Join(err, closeShown())
	}
	listener, err := gateway.Listen(cmd.Context(), o.ui, "")
	if err != nil {
		err = errors.Join(fmt.Errorf("--ui %s: %w", o.ui, err), closeShown())
		if errors.Is(err, gateway.ErrOpen) {
			return nil, usagef("%w: choose an address of this machine, such as 127.0.0.1:8318", err)
		}
		return nil, err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "live at http://%s/\n", listener.Addr())
	ctx, cancel := context.WithCancel(context.WithoutCancel(cmd.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- gateway.Serve(ctx, listener, gateway.Local(pages), slog.New(slog.DiscardHandler))
	}()
	return func() error {
		cancel()
		return errors.Join(<-ended, closeShown())
	}, nil
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// openRuns opens the runs that a gateway shows.
func openRuns(ctx context.Context, o *gateway.Options, places []string) (closeAll func() error, err error) {
	var folders []*eval.Folder
	closeAll = func() error {
		var errs []error
		for _, f := range folders {
			errs = append(errs, f.Close())
		}
		return errors.Join(errs...)
	}
	for _, place := range places {
		folder, suite, err := readRun(ctx, place)
		if err != nil {
			return nil, errors.Join(err, closeAll())
		}
		folders = append(folders, folder)
		pages, err := page.New(folder, suite)
		if err != nil {
			return nil, errors.Join(err, closeAll())
		}
		if o.Runs == nil {
			o.Runs = map[string]http.Handler{}
		}
		o.Runs[runName(place, o.Runs)] = pages
	}
	return closeAll, nil
}

// runName is the last part of where a run is, with a number if that is taken.
func runName[T any](place string, taken map[string]T) string {
	if _, name, ok := inDatabase(place); ok {
		place = name
	}
	base := strings.Trim(notInNames.ReplaceAllString(filepath.Base(filepath.Clean(place)), "-"), ".-")
	if base == "" {
		base = "run"
	}
	name := base
	for i := 2; ; i++ {
		if _, ok := taken[name]; !ok {
			return name
		}
		name = fmt.Sprintf("%s-%d", base, i)
	}
}
