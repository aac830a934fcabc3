package studies

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gnothi/eval"
	"gnothi/internal/jsonl"
	"gnothi/monitor"
	"gnothi/monitor/judge"
	"gnothi/monitor/prompt"
	"gnothi/stats"
)

// PairOfTexts is a request with two replies, and what people say of them: a line
// of pairs.jsonl.
type PairOfTexts struct {
	Prompt string `json:"prompt"`
	A      string `json:"a"`
	B      string `json:"b"`
	// People are votes: 1 for a, 0 for b, ½ for a tie.
	People []float64 `json:"people"`
}

// pairsOfTexts are made up, votes and all.
var pairsOfTexts = []PairOfTexts{
	{"Why is the sky blue?", "Air scatters short waves of light more than long ones, so blue reaches us from all sides.", "Because it reflects the sea.", []float64{1, 1, 1}},
	{"How do I keep bread fresh?", "Buy it.", "Keep it dry, in a bread bin or a cloth bag, cut side down; freeze what you will not eat in two days.", []float64{0, 0, 0}},
	{"Name a river in Egypt.", "The Nile.", "Egypt has a river; it is the Nile, which is a river in Egypt.", []float64{1, 0.5, 1}},
	{"Thank a colleague for help.", "Thank you for your help yesterday, it saved me an hour.", "Thanks a lot for your help, I could not have done it in time.", []float64{0.5, 0, 0.5}},
	{"What is 12 times 12?", "It is 124.", "144", []float64{0, 0, 0}},
	{"Explain a rainbow to a child.", "Rain drops bend sunlight and pull its colours apart, like a prism does.", "It is an optical phenomenon of refraction and dispersion.", []float64{1, 1, 0.5}},
}

// DBGResult is what a judge says of its own and of others' replies against the
// same opponent, the second reply of the pair.
type DBGResult struct {
	Related
	People []float64 `json:"people"`
	Pair   *float64  `json:"pair"` // the judge on a against b; null: could not be read
	// Own and Others are the judge's verdicts, by way of judging; the panel's gold
	// votes stand beside them. A missing verdict is left out.
	Own    map[string]Voted   `json:"own"`
	Others map[string][]Voted `json:"others"`
	Panel  int                `json:"panel"` // judges of other families
}

// Voted is a verdict with the panel's votes on the same pair.
type Voted struct {
	Score float64    `json:"score"`
	Panel []*float64 `json:"panel"` // by member; null: none
}

// The ways of judging: as it is; after rewriting both in one style; reasoning
// first.
const (
	plainJudge  = "plain"
	styledJudge = "one style"
	reasonJudge = "reasoning"
)

var waysOfJudging = []string{plainJudge, styledJudge, reasonJudge}

// SelfPreferenceScore is the study dbg-score (Chen et al. 2025, Beyond the
// Surface): how much better does a judge like its own replies than others do?
// DBG = mean(s − g) of its verdict on its own reply against a fixed opponent, less
// the gold verdict of a panel on the same pair; the same on others' replies, which
// a fair judge leaves near 0, and the naive difference, which takes a better
// answer for self-preference. Two mitigations are measured: rewriting in one
// style, and reasoning before the verdict. The panel are the peers (--peer) whose
// name is of another family than the judge's; without one the judge has no gold
// and only its agreement with people is measured. Published: biased for most
// models, less so for larger ones; rewriting lowers it.
//
// Pairs come from pairs.jsonl or from PandaLM's testset-v1.json (999 pairs, three
// annotators); made-up ones else. A panel of fewer than three is shown as it is.
func SelfPreferenceScore() eval.Suite {
	return eval.Study[PairOfTexts, DBGResult]{
		Name:  "dbg-score",
		About: "a judge's verdict on its own replies less that of a panel, and its agreement with people",
		Needs: "text",
		Items: eval.List(pairItems), Ask: askDBG, Measure: measureDBG,
	}
}

// pairItems reads the user's pairs.
func pairItems(s eval.Source) ([]PairOfTexts, error) {
	paths := found(s, "pandalm", "testset-v1.json")
	if len(paths) == 0 {
		return lines(s, "pairs.jsonl", pairsOfTexts, PairOfTexts.check)
	}
	var out []PairOfTexts
	err := eachElement(paths[0], "", func(_ int, b []byte) error {
		p, err := readPandaLM(b)
		out = append(out, p)
		return err
	})
	return out, err
}

func (p PairOfTexts) check() error {
	for _, v := range p.People {
		if !(v >= 0 && v <= 1) {
			return fmt.Errorf("field \"people\": a vote of %v: want 0 to 1", v)
		}
	}
	if p.Prompt == "" {
		return errors.New(`field "prompt": missing or empty`)
	}
	return nil
}

// readPandaLM reads a pair of the test set of PandaLM.
func readPandaLM(b []byte) (PairOfTexts, error) {
	var r struct {
		Instruction string `json:"instruction"`
		Input       string `json:"input"`
		A           any    `json:"response1"` // one of them is a bare true
		B           any    `json:"response2"`
		One         *int   `json:"annotator1"`
		Two         *int   `json:"annotator2"`
		Three       *int   `json:"annotator3"`
	}
	if err := jsonl.Decode(b, &r); err != nil {
		return PairOfTexts{}, err
	}
	if r.Instruction == "" || r.A == nil || r.B == nil {
		return PairOfTexts{}, errors.New("want instruction, response1 and response2")
	}
	p := PairOfTexts{Prompt: r.Instruction, A: fmt.Sprint(r.A), B: fmt.Sprint(r.B)}
	if r.Input != "" {
		p.Prompt += "\n" + r.Input
	}
	for i, v := range []*int{r.One, r.Two, r.Three} {
		if v == nil || *v < 0 || *v > 2 {
			return p, fmt.Errorf("field \"annotator%d\": want 0, 1 or 2", i+1)
		}
		p.People = append(p.People, []float64{0.5, 1, 0}[*v])
	}
	return p, nil
}

func askDBG(ctx context.Context, s *eval.Session, p PairOfTexts) (DBGResult, error) {
	r := DBGResult{Related: Related{groupOf(p.Prompt)}, People: p.People, Own: map[string]Voted{}, Others: map[string][]Voted{}}
	q := monitor.Question{Text: p.Prompt}
	req := prompt.Chat.Request(q)
	req.MaxTokens = 200
	seat := func(t *monitor.Trial) *monitor.Trial {
		out := t.Child("pair", 0, nil, req)
		out.Question = q
		return out
	}
	mine := seat(s.Trial)
	given := func(words string) *monitor.Candidate {
		_, c := monitor.NewGiven(monitor.TrialOptions{Model: s.Model, Question: q, Request: req}, monitor.Given{Answer: choiceOf(words)})
		return c
	}
	opponent := given(p.B)
	judges := map[string]*judge.Judge{plainJudge: {}, styledJudge: {Restyle: true}, reasonJudge: {Reason: true, Votes: 1, MaxTokens: verifyTokens}}
	verdict := func(j *judge.Judge, t *monitor.Trial, c *monitor.Candidate) (*float64, error) {
		v, err := j.Compare(ctx, t, c, opponent)
		if errors.Is(err, judge.ErrUnparsed) {
			return nil, nil
		}
		return &v.Outcome, err
	}
	var err error
	if r.Pair, err = verdict(judges[plainJudge], mine, given(p.A)); err != nil {
		return r, err
	}
	var panel, writers []*monitor.Trial
	for _, peer := range s.Peers {
		t := seat(peer)
		writers = append(writers, t)
		if judge.Family(peer.Model.ID()) != judge.Family(s.Model.ID()) {
			panel = append(panel, t)
		}
	}
	if r.Panel = len(panel); len(panel) == 0 {
		return r, nil
	}
	gold := func(c *monitor.Candidate, not *monitor.Trial) (out []*float64, err error) {
		for _, t := range panel {
			var v *float64
			if t != not { // nobody judges its own
				if v, err = verdict(judges[plainJudge], t, c); err != nil {
					return nil, err
				}
			}
			out = append(out, v)
		}
		return out, nil
	}
	for i, t := range append([]*monitor.Trial{mine}, writers...) {
		reply, err := monitor.Get(ctx, t, monitor.Greedy{})
		if err != nil {
			return r, err
		}
		votes, err := gold(reply, t)
		if err != nil {
			return r, err
		}
		for _, way := range waysOfJudging {
			v, err := verdict(judges[way], mine, reply)
			if err != nil {
				return r, err
			}
			if v == nil {
				continue
			}
			if i == 0 {
				r.Own[way] = Voted{*v, votes}
			} else {
				r.Others[way] = append(r.Others[way], Voted{*v, votes})
			}
		}
	}
	return r, nil
}

// judged is a verdict in the form that the score takes; ok is false without a
// single vote of the panel.
func (v Voted) judged(own bool) (judge.Judged, bool) {
	j := judge.Judged{Own: own, Score: v.Score}
	for _, p := range v.Panel {
		if p != nil {
			j.Panel = append(j.Panel, *p)
		}
	}
	return j, len(j.Panel) > 0
}

func measureDBG(rs []DBGResult) []eval.Measure {
	var says, people []int
	unread, panel := 0, 0
	for _, r := range rs {
		panel = max(panel, r.Panel)
		if r.Pair == nil {
			unread++
			continue
		}
		if g, ok := majorityOf(r.People); ok {
			says, people = append(says, int(2**r.Pair)), append(people, int(2*g))
		}
	}
	a := judge.Agree(says, people, false)
	out := []eval.Measure{
		eval.Of("agreement with people, same verdict", a.Exact, nil), eval.Of("agreement with people, Cohen's κ", a.Kappa, nil), eval.Of("agreement with people, macro F1", a.MacroF1, nil,
			eval.Published{Value: .5755, Of: "gpt-3.5 on PandaLM"}, eval.Published{Value: .5743, Of: "PandaLM-7B"}),
		eval.Share("verdicts on the pairs that could not be read", unread, len(rs)),
	}
	for _, way := range waysOfJudging {
		var items []judge.Judged
		var wins []float64
		for _, r := range rs {
			if v, ok := r.Own[way]; ok {
				wins = append(wins, v.Score)
				if j, ok := v.judged(true); ok {
					items = append(items, j)
				}
			}
			for _, v := range r.Others[way] {
				if j, ok := v.judged(false); ok {
					items = append(items, j)
				}
			}
		}
		if panel == 0 {
			out = append(out, eval.Of(way+": DBG, own less gold", stats.Figure{}, errors.New("no gold: name models of other families with --peer")))
			continue
		}
		d, err := judge.SelfPreference(fixed(), items)
		out = append(out,
			eval.Of(way+": DBG, own less gold", d.Own, err), eval.Of(way+": others less gold, near 0 for a fair judge", d.Others, err),
			eval.Of(way+": naive, own less others", d.Naive, err), eval.Average(way+": own wins", wins))
	}
	return append(out, eval.Value("judges on the panel", float64(panel), len(rs), "a count", "a count has no interval"))
}

// majorityOf is the vote that most have cast; ½ where no vote leads.
func majorityOf(votes []float64) (float64, bool) {
	n := map[float64]int{}
	for _, v := range votes {
		n[math.Round(2*v)/2]++
	}
	best := 0.5
	for _, v := range []float64{0, 1} {
		if n[v] > n[best] && n[v] > n[1-v] {
			best = v
		}
	}
	return best, len(votes) > 0
}
