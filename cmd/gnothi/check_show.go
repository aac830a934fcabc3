package main

import (
	"fmt"
	"html"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"gnothi/monitor/claims"
	"gnothi/text"
)

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// markOf is the sign of a status, and the colour that it has in a terminal and
// in a picture.
func markOf(status string) (sign, code, colour string) {
	switch status {
	case supported:
		return "✓", "32", "#3fb950"
	case doubtful:
		return "~", "33", "#d29922"
	case unsupported:
		return "✗", "31", "#f85149"
	case notChecked, claims.Inapplicable.String():
		return "·", "2", "#6e7681"
	}
	return "?", "33", "#d29922"
}

// print shows a checked text to people, claim by claim.
func (r checked) print(p palette, many bool) string {
	var b strings.Builder
	if many {
		b.WriteString(p.bold(text.Clip(text.SanitiseLine(string(r.ID)), 60)) + "\n")
	}
	if r.Error != "" {
		return b.String() + "  failed: " + text.SanitiseLine(r.Error) + "\n\n"
	}
	if r.Rewrite != nil {
		b.WriteString(text.Sanitise(r.Rewrite.Text) + "\n\n")
		rw := r.Rewrite
		fmt.Fprintf(&b, "  %s %d of %d claims stay, %d left out, %d said with doubt\n", p.dim("rewritten"), rw.Kept, len(r.Claims), rw.Left, rw.Hedged)
		fmt.Fprintf(&b, "  %s %s\n", p.dim("promise  "), rw.Guarantee)
		b.WriteString("  " + p.dim("cost     ") + " " + costLine(r.Spend) + "\n")
		return b.String()
	}
	for _, c := range r.Claims {
		sign, code, _ := markOf(c.Status)
		value := "    "
		switch {
		case c.Probability != nil:
			value = fmt.Sprintf("%.2f", *c.Probability)
		case c.Supported != nil:
			value = fmt.Sprintf("%.2f", *c.Supported)
		}
		line := strings.Join(strings.Fields(text.SanitiseLine(c.Text)), " ")
		if c.Status != supported && c.Status != unsupported && c.Status != doubtful {
			line += p.dim("  (" + c.Status + ")")
		}
		b.WriteString(p.paint(code, sign+" "+value) + "  " + line + "\n")
	}
	if len(r.Claims) > 0 {
		b.WriteString("\n")
	}
	b.WriteString("  " + r.summary() + "\n")
	b.WriteString("  " + p.dim("support ") + r.supportLine() + "\n")
	if r.Stopped != "" {
		b.WriteString("  " + p.paint("33", "stopped ") + text.SanitiseLine(r.Stopped) + "\n")
	}
	b.WriteString("  " + p.dim("cost    ") + costLine(r.Spend) + "\n")
	if many {
		b.WriteString("\n")
	}
	return b.String()
}

// summary counts the claims in words.
func (r checked) summary() string {
	if len(r.Claims) == 0 {
		return "no claims: nothing in the text can be true or false" + r.skipped()
	}
	s := fmt.Sprintf("%d of %d claims without support", r.Counts[unsupported], len(r.Claims))
	for _, c := range []struct{ status, words string }{
		{doubtful, "doubtful"}, {claims.Unparsed.String(), "without a readable verdict"}, {claims.Failed.String(), "failed"}, {notChecked, "not checked"}, {claims.Inapplicable.String(), "with nothing to look up"},
	} {
		if n := r.Counts[c.status]; n > 0 {
			s += fmt.Sprintf(", %d %s", n, c.words)
		}
	}
	return s + r.skipped()
}

func (r checked) skipped() string {
	var parts []string
	for kind, n := range r.Skipped {
		parts = append(parts, plural(n, kind))
	}
	if len(parts) == 0 {
		return ""
	}
	slices.Sort(parts)
	return " (left alone: " + strings.Join(parts, ", ") + ")"
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	if word == "code" {
		word = "code block"
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// supportLine says where support comes from and what its numbers are.
func (r checked) supportLine() string {
	words := map[string]string{
		"samples": "the model's other answers", "samples-cot": "the model's other answers, reasoned", "context": "the context", "knowledge": "what the model holds true",
		"ngram": "words shared with other answers", "particulars": "figures and names found elsewhere", "fused": "rank among this text's claims",
	}
	var by []string
	for name := range strings.SplitSeq(r.By, ",") {
		by = append(by, words[name])
	}
	s := "by " + strings.Join(by, ", ")
	if r.Question != "" {
		s += fmt.Sprintf("; the question %q", text.Clip(text.SanitiseLine(r.Question), 70))
		if r.Guessed {
			s += ", which the model made up from the text (--question gives it)"
		}
	}
	if c := r.Calibration; c != nil {
		return s + fmt.Sprintf("; calibrated on %d labelled claims, AUROC %v", c.N, c.Figures.AUROC)
	}
	return s + "; not calibrated, so no probability"
}

// Measures of the picture.
const (
	svgColumns = 92
	svgLine    = 22
	svgChar    = 7.9
)

// svg draws the text with its claims marked; a claim's support shows where the
// pointer rests.
func (r checked) svg(s string) string {
	type stretch struct {
		text, colour, title string
	}
	var all []stretch
	at := 0
	for _, c := range r.Claims {
		_, _, colour := markOf(c.Status)
		title := c.Status
		if c.Supported != nil {
			title += fmt.Sprintf(", support %.2f", *c.Supported)
		}
		if c.Probability != nil {
			title += fmt.Sprintf(", probability %.2f", *c.Probability)
		}
		all = append(all, stretch{s[at:c.Span[0]], "", ""}, stretch{s[c.Span[0]:c.Span[1]], colour, title})
		at = c.Span[1]
	}
	all = append(all, stretch{s[at:], "", ""})
	var body strings.Builder
	x, y := 0, 0
	for _, st := range all {
		for i, line := range strings.Split(strings.ToValidUTF8(text.Sanitise(st.text), "\ufffd"), "\n") {
			if i > 0 {
				x, y = 0, y+1
			}
			for len(line) > 0 {
				room := line
				if n := utf8.RuneCountInString(line); x+n > svgColumns {
					room = firstRunes(line, svgColumns-x)
					if cut := strings.LastIndexByte(room, ' '); cut >= 0 {
						room = room[:cut+1]
					} else if x > 0 {
						room = ""
					}
				}
				line = line[len(room):]
				if bare := strings.TrimSpace(room); bare != "" { // blanks at the ends of a <text> are lost
					left := 20 + float64(x+utf8.RuneCountInString(room[:strings.Index(room, bare)]))*svgChar
					width := float64(utf8.RuneCountInString(bare)) * svgChar
					if st.colour != "" {
						fmt.Fprintf(&body, `<rect x="%.1f" y="%d" width="%.1f" height="19" rx="3" fill="%s" fill-opacity=".28"><title>%s</title></rect>`, left, 16+y*svgLine, width, st.colour, html.EscapeString(st.title))
					}
					fmt.Fprintf(&body, `<text x="%.1f" y="%d" textLength="%.1f">%s</text>`+"\n", left, 30+y*svgLine, width, html.EscapeString(bare))
				}
				x += utf8.RuneCountInString(room)
				if len(line) > 0 {
					x, y = 0, y+1
				}
			}
		}
	}
	caption := r.summary() + "; support " + r.supportLine()
	height := 30 + (y+2)*svgLine
	legend := 20.0
	var key strings.Builder
	for _, status := range []string{supported, doubtful, unsupported, claims.Unparsed.String(), claims.Failed.String(), claims.Inapplicable.String(), notChecked} {
		if r.Counts[status] == 0 {
			continue
		}
		_, _, colour := markOf(status)
		fmt.Fprintf(&key, `<rect x="%.0f" y="%d" width="12" height="12" rx="2" fill="%s"/><text x="%.0f" y="%d" fill="#8b949e">%s %d</text>`, legend, height-24, colour, legend+18, height-14, status, r.Counts[status])
		legend += 140
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="780" height="%d" viewBox="0 0 780 %d" role="img" aria-label="%s">
<rect width="780" height="100%%" rx="8" fill="#0d1117"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace" font-size="13" fill="#c9d1d9" xml:space="preserve">
%s%s
</g>
</svg>
`, height, height, html.EscapeString(caption), body.String(), key.String())
}

func firstRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
