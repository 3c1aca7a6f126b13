package ops

import (
	"errors"
	"math"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func mlNode(op string, outputs int, attrs ...any) *onnx.Node {
	n := node(op, outputs, attrs...)
	n.Domain = mlDomain
	return n
}

func i64s(shape []int, v ...int64) *onnx.Tensor { return onnx.MustTensor(shape, v) }

func TestMLNumbers(t *testing.T) {
	nan := float32(math.NaN())
	x := f32([]int{2, 2}, 1, -2, 3, 4)
	d := onnx.MustTensor([]int{2, 2}, []float64{1, -2, 3, 4})
	i := onnx.MustTensor([]int{2, 2}, []int32{1, -2, 3, 4})
	l := i64s([]int{2, 2}, 1, -2, 3, 4)
	var cases []sequenceCase
	for _, v := range []onnx.Value{x, d, i, l} {
		cases = append(cases, []sequenceCase{
			{"scaler", mlNode("Scaler", 1, "offset", []float32{1, 2}, "scale", []float32{0.5, 2}), 1, []onnx.Value{v}, f32([]int{2, 2}, 0, -8, 1, 4), nil},
			{"scaler of one", mlNode("Scaler", 1, "offset", []float32{1}), 3, []onnx.Value{v}, f32([]int{2, 2}, 0, -3, 2, 3), nil},
			{"scaler of three", mlNode("Scaler", 1, "offset", []float32{1, 2, 3}), 1, []onnx.Value{v}, nil, onnx.ErrShape},
			{"max", mlNode("Normalizer", 1), 1, []onnx.Value{v}, f32([]int{2, 2}, 1, -2, 0.75, 1), nil},
			{"l1", mlNode("Normalizer", 1, "norm", "L1"), 1, []onnx.Value{v}, f32([]int{2, 2}, 1./3, -2./3, 3./7, 4./7), nil},
			{"l2", mlNode("Normalizer", 1, "norm", "L2"), 1, []onnx.Value{v}, f32([]int{2, 2}, float32(1/math.Sqrt(5)), float32(-2/math.Sqrt(5)), 0.6, 0.8), nil},
			{"norm", mlNode("Normalizer", 1, "norm", "L3"), 1, []onnx.Value{v}, nil, onnx.ErrMalformed},
			{"one-hot", mlNode("OneHotEncoder", 1, "cats_int64s", []int64{4, 1}), 1, []onnx.Value{v}, f32([]int{2, 2, 2}, 0, 1, 0, 0, 0, 0, 1, 0), nil},
			{"one-hot, unknown", mlNode("OneHotEncoder", 1, "cats_int64s", []int64{4, 1}, "zeros", 0), 1, []onnx.Value{v}, nil, onnx.ErrMalformed},
			{"one-hot, strings", mlNode("OneHotEncoder", 1, "cats_strings", []string{"a"}), 1, []onnx.Value{v}, nil, onnx.ErrType},
		}...)
	}
	runSequenceCases(t, append(cases, []sequenceCase{
		{"a row of zeros", mlNode("Normalizer", 1, "norm", "L2"), 1, []onnx.Value{f32([]int{2}, 0, 0)}, f32([]int{2}, 0, 0), nil},
		{"one-hot of strings", mlNode("OneHotEncoder", 1, "cats_strings", []string{"a", "b"}), 1, []onnx.Value{words([]int{2}, "b", "x")}, f32([]int{2, 2}, 0, 1, 0, 0), nil},
		{"binarizer", mlNode("Binarizer", 1, "threshold", 1.0), 1, []onnx.Value{x}, f32([]int{2, 2}, 0, 0, 1, 1), nil},
		{"binarizer, double", mlNode("Binarizer", 1), 1, []onnx.Value{d}, onnx.MustTensor([]int{2, 2}, []float64{1, 0, 1, 1}), nil},
		{"binarizer, int32", mlNode("Binarizer", 1, "threshold", 2.5), 1, []onnx.Value{i}, onnx.MustTensor([]int{2, 2}, []int32{0, 0, 1, 1}), nil},
		{"binarizer, int64", mlNode("Binarizer", 1), 1, []onnx.Value{l}, i64s([]int{2, 2}, 1, 0, 1, 1), nil},
		{"imputer", mlNode("Imputer", 1, "imputed_value_floats", []float32{7, 8}, "replaced_value_float", float64(nan)), 1, []onnx.Value{f32([]int{2, 2}, nan, 1, 2, nan)}, f32([]int{2, 2}, 7, 1, 2, 8), nil},
		{"imputer of one", mlNode("Imputer", 1, "imputed_value_int64s", []int64{9}, "replaced_value_int64", 3), 1, []onnx.Value{l}, i64s([]int{2, 2}, 1, -2, 9, 4), nil},
		{"imputer, int32", mlNode("Imputer", 1, "imputed_value_int64s", []int64{9, 10}, "replaced_value_int64", -2), 1, []onnx.Value{i}, onnx.MustTensor([]int{2, 2}, []int32{1, 10, 3, 4}), nil},
		{"imputer without values", mlNode("Imputer", 1, "imputed_value_int64s", []int64{9}), 1, []onnx.Value{d}, nil, onnx.ErrShape},
		{"extractor", mlNode("ArrayFeatureExtractor", 1), 1, []onnx.Value{x, i64s([]int{1, 3}, 1, 1, 0)}, f32([]int{2, 3}, -2, -2, 1, 4, 4, 3), nil},
		{"extractor of a list", mlNode("ArrayFeatureExtractor", 1), 1, []onnx.Value{words([]int{3}, "a", "b", "c"), i64s([]int{2}, 2, 0)}, words([]int{1, 2}, "c", "a"), nil},
		{"extractor, index", mlNode("ArrayFeatureExtractor", 1), 1, []onnx.Value{x, i64s([]int{1}, 2)}, nil, onnx.ErrShape},
		{"extractor of a scalar", mlNode("ArrayFeatureExtractor", 1), 1, []onnx.Value{f32(nil, 1), i64s([]int{1}, 0)}, nil, onnx.ErrShape},
		{"vectorizer", mlNode("FeatureVectorizer", 1, "inputdimensions", []int64{2, 1}), 1, []onnx.Value{l, i64s([]int{2, 2}, 5, 6, 7, 8)}, f32([]int{2, 3}, 1, -2, 5, 3, 4, 7), nil},
		{"vectorizer that fills up", mlNode("FeatureVectorizer", 1, "inputdimensions", []int64{3}), 1, []onnx.Value{d}, f32([]int{2, 3}, 1, -2, 0, 3, 4, 0), nil},
		{"vectorizer, plain", mlNode("FeatureVectorizer", 1), 1, []onnx.Value{f32([]int{2}, 1, 2), f32([]int{1, 1}, 3)}, f32([]int{1, 3}, 1, 2, 3), nil},
		{"vectorizer, rows", mlNode("FeatureVectorizer", 1), 1, []onnx.Value{x, f32([]int{1, 1}, 3)}, nil, onnx.ErrShape},
	}...))
}

func TestMLLabels(t *testing.T) {
	ab := words([]int{2, 2}, "a", "b", "x", "a")
	cat := []any{"cats_strings", []string{"a", "b"}, "cats_int64s", []int64{10, 20}}
	nan := float32(math.NaN())
	zero := float32(math.Copysign(0, -1))
	var cases []sequenceCase
	for _, opset := range []int{2, 4} {
		cases = append(cases, []sequenceCase{
			{"strings to ints", mlNode("LabelEncoder", 1, "keys_strings", []string{"a", "b"}, "values_int64s", []int64{10, 20}), opset, []onnx.Value{ab}, i64s([]int{2, 2}, 10, 20, -1, 10), nil},
			{"ints to floats", mlNode("LabelEncoder", 1, "keys_int64s", []int64{1, 2}, "values_floats", []float32{0.5, 2}, "default_float", 9.0), opset, []onnx.Value{i64s([]int{3}, 2, 3, 1)}, f32([]int{3}, 2, 9, 0.5), nil},
			{"floats to strings", mlNode("LabelEncoder", 1, "keys_floats", []float32{nan, 0}, "values_strings", []string{"nan", "zero"}), opset, []onnx.Value{f32([]int{3}, zero, nan, 1)}, words([]int{3}, "zero", "nan", "_Unused"), nil},
			{"another type", mlNode("LabelEncoder", 1, "keys_floats", []float32{0}, "values_strings", []string{"zero"}), opset, []onnx.Value{ab}, nil, onnx.ErrType},
			{"no values", mlNode("LabelEncoder", 1, "keys_floats", []float32{0}), opset, []onnx.Value{f32([]int{1}, 1)}, nil, onnx.ErrMalformed},
			{"lengths", mlNode("LabelEncoder", 1, "keys_floats", []float32{0}, "values_strings", []string{"a", "b"}), opset, []onnx.Value{f32([]int{1}, 1)}, nil, onnx.ErrMalformed},
		}...)
	}
	i16 := onnx.MustTensor([]int{2}, []int16{-3, 4})
	runSequenceCases(t, append(cases, []sequenceCase{
		{"version 1, to ints", mlNode("LabelEncoder", 1, "classes_strings", []string{"b", "a"}, "default_int64", 7), 1, []onnx.Value{ab}, i64s([]int{2, 2}, 1, 0, 7, 1), nil},
		{"version 1, to strings", mlNode("LabelEncoder", 1, "classes_strings", []string{"b", "a"}), 1, []onnx.Value{i64s([]int{3}, 1, -1, 2)}, words([]int{3}, "a", "_Unused", "_Unused"), nil},
		{"tensors", mlNode("LabelEncoder", 1, "keys_tensor", i16, "values_tensor", onnx.MustTensor([]int{2}, []float64{1, 2}), "default_tensor", onnx.MustTensor([]int{1}, []float64{5})), 4,
			[]onnx.Value{onnx.MustTensor([]int{3}, []int16{4, -3, 0})}, onnx.MustTensor([]int{3}, []float64{2, 1, 5}), nil},
		{"default of another type", mlNode("LabelEncoder", 1, "keys_tensor", i16, "values_tensor", i16, "default_tensor", onnx.Scalar(int64(1))), 4, []onnx.Value{i16}, nil, onnx.ErrMalformed},
		{"categories to ints", mlNode("CategoryMapper", 1, cat...), 1, []onnx.Value{ab}, i64s([]int{2, 2}, 10, 20, -1, 10), nil},
		{"categories to strings", mlNode("CategoryMapper", 1, append([]any{"default_string", "?"}, cat...)...), 1, []onnx.Value{i64s([]int{2}, 20, 0)}, words([]int{2}, "b", "?"), nil},
	}...))
}

func TestMLMaps(t *testing.T) {
	m := &onnx.Map{Keys: words([]int{3}, "a", "b", "c"), Values: f32([]int{3}, 1, 2, 3)}
	numbered := &onnx.Map{Keys: i64s([]int{2}, 5, 1), Values: words([]int{2}, "2.5", "3")}
	runSequenceCases(t, []sequenceCase{
		{"dictionary", mlNode("DictVectorizer", 1, "string_vocabulary", []string{"c", "x", "a"}), 1, []onnx.Value{m}, f32([]int{1, 3}, 3, 0, 1), nil},
		{"dictionary of strings", mlNode("DictVectorizer", 1, "int64_vocabulary", []int64{1, 2}), 1, []onnx.Value{numbered}, words([]int{1, 2}, "3", ""), nil},
		{"keys of another type", mlNode("DictVectorizer", 1, "int64_vocabulary", []int64{1, 2}), 1, []onnx.Value{m}, nil, onnx.ErrType},
		{"cast", mlNode("CastMap", 1), 1, []onnx.Value{numbered}, f32([]int{1, 2}, 3, 2.5), nil},
		{"cast, sparse", mlNode("CastMap", 1, "map_form", "SPARSE", "max_map", 7), 1, []onnx.Value{numbered}, f32([]int{1, 7}, 0, 3, 0, 0, 0, 2.5, 0), nil},
		{"cast to int64", mlNode("CastMap", 1, "cast_to", "TO_INT64"), 1, []onnx.Value{numbered}, nil, onnx.ErrMalformed},
		{"cast, sparse, too small", mlNode("CastMap", 1, "map_form", "SPARSE", "max_map", 5), 1, []onnx.Value{numbered}, nil, onnx.ErrShape},
	})
	out, err := compute(t, mlNode("ZipMap", 1, "classlabels_int64s", []int64{3, 5}), 1, f32([]int{2, 2}, 1, 2, 3, 4))
	if err != nil {
		t.Fatal(err)
	}
	s := out[0].(*onnx.Sequence)
	if len(s.Items) != 2 {
		t.Fatalf("%d maps", len(s.Items))
	}
	second := s.Items[1].(*onnx.Map)
	if d := differ(second.Keys, i64s([]int{2}, 3, 5), 0, 0) + differ(second.Values, f32([]int{2}, 3, 4), 0, 0); d != "" {
		t.Error(d)
	}
	if _, err := compute(t, mlNode("ZipMap", 1, "classlabels_strings", []string{"a"}), 1, f32([]int{2, 2}, 1, 2, 3, 4)); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("error %v", err)
	}
}
