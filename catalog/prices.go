package catalog

import (
	_ "embed"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"gnothi/llm"
	"gnothi/llm/openai"
)

// Price is what a provider charges for a model, and when that was looked up.
type Price struct {
	llm.Price
	Checked time.Time // the day
	Source  string    // where the provider states it
}

//go:embed prices.tsv
var pricesTSV string

var prices = sync.OnceValues(func() (map[string]Price, error) { return readPrices(pricesTSV) })

func readPrices(tsv string) (map[string]Price, error) {
	table := map[string]Price{}
	for i, line := range strings.Split(strings.TrimSpace(tsv), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 7 {
			return nil, fmt.Errorf("prices: line %d: %d columns, want 7", i+1, len(f))
		}
		p := Price{Source: f[6]}
		var err, e error
		for k, to := range []*int64{&p.Input, &p.Cached, &p.Output} {
			if *to, e = nanoPerToken(f[2+k]); e != nil {
				err = e
			}
		}
		if p.Checked, e = time.Parse(time.DateOnly, f[5]); e != nil {
			err = e
		}
		key := f[0] + ":" + f[1]
		if _, twice := table[key]; twice {
			err = errors.New("the model is there twice")
		}
		if err != nil {
			return nil, fmt.Errorf("prices: line %d: %w", i+1, err)
		}
		table[key] = p
	}
	return table, nil
}

// nanoPerToken reads dollars a million tokens, which are thousands of
// nano-dollars a token.
func nanoPerToken(s string) (int64, error) {
	d, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, err
	}
	nano := math.Round(d * 1000)
	if !(d >= 0 && d < 1e6) || math.Abs(nano-d*1000) > 1e-6 {
		return 0, fmt.Errorf("price %s: want dollars a million tokens, to a thousandth", s)
	}
	return int64(nano), nil
}

// Remote tells whether a specification is of a model that somebody else runs.
func Remote(spec string) bool {
	provider, _, _ := strings.Cut(spec, ":")
	return provider == "openai" || provider == "responses" || provider == "anthropic"
}

// PriceOfSpec is [PriceOf] for a specification.
func PriceOfSpec(spec string) (Price, bool) {
	provider, name, _ := strings.Cut(spec, ":")
	name, url := splitURL(name)
	if url == openai.DefaultBaseURL && provider != "anthropic" {
		url = ""
	}
	return PriceOf(llm.ID{Provider: provider, Name: name, Host: url})
}

// snapshot ends the name of a dated version of a model, which costs the same.
var snapshot = regexp.MustCompile(`-20\d\d-?\d\d-?\d\d$`)

// PriceOf looks a model up in the price table. It knows those of the providers'
// own endpoints only; a price that it does not have is not known, which is not
// nothing: ok is false.
func PriceOf(id llm.ID) (p Price, ok bool) {
	table, err := prices()
	if err != nil || id.Host != "" {
		return Price{}, false
	}
	provider := id.Provider
	if provider == "responses" {
		provider = "openai"
	}
	if p, ok = table[provider+":"+id.Name]; !ok {
		p, ok = table[provider+":"+snapshot.ReplaceAllString(id.Name, "")]
	}
	return p, ok
}
