package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"gnothi/llm"
)

// Abilities remembers on disk what was found out about what models behind a
// server can do, with a date, so that no process has to find out again. It is
// safe for concurrent use, also by several processes.
type Abilities struct {
	path string
	tell func(string)

	mu sync.Mutex
}

// NewAbilities keeps them in a file, which need not be there yet. tell, if set,
// hears of an ability that a model no longer has.
func NewAbilities(path string, tell func(string)) *Abilities {
	return &Abilities{path: path, tell: tell}
}

// lackFor is how long it is believed that a model lacks something: a server may
// learn it. What it had is believed until an answer shows otherwise.
const lackFor = 7 * 24 * time.Hour

// Of gives what is known of the model of an ID, by the names of the abilities.
func (a *Abilities) Of(id llm.ID) ([]llm.Finding, error) {
	all, err := a.read()
	if err != nil {
		return nil, err
	}
	return all[id.String()], nil
}

// believed are the findings to begin with.
func (a *Abilities) believed(id llm.ID) map[llm.Ability]bool {
	findings, _ := a.Of(id) // without a memory all is found out again
	can := map[llm.Ability]bool{}
	for _, f := range findings {
		if f.Can || time.Since(f.At) < lackFor {
			can[f.Ability] = f.Can
		}
	}
	return can
}

// Note remembers findings, and tells of abilities that were there before.
func (a *Abilities) Note(id llm.ID, findings ...llm.Finding) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := os.MkdirAll(filepath.Dir(a.path), 0o755); err != nil {
		return fmt.Errorf("abilities: %w", err)
	}
	lock := flock.New(a.path + ".lock")
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("abilities: %w", err)
	}
	defer lock.Unlock() //nolint:errcheck // it goes with the process at the latest
	all, err := a.read()
	if err != nil {
		all = nil // damaged: what is known now replaces it
	}
	if all == nil {
		all = map[string][]llm.Finding{}
	}
	known := map[llm.Ability]llm.Finding{}
	for _, f := range all[id.String()] {
		known[f.Ability] = f
	}
	for _, f := range findings {
		if old, ok := known[f.Ability]; ok && old.Can && !f.Can && a.tell != nil {
			a.tell(fmt.Sprintf("%s no longer has %q, which it had on %s", id, f.Ability, old.At.Format(time.DateOnly)))
		}
		known[f.Ability] = f
	}
	all[id.String()] = slices.SortedFunc(maps.Values(known), func(x, y llm.Finding) int { return strings.Compare(string(x.Ability), string(y.Ability)) })
	raw, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return fmt.Errorf("abilities: %w", err)
	}
	tmp := fmt.Sprintf("%s.%d", a.path, os.Getpid())
	if err := os.WriteFile(tmp, raw, 0o644); err != nil {
		return fmt.Errorf("abilities: %w", err)
	}
	if err := os.Rename(tmp, a.path); err != nil {
		return errors.Join(fmt.Errorf("abilities: %w", err), os.Remove(tmp))
	}
	return nil
}

func (a *Abilities) read() (map[string][]llm.Finding, error) {
	raw, err := os.ReadFile(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("abilities: %w", err)
	}
	var all map[string][]llm.Finding
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("abilities: %s: %w", a.path, err)
	}
	return all, nil
}
