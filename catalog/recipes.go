package catalog

import (
	"fmt"
	"strings"

	"gnothi/learn"
	"gnothi/monitor/judge"
)

// RecipeEntry is a recipe that has a name.
type RecipeEntry struct {
	Name   string
	Params string // its parameters with their defaults, as one would type them
	New    func(*Params) learn.Recipe
}

// Recipes lists every recipe that makes training data. This is the one place where names become recipes.
func Recipes() []RecipeEntry {
	return []RecipeEntry{
		{"sharpening-mechanism", "n=10", func(p *Params) learn.Recipe { return learn.Sharpening(p.n(10)) }},
		{"self-motivated-learning", "n=8&hint=no", func(p *Params) learn.Recipe {
			return learn.SelfMotivated(p.n(8), p.Choice("hint", "no", "yes") == "yes")
		}},
		{"only-prompting-self-rewarding", "n=1", func(p *Params) learn.Recipe { return learn.OnlyPrompting(p.n(1)) }},
		{"self-play-preference-optimization-spo", "n=8&votes=0&tokens=0&reason=no", func(p *Params) learn.Recipe {
			return learn.SelfPlay(p.Int("n", 8, 2, 100), p.judge(judge.Judge{}))
		}},
	}
}

// judge is a judge with the parameters votes, tokens and reason.
func (p *Params) judge(j judge.Judge) *judge.Judge {
	if j.Votes = p.Int("votes", j.Votes, 0, 999); j.Votes > 0 && j.Votes%2 == 0 {
		p.fail("votes=%d: want an odd number", j.Votes)
	}
	j.MaxTokens = p.Int("tokens", j.MaxTokens, 0, 1<<16)
	first := "no"
	if j.Reason {
		first = "yes"
	}
	j.Reason = p.Choice("reason", first, "no", "yes") == "yes"
	return &j
}

// Recipe makes a recipe of NAME[?key=value&…].
func Recipe(spec string) (learn.Recipe, error) {
	name, query, _ := strings.Cut(spec, "?")
	var names []string
	for _, e := range Recipes() {
		if e.Name != name {
			names = append(names, e.Name)
			continue
		}
		p, err := parseParams(PolicyEntry{Name: e.Name, Params: e.Params}, query, nil)
		if err != nil {
			return learn.Recipe{}, fmt.Errorf("recipe %s: %w", spec, err)
		}
		r := e.New(p)
		if p.err != nil {
			return learn.Recipe{}, fmt.Errorf("recipe %s: %w", spec, p.err)
		}
		return r, nil
	}
	return learn.Recipe{}, unknown("recipe", name, names)
}
