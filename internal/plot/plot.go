package plot

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Point is a point of a series; Low and High are an interval of Y, NaN for none. Size scales a dot's area, 0 is 1.
type Point struct {
	X, Y, Low, High float64
	Size            float64
}

// At is a point without an interval.
func At(x, y float64) Point { return Point{X: x, Y: y, Low: math.NaN(), High: math.NaN()} }

// Series is one thing shown.
type Series struct {
	Name   string // in the legend; empty is not listed
	Points []Point
	Dots   bool // dots with their intervals as whiskers, else a line with its intervals as a band
	Faint  bool // a dashed grey line: what would be perfect, what is known beforehand
}

// Chart is a pair of axes. Bounds that are equal are found from the points.
type Chart struct {
	Title, Note string
	X, Y        string // axis labels
	XMin, XMax  float64
	YMin, YMax  float64
	Series      []Series
	Percent     bool // tick labels of both axes in per cent
	Width       int  // 0 is 460
	XLog        bool // logarithmic in X + 1, for numbers of labels
	XTicks      []float64
	LegendLow   bool // at the bottom instead of the top
	Inline      bool // for a page that brings the style: no style and no ground of its own
}

const (
	height = 332.0
	left   = 56.0
	right  = 16.0
	top    = 34.0
	bottom = 76.0
)

// legendLine is the height of a line of the legend.
const legendLine = 16.0

// most points of a line: more cannot be seen at this size.
const most = 400

// colours is how many series have one of their own.
const colours = 8

const style = `<style>.f{fill:#fff}text{fill:#24292f;font:12px system-ui,sans-serif}.t{font-size:14px;font-weight:600}.n{fill:#57606a;font-size:11px}` +
	`.g{stroke:#d0d7de;stroke-width:1}.d{stroke:#6e7781;stroke-dasharray:4 3;fill:none}.l{fill:none;stroke-width:2}.w{stroke-width:1.5}.b{opacity:.18;stroke:none}` +
	`.s0{stroke:#0969da}.s1{stroke:#bc4c00}.s2{stroke:#1a7f37}.s3{stroke:#8250df}.s4{stroke:#bf3989}.s5{stroke:#57606a}.s6{stroke:#9a6700}.s7{stroke:#0a8a8a}.p0{fill:#0969da}.p1{fill:#bc4c00}.p2{fill:#1a7f37}.p3{fill:#8250df}.p4{fill:#bf3989}.p5{fill:#57606a}.p6{fill:#9a6700}.p7{fill:#0a8a8a}` +
	`@media(prefers-color-scheme:dark){.f{fill:#0d1117}text{fill:#e6edf3}.n{fill:#8b949e}.g{stroke:#30363d}.d{stroke:#8b949e}` +
	`.s0{stroke:#58a6ff}.s1{stroke:#f0883e}.s2{stroke:#3fb950}.s3{stroke:#bc8cff}.s4{stroke:#f778ba}.s5{stroke:#b1bac4}.s6{stroke:#d29922}.s7{stroke:#39c5cf}.p0{fill:#58a6ff}.p1{fill:#f0883e}.p2{fill:#3fb950}.p3{fill:#bc8cff}.p4{fill:#f778ba}.p5{fill:#b1bac4}.p6{fill:#d29922}.p7{fill:#39c5cf}}</style>`

// canvas writes SVG; it never fails, the buffer is in memory.
type canvas struct {
	bytes.Buffer
	inline bool
}

func (c *canvas) open(width, height float64, title, note string) {
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" width="%s" height="%s" viewBox="0 0 %s %s" role="img"><title>%s</title><desc>%s</desc>`,
		num(width), num(height), num(width), num(height), escape(title), escape(note))
	if !c.inline {
		c.WriteString(style + `<rect class="f" width="100%" height="100%" rx="6"/>`)
	}
	fmt.Fprintf(c, `<text class="t" x="%s" y="22">%s</text>`, num(left-40), escape(title))
	lines := wrap(note, int((width-left)/5.6))
	for i, line := range lines {
		c.text(left-40, height-10-13*float64(len(lines)-1-i), "", "n", line)
	}
}

// wrap breaks a note between words.
func wrap(s string, most int) (lines []string) {
	for _, word := range strings.Fields(s) {
		if k := len(lines) - 1; k >= 0 && len([]rune(lines[k]))+len([]rune(word)) < most {
			lines[k] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

func (c *canvas) text(x, y float64, anchor, class, s string) {
	fmt.Fprintf(c, `<text x="%s" y="%s"`, num(x), num(y))
	if anchor != "" {
		fmt.Fprintf(c, ` text-anchor="%s"`, anchor)
	}
	if class != "" {
		fmt.Fprintf(c, ` class="%s"`, class)
	}
	fmt.Fprintf(c, `>%s</text>`, escape(s))
}

func (c *canvas) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(c, `<line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>`, class, num(x1), num(y1), num(x2), num(y2))
}

func (c *canvas) path(class string, xy []float64, closed bool) {
	fmt.Fprintf(c, `<path class="%s" d="M`, class)
	for i := 0; i < len(xy); i += 2 {
		if i > 0 {
			c.WriteByte('L')
		}
		c.WriteString(num(xy[i]) + " " + num(xy[i+1]))
	}
	if closed {
		c.WriteByte('Z')
	}
	c.WriteString(`"/>`)
}

// WriteTo writes the chart as an SVG document. Points that are not finite are left out.
func (c Chart) WriteTo(w io.Writer) (int64, error) {
	width := float64(c.Width)
	if c.Width == 0 {
		width = 460
	}
	series := make([]Series, len(c.Series))
	for i, s := range c.Series {
		series[i] = s
		series[i].Points = visible(s)
	}
	c.Series = series
	c.bounds()
	along := func(x float64) float64 {
		lo, hi := c.XMin, c.XMax
		if c.XLog {
			x, lo, hi = math.Log1p(x), math.Log1p(lo), math.Log1p(hi)
		}
		return left + (x-lo)/(hi-lo)*(width-left-right)
	}
	up := func(y float64) float64 {
		return height - bottom - (min(max(y, c.YMin), c.YMax)-c.YMin)/(c.YMax-c.YMin)*(height-top-bottom)
	}
	v := canvas{inline: c.Inline}
	named := 0
	for _, s := range c.Series {
		if s.Name != "" {
			named++
		}
	}
	v.open(width, height+legendLine*float64(named), c.Title, c.Note)
	xticks := c.XTicks
	if xticks == nil {
		xticks = ticks(c.XMin, c.XMax)
	}
	for _, x := range xticks {
		v.line("g", along(x), top, along(x), height-bottom)
		v.text(along(x), height-bottom+16, "middle", "", c.label(x))
	}
	for _, y := range ticks(c.YMin, c.YMax) {
		v.line("g", left, up(y), width-right, up(y))
		v.text(left-6, up(y)+4, "end", "", c.label(y))
	}
	v.text((left+width-right)/2, height-bottom+34, "middle", "", c.X)
	fmt.Fprintf(&v, `<text transform="translate(14 %s) rotate(-90)" text-anchor="middle">%s</text>`, num((top+height-bottom)/2), escape(c.Y))

	colour := 0
	type key struct{ name, class string }
	var legend []key
	for _, s := range c.Series {
		class := fmt.Sprintf("l s%d", colour%colours)
		if s.Faint {
			class = "d"
		}
		switch {
		case len(s.Points) == 0:
		case s.Dots:
			for _, p := range s.Points {
				if interval(p) {
					v.line(fmt.Sprintf("w s%d", colour%colours), along(p.X), up(p.Low), along(p.X), up(p.High))
				}
				size := p.Size
				if size == 0 {
					size = 1
				}
				fmt.Fprintf(&v, `<circle class="p%d" cx="%s" cy="%s" r="%s"/>`, colour%colours, num(along(p.X)), num(up(p.Y)), num(4*math.Sqrt(size)))
			}
		default:
			var line, band []float64
			for _, p := range s.Points {
				line = append(line, along(p.X), up(p.Y))
				if interval(p) {
					band = append(band, along(p.X), up(p.High))
				}
			}
			for i := len(s.Points) - 1; i >= 0; i-- {
				if p := s.Points[i]; interval(p) {
					band = append(band, along(p.X), up(p.Low))
				}
			}
			if len(band) > 4 && !s.Faint {
				v.path(fmt.Sprintf("b p%d", colour%colours), band, true)
			}
			v.path(class, line, false)
		}
		if s.Name != "" {
			legend = append(legend, key{s.Name, class})
		}
		if !s.Faint {
			colour++
		}
	}
	// Below the axis, where it hides nothing.
	for i, k := range legend {
		y := height - bottom + 52 + legendLine*float64(i)
		v.line(k.class, left, y-4, left+18, y-4)
		v.text(left+24, y, "", "", k.name)
	}
	v.WriteString("</svg>\n")
	return v.Buffer.WriteTo(w)
}

func interval(p Point) bool { return !math.IsNaN(p.Low) && !math.IsNaN(p.High) }

// visible drops points that cannot be drawn, and thins lines.
func visible(s Series) []Point {
	var kept []Point
	for _, p := range s.Points {
		if finite(p.X) && finite(p.Y) {
			kept = append(kept, p)
		}
	}
	if s.Dots || len(kept) <= most {
		return kept
	}
	thin := make([]Point, most)
	for i := range thin {
		thin[i] = kept[i*(len(kept)-1)/(most-1)]
	}
	return thin
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// bounds fills in what the points span, widened to the ticks.
func (c *Chart) bounds() {
	span := func(lo, hi *float64, values func(p Point) []float64) {
		if *lo != *hi {
			return
		}
		*lo, *hi = math.Inf(1), math.Inf(-1)
		for _, s := range c.Series {
			for _, p := range s.Points {
				for _, v := range values(p) {
					if finite(v) {
						*lo, *hi = min(*lo, v), max(*hi, v)
					}
				}
			}
		}
		if *lo > *hi {
			*lo, *hi = 0, 1
		}
		if *lo == *hi {
			*lo, *hi = *lo-0.5, *hi+0.5
		}
		t := step(*lo, *hi)
		*lo, *hi = math.Floor(*lo/t)*t, math.Ceil(*hi/t)*t
	}
	span(&c.XMin, &c.XMax, func(p Point) []float64 { return []float64{p.X} })
	span(&c.YMin, &c.YMax, func(p Point) []float64 { return []float64{p.Y, p.Low, p.High} })
}

func (c *Chart) label(v float64) string {
	if math.Abs(v) < 1e-12 {
		v = 0
	}
	if c.Percent {
		return strconv.FormatFloat(math.Round(1000*v)/10, 'f', -1, 64) + "%"
	}
	return strconv.FormatFloat(math.Round(v*1e6)/1e6, 'g', 6, 64)
}

// step is 1, 2 or 5 times a power of ten, for about five ticks.
func step(lo, hi float64) float64 {
	raw := (hi - lo) / 5
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= raw*0.999 {
			return m * power
		}
	}
	return 10 * power
}

func ticks(lo, hi float64) []float64 {
	t := step(lo, hi)
	var out []float64
	for k := math.Ceil(lo/t - 1e-9); k*t <= hi+1e-9*t; k++ {
		out = append(out, k*t)
	}
	return out
}

// Row is a line of a Forest.
type Row struct {
	Name             string
	Value, Low, High float64 // Low and High NaN for none
}

// Forest shows values with their intervals below one another.
type Forest struct {
	Title, Note, X string
	Zero           float64 // where the reference line stands
	Rows           []Row
}

// WriteTo writes the chart as an SVG document.
func (f Forest) WriteTo(w io.Writer) (int64, error) {
	const line = 22.0
	c := Chart{}
	longest := 0
	pts := []Point{At(f.Zero, 0)}
	for _, r := range f.Rows {
		longest = max(longest, len([]rune(r.Name)))
		for _, v := range []float64{r.Value, r.Low, r.High} {
			pts = append(pts, At(v, 0))
		}
	}
	c.Series = []Series{{Points: pts, Dots: true}}
	c.Series[0].Points = visible(c.Series[0])
	c.bounds()
	lo, hi := c.XMin, c.XMax
	names := max(120, 24+6.6*float64(longest))
	width := names + 350
	at := func(x float64) float64 { return names + (x-lo)/(hi-lo)*(width-names-90) }
	base := top + line*float64(len(f.Rows)) + 4
	total := base + 72
	var v canvas
	v.open(width, total, f.Title, f.Note)
	for _, x := range ticks(lo, hi) {
		v.line("g", at(x), top, at(x), base)
		v.text(at(x), base+16, "middle", "", c.label(x))
	}
	v.line("d", at(f.Zero), top, at(f.Zero), base)
	v.text((names+width-90)/2, base+33, "middle", "", f.X)
	for i, r := range f.Rows {
		y := top + line*(float64(i)+0.5) + 2
		v.text(names-10, y+4, "end", "", r.Name)
		if !finite(r.Value) {
			v.text(width-84, y+4, "", "n", "n/a")
			continue
		}
		if finite(r.Low) && finite(r.High) {
			v.line("w s0", at(r.Low), y, at(r.High), y)
		}
		fmt.Fprintf(&v, `<circle class="p0" cx="%s" cy="%s" r="4"/>`, num(at(r.Value)), num(y))
		v.text(width-84, y+4, "", "", strings.Replace(strconv.FormatFloat(r.Value, 'f', 3, 64), "-0.000", "0.000", 1))
	}
	v.WriteString("</svg>\n")
	return v.Buffer.WriteTo(w)
}

func num(v float64) string {
	s := strconv.FormatFloat(v, 'f', 1, 64)
	return strings.TrimSuffix(s, ".0")
}

func escape(s string) string {
	var b bytes.Buffer
	// Writing to memory cannot fail; bytes that are no characters come out as U+FFFD.
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}
