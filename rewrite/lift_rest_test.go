package rewrite_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/rewrite"
)

// dropping adds a dropout of random numbers to what a form's steps give.
func dropping(form loopForm, rate string) loopForm {
	return loopForm{form.name, func(c stepCell) string {
		return beyond(form.write(c), `
noise = RandomUniformLike(%[1]s) seed=7
keep = GreaterOrEqual(noise, `+rate+`)
kept = Cast(keep) to=1
share = Sub(f1, `+rate+`)
scaled = Div(%[1]s, share)
dropped = Mul(kept, scaled)`)
	}, form.kind}
}

// beyond adds nodes to a loop's body which make dropped of what the steps gave,
// and lets the loop give that.
func beyond(text, nodes string) string {
	for _, y := range []string{"y", "hn"} { // the body's head comes first
		if body := strings.Replace(text, ", "+y+")\n", ", dropped)\n", 1); body != text {
			return strings.Replace(body, "\nend\n", fmt.Sprintf(nodes, y)+"\nend\n", 1)
		}
	}
	return text
}

// TestLiftBeyondTheCells: what the steps make of the cells' outputs, random
// numbers among it, is a loop without the cells, and gives what it gave.
func TestLiftBeyondTheCells(t *testing.T) {
	for _, form := range loopForms {
		for _, c := range stepCells {
			if c.want == "" {
				continue
			}
			for _, rate := range []string{"half", "f0"} {
				t.Run(form.name+"/"+c.name+"/"+rate, func(t *testing.T) {
					p := layer(t, c, dropping(form, rate))
					m := p.check(t, nil, c.want+":1 Scan:1")
					y := onnx.Elements[float32](p.run(t, m)["Y"].(*onnx.Tensor))
					dropped := 0
					for _, v := range y {
						if v == 0 {
							dropped++
						}
					}
					if rate == "half" && (dropped == 0 || dropped == len(y)) {
						t.Errorf("%d of %d numbers are 0", dropped, len(y))
					}
				})
			}
		}
	}
}

// TestLiftBeyondReads: the part of a body that becomes a loop of its own may
// read the number of the step, the condition, counters, sequences, and values
// that the loop carries unchanged.
func TestLiftBeyondReads(t *testing.T) {
	for _, c := range []struct{ name, form, nodes, want string }{
		{"the number of the step", "Loop of known length", "\nca = Cast(it) to=1\nse = Selu(%s)\ndropped = Add(ca, se)", "LSTM:1 Scan:1"},
		{"a counter", "Loop of unknown length", "\nca = Cast(time) to=1\nse = Selu(%s)\ndropped = Mul(ca, se)", "LSTM:1 Scan:1"},
		{"the condition", "Loop of known length", "\nca = Cast(cond) to=1\nse = Selu(%s)\ndropped = Add(ca, se)", "LSTM:1 Scan:1"},
		{"a sequence", "Loop of known length", "\nsx = Selu(x)\ndropped = Concat(%s, sx) axis=1", "LSTM:1 Scan:1"},
		{"a sequence of a Scan", "Scan", "\nsx = Selu(x)\ndropped = Concat(%s, sx) axis=1", "LSTM:1 Scan:1"},
		{"a sequence of a Scan backwards", "Scan backwards", "\nsx = Selu(x)\nct = Cast(time) to=1\nsc = Mul(sx, ct)\ndropped = Concat(sc, %s) axis=1", "LSTM:1 Scan:1"},
		{"a sequence alone", "Scan", "\ndropped = Selu(x)", "LSTM:1 Scan:1"},
		{"the state before the step", "Scan", "\nsx = Selu(h)\ndropped = Concat(%s, sx) axis=1", "Scan:1"},
		{"a state alone", "Scan", "\ndropped = Identity(c)", "Scan:1"},
		{"nothing that tells the steps", "Loop of known length", "\ndropped = Selu(H0)", "Loop:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, passes := range [][]string{nil, {"lift"}} {
				lstm := stepCells[6]
				form := loopForms[0]
				for _, f := range loopForms {
					if f.name == c.form {
						form = f
					}
				}
				layer(t, lstm, loopForm{"", func(cell stepCell) string {
					nodes := c.nodes
					if !strings.Contains(nodes, "%s") {
						nodes += "%.0s"
					}
					return beyond(form.write(cell), nodes)
				}, form.kind}).check(t, passes, c.want)
			}
		})
	}
	t.Run("a value that is carried unchanged", func(t *testing.T) {
		p := layer(t, stepCells[0], loopForm{"", func(c stepCell) string {
			return `
body step(it:i64, cond:b, rate:f, h) -> (cond2:b, rate, hn, y)
x = Gather(X, it) axis=0
` + c.nodes + `
u = RandomUniformLike(hn) seed=3
keep = GreaterOrEqual(u, rate)
kept = Cast(keep) to=1
y = Mul(kept, hn)
cond2 = Identity(cond)
end
rate_last, H_last, Y = Loop(T, true, half, H0) body=step
`
		}, "Loop"})
		p.check(t, []string{"lift"}, "RNN:1 Scan:1")
		p.check(t, nil, "RNN:1 Scan:1")
	})
}

// TestLiftBeyondTells: the loop that is left says what it is.
func TestLiftBeyondTells(t *testing.T) {
	p := layer(t, stepCells[0], dropping(loopForms[0], "half"))
	_, after, err := rewrite.Recurrences(p.model, rewrite.Options{})
	if err != nil || len(after) != 2 || after[0].Kind != "RNN" || after[1].Kind != "Scan" || !strings.Contains(after[1].Why, "its cells have become operators") {
		t.Errorf("%v, %v", after, err)
	}
}
