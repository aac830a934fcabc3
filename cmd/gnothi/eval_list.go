package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gnothi/catalog"
	"gnothi/eval"
	"gnothi/store"
	"gnothi/store/postgres"
)

func evalListCmd() *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "The studies, or the runs of a database",
		Long: `List the studies that can be run, or, with --store, the runs that a PostgreSQL
database keeps.`,
		Example: `  gnothi eval list
  gnothi eval list --store postgres://me@db.example.org/evals`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if address != "" {
				return listRuns(cmd, address)
			}
			var all []eval.Description
			for _, s := range catalog.Suites() {
				all = append(all, s.Describe())
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				return encode(cmd, all)
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "STUDY\tNEEDS\tABOUT")
			for _, d := range all {
				fmt.Fprintf(t, "%s\t%s\t%s\n", d.Name, d.Needs, d.About)
			}
			return t.Flush()
		},
	}
	cmd.Flags().StringVar(&address, "store", "", "PostgreSQL database whose runs are listed: postgres://user@host/database")
	return cmd
}

// listedRun is a run of a database.
type listedRun struct {
	Run     string    `json:"run"`
	Study   string    `json:"study"`
	Model   string    `json:"model"`
	Items   int       `json:"items"`
	Done    int       `json:"done"`
	Workers int       `json:"workers"`
	Calls   int64     `json:"calls"`
	Tokens  int64     `json:"tokens"`
	NanoUSD int64     `json:"nano_usd"`
	Created time.Time `json:"created"`
}

func listRuns(cmd *cobra.Command, address string) error {
	if !isShared(address) {
		return usagef("--store: want postgres://user@host/database")
	}
	db, err := postgres.Open(cmd.Context(), address)
	if err != nil {
		return err
	}
	defer db.Close()
	entries, err := db.List(cmd.Context())
	if err != nil {
		return err
	}
	runs := []listedRun{}
	for _, e := range entries {
		var h eval.Header
		if err := json.Unmarshal(e.Header, &h); err != nil {
			h.Study = "(its header cannot be read)"
		}
		runs = append(runs, listedRun{e.Name, h.Study, h.Model, e.Items, e.Done, e.Workers, e.Spent[0], e.Spent[1], e.Spent[2], e.Created.UTC().Truncate(time.Second)})
	}
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		return encode(cmd, runs)
	}
	if len(runs) == 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s keeps no runs\n", db.Where())
		return nil
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "RUN\tSTUDY\tMODEL\tDONE\tWORKERS\tCALLS\tTOKENS\tBEGUN")
	for _, r := range runs {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d of %d\t%d\t%d\t%d\t%s\n", r.Run, r.Study, r.Model, r.Done, r.Items, r.Workers, r.Calls, r.Tokens, r.Created.Format("2006-01-02 15:04"))
	}
	return t.Flush()
}

func evalRmCmd() *cobra.Command {
	var address string
	var yes bool
	cmd := &cobra.Command{
		Use:   "rm RUN",
		Short: "Remove a run",
		Long: `Remove a run, its reports with it: a folder, or one that a database keeps. On a
terminal it asks first, elsewhere it wants --yes. A run that somebody works on is
refused, and other files of the folder stay.`,
		Example: `  gnothi eval rm runs/qa-1
  gnothi eval rm --store postgres://me@db.example.org/evals qa-1 --yes`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if run := place(address, args[0]); address != "" || isShared(run) {
				return removeShared(cmd, run, yes)
			}
			return removeFolder(cmd, args[0], yes)
		},
	}
	f := cmd.Flags()
	f.StringVar(&address, "store", "", "PostgreSQL database that keeps the run: postgres://user@host/database")
	f.BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// agreed asks whether a run is to be removed.
func agreed(cmd *cobra.Command, yes bool, what string) error {
	if yes {
		return nil
	}
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok || !isTerminal(in) {
		return usagef("%s would be removed: say --yes, for there is no terminal to ask on", what)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Remove %s? [y/N] ", what)
	answer, _ := bufio.NewReader(in).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errors.New("nothing was removed")
	}
	return nil
}

// whatRun words a run in the question.
func whatRun(where string, h eval.Header) string {
	return fmt.Sprintf("%s, a run of %s on %s, %d items,", where, h.Study, h.Model, h.Items)
}

func removeFolder(cmd *cobra.Command, dir string, yes bool) error {
	folder, err := eval.OpenRun(cmd.Context(), dir) // nobody else can work on it meanwhile
	if err != nil {
		return usage(err)
	}
	if err := agreed(cmd, yes, whatRun(dir, folder.Header)); err != nil {
		return errors.Join(err, folder.Close())
	}
	return errors.Join(folder.Close(), removeFiles(dir))
}

func removeFiles(dir string) error {
	for _, name := range []string{"report.json", "report.html", "run.sqlite", "run.sqlite-wal", "run.sqlite-shm", "run.sqlite.lock"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	_ = os.Remove(dir) // stays if there is something else in it
	return nil
}

func removeShared(cmd *cobra.Command, place string, yes bool) error {
	run, err := openShared(cmd.Context(), place)
	if err != nil {
		return err
	}
	dir := run.Dir()
	err = agreed(cmd, yes, whatRun(run.Where(), run.Header))
	if err = errors.Join(err, run.Close()); err != nil {
		return err
	}
	address, name, _ := inDatabase(place)
	db, err := postgres.Open(cmd.Context(), address)
	if err != nil {
		return err
	}
	defer db.Close()
	err = db.Remove(cmd.Context(), name)
	if errors.Is(err, postgres.ErrWorkers) || errors.Is(err, store.ErrNoRun) {
		return usage(err)
	}
	if err != nil {
		return err
	}
	return removeFiles(dir)
}
