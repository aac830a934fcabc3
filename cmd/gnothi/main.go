package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"gnothi/internal/jsonl"
	"gnothi/llm"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second one ends it at once
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// The exit codes of the contract.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitWithheld    = 3
	exitBudget      = 4
	exitInterrupted = 130
)

// run is the whole program but for the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	cmd := rootCmd()
	cmd.SetArgs(args)
	cmd.SetIn(stdin)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	code := exitCode(ctx, err)
	if code != exitWithheld {
		fmt.Fprintln(stderr, "gnothi: "+err.Error())
	}
	return code
}

// abandon does work that cannot be stopped midway and has nothing to keep, and
// leaves it where it is when ctx ends.
func abandon(ctx context.Context, work func() error) error {
	done := make(chan error, 1)
	go func() { done <- work() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("interrupted: %w", ctx.Err())
	}
}

// codeError is an error that decides the exit code.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string { return e.err.Error() }
func (e *codeError) Unwrap() error { return e.err }

func usage(err error) error {
	if err == nil {
		return nil
	}
	return &codeError{exitUsage, err}
}

func usagef(format string, args ...any) error { return usage(fmt.Errorf(format, args...)) }

func exitCode(ctx context.Context, err error) int {
	var coded *codeError
	var line *jsonl.LineError
	switch {
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &line):
		return exitUsage
	case errors.Is(err, llm.ErrBudget):
		return exitBudget
	case ctx.Err() != nil, errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	return exitFailed
}
