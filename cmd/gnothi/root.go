package main

import (
	"cmp"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gnothi/catalog"
)

func rootCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gnothi",
		Short: "Let language models know what they know",
		Long: `gnothi answers with a language model and says how likely the answer is to be
right; it runs a small model inside the process, or any model behind an
OpenAI-compatible or Anthropic API.`,
		Example: `  gnothi ask "What is the capital of France?"
  gnothi ask --model openai:gpt-4.1-mini --policy "self-consistency?n=10" "What is 17 × 23?"
  gnothi serve --listen 127.0.0.1:8317
  gnothi methods self-consistency`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			var known []string
			for _, c := range cmd.Commands() {
				known = append(known, c.Name())
			}
			if near := catalog.Nearest(args[0], known); near != "" {
				return fmt.Errorf("unknown command %q: did you mean %q?", args[0], near)
			}
			return fmt.Errorf("unknown command %q: see gnothi --help", args[0])
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.Version = version()
	cmd.CompletionOptions.HiddenDefaultCmd = true
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usagef("%w: see --help", flagError(err))
	})
	f := cmd.PersistentFlags()
	f.Bool("json", false, "print JSON")
	f.Bool("quiet", false, "no progress and no colour")
	f.Bool("no-color", false, "no colour (as with NO_COLOR)")
	f.String("config", "", "configuration file (default: gnothi.yaml here, then in the user's configuration folder)")
	cmd.AddCommand(askCmd(), checkCmd(), calibrateCmd(), compareCmd(), serveCmd(), methodsCmd(), modelCmd(), doctorCmd())
	cmd.AddCommand(statsCmd(), judgeCmd(), scoreCmd(), cacheCmd())
	cmd.AddCommand(evalCmd(), cardCmd(), learnCmd(), mcpCmd())
	markArgs(cmd)
	return cmd
}

// version tells which gnothi this is, as far as the build knows.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
			v = s.Value
		}
	}
	return cmp.Or(v, "unknown")
}

// markArgs makes wrong arguments of a command and those below it wrong usage.
func markArgs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error { return usage(check(c, args)) }
	}
	for _, c := range cmd.Commands() {
		markArgs(c)
	}
}

// flagError words a value that does not fit its flag without the names of the
// functions that read it.
func flagError(err error) error {
	var wrong *pflag.InvalidValueError
	if !errors.As(err, &wrong) || wrong.GetFlag() == nil {
		return err
	}
	want, ok := map[string]string{
		"bool": "true or false", "int": "a whole number", "int64": "a whole number", "uint64": "a whole number of 0 or more",
		"float64": "a number", "duration": "a time, such as 90s or 10m",
	}[wrong.GetFlag().Value.Type()]
	if !ok {
		return err
	}
	return fmt.Errorf("--%s %q: want %s", wrong.GetFlag().Name, wrong.GetValue(), want)
}

// callFlags are about each call, whatever it is for.
func callFlags(f *pflag.FlagSet) {
	f.String("call-timeout", settings["call-timeout"].def, "how long a model behind an API may stay silent, until its answer begins and in the midst of it, before the call is tried again (0: 5m, then 2m)")
	cacheFlags(f)
	f.String("trace", "", "file that records every call of the model, for --model replay:FILE")
}

// modelFlags are the flags of every command that asks a model.
func modelFlags(f *pflag.FlagSet) {
	f.String("model", settings["model"].def, "PROVIDER:NAME[@BASE_URL], or an alias of the configuration")
	if f.Lookup("policy") == nil { // compare has two
		f.String("policy", settings["policy"].def, "how calls are spent: NAME[?key=value&…]")
	}
	f.Uint64("seed", 1, "root of everything random")
	f.Int("samples", 0, "samples of a policy, where its specification names no n")
	f.Float64("temperature", 0, "sampling temperature, where the policy names no t")
	f.Int("max-tokens", 0, "longest answer, in tokens (0: as the form of the question has it)")
	f.Int64("budget-calls", 0, "most calls a question may cost (0: no ceiling)")
	f.Int64("budget-tokens", 0, "most tokens a question may cost (0: no ceiling)")
	f.Float64("budget-usd", 0, "most dollars a question may cost (0: no ceiling)")
	f.Float64("threshold", 0, "withhold answers below this probability")
	f.Float64("hedge", 0, "give answers below this probability with their doubt")
	f.String("format", settings["format"].def, "how questions are asked: "+strings.Join([]string{"auto", "shots", "chat"}, ", "))
	for _, name := range []string{"kv", "kv-memory"} {
		f.String(name, settings[name].def, settings[name].help)
	}
	callFlags(f)
	f.String("next", "", "another model that auto may ask where this one is unsure: MODEL[?right=0.8&cost=10&effort=high], cost in first answers")
	f.String("retrieve", "", "program that finds a context: auto may ask again with it; reads {\"question\"}, writes {\"context\"} as JSON")
	f.String("verifier", "", "program that is given each answer as JSON {\"question\", \"answer\"} and prints {\"score\": 0..1, \"why\"}")
	f.StringSlice("signals", nil, "signals to read besides those that cost nothing, e.g. verbal/p-true")
}
