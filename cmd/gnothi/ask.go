package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"gnothi"
	"gnothi/control"
	"gnothi/internal/images"
)

// maxQuestion bounds a question read from standard input, in bytes.
const maxQuestion = 16 << 20

func askCmd() *cobra.Command {
	var in, out string
	var workers int
	var explain bool
	var pictures []string
	cmd := &cobra.Command{
		Use:   "ask [QUESTION…]",
		Short: "Answer with an honest probability",
		Long: `Answer a question, or with --in a file of questions, and say how likely the
answer is to be right, what that rests on and what it cost.

Without QUESTION and --in the question is read from standard input. With
--threshold, an answer less likely to be right than that is withheld (exit 3).`,
		Example: `  gnothi ask "What is the capital of France?"
  gnothi ask --explain --policy "self-consistency?n=20" "Who wrote Hamlet?"
  echo "What is 7 + 6?" | gnothi ask --json
  gnothi ask --in questions.jsonl --out answers.jsonl
  gnothi ask --threshold 0.6 "Who won the chess championship of Oslo in 1932?"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(cmd.Flags())
			if err != nil {
				return err
			}
			if in != "" {
				if len(args) > 0 {
					return usagef("give either QUESTION or --in, not both")
				}
				if len(pictures) > 0 {
					return usagef("--image goes with one question; in a file each has its own: field \"images\"")
				}
				return askFile(cmd, c, batch{in: in, out: out, workers: workers})
			}
			if out != "" {
				return usagef("--out goes with --in")
			}
			question, err := questionFrom(cmd.InOrStdin(), args)
			if err != nil {
				return err
			}
			urls, err := images.URLs("", pictures)
			if err != nil {
				return usage(err)
			}
			return askOne(cmd, c, gnothi.Question{Text: question, Images: urls}, explain)
		},
	}
	modelFlags(cmd.Flags())
	cmd.Flags().StringVar(&in, "in", "", "file of questions, JSON Lines ({\"id\", \"question\", …}), .gz and .zst too, - for standard input")
	cmd.Flags().StringVar(&out, "out", "", "file for the answers; if it holds some already, go on after them")
	cmd.Flags().IntVar(&workers, "concurrency", 4, "questions at a time, with --in")
	cmd.Flags().StringArrayVar(&pictures, "image", nil, "image that the question is about: a png, jpeg, webp or gif file, or a URL; repeatable")
	cmd.Flags().BoolVar(&explain, "explain", false, "show samples, classes, signals and how the probability came about")
	return cmd
}

func questionFrom(stdin io.Reader, args []string) (string, error) {
	if q := strings.TrimSpace(strings.Join(args, " ")); q != "" || len(args) > 0 {
		switch {
		case q == "":
			return "", usagef("the question is empty")
		case !utf8.ValidString(q):
			return "", usagef("the question is not valid UTF-8")
		}
		return q, nil
	}
	if f, ok := stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return "", usagef("no question: give it as an argument, on standard input, or with --in FILE")
	}
	raw, err := io.ReadAll(io.LimitReader(bufio.NewReader(stdin), maxQuestion+1))
	if err != nil {
		return "", err
	}
	if len(raw) > maxQuestion {
		return "", usagef("the question on standard input is longer than %d bytes", maxQuestion)
	}
	if !utf8.Valid(raw) || bytes.IndexByte(raw, 0) >= 0 {
		return "", usagef("standard input is not text: it is binary, or not UTF-8")
	}
	if q := strings.TrimSpace(string(raw)); q != "" {
		return q, nil
	}
	return "", usagef("the question on standard input is empty")
}

func askOne(cmd *cobra.Command, c *config, question gnothi.Question, explain bool) error {
	ctx := cmd.Context()
	mind, closeModel, err := c.mind(cmd)
	if err != nil {
		return err
	}
	defer closeModel()
	b, err := mind.Ask(ctx, question)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted after %d calls; ask again to start over: %w", b.Spend.Calls, context.Canceled)
		}
		return err
	}
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		err = printJSON(cmd.OutOrStdout(), b, explain)
	} else {
		err = printBelief(cmd.OutOrStdout(), b, explain, paletteFor(cmd))
	}
	if err != nil {
		return err
	}
	if b.Decision != control.Answer && b.Decision != control.Hedge {
		return &codeError{exitWithheld, errors.New("the answer is withheld")}
	}
	return nil
}

func printJSON(w io.Writer, b gnothi.Belief, explain bool) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if !explain {
		return enc.Encode(b)
	}
	raw, err := json.Marshal(b)
	if err != nil {
		return err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return err
	}
	if fields["explain"], err = json.Marshal(b.Explain()); err != nil {
		return err
	}
	return enc.Encode(fields)
}
