package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// sameBits reports equal bits, or NaN on both sides.
func sameBits[T float32 | float64](a, b T) bool {
	return a == b && math.Signbit(float64(a)) == math.Signbit(float64(b)) || a != a && b != b
}

// rowsOf makes rows of n elements of all kinds, each with an odd element before
// and behind them.
func rowsOf(r *rand.Rand, rows, n, kind int) []float32 {
	x := make([]float32, rows*n)
	zeros := []float32{0, float32(math.Copysign(0, -1))}
	for i := range x {
		switch kind {
		case 0:
			x[i] = float32(r.NormFloat64())
		case 1: // zeros of both signs, and what is beneath or above them
			x[i] = zeros[r.IntN(2)]
			if r.IntN(3) == 0 {
				x[i] = float32(2*(i/n%2) - 1)
			}
		case 2:
			x[i] = float32(r.NormFloat64())
			switch r.IntN(3 * n) {
			case 0:
				x[i] = float32(math.NaN())
			case 1:
				x[i] = float32(math.Inf(1))
			case 2:
				x[i] = float32(math.Inf(-1))
			}
		case 3:
			x[i] = zeros[1]
		}
	}
	return x
}

// TestManyRows wants the bits of plain loops from the loops over many rows, and
// nothing written behind them.
func TestManyRows(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 1))
	for _, n := range append([]int{100, 255, 256, 1030}, sequence(1, 70)...) {
		for _, rows := range []int{1, 3, 4, 9} {
			for kind := range 4 {
				x := rowsOf(r, rows, n, kind)
				m, f, o, q := odd(r, rows), odd(r, rows), odd(r, rows), odd(r, rows)
				scale, bias := odd(r, n), odd(r, n)
				m64, f64 := make([]float64, rows), make([]float64, rows)
				for i := range rows {
					m64[i], f64[i] = r.NormFloat64(), r.NormFloat64()
				}
				loops := map[string]func(l Level, y []float32, s []float64){
					"sum":       func(l Level, y []float32, s []float64) { SumRows(l, Value, s, x, n, nil) },
					"squares":   func(l Level, y []float32, s []float64) { SumRows(l, Square, s, x, n, nil) },
					"distances": func(l Level, y []float32, s []float64) { SumRows(l, Square, s, x, n, m64) },
					"absolute":  func(l Level, y []float32, s []float64) { SumRows(l, Abs1, s, x, n, nil) },
					"greatest":  func(l Level, y []float32, s []float64) { ExtremeRows(l, y[:rows], x, n, true) },
					"least":     func(l Level, y []float32, s []float64) { ExtremeRows(l, y[:rows], x, n, false) },
					"scale":     func(l Level, y []float32, s []float64) { ScaleRows(l, y, x, n, f) },
					"affine":    func(l Level, y []float32, s []float64) { AffineChannels(l, y, x, n, f, o) },
					"channels":  func(l Level, y []float32, s []float64) { NormChannels(l, y, x, n, m, f, o, q) },
					"elements":  func(l Level, y []float32, s []float64) { NormRows(l, y, x, n, m, f, scale, bias) },
					"add":       func(l Level, y []float32, s []float64) { AddRows(l, y, x, scale) },
					"no bias":   func(l Level, y []float32, s []float64) { NormRows(l, y, x, n, m, f, scale, nil) },
					"log":       func(l Level, y []float32, s []float64) { LogSoftmaxRows(l, y, x, n, m, f) },
					"moments": func(l Level, y []float32, s []float64) {
						MomentsRows(l, s, make([]float64, rows), x, n)
					},
				}
				for name, f := range loops {
					want, sums := make([]float32, rows*n+16), make([]float64, rows)
					f(Go, want[:rows*n], sums)
					for _, l := range vectorLevels() {
						got, s := make([]float32, rows*n+16), make([]float64, rows)
						f(l, got[:rows*n], s)
						for i := range want {
							if !sameBits(got[i], want[i]) {
								t.Fatalf("%s %v, %d rows of %d, kind %d: element %d is %v, want %v", name, l, rows, n, kind, i, got[i], want[i])
							}
						}
						for i := range sums {
							if !sameBits(s[i], sums[i]) {
								t.Fatalf("%s %v, %d rows of %d, kind %d: sum %d is %v, want %v", name, l, rows, n, kind, i, s[i], sums[i])
							}
						}
					}
				}
			}
		}
	}
}

func sequence(lo, hi int) (s []int) {
	for ; lo < hi; lo++ {
		s = append(s, lo)
	}
	return s
}

// TestExpRows wants the exponentials of Exp, the sums of ExpGroups in one column,
// and the same sums where the exponentials are not kept.
func TestExpRows(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 2))
	for _, n := range append([]int{100, 127, 128, 256, 1030}, sequence(1, 70)...) {
		for kind := range 5 {
			const rows = 5
			x := rowsOf(r, rows, n, kind%4)
			if kind == 4 { // exponentials of all sizes
				for i := range x {
					x[i] *= float32(20 * r.IntN(8))
				}
			}
			m := []float32{0, 1.5, 3, float32(math.Inf(1)), 0.1}
			for _, l := range vectorLevels() {
				want, wide := make([]float32, rows*n), make([]float64, rows)
				for i := range rows {
					row := want[i*n:][:n]
					SubVS(row, x[i*n:], m[i])
					for k := range row { // alone, so that no other decides how
						Exp(l, row[k:k+1], row[k:k+1])
					}
					wide[i] = groupsSum(l, row)
				}
				got, s, alone := make([]float32, rows*n+16), make([]float64, rows), make([]float64, rows)
				ExpRows(l, got[:rows*n], x, n, m, s)
				ExpRows(l, nil, x, n, m, alone)
				for i, v := range want {
					if !sameBits(got[i], v) {
						t.Fatalf("%v, rows of %d, kind %d: element %d of %v is %v, want %v", l, n, kind, i, x[i], got[i], v)
					}
				}
				for i, v := range wide {
					if !sameBits(s[i], v) || !sameBits(alone[i], v) {
						t.Fatalf("%v, rows of %d, kind %d: sum %d is %v, %v alone, want %v", l, n, kind, i, s[i], alone[i], v)
					}
				}
				if slices.Max(got[rows*n:]) != 0 {
					t.Fatalf("%v, rows of %d: the elements behind are changed", l, n)
				}
			}
		}
	}
}

// groupsSum is the sum of a row of exponentials at a level of vectors.
func groupsSum(l Level, e []float32) float64 {
	var lanes Lanes
	lanes.Clear(Exp1)
	for i := 0; i < len(e); i += 4 * l.Lanes() {
		for k := range l.Lanes() {
			var sum float32
			for at := i + k; at < min(i+4*l.Lanes(), len(e)); at += l.Lanes() {
				sum += e[at]
			}
			lanes[k&7] += float64(sum)
		}
	}
	return lanes.Sum(Exp1)
}

// TestExpGroups wants of columns the sums of rows.
func TestExpGroups(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 6))
	for _, l := range vectorLevels() {
		for _, w := range []int{1, 5, 16, Width} {
			for _, rows := range []int{1, 7, 8, 9, 31, 32, 33, 64, 65, 100, 200} {
				stride := w + r.IntN(3)
				e := make([]float32, rows*stride)
				for i := range e {
					e[i] = r.Float32()
				}
				var c Columns
				c.Clear(Exp1, rows, w)
				ExpGroups(l, &c, e, rows, stride, w)
				c.Sum(Exp1, rows, w)
				for j := range w {
					column := make([]float32, rows)
					for i := range column {
						column[i] = e[i*stride+j]
					}
					if want := groupsSum(l, column); c[0][j] != want {
						t.Fatalf("%v, column %d of %d rows: %v, want %v", l, j, rows, c[0][j], want)
					}
				}
			}
		}
	}
}

// TestLongExpRow wants of a long row the sum of its pieces, in any parts.
func TestLongExpRow(t *testing.T) {
	n := longRow + 1000
	x, y := make([]float32, n), make([]float32, n)
	for i := range x {
		x[i] = -float32(i%1000) / 100
	}
	for _, l := range Levels() {
		want, parts := 0.0, 0.0
		for i := 0; i < n; i += expPiece {
			part := x[i:min(i+expPiece, n)]
			piece := make([]float64, 1)
			ExpRows(l, y[:len(part)], part, len(part), []float32{0.5}, piece)
			want += piece[0]
		}
		AddExpRow(l, y[:2*expPiece], x[:2*expPiece], 0.5, &parts)
		AddExpRow(l, nil, x[2*expPiece:], 0.5, &parts)
		got := make([]float64, 1)
		ExpRows(l, y, x, n, []float32{0.5}, got)
		if got[0] != want || parts != want {
			t.Errorf("%v: the sum is %v, %v in parts, want %v", l, got[0], parts, want)
		}
		exact := 0.0
		for i, v := range x {
			exact += math.Exp(float64(v) - 0.5)
			if e := math.Exp(float64(v) - 0.5); math.Abs(float64(y[i])-e) > 2e-6*e {
				t.Fatalf("%v: e^(%v-0.5) is %v, want %v", l, v, y[i], e)
			}
		}
		if math.Abs(want-exact) > 1e-7*exact {
			t.Errorf("%v: the sum is %v, want %v", l, want, exact)
		}
	}
}

// TestColumnRows wants the bits of AddColumns.
func TestColumnRows(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 3))
	for _, w := range sequence(1, Width+1) {
		for _, rows := range []int{1, 2, 7, 8, 9, 16, 29} {
			for kind := range 4 {
				stride := w + r.IntN(3)
				x := rowsOf(r, rows, stride, kind)
				for _, term := range []Term{Value, Square, Abs1} {
					var want Columns
					want.Clear(term, 8, w)
					for i := range rows {
						AddColumns(term, &want, i, x[i*stride:][:w], nil)
					}
					sums := want
					sums.Sum(term, rows, w)
					for _, l := range Levels() {
						var got Columns
						SumColumns(l, term, &got, x, rows, stride, w)
						for j := range w {
							if !sameBits(got[0][j], sums[0][j]) {
								t.Fatalf("%v, %d rows of %d columns, term %v: the sum of column %d is %v, want %v", l, rows, w, term, j, got[0][j], sums[0][j])
							}
						}
						got.Clear(term, 8, w)
						first := rows &^ 7 / 2 &^ 7
						AddColumnRows(l, term, &got, x, first, stride, w)
						AddColumnRows(l, term, &got, x[first*stride:], rows-first, stride, w)
						for i := range want {
							for j := range want[i] {
								if !sameBits(got[i][j], want[i][j]) {
									t.Fatalf("%v, %d rows of %d columns, term %v: lane %d of column %d is %v, want %v", l, rows, w, term, i, j, got[i][j], want[i][j])
								}
							}
						}
					}
				}
			}
		}
	}
}

// TestExpColumns wants the exponentials of Exp, and nothing beside the columns
// changed.
func TestExpColumns(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 5))
	for _, w := range sequence(1, Width+1) {
		for kind := range 4 {
			const rows = 5
			strideX, strideY := w+r.IntN(3), w+r.IntN(3)
			x, m := rowsOf(r, rows, strideX, kind), odd(r, w)
			for _, l := range Levels() {
				want, got := make([]float32, rows*strideY), make([]float32, rows*strideY)
				for i := range rows {
					row := want[i*strideY:][:w]
					Sub(row, x[i*strideX:], m)
					Exp(l, row, row)
				}
				ExpColumnRows(l, got, x, rows, strideY, strideX, m)
				for i, v := range want {
					if !sameBits(got[i], v) {
						t.Fatalf("%v, %d columns, kind %d: element %d is %v, want %v", l, w, kind, i, got[i], v)
					}
				}
			}
		}
	}
}

// TestMomentsRows holds mean and variance against sums of float64 one after the
// other.
func TestMomentsRows(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 4))
	for _, n := range []int{1, 7, 64, 768, 4099} {
		for _, away := range []float64{0, 1, 1000, -1e6} {
			x := make([]float32, n)
			s := 0.0
			for i := range x {
				x[i] = float32(r.NormFloat64() + away)
				s += float64(x[i])
			}
			s /= float64(n)
			v := 0.0
			for _, e := range x {
				v += (float64(e) - s) * (float64(e) - s)
			}
			v /= float64(n)
			for _, l := range Levels() {
				mean, variance := make([]float64, 1), make([]float64, 1)
				MomentsRows(l, mean, variance, x, n)
				if math.Abs(mean[0]-s) > 1e-13*(1+math.Abs(s)) || math.Abs(variance[0]-v) > 1e-12*(v+1e-3) {
					t.Errorf("%v, %d elements about %v: mean %v and variance %v, want %v and %v", l, n, away, mean[0], variance[0], s, v)
				}
			}
		}
	}
}

func BenchmarkManyRows(b *testing.B) {
	for _, n := range []int{32, 256, 4096} {
		rows := min(RowsMost, 4096/n)
		x, y := make([]float32, rows*n), make([]float32, rows*n)
		for i := range x {
			x[i] = float32(i%2400)/100 - 12
		}
		m, scale := make([]float32, rows), make([]float32, n)
		wide, log := make([]float64, rows), make([]float32, rows)
		for name, f := range map[string]func(l Level){
			"sum":      func(l Level) { SumRows(l, Value, wide, x, n, nil) },
			"squares":  func(l Level) { SumRows(l, Square, wide, x, n, nil) },
			"greatest": func(l Level) { ExtremeRows(l, m, x, n, true) },
			"exp":      func(l Level) { ExpRows(l, y, x, n, m, wide) },
			"scale":    func(l Level) { ScaleRows(l, y, x, n, m) },
			"norm":     func(l Level) { NormRows(l, y, x, n, m, m, scale, scale) },
			"log":      func(l Level) { LogSoftmaxRows(l, y, x, n, m, log) },
		} {
			for _, l := range Levels() {
				b.Run(fmt.Sprintf("%s/%d/%v", name, n, l), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						f(l)
					}
					b.ReportMetric(float64(b.N)*float64(len(x)*4)/float64(b.Elapsed().Nanoseconds()), "GB/s")
				})
			}
		}
	}
}

func BenchmarkSumColumns(b *testing.B) {
	for _, shape := range [][2]int{{64, 64}, {64, 256}, {128, 512}, {50, 256}, {1000, 128}} {
		rows, stride := shape[0], shape[1]
		x := make([]float32, rows*stride)
		for i := range x {
			x[i] = float32(i%2400)/100 - 12
		}
		for _, l := range Levels() {
			b.Run(fmt.Sprintf("%dx%d/%v", rows, stride, l), func(b *testing.B) {
				var c Columns
				b.ReportAllocs()
				for b.Loop() {
					for at := 0; at < stride; at += Width {
						SumColumns(l, Value, &c, x[at:], rows, stride, Width)
					}
				}
				b.ReportMetric(float64(b.N)*float64(len(x)*4)/float64(b.Elapsed().Nanoseconds()), "GB/s")
			})
		}
	}
}
