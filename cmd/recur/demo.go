package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

const demoHelp = `Demo lets a recurrent network read handwritten digits. An LSTM of 150 units
sees each picture of 28 by 28 pixels as a sequence: 28 steps, a row of pixels
each. Nothing is needed but this command, which holds the model (trained in
Keras, exported to ONNX) and 100 digits that it was not trained on.

It draws the first digits and those that the network got wrong, with what it
read and what is right, and prints the accuracy and the time for a digit.

The digits are from MNIST (Y. LeCun, C. Cortes; CC BY-SA 3.0).`

//go:embed demo/mnist_rows_lstm.onnx
var demoModel []byte

//go:embed demo/digits.npz
var demoDigits []byte

// digits are pictures, shape [n, 28, 28], and what they show, shape [n].
type digits struct {
	rows   *onnx.Tensor
	pixels []float32
	label  []int64
}

const digitSide = 28

// demoResult is what recur demo tells.
type demoResult struct {
	header
	Digits           int     `json:"digits"`
	Correct          int     `json:"correct"`
	Accuracy         float64 `json:"accuracy"`
	MicrosecondsEach float64 `json:"microseconds_each"` // one digit a run
	MicrosecondsBulk float64 `json:"microseconds_bulk"` // a digit, all in one run
	Predicted        []int   `json:"predicted"`
	Label            []int64 `json:"label"`
}

func (c *cli) demoCommand() *cobra.Command {
	f := &loadFlags{}
	var asJSON bool
	var show int
	cmd := &cobra.Command{
		Use:     "demo",
		Short:   "Let a recurrent network read handwritten digits",
		Long:    demoHelp,
		Example: "  recur demo\n  recur demo --show 12\n  recur demo --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if show < 0 {
				return usagef("--show %d, want 0 or more", show)
			}
			d, err := readDigits()
			if err != nil {
				return err
			}
			r, err := readThem(cmd.Context(), d, f)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.out, r)
			}
			return c.printDemo(d, r, show)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().IntVar(&show, "show", 6, "how many digits to draw, besides the wrong ones")
	f.add(cmd.Flags())
	return cmd
}

func readDigits() (*digits, error) {
	arrays, err := onnx.ReadNPZ(bytes.NewReader(demoDigits), int64(len(demoDigits)))
	if err != nil {
		return nil, err
	}
	d := &digits{rows: arrays["rows"]}
	if d.pixels, err = onnx.Data[float32](arrays["rows"]); err != nil {
		return nil, err
	}
	d.label, err = onnx.Data[int64](arrays["label"])
	return d, err
}

// readThem runs the model on all digits at once, then on each alone.
func readThem(ctx context.Context, d *digits, f *loadFlags) (*demoResult, error) {
	opts, err := f.options()
	if err != nil {
		return nil, err
	}
	s, err := rt.LoadBytes(demoModel, opts...)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	all := onnx.Values{"rows": d.rows}
	if _, err := s.Run(ctx, all); err != nil { // the first run makes the memory that later ones reuse
		return nil, err
	}
	start := time.Now()
	out, err := s.Run(ctx, all)
	if err != nil {
		return nil, err
	}
	bulk := time.Since(start)
	chances, err := onnx.Data[float32](out["digit"])
	if err != nil {
		return nil, err
	}
	each, err := timeEach(ctx, s, d)
	if err != nil {
		return nil, err
	}
	n := len(d.label)
	r := &demoResult{header: headerOf("demo"), Digits: n, Label: d.label,
		MicrosecondsEach: each.Seconds() * 1e6 / float64(n), MicrosecondsBulk: bulk.Seconds() * 1e6 / float64(n)}
	classes := len(chances) / n
	for i := range n {
		p := argmax(chances[i*classes : (i+1)*classes])
		r.Predicted = append(r.Predicted, p)
		if int64(p) == d.label[i] {
			r.Correct++
		}
	}
	r.Accuracy = float64(r.Correct) / float64(n)
	return r, nil
}

// timeEach runs the model once for each digit.
func timeEach(ctx context.Context, s *rt.Session, d *digits) (time.Duration, error) {
	const size = digitSide * digitSide
	start := time.Now()
	for i := range d.label {
		x, err := onnx.NewTensor([]int{1, digitSide, digitSide}, d.pixels[i*size:(i+1)*size])
		if err != nil {
			return 0, err
		}
		if _, err := s.Run(ctx, onnx.Values{"rows": x}); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

func argmax(v []float32) int {
	best := 0
	for i, x := range v {
		if x > v[best] {
			best = i
		}
	}
	return best
}

func (c *cli) printDemo(d *digits, r *demoResult, show int) error {
	var first, wrong []int
	for i := range r.Digits {
		if i < show {
			first = append(first, i)
		}
		if int64(r.Predicted[i]) != r.Label[i] && i >= show {
			wrong = append(wrong, i)
		}
	}
	width := terminal(c.out)
	if width == 0 {
		width = 80
	}
	p := &digitPainter{blocks: c.utf8(), colour: !c.plain(c.out), columns: max(width/(drawWidth+2), 1)}
	p.gallery(d, r, first)
	if len(wrong) > 0 && show > 0 {
		fmt.Fprint(&p.b, "Read wrong, among the others:\n\n")
		p.gallery(d, r, wrong)
	}
	fmt.Fprintf(&p.b, "%d of %d digits read correctly: accuracy %.2f\n", r.Correct, r.Digits, r.Accuracy)
	fmt.Fprintf(&p.b, "%.0f µs a digit one by one, %.0f µs in a batch of %d\n", r.MicrosecondsEach, r.MicrosecondsBulk, r.Digits)
	text := p.b.String()
	if !c.utf8() {
		text = strings.ReplaceAll(text, "µ", "u")
	}
	_, err := c.out.Write([]byte(text))
	return err
}
