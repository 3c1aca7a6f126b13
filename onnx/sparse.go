package onnx

import goruntime "runtime"

// Dense gives the tensor with its zeros. Errors match those of Check, and
// ErrLimit when it would take more than DefaultLimits allow for all tensors of
// a model; ErrMalformed also when values or indices lie in a file and have not
// been read.
func (s *SparseTensor) Dense() (*Tensor, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	for _, t := range []*Tensor{s.Values, s.Indices} {
		if t.ext != nil {
			return nil, Errorf(ErrMalformed, "external data in %q has not been read", t.ext.Location)
		}
	}
	total, _ := NumElements(s.Dims)
	dtype := s.Values.dtype
	size := max(int64(dtype.Size()), 1)
	if most := DefaultLimits().InitializerBytes; int64(total) > most/size {
		return nil, &LimitError{What: "bytes of a dense tensor", Got: saturatingMul(int64(total), size), Max: most}
	}
	out, err := NewZeros(dtype, s.Dims)
	if err != nil {
		return nil, err
	}
	from, to, w := s.Values.ElementBytes(), out.data, dtype.Size()
	for k := range s.Values.n {
		at := s.position(k)
		if dtype == String {
			out.strs[at] = s.Values.strs[k]
			continue
		}
		copy(to[at*w:(at+1)*w], from[k*w:])
	}
	goruntime.KeepAlive(s)
	return out, nil
}

// position is where value k stands in the dense tensor, counted in elements.
func (s *SparseTensor) position(k int) int {
	idx := Elements[int64](s.Indices)
	if s.Indices.Rank() == 1 {
		return int(idx[k])
	}
	at := 0
	for i, size := range s.Dims {
		at = at*size + int(idx[k*len(s.Dims)+i])
	}
	return at
}
