package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the style
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
	"unicode"

	"gnothi/internal/plot"
)

//go:embed style.css
var style string

// Style is the style sheet of all pages.
func Style() string { return style }

// Sum names a style or a script for a page's security policy.
func Sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(h[:]) + "'"
}

// Visible replaces what is no character, and control characters by their
// pictures. Directions stay: a page keeps them within their element.
func Visible(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.IndexFunc(s, hidden) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case !hidden(r):
			return r
		case r < 0x20:
			return 0x2400 + r
		default:
			return '\u2421'
		}
	}, s)
}

func hidden(r rune) bool { return unicode.Is(unicode.Cc, r) && r != '\n' && r != '\t' }

// Gauge draws a number between 0 and 1.
func Gauge(v float64) template.HTML {
	return template.HTML(fmt.Sprintf(`<svg class="gauge" width="120" height="9" aria-hidden="true"><rect width="120" height="9" rx="2"/><rect width="%.1f" height="9" rx="2"/></svg>`, 120*min(max(v, 0), 1))) //nolint:gosec // a number
}

// Chart gives a chart for a page; it is nothing if the chart cannot be drawn.
func Chart(c plot.Chart) template.HTML {
	c.Inline = true
	var b bytes.Buffer
	if _, err := io.WriterTo(c).WriteTo(&b); err != nil {
		return ""
	}
	return template.HTML(b.String()) //nolint:gosec // plot escapes what it is given
}

// Reliability draws how often what was said with a probability was right.
func Reliability(series ...plot.Series) plot.Chart {
	return plot.Chart{
		Title: "Reliability", X: "confidence", Y: "share right", XMax: 1, YMax: 1,
		Note:   "bins of equal width, with 95 % intervals; on the dashed line confidence is what it says",
		Series: append([]plot.Series{{Points: []plot.Point{plot.At(0, 0), plot.At(1, 1)}, Faint: true}}, series...),
	}
}
