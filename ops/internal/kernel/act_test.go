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
