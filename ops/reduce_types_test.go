package ops

import (
	"slices"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// Every version of the operators of this family takes every element type that
// its schema allows for the first input.
func TestReduceFamilyTakesAllTypes(t *testing.T) {
	axis := func(onnx.DataType) []onnx.Value { return []onnx.Value{onnx.Scalar(int64(0))} }
	one := func(onnx.DataType) []onnx.Value { return []onnx.Value{onnx.MustTensor([]int{1}, []int64{1})} }
	label := func(onnx.DataType) []onnx.Value { return []onnx.Value{onnx.MustTensor([]int{2}, []int32{1, 0})} }
	scale := func(d onnx.DataType) []onnx.Value {
		if isNarrow(d) && d.Size() == 2 {
			s, _ := onnx.NewZeros(d, nil)
			return []onnx.Value{s}
		}
		return []onnx.Value{onnx.Scalar(float32(1))}
	}
	float := func(onnx.DataType) []onnx.Value { return []onnx.Value{onnx.Scalar(float32(1))} }
	families := map[string]func(d onnx.DataType) []onnx.Value{
		"ArgMax": nil, "ArgMin": nil, "Softmax": nil, "LogSoftmax": nil, "Hardmax": nil,
		"CumSum": axis, "CumProd": axis, "TopK": one, "QuantizeLinear": scale, "DequantizeLinear": float,
		"DynamicQuantizeLinear": nil, "NegativeLogLikelihoodLoss": label, "SoftmaxCrossEntropyLoss": label,
		"RandomNormalLike": nil, "RandomUniformLike": nil, "Bernoulli": nil, "Multinomial": nil,
	}
	for op := range reduceReferences {
		families[op] = nil
	}
	for op, more := range families {
		versions := onnx.SchemaVersions("", op)
		if len(versions) == 0 {
			t.Errorf("%s has no schema", op)
		}
		for _, version := range versions {
			schema := onnx.LookupSchema("", op, version)
			row, since, err := Default().Lookup("", op, version)
			if err != nil || since != version || !slices.Contains(row.Since, version) {
				t.Errorf("%s-%d: %v", op, version, err)
				continue
			}
			for _, d := range schema.Inputs[0].Types.Elems() {
				x, err := onnx.NewZeros(d, []int{2, 3})
				if err != nil {
					t.Fatal(err)
				}
				in := []onnx.Value{x}
				if more != nil && !(op == "TopK" && version == 1) {
					in = append(in, more(d)...)
				}
				var attrs []any
				switch op {
				case "TopK":
					if version == 1 {
						attrs = []any{"k", 1}
					}
				case "QuantizeLinear":
					if d == onnx.Int32 && version >= 19 && version < 23 { // the scale has the type of x
						in[1] = onnx.Scalar(int32(1))
					}
				case "RandomNormalLike", "RandomUniformLike":
					attrs = []any{"dtype", int(onnx.Float), "seed", 1.0}
				case "Bernoulli", "Multinomial":
					attrs = []any{"seed", 1.0}
				}
				n := node(op, max(1, schema.MinOutputs), attrs...)
				if _, err := compute(t, n, version, in...); err != nil {
					t.Errorf("%s-%d of %v: %v", op, version, d, err)
				}
			}
		}
	}
}
