package mcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"gnothi"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/judge"
	"gnothi/monitor/prompt"
)

type judgeIn struct {
	Question   string            `json:"question" jsonschema:"the question that the candidates answer"`
	Candidates map[string]string `json:"candidates" jsonschema:"the answers to judge, by key: 1 to 26"`
	Reference  string            `json:"reference,omitempty" jsonschema:"a right answer to hold them against"`
	Context    string            `json:"context,omitempty" jsonschema:"text that the question came with"`
	Rubric     string            `json:"rubric,omitempty" jsonschema:"what counts, in words; default: correct, answers what was asked, leaves out nothing that matters"`
	Verb       string            `json:"verb,omitempty" jsonschema:"rate (1 to 5), verify (does each hold?), compare (all pairs, at most 8 candidates) or rank; default: rate one candidate, compare up to 4, rank more"`
	Reason     bool              `json:"reason,omitempty" jsonschema:"let the judge reason before its verdict"`
	Votes      int               `json:"votes,omitempty" jsonschema:"replies to each prompt, odd, at most 99; default: one where the model has log-probabilities, else three"`
	Budget     *Budget           `json:"budget,omitempty" jsonschema:"ceilings of this call"`
}

func (in judgeIn) ceilings() *Budget { return in.Budget }

type judgeOut struct {
	Verb    string              `json:"verb"`
	Scores  map[string]*float64 `json:"scores" jsonschema:"rate: 1 to 5; verify: probability of holding, as the judge has it; compare, rank: share of duels won; null: no verdict"`
	Best    string              `json:"best,omitempty" jsonschema:"of compare and rank: the key, or tie"`
	Order   []string            `json:"order,omitempty" jsonschema:"of rank: best first"`
	Pairs   []pair              `json:"pairs,omitempty" jsonschema:"of compare"`
	Missing map[string]string   `json:"missing,omitempty" jsonschema:"verdicts that could not be read, and why"`
	Source  string              `json:"source,omitempty" jsonschema:"what the verdict was read from: logprobs, samples, votes"`
	// Bias is of the latest calls together: of one alone it says little.
	Bias   judge.Bias   `json:"bias" jsonschema:"what else the verdicts may rest on"`
	Calls  int          `json:"bias_over" jsonschema:"how many calls of judge the bias is of: this server's latest"`
	Judge  string       `json:"judge"`
	Spend  gnothi.Spend `json:"spend"`
	Caveat string       `json:"caveat,omitempty" jsonschema:"what to mind about this verdict"`
}

type pair struct {
	A       string  `json:"a"`
	B       string  `json:"b"`
	Outcome string  `json:"outcome" jsonschema:"the better key, or tie"`
	Share   float64 `json:"share" jsonschema:"probability that a is better, as the judge has it"`
	Orders  string  `json:"orders" jsonschema:"whether the verdict holds when the two change places: agree; else it is a tie"`
}

// mostCompared is how many candidates are compared pair by pair: 56 prompts.
const mostCompared = 8

// mostTallied is after how many calls the bias report begins anew, so that it
// does not grow without end.
const mostTallied = 1000

func addJudge(s *Server) error {
	return add(s, tool{"judge", "Judge answers, and the judge", "Let the model behind this server rate, verify, compare or rank answers. Pairs are asked in both orders; " +
		"a verdict that follows the order is a tie. With it comes what the verdicts may rest on besides quality: position, length, unread replies."}, judgement)
}

func judgement(ctx context.Context, c *call, in judgeIn) (out judgeOut, err error) {
	keys := slices.Sorted(maps.Keys(in.Candidates))
	if err := cmp.Or(filled("question", in.Question), readable("context", in.Context), readable("reference", in.Reference), readable("rubric", in.Rubric), within("candidates", len(keys), 1, judge.Most), within("votes", in.Votes, 0, 99)); err != nil {
		return out, err
	}
	for _, key := range keys {
		if err := filled(fmt.Sprintf("candidates: %q", key), in.Candidates[key]); err != nil {
			return out, err
		}
	}
	if in.Votes > 0 && in.Votes%2 == 0 {
		return out, fmt.Errorf("votes: %d: want an odd number", in.Votes)
	}
	verb := in.Verb
	if verb == "" {
		switch n := len(keys); {
		case n == 1:
			verb = "rate"
		case n <= 4:
			verb = "compare"
		default:
			verb = "rank"
		}
	}
	j := &judge.Judge{Rubric: in.Rubric, Votes: in.Votes, Reason: in.Reason}
	if in.Reference != "" {
		j.Reference, j.Gold = judge.Gold, in.Reference
	}
	q := monitor.Question{Text: in.Question, Context: in.Context}
	form, ok := prompt.Select(c.Form, c.Model, q)
	if !ok {
		return out, fmt.Errorf("form %q: want auto, shots or chat", c.Form)
	}
	t := monitor.NewTrial(monitor.TrialOptions{Model: c.Model, Question: q, Request: form.Request(q), Ledger: c.ledger, Seed: llm.Derive(c.Seed, "judge/"+in.Question, 0)})
	cs := make([]*monitor.Candidate, len(keys))
	for i, key := range keys {
		cs[i] = t.Candidate(llm.Choice{Text: in.Candidates[key]}, monitor.FromOutside, nil)
	}
	out = judgeOut{Verb: verb, Scores: map[string]*float64{}, Missing: map[string]string{}, Judge: c.Model.ID().String()}
	tell := []func(*judge.Tally){}
	verdict := func(what string, err error, add func(*judge.Tally)) error {
		tell = append(tell, add)
		if errors.Is(err, judge.ErrUnparsed) {
			out.Missing[what] = err.Error()
			return nil
		}
		return err
	}
	switch verb {
	case "rate", "verify":
		for i, key := range keys {
			out.Scores[key] = nil
			if verb == "rate" {
				v, err := j.Rate(ctx, t, cs[i])
				if err := verdict(key, err, func(b *judge.Tally) { b.Rated(v, err) }); err != nil {
					return out, err
				}
				if err == nil {
					out.Scores[key], out.Source = &v.Score, v.Source
				}
			} else {
				v, err := j.Verify(ctx, t, cs[i])
				if err := verdict(key, err, func(b *judge.Tally) { b.Verified(v, err) }); err != nil {
					return out, err
				}
				if err == nil {
					out.Scores[key], out.Source = &v.P, v.Source
				}
			}
			c.progress(i+1, "verdicts")
		}
	case "compare":
		if err := cmp.Or(within("candidates to compare", len(keys), 2, mostCompared), free(keys)); err != nil {
			return out, err
		}
		won, fought := make([]float64, len(cs)), make([]int, len(cs))
		for a := range cs {
			for b := a + 1; b < len(cs); b++ {
				v, err := j.Compare(ctx, t, cs[a], cs[b])
				if err := verdict(keys[a]+" or "+keys[b], err, func(b *judge.Tally) { b.Compared(v, err) }); err != nil {
					return out, err
				}
				c.progress(len(tell), "pairs")
				if err != nil {
					continue
				}
				won[a], won[b] = won[a]+v.Outcome, won[b]+1-v.Outcome
				fought[a]++
				fought[b]++
				p := pair{A: keys[a], B: keys[b], Outcome: v.Better(keys[a], keys[b]), Share: v.Share, Orders: v.Order()}
				out.Source, out.Pairs = v.Source, append(out.Pairs, p)
			}
		}
		for i, key := range keys {
			out.Scores[key] = nil
			if fought[i] > 0 {
				share := won[i] / float64(fought[i])
				out.Scores[key] = &share
			}
		}
	case "rank":
		if err := cmp.Or(within("candidates to rank", len(keys), 2, judge.Most), free(keys)); err != nil {
			return out, err
		}
		v, err := j.Rank(ctx, t, cs)
		if err := verdict("ranking", err, func(b *judge.Tally) { b.Ranked(v, err) }); err != nil {
			return out, err
		}
		for i, key := range keys {
			out.Scores[key] = nil
			if err == nil {
				out.Scores[key] = &v.Share[i]
			}
		}
		if err == nil {
			for _, i := range v.Order {
				out.Order = append(out.Order, keys[i])
			}
		}
	default:
		return out, fmt.Errorf("verb %q: want rate, verify, compare or rank", verb)
	}
	if (verb == "compare" || verb == "rank") && len(out.Missing) == 0 {
		out.Best = judge.Top(keys, out.Scores)
	}
	if out.Best == "tie" && slices.ContainsFunc(out.Pairs, func(p pair) bool { return p.Orders != judge.Agreed }) {
		out.Caveat = "the verdict changed when the candidates changed places: the judge cannot tell them apart"
	}
	out.Bias, out.Calls = c.bias(tell)
	out.Spend = c.spend()
	return out, nil
}

// free says that no key is the word for a tie.
func free(keys []string) error {
	if slices.Contains(keys, "tie") {
		return errors.New(`candidates: no key may be "tie", which is a verdict`)
	}
	return nil
}

// bias adds a call's verdicts to the tally and reports it.
func (s *Server) bias(tell []func(*judge.Tally)) (judge.Bias, int) {
	s.verdicts.Lock()
	defer s.verdicts.Unlock()
	if s.judged >= mostTallied {
		s.judged, s.tally = 0, &judge.Tally{}
	}
	for _, add := range tell {
		add(s.tally)
	}
	s.judged++
	return s.tally.Bias(), s.judged
}
