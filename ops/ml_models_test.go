package ops

import (
	"errors"
	"math"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func sigmoid(v float64) float32 { return float32(1 / (1 + math.Exp(-v))) }

type classifierCase struct {
	name   string
	node   *onnx.Node
	opset  int
	in     onnx.Value
	labels onnx.Value
	scores *onnx.Tensor
	err    error
}

func runClassifierCases(t *testing.T, cases []classifierCase) {
	t.Helper()
	for _, c := range cases {
		out, err := compute(t, c.node, c.opset, c.in)
		if c.err != nil {
			if !errors.Is(err, c.err) {
				t.Errorf("%s: error %v, want one that matches %v", c.name, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if d := differ(out[0], c.labels, 0, 0); d != "" {
			t.Errorf("%s: labels: %s", c.name, d)
		}
		if d := differ(out[1], c.scores, 1e-6, 1e-7); d != "" {
			t.Errorf("%s: scores: %s", c.name, d)
		}
	}
}

func TestMLLinear(t *testing.T) {
	x := f32([]int{2, 2}, 1, 1, 2, 0)
	w := []float32{1, 2, 3, 4}
	var cases []sequenceCase
	for _, in := range []onnx.Value{x, onnx.MustTensor([]int{2, 2}, []float64{1, 1, 2, 0}), i64s([]int{2, 2}, 1, 1, 2, 0)} {
		cases = append(cases, sequenceCase{"two targets", mlNode("LinearRegressor", 1, "coefficients", w, "intercepts", []float32{10, 20}, "targets", 2), 1, []onnx.Value{in}, f32([]int{2, 2}, 13, 27, 12, 26), nil})
	}
	e := math.Exp(-1)
	svm := []any{"kernel_type", "RBF", "kernel_params", []float32{0.5, 0, 0}, "support_vectors", []float32{0, 0, 1, 1}, "coefficients", []float32{1, -1}, "n_supports", 2, "rho", []float32{0.25}}
	runSequenceCases(t, append(cases, []sequenceCase{
		{"one row", mlNode("LinearRegressor", 1, "coefficients", []float32{1, 2}), 1, []onnx.Value{f32([]int{2}, 3, 4)}, f32([]int{1, 1}, 11), nil},
		{"logistic", mlNode("LinearRegressor", 1, "coefficients", []float32{1}, "post_transform", "LOGISTIC"), 1, []onnx.Value{f32([]int{1, 1}, -2)}, f32([]int{1, 1}, sigmoid(-2)), nil},
		{"columns", mlNode("LinearRegressor", 1, "coefficients", w), 1, []onnx.Value{x}, nil, onnx.ErrShape},
		{"coefficients", mlNode("LinearRegressor", 1, "coefficients", w, "targets", 3), 1, []onnx.Value{x}, nil, onnx.ErrMalformed},
		{"radial", mlNode("SVMRegressor", 1, svm...), 1, []onnx.Value{f32([]int{2, 2}, 1, 0, 0, 0)}, f32([]int{2, 1}, 0.25, float32(1-e+0.25)), nil},
		{"one class", mlNode("SVMRegressor", 1, append([]any{"one_class", 1}, svm...)...), 1, []onnx.Value{f32([]int{2, 2}, 0, 0, 1, 1)}, f32([]int{2, 1}, 1, -1), nil},
		{"polynomial", mlNode("SVMRegressor", 1, "kernel_type", "POLY", "kernel_params", []float32{2, 1, 3}, "support_vectors", []float32{1, 1}, "coefficients", []float32{0.5}, "n_supports", 1, "rho", []float32{1}), 1, []onnx.Value{f32([]int{1, 2}, 1, 0)}, f32([]int{1, 1}, 14.5), nil},
		{"without vectors", mlNode("SVMRegressor", 1, "coefficients", []float32{1, 2}, "rho", []float32{1}), 1, []onnx.Value{x}, f32([]int{2, 1}, 4, 3), nil},
		{"support vectors", mlNode("SVMRegressor", 1, "coefficients", []float32{1, 2}, "n_supports", 3, "rho", []float32{1}), 1, []onnx.Value{x}, nil, onnx.ErrMalformed},
	}...))

	one := []any{"coefficients", []float32{1, -1}, "intercepts", []float32{0.5}}
	two := f32([]int{2, 2}, 1, 0, 0, 1)
	pairs := []any{"coefficients", []float32{1, 2, 3, 4, 5, 6}, "support_vectors", []float32{1, 0, 0, 1, 1, 1}, "vectors_per_class", []int64{1, 1, 1}, "rho", []float32{0.1, 0.2, 0.3}, "classlabels_ints", []int64{7, 8, 9}}
	runClassifierCases(t, []classifierCase{
		{"one score", mlNode("LinearClassifier", 2, append([]any{"classlabels_strings", []string{"n", "y"}}, one...)...), 1, two, words([]int{2}, "y", "n"), f32([]int{2, 2}, -1.5, 1.5, 0.5, -0.5), nil},
		{"one score, logistic", mlNode("LinearClassifier", 2, append([]any{"classlabels_ints", []int64{3, 4}, "post_transform", "LOGISTIC"}, one...)...), 1, two, i64s([]int{2}, 4, 3), f32([]int{2, 2}, sigmoid(-1.5), sigmoid(1.5), sigmoid(0.5), sigmoid(-0.5)), nil},
		{"one score, one label", mlNode("LinearClassifier", 2, append([]any{"classlabels_ints", []int64{3}}, one...)...), 1, two, i64s([]int{2}, 1, 0), f32([]int{2, 1}, 1.5, -0.5), nil},
		{"three classes", mlNode("LinearClassifier", 2, "coefficients", []float32{1, 0, 0, 1, 1, 1}, "intercepts", []float32{0, 0, -2}, "classlabels_ints", []int64{5, 6, 7}, "multi_class", 1, "post_transform", "SOFTMAX"), 1, f32([]int{1, 2}, 0, 0), i64s([]int{1}, 5),
			f32([]int{1, 3}, float32(1/(2+math.Exp(-2))), float32(1/(2+math.Exp(-2))), float32(math.Exp(-2)/(2+math.Exp(-2)))), nil},
		{"labels", mlNode("LinearClassifier", 2, "coefficients", []float32{1, 2}, "intercepts", []float32{1, 2}, "classlabels_ints", []int64{1, 2, 3}), 1, two, nil, nil, onnx.ErrMalformed},
		{"pairs", mlNode("SVMClassifier", 2, pairs...), 1, f32([]int{1, 2}, 1, 0), i64s([]int{1}, 7), f32([]int{1, 3}, 1.1, 7.2, 6.3), nil},
		{"linear scores", mlNode("SVMClassifier", 2, "coefficients", []float32{1, 0, 0, 1}, "rho", []float32{1}, "classlabels_ints", []int64{0, 1}), 1, f32([]int{1, 2}, 1, 3), i64s([]int{1}, 1), f32([]int{1, 2}, 2, 4), nil},
		{"two classes", mlNode("SVMClassifier", 2, "coefficients", []float32{1, -1}, "support_vectors", []float32{1, 0, 0, 1}, "vectors_per_class", []int64{1, 1}, "rho", []float32{0}, "classlabels_strings", []string{"a", "b"}), 1,
			f32([]int{2, 2}, 1, 0, 0, 1), words([]int{2}, "a", "b"), f32([]int{2, 2}, -1, 1, 1, -1), nil},
		{"rho", mlNode("SVMClassifier", 2, append(pairs[:6:6], "rho", []float32{1}, "classlabels_ints", []int64{7, 8, 9})...), 1, two, nil, nil, onnx.ErrMalformed},
	})
	// Of two classes the coupled probabilities are the pairwise ones.
	out, err := compute(t, mlNode("SVMClassifier", 2, "coefficients", []float32{1, -1}, "support_vectors", []float32{1, 0, 0, 1}, "vectors_per_class", []int64{1, 1}, "rho", []float32{0},
		"prob_a", []float32{-2}, "prob_b", []float32{0.5}, "classlabels_ints", []int64{0, 1}), 1, f32([]int{1, 2}, 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	if d := differ(out[1], f32([]int{1, 2}, sigmoid(1.5), sigmoid(-1.5)), 0, 0.01); d != "" {
		t.Error(d)
	}
}

// treeLists are two trees: feature 0 <= 1 leads to a leaf of two weights or to
// one of one weight; the second tree is a leaf.
func treeLists(kind string, ids []int64, weights []float32, more ...any) []any {
	return append([]any{
		"nodes_treeids", []int64{0, 0, 0, 4}, "nodes_nodeids", []int64{0, 1, 2, 0}, "nodes_featureids", []int64{0, 0, 0, 0},
		"nodes_modes", []string{"BRANCH_LEQ", "LEAF", "LEAF", "LEAF"}, "nodes_values", []float32{1, 0, 0, 0},
		"nodes_truenodeids", []int64{1, 0, 0, 0}, "nodes_falsenodeids", []int64{2, 0, 0, 0}, "nodes_hitrates", []float32{1, 1, 1, 1},
		"nodes_missing_value_tracks_true", []int64{1, 0, 0, 0},
		kind + "_treeids", []int64{0, 0, 0, 4}, kind + "_nodeids", []int64{1, 1, 2, 0}, kind + "_ids", ids, kind + "_weights", weights}, more...)
}

func TestMLTrees(t *testing.T) {
	nan := float32(math.NaN())
	x := f32([]int{3, 1}, 1, 2, nan)
	reg := func(more ...any) *onnx.Node {
		return mlNode("TreeEnsembleRegressor", 1, treeLists("target", []int64{0, 1, 0, 1}, []float32{2, 3, 5, 7}, append(more, "n_targets", 2)...)...)
	}
	base := []any{"base_values", []float32{100, 200}}
	circle := reg()
	circle.Attr("nodes_truenodeids").Ints[0] = 0
	var cases []sequenceCase
	for _, opset := range []int{1, 3} {
		cases = append(cases, []sequenceCase{
			{"sum", reg(base...), opset, []onnx.Value{x}, f32([]int{3, 2}, 102, 210, 105, 207, 102, 210), nil},
			{"average", reg("aggregate_function", "AVERAGE"), opset, []onnx.Value{x}, f32([]int{3, 2}, 1, 5, 2.5, 3.5, 1, 5), nil},
			{"min", reg(append(base, "aggregate_function", "MIN")...), opset, []onnx.Value{x}, f32([]int{3, 2}, 102, 203, 105, 207, 102, 203), nil},
			{"max", reg("aggregate_function", "MAX"), opset, []onnx.Value{x}, f32([]int{3, 2}, 2, 7, 5, 7, 2, 7), nil},
			{"integers", reg(), opset, []onnx.Value{i64s([]int{2, 1}, 2, 0)}, f32([]int{2, 2}, 5, 7, 2, 10), nil},
			{"circle", circle, opset, []onnx.Value{x}, nil, onnx.ErrMalformed},
			{"columns", reg(), opset, []onnx.Value{f32([]int{2, 0})}, nil, onnx.ErrShape},
		}...)
	}
	wide := mlNode("TreeEnsembleRegressor", 1, treeLists("target", []int64{0, 0, 0, 0}, nil, "target_weights_as_tensor", onnx.MustTensor([]int{4}, []float64{1, 2, 4, 8}), "n_targets", 1)...)
	for i, a := range wide.Attributes {
		if a.Name == "target_weights" {
			wide.Attributes = append(wide.Attributes[:i:i], wide.Attributes[i+1:]...)
			break
		}
	}
	five := func(more ...any) *onnx.Node {
		// node 0: feature 0 in {1, 5}: leaf 0, else node 1; node 1: feature 1 > 2: leaf 1, else leaf 2
		return mlNode("TreeEnsemble", 1, append([]any{"nodes_modes", onnx.MustTensor([]int{2}, []uint8{6, 3}), "nodes_featureids", []int64{0, 1},
			"nodes_truenodeids", []int64{0, 1}, "nodes_trueleafs", []int64{1, 1}, "nodes_falsenodeids", []int64{1, 2}, "nodes_falseleafs", []int64{0, 1},
			"leaf_targetids", []int64{0, 1, 0}, "tree_roots", []int64{0, 1}, "n_targets", 2}, more...)...)
	}
	singles := []any{"nodes_splits", f32([]int{2}, 0, 2), "leaf_weights", f32([]int{3}, 10, 20, 30), "membership_values", f32([]int{3}, 1, 5, nan)}
	half := func(v ...onnx.F16) *onnx.Tensor { return onnx.MustTensor([]int{len(v)}, v) }
	halves := []any{"nodes_splits", half(0, 0x4000), "leaf_weights", half(0x4900, 0x4d00, 0x4f80), "membership_values", half(0x3c00, 0x4500, 0x7e00)}
	runSequenceCases(t, append(cases,
		sequenceCase{"weights as a tensor", wide, 3, []onnx.Value{x}, f32([]int{3, 1}, 11, 12, 11), nil},
		sequenceCase{"version 5", five(singles...), 5, []onnx.Value{f32([]int{3, 2}, 5, 3, 2, 3, 2, 2)}, f32([]int{3, 2}, 10, 20, 0, 40, 60, 0), nil},
		sequenceCase{"version 5, max", five(append(singles, "aggregate_function", 3)...), 5, []onnx.Value{f32([]int{1, 2}, 2, 2)}, f32([]int{1, 2}, 30, 0), nil},
		sequenceCase{"version 5, float16", five(halves...), 5, []onnx.Value{onnx.MustTensor([]int{1, 2}, []onnx.F16{0x4500, 0x4200})}, onnx.MustTensor([]int{1, 2}, []onnx.F16{0x4900, 0x4d00}), nil},
		sequenceCase{"version 5, no sets", five(singles[:4]...), 5, []onnx.Value{f32([]int{1, 2}, 2, 2)}, nil, onnx.ErrMalformed},
	))
	class := func(ids []int64, w []float32, more ...any) *onnx.Node {
		return mlNode("TreeEnsembleClassifier", 2, treeLists("class", ids, w, more...)...)
	}
	two := f32([]int{2, 1}, 1, 2)
	for _, opset := range []int{1, 3} {
		runClassifierCases(t, []classifierCase{
			{"three classes", class([]int64{0, 2, 1, 2}, []float32{2, 3, 5, 1}, "classlabels_strings", []string{"a", "b", "c"}), opset, two, words([]int{2}, "c", "b"), f32([]int{2, 3}, 2, 0, 4, 0, 5, 1), nil},
			{"two classes", class([]int64{0, 1, 1, 0}, []float32{2, 3, 5, 1}, "classlabels_int64s", []int64{8, 9}, "base_values", []float32{1, 0}), opset, two, i64s([]int{2}, 8, 9), f32([]int{2, 2}, 4, 3, 2, 5), nil},
			{"one probability", class([]int64{1, 1, 1, 1}, []float32{0.25, 0.25, 0, 0.25}, "classlabels_int64s", []int64{8, 9}), opset, two, i64s([]int{2}, 9, 8), f32([]int{2, 2}, 0.25, 0.75, 0.75, 0.25), nil},
			{"one sum, logistic", class([]int64{0, 0, 0, 0}, []float32{1, 1, -2, 0.5}, "classlabels_int64s", []int64{8, 9}, "post_transform", "LOGISTIC"), opset, two, i64s([]int{2}, 9, 8),
				f32([]int{2, 2}, sigmoid(-2.5), sigmoid(2.5), sigmoid(1.5), sigmoid(-1.5)), nil},
			{"too few labels", class([]int64{0, 1, 2, 0}, []float32{1, 1, -2, 0.5}, "classlabels_int64s", []int64{8, 9}), opset, two, nil, nil, onnx.ErrMalformed},
		})
	}
}
