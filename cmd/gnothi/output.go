package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// create makes a file for output, but see distinct.
func create(cmd *cobra.Command, path string) (*os.File, error) {
	if err := distinct(cmd, path); err != nil {
		return nil, err
	}
	return os.Create(path)
}

// distinct says that an output file is one that the command reads, as --in or as
// a replayed recording: it would be lost before it is read.
func distinct(cmd *cobra.Command, path string) error {
	old, err := os.Stat(path)
	if err != nil {
		return nil // nothing there to lose
	}
	in, _ := cmd.Flags().GetString("in")
	model, _ := cmd.Flags().GetString("model")
	for _, read := range []string{in, strings.TrimPrefix(model, "replay:")} {
		if info, err := os.Stat(read); err == nil && os.SameFile(old, info) {
			return usagef("%s is read by this command: name another file for its output", path)
		}
	}
	return nil
}
