package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"gnothi/catalog"
	"gnothi/llm/openai"
)

// upstreamTime is how long doctor waits for a server.
const upstreamTime = 10 * time.Second

// upstreamRows asks the servers of the configured models which models they have,
// which costs nothing, one row a model.
func (c *config) upstreamRows(ctx context.Context) []doctorRow {
	names := []string{c.String("model")}
	if aliases, ok := c.Get("models").(map[string]any); ok {
		names = append(names, slices.Sorted(maps.Keys(aliases))...)
	}
	var rows []doctorRow
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			continue
		}
		spec, o := name, catalog.ModelOptions{}
		if alias, ok := c.Get("models." + name).(map[string]any); ok {
			if err := o.Alias(alias); err != nil {
				rows = append(rows, doctorRow{"upstream of " + name, err.Error(), "asked"})
				continue
			}
			spec = o.Spec
		}
		if !catalog.Remote(spec) {
			continue
		}
		rows = append(rows, doctorRow{"upstream of " + name, askUpstream(ctx, spec, o), "asked"})
	}
	return rows
}

// askUpstream words how the server of a model answers. Its words are not told: they
// may quote the key.
func askUpstream(ctx context.Context, spec string, o catalog.ModelOptions) string {
	provider, name, _ := strings.Cut(spec, ":")
	base, usual := openai.DefaultBaseURL, "OPENAI_API_KEY"
	if provider == "anthropic" {
		base, usual = "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"
	}
	if i := strings.LastIndex(name, "@http"); i >= 0 {
		name, base = name[:i], name[i+1:]
	}
	at, err := url.Parse(base)
	if err != nil || at.Host == "" {
		return "its URL is none"
	}
	at = at.JoinPath("models")
	key := os.Getenv(cmp.Or(o.KeyEnv, usual))
	ctx, cancel := context.WithTimeout(ctx, upstreamTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return "its URL is none"
	}
	switch {
	case key == "":
	case o.KeyHeader != "":
		req.Header.Set(o.KeyHeader, key)
	case provider == "anthropic":
		req.Header.Set("X-Api-Key", key)
		req.Header.Set("Anthropic-Version", "2023-06-01")
	default:
		req.Header.Set("Authorization", "Bearer "+key)
	}
	client := &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a key goes nowhere else
	}
	begun := time.Now()
	resp, err := client.Do(req)
	took := time.Since(begun).Round(time.Millisecond)
	where := at.Scheme + "://" + at.Host
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) { // it names the URL, which may hold a key
			err = wrapped.Err
		}
		return fmt.Sprintf("%s cannot be reached: %v", where, err)
	}
	defer resp.Body.Close()
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	switch s := resp.StatusCode; {
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		return fmt.Sprintf("%s answers in %v, but does not take the key %s (status %d)", where, took, masked(key), s)
	case s == http.StatusNotFound || s == http.StatusMethodNotAllowed || s == http.StatusNotImplemented:
		return fmt.Sprintf("%s answers in %v; it does not list its models (status %d)", where, took, s)
	case s != http.StatusOK:
		return fmt.Sprintf("%s answers in %v with status %d", where, took, s)
	case json.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(&list) != nil:
		return fmt.Sprintf("%s answers in %v, but not with JSON: check the base URL", where, took)
	}
	has := "it is among them"
	if !slices.ContainsFunc(list.Data, func(m struct {
		ID string `json:"id"`
	}) bool {
		return m.ID == name
	}) {
		has = fmt.Sprintf("%q is not among them", name)
	}
	return fmt.Sprintf("%s answers in %v, key %s, %d models; %s", where, took, masked(key), len(list.Data), has)
}
