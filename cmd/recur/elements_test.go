package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// Every element type has a row, whose text and JSON read back to the same.
func TestElementsRoundTrip(t *testing.T) {
	for d := onnx.Float; d.Valid(); d++ {
		t.Run(d.String(), func(t *testing.T) {
			e, err := elementsOf(d)
			if err != nil {
				t.Fatal(err)
			}
			want, err := e.draw([]int{2, 3}, stream(1, d.String()))
			if err != nil {
				t.Fatal(err)
			}
			if want.DataType() != d {
				t.Fatalf("drew %v", want)
			}
			same, err := cast(want, d)
			if err != nil || !sameTensor(same, want) {
				t.Errorf("by text: %v, %v", same, err)
			}
			j, err := jsonOf(want)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(j)
			if err != nil {
				t.Fatal(err)
			}
			r := &inputReader{shapes: &shapeFlags{}}
			got, err := r.json(onnx.ValueInfo{Name: "x"}, text)
			if err != nil || !sameTensor(got.(*onnx.Tensor), want) {
				t.Errorf("by JSON %s: %v, %v", text, got, err)
			}
		})
	}
}

func sameTensor(a, b *onnx.Tensor) bool {
	if a == nil || a.DataType() != b.DataType() || !equalInts(a.Shape(), b.Shape()) || !bytes.Equal(a.Bytes(), b.Bytes()) {
		return false
	}
	for i, s := range b.Strings() {
		if a.Strings()[i] != s {
			return false
		}
	}
	return true
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name string
		elem onnx.DataType
		text string
		want string // of the element; "" for an error
	}{
		{"integer with point", onnx.Int32, "1.0", "1"},
		{"integer with exponent", onnx.Uint8, "1e2", "100"},
		{"fraction", onnx.Int64, "1.5", ""},
		{"negative", onnx.Uint64, "-1", ""},
		{"greatest", onnx.Uint64, "18446744073709551615", "18446744073709551615"},
		{"too great", onnx.Int4, "8", ""},
		{"infinity", onnx.Float, "-Inf", "-Inf"},
		{"beyond float", onnx.Float, "1e99", "+Inf"},
		{"rounded once", onnx.Float, "16777217.0000001", "1.6777218e+07"},
		{"word", onnx.Float, "one", ""},
		{"bool", onnx.Bool, "1", "true"},
		{"no bool", onnx.Bool, "2", ""},
		{"complex", onnx.Complex64, "(1+2i)", "(1+2i)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := elementsOf(c.elem)
			if err != nil {
				t.Fatal(err)
			}
			v, err := e.parse([]int{1}, []string{c.text})
			if (err != nil) != (c.want == "") {
				t.Fatalf("error %v, want element %q", err, c.want)
			}
			if err == nil && e.text(v, 0) != c.want {
				t.Errorf("got %s, want %s", e.text(v, 0), c.want)
			}
		})
	}
}
