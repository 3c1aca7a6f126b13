package onnx

import (
	"math"
	"sort"
	"testing"
)

// format describes a binary floating-point format by what its specification
// says, for a slow decoder and a slow search.
type format struct {
	name          string
	exp, man      int
	bias          int
	inf           bool // the largest exponent means infinity or NaN
	nan           func(code int) bool
	float32       func(code int) float32
	saturating    func(x float32) int
	nonsaturating func(x float32) int // nil: the format only saturates
	values        []float64
}

// value decodes a code: (-1)^s 2^(e-bias) (1 + m/2^man).
func (f *format) value(code int) float64 {
	m := code & (1<<f.man - 1)
	e := code >> f.man & (1<<f.exp - 1)
	sign := 1.0
	if code>>(f.man+f.exp)&1 == 1 {
		sign = -1
	}
	switch {
	case f.nan(code):
		return math.NaN()
	case f.inf && e == 1<<f.exp-1:
		return sign * math.Inf(1)
	case e == 0:
		return sign * math.Pow(2, float64(1-f.bias)) * float64(m) / math.Pow(2, float64(f.man))
	}
	return sign * math.Pow(2, float64(e-f.bias)) * (1 + float64(m)/math.Pow(2, float64(f.man)))
}

// finite gives the finite values from zero upwards; the code of each is its
// index.
func (f *format) finite() []float64 {
	if f.values == nil {
		for c := range 1 << (f.man + f.exp) {
			if v := f.value(c); v-v == 0 {
				f.values = append(f.values, v)
			}
		}
	}
	return f.values
}

// nearest finds the value nearest to |x|, of two the one with the even code;
// beyond stands for the one that would follow the largest.
func (f *format) nearest(x float64) (v float64, beyond bool) {
	values := f.finite()
	last := len(values) - 1
	at := sort.SearchFloat64s(values, math.Abs(x)) // the first that is not below
	if at > last {
		step := values[last] - values[last-1]
		d := math.Abs(x) - values[last]
		return values[last], d > step/2 || d == step/2 && last&1 == 1
	}
	if at == 0 {
		return values[0], false
	}
	below, above := math.Abs(x)-values[at-1], values[at]-math.Abs(x)
	if below < above || below == above && at&1 == 1 {
		at--
	}
	return values[at], false
}

func never(int) bool { return false }

// formats have 16 codes to 65,536.
var formats = []format{
	{"float16", 5, 10, 15, true, func(c int) bool { return c&0x7fff > 0x7c00 },
		func(c int) float32 { return F16(c).Float32() }, nil, func(x float32) int { return int(ToF16(x)) }, nil},
	{"bfloat16", 8, 7, 127, true, func(c int) bool { return c&0x7fff > 0x7f80 },
		func(c int) float32 { return BF16(c).Float32() }, nil, func(x float32) int { return int(ToBF16(x)) }, nil},
	{"float8e4m3fn", 4, 3, 7, false, func(c int) bool { return c&0x7f == 0x7f },
		func(c int) float32 { return F8E4M3(c).Float32() }, func(x float32) int { return int(ToF8E4M3(x, true)) }, func(x float32) int { return int(ToF8E4M3(x, false)) }, nil},
	{"float8e4m3fnuz", 4, 3, 8, false, func(c int) bool { return c == 0x80 },
		func(c int) float32 { return F8E4M3UZ(c).Float32() }, func(x float32) int { return int(ToF8E4M3UZ(x, true)) }, func(x float32) int { return int(ToF8E4M3UZ(x, false)) }, nil},
	{"float8e5m2", 5, 2, 15, true, func(c int) bool { return c&0x7f > 0x7c },
		func(c int) float32 { return F8E5M2(c).Float32() }, func(x float32) int { return int(ToF8E5M2(x, true)) }, func(x float32) int { return int(ToF8E5M2(x, false)) }, nil},
	{"float8e5m2fnuz", 5, 2, 16, false, func(c int) bool { return c == 0x80 },
		func(c int) float32 { return F8E5M2UZ(c).Float32() }, func(x float32) int { return int(ToF8E5M2UZ(x, true)) }, func(x float32) int { return int(ToF8E5M2UZ(x, false)) }, nil},
	{"float4e2m1", 2, 1, 1, false, never,
		func(c int) float32 { return F4E2M1(c).Float32() }, func(x float32) int { return int(ToF4E2M1(x)) }, nil, nil},
}

// TestFloatDecode compares all codes with the formula.
func TestFloatDecode(t *testing.T) {
	for i := range formats {
		f := &formats[i]
		for c := range 2 << (f.exp + f.man) {
			got, want := float64(f.float32(c)), f.value(c)
			if got != want && !(math.IsNaN(got) && math.IsNaN(want)) || math.Signbit(got) != math.Signbit(want) && want == want {
				t.Fatalf("%s: code %#x is %v, want %v", f.name, c, got, want)
			}
		}
	}
	for c := range 255 {
		if got, want := float64(F8E8M0(c).Float32()), math.Pow(2, float64(c-127)); got != want {
			t.Errorf("float8e8m0: code %#x is %v, want %v", c, got, want)
		}
	}
	if got := F8E8M0(255).Float32(); got == got {
		t.Errorf("float8e8m0: code 0xff is %v, want NaN", got)
	}
}

// TestFloatEncode takes every code's value, the middle between neighbours and
// the float32 next to it, and values about and beyond the largest.
func TestFloatEncode(t *testing.T) {
	for i := range formats {
		f := &formats[i]
		values := f.finite()
		largest := values[len(values)-1]
		for c, v := range values {
			if got := f.code(float32(v), true); got != c {
				t.Errorf("%s: %v encodes as %#x, want %#x", f.name, v, got, c)
			}
			next := 2*v - values[max(c-1, 0)] // of the largest: what would follow
			if c+1 < len(values) {
				next = values[c+1]
			}
			middle := float32((v + next) / 2)
			for _, x := range []float32{float32(v), middle, math.Nextafter32(middle, float32(math.Inf(1))), math.Nextafter32(middle, 0)} {
				f.compare(t, x)
				f.compare(t, -x)
			}
		}
		for _, factor := range []float64{1.001, 1.01, 1.03, 1.05, 1.07, 1.1, 1.2, 1.3, 2, 4, 1e10} {
			f.compare(t, float32(largest*factor))
			f.compare(t, float32(-largest*factor))
		}
		for _, x := range []float32{math.MaxFloat32, float32(math.Inf(1)), math.SmallestNonzeroFloat32, float32(math.NaN())} {
			f.compare(t, x)
			f.compare(t, -x)
		}
	}
}

// code encodes, saturating or not where the format has a choice.
func (f *format) code(x float32, saturate bool) int {
	if saturate && f.saturating != nil {
		return f.saturating(x)
	}
	if f.nonsaturating == nil {
		return f.saturating(x)
	}
	return f.nonsaturating(x)
}

// compare holds the encoder against the search.
func (f *format) compare(t *testing.T, x float32) {
	t.Helper()
	near, beyond := f.nearest(float64(x))
	for _, saturate := range []bool{true, false} {
		saturates := saturate && f.saturating != nil || f.nonsaturating == nil
		got := f.value(f.code(x, saturate))
		want := math.Copysign(near, float64(x))
		switch {
		case x != x && f.name == "float4e2m1":
			want = 6 // the format has no NaN
		case x != x:
			want = math.NaN()
		case beyond && !saturates && f.inf:
			want = math.Copysign(math.Inf(1), float64(x))
		case beyond && !saturates:
			want = math.NaN()
		}
		same := got == want || math.IsNaN(got) && math.IsNaN(want)
		if signedZero := !f.nan(1 << (f.exp + f.man)); same && want == 0 && signedZero {
			same = math.Signbit(got) == math.Signbit(want)
		}
		if !same {
			t.Errorf("%s: %v (saturate %v) encodes as %v, want %v", f.name, x, saturate, got, want)
		}
	}
}

// TestNaNKept has payloads of NaNs, as far as they fit.
func TestNaNKept(t *testing.T) {
	for c := range 1 << 16 {
		if f := F16(c); f.Float32() != f.Float32() {
			if back := ToF16(f.Float32()); back != f|0x200 {
				t.Fatalf("float16 %#x comes back as %#x", f, back)
			}
		}
		if f := BF16(c); f.Float32() != f.Float32() {
			if back := ToBF16(f.Float32()); back != f|0x40 {
				t.Fatalf("bfloat16 %#x comes back as %#x", f, back)
			}
		}
	}
}
