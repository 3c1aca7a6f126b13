package kernel

import (
	"math"
	"testing"
)

// TestAccuracy holds the float32 functions against float64 ones over bit
// patterns spread over all of float32.
func TestAccuracy(t *testing.T) {
	cases := []struct {
		name string
		got  func(float32) float32
		want func(float64) float64
	}{
		{"Exp32", Exp32, math.Exp},
		{"Expm1f32", Expm1f32, math.Expm1},
		{"Sigmoid32", Sigmoid32, Sigmoid64},
		{"Tanh32", Tanh32, math.Tanh},
		{"Log32", Log32, math.Log},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			worst, at := 0.0, float32(0)
			check := func(x float32) {
				got, want := c.got(x), c.want(float64(x))
				w32 := float32(want)
				if got != got && w32 != w32 || got == w32 {
					if math.Signbit(float64(got)) != math.Signbit(float64(w32)) && got == got {
						t.Errorf("%g: got %g, want %g", x, got, w32)
					}
					return
				}
				ulp := float64(math.Nextafter32(float32(math.Abs(want)), float32(math.Inf(1)))) - float64(float32(math.Abs(want)))
				if e := math.Abs(float64(got)-want) / ulp; !(e <= worst) {
					worst, at = e, x
				}
			}
			for b := uint64(0); b < 1<<32; b += 9973 {
				check(math.Float32frombits(uint32(b)))
			}
			for x := float32(-110); x < 110; x += 0.00713 {
				check(x)
			}
			check(float32(math.Inf(1)))
			check(float32(math.Inf(-1)))
			if !(worst <= 0.52) {
				t.Errorf("%g units in the last place at %g", worst, at)
			}
		})
	}
}

func TestLogOf(t *testing.T) {
	x := []float64{0, -1, 1, 1 + 0x1p-52, 1 + 1e-9, 2, 3.7, 1000, 1e300, math.MaxFloat64, 0x1p-1060, 0.3, math.Inf(1), math.NaN()}
	y := make([]float64, len(x))
	LogOf(y, x)
	for i, v := range x {
		if want := math.Log(v); !sameBits(y[i], want) && !(math.Abs(y[i]-want) <= 1e-11*math.Abs(want)) {
			t.Errorf("log of %v is %v, want %v", v, y[i], want)
		}
	}
}

// TestPow32 holds powers of float32 against math.Pow, with one exponent, with one
// base and with both, at every level.
func TestPow32(t *testing.T) {
	x := numbersOfAllSizes()
	inf := float32(math.Inf(1))
	for _, y := range []float32{0, 1, -1, 2, -2, 3, -3, 4, 7, 16, 17, -17, 0.5, -0.5, 0.25, 1.7, -3.3, 1e-3, 100.5, 1e20, 0x1p-149, inf, -inf, float32(math.NaN())} {
		each, base, one := make([]float32, len(x)), make([]float32, len(x)), make([]float32, len(x))
		exponents := make([]float32, len(x))
		for i := range exponents {
			exponents[i] = y
		}
		Pow32(each, x, exponents)
		Pow32SV(base, y, x)
		for i, v := range x {
			want := math.Pow(float64(v), float64(y))
			if got := float64(each[i]); got != want && !(math.Abs(got-want) <= 6.1e-8*math.Abs(want)+0x1.01p-150) && !same(each[i], float32(want)) {
				t.Fatalf("%v to the power of %v is %v, want %v", v, y, got, want)
			}
			want = math.Pow(float64(y), float64(v))
			if got := float64(base[i]); got != want && !(math.Abs(got-want) <= 6.1e-8*math.Abs(want)+0x1.01p-150) && !same(base[i], float32(want)) {
				t.Fatalf("%v to the power of %v is %v, want %v", y, v, got, want)
			}
		}
		for _, l := range Levels() {
			Pow32VS(l, one, x, float64(y))
			for i, v := range one {
				if !sameBits(v, each[i]) {
					t.Fatalf("%v: %v to the power of %v is %v, want %v", l, x[i], y, v, each[i])
				}
			}
		}
	}
}
