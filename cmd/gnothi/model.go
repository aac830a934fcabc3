package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"gnothi/engine"
	"gnothi/engine/gguf"
	"gnothi/llm/local/models"
)

// modelCmd is "gnothi model": the models that run in this process.
func modelCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "model",
		Short: "Models: list, fetch, inspect, try, remove",
		Long: `Local models are GGUF files that run in this process, pinned by their SHA-256.

They live in GNOTHI_MODELS, or in gnothi/models in the user's cache folder. A
model is fetched from GNOTHI_MODEL_MIRROR (a folder or base URL) if that is set
and holds it, then from where it is published; an interrupted pull goes on.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	names := cobra.FixedCompletions(knownNames(), cobra.ShellCompDirectiveNoFileComp)
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "Show the known models and which are here", Args: cobra.NoArgs, RunE: modelList},
		&cobra.Command{Use: "pull [NAME]", Short: "Fetch a known model, " + models.Default + " if none is named", Args: cobra.MaximumNArgs(1), ValidArgsFunction: names, RunE: modelPull},
		modelInfoCmd(),
		modelTrace(),
		&cobra.Command{Use: "rm NAME", Short: "Delete a known model's file", Args: cobra.ExactArgs(1), ValidArgsFunction: names, RunE: modelRemove},
		modelProbe(),
	)
	return cmd
}

func knownNames() []string {
	var names []string
	for _, m := range models.Known() {
		names = append(names, m.Name)
	}
	return names
}

func modelList(cmd *cobra.Command, _ []string) error {
	store, err := models.Open()
	if err != nil {
		return err
	}
	list, err := store.List()
	if err != nil {
		return err
	}
	if wantsJSON(cmd) {
		return printIndented(cmd.OutOrStdout(), list)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSTATE\tSIZE\tLICENCE\tDESCRIPTION")
	for _, e := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", e.Name, e.State, megabytes(e.Size), e.Licence, e.Description)
	}
	return w.Flush()
}

func modelPull(cmd *cobra.Command, args []string) error {
	name := models.Default
	if len(args) > 0 {
		name = args[0]
	}
	store, err := models.Open()
	if err != nil {
		return err
	}
	r, err := pullModel(cmd.Context(), cmd, store, name)
	if err != nil {
		return wrongName(err)
	}
	if wantsJSON(cmd) {
		type attempt struct {
			Source string `json:"source"`
			Error  string `json:"error"`
		}
		skipped := []attempt{}
		for _, a := range r.Skipped {
			skipped = append(skipped, attempt{a.Source, a.Err.Error()})
		}
		return printIndented(cmd.OutOrStdout(), map[string]any{
			"name": name, "path": r.Path, "source": r.Source, "bytes": r.Bytes, "elapsed_ms": r.Elapsed.Milliseconds(), "skipped": skipped,
		})
	}
	if r.Source == "store" {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is here already, verified: %s\n", name, r.Path)
	} else {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s verified: %s\n%s from %s in %.1f s\n", name, r.Path, megabytes(r.Bytes), r.Source, r.Elapsed.Seconds())
	}
	return err
}

// pullModel fetches a known model for any command, telling the person on
// standard error what goes on.
func pullModel(ctx context.Context, cmd *cobra.Command, store *models.Store, name string) (models.Result, error) {
	progress, done := pullProgress(cmd, name)
	r, err := store.Pull(ctx, name, progress)
	done()
	if quiet, _ := cmd.Flags().GetBool("quiet"); err == nil && !quiet {
		for _, a := range r.Skipped {
			fmt.Fprintf(cmd.ErrOrStderr(), "skipped %s: %v\n", a.Source, a.Err)
		}
	}
	return r, err
}

// pullProgress draws a bar where somebody watches, writes a line for each
// source where not, and nothing when told to be quiet.
func pullProgress(cmd *cobra.Command, name string) (models.Progress, func()) {
	if quiet, _ := cmd.Flags().GetBool("quiet"); quiet {
		return nil, func() {}
	}
	out, watched := visible(cmd)
	if plain, _ := cmd.Flags().GetBool("no-color"); plain || os.Getenv("NO_COLOR") != "" {
		watched = false
	}
	var bar *progressbar.ProgressBar
	finish := func() {
		if bar != nil {
			_ = bar.Exit() // a bar that cannot be drawn is no reason to fail
			fmt.Fprintln(out)
		}
	}
	from := ""
	return func(done, total int64, source string) {
		if source != from {
			from = source
			if !watched {
				fmt.Fprintf(out, "fetching %s (%s) from %s\n", name, megabytes(total), source)
				return
			}
			finish()
			fmt.Fprintf(out, "%s from %s\n", name, source)
			bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(out), progressbar.OptionShowBytes(true), progressbar.OptionShowCount(),
				progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetWidth(30), progressbar.OptionSetPredictTime(true))
		}
		if bar != nil {
			_ = bar.Set64(done)
		}
	}, finish
}

func modelRemove(cmd *cobra.Command, args []string) error {
	store, err := models.Open()
	if err != nil {
		return err
	}
	freed, err := store.Remove(cmd.Context(), args[0])
	if err != nil {
		return wrongName(err)
	}
	if wantsJSON(cmd) {
		return printIndented(cmd.OutOrStdout(), map[string]any{"name": args[0], "freed_bytes": freed})
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s removed, %s freed\n", args[0], megabytes(freed))
	return err
}

// A modelSheet is what "model info" shows. The part below Path is empty for a
// model that is not here yet.
type modelSheet struct {
	models.Model
	State      models.State   `json:"state"`
	Path       string         `json:"path"`
	Parameters int64          `json:"parameters,omitempty"`
	Tensors    []tensorGroup  `json:"tensors,omitempty"`
	Metadata   map[string]any `json:"metadata,omitempty"`
	// Memory is what running it takes, nil with Refused saying why if it cannot run here.
	Memory  *memorySheet `json:"memory,omitempty"`
	Refused string       `json:"refused,omitempty"`

	keys []string // of Metadata, in file order
}

// A memorySheet is the memory of a model, in bytes, with the keys and values of a
// text of Context tokens in both formats.
type memorySheet struct {
	engine.Memory
	Context int   `json:"context"`
	KVF32   int64 `json:"kv_f32"`
	KVF16   int64 `json:"kv_f16"`
}

// foretell fills in the memory. A file that the engine does not run has none.
func (s *modelSheet) foretell(path string, context int) {
	info, full, err := engine.Foretell(path, engine.Options{Context: context})
	if err != nil {
		s.Refused = err.Error()
		return
	}
	_, half, err := engine.Foretell(path, engine.Options{Context: context, HalfKV: true})
	if err != nil {
		s.Refused = err.Error()
		return
	}
	s.Memory = &memorySheet{full, info.Context, full.KV(info.Context), half.KV(info.Context)}
}

// A tensorGroup sums up the tensors stored in one format.
type tensorGroup struct {
	Type       string `json:"type"`
	Count      int    `json:"count"`
	Parameters int64  `json:"parameters"`
	Bytes      int64  `json:"bytes"`
}

func modelInfoCmd() *cobra.Command {
	context := 0
	cmd := &cobra.Command{
		Use: "info NAME|FILE.gguf", Short: "Show a model's architecture, sizes, memory and metadata", Args: cobra.ExactArgs(1),
		Long: `Shows a model from its file's header alone: architecture, sizes, metadata, and
the memory that it will take, foretold before anything is loaded.`,
		Example: `  gnothi model info smollm2-135m
  gnothi model info ./model.gguf --context 4096 --json`,
		RunE: func(cmd *cobra.Command, args []string) error { return modelInfo(cmd, args, context) },
	}
	cmd.Flags().IntVar(&context, "context", 0, "foretell the memory of a text of so many tokens (0: the model's longest)")
	return cmd
}

func modelInfo(cmd *cobra.Command, args []string, context int) error {
	if context < 0 {
		return usagef("context: %d: want a number of tokens", context)
	}
	store, err := models.Open()
	if err != nil {
		return err
	}
	path, m, err := store.Resolve(cmd.Context(), args[0])
	sheet := modelSheet{Model: m, State: models.Ready, Path: path}
	switch {
	case errors.Is(err, models.ErrMissing):
		sheet.State = models.Absent
		if sheet.Path, err = store.Path(m.Name); err != nil {
			return err
		}
	case err != nil:
		return wrongName(err)
	default:
		if err := sheet.read(path); err != nil {
			return err
		}
		sheet.foretell(path, context)
	}
	if wantsJSON(cmd) {
		return printIndented(cmd.OutOrStdout(), sheet)
	}
	return sheet.print(cmd.OutOrStdout())
}

// read fills the sheet from the file.
func (s *modelSheet) read(path string) error {
	f, err := gguf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	s.Architecture, _ = f.String("general.architecture")
	groups := map[gguf.Type]*tensorGroup{}
	for _, t := range f.Tensors {
		g := groups[t.Type]
		if g == nil {
			g = &tensorGroup{Type: t.Type.String()}
			groups[t.Type] = g
		}
		n := int64(t.Shape[0]) * int64(t.Rows())
		g.Count++
		g.Parameters += n
		g.Bytes += int64(len(t.Data))
		s.Parameters += n
	}
	for _, g := range groups {
		s.Tensors = append(s.Tensors, *g)
	}
	slices.SortFunc(s.Tensors, func(a, b tensorGroup) int { return cmp.Compare(b.Parameters, a.Parameters) })

	s.Metadata = map[string]any{}
	for key := range f.Keys() {
		s.keys = append(s.keys, key)
		if n, ok := f.Len(key); ok && n > 16 {
			s.Metadata[key] = map[string]int{"items": n} // vocabularies and their like
			continue
		}
		s.Metadata[key] = finite(f, key)
	}
	return nil
}

// finite is a metadata value that JSON can hold: nil for NaN and infinities.
func finite(f *gguf.File, key string) any {
	v, _ := f.Value(key)
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
	case []float32:
		list := make([]any, len(v))
		for i, x := range v {
			if x64 := float64(x); !math.IsNaN(x64) && !math.IsInf(x64, 0) {
				list[i] = x
			}
		}
		return list
	}
	return v
}

func (s *modelSheet) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(key, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", key, fmt.Sprintf(format, args...))
	}
	row("name", "%s", quoted(s.Name))
	if s.Description != "" {
		row("description", "%s", s.Description)
	}
	row("state", "%s", s.State)
	row("file", "%s", quoted(s.Path))
	row("size", "%s (%d bytes)", megabytes(s.Size), s.Size)
	row("SHA-256", "%s", s.SHA256)
	if s.Licence != "" {
		row("licence", "%s", s.Licence)
	}
	row("architecture", "%s", quoted(s.Architecture))
	if s.State == models.Absent {
		row("to fetch it", "gnothi model pull %s", s.Name)
		return w.Flush()
	}
	row("parameters", "%.1f million", float64(s.Parameters)/1e6)
	if m := s.Memory; m != nil {
		row("memory", "%s weights (mapped from the file), about %s buffers", megabytes(m.Weights), megabytes(m.Buffers))
		row(fmt.Sprintf("memory of %d tokens", m.Context), "%s in f32 (the default), %s with --kv f16; a token %.1f kB, %.1f kB",
			megabytes(m.KVF32), megabytes(m.KVF16), float64(m.KVF32)/float64(m.Context)/1e3, float64(m.KVF16)/float64(m.Context)/1e3)
	} else {
		row("runs here", "no: %s", quoted(s.Refused))
	}
	for _, t := range s.Tensors {
		row("tensors "+t.Type, "%d, %.1f million parameters, %s", t.Count, float64(t.Parameters)/1e6, megabytes(t.Bytes))
	}
	for _, key := range s.keys {
		switch v := s.Metadata[key].(type) {
		case map[string]int:
			row(quoted(key), "%d items", v["items"])
		case string:
			row(quoted(key), "%s", quoted(v))
		case nil:
			row(quoted(key), "not a finite number")
		default:
			if reflect.TypeOf(v).Kind() == reflect.Slice {
				row(quoted(key), "%.200q", fmt.Sprint(v))
			} else {
				row(quoted(key), "%v", v)
			}
		}
	}
	return w.Flush()
}

// wrongName makes an unknown model wrong usage.
func wrongName(err error) error {
	if errors.Is(err, models.ErrUnknown) {
		return usage(err)
	}
	return err
}

// quoted is foreign text for a terminal: as it is when it is short and plain,
// else in quotes, escaped and cut.
func quoted(s string) string {
	if q := strconv.Quote(s); len(s) <= 200 && q == `"`+s+`"` {
		return s
	}
	return fmt.Sprintf("%.100q", s)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

func wantsJSON(cmd *cobra.Command) bool {
	yes, _ := cmd.Flags().GetBool("json") // absent is false
	return yes
}

func printIndented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
