package control

import (
	"context"
	"strings"
	"unicode"

	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

var duelAsk = Ask{Role: "judge", MaxTokens: 64, Template: prompt.Template{Name: "duel", Version: 1, Text: "Question: {question}\nFirst: {first}\nSecond: {second}\nWhich of the two answers it better, or is on the better way to an answer? End with one word: First or Second."}}

// OwnDuel lets the model itself compare, in both orders; verdicts that
// contradict each other or cannot be read are a tie.
func OwnDuel(ctx context.Context, t *monitor.Trial, a, b *monitor.Candidate) (float64, error) {
	sum := 0.0
	for i, pair := range [][2]*monitor.Candidate{{a, b}, {b, a}} {
		reply, err := duelAsk.Reply(ctx, t, i, "first", pair[0].Text, "second", pair[1].Text)
		if err != nil {
			return 0, err
		}
		switch verdict := lastOf(reply.Text, "first", "second"); {
		case verdict < 0:
			sum += 0.5
		case verdict == i:
			sum++
		}
	}
	return sum / 2, nil
}

// lastOf gives the number of the word that stands last in a text, −1 for none.
func lastOf(s string, words ...string) int {
	fields := strings.FieldsFunc(strings.ToLower(text.Sanitise(s)), func(r rune) bool { return !unicode.IsLetter(r) })
	for i := len(fields) - 1; i >= 0; i-- {
		for k, w := range words {
			if fields[i] == w {
				return k
			}
		}
	}
	return -1
}
