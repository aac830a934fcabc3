package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gnothi/engine"
	"gnothi/engine/token"
	"gnothi/llm/local/models"
)

// traceOptions are the flags of "gnothi model trace".
type traceOptions struct {
	points, layers []string
	out            string
	chat           bool
	kv             string
}

func modelTrace() *cobra.Command {
	var o traceOptions
	cmd := &cobra.Command{
		Use:   "trace NAME|FILE.gguf [TEXT…]",
		Short: "Write a text's hidden states to NumPy files",
		Long: `Runs a text (arguments, or standard input) through a local model and writes the
hidden states of all of its tokens: one float32 matrix in a .npy file for each
layer and point, a row for each token. They are written as they are computed, so
long texts take no memory.

Points, in the order of computation: ` + points() + `.
query, key and value are as projected, head_out is each head's mix of values
before the output projection; attn_out and mlp_out are what is then added.`,
		Example: `  gnothi model trace smollm2-135m 'The capital of France is' --out states
  gnothi model trace smollm2-135m --points head_out,mlp_out --layers 0,10-14 --chat 'Who was Ada Lovelace?'
  python -c 'import numpy; print(numpy.load("states/07.resid_post.npy").shape)'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return traceModel(cmd, args, o) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.points, "points", []string{engine.ResidPost.String()}, "points to write, or all")
	f.StringSliceVar(&o.layers, "layers", []string{"all"}, "layers to write, counted from 0: 3, 10-14, all")
	f.StringVar(&o.out, "out", "states", "folder for the files; it is made if need be, and no file is overwritten")
	f.BoolVar(&o.chat, "chat", false, "lay the text out as a user's turn by the model's template")
	f.StringVar(&o.kv, "kv", settings["kv"].def, settings["kv"].help)
	return cmd
}

func points() string {
	var names []string
	for _, p := range engine.Points() {
		names = append(names, p.String())
	}
	return strings.Join(names, ", ")
}

func traceModel(cmd *cobra.Command, args []string, o traceOptions) (err error) {
	if o.kv != "f32" && o.kv != "f16" {
		return usagef("kv: %q: want f32 or f16", o.kv)
	}
	text := strings.Join(args[1:], " ")
	if len(args) == 1 {
		raw, err := io.ReadAll(cmd.InOrStdin())
		if err != nil {
			return err
		}
		text = string(raw)
	}
	store, err := models.Open()
	if err != nil {
		return err
	}
	path, m, err := store.Resolve(cmd.Context(), args[0])
	if errors.Is(err, models.ErrMissing) {
		return usagef("%w: gnothi model pull %s", err, m.Name)
	}
	if err != nil {
		return wrongName(err)
	}
	e, err := engine.Open(path, engine.Options{HalfKV: o.kv == "f16"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	sites, err := o.sites(e.Info().Layers)
	if err != nil {
		return usage(err)
	}
	ids, err := traceIDs(e, text, o.chat)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	files, err := e.TraceTo(cmd.Context(), o.out, nil, ids, sites...)
	if err != nil {
		return err
	}
	return printTrace(cmd, e, ids, files)
}

// traceIDs are the tokens of a text. Nothing in it becomes a control token.
func traceIDs(e *engine.Engine, text string, chat bool) ([]int32, error) {
	if !chat {
		ids := e.Tokenizer().Encode(text, token.Options{AddSpecial: true})
		if len(ids) == 0 {
			return nil, usagef("there is no text to trace")
		}
		return ids, nil
	}
	template, err := e.Template()
	if err != nil {
		return nil, err
	}
	return template.Encode(e.Tokenizer(), []token.Turn{{Role: "user", Text: text}}, true)
}

// sites lists the places that the flags name, layer by layer.
func (o traceOptions) sites(layers int) ([]engine.Site, error) {
	var wanted []engine.Point
	for _, name := range o.points {
		if name == "all" {
			wanted = engine.Points()
			break
		}
		p, err := engine.PointByName(name)
		if err != nil {
			return nil, fmt.Errorf("points: there is no %q; there are %s, or all", name, points())
		}
		wanted = append(wanted, p)
	}
	chosen := make([]bool, layers)
	for _, s := range o.layers {
		if s == "all" {
			s = fmt.Sprintf("0-%d", layers-1)
		}
		first, last, span := strings.Cut(s, "-")
		if !span {
			last = first
		}
		lo, err1 := strconv.Atoi(first)
		hi, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || lo > hi || hi >= layers {
			return nil, fmt.Errorf("layers: %q: want numbers from 0 to %d, ranges such as 10-14, or all", s, layers-1)
		}
		for l := lo; l <= hi; l++ {
			chosen[l] = true
		}
	}
	var sites []engine.Site
	add := func(s engine.Site) {
		if !slices.Contains(sites, s) {
			sites = append(sites, s)
		}
	}
	for l, yes := range chosen {
		for _, p := range wanted {
			switch {
			case p == engine.Embedding:
				add(engine.Site{Point: p}) // there once, as is FinalNorm
			case yes && p != engine.FinalNorm:
				add(engine.Site{Layer: l, Point: p})
			}
		}
	}
	if slices.Contains(wanted, engine.FinalNorm) {
		add(engine.Site{Layer: layers - 1, Point: engine.FinalNorm})
	}
	return sites, nil
}

func printTrace(cmd *cobra.Command, e *engine.Engine, ids []int32, files []engine.TraceFile) error {
	if wantsJSON(cmd) {
		type tokenLine struct {
			ID   int32  `json:"id"`
			Text string `json:"text"`
		}
		type fileLine struct {
			Layer int    `json:"layer"`
			Point string `json:"point"`
			Rows  int    `json:"rows"`
			Cols  int    `json:"cols"`
			Path  string `json:"path"`
		}
		tokens, out := []tokenLine{}, []fileLine{}
		for _, id := range ids {
			tokens = append(tokens, tokenLine{id, string(e.Tokenizer().Piece(id))})
		}
		for _, f := range files {
			out = append(out, fileLine{f.Layer, f.Point.String(), f.Rows, f.Cols, f.Path})
		}
		return printIndented(cmd.OutOrStdout(), map[string]any{"model": filepath.Base(e.Info().Path), "fingerprint": e.Info().Fingerprint, "tokens": tokens, "files": out})
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LAYER\tPOINT\tSHAPE\tFILE")
	for _, f := range files {
		fmt.Fprintf(w, "%d\t%s\t%d × %d\t%s\n", f.Layer, f.Point, f.Rows, f.Cols, f.Path)
	}
	return w.Flush()
}
