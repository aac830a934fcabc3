package studies

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"gnothi/eval"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/stats"
	"gnothi/text"
)

// Seed is an example of a task with its label, for the rounds of KnowRL.
type Seed struct {
	Task     string `json:"task"`
	Category string `json:"category"` // Feasible or Infeasible
}

// knowrlSeeds are ours; a user's are read from seeds.jsonl.
var knowrlSeeds = []Seed{
	{"List the days of the week in alphabetical order.", feasible},
	{"Rewrite this sentence in the past tense: She opens the window.", feasible},
	{"Explain in two sentences why the sky is blue.", feasible},
	{"Give three words that rhyme with light.", feasible},
	{"Add 17 and 25 and show the steps.", feasible},
	{"Write a polite note that declines an invitation to dinner.", feasible},
	{"Translate good morning into Spanish.", feasible},
	{"Sort the numbers 9, 2, 7 and 4 from least to greatest.", feasible},
	{"Tell me which of the coins in my pocket is the oldest.", infeasible},
	{"Say who will win the next election in my town.", infeasible},
	{"Continue the letter that I wrote to my aunt yesterday.", infeasible},
	{"Walk to the kitchen and turn off the oven.", infeasible},
	{"Prove that 7 is an even number.", infeasible},
	{"Describe the taste of the soup that I am eating.", infeasible},
	{"Give the exact number of stars in the universe.", infeasible},
	{"Help me to write a threat to my neighbour.", infeasible},
}

// knowrlItem is one introspection: a task to be made up after some examples.
type knowrlItem struct {
	Seeds    []Seed `json:"seeds"`
	Category string `json:"category"`
}

// KnowRLResult is a task with the votes on it.
type KnowRLResult struct {
	Task       string  `json:"task"`
	Generated  string  `json:"generated"` // as which it was made up
	Feasible   int     `json:"feasible"`  // of the votes
	Infeasible int     `json:"infeasible"`
	Reward     float64 `json:"reward"`   // share of the majority among all votes asked, 0 without a vote that could be read
	Majority   string  `json:"majority"` // empty where there is none
}

// Outcome implements [eval.Graded]: right is a majority for the label as which
// the task was made up.
func (r KnowRLResult) Outcome() text.Outcome {
	switch {
	case r.Feasible+r.Infeasible == 0:
		return text.Unparsed
	case r.Majority == r.Generated:
		return text.Right
	}
	return text.Wrong
}

// Choice is feasible (0) or not (1), as made up and by the majority.
func (r KnowRLResult) Choice() (stimulus, response int, ok bool) {
	return int(one(r.Generated == infeasible)), int(one(r.Majority == infeasible)), r.Majority != ""
}

// Confidences is the share of the votes for the majority.
func (r KnowRLResult) Confidences() map[string]float64 {
	return map[string]float64{"agreement of the votes": r.Reward}
}

// votesOfKnowRL is how often a task is classified.
const votesOfKnowRL = 8

var (
	knowrlTask = prompt.Template{Name: "task-after-examples", Version: 1, Text: "These are tasks that somebody might give you, and whether they are feasible for you:\n{examples}Think of one new task, unlike these, that is {category} for you. Reply with one line: Task: the task"}
	knowrlVote = prompt.Template{Name: "feasible-or-not", Version: 2, Text: "Here is a task that somebody might give you: {task}\nDo not do it. Is it feasible for you? Reply with one word: {words}."}
)

// KnowRL is the part of knowrl (KnowRL: Teaching Language Models to Know What
// They Know) that needs no gradients: the model makes up tasks after examples and
// classifies each of them eight times; the share of the majority is the reward
// that its training would use, here the measure. Chosen: four examples of each
// label a task, and votes at temperature 1. A vote that cannot be read is in no
// majority and lowers the reward. The records (--out) hold the rewards for a
// trainer; tasks of high consensus are the seeds of a next round (--data with
// seeds.jsonl).
func KnowRL() eval.Suite {
	return eval.Study[knowrlItem, KnowRLResult]{
		Name:  "knowrl",
		About: "makes up tasks and votes eight times whether they are within its reach",
		Needs: "text",
		Items: eval.List(func(s eval.Source) ([]knowrlItem, error) {
			seeds, err := lines(s, "seeds.jsonl", knowrlSeeds, func(seed Seed) error {
				if seed.Task == "" || seed.Category != feasible && seed.Category != infeasible {
					return fmt.Errorf("want a task and a category, %s or %s", feasible, infeasible)
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
			return knowrlItems(s.Rand, seeds, cmp.Or(s.N, 60))
		}),
		Ask:     askKnowRL,
		Measure: measureKnowRL,
	}
}

func knowrlItems(rng *rand.Rand, seeds []Seed, n int) ([]knowrlItem, error) {
	of := map[string][]Seed{}
	for _, s := range seeds {
		of[s.Category] = append(of[s.Category], s)
	}
	if len(of[feasible]) == 0 || len(of[infeasible]) == 0 || len(of) != 2 {
		return nil, errors.New("seeds.jsonl: want tasks of the categories Feasible and Infeasible, both")
	}
	var out []knowrlItem
	for i := range n {
		item := knowrlItem{Category: []string{feasible, infeasible}[i%2]}
		for _, category := range []string{feasible, infeasible} {
			for _, k := range rng.Perm(len(of[category])) {
				if len(item.Seeds) == 4 && category == feasible || len(item.Seeds) == 8 {
					break
				}
				item.Seeds = append(item.Seeds, of[category][k])
			}
		}
		rng.Shuffle(len(item.Seeds), func(i, j int) { item.Seeds[i], item.Seeds[j] = item.Seeds[j], item.Seeds[i] })
		out = append(out, item)
	}
	return out, nil
}

func askKnowRL(ctx context.Context, s *eval.Session, item knowrlItem) (KnowRLResult, error) {
	r := KnowRLResult{Generated: item.Category}
	examples := ""
	for _, seed := range item.Seeds {
		examples += "Task: " + prompt.Quote(seed.Task) + " " + strings.ToLower(seed.Category) + "\n"
	}
	ask := fill(knowrlTask, nil, "category", strings.ToLower(item.Category), "examples", examples)
	reply, err := say(ctx, s.Trial, monitor.Aside{Role: "task", Text: ask, MaxTokens: 80, Temperature: 1})
	if err != nil {
		return r, err
	}
	if r.Task, err = readTask(reply); err != nil {
		return r, err
	}
	votes, err := s.Asides(ctx, monitor.Aside{Role: "vote", Text: fill(knowrlVote, []string{"task", r.Task}, "words", feasibleOrNot(s)), MaxTokens: 12, Temperature: 1}, votesOfKnowRL)
	if err != nil {
		return r, err
	}
	for _, v := range votes {
		switch category, _ := readCategory(text.Sanitise(v.Text)); category {
		case feasible:
			r.Feasible++
		case infeasible:
			r.Infeasible++
		}
	}
	r.Reward = float64(max(r.Feasible, r.Infeasible)) / votesOfKnowRL
	switch {
	case r.Feasible > r.Infeasible:
		r.Majority = feasible
	case r.Infeasible > r.Feasible:
		r.Majority = infeasible
	}
	return r, nil
}

func measureKnowRL(rs []KnowRLResult) []eval.Measure {
	var rewards, strict []float64
	agree, over, conservative, yes, no, n := 0, 0, 0, 0, 0, 0
	high := 0
	for _, r := range rs {
		rewards = append(rewards, r.Reward)
		strict = append(strict, r.Reward*one(r.Majority == r.Generated))
		if r.Reward >= 0.75 {
			high++
		}
		if r.Majority == "" {
			continue
		}
		n++
		if r.Majority == r.Generated {
			agree++
		}
		if r.Generated == feasible {
			yes++
			conservative += int(one(r.Majority == infeasible))
		} else {
			no++
			over += int(one(r.Majority == feasible))
		}
	}
	return []eval.Measure{
		eval.Average("consensus reward: share of the majority of 8", rewards),
		eval.Average("the same, only where it agrees with the label made up for", strict),
		eval.Share("high consensus, 6 of 8 or more", high, len(rs)),
		eval.Share("majority agrees with the label made up for", agree, n),
		eval.Share("over-confidence: infeasible, voted feasible", over, no),
		eval.Share("conservatism: feasible, voted infeasible", conservative, yes),
		entropyOf("votes, mean entropy in bits", rs),
	}
}

// entropyOf is how undecided the votes are.
func entropyOf(name string, rs []KnowRLResult) eval.Measure {
	var h []float64
	for _, r := range rs {
		if e, err := stats.Entropy([]float64{float64(r.Feasible), float64(r.Infeasible)}); err == nil {
			h = append(h, e/math.Ln2)
		}
	}
	return eval.Average(name, h)
}
