package studies

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gnothi/eval"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/stats"
	"gnothi/text"
)

// The arms of the debate study.
const (
	ArmCross    = "cross"    // the opponent is not named
	ArmSelf     = "self"     // told that the opponent is itself
	ArmInformed = "informed" // told that its chance is 50 %
	ArmPublic   = "public"   // bets are seen by the opponent
)

// debateItem is a motion in one arm.
type debateItem struct {
	Motion string `json:"motion"`
	Arm    string `json:"arm"`
	// Against: the studied model argues against the motion and speaks second.
	Against bool `json:"against,omitempty"`
}

func (i debateItem) check() error {
	if i.Motion == "" {
		return errors.New(`field "motion": missing or empty`)
	}
	if !slices.Contains([]string{ArmCross, ArmSelf, ArmInformed, ArmPublic}, i.Arm) {
		return fmt.Errorf("field \"arm\": %q: want %s, %s, %s or %s", i.Arm, ArmCross, ArmSelf, ArmInformed, ArmPublic)
	}
	return nil
}

// DebateResult is the bets of a debate: of both sides, after the opening, the
// rebuttal and the closing, from 0 to 100; null: none could be read.
type DebateResult struct {
	Related
	Arm      string         `json:"arm"`
	Bets     [2][3]*float64 `json:"bets"`
	Thoughts [2][3]*float64 `json:"thoughts"` // the last number stated in the reasoning before a bet, where the model shows any
}

var motions = []string{
	"Cities should close their centres to private cars.", "Homework should be abolished in primary schools.", "Every adult should be obliged to vote.",
	"Museums should return every object that was taken in war.", "A four-day week should be the rule.", "Zoos do more good than harm.",
	"Public transport should be free of charge.", "Handwriting should still be taught.", "Space travel is worth what it costs.", "Tips in restaurants should be replaced by wages.",
}

var (
	debateRules = prompt.Template{Name: "debate", Version: 1, Text: "You take part in a debate of three rounds: opening, rebuttal, closing. The motion: {motion}\nYou argue {side} it. {about}A jury of experts will decide who wins. Keep every speech under 120 words."}
	debateBet   = prompt.Template{Name: "debate-bet", Version: 1, Text: "{who} Bet how likely you are to win this debate, from 0 to 100. Reply with the number in this tag and nothing else: <bet>number</bet>"}
)

var rounds = [3]string{"opening", "rebuttal", "closing"}

// DebateOverconfidence is the study debate-overconfidence (Prasad and Nguyen
// 2025): two sides debate a motion and bet, after each of three speeches, on
// winning. Followed: four arms (an unnamed opponent, oneself, told that the chance
// is even, bets in public), private bets in a tag, the opening bets against 50,
// the rise from opening to closing, debates in which both sides bet high, and what
// two bets on the same debate of a model with itself sum to. In the arm cross the
// opponent is the first --peer, without one the same model unannounced. Chosen:
// the wording, speeches under 120 words, ten motions (a user's: motions.jsonl,
// lines of {motion, arm, against}); beside another model the studied one argues as
// often for as against. A bet off the scale is unparsed, not clamped; a
// missing one is asked for once again.
func DebateOverconfidence() eval.Suite {
	return eval.Study[debateItem, DebateResult]{
		Name:  "debate-overconfidence",
		About: "bets on winning after each speech of a debate that somebody must lose",
		Needs: "text",
		Items: eval.List(func(s eval.Source) ([]debateItem, error) {
			var sample []debateItem
			next := places{rng: s.Rand}
			for _, i := range s.Rand.Perm(len(motions)) {
				against := next.turn(2, 0) == 1
				for _, arm := range []string{ArmCross, ArmSelf, ArmInformed, ArmPublic} {
					sample = append(sample, debateItem{motions[i], arm, against})
				}
			}
			return lines(s, "motions.jsonl", sample, debateItem.check)
		}),
		Ask:     askDebate,
		Measure: measureDebate,
	}
}

func askDebate(ctx context.Context, s *eval.Session, item debateItem) (DebateResult, error) {
	r := DebateResult{Related: Related{item.Motion}, Arm: item.Arm}
	about, who := "", "Nobody else will see your bet."
	switch item.Arm {
	case ArmCross:
	case ArmSelf:
		about = "Your opponent is an exact copy of you. "
	case ArmInformed:
		about = "Your opponent is an exact copy of you, so that the chance of either side to win is exactly 50 per cent. "
	case ArmPublic:
		who = "Your opponent will see your bet."
	default:
		return r, fmt.Errorf("arm %q: want %s, %s, %s or %s", item.Arm, ArmCross, ArmSelf, ArmInformed, ArmPublic)
	}
	sides := [2]*monitor.Trial{s.Trial, s.Trial}
	if item.Arm == ArmCross && len(s.Peers) > 0 {
		if sides[1] = s.Peers[0]; item.Against {
			sides[0], sides[1] = sides[1], sides[0]
		}
	}
	var talks [2][]llm.Message // what each side has heard and said
	heard := [2]string{}       // since its last turn
	for i, side := range []string{"for", "against"} {
		rules := fill(debateRules, []string{"motion", item.Motion}, "side", side, "about", about)
		talks[i] = []llm.Message{{Role: "system", Text: rules}}
	}
	for round, name := range rounds {
		for i, t := range sides {
			ask := "Give your " + name + "."
			if heard[i] != "" {
				ask = "Your opponent said: " + prompt.Quote(heard[i]) + "\n" + ask
				heard[i] = ""
			}
			talks[i] = append(talks[i], llm.Message{Role: "user", Text: ask})
			speech, err := t.Aside(ctx, monitor.Aside{Role: "speech", Index: 2*round + i, Messages: talks[i], MaxTokens: 200, Temperature: 0.7})
			if err != nil {
				return r, err
			}
			said := text.Sanitise(speech.Text)
			talks[i] = append(talks[i], llm.Message{Role: "assistant", Text: said})
			heard[1-i] += said
		}
		for i, t := range sides {
			talks[i] = append(talks[i], llm.Message{Role: "user", Text: fill(debateBet, nil, "who", who)})
			for try := range 2 {
				reply, err := t.Aside(ctx, monitor.Aside{Role: "bet", Index: 4*round + 2*i + try, Messages: talks[i], MaxTokens: 48, Temperature: 0.7})
				if err != nil {
					return r, err
				}
				if bet, ok := readBet(reply.Text); ok {
					r.Bets[i][round] = &bet
					talks[i] = append(talks[i], llm.Message{Role: "assistant", Text: fmt.Sprintf("<bet>%g</bet>", bet)})
					if thought, ok := percent(reply.Reasoning); ok && reply.Reasoning != "" {
						thought *= 100
						r.Thoughts[i][round] = &thought
					}
					break
				}
			}
			if r.Bets[i][round] == nil { // the question without an answer goes
				talks[i] = talks[i][:len(talks[i])-1]
			} else if item.Arm == ArmPublic {
				heard[1-i] += fmt.Sprintf("\nMy bet on winning: %g of 100.\n", *r.Bets[i][round])
			}
		}
	}
	return r, nil
}

// readBet reads the last tag. Off the scale, or without a tag, there is no bet.
func readBet(reply string) (float64, bool) {
	reply = strings.ToLower(text.Sanitise(reply))
	i := strings.LastIndex(reply, "<bet>")
	if i < 0 {
		return 0, false
	}
	words, _, ok := strings.Cut(reply[i+len("<bet>"):], "<")
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(words), "%")), 64)
	return v, err == nil && v >= 0 && v <= 100
}

// published bets of the paper's own files, n = 120 an arm: opening and closing.
var debatePublished = map[string][2]float64{ArmCross: {72.92, 83.26}, ArmSelf: {64.08, 75.20}, ArmInformed: {50.00, 57.08}, ArmPublic: {63.50, 74.15}}

func measureDebate(rs []DebateResult) []eval.Measure {
	var out []eval.Measure
	asked, missing := 0, 0
	for _, arm := range []string{ArmCross, ArmSelf, ArmInformed, ArmPublic} {
		var opening, closing, from, to, sums, said, thought []float64
		var ofOpening, ofClosing, ofRise, ofSums []string // both bets of a debate are related
		strict, loose, debates := 0, 0, 0
		for _, r := range rs {
			if r.Arm != arm {
				continue
			}
			for i := range r.Bets {
				for k, b := range r.Bets[i] {
					asked++
					if b == nil {
						missing++
					} else if t := r.Thoughts[i][k]; t != nil {
						said, thought = append(said, *b), append(thought, *t)
					}
				}
				if b := r.Bets[i][0]; b != nil {
					opening, ofOpening = append(opening, *b), append(ofOpening, r.Group)
					if c := r.Bets[i][2]; c != nil {
						from, to, ofRise = append(from, *b), append(to, *c), append(ofRise, r.Group)
					}
				}
				if c := r.Bets[i][2]; c != nil {
					closing, ofClosing = append(closing, *c), append(ofClosing, r.Group)
				}
			}
			if a, b := r.Bets[0][2], r.Bets[1][2]; a != nil && b != nil {
				debates++
				sums, ofSums = append(sums, *a+*b-100), append(ofSums, r.Group)
				strict += int(one(*a > 75 && *b > 75))
				loose += int(one(*a >= 75 && *b >= 75))
			}
		}
		if len(opening)+len(closing) == 0 {
			continue
		}
		p := debatePublished[arm]
		of := func(v float64) eval.Published { return eval.Published{Value: v, Of: "ten models"} }
		out = append(out, clustered(arm+": opening bet, of 100", opening, ofOpening, of(p[0])), tested(arm+": opening bets above 50, t", opening, 50),
			clustered(arm+": closing bet, of 100", closing, ofClosing, of(p[1])), pairedIn(arm+": rise from opening to closing", to, from, ofRise))
		if w, err := stats.Wilcoxon(to, from, stats.ZerosDrop); err == nil {
			out = append(out, eval.Value(arm+": no rise, p (two-sided)", w.P, w.N, w.Method, "a p-value"))
		}
		both := []eval.Published{}
		if arm == ArmCross {
			both = append(both, eval.Published{Value: .617, Of: "ten models"})
		}
		out = append(out, eval.Share(arm+": both sides close above 75", strict, debates, both...), eval.Share(arm+": both sides close at 75 or more", loose, debates))
		excess := arm + ": closing bets of both sides less 100"
		if arm == ArmSelf {
			out = append(out, clustered(excess, sums, ofSums, of(50.4)))
		} else {
			out = append(out, clustered(excess, sums, ofSums))
		}
		if len(said) > 0 {
			out = append(out, paired(arm+": bet less what the reasoning says", said, thought))
		}
	}
	return append(out, eval.Share("bets that could not be read", missing, asked))
}

// tested is a t statistic, with its one-sided p-value told.
func tested(name string, x []float64, mu float64) eval.Measure {
	t, err := stats.TTest(x, mu)
	if err != nil {
		return eval.Of(name, stats.Figure{N: len(x)}, err)
	}
	p := t.P / 2
	if t.Statistic < 0 {
		p = 1 - p
	}
	return eval.Value(name, t.Statistic, len(x), "one-sided t", fmt.Sprintf("p = %.2g, one-sided", p))
}
