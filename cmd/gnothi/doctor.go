package main

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gnothi/catalog"
	"gnothi/llm/local/models"
)

func doctorCmd() *cobra.Command {
	var upstreams bool
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "What is in force and where it came from",
		Long:    "Print every setting with the layer it comes from (flag, environment, file, default),\nkeys masked, and what is there to work with. --upstreams asks the servers of the\nconfigured models, at no cost, whether they are there, take the key and have the model.",
		Example: "  gnothi doctor\n  gnothi doctor --upstreams --model openai:gpt-4.1-mini\n  GNOTHI_POLICY=direct gnothi doctor",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd.Flags())
			if err != nil {
				return err
			}
			rows := doctorRows(c)
			if upstreams {
				rows = append(rows, c.upstreamRows(cmd.Context())...)
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				return encode(cmd, rows)
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, r := range rows {
				fmt.Fprintf(t, "%s\t%s\t%s\n", r.Name, r.Value, r.Source)
			}
			return t.Flush()
		},
	}
	modelFlags(cmd.Flags())
	cmd.Flags().BoolVar(&upstreams, "upstreams", false, "ask the servers of the configured models")
	return cmd
}

type doctorRow struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

func doctorRows(c *config) []doctorRow {
	var rows []doctorRow
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		value := c.String(name)
		if settings[name].tree {
			value = strings.Join(c.MapKeys(name), ", ")
		}
		if name == "api-key" {
			value = masked(value)
		}
		rows = append(rows, doctorRow{name, value, c.source(name)})
	}
	for _, key := range []string{"OPENAI_API_KEY", "ANTHROPIC_API_KEY"} {
		rows = append(rows, doctorRow{key, masked(os.Getenv(key)), "environment"})
	}
	if p, ok := catalog.PriceOfSpec(c.String("model")); ok {
		dollars := func(nano int64) string { return strconv.FormatFloat(float64(nano)/1000, 'f', -1, 64) }
		rows = append(rows, doctorRow{"price", fmt.Sprintf("$%s in, $%s in from its cache, $%s out, a million tokens, as of %s", dollars(p.Input), dollars(p.Cached), dollars(p.Output), p.Checked.Format(time.DateOnly)), p.Source})
	}
	rows = append(rows, doctorRow{"machine", fmt.Sprintf("%s/%s, %d cores", runtime.GOOS, runtime.GOARCH, runtime.NumCPU()), "found"})
	store, err := models.Open()
	if err != nil {
		return append(rows, doctorRow{"model store", err.Error(), "found"})
	}
	entries, err := store.List()
	if err != nil {
		return append(rows, doctorRow{"model store", err.Error(), "found"})
	}
	for _, e := range entries {
		rows = append(rows, doctorRow{"local model", e.Name + " " + e.Path, "found"})
	}
	return rows
}

// masked shows that there is a key and nothing of it.
func masked(key string) string {
	if key == "" {
		return "(none)"
	}
	return "(set)"
}
