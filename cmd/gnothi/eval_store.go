package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gnothi/eval"
	"gnothi/eval/cluster"
	"gnothi/store"
	"gnothi/store/postgres"
)

// storeFlags are those of a command that works on a run, which may be in a
// database.
func (o *evalOptions) storeFlags(f *pflag.FlagSet) {
	f.StringVar(&o.store, "store", "", "PostgreSQL database that keeps the run and that many machines share: postgres://user@host/database")
	f.DurationVar(&o.lease, "lease", cluster.Lease, "with --store: how long other workers wait for one that gives no sign of life")
}

func evalWorkCmd() *cobra.Command {
	var o evalOptions
	cmd := &cobra.Command{
		Use:   "work RUN",
		Short: "Work on a run that many machines share",
		Long: `Join a run that was begun with "eval run --store": ask about its items until none
is left, and print the report. Neither the study's data nor a folder is needed;
the model must be the same.

Any number of workers may join and leave. What one has in hand when it is killed
comes back once its lease is over (--lease); Ctrl-C gives it back at once. Budgets
and requests and tokens a minute are the run's: given here, they replace those
that it has, for all workers. --concurrency is this worker's own.`,
		Example: `  gnothi eval work --store postgres://me@db.example.org/evals qa-1
  gnothi eval work 'postgres://me@db.example.org/evals#qa-1' --concurrency 32`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.work(cmd, place(o.store, args[0]), false)
		},
	}
	f := cmd.Flags()
	o.storeFlags(f)
	o.flags(f)
	return cmd
}

// place is how the commands call a run: its folder, or the database that keeps it
// with its name behind a #.
func place(store, run string) string {
	if store == "" {
		return run
	}
	return store + "#" + run
}

// inDatabase takes such a place apart.
func inDatabase(place string) (address, name string, ok bool) {
	if !strings.HasPrefix(place, "postgres://") && !strings.HasPrefix(place, "postgresql://") {
		return "", "", false
	}
	i := strings.LastIndex(place, "#")
	if i < 0 {
		return place, "", true
	}
	return place[:i], place[i+1:], true
}

func isShared(place string) bool {
	_, _, ok := inDatabase(place)
	return ok
}

// openPlace opens a run to look at it, wherever it is.
func openPlace(ctx context.Context, place string) (*eval.Folder, error) {
	if !isShared(place) {
		return eval.ReadRun(ctx, place)
	}
	run, err := openShared(ctx, place)
	if err != nil {
		return nil, err
	}
	return run.Folder, nil
}

func openShared(ctx context.Context, place string) (*cluster.Run, error) {
	address, name, ok := inDatabase(place)
	if !ok {
		return nil, usagef("a run that many machines share is in a database: name that with --store postgres://user@host/database")
	}
	if name == "" {
		return nil, usagef("the run's name is missing: want postgres://user@host/database#RUN, or --store postgres://user@host/database RUN")
	}
	run, err := cluster.Open(ctx, address, name)
	if errors.Is(err, store.ErrNoRun) {
		return nil, usage(err)
	}
	return run, err
}

// create makes a run in a database, of a suite whose models were opened.
func (o evalOptions) create(cmd *cobra.Command, n numbers, suite eval.Suite, h eval.Header, options eval.Options) (err error) {
	ctx := cmd.Context()
	if !isShared(o.store) {
		return usagef("--store: want postgres://user@host/database")
	}
	name := o.out
	if name == "" {
		if name, err = cluster.Free(ctx, o.store, h.Study); err != nil {
			return err
		}
	}
	if strings.ContainsAny(name, "#/\\ ") {
		return usagef("--out %s: with --store it is a plain name", name)
	}
	pace := postgres.Pace{Ceiling: postgres.Cost(n.limits), RPM: o.rpm, TPM: o.tpm}
	err = cluster.Create(ctx, o.store, name, h, pace, suite, options)
	if errors.Is(err, postgres.ErrExists) {
		return usage(err)
	}
	if err != nil {
		return err
	}
	o.created = true
	return o.work(cmd, place(o.store, name), false)
}

// work joins a run in a database.
func (o evalOptions) work(cmd *cobra.Command, place string, reopen bool) (err error) {
	if o.lease < time.Second {
		return usagef("--lease %s: want a second or more", o.lease)
	}
	run, err := openShared(cmd.Context(), place)
	if err != nil {
		return err
	}
	opened := true
	defer func() {
		if opened {
			err = errors.Join(err, run.Close())
		}
	}()
	o.quota = run.Quota
	suite, n, ready, err := o.reopen(cmd, run.Header, run.Where())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ready.close()) }()
	if !o.created {
		if err := o.join(cmd, n, run, suite, ready.options, reopen); err != nil {
			return err
		}
	}
	ready.again = fmt.Sprintf("--store %s %s", withoutPassword(place), run.Name())
	ready.run = func(ctx context.Context, options eval.Options) (*eval.Report, error) {
		return run.Work(ctx, suite, ready.subject, options, o.lease)
	}
	opened = false
	return o.ask(cmd, suite, run.Folder, ready)
}

// join sees to what a run that is there already is given anew.
func (o evalOptions) join(cmd *cobra.Command, n numbers, run *cluster.Run, suite eval.Suite, options eval.Options, reopen bool) error {
	ctx := cmd.Context()
	if err := run.Check(suite, options); err != nil {
		return usage(err)
	}
	given := cmd.Flags().Changed
	err := run.SetPace(ctx, func(p *postgres.Pace) {
		for _, f := range []struct {
			name string
			to   *int64
			from int64
		}{
			{"budget-calls", &p.Ceiling.Calls, n.limits.Calls}, {"budget-tokens", &p.Ceiling.Tokens, n.limits.Tokens}, {"budget-usd", &p.Ceiling.NanoUSD, n.limits.NanoUSD},
			{"rpm", &p.RPM, o.rpm}, {"tpm", &p.TPM, o.tpm},
		} {
			if given(f.name) {
				*f.to = f.from
			}
		}
	})
	if err != nil {
		return err
	}
	if o.failed {
		again, err := run.Forget(ctx, eval.OutcomeFailed)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%d failed items are asked about once more\n", again)
	}
	if reopen {
		_, err = run.Reopen(ctx)
	}
	return err
}

// withoutPassword gives the address of a database as it may be shown.
func withoutPassword(place string) string {
	address, _, _ := inDatabase(place)
	scheme, rest, _ := strings.Cut(address, "://")
	host, query, asked := strings.Cut(rest, "?")
	if at := strings.LastIndex(host, "@"); at >= 0 {
		user, _, _ := strings.Cut(host[:at], ":")
		host = user + host[at:]
	}
	if asked {
		var kept []string
		for _, pair := range strings.Split(query, "&") {
			if !strings.HasPrefix(pair, "password=") && !strings.HasPrefix(pair, "sslpassword=") {
				kept = append(kept, pair)
			}
		}
		if len(kept) > 0 {
			host += "?" + strings.Join(kept, "&")
		}
	}
	return scheme + "://" + host
}
