package questions

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// The halves of the set. No cluster has questions in both.
const (
	Fit   = "fit"   // for fitting calibrators
	Apart = "apart" // for judging what was fitted
)

// Levels of difficulty. They are our judgement of how widely a fact is known or
// how hard a sum is, not a measurement on any model.
const (
	Easiest = 1
	Hardest = 5
)

// Question is one line of the set, in the layout that `ask --in` and
// `calibrate --in` read.
type Question struct {
	ID       string   `json:"id"` // "q-" and ten hexadecimal digits: a hash of Question
	Question string   `json:"question"`
	Answers  []string `json:"answers"` // every form a fair grader accepts, the usual one first
	Kind     string   `json:"kind"`    // one of Kinds()
	Cluster  string   `json:"cluster"` // what the question is about, such as "country:france"
	// Unanswerable marks a false premise or something nobody can know: Answers then
	// holds forms of declining, and any refusal is right.
	Unanswerable bool   `json:"unanswerable,omitempty"`
	Half         string `json:"half"`  // Fit or Apart
	Level        int    `json:"level"` // Easiest to Hardest
}

// All returns the whole set, in an order that is the same for every call:
// by kind, and within a kind as the tables have it.
func All() []Question { return slices.Clone(all()) }

// all makes the set once: it takes some 20 ms.
var all = sync.OnceValue(func() []Question {
	var set []Question
	for _, q := range append(fromTables(), computed()...) {
		q.ID = identifier(q.Question)
		q.Half = half(q.Cluster)
		q.Level = min(max(q.Level, Easiest), Hardest)
		set = append(set, q)
	}
	slices.SortStableFunc(set, func(a, b Question) int {
		return slices.Index(kinds, a.Kind) - slices.Index(kinds, b.Kind)
	})
	return set
})

// Split returns the questions of one half, Fit or Apart, in the order of All.
func Split(half string) []Question {
	return slices.DeleteFunc(All(), func(q Question) bool { return q.Half != half })
}

// Write writes the whole set as JSON Lines. Its error is the writer's.
func Write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, q := range All() {
		if err := enc.Encode(q); err != nil {
			return fmt.Errorf("questions: write %s: %w", q.ID, err)
		}
	}
	return nil
}

// identifier survives reordering and additions, because it depends on the text alone.
func identifier(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "q-" + hex.EncodeToString(sum[:5])
}

// splitSalt was chosen among small integers so that each kind is divided about
// evenly; a change moves every cluster and voids what was calibrated on Fit.
const splitSalt = 33

func half(cluster string) string {
	if hash(fmt.Sprint(splitSalt), cluster)%2 == 0 {
		return Fit
	}
	return Apart
}

// hash makes the choices that ought to look random but must never change:
// a phrasing, a share of the rows, a half.
func hash(parts ...string) uint64 {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return binary.BigEndian.Uint64(sum[:8])
}

// choose picks one of the options by the hash of the key.
func choose[T any](options []T, key ...string) T {
	return options[hash(key...)%uint64(len(options))]
}

func mentionsAnswer(q Question) bool {
	text := words(q.Question)
	return slices.ContainsFunc(q.Answers, func(a string) bool { return strings.Contains(text, words(a)) })
}

// words lower-cases a text and puts one space round each word,
// so that strings.Contains finds whole words only.
func words(s string) string {
	fields := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\''
	})
	return " " + strings.Join(fields, " ") + " "
}

// slug turns a name into the second part of a cluster: "the Netherlands" and
// "an ant" become "netherlands" and "ant".
func slug(name string) string {
	s := strings.ToLower(name)
	for _, article := range []string{"the ", "an ", "a "} {
		s = strings.TrimPrefix(s, article)
	}
	return strings.ReplaceAll(strings.TrimSpace(words(s)), " ", "-")
}
