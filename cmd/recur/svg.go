package main

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// A picture is a self-contained SVG: no scripts, no fonts or styles from
// elsewhere, readable on light and dark ground.

const (
	lineHeight  = 15.0
	boxPadding  = 9.0
	panelHeader = 20.0
	panelMargin = 12.0
	pageMargin  = 24.0
)

// measure sets a box's size from its text and from what is in it.
func (b *box) measure() {
	for i, line := range b.lines {
		b.w = max(b.w, textWidth(line, i == 0)+2*boxPadding+4)
	}
	b.w = max(b.w, 48)
	b.h = float64(len(b.lines))*lineHeight + 2*boxPadding - 3
	if len(b.panels) == 0 {
		return
	}
	head, x, tallest := b.h, panelMargin, 0.0
	for _, p := range b.panels {
		p.inner.arrange()
		p.x, p.y = x, head
		p.w = max(p.inner.w+2*panelMargin, textWidth(p.title, false)+2*panelMargin)
		p.h = p.inner.h + panelHeader + panelMargin + 4
		x += p.w + panelMargin
		tallest = max(tallest, p.h)
	}
	b.w, b.h = max(b.w, x), head+tallest+panelMargin
}

// textWidth estimates a text's width in a sans-serif font of 12 units.
func textWidth(s string, bold bool) float64 {
	w := 0.0
	for _, r := range s {
		switch {
		case strings.ContainsRune("iljtfrI.,:;|'!()[] /", r):
			w += 4.4
		case strings.ContainsRune("mwMW@%→", r):
			w += 10.4
		case r >= 'A' && r <= 'Z':
			w += 8.4
		default:
			w += 7
		}
	}
	if bold {
		w *= 1.08
	}
	return w
}

// categories are the kinds of boxes, with the words of the legend and the
// colours of ground and line on light and on dark ground.
var categories = []struct{ name, legend, light, lightLine, dark, darkLine string }{
	{"recurrent", "recurrent layer", "#e6d9fb", "#7040c0", "#3d2a63", "#b18cf0"},
	{"product", "product, convolution", "#d6e6fb", "#2f6cb5", "#1f3b5e", "#79aee8"},
	{"activation", "activation, reduction", "#d9f2dc", "#2f8a45", "#1f4a2b", "#77cf8c"},
	{"elementwise", "elementwise", "#eaf3d5", "#7d9a2e", "#3a4620", "#b9d36b"},
	{"movement", "shape and data movement", "#eceff2", "#7b8794", "#2c333b", "#95a2b0"},
	{"norm", "normalization", "#fdebc8", "#b9791a", "#51391a", "#e0ab5c"},
	{"control", "loop, branch, function", "#fbfaff", "#8a63c9", "#1b1924", "#a58bd8"},
	{"other", "other", "#fbe0e0", "#b55050", "#4d2727", "#e08a8a"},
	{"group", "several nodes", "#f4f1ea", "#8c8064", "#33302a", "#b8ac90"},
	{"value", "input, output", "#ffffff", "#333a44", "#14181d", "#c6ced8"},
}

func styleSheet() string {
	var b strings.Builder
	b.WriteString(`text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif;fill:#1d232b}` +
		`.t{font-weight:600}.d{fill:#56606c;font-size:11px}.h{font-size:18px;font-weight:600}` +
		`.page{fill:#ffffff}.e{fill:none;stroke:#7b8794;stroke-width:1.3}.a{fill:#7b8794}` +
		`.s{fill:none;stroke:#c2410c;stroke-width:1.5;stroke-dasharray:5 4}.sa{fill:#c2410c}.p{fill:#ffffff;stroke:#b9a7dd}`)
	for _, c := range categories {
		fmt.Fprintf(&b, ".%s{fill:%s;stroke:%s}", c.name, c.light, c.lightLine)
	}
	b.WriteString(`@media (prefers-color-scheme:dark){text{fill:#e6ebf1}.d{fill:#a3afbc}.page{fill:#0f1317}.e{stroke:#8895a3}.a{fill:#8895a3}` +
		`.s{stroke:#fb923c}.sa{fill:#fb923c}.p{fill:#0f1317;stroke:#5b4a86}`)
	for _, c := range categories {
		fmt.Fprintf(&b, ".%s{fill:%s;stroke:%s}", c.name, c.dark, c.darkLine)
	}
	b.WriteString("}")
	return b.String()
}

// svgWriter writes elements; the first error is kept by the writer.
type svgWriter struct {
	w    *bufio.Writer
	used map[string]bool // categories in the picture
}

// writeSVG writes an arranged diagram with title, remarks and legend.
func writeSVG(out io.Writer, d *diagram, title string, remarks []string) error {
	s := &svgWriter{w: bufio.NewWriter(out), used: map[string]bool{}}
	d.eachBox(func(b *box) { s.used[b.kind] = true })
	head := pageMargin + 22 + 16*float64(len(remarks)) + 10
	legend := s.legend(d)
	width := max(d.w, textWidth(title, true)*1.5, legend.width)
	for _, r := range remarks {
		width = max(width, textWidth(r, false))
	}
	width += 2 * pageMargin
	height := head + d.h + 26 + legend.height + pageMargin
	width, height = math.Ceil(width), math.Ceil(height)
	s.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" width="%s" height="%s" role="img" aria-label="%s">`+"\n",
		num(width), num(height), num(width), num(height), escape(title))
	s.printf("<style>%s</style>\n", styleSheet())
	s.printf(`<defs><marker id="m" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="a" d="M0 0L8 4L0 8z"/></marker>` +
		`<marker id="n" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="sa" d="M0 0L8 4L0 8z"/></marker></defs>` + "\n")
	s.printf(`<rect class="page" width="100%%" height="100%%"/>` + "\n")
	s.text(pageMargin, pageMargin+16, "h", title)
	for i, r := range remarks {
		s.text(pageMargin, pageMargin+36+16*float64(i), "d", r)
	}
	s.diagram(d, pageMargin+max(0, (width-2*pageMargin-d.w)/2), head)
	legend.draw(s, pageMargin, head+d.h+26)
	s.printf("</svg>\n")
	return s.w.Flush()
}

func (s *svgWriter) printf(format string, args ...any) { fmt.Fprintf(s.w, format, args...) }

// num writes a coordinate to a tenth.
func num(v float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", math.Round(v*10)/10), ".0")
}

// escape makes a text fit for XML; what XML cannot hold becomes a question
// mark.
func escape(text string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(clean(strings.ToValidUTF8(text, "?"))))
	return b.String()
}

func (s *svgWriter) text(x, y float64, class, text string) {
	s.printf(`<text x="%s" y="%s" class="%s">%s</text>`+"\n", num(x), num(y), class, escape(text))
}

// diagram draws edges first, so that boxes lie over them.
func (s *svgWriter) diagram(d *diagram, x, y float64) {
	for _, e := range d.edges {
		s.edge(e, x, y)
	}
	for _, b := range d.boxes {
		s.box(b, x, y)
	}
	for _, f := range d.states {
		s.state(f, x, y)
	}
}

// edge draws a path: straight within a layer, curved between two.
func (s *svgWriter) edge(e *edge, x, y float64) {
	if len(e.path) == 0 {
		return
	}
	s.printf(`<path class="e" marker-end="url(#m)" d="M%s %s`, num(x+e.path[0][0]), num(y+e.path[0][1]))
	for i := 1; i < len(e.path); i++ {
		a, b := e.path[i-1], e.path[i]
		if i%2 == 1 || a[0] == b[0] {
			s.printf("L%s %s", num(x+b[0]), num(y+b[1]))
			continue
		}
		middle := y + (a[1]+b[1])/2
		s.printf("C%s %s %s %s %s %s", num(x+a[0]), num(middle), num(x+b[0]), num(middle), num(x+b[0]), num(y+b[1]))
	}
	s.printf("\"/>\n")
}

// state draws the way of a state back, with round corners.
func (s *svgWriter) state(f *edge, x, y float64) {
	p := f.path
	if len(p) == 0 {
		return
	}
	s.printf(`<path class="s" marker-end="url(#n)" d="M%s %s`, num(x+p[0][0]), num(y+p[0][1]))
	for i := 1; i+1 < len(p); i++ {
		before, corner, after := p[i-1], p[i], p[i+1]
		in, out := toward(corner, before, 6), toward(corner, after, 6)
		s.printf("L%s %sQ%s %s %s %s", num(x+in[0]), num(y+in[1]), num(x+corner[0]), num(y+corner[1]), num(x+out[0]), num(y+out[1]))
	}
	last := p[len(p)-1]
	s.printf(`L%s %s"><title>%s</title></path>`+"\n", num(x+last[0]), num(y+last[1]), escape(f.tip))
}

// toward gives the point at a distance from a point on the way to another, at
// most half way.
func toward(from, to [2]float64, distance float64) [2]float64 {
	length := math.Abs(to[0]-from[0]) + math.Abs(to[1]-from[1]) // one of them is 0
	if length == 0 {
		return from
	}
	t := min(distance, length/2) / length
	return [2]float64{from[0] + (to[0]-from[0])*t, from[1] + (to[1]-from[1])*t}
}

func (s *svgWriter) box(b *box, x, y float64) {
	x, y = x+b.x, y+b.y
	corner := 6.0
	if b.kind == "value" {
		corner = b.h / 2
		if len(b.lines) > 2 {
			corner = 16
		}
	}
	s.printf(`<g><title>%s</title><rect class="%s" x="%s" y="%s" width="%s" height="%s" rx="%s"/>`+"\n",
		escapeLines(b.tip), b.kind, num(x), num(y), num(b.w), num(b.h), num(corner))
	for i, line := range b.lines {
		class := "d"
		if i == 0 {
			class = "t"
		}
		at := y + boxPadding + 10 + float64(i)*lineHeight
		s.printf(`<text x="%s" y="%s" class="%s" text-anchor="middle">%s</text>`+"\n", num(x+b.w/2), num(at), class, escape(line))
	}
	s.printf("</g>\n")
	for _, p := range b.panels {
		s.printf(`<rect class="p" x="%s" y="%s" width="%s" height="%s" rx="5"/>`+"\n", num(x+p.x), num(y+p.y), num(p.w), num(p.h))
		s.text(x+p.x+8, y+p.y+14, "d", p.title)
		s.diagram(p.inner, x+p.x+max(panelMargin, (p.w-p.inner.w)/2), y+p.y+panelHeader+4)
	}
}

// escapeLines escapes a text of several lines.
func escapeLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = escape(abridge(l, 160))
	}
	return strings.Join(lines, "&#10;")
}

// legend explains the colours that are used.
type legend struct {
	entries       []string // categories
	states        bool
	width, height float64
}

func (s *svgWriter) legend(d *diagram) *legend {
	l := &legend{height: 18}
	for _, c := range categories {
		if s.used[c.name] {
			l.entries = append(l.entries, c.name)
			l.width = max(l.width, 18+textWidth(c.legend, false))
		}
	}
	d.eachDiagram(func(d *diagram) { l.states = l.states || len(d.states) > 0 })
	l.width = max(l.width, 200)
	n := len(l.entries)
	if l.states {
		n++
	}
	l.height = 18 * float64(n)
	return l
}

func (l *legend) draw(s *svgWriter, x, y float64) {
	for _, c := range categories {
		if !s.used[c.name] {
			continue
		}
		s.printf(`<rect class="%s" x="%s" y="%s" width="14" height="11" rx="3"/>`, c.name, num(x), num(y))
		s.text(x+20, y+10, "d", c.legend)
		y += 18
	}
	if l.states {
		s.printf(`<path class="s" d="M%s %sH%s"/>`, num(x), num(y+6), num(x+15))
		s.text(x+20, y+10, "d", "state, carried to the next step or call")
	}
}

// shortened cuts the middle out of a text that is too long for a box.
func shortened(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	half := (n - 1) / 2
	return string(r[:half]) + "…" + string(r[len(r)-(n-1-half):])
}
