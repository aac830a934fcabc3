package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"gnothi"
	"gnothi/gateway"
	"gnothi/gateway/mcp"
	"gnothi/monitor/calibrate"
)

func mcpCmd() *cobra.Command {
	var listen string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "mcp",
		Short: "Give agents ask, check, score_answer, judge and am_i_sure as tools",
		Long: `Speak the Model Context Protocol: an agent that has this as a server can ask a
model for an answer with a probability, check a text claim by claim, score an
answer, judge answers, and hold a draft of its own against what the model says.

It speaks over standard input and output, as agents start their servers; with
--listen over HTTP, at http://HOST:PORT/mcp, on this machine only unless there is
an API key. --threshold, --hedge and the budgets hold for each call; a call can
lower a budget, not raise it.`,
		Example: `  gnothi mcp
  gnothi mcp --model openai:gpt-4.1-mini --budget-calls 50
  gnothi mcp --listen 127.0.0.1:8318
  GNOTHI_API_KEY=… gnothi mcp --listen 0.0.0.0:8318`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serveTools(cmd, listen, timeout) },
	}
	f := cmd.Flags()
	modelFlags(f)
	f.StringVar(&listen, "listen", "", "speak over HTTP instead, at this HOST:PORT, such as 127.0.0.1:8318")
	f.String("api-key", "", "key that clients must send over HTTP (better in GNOTHI_API_KEY: other users of the machine see flags)")
	f.DurationVar(&timeout, "timeout", 10*time.Minute, "longest time for a call")
	return cmd
}

func serveTools(cmd *cobra.Command, listen string, timeout time.Duration) (err error) {
	c, err := loadConfig(cmd.Flags())
	if err != nil {
		return err
	}
	n, err := c.numbers()
	if err != nil {
		return err
	}
	if timeout <= 0 {
		return usagef("--timeout %v: want a time above 0", timeout)
	}
	policy := c.String("policy")
	if _, err := c.optionsFor(policy, n); err != nil {
		return err
	}
	set, err := calibrators()
	if err != nil {
		return err
	}
	o := mcp.Options{
		Calibrators: set, Evidence: calibrate.Key{Model: c.String("model"), Policy: policy, Form: "evidence"}, // as calibrate --in has it
		Rule: n.rule, Limits: n.limits, Form: c.String("format"), Seed: n.seed, Timeout: timeout, APIKey: c.String("api-key"), Secrets: c.secrets(), Version: version(), Log: serverLog(cmd),
	}
	ctx := cmd.Context()
	serve := func(s *mcp.Server) error { return s.Serve(ctx, cmd.InOrStdin(), cmd.OutOrStdout()) }
	if listen != "" {
		listener, err := gateway.Listen(ctx, listen, o.APIKey)
		if errors.Is(err, gateway.ErrOpen) {
			return usagef("%w: set GNOTHI_API_KEY, or listen on 127.0.0.1", err)
		}
		if err != nil {
			return err
		}
		defer listener.Close() // a second time after Serve
		serve = func(s *mcp.Server) error {
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "tools at http://%s/mcp\n", listener.Addr()); err != nil {
				return err
			}
			return gateway.Serve(ctx, listener, s, o.Log)
		}
	}
	model, closeModel, err := c.openModel(ctx, cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeModel()) }()
	next, closeNext, err := c.openNext(ctx, cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeNext()) }()
	o.Model = model
	o.Mind = func(spec string, more ...gnothi.Option) (*gnothi.Mind, error) {
		if spec == "" {
			spec = policy
		}
		options, err := c.optionsFor(spec, n)
		if err != nil {
			return nil, err
		}
		return gnothi.New(model, slices.Concat(options, next, more)...)
	}
	s, err := mcp.New(o)
	if err != nil {
		return err
	}
	defer s.Close()
	return serve(s)
}

// secrets are the keys of the models that the configuration knows.
func (c *config) secrets() []string {
	names := map[string]bool{"OPENAI_API_KEY": true, "ANTHROPIC_API_KEY": true}
	if models, ok := c.Get("models").(map[string]any); ok {
		for _, alias := range models {
			if fields, ok := alias.(map[string]any); ok {
				if name, ok := fields["api_key_env"].(string); ok {
					names[name] = true
				}
			}
		}
	}
	var keys []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if key := os.Getenv(name); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}
