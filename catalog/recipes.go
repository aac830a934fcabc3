package catalog

import (
	"fmt"
	"math"
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
		{"meta-rewarding", "k=7&n=11&rho=0&tokens=0&meta-tokens=0", func(p *Params) learn.Recipe {
			n := p.Int("n", 11, 1, 999)
			if n%2 == 0 {
				p.fail("n=%d: want an odd number", n)
			}
			j, meta := judge.AdditiveJudge(n), &judge.Judge{Rubric: judge.MetaRubric, Votes: 1, MaxTokens: p.Int("meta-tokens", 0, 0, 1<<16)}
			j.MaxTokens = p.Int("tokens", 0, 0, 1<<16)
			return learn.MetaRewarding(p.Int("k", 7, 2, 100), p.Float("rho", 0, 0, 0.499), j, meta)
		}},
		{"self-reference-ai-feedback", "n=2&drop=0.2&votes=3&tokens=0&reason=yes", func(p *Params) learn.Recipe {
			return learn.SelfReference(p.Int("n", 2, 2, 100), p.Float("drop", 0.2, 0, 0.99), p.judge(learn.SelfReferenceJudge()))
		}},
		{"only-prompting-self-rewarding", "n=1", func(p *Params) learn.Recipe { return learn.OnlyPrompting(p.n(1)) }},
		{"self-rationalization-judge", "n=11&margin=1&pairs=2&low=1&high=5&tokens=0&reason=yes", func(p *Params) learn.Recipe {
			n := p.Int("n", 11, 3, 999)
			if n%2 == 0 {
				p.fail("n=%d: want an odd number", n)
			}
			j := p.judge(judge.Judge{Votes: n, Temperature: 1, Reason: true, Low: p.Int("low", 1, 0, 99), High: p.Int("high", 5, 1, 100)})
			return learn.SelfRationalization(p.Float("margin", 1, 0, 100), p.Int("pairs", 2, 1, 1000), j)
		}},
		{"self-motivated-learning", "n=8&hint=no", func(p *Params) learn.Recipe {
			return learn.SelfMotivated(p.n(8), p.Choice("hint", "no", "yes") == "yes")
		}},
		{"comas", "agents=2&rounds=1&votes=0&tokens=0&reason=no", func(p *Params) learn.Recipe {
			return learn.CoMAS(p.Int("agents", 2, 2, 20), p.Int("rounds", 1, 1, 20), p.judge(learn.CoMASJudge()))
		}},
		{"anyprefer", "n=5&tries=3&theta=0.5&votes=0&tokens=0&reason=no", func(p *Params) learn.Recipe {
			reward := learn.AnypreferReward()
			reward.MaxTokens = p.Int("tokens", 0, 0, 1<<16)
			return learn.Anyprefer(p.Int("n", 5, 2, judge.Most), p.Int("tries", 3, 1, 20), p.Float("theta", 0.5, 0, 1), p.judge(learn.AnypreferJudge()), &reward)
		}},
		{"mario-multi-reward-rationales", "n=5&rewards=4&votes=0&tokens=0&reason=no", func(p *Params) learn.Recipe {
			return learn.MultiReward(p.n(5), p.Int("rewards", 4, 1, 4), p.judge(learn.Plausibility()))
		}},
		{"multilevel-feedback-counselors", "n=10&votes=0&tokens=0&reason=no", func(p *Params) learn.Recipe {
			return learn.Counsellors(p.Int("n", 10, 2, 100), p.judge(learn.CounsellorJudge()))
		}},
		{"self-play-preference-optimization-spo", "n=8&votes=0&tokens=0&reason=no", func(p *Params) learn.Recipe {
			return learn.SelfPlay(p.Int("n", 8, 2, 100), p.judge(judge.Judge{}))
		}},
		{"process-self-rewarding", "w=6&gap=2&votes=0&tokens=0&reason=no", func(p *Params) learn.Recipe {
			return learn.ProcessSelfRewarding(p.Int("w", 6, 2, 100), p.Float("gap", 2, 0, 99), p.judge(judge.Judge{}))
		}},
		{"b-star", "k=64&low=0.5&high=1.2&step=0.05&want=8", func(p *Params) learn.Recipe {
			var ts []float64
			low, high, step := p.Float("low", 0.5, 0.01, 2), p.Float("high", 1.2, 0.01, 2), p.Float("step", 0.05, 0.01, 2)
			for i := 0; low+float64(i)*step <= high+1e-9; i++ {
				ts = append(ts, math.Round((low+float64(i)*step)*1000)/1000)
			}
			if len(ts) == 0 {
				p.fail("low=%g, high=%g: no temperature between", low, high)
			}
			return learn.BStar(p.Int("k", 64, 1, 1000), ts, p.Float("want", 8, 1, 1000))
		}},
		{"rlsf-self-feedback", "k=10&delta=0.1", func(p *Params) learn.Recipe {
			return learn.SelfFeedback(p.Int("k", 10, 2, 20), p.Float("delta", 0.1, 0, 1))
		}},
		{"self-rewarding-self-improving", "n=8&generate=yes&votes=0&tokens=0&reason=no", func(p *Params) learn.Recipe {
			return learn.SelfImproving(p.n(8), p.Choice("generate", "yes", "no") == "yes", p.judge(judge.Judge{}))
		}},
		{"sharpening-mechanism", "n=10", func(p *Params) learn.Recipe { return learn.Sharpening(p.n(10)) }},
		{"self-language-feedback", "rounds=3", func(p *Params) learn.Recipe { return learn.LanguageFeedback(p.Int("rounds", 3, 1, 20)) }},
		{"reflect-retry-reward", "n=8", func(p *Params) learn.Recipe { return learn.ReflectRetry(p.n(8)) }},
		{"thinktuning", "n=5&share=0.1", func(p *Params) learn.Recipe { return learn.ThinkTuning(p.n(5), p.Float("share", 0.1, 0, 1)) }},
		{"knowrl", "k=8", func(p *Params) learn.Recipe { return learn.KnowRL(p.Int("k", 8, 1, 1000)) }},
		{"rlfh-fine-grained-knowledge", "n=1", func(p *Params) learn.Recipe { return learn.FineGrained(p.n(1)) }},
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
