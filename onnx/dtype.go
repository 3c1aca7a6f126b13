package onnx

import (
	"fmt"
	"strings"
)

// DataType is the element type of a tensor, numbered as in the format's
// TensorProto.DataType.
type DataType int32

// The element types of ONNX.
const (
	Undefined      DataType = 0
	Float          DataType = 1
	Uint8          DataType = 2
	Int8           DataType = 3
	Uint16         DataType = 4
	Int16          DataType = 5
	Int32          DataType = 6
	Int64          DataType = 7
	String         DataType = 8
	Bool           DataType = 9
	Float16        DataType = 10
	Double         DataType = 11
	Uint32         DataType = 12
	Uint64         DataType = 13
	Complex64      DataType = 14
	Complex128     DataType = 15
	BFloat16       DataType = 16
	Float8E4M3FN   DataType = 17
	Float8E4M3FNUZ DataType = 18
	Float8E5M2     DataType = 19
	Float8E5M2FNUZ DataType = 20
	Uint4          DataType = 21
	Int4           DataType = 22
	Float4E2M1     DataType = 23
	Float8E8M0     DataType = 24
	Uint2          DataType = 25
	Int2           DataType = 26
)

// Go types of the elements that Go has no type for. The floating-point ones
// hold the format's bit pattern; see their Float32 methods. The 2- and 4-bit
// ones hold one element a byte: packing is a matter of files only.
type (
	F16    uint16 // IEEE 754 binary16
	BF16   uint16 // the upper half of a float32
	F8E4M3 uint8  // float8e4m3fn: no infinity, NaN 0x7f and 0xff
	// F8E4M3UZ is float8e4m3fnuz: no infinity, no negative zero, NaN 0x80.
	F8E4M3UZ uint8
	F8E5M2   uint8 // float8e5m2: infinities and NaNs as IEEE 754 has them
	// F8E5M2UZ is float8e5m2fnuz: no infinity, no negative zero, NaN 0x80.
	F8E5M2UZ uint8
	F8E8M0   uint8 // float8e8m0: a power of two, 2^(x-127); NaN 0xff
	F4E2M1   uint8 // float4e2m1 in the low 4 bits
	U4       uint8 // 0..15
	I4       int8  // -8..7
	U2       uint8 // 0..3
	I2       int8  // -2..1
)

// Element lists the Go types of tensor elements.
type Element interface {
	float32 | float64 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 |
		bool | string | complex64 | complex128 | F16 | BF16 |
		F8E4M3 | F8E4M3UZ | F8E5M2 | F8E5M2UZ | F8E8M0 | F4E2M1 | U4 | I4 | U2 | I2
}

// TypeOf gives the element type that the Go type T stands for.
func TypeOf[T Element]() DataType {
	var z T
	switch any(z).(type) {
	case float32:
		return Float
	case float64:
		return Double
	case int8:
		return Int8
	case int16:
		return Int16
	case int32:
		return Int32
	case int64:
		return Int64
	case uint8:
		return Uint8
	case uint16:
		return Uint16
	case uint32:
		return Uint32
	case uint64:
		return Uint64
	case bool:
		return Bool
	case string:
		return String
	case complex64:
		return Complex64
	case complex128:
		return Complex128
	case F16:
		return Float16
	case BF16:
		return BFloat16
	case F8E4M3:
		return Float8E4M3FN
	case F8E4M3UZ:
		return Float8E4M3FNUZ
	case F8E5M2:
		return Float8E5M2
	case F8E5M2UZ:
		return Float8E5M2FNUZ
	case F8E8M0:
		return Float8E8M0
	case F4E2M1:
		return Float4E2M1
	case U4:
		return Uint4
	case I4:
		return Int4
	case U2:
		return Uint2
	case I2:
		return Int2
	}
	return Undefined
}

// dtypeInfo is what the rest of the package asks of an element type.
type dtypeInfo struct {
	name  string // as in the schemas' "tensor(NAME)"
	width int    // bytes of an element in memory; 0 for strings
	bits  int    // bits of an element in a file's raw data; 0 for strings
}

var dtypes = [...]dtypeInfo{
	Undefined:      {"undefined", 0, 0},
	Float:          {"float", 4, 32},
	Uint8:          {"uint8", 1, 8},
	Int8:           {"int8", 1, 8},
	Uint16:         {"uint16", 2, 16},
	Int16:          {"int16", 2, 16},
	Int32:          {"int32", 4, 32},
	Int64:          {"int64", 8, 64},
	String:         {"string", 0, 0},
	Bool:           {"bool", 1, 8},
	Float16:        {"float16", 2, 16},
	Double:         {"double", 8, 64},
	Uint32:         {"uint32", 4, 32},
	Uint64:         {"uint64", 8, 64},
	Complex64:      {"complex64", 8, 64},
	Complex128:     {"complex128", 16, 128},
	BFloat16:       {"bfloat16", 2, 16},
	Float8E4M3FN:   {"float8e4m3fn", 1, 8},
	Float8E4M3FNUZ: {"float8e4m3fnuz", 1, 8},
	Float8E5M2:     {"float8e5m2", 1, 8},
	Float8E5M2FNUZ: {"float8e5m2fnuz", 1, 8},
	Uint4:          {"uint4", 1, 4},
	Int4:           {"int4", 1, 4},
	Float4E2M1:     {"float4e2m1", 1, 4},
	Float8E8M0:     {"float8e8m0", 1, 8},
	Uint2:          {"uint2", 1, 2},
	Int2:           {"int2", 1, 2},
}

// Valid reports whether d is an element type of the format (Undefined is not).
func (d DataType) Valid() bool { return d > 0 && int(d) < len(dtypes) }

// String gives the name that ONNX's schemas use, such as "float" or "int64".
func (d DataType) String() string {
	if d >= 0 && int(d) < len(dtypes) {
		return dtypes[d].name
	}
	return fmt.Sprintf("data type %d", int32(d))
}

// Size is the number of bytes that an element takes in memory: 0 for strings,
// 1 for the 2- and 4-bit types.
func (d DataType) Size() int {
	if d >= 0 && int(d) < len(dtypes) {
		return dtypes[d].width
	}
	return 0
}

// Bits is the number of bits that an element takes in a file's raw data, 0
// for strings.
func (d DataType) Bits() int {
	if d >= 0 && int(d) < len(dtypes) {
		return dtypes[d].bits
	}
	return 0
}

// IsFloat reports whether d is one of the floating-point types, 8- and 4-bit
// ones included.
func (d DataType) IsFloat() bool {
	switch d {
	case Float, Double, Float16, BFloat16, Float8E4M3FN, Float8E4M3FNUZ, Float8E5M2, Float8E5M2FNUZ, Float8E8M0, Float4E2M1:
		return true
	}
	return false
}

// IsInteger reports whether d is a signed or unsigned integer type; bool is not.
func (d DataType) IsInteger() bool {
	switch d {
	case Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64, Int4, Uint4, Int2, Uint2:
		return true
	}
	return false
}

// ParseDataType reads a name as String writes it; "float32" and "float64"
// mean Float and Double.
func ParseDataType(name string) (DataType, error) {
	switch strings.ToLower(name) {
	case "float32":
		return Float, nil
	case "float64":
		return Double, nil
	}
	for d, info := range dtypes {
		if d > 0 && info.name == strings.ToLower(name) {
			return DataType(d), nil
		}
	}
	return Undefined, Errorf(ErrType, "%q is no element type", name)
}
