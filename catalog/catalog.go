package catalog

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
)

// State says how much of a paper works here.
type State string

// The states, from most to least.
const (
	// Works: the paper's own method runs, and its own measure is taken.
	Works State = "works"
	// Inspired: something runs that the paper suggested, but the rubric, index or definition is ours.
	Inspired State = "inspired"
	// Partly: a part runs; the reason says which part is missing.
	Partly State = "partly"
	// NotYet: nothing runs yet; the reason says what it comes with.
	NotYet State = "not yet"
	// NothingToRun: a survey, an essay or a study of people; the reason says which.
	NothingToRun State = "nothing to run"
)

// States returns the states from most to least.
func States() []State { return []State{Works, Inspired, Partly, NotYet, NothingToRun} }

// Runs reports whether there is something to try: a symbol and a command.
func (s State) Runs() bool { return s == Works || s == Inspired || s == Partly }

// Paper is one row of the catalogue. Its JSON form is what `gnothi methods --json` prints.
type Paper struct {
	Slug  string `json:"slug"`
	Title string `json:"title"`
	// Tier is what the central result needs: A a text interface, B a look inside a local model, C training,
	// D another modality or field (a toy or a text port is possible), E no algorithm.
	Tier  string `json:"tier"`
	State State  `json:"state"`
	// Reason is empty only where State is Works.
	Reason string `json:"reason"`
	// Symbol is the Go symbol that carries the method, as package path within the module, dot, exported name:
	// "monitor/likelihood.SelfCertainty".
	Symbol string `json:"symbol"`
	// Command is one shell command that shows the method.
	Command string `json:"command"`

	// Number is the paper's place in the census, from 1.
	Number int `json:"-"`
	// Family groups papers by subject, for example "confidence" or "theory-of-mind".
	Family string `json:"-"`
	// Needs lists what a faithful run needs: text, logprobs, full-logits, hidden-states, gradients, environment, images,
	// audio, humans, or "dataset:NAME".
	Needs []string `json:"-"`
	// About says in one line what the paper does.
	About string `json:"-"`
	// Names are the policies and signals on the command line that carry the method.
	Names []string `json:"-"`
}

//go:embed papers.tsv
var papersTSV string

// columns is the header of papers.tsv.
const columns = "n\tslug\ttitle\ttier\tfamily\tneeds\tabout\tstate\treason\tsymbol\tnames\tcommand"

var papers = sync.OnceValue(func() []Paper {
	rows, err := parse(papersTSV)
	if err != nil {
		panic(err) // the file is compiled in: only an editor of it can get here, and the tests stop that
	}
	return rows
})

// Papers returns every paper in the order of the census.
func Papers() []Paper { return slices.Clone(papers()) }

// Find returns the paper with that slug, census number or title, or else the first one that owns that policy or signal
// name. Letters' case does not matter.
func Find(name string) (Paper, bool) {
	name = strings.TrimSpace(name)
	i := slices.IndexFunc(papers(), func(p Paper) bool {
		return strings.EqualFold(name, p.Slug) || strings.EqualFold(name, p.Title) || name == strconv.Itoa(p.Number)
	})
	if i < 0 {
		i = slices.IndexFunc(papers(), func(p Paper) bool { return slices.Contains(p.Names, strings.ToLower(name)) })
	}
	if i < 0 {
		return Paper{}, false
	}
	return papers()[i], true
}

// Nearest returns the member of known that somebody who typed name most likely meant: the one at the smallest edit
// distance if at most a third of the letters differ, else the only one that contains name, else "".
func Nearest(name string, known []string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if name == "" || len(name) > 200 {
		return ""
	}
	best, least := "", max(1, utf8.RuneCountInString(name)/3)+1
	var within []string
	for _, k := range known {
		if d := levenshtein.ComputeDistance(name, strings.ToLower(k)); d < least {
			best, least = k, d
		}
		if strings.Contains(strings.ToLower(k), name) {
			within = append(within, k)
		}
	}
	if best == "" && len(within) == 1 {
		return within[0]
	}
	return best
}

// NearestPaper returns the slug or the policy or signal name of a paper that name most likely meant, or "".
func NearestPaper(name string) string {
	var known []string
	for _, p := range papers() {
		known = append(known, p.Slug)
		known = append(known, p.Names...)
	}
	return Nearest(name, known)
}

func parse(tsv string) ([]Paper, error) {
	lines := strings.Split(strings.TrimSuffix(tsv, "\n"), "\n")
	if lines[0] != columns {
		return nil, fmt.Errorf("catalog: papers.tsv:1: columns %q, want %q", lines[0], columns)
	}
	rows := make([]Paper, 0, len(lines)-1)
	for i, line := range lines[1:] {
		f := strings.Split(line, "\t")
		if want := strings.Count(columns, "\t") + 1; len(f) != want {
			return nil, fmt.Errorf("catalog: papers.tsv:%d: %d fields, want %d", i+2, len(f), want)
		}
		n, err := strconv.Atoi(f[0])
		if err != nil {
			return nil, fmt.Errorf("catalog: papers.tsv:%d: field n: %w", i+2, err)
		}
		rows = append(rows, Paper{
			Number: n, Slug: f[1], Title: f[2], Tier: f[3], Family: f[4], Needs: strings.Fields(f[5]), About: f[6],
			State: State(f[7]), Reason: f[8], Symbol: f[9], Names: strings.Fields(f[10]), Command: f[11],
		})
	}
	return rows, nil
}
