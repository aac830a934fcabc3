package studies

import (
	"cmp"
	"context"
	"errors"

	"gnothi/eval"
	"gnothi/learn/countdown"
	"gnothi/monitor"
	"gnothi/monitor/judge"
	"gnothi/monitor/prompt"
	"gnothi/stats"
	"gnothi/text"
)

// Puzzle is a Countdown puzzle: a line of puzzles.jsonl.
type Puzzle struct {
	Numbers []int `json:"numbers"`
	Target  int   `json:"target"`
}

// Solved is a solution with both verdicts.
type Solved struct {
	Right bool  `json:"right"` // by the exact checker
	Holds *bool `json:"holds"` // by the model itself; null: could not be read
}

// SelfRewardResult is a puzzle with its solutions, and whether the puzzle that
// the model made of it is one.
type SelfRewardResult struct {
	Solutions []Solved `json:"solutions"`
	Made      string   `json:"made"` // valid, without a solution, unread
}

const selfRewardSamples = 4

var makePuzzle = prompt.Template{Name: "countdown-like", Version: 1, Text: "A puzzle: {puzzle}\nWrite a new puzzle of the same kind that has a solution. Reply with one line of the form \"Numbers: 3, 5, 7. Target: 22\" and nothing else."}

// SelfImproving is the study self-rewarding-self-improving (Simonds et al. 2025):
// may a model's own verdict be its reward? It solves Countdown puzzles, judges
// each solution in a fresh context without reference, and an exact checker tells
// how often the verdict is right, how many wrong solutions it accepts, and how
// far it agrees beyond chance. A reward should be used only while at most 10 % of
// the wrong solutions are accepted; `gnothi learn` withholds it otherwise.
// Published: Qwen2.5-7B gains 8 % by training on its own verdicts; training is
// not done here, and integration is left out. The user's puzzles come from
// puzzles.jsonl.
func SelfImproving() eval.Suite {
	return eval.Study[Puzzle, SelfRewardResult]{
		Name:  "self-rewarding-self-improving",
		About: "a model's own verdict on its Countdown solutions against an exact checker",
		Needs: "text",
		Items: eval.List(puzzles),
		Ask:   askSelfReward, Measure: measureSelfReward,
	}
}

// puzzles are the user's, or made ones of three or four numbers.
func puzzles(s eval.Source) ([]Puzzle, error) {
	var sample []Puzzle
	for range cmp.Or(s.N, 40) {
		p, err := countdown.Generate(s.Rand, 3+s.Rand.IntN(2), 25, 200)
		if err != nil {
			return nil, err
		}
		sample = append(sample, Puzzle(p))
	}
	return lines(s, "puzzles.jsonl", sample, func(p Puzzle) error { return countdown.Puzzle(p).Valid() })
}

func askSelfReward(ctx context.Context, s *eval.Session, p Puzzle) (SelfRewardResult, error) {
	r := SelfRewardResult{Made: "unread"}
	puzzle := countdown.Puzzle(p)
	reply, err := s.Aside(ctx, monitor.Aside{Role: "generate", Text: makePuzzle.Fill("puzzle", puzzle.String()), MaxTokens: 48, Temperature: 1})
	if err != nil {
		return r, err
	}
	if made, err := countdown.Parse(text.Sanitise(reply.Text)); err == nil {
		if r.Made = "without a solution"; made.Valid() == nil {
			if _, ok := made.Solve(); ok {
				r.Made = "valid"
			}
		}
	}
	q := monitor.Question{Text: puzzle.String()}
	t := s.On("puzzle", 0, q, prompt.Chat.Request(q))
	cs, err := t.Samples(ctx, monitor.Sampling{Temperature: 1}, selfRewardSamples)
	if err != nil {
		return r, err
	}
	j := &judge.Judge{Reason: true, Votes: 1, MaxTokens: verifyTokens}
	first := map[string]*monitor.Candidate{} // what is the same is judged once
	for _, c := range cs {
		if first[c.Text] == nil {
			first[c.Text] = c
		}
		one := Solved{Right: puzzle.Check(countdown.Find(text.Sanitise(c.Text))) == nil}
		v, err := j.Verify(ctx, t, first[c.Text])
		if err != nil && !errors.Is(err, judge.ErrUnparsed) {
			return r, err
		}
		if err == nil {
			one.Holds = &v.Holds
		}
		r.Solutions = append(r.Solutions, one)
	}
	return r, nil
}

func measureSelfReward(rs []SelfRewardResult) []eval.Measure {
	var says, is []int
	var agree []float64
	var of []int
	right, solutions, wrong, accepted, sound, kept, unread, valid, made := 0, 0, 0, 0, 0, 0, 0, 0, 0
	for i, r := range rs {
		if r.Made != "unread" {
			made++
		}
		valid += int(one(r.Made == "valid"))
		for _, s := range r.Solutions {
			solutions, right = solutions+1, right+int(one(s.Right))
			if s.Holds == nil {
				unread++
				continue
			}
			says, is = append(says, int(one(*s.Holds))), append(is, int(one(s.Right)))
			agree, of = append(agree, one(*s.Holds == s.Right)), append(of, i)
			if s.Right {
				sound, kept = sound+1, kept+int(one(*s.Holds))
			} else {
				wrong, accepted = wrong+1, accepted+int(one(*s.Holds))
			}
		}
	}
	accuracy, err := stats.Mean(agree, of, eval.Level)
	out := []eval.Measure{
		eval.Share("solutions that are right", right, solutions),
		eval.Of("judge agrees with the checker", accuracy, err),
		eval.Share("false accepts, of wrong solutions", accepted, wrong),
		eval.Share("right solutions accepted", kept, sound),
		eval.Share("verdicts that could not be read", unread, solutions),
		eval.Share("new puzzles that can be read", made, len(rs)), eval.Share("new puzzles that have a solution", valid, len(rs)),
	}
	kappa, err := stats.CohenKappa(says, is)
	if err != nil {
		return append(out, eval.Of("judge and checker, Cohen's κ", stats.Figure{N: len(says)}, err))
	}
	out = append(out, eval.Value("judge and checker, Cohen's κ", kappa, len(says), "Cohen's κ", "no interval: see the share"))
	if wrong > 0 {
		use := 0.0
		if float64(accepted) <= 0.1*float64(wrong) {
			use = 1
		}
		out = append(out, eval.Value("may be used as a reward, 1 yes", use, wrong, "at most a tenth of the wrong solutions accepted", "a rule, not an estimate"))
	}
	return out
}
