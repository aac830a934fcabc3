package catalog

import (
	"testing"

	"gnothi/llm"
)

func TestPrices(t *testing.T) {
	table, err := prices()
	if err != nil || len(table) == 0 {
		t.Fatalf("%d prices, %v", len(table), err)
	}
	for name, p := range table {
		if !(p.Input > 0 && p.Output >= p.Input && p.Cached > 0 && p.Cached <= p.Input) || p.Checked.Year() < 2026 || p.Source == "" {
			t.Errorf("%s: %+v", name, p)
		}
	}
	for id, want := range map[llm.ID]llm.Price{
		{Provider: "openai", Name: "gpt-4.1-mini"}:                                             {Input: 400, Cached: 100, Output: 1600},
		{Provider: "responses", Name: "gpt-4.1-mini-2025-04-14"}:                               {Input: 400, Cached: 100, Output: 1600},
		{Provider: "anthropic", Name: "claude-haiku-4-5-20251001"}:                             {Input: 1000, Cached: 100, Output: 5000},
		{Provider: "openai", Name: "gpt-4.1-mini", Host: "http://127.0.0.1:8080/v1"}:           {},
		{Provider: "openai", Name: "gpt-4.1-mini-latest"}:                                      {},
		{Provider: "openai", Name: "claude-haiku-4-5"}:                                         {},
		{Provider: "anthropic", Name: "claude-haiku-4-5-20251001", Host: "https://proxy.test"}: {},
	} {
		p, ok := PriceOf(id)
		if p.Price != want || ok != (want != llm.Price{}) {
			t.Errorf("%v: %+v, %v; want %+v", id, p, ok, want)
		}
	}
}

func TestBadPrices(t *testing.T) {
	for _, bad := range []string{
		"openai\tx\t1\t1\t1\t2026-01-01", "openai\tx\t1\t1\tNaN\t2026-01-01\ts", "openai\tx\t-1\t1\t1\t2026-01-01\ts", "openai\tx\t1\t1\t1\tsoon\ts",
		"openai\tx\t0.0001\t1\t1\t2026-01-01\ts", "openai\tx\t1\t1\t1\t2026-01-01\ts\nopenai\tx\t1\t1\t1\t2026-01-01\ts",
	} {
		if _, err := readPrices(bad); err == nil {
			t.Errorf("taken: %q", bad)
		}
	}
}
