package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestWidenHalf: all float16, at every length and offset, and the plain loop
// against the format's definition.
func TestWidenHalf(t *testing.T) {
	src, plain := make([]uint16, 1<<16), make([]float32, 1<<16)
	for i := range src {
		src[i] = uint16(i)
		plain[i] = wideOf(uint16(i))
		e, f := i>>10&31, float64(i&0x3ff)
		want := math.Ldexp(1024+f, e-25)
		switch {
		case e == 0:
			want = math.Ldexp(f, -24)
		case e == 31 && f == 0:
			want = math.Inf(1)
		case e == 31:
			want = math.NaN()
		}
		if i>>15 == 1 {
			want = -want
		}
		if got := float64(plain[i]); got != want && !(got != got && want != want) || want == 0 && math.Signbit(got) != (i>>15 == 1) {
			t.Fatalf("%#04x is %v, want %v", i, got, want)
		}
	}
	for _, l := range Levels() {
		got := make([]float32, len(src))
		WidenHalf(l, got, src)
		for i := range got {
			if math.Float32bits(got[i]) != math.Float32bits(plain[i]) {
				t.Fatalf("%v: %#04x is %x, want %x", l, i, math.Float32bits(got[i]), math.Float32bits(plain[i]))
			}
		}
		for n := range 70 {
			at := 900*n + n%7
			got := make([]float32, n+1)
			got[n] = -1
			WidenHalf(l, got[:n], src[at:])
			for i, v := range got[:n] {
				if math.Float32bits(v) != math.Float32bits(plain[at+i]) {
					t.Fatalf("%v, %d elements: element %d is %v, want %v", l, n, i, v, plain[at+i])
				}
			}
			if got[n] != -1 {
				t.Fatalf("%v, %d elements: one more is written", l, n)
			}
		}
	}
}

// halfCase is sums, operands and a panel of some weights of float16, special
// ones among them where asked.
func halfCase(rng *rand.Rand, sums, operands, weights int, special bool) (s, a []float32, w []uint16) {
	s, a, w = make([]float32, sums), make([]float32, operands), make([]uint16, weights)
	for i := range s {
		s[i] = float32(rng.NormFloat64())
	}
	for i := range a {
		a[i] = float32(rng.NormFloat64())
	}
	for i := range w {
		w[i] = uint16(rng.IntN(0x4000)) | uint16(rng.IntN(2))<<15
		if special && rng.IntN(50) == 0 {
			w[i] = []uint16{0x7c00, 0xfc00, 0x7e01, 0x7bff, 1, 0x8000}[rng.IntN(6)]
		}
	}
	return s, a, w
}

func sameFloats(got, want []float32) error {
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) && !(got[i] != got[i] && want[i] != want[i]) {
			return fmt.Errorf("sum %d is %v, want %v", i, got[i], want[i])
		}
	}
	return nil
}

// TestMulAddHalf holds it against MulAdd of the same weights as float32, to the
// bit.
func TestMulAddHalf(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 9))
	for _, l := range Levels() {
		for _, width := range []int{5, 8, 16, 32, 48, 64, 80, 96, 128} {
			if l != Go && width%16 != 0 {
				continue
			}
			for _, depth := range []int{1, 2, 3, 4, 5, 7, 63, 64, 65, 130, 300} {
				for rows := 1; rows < 20; rows += 1 + rng.IntN(3) {
					span, pitch := width+rng.IntN(5), depth+rng.IntN(5)
					got, a, w := halfCase(rng, rows*span, rows*pitch, width*depth, rng.IntN(3) == 0)
					want, wide := append([]float32{}, got...), make([]float32, len(w))
					WidenHalf(Go, wide, w)
					MulAdd(l, want, span, a, pitch, rows, depth, wide, width)
					MulAddHalf(l, got, span, a, pitch, rows, depth, w, width)
					if err := sameFloats(got, want); err != nil {
						t.Fatalf("%v, width %d, depth %d, rows %d: %v", l, width, depth, rows, err)
					}
				}
				for panels := range 10 {
					rows := 1 + rng.IntN(fewMost+1)
					gap, pitch := width+16*rng.IntN(2), depth+rng.IntN(5)
					span := panels*gap + rng.IntN(5)
					got, a, w := halfCase(rng, rows*span+gap, rows*pitch, panels*width*depth, rng.IntN(3) == 0)
					want, wide := append([]float32{}, got...), make([]float32, len(w))
					WidenHalf(Go, wide, w)
					MulAddPanels(l, want, gap, span, a, pitch, rows, depth, wide, width, panels)
					MulAddPanelsHalf(l, got, gap, span, a, pitch, rows, depth, w, width, panels)
					if err := sameFloats(got, want); err != nil {
						t.Fatalf("%v, width %d, depth %d, %d rows, %d panels: %v", l, width, depth, rows, panels, err)
					}
				}
			}
		}
	}
}

// TestMulAddHalfDeep: a depth past that of one call of assembly.
func TestMulAddHalfDeep(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 10))
	for _, l := range Levels() {
		const depth, width = depthMost + 5, 16
		got, a, w := halfCase(rng, 2*width, depth, 2*width*depth, false)
		want, wide := append([]float32{}, got...), make([]float32, len(w))
		WidenHalf(Go, wide, w)
		MulAddPanels(l, want, width, 0, a, depth, 1, depth, wide, width, 2)
		MulAddPanelsHalf(l, got, width, 0, a, depth, 1, depth, w, width, 2)
		if err := sameFloats(got, want); err != nil {
			t.Fatalf("%v: %v", l, err)
		}
	}
}

// BenchmarkMulAddPanelsHalf reads the weights of a step of a layer of 1024
// units, which no second cache holds.
func BenchmarkMulAddPanelsHalf(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	const depth, width, panels = 1024, 64, 64
	sums, a, w := halfCase(rng, panels*width, depth, panels*width*depth, false)
	wide := make([]float32, len(w))
	WidenHalf(Go, wide, w)
	for _, l := range Levels() {
		if !l.HasHalf() {
			continue
		}
		for name, run := range map[string]func(){
			"float16": func() { MulAddPanelsHalf(l, sums, width, 0, a, depth, 1, depth, w, width, panels) },
			"float32": func() { MulAddPanels(l, sums, width, 0, a, depth, 1, depth, wide, width, panels) },
		} {
			b.Run(fmt.Sprintf("%v/%s", l, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					run()
				}
				b.ReportMetric(2*depth*width*panels*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GF/s")
			})
		}
	}
}
