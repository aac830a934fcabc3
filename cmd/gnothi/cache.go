package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gnothi/gateway"
	"gnothi/llm"
	"gnothi/store"
)

// cacheName is the file of a cache, in a server's state or in the user's folder for caches.
const cacheName = "cache.sqlite"

// What the setting cache may be.
const (
	cacheOff  = "off"  // not used; by serve for requests that ask for it
	cacheOn   = "on"   // used
	cacheNone = "none" // not even for requests that ask
)

func cacheFlags(f *pflag.FlagSet) {
	f.String("cache", settings["cache"].def, settings["cache"].help)
	f.Lookup("cache").NoOptDefVal = cacheOn
}

// cacheMode is the setting cache, checked.
func (c *config) cacheMode() (string, error) {
	switch mode := c.String("cache"); mode {
	case cacheOff, cacheOn, cacheNone:
		return mode, nil
	case "true", "false": // as YAML reads on and off
		return map[string]string{"true": cacheOn, "false": cacheOff}[mode], nil
	}
	return "", c.bad("cache", "off, on or none", nil)
}

// openCache opens the cache in a file, within the limits of the configuration.
func (c *config) openCache(ctx context.Context, path string, report func(error)) (*store.Cache, error) {
	most, err := parseBytes(c.String("cache-max-bytes"))
	if err != nil {
		return nil, c.bad("cache-max-bytes", "bytes, or a size such as 1GiB", nil)
	}
	age, err := parseDays(c.String("cache-max-age"))
	if err != nil {
		return nil, c.bad("cache-max-age", "days such as 90d, or hours such as 36h", nil)
	}
	return store.OpenCache(ctx, path, store.Options{MaxBytes: most, MaxAge: age, Report: report})
}

// userCache is the file of the cache that commands share.
func userCache() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder for the cache: %w", err)
	}
	return filepath.Join(dir, "gnothi", cacheName), nil
}

// cached puts the user's cache before a model, if it is wanted.
func (c *config) cached(ctx context.Context, cmd *cobra.Command, m llm.Model, closeModel func() error) (llm.Model, func() error, error) {
	mode, err := c.cacheMode()
	if err != nil {
		return nil, nil, errors.Join(err, closeModel())
	}
	if mode != cacheOn {
		return m, closeModel, nil
	}
	var once sync.Once
	var kept *store.Cache
	path, err := userCache()
	if err == nil {
		kept, err = c.openCache(ctx, path, func(err error) { once.Do(func() { fmt.Fprintln(cmd.ErrOrStderr(), "warning:", err) }) })
	}
	if err != nil {
		return nil, nil, errors.Join(err, closeModel())
	}
	return llm.Cached(m, kept), func() error { return errors.Join(closeModel(), kept.Close()) }, nil
}

// inMemoryCache bounds a cache that is not on disk.
const inMemoryCache = 32 << 20

// openServedCache opens the cache of a server, or gives none.
func (c *config) openServedCache(ctx context.Context, s *state, o *gateway.Options) (func() error, error) {
	nothing := func() error { return nil }
	mode, err := c.cacheMode()
	if err != nil || mode == cacheNone {
		return nothing, err
	}
	o.CacheAll = mode == cacheOn
	path := s.file(cacheName)
	if path == "" {
		o.Cache = llm.NewMemory(inMemoryCache)
		return nothing, nil
	}
	log := o.Log
	kept, err := c.openCache(ctx, path, func(err error) { log.Error("cache", "error", err.Error()) })
	if err != nil {
		return nil, err
	}
	o.Cache = kept
	return kept.Close, nil
}

func cacheCmd() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "Look at what is kept of models' answers, and clear it",
		Long: `Answers that were asked for with --cache are kept by model, request and number of
the sample, so that the same question costs nothing the next time; samples of one
question are entries of their own. cache looks at them and clears them.

The file is the user's; that of a server is cache.sqlite in its folder of state.`,
		Example: `  gnothi ask --cache "What is the capital of Iceland?"
  gnothi cache stats
  gnothi cache clear --model openai:gpt-4.1-mini --older 30d
  gnothi cache ls --file ~/.local/state/gnothi/serve/127.0.0.1_8317/cache.sqlite`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&file, "file", "", "the cache's file (default: the user's)")
	with := func(do func(ctx context.Context, cmd *cobra.Command, c *store.Cache, path string) error) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, _ []string) (err error) {
			path := file
			if path == "" {
				if path, err = userCache(); err != nil {
					return err
				}
			}
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				if file != "" {
					return usagef("cache %s: there is no such file", path)
				}
				return do(cmd.Context(), cmd, nil, path)
			}
			c, err := loadConfig(cmd.Flags())
			if err != nil {
				return err
			}
			kept, err := c.openCache(cmd.Context(), path, nil)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, kept.Close()) }()
			return do(cmd.Context(), cmd, kept, path)
		}
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "stats", Short: "How much is kept", Args: cobra.NoArgs, Example: "  gnothi cache stats\n  gnothi cache stats --json",
			RunE: with(cacheStats),
		},
		&cobra.Command{
			Use: "ls", Short: "What is kept, by model", Args: cobra.NoArgs, Example: "  gnothi cache ls",
			RunE: with(cacheList),
		},
		cacheClearCmd(with),
	)
	return cmd
}

// cacheFigures is what stats says.
type cacheFigures struct {
	File    string     `json:"file"`
	Choices int64      `json:"choices"`
	Bytes   int64      `json:"bytes"`
	Oldest  *time.Time `json:"oldest,omitempty"`
	Newest  *time.Time `json:"newest,omitempty"`
}

func cacheStats(ctx context.Context, cmd *cobra.Command, c *store.Cache, path string) error {
	figures := cacheFigures{File: path}
	if c != nil {
		s, err := c.Stats(ctx)
		if err != nil {
			return err
		}
		figures.Choices, figures.Bytes = s.Choices, s.Bytes
		if s.Choices > 0 {
			figures.Oldest, figures.Newest = &s.Oldest, &s.Newest
		}
	}
	if wantsJSON(cmd) {
		return encode(cmd, figures)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %d choices, %.1f MiB\n", path, figures.Choices, float64(figures.Bytes)/(1<<20))
	if err == nil && figures.Oldest != nil {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "from %s to %s\n", figures.Oldest.Format(time.DateTime), figures.Newest.Format(time.DateTime))
	}
	return err
}

// cacheGroup is a line of ls.
type cacheGroup struct {
	Model   string    `json:"model"`
	Choices int64     `json:"choices"`
	Bytes   int64     `json:"bytes"`
	Oldest  time.Time `json:"oldest"`
	Newest  time.Time `json:"newest"`
	Used    time.Time `json:"used"`
}

func cacheList(ctx context.Context, cmd *cobra.Command, c *store.Cache, _ string) error {
	groups := []cacheGroup{}
	if c != nil {
		found, err := c.Groups(ctx)
		if err != nil {
			return err
		}
		for _, g := range found {
			groups = append(groups, cacheGroup{cmp.Or(g.Name, "(unknown)"), g.Choices, g.Bytes, g.Oldest, g.Newest, g.LastOf})
		}
	}
	if wantsJSON(cmd) {
		return encode(cmd, groups)
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "MODEL\tCHOICES\tKIB\tOLDEST\tLAST USED")
	for _, g := range groups {
		fmt.Fprintf(t, "%s\t%d\t%.0f\t%s\t%s\n", g.Model, g.Choices, float64(g.Bytes)/1024, g.Oldest.Format(time.DateTime), g.Used.Format(time.DateTime))
	}
	return t.Flush()
}

func cacheClearCmd(with func(func(context.Context, *cobra.Command, *store.Cache, string) error) func(*cobra.Command, []string) error) *cobra.Command {
	var model, older string
	cmd := &cobra.Command{
		Use: "clear", Short: "Forget what is kept", Args: cobra.NoArgs,
		Example: "  gnothi cache clear\n  gnothi cache clear --model openai:gpt-4.1-mini\n  gnothi cache clear --older 30d",
		RunE: with(func(ctx context.Context, cmd *cobra.Command, c *store.Cache, _ string) error {
			var before time.Time
			if older != "" {
				age, err := parseDays(older)
				if err != nil {
					return usagef("--older %q: %w", older, err)
				}
				before = time.Now().Add(-age)
			}
			var gone int64
			if c != nil {
				var err error
				if gone, err = c.Clear(ctx, model, before); err != nil {
					return err
				}
			}
			if wantsJSON(cmd) {
				return encode(cmd, map[string]int64{"cleared": gone})
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%d choices cleared\n", gone)
			return err
		}),
	}
	cmd.Flags().StringVar(&model, "model", "", "only of this model, as ls names it")
	cmd.Flags().StringVar(&older, "older", "", "only what is older, such as 36h or 30d")
	return cmd
}
