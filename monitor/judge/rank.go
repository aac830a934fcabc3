package judge

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// Ranking is an order of candidates.
type Ranking struct {
	Order   []int     // best first; equal shares in the order given
	Share   []float64 // of each candidate: how many of the others it stands above, as a share; ½ each where two tie
	Pairs   int       // pairs of candidates
	Agree   int       // pairs in which both orders of showing say the same
	Firsts  int       // pairs in which whatever was shown first won both times
	Lasts   int       // pairs in which whatever was shown second won both times
	Replies []string
	Lengths []int // in characters
	Count   Count
}

// Most is how many candidates one prompt of Rank shows.
const Most = 26

var rankTemplate = prompt.Template{Name: "rank", Version: 1, Text: "{shown}{list}Rank the candidates, best first. What counts: {rubric}. Neither length nor the order in which they are shown is a merit.\n{closing}"}

// Rank orders up to [Most] candidates: they are shown in a shuffled order and
// in the reverse of it, each Votes times. In a pair one stands above the other
// only if both orders put it there by a majority of their votes. ErrUnparsed if
// an order stays without a ranking; a ranking that leaves one out, or names one
// twice, is none.
func (j *Judge) Rank(ctx context.Context, t *monitor.Trial, cs []*monitor.Candidate) (Ranking, error) {
	if err := j.check(); err != nil {
		return Ranking{}, err
	}
	if len(cs) < 2 || len(cs) > Most {
		return Ranking{}, fmt.Errorf("judge: rank: %d candidates: want 2 to %d", len(cs), Most)
	}
	n := len(cs)
	out := Ranking{Share: make([]float64, n), Pairs: n * (n - 1) / 2}
	for _, c := range cs {
		out.Lengths = append(out.Lengths, runes(c.Text))
	}
	order := rng(t, "shuffle", 0).Perm(n)
	var above [2][][]float64 // above[k][x][y]: votes that put x above y, less those against
	one, read := j.single(), 0
	for k := range 2 {
		above[k] = make([][]float64, n)
		for i := range n {
			above[k][i] = make([]float64, n)
		}
	}
	seats, err := j.seats(ctx, t)
	if err != nil {
		return Ranking{}, err
	}
	for _, seat := range seats {
		var both [2][][]int
		for k := range 2 {
			rankings, replies, count, err := one.rank(ctx, seat, cs, order)
			out.Count.add(count)
			out.Replies = append(out.Replies, replies...)
			if err != nil && !tolerable(err) {
				return Ranking{}, err
			}
			both[k] = rankings
			slices.Reverse(order)
		}
		if len(both[0]) == 0 || len(both[1]) == 0 {
			continue
		}
		read++
		for k := range 2 {
			for _, r := range both[k] {
				for p, x := range r {
					for _, y := range r[p+1:] {
						above[k][x][y]++
						above[k][y][x]--
					}
				}
			}
		}
	}
	if read == 0 {
		return out, fmt.Errorf("judge: rank: %w", ErrUnparsed)
	}
	for p, x := range order {
		for _, y := range order[p+1:] { // x was shown before y, and then behind it
			first, second := above[0][x][y], above[1][x][y]
			switch {
			case first > 0 && second > 0:
				out.Share[x]++
				out.Agree++
			case first < 0 && second < 0:
				out.Share[y]++
				out.Agree++
			default:
				out.Share[x] += 0.5
				out.Share[y] += 0.5
				switch {
				case first == 0 && second == 0:
					out.Agree++
				case first > 0 && second < 0:
					out.Firsts++
				case first < 0 && second > 0:
					out.Lasts++
				}
			}
		}
	}
	for i := range out.Share {
		out.Share[i] /= float64(n - 1)
		out.Order = append(out.Order, i)
	}
	slices.SortStableFunc(out.Order, func(a, b int) int {
		switch {
		case out.Share[a] > out.Share[b]:
			return -1
		case out.Share[a] < out.Share[b]:
			return 1
		}
		return 0
	})
	return out, nil
}

// rank shows the candidates in one order and gives the rankings read, as
// indexes of cs.
func (j *Judge) rank(ctx context.Context, t *monitor.Trial, cs []*monitor.Candidate, order []int) (rankings [][]int, replies []string, count Count, err error) {
	given := make([]*monitor.Candidate, len(order))
	for p, i := range order {
		given[p] = cs[i]
	}
	texts, err := j.shown(ctx, t, given...)
	if err != nil {
		return nil, nil, count, err
	}
	tpl := rankTemplate
	var list strings.Builder
	for p := range texts {
		list.WriteString("Candidate " + letter(p) + ":\n{" + strconv.Itoa(p) + "}\n\n")
	}
	tpl.Text = strings.Replace(tpl.Text, "{list}", list.String(), 1)
	prompt, err := j.fill(ctx, t, tpl, texts, "{closing}", j.closing("First say in a few sentences what speaks for and against each.",
		"\"Verdict: \" and the letters of all "+strconv.Itoa(len(texts))+" candidates, best first, with > between them."))
	if err != nil {
		return nil, nil, count, err
	}
	votes, err := ask(ctx, j, t, prompt, j.votes(t.Model), max(j.tokens(), 8+4*len(texts)), true, func(c llm.Choice) ([]int, bool) {
		return readRanking(c, len(texts), j.Reason)
	})
	if err != nil {
		return nil, nil, count, err
	}
	for _, v := range votes {
		replies = append(replies, v.reply.Text)
		count.Asked++
		if !v.ok {
			count.Unparsed++
			continue
		}
		r := make([]int, len(v.value))
		for p, shown := range v.value {
			r[p] = order[shown]
		}
		rankings = append(rankings, r)
	}
	if len(rankings) == 0 {
		err = fmt.Errorf("judge: rank: %d replies: %w", count.Asked, ErrUnparsed)
	}
	return rankings, replies, count, err
}

func letter(i int) string { return string(rune('A' + i)) }

// readRanking reads a permutation of n letters, with > or commas between.
func readRanking(c llm.Choice, n int, reason bool) ([]int, bool) {
	reply := text.Sanitise(c.Text)
	if reason && c.Finish == "length" && !strings.HasSuffix(reply, "\n") {
		return nil, false
	}
	value, _, labelled := verdictLine(reply, reason)
	if reason && !labelled {
		return nil, false
	}
	var out []int
	for _, f := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(">,;"+dressing, r) }) {
		if strings.EqualFold(f, "candidate") {
			continue
		}
		i := int(strings.ToUpper(f)[0]) - 'A'
		if len(f) != 1 || i < 0 || i >= n || slices.Contains(out, i) {
			return nil, false
		}
		out = append(out, i)
	}
	return out, len(out) == n
}
