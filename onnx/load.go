package onnx

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	goruntime "runtime"
)

// Load reads a model from a file, and what it keeps outside of it from the
// file's folder. o may be nil. An error says the path, and matches what Decode's
// errors match or, when the file cannot be read, an error of package fs.
func Load(path string, o *DecodeOptions) (*Model, error) {
	limits := newDecoder(nil, o).limits
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, mapped, err := readOrMap(f, limits.FileBytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	m, err := Decode(data, o)
	goruntime.KeepAlive(mapped)
	if err == nil {
		m.keep(mapped)
		err = loadExternal(filepath.Dir(path), m, limits)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	m.Path = path
	return m, nil
}

// LoadFS is Load from a file system, such as an embed.FS. A model with
// external data cannot be read this way: the error matches ErrUnsupported.
func LoadFS(fsys fs.FS, name string, o *DecodeOptions) (*Model, error) {
	if fsys == nil {
		return nil, Errorf(ErrMalformed, "%s: no file system", name)
	}
	limits := newDecoder(nil, o).limits
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := readAll(f, limits.FileBytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	m, err := Decode(data, o)
	if err == nil {
		err = refuseExternal(m, "from a file system of this kind")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	m.Path = name
	return m, nil
}

// readAll reads a regular file that is not above a size.
func readAll(f fs.File, most int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, Errorf(ErrMalformed, "a folder, want a .onnx file")
	}
	if info.Size() > most {
		return nil, &LimitError{What: "file bytes", Got: info.Size(), Max: most}
	}
	data := AlignedBytes(int(info.Size()))
	n, err := io.ReadFull(f, data)
	switch {
	case err == io.ErrUnexpectedEOF || err == io.EOF: // shorter than it said
		return data[:n:n], nil
	case err != nil:
		return nil, err
	}
	if info.Mode().IsRegular() {
		return data, nil
	}
	rest, err := io.ReadAll(io.LimitReader(f, most-int64(n)+1)) // a pipe has no size
	if err != nil {
		return nil, err
	}
	if data = append(data, rest...); int64(len(data)) > most {
		return nil, &LimitError{What: "file bytes", Got: int64(len(data)), Max: most}
	}
	return data, nil
}
