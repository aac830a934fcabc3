package prompt

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"gnothi/text"
)

// Template is a text with slots such as {question}. Changing the text means
// raising the version.
type Template struct {
	Name    string
	Version int
	Text    string
}

// ID is name@version:hash, where the hash is of the text.
func (t Template) ID() string { return fmt.Sprintf("%s@%d:%s", t.Name, t.Version, hash(t.Text)) }

// Fill puts values into slots, each quoted by [Quote]: pairs of slot and value.
func (t Template) Fill(pairs ...string) string {
	quoted := make([]string, len(pairs))
	for i := 0; i+1 < len(pairs); i += 2 {
		quoted[i], quoted[i+1] = "{"+pairs[i]+"}", Quote(pairs[i+1])
	}
	return strings.NewReplacer(quoted...).Replace(t.Text)
}

// Quote delimits untrusted text so that it cannot end the quotation. Short text
// on one line goes between double quotes, its own turned into single ones;
// other text between fence lines that carry its own hash, which a text cannot
// contain.
func Quote(s string) string {
	s = strings.TrimSpace(text.Sanitise(s))
	if len(s) <= 300 && !strings.ContainsAny(s, "\n\r") {
		return `"` + strings.ReplaceAll(s, `"`, "'") + `"`
	}
	mark := hash(s)
	return "\n<<<data " + mark + "\n" + s + "\ndata " + mark + ">>>\n"
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:6])
}
