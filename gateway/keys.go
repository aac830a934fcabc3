package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"gnothi/llm"
)

// Key is a client's key and what it may do. Zero ceilings and rates are none.
type Key struct {
	Name string
	// Hash is the SHA-256 of the key, which has to be one that nobody can guess,
	// as [NewKey] makes it: it is not salted.
	Hash [sha256.Size]byte
	// Admin opens pages, metrics and runs too, which show what all clients asked.
	Admin bool
	// Policy is that of requests that name none, Policies those that it may choose
	// by name (empty: any), Models those that it may ask (empty: any).
	Policy           string
	Policies, Models []string
	// Limits bound each request, Day those of a day together, Request rates and
	// Concurrency what comes at once.
	Limits, Day llm.Limits
	RPM, TPM    int64
	Concurrency int
}

// keyPrefix begins the keys that gnothi makes, so that they are known as keys
// wherever they turn up.
const keyPrefix = "sk-gnothi-"

// NewKey makes a key of at least 128 random bits, and its hash as a configuration holds it.
func NewKey() (key, hash string) {
	key = keyPrefix + rand.Text()
	sum := sha256.Sum256([]byte(key))
	return key, hashPrefix + hex.EncodeToString(sum[:])
}

const hashPrefix = "sha256:"

// ParseHash reads sha256:HEX.
func ParseHash(s string) (sum [sha256.Size]byte, err error) {
	digits, ok := strings.CutPrefix(s, hashPrefix)
	b, err := hex.DecodeString(digits)
	if !ok || err != nil || len(b) != len(sum) {
		return sum, fmt.Errorf("want %s and 64 hexadecimal digits, as gnothi serve key new prints them", hashPrefix)
	}
	return [sha256.Size]byte(b), nil
}

// keyNames are what a key may be called: it stands in logs, metrics and books.
var keyNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

// CheckKeys tells what is wrong with a set of keys.
func CheckKeys(keys []Key) error {
	for i, k := range keys {
		switch {
		case !keyNames.MatchString(k.Name):
			return fmt.Errorf("keys: %q is no name: want letters, digits, - and _, at most 63", k.Name)
		case k.Hash == [sha256.Size]byte{}:
			return fmt.Errorf("keys.%s: has no hash", k.Name)
		}
		for _, other := range keys[:i] {
			if other.Name == k.Name || other.Hash == k.Hash {
				return fmt.Errorf("keys.%s: is the same as keys.%s", k.Name, other.Name)
			}
		}
	}
	return nil
}

// Guarded tells whether clients need a key.
func (o *Options) Guarded() bool { return o.APIKey != "" || len(o.Keys) > 0 }

// operator is whoever sends the server's own key, or anybody where there are no
// keys: only those of this machine then.
var operator = &Key{Admin: true}

// find gives the key that was sent. Every key is compared, in a time that depends
// neither on them nor on what was sent.
func (g *Gateway) find(given string) (found *Key) {
	sum := sha256.Sum256([]byte(given))
	if subtle.ConstantTimeCompare(sum[:], g.keySum[:]) == 1 && g.APIKey != "" {
		found = operator
	}
	for i := range g.Keys {
		if subtle.ConstantTimeCompare(sum[:], g.Keys[i].Hash[:]) == 1 {
			found = &g.Keys[i]
		}
	}
	return found
}

// bearer is the key that a request brings for the API.
func bearer(r *http.Request) string {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return ""
	}
	return strings.TrimSpace(given)
}

// password is the key that a browser brings for pages.
func password(r *http.Request) string {
	_, given, _ := r.BasicAuth()
	return given
}

type clientKey struct{}

// clientOf gives the key that a request came with.
func clientOf(ctx context.Context) *Key {
	if k, ok := ctx.Value(clientKey{}).(*Key); ok {
		return k
	}
	return operator
}

// admits tells who asks, or why they may not.
func (g *Gateway) admits(w http.ResponseWriter, r *http.Request, path string) (*Key, error) {
	if !g.Guarded() || open(path) {
		return operator, nil
	}
	k := g.find(bearer(r))
	if k == nil && isPage(path) {
		if k = g.find(password(r)); k == nil {
			w.Header().Set("WWW-Authenticate", `Basic realm="gnothi: the API key is the password", charset="UTF-8"`)
		}
	}
	switch {
	case k == nil:
		return nil, &failure{status: http.StatusUnauthorized, kind: badRequest, code: "invalid_api_key", message: "the API key is missing or wrong: send it as Authorization: Bearer KEY"}
	case !k.Admin && (isPage(path) || path == metricsPath):
		return nil, &failure{status: http.StatusForbidden, kind: badRequest, code: "not_allowed", message: "this key is for the API: what all clients asked is for keys with admin: true"}
	}
	return k, nil
}

// metricsPath is where the metrics are.
const metricsPath = "/metrics"

// paid gives an endpoint that costs something the account of whoever asks.
func (g *Gateway) paid(serve endpoint) endpoint {
	return func(w http.ResponseWriter, r *http.Request) error {
		k := clientOf(r.Context())
		leave, err := g.Books.enter(k)
		if err != nil {
			return err
		}
		within := []llm.Account{g.Books.Account("", g.Day)}
		if k.Name != "" {
			within = append(within, g.Books.Account(k.Name, k.Day))
		}
		ledger := llm.NewLedger(llm.Limits{}, within...)
		defer func() { leave(ledger.Spent().Tokens()) }()
		return serve(w, r.WithContext(llm.WithLedger(r.Context(), ledger)))
	}
}

// mayAsk tells why a key may not have a model or a policy.
func (k *Key) mayAsk(model, policy string) error {
	name, _, _ := strings.Cut(policy, "?")
	switch {
	case len(k.Models) > 0 && !slices.Contains(k.Models, model):
		return &failure{status: http.StatusForbidden, kind: badRequest, code: "not_allowed", param: "model", message: fmt.Sprintf("this key may not ask the model %.200q: it may ask %s", model, strings.Join(k.Models, ", "))}
	case len(k.Policies) > 0 && policy != "" && !slices.Contains(k.Policies, policy) && !slices.Contains(k.Policies, name):
		return &failure{status: http.StatusForbidden, kind: badRequest, code: "not_allowed", param: "gnothi.policy", message: fmt.Sprintf("this key may not use the policy %.200q: it may use %s", policy, strings.Join(k.Policies, ", "))}
	}
	return nil
}
