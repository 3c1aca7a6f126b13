package onnx

import goruntime "runtime"

// Check tells whether the sparse tensor is what the format demands: values of
// rank 1, as many int64 indices in ascending order and without repetition, all
// within Dims. An error matches ErrMalformed, ErrShape or ErrType. Indices
// that lie outside the model's file and have not been read are not looked at.
func (s *SparseTensor) Check() error {
	if s == nil || s.Values == nil || s.Indices == nil {
		return Errorf(ErrMalformed, "a sparse tensor without values or indices")
	}
	if s.Values.Rank() != 1 {
		return Errorf(ErrShape, "values have shape %v, want rank 1", s.Values.Shape())
	}
	total, err := NumElements(s.Dims)
	if err != nil {
		return err
	}
	if s.Indices.DataType() != Int64 {
		return Errorf(ErrType, "indices are of type %v, want int64", s.Indices.DataType())
	}
	n, rank := s.Values.Len(), len(s.Dims)
	switch shape := s.Indices.Shape(); {
	case len(shape) == 1 && shape[0] == n:
		rank = 1
	case len(shape) == 2 && shape[0] == n && shape[1] == rank:
	default:
		return Errorf(ErrShape, "indices have shape %v, want [%d] or [%d %d]", shape, n, n, rank)
	}
	if s.Indices.External() != nil {
		return nil
	}
	linear := s.Indices.Rank() == 1
	return s.checkIndices(Elements[int64](s.Indices), rank, total, linear)
}

// checkIndices walks over rows of rank coordinates, or over linear indices.
func (s *SparseTensor) checkIndices(idx []int64, rank, total int, linear bool) error {
	defer goruntime.KeepAlive(s) // idx may lie in a mapped file
	last := int64(-1)
	for k := range s.Values.Len() {
		at := int64(0)
		for i, x := range idx[k*rank : (k+1)*rank] {
			size := int64(total)
			if !linear {
				size = int64(s.Dims[i])
			}
			if x < 0 || x >= size {
				return Errorf(ErrMalformed, "index %d of value %d, want 0..%d", x, k, size-1)
			}
			at = at*size + x
		}
		if at <= last {
			return Errorf(ErrMalformed, "index of value %d is not above that of value %d", k, k-1)
		}
		last = at
	}
	return nil
}
