package main

import (
	"fmt"
	"strings"
)

// A digit is drawn without its margin, two rows of pixels a line.
const (
	drawMargin = 3
	drawWidth  = digitSide - 2*drawMargin
)

// digitPainter draws digits side by side.
type digitPainter struct {
	b       strings.Builder
	blocks  bool // half blocks instead of ASCII
	colour  bool
	columns int // digits beside each other
}

// gallery draws digits with captions, as many a row as there are columns.
func (p *digitPainter) gallery(d *digits, r *demoResult, which []int) {
	for len(which) > 0 {
		n := min(p.columns, len(which))
		for y := drawMargin; y < digitSide-drawMargin; y += 2 {
			var line strings.Builder
			for _, i := range which[:n] {
				p.line(&line, d.pixels[i*digitSide*digitSide:], y)
				line.WriteString("  ")
			}
			p.b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		}
		var captions strings.Builder
		for _, i := range which[:n] {
			captions.WriteString(p.caption(r.Predicted[i], r.Label[i]))
		}
		p.b.WriteString(strings.TrimRight(captions.String(), " ") + "\n\n")
		which = which[n:]
	}
}

// line draws the rows y and y+1 of a picture.
func (p *digitPainter) line(b *strings.Builder, pixels []float32, y int) {
	const shades = " .:-=+*#%@"
	for x := drawMargin; x < digitSide-drawMargin; x++ {
		upper, lower := pixels[y*digitSide+x], pixels[(y+1)*digitSide+x]
		switch {
		case !p.blocks:
			mean := min(max((upper+lower)/2, 0), 1)
			b.WriteByte(shades[int(mean*float32(len(shades)-1)+0.5)])
		case upper >= 0.5 && lower >= 0.5:
			b.WriteString("█")
		case upper >= 0.5:
			b.WriteString("▀")
		case lower >= 0.5:
			b.WriteString("▄")
		default:
			b.WriteByte(' ')
		}
	}
}

// caption says what was read, and what is right where that differs.
func (p *digitPainter) caption(predicted int, label int64) string {
	text := fmt.Sprintf("read %d", predicted)
	wrong := int64(predicted) != label
	if wrong {
		text = fmt.Sprintf("read %d WRONG, is %d", predicted, label)
	}
	padded := fmt.Sprintf("%-*s", drawWidth+2, text)
	if wrong && p.colour {
		return strings.Replace(padded, text, "\x1b[31m"+text+"\x1b[0m", 1)
	}
	return padded
}
