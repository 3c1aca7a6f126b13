package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// maps32 are the functions of map.go; limit is the greatest error, in relation
// to the result or to 1 where scale says so.
var maps32 = []struct {
	name  string
	f     func(l Level, dst, src []float32)
	limit float64
	scale func(x, want float64) float64
}{
	{"sqrt", SqrtVector, 0, nil}, {"reciprocal", ReciprocalVector, 0, nil}, {"cube", CubeVector, 0, nil}, {"abs", AbsVector, 0, nil}, {"neg", NegVector, 0, nil}, {"sign", SignVector, 0, nil},
	{"round", RoundVector, 0, nil}, {"floor", FloorVector, 0, nil}, {"ceil", CeilVector, 0, nil},
	{"softsign", SoftsignVector, 0, nil}, {"hardSwish", HardSwishVector, 0, nil}, {"relu", ReluVector, 0, nil},
	{"leakyRelu", func(l Level, dst, src []float32) { LeakyReluVector(l, dst, src, 0.3) }, 0, nil},
	{"hardSigmoid", func(l Level, dst, src []float32) { HardSigmoidVector(l, dst, src, 0.2, 0.5) }, 0, nil},
	{"hardSigmoid of zero", func(l Level, dst, src []float32) { HardSigmoidVector(l, dst, src, 1, float32(math.Copysign(0, -1))) }, 0, nil},
	{"clip", func(l Level, dst, src []float32) { ClipVector(l, dst, src, -0.5, 6) }, 0, nil},
	{"clip at zero", func(l Level, dst, src []float32) { ClipVector(l, dst, src, 0, 6) }, 0, nil},
	{"clip at -0", func(l Level, dst, src []float32) { ClipVector(l, dst, src, -3, float32(math.Copysign(0, -1))) }, 0, nil},
	{"clip from -0", func(l Level, dst, src []float32) { ClipVector(l, dst, src, float32(math.Copysign(0, -1)), 6) }, 0, nil},
	{"clip to 0", func(l Level, dst, src []float32) { ClipVector(l, dst, src, -3, 0) }, 0, nil},
	{"clip crossed", func(l Level, dst, src []float32) { ClipVector(l, dst, src, 3, -3) }, 0, nil},
	{"log", LogVector, 1.5e-7, nil}, {"softplus", SoftplusVector, 4e-7, nil}, {"erf", ErfVector, 2e-7, nil},
	{"gelu", GeluVector, 2e-7, func(x, _ float64) float64 { return math.Abs(x) }},
	{"geluTanh", GeluTanhVector, 4e-7, func(x, _ float64) float64 { return math.Abs(x) }},
	{"celu", func(l Level, dst, src []float32) { CeluVector(l, dst, src, 1.5) }, 6e-7, nil},
	{"elu", func(l Level, dst, src []float32) { EluVector(l, dst, src, 1.5, 1) }, 4e-7, nil},
	{"selu", func(l Level, dst, src []float32) { EluVector(l, dst, src, 1.67326, 1.0507) }, 4e-7, nil},
}

// numbersOfAllSizes gives float32 of every exponent and the special ones.
func numbersOfAllSizes() []float32 {
	var x []float32
	for b := uint64(0); b < 1<<32; b += 40_009 {
		x = append(x, math.Float32frombits(uint32(b)))
	}
	for v := float32(-110); v < 110; v += 0.0137 {
		x = append(x, v)
	}
	for _, v := range []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), 0.5, 1.5, 2.5, -0.5, -1.5, 1, -1, 1 << 23, 1<<24 + 2, 0x1p-126, 0x1p-149} {
		x = append(x, float32(v))
	}
	return x
}

// TestMaps holds the functions of vectors against the loops of Go, and each
// element against itself alone.
func TestMaps(t *testing.T) {
	x := numbersOfAllSizes()
	want := make([]float32, len(x))
	for _, f := range maps32 {
		f.f(Go, want, x)
		for _, l := range vectorLevels() {
			got := make([]float32, len(x))
			f.f(l, got, x)
			worst := 0.0
			for i, w := range want {
				if same(got[i], w) || f.limit > 0 && got[i] == w {
					continue
				}
				scale := math.Abs(float64(w))
				if f.scale != nil {
					scale = f.scale(float64(x[i]), float64(w))
				}
				d := math.Abs(float64(got[i]) - float64(w))
				if d <= 0x1p-148 && f.limit > 0 {
					continue
				}
				if worst = max(worst, d/scale); !(d <= f.limit*scale) {
					t.Fatalf("%s %v: of %v it is %v, want %v", f.name, l, x[i], got[i], w)
				}
			}
			t.Logf("%s %v: error %.2g", f.name, l, worst)
			for n := range 70 {
				at, part := 7*n, make([]float32, n)
				f.f(l, part, x[at:at+n])
				for i := range part {
					if !same(part[i], got[at+i]) {
						t.Fatalf("%s %v: element %d of %d is %v, %v among more", f.name, l, i, n, part[i], got[at+i])
					}
				}
			}
		}
	}
}

// TestLanesOfVectors wants the bits of the loops of Go from sums in lanes, and
// of the greatest and least element.
func TestLanesOfVectors(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 1))
	for n := range 200 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		if n%5 == 4 {
			x = odd(r, n)
		}
		if n%7 == 6 {
			x[r.IntN(n)] = float32(math.Inf(-1 + 2*r.IntN(2)))
		}
		for _, l := range vectorLevels() {
			for _, f := range []func(l Level, s *Lanes){
				func(l Level, s *Lanes) { AddValuesRow(l, s, x) },
				func(l Level, s *Lanes) { AddSquaresRow(l, s, x, 0.37) },
				func(l Level, s *Lanes) { s[0] = float64(MaxRow(l, float32(math.Inf(-1)), x)) },
				func(l Level, s *Lanes) { s[0] = float64(MinRow(l, float32(math.Inf(1)), x)) },
			} {
				var got, want Lanes
				f(l, &got)
				f(Go, &want)
				for i := range want {
					if math.Float64bits(got[i]) != math.Float64bits(want[i]) && !(got[i] != got[i] && want[i] != want[i]) {
						t.Fatalf("%v: lane %d of %d elements is %v, want %v", l, i, n, got[i], want[i])
					}
				}
			}
		}
	}
}

func BenchmarkMaps(b *testing.B) {
	for _, f := range maps32 {
		for _, l := range Levels() {
			b.Run(fmt.Sprintf("%s/%v", f.name, l), func(b *testing.B) {
				x, y := make([]float32, 4096), make([]float32, 4096)
				for i := range x {
					x[i] = float32(i%2400)/100 - 12
				}
				b.ReportAllocs()
				for b.Loop() {
					f.f(l, y, x)
				}
				b.ReportMetric(float64(b.N)*4096*8/float64(b.Elapsed().Nanoseconds()), "GB/s")
			})
		}
	}
}
