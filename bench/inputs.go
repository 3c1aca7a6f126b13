package bench

import (
	"hash/fnv"
	"math/rand/v2"

	"github.com/recur-ml/recur/onnx"
)

// seed is that of every random number here, so that all programs and runs
// compute the same.
const seed = 1

// randomInputs makes the inputs of a graph: floats in [-1, 1), integers in
// [0, 4). Dimensions of unknown size are 1 unless shapes has the whole shape.
func randomInputs(g *onnx.Graph, shapes map[string][]int) onnx.Values {
	constant := map[string]bool{}
	for _, init := range g.Initializers {
		constant[init.Name] = true
	}
	values := onnx.Values{}
	for _, in := range g.Inputs {
		if constant[in.Name] {
			continue
		}
		shape, ok := shapes[in.Name]
		if !ok {
			for _, d := range in.Type.Shape {
				shape = append(shape, max(d.Value, 1))
			}
		}
		h := fnv.New64a()
		h.Write([]byte(in.Name))
		values[in.Name] = randomTensor(in.Type.Elem, shape, rand.New(rand.NewPCG(seed, h.Sum64())))
	}
	return values
}

func randomTensor(elem onnx.DataType, shape []int, rng *rand.Rand) *onnx.Tensor {
	switch elem {
	case onnx.Int32:
		return integers[int32](shape, rng)
	case onnx.Int64:
		return integers[int64](shape, rng)
	}
	return uniform(rng, 1, shape)
}

func integers[T interface {
	onnx.Element
	int32 | int64
}](shape []int, rng *rand.Rand) *onnx.Tensor {
	n, _ := onnx.NumElements(shape)
	data := make([]T, n)
	for i := range data {
		data[i] = T(rng.IntN(4))
	}
	return onnx.MustTensor(shape, data)
}
