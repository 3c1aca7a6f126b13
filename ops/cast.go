package ops

import (
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(
		Op{Name: "Cast", Since: []int{1, 6, 9, 13, 19, 21, 23, 24, 25, 28}, Infer: inferCast, Build: buildCast},
		Op{Name: "CastLike", Since: []int{15, 19, 21, 23, 24, 25}, Infer: inferCast, Build: buildCast},
		Op{Name: "BitCast", Since: []int{26}, Infer: inferBitCast, Build: buildBitCast},
	)
}

// converter converts the elements lo..hi-1 of a tensor to those of another,
// which has the same number of them. An error matches onnx.ErrMalformed: a
// string is no number.
type converter func(dst, src *onnx.Tensor, lo, hi int) error

// rounding says how a conversion to 8-bit floating point rounds, and with which
// vectors others are done.
type rounding struct {
	saturate bool
	mode     string // to float8e8m0: "up", "down", "nearest"
	level    Level
}

// newConverter gives the conversion of one element type to another, both of
// them types that Cast allows; nil when either is not. What becomes floating
// point is rounded once.
func newConverter(from, to onnx.DataType, r rounding) converter {
	if f := vectorConverter(from, to, r.level); f != nil {
		return f
	}
	switch from {
	case onnx.Float:
		return fromFloat[float32](to, r, func(x float32) float32 { return x })
	case onnx.Double:
		return fromFloat[float64](to, r, kernel.Odd32)
	case onnx.Int8, onnx.Int4, onnx.Int2:
		return fromInteger[int8](to, r)
	case onnx.Int16:
		return fromInteger[int16](to, r)
	case onnx.Int32:
		return fromInteger[int32](to, r)
	case onnx.Int64:
		return fromInteger[int64](to, r)
	case onnx.Uint8, onnx.Uint4, onnx.Uint2, onnx.Bool: // a bool is 0 or 1 in memory
		return fromInteger[uint8](to, r)
	case onnx.Uint16:
		return fromInteger[uint16](to, r)
	case onnx.Uint32:
		return fromInteger[uint32](to, r)
	case onnx.Uint64:
		return fromInteger[uint64](to, r)
	case onnx.Float16:
		return fromNarrow[onnx.F16](to, r)
	case onnx.BFloat16:
		return fromNarrow[onnx.BF16](to, r)
	case onnx.Float8E4M3FN:
		return fromNarrow[onnx.F8E4M3](to, r)
	case onnx.Float8E4M3FNUZ:
		return fromNarrow[onnx.F8E4M3UZ](to, r)
	case onnx.Float8E5M2:
		return fromNarrow[onnx.F8E5M2](to, r)
	case onnx.Float8E5M2FNUZ:
		return fromNarrow[onnx.F8E5M2UZ](to, r)
	case onnx.Float8E8M0:
		return fromNarrow[onnx.F8E8M0](to, r)
	case onnx.Float4E2M1:
		return fromNarrow[onnx.F4E2M1](to, r)
	case onnx.String:
		return fromString(to, r)
	}
	return nil
}

// vectorConverter gives the conversion at a level of vectors, nil where there is
// none. It gives what the loops of plain Go give.
func vectorConverter(from, to onnx.DataType, l Level) converter {
	if l == kernel.Go {
		return nil
	}
	switch [2]onnx.DataType{from, to} {
	case [2]onnx.DataType{onnx.Float, onnx.Int32}:
		return overVectors(l, kernel.FloatsToInts32, kernel.Truncate[float32, int32])
	case [2]onnx.DataType{onnx.Float, onnx.Int64}:
		return overVectors(l, kernel.FloatsToInts64, kernel.Truncate[float32, int64])
	case [2]onnx.DataType{onnx.Float, onnx.Uint8}, [2]onnx.DataType{onnx.Float, onnx.Int8}: // the same bits
		return overVectors(l, kernel.FloatsToBytes, kernel.Truncate[float32, uint8])
	case [2]onnx.DataType{onnx.Float, onnx.Float16}:
		return overVectors(l, kernel.FloatsToHalves, kernel.Map(onnx.ToF16))
	case [2]onnx.DataType{onnx.Float, onnx.Double}:
		return overVectors(l, kernel.FloatsToDoubles, kernel.Convert[float32, float64])
	case [2]onnx.DataType{onnx.Double, onnx.Float}:
		return overVectors(l, kernel.DoublesToFloats, kernel.Convert[float64, float32])
	case [2]onnx.DataType{onnx.Float16, onnx.Float}:
		return overVectors(l, kernel.HalvesToFloats, kernel.Map(onnx.F16.Float32))
	case [2]onnx.DataType{onnx.Int32, onnx.Float}:
		return overVectors(l, kernel.Ints32ToFloats, kernel.Convert[int32, float32])
	case [2]onnx.DataType{onnx.Int32, onnx.Int64}:
		return overVectors(l, kernel.Ints32ToInts64, kernel.Convert[int32, int64])
	case [2]onnx.DataType{onnx.Int64, onnx.Float}:
		return overVectors(l, kernel.Ints64ToFloats, kernel.Convert[int64, float32])
	case [2]onnx.DataType{onnx.Int64, onnx.Int32}:
		return overVectors(l, kernel.Ints64ToInts32, kernel.Convert[int64, int32])
	case [2]onnx.DataType{onnx.Bool, onnx.Float}, [2]onnx.DataType{onnx.Uint8, onnx.Float}:
		return overVectors(l, kernel.BytesToFloats, kernel.Convert[uint8, float32])
	case [2]onnx.DataType{onnx.Bool, onnx.Int64}, [2]onnx.DataType{onnx.Uint8, onnx.Int64}:
		return overVectors(l, kernel.BytesToInts64, kernel.Convert[uint8, int64])
	case [2]onnx.DataType{onnx.Float, onnx.Bool}:
		return over(func(dst []bool, src []float32) { kernel.CompareVectorVS(l, kernel.IsUnequal, dst, src, 0) })
	case [2]onnx.DataType{onnx.Int32, onnx.Bool}:
		return over(func(dst []bool, src []int32) { kernel.CompareVectorVS(l, kernel.IsUnequal, dst, src, 0) })
	case [2]onnx.DataType{onnx.Int64, onnx.Bool}:
		return over(func(dst []bool, src []int64) { kernel.CompareVectorVS(l, kernel.IsUnequal, dst, src, 0) })
	}
	return nil
}

func overVectors[F, T onnx.Element](l Level, c kernel.Conversion, plain func(dst []T, src []F)) converter {
	return over(func(dst []T, src []F) { kernel.ConvertVector(l, c, plain, dst, src) })
}

// over makes a converter of a loop.
func over[F, T onnx.Element](f func(dst []T, src []F)) converter {
	return func(dst, src *onnx.Tensor, lo, hi int) error {
		f(onnx.Elements[T](dst)[lo:hi], onnx.Elements[F](src)[lo:hi])
		return nil
	}
}

// each makes a converter of a function of one element.
func each[F, T onnx.Element](f func(F) T) converter { return over(kernel.Map(f)) }

// lowBits makes elements of 2 or 4 bits of the 8 bits that f leaves.
func lowBits(to onnx.DataType, f converter) converter {
	return func(dst, src *onnx.Tensor, lo, hi int) error {
		if err := f(dst, src, lo, hi); err != nil {
			return err
		}
		kernel.LowBits(onnx.Elements[uint8](dst)[lo:hi], to.Bits(), to == onnx.Int4 || to == onnx.Int2)
		return nil
	}
}

// fromFloat converts float or double. odd gives a float32 that rounds to
// fewer bits as the element does.
func fromFloat[F float](to onnx.DataType, r rounding, odd func(F) float32) converter {
	switch to {
	case onnx.Float:
		return over(kernel.Convert[F, float32])
	case onnx.Double:
		return over(kernel.Convert[F, float64])
	case onnx.Int8:
		return over(kernel.Truncate[F, int8])
	case onnx.Int16:
		return over(kernel.Truncate[F, int16])
	case onnx.Int32:
		return over(kernel.Truncate[F, int32])
	case onnx.Int64:
		return over(kernel.Truncate[F, int64])
	case onnx.Uint8:
		return over(kernel.Truncate[F, uint8])
	case onnx.Uint16:
		return over(kernel.Truncate[F, uint16])
	case onnx.Uint32:
		return over(kernel.Truncate[F, uint32])
	case onnx.Uint64:
		return over(kernel.Truncate[F, uint64])
	case onnx.Int4, onnx.Int2, onnx.Uint4, onnx.Uint2:
		return lowBits(to, over(kernel.Truncate[F, int8]))
	case onnx.Bool:
		return over(kernel.NonZero[F])
	case onnx.String:
		var z F
		bits := 64
		if _, ok := any(z).(float32); ok {
			bits = 32
		}
		return each(func(x F) string { return formatFloat(float64(x), bits) })
	}
	return toNarrow(to, r, odd)
}

func fromInteger[F integer](to onnx.DataType, r rounding) converter {
	switch to {
	case onnx.Float:
		return over(kernel.Convert[F, float32])
	case onnx.Double:
		return over(kernel.Convert[F, float64])
	case onnx.Int8:
		return over(kernel.Convert[F, int8])
	case onnx.Int16:
		return over(kernel.Convert[F, int16])
	case onnx.Int32:
		return over(kernel.Convert[F, int32])
	case onnx.Int64:
		return over(kernel.Convert[F, int64])
	case onnx.Uint8:
		return over(kernel.Convert[F, uint8])
	case onnx.Uint16:
		return over(kernel.Convert[F, uint16])
	case onnx.Uint32:
		return over(kernel.Convert[F, uint32])
	case onnx.Uint64:
		return over(kernel.Convert[F, uint64])
	case onnx.Int4, onnx.Int2, onnx.Uint4, onnx.Uint2:
		return lowBits(to, over(kernel.Convert[F, int8]))
	case onnx.Bool:
		return over(kernel.NonZero[F])
	case onnx.String:
		return each(func(x F) string {
			if x < 0 {
				return strconv.FormatInt(int64(x), 10)
			}
			return strconv.FormatUint(uint64(x), 10)
		})
	}
	return toNarrow(to, r, func(x F) float32 {
		if x < 0 {
			return kernel.OddInt64(int64(x))
		}
		return kernel.OddUint64(uint64(x))
	})
}

// narrowFloat is an element of at most 16 bits.
type narrowFloat interface {
	onnx.Element
	Float32() float32
}

func fromNarrow[F narrowFloat](to onnx.DataType, r rounding) converter {
	switch to {
	case onnx.Float:
		return each(func(x F) float32 { return x.Float32() })
	case onnx.Double:
		return each(func(x F) float64 { return float64(x.Float32()) })
	case onnx.Int8:
		return each(truncate[F, int8])
	case onnx.Int16:
		return each(truncate[F, int16])
	case onnx.Int32:
		return each(truncate[F, int32])
	case onnx.Int64:
		return each(truncate[F, int64])
	case onnx.Uint8:
		return each(truncate[F, uint8])
	case onnx.Uint16:
		return each(truncate[F, uint16])
	case onnx.Uint32:
		return each(truncate[F, uint32])
	case onnx.Uint64:
		return each(truncate[F, uint64])
	case onnx.Int4, onnx.Int2, onnx.Uint4, onnx.Uint2:
		return lowBits(to, each(truncate[F, int8]))
	case onnx.Bool:
		return each(func(x F) bool { return x.Float32() != 0 })
	case onnx.String:
		return each(func(x F) string { return formatFloat(float64(x.Float32()), 32) })
	}
	return toNarrow(to, r, func(x F) float32 { return x.Float32() })
}

func truncate[F narrowFloat, T integer](x F) T {
	return kernel.ToInteger[T](float64(x.Float32()))
}

// toNarrow rounds what odd gives.
func toNarrow[F onnx.Element](to onnx.DataType, r rounding, odd func(F) float32) converter {
	switch to {
	case onnx.Float16:
		return each(func(x F) onnx.F16 { return onnx.ToF16(odd(x)) })
	case onnx.BFloat16:
		return each(func(x F) onnx.BF16 { return onnx.ToBF16(odd(x)) })
	case onnx.Float8E4M3FN:
		return each(func(x F) onnx.F8E4M3 { return onnx.ToF8E4M3(odd(x), r.saturate) })
	case onnx.Float8E4M3FNUZ:
		return each(func(x F) onnx.F8E4M3UZ { return onnx.ToF8E4M3UZ(odd(x), r.saturate) })
	case onnx.Float8E5M2:
		return each(func(x F) onnx.F8E5M2 { return onnx.ToF8E5M2(odd(x), r.saturate) })
	case onnx.Float8E5M2FNUZ:
		return each(func(x F) onnx.F8E5M2UZ { return onnx.ToF8E5M2UZ(odd(x), r.saturate) })
	case onnx.Float8E8M0:
		return each(func(x F) onnx.F8E8M0 { return r.toE8M0(odd(x)) })
	case onnx.Float4E2M1:
		return each(func(x F) onnx.F4E2M1 { return toF4(odd(x)) })
	}
	return nil
}

// toF4 rounds to float4e2m1. NaN, which the type lacks and of which the
// specification says nothing, becomes -0 as in ONNX's own test data.
func toF4(x float32) onnx.F4E2M1 {
	if x != x {
		return 8
	}
	return onnx.ToF4E2M1(x)
}

// toE8M0 rounds to a power of two of 2^-127..2^127. Of a negative number it
// takes the magnitude. What lies outside, zero and infinity included, becomes
// the nearest of them or, without saturate, NaN.
func (r rounding) toE8M0(x float32) onnx.F8E8M0 {
	const nan, top = 0xff, 254
	e := 0
	switch a := math.Abs(float64(x)); {
	case a != a:
		return nan
	case a > math.MaxFloat32:
		e = top + 1
	case a == 0:
		e = -1
	default:
		fraction, exp := math.Frexp(a) // a = 2*fraction * 2^(exp-1)
		e = exp - 1 + 127
		if r.mode == "up" && fraction > 0.5 || r.mode == "nearest" && fraction >= 0.75 {
			e++
		}
	}
	if (e < 0 || e > top) && !r.saturate {
		return nan
	}
	return onnx.F8E8M0(min(max(e, 0), top))
}

// formatFloat writes the shortest decimal that reads back as x in so many
// bits, and NaN, INF and -INF.
func formatFloat(x float64, bits int) string {
	a := math.Abs(x)
	switch {
	case x != x:
		return "NaN"
	case a > math.MaxFloat64 && x > 0:
		return "INF"
	case a > math.MaxFloat64:
		return "-INF"
	case a != 0 && (a < 1e-5 || a >= 1e16):
		return strconv.FormatFloat(x, 'e', -1, bits)
	}
	return strconv.FormatFloat(x, 'f', -1, bits)
}

func fromString(to onnx.DataType, r rounding) converter {
	switch to {
	case onnx.String:
		return over(func(dst, src []string) { copy(dst, src) })
	case onnx.Float:
		return parsed(func(s string) (float32, error) {
			x, err := parseFloat(s, 32)
			return float32(x), err
		})
	case onnx.Double:
		return parsed(func(s string) (float64, error) { return parseFloat(s, 64) })
	case onnx.Int8:
		return parsed(parseInteger[int8])
	case onnx.Int16:
		return parsed(parseInteger[int16])
	case onnx.Int32:
		return parsed(parseInteger[int32])
	case onnx.Int64:
		return parsed(parseInteger[int64])
	case onnx.Uint8:
		return parsed(parseInteger[uint8])
	case onnx.Uint16:
		return parsed(parseInteger[uint16])
	case onnx.Uint32:
		return parsed(parseInteger[uint32])
	case onnx.Uint64:
		return parsed(parseInteger[uint64])
	case onnx.Int4, onnx.Int2, onnx.Uint4, onnx.Uint2:
		return lowBits(to, parsed(parseInteger[int8]))
	case onnx.Bool:
		return parsed(parseBool)
	}
	return narrowFromString(to, r)
}

// narrowFromString reads each string as float64 and rounds that.
func narrowFromString(to onnx.DataType, r rounding) converter {
	switch to {
	case onnx.Float16:
		return parsed(rounded(onnx.ToF16))
	case onnx.BFloat16:
		return parsed(rounded(onnx.ToBF16))
	case onnx.Float8E4M3FN:
		return parsed(rounded(func(x float32) onnx.F8E4M3 { return onnx.ToF8E4M3(x, r.saturate) }))
	case onnx.Float8E4M3FNUZ:
		return parsed(rounded(func(x float32) onnx.F8E4M3UZ { return onnx.ToF8E4M3UZ(x, r.saturate) }))
	case onnx.Float8E5M2:
		return parsed(rounded(func(x float32) onnx.F8E5M2 { return onnx.ToF8E5M2(x, r.saturate) }))
	case onnx.Float8E5M2FNUZ:
		return parsed(rounded(func(x float32) onnx.F8E5M2UZ { return onnx.ToF8E5M2UZ(x, r.saturate) }))
	case onnx.Float8E8M0:
		return parsed(rounded(r.toE8M0))
	case onnx.Float4E2M1:
		return parsed(rounded(toF4))
	}
	return nil
}

func rounded[T onnx.Element](round func(float32) T) func(string) (T, error) {
	return func(s string) (T, error) {
		x, err := parseFloat(s, 64)
		return round(kernel.Odd32(x)), err
	}
}

// parsed makes a converter of a function that reads one string.
func parsed[T onnx.Element](parse func(string) (T, error)) converter {
	return func(dst, src *onnx.Tensor, lo, hi int) error {
		d := onnx.Elements[T](dst)
		for i, s := range src.Strings()[lo:hi] {
			v, err := parse(strings.TrimSpace(s))
			if err != nil {
				return onnx.Errorf(onnx.ErrMalformed, "element %d, %q, is no number", lo+i, s)
			}
			d[lo+i] = v
		}
		return nil
	}
}

// parseFloat reads a decimal number, INF or NaN in any case; what is too large
// is infinite.
func parseFloat(s string, bits int) (float64, error) {
	x, err := strconv.ParseFloat(s, bits)
	if err != nil && math.IsInf(x, 0) {
		err = nil
	}
	return x, err
}

// parseInteger reads an integer and keeps its lower bits, or truncates another
// number.
func parseInteger[T integer](s string) (T, error) {
	if v, err := strconv.ParseInt(s, 10, 64); err == nil {
		return T(v), nil
	}
	if v, err := strconv.ParseUint(s, 10, 64); err == nil {
		return T(v), nil
	}
	x, err := parseFloat(s, 64)
	return kernel.ToInteger[T](x), err
}

// parseBool reads a number, which is true unless it is zero, or "true" or
// "false" in any case.
func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	x, err := parseFloat(s, 64)
	return x != 0, err
}

// castTarget gives the element type that a node casts to, Undefined where it
// is not known.
func castTarget(n *Node) (onnx.DataType, error) {
	if n.Proto.OpType == "CastLike" {
		return n.Elem(1), nil
	}
	var to onnx.DataType
	if n.Proto.OpType == "Cast" && n.Since < 6 {
		name := n.Str("to", "")
		var err error
		if to, err = onnx.ParseDataType(name); err != nil {
			return to, onnx.Errorf(onnx.ErrType, "to is %q, which is no element type", name)
		}
	} else if v := n.Int("to", 0); int64(onnx.DataType(v)) == v {
		to = onnx.DataType(v)
	}
	if n.Err() != nil {
		return to, n.Err()
	}
	if s := n.schema; !to.Valid() || s != nil && !s.Outputs[0].Types.Allows(onnx.TensorType(to, nil)) {
		return to, onnx.Errorf(onnx.ErrType, "to is %v, which this version does not allow", to)
	}
	return to, nil
}

func inferCast(n *Node) error {
	to, err := castTarget(n)
	if err != nil {
		return err
	}
	from := n.Elem(0)
	n.SetTensor(0, to, n.Shape(0))
	n.SetContent(0, mapContent(contentAt(n, 0), func(s Sym) Sym { return symCast(s, from, to) }))
	return nil
}

// cast is the kernel of Cast and CastLike.
type cast struct {
	to    onnx.DataType // Undefined: that of input 1
	round rounding
}

func buildCast(n *Node) (Kernel, error) {
	to, err := castTarget(n)
	if err != nil {
		return nil, err
	}
	k := &cast{to: to, round: rounding{saturate: true, mode: "up", level: n.Level()}}
	if n.Since >= 19 {
		k.round.saturate = n.Bool("saturate", true)
	}
	if n.Since >= 24 {
		k.round.mode = n.Str("round_mode", "up")
	}
	switch k.round.mode {
	case "up", "down", "nearest":
	default:
		return nil, onnx.Errorf(onnx.ErrMalformed, "round_mode is %q, want up, down or nearest", k.round.mode)
	}
	return k, nil
}

// castRun is the argument block of a cast.
type castRun struct {
	from, to onnx.DataType
	convert  converter
	c        *Ctx
	dst, src *onnx.Tensor
	failed   castErrors
	f        func(lo, hi int)
}

func (k *cast) Run(c *Ctx, in, out []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	to := k.to
	if to == onnx.Undefined && len(in) > 1 {
		like, err := inputTensor(in, 1)
		if err != nil {
			return err
		}
		to = like.DataType()
	}
	from := x.DataType()
	if from == to {
		out[0] = x
		return nil
	}
	r := Local[castRun](c)
	if r.f == nil {
		r.f = r.run
	}
	if r.from != from || r.to != to || r.convert == nil {
		r.from, r.to, r.convert = from, to, newConverter(from, to, k.round)
		if r.convert == nil {
			return onnx.Errorf(onnx.ErrUnsupported, "conversion of %v to %v", from, to)
		}
	}
	t, err := newOver(c, to, x)
	if err != nil {
		return err
	}
	r.c, r.dst, r.src = c, t, x
	c.Parallel(t.Len(), cheapGrain, r.f)
	r.c, r.dst, r.src = nil, nil, nil
	if err := r.failed.take(); err != nil {
		return err
	}
	return cancelled(c, t.Len())
}

func (r *castRun) run(lo, hi int) {
	for ; lo < hi; lo += cancelEvery {
		end := min(lo+cancelEvery, hi)
		if err := r.convert(r.dst, r.src, lo, end); err != nil {
			r.failed.add(lo, err)
			return
		}
		if end < hi && r.c.Err() != nil {
			return
		}
	}
}

// castErrors keeps the error of the first element that has one, whatever the
// order in which threads meet theirs.
type castErrors struct {
	mu  sync.Mutex
	at  int
	err error
}

func (e *castErrors) add(at int, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil || at < e.at {
		e.at, e.err = at, err
	}
}

func (e *castErrors) take() error {
	err := e.err
	e.err = nil
	return err
}

func inferBitCast(n *Node) error {
	to, err := castTarget(n)
	if err != nil {
		return err
	}
	if from := n.Elem(0); from != onnx.Undefined && from.Bits() != to.Bits() {
		return onnx.Errorf(onnx.ErrType, "%v has %d bits, %v has %d, want as many", from, from.Bits(), to, to.Bits())
	}
	n.SetTensor(0, to, n.Shape(0))
	return nil
}

func buildBitCast(n *Node) (Kernel, error) {
	to, err := castTarget(n)
	if err != nil {
		return nil, err
	}
	return KernelFunc(func(c *Ctx, in, out []onnx.Value) error { return bitCast(c, in, out, to) }), nil
}

// bitCast copies bits. In memory the upper bits of an element of 2 or 4 bits
// depend on its type, and those of a bool must be clear.
func bitCast(c *Ctx, in, out []onnx.Value, to onnx.DataType) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	from := x.DataType()
	switch {
	case from == to:
		out[0] = x
		return nil
	case from == onnx.String || from.Bits() != to.Bits():
		return onnx.Errorf(onnx.ErrType, "%v has %d bits, %v has %d, want as many", from, from.Bits(), to, to.Bits())
	}
	t, err := newOver(c, to, x)
	if err != nil || t.Len() == 0 {
		return err
	}
	copy(t.Bytes(), x.ElementBytes())
	switch {
	case to == onnx.Bool:
		kernel.NonZero(onnx.Elements[bool](t), onnx.Elements[uint8](t))
	case to.Bits() < 8:
		kernel.LowBits(onnx.Elements[uint8](t), to.Bits(), to == onnx.Int4 || to == onnx.Int2)
	}
	return nil
}
