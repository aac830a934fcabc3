package gateway

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gnothi/llm"
)

// cacheControl reads how a request uses the cache. Without directives it does if
// all do. max-age asks for an answer that is no older, no-cache for a new one that
// is kept, no-store for one that is not, only-if-cached for none that has to be made.
func (g *Gateway) cacheControl(h http.Header) (use llm.CacheUse, used bool) {
	used = g.CacheAll
	for _, field := range h.Values("Cache-Control") {
		for directive := range strings.SplitSeq(field, ",") {
			name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
			switch name {
			case "no-store":
				use.Off = true
			case "no-cache": // browsers and libraries send it by themselves: it asks for no cache to be kept
				use.Fresh = true
			case "only-if-cached":
				use.Only, used = true, true
			case "max-age":
				seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
				switch {
				case err != nil: // as if it were not there
				case seconds == 0:
					use.Fresh = true
				default:
					use.MaxAge, used = time.Duration(seconds)*time.Second, true
				}
			}
		}
	}
	used = used && g.Cache != nil && !use.Off
	if use.Only && !used {
		use.Off = true // there is nothing that it could be in
	}
	return use, used
}

// withCache makes the calls of a request use the cache as its headers ask. Clients
// with keys of their own do not see what others asked.
func (g *Gateway) withCache(ctx context.Context, h http.Header) (_ context.Context, used bool, _ error) {
	use, used := g.cacheControl(h)
	if k := clientOf(ctx); k != nil {
		use.Space = k.Name
	}
	switch {
	case used:
		return llm.WithCache(ctx, use), true, nil
	case use.Only:
		return nil, false, llm.ErrNotCached
	}
	return ctx, false, nil
}

// cached puts the cache before a model, for the requests that use it.
func (g *Gateway) cached(m llm.Model) llm.Model {
	if g.Cache == nil {
		return m
	}
	return llm.CachedOnDemand(m, g.Cache)
}

// cacheStatus is the header of RFC 9211 for an answer that the cache was used for.
func cacheStatus(calls, cached int64) string {
	switch {
	case cached == 0:
		return "gnothi; fwd=miss; stored"
	case calls == 0:
		return "gnothi; hit"
	}
	return "gnothi; fwd=partial; stored"
}
