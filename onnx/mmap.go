package onnx

import (
	"io"
	"os"
	goruntime "runtime"
	"sync"
)

// mapFrom is the size of a file from which it is mapped into memory instead of
// read. A mapped file that somebody truncates ends the process, so smaller ones
// are read.
const mapFrom = 64 << 20

// mapping is a mapped file. It ends when nothing holds it: tensors whose
// elements lie in the file do, through lazyData.
type mapping struct{ data []byte }

// pinned holds mappings that never end.
var pinned sync.Map

// newMapping maps a file, or gives nil where that is not possible.
func newMapping(f *os.File, size int64) *mapping {
	data, unmap, err := mapFile(f, size)
	if err != nil {
		return nil
	}
	m := &mapping{data}
	goruntime.AddCleanup(m, func(unmap func() error) { unmap() }, unmap)
	return m
}

// readOrMap gives the contents of a file of limited size, and their mapping when
// they are mapped.
func readOrMap(f *os.File, most int64) ([]byte, *mapping, error) {
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() && info.Size() >= mapFrom && info.Size() <= most {
		if m := newMapping(f, info.Size()); m != nil {
			return m.data, m, nil
		}
	}
	data, err := readAll(f, most)
	return data, nil, err
}

// keep makes the tensors of a model that was decoded from a mapped file keep
// the mapping; nothing else of a model lies in its file.
func (m *Model) keep(mapped *mapping) {
	if mapped == nil {
		return
	}
	m.eachTensor(func(t *Tensor) error {
		if t.lazy != nil {
			t.lazy.mapping = mapped
		}
		return nil
	})
}

// pin keeps a tensor's mapping for good when view lies in it. A slice of mapped
// memory does not keep its mapping, and a caller may hold one after the tensor
// has gone.
func (l *lazyData) pin(view []byte) {
	if l.mapping != nil && len(view) > 0 && &view[0] == &l.raw[0] {
		pinned.Store(l.mapping, nil)
	}
}

// readPart reads n bytes of a file into aligned memory. The file's size has
// been seen to be enough.
func readPart(f io.ReaderAt, offset, n int64) ([]byte, error) {
	b := AlignedBytes(int(n))
	if n == 0 {
		return b, nil
	}
	if _, err := io.ReadFull(io.NewSectionReader(f, offset, n), b); err != nil {
		return nil, err
	}
	return b, nil
}
