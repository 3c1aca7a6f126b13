package onnx

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
)

// loadExternal reads the elements that the model keeps in other files of its
// folder into the tensors. Nothing else opens a file that a model names.
func loadExternal(dir string, m *Model, limits Limits) error {
	uses := map[string]int{}
	m.eachExternal(func(t *Tensor) error {
		uses[fileOf(t.ext)]++
		return nil
	})
	if len(uses) == 0 {
		return nil
	}
	if goruntime.GOOS == "js" { // os.Root is open to races there
		return refuseExternal(m, "on this platform")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	e := &externalFiles{root: root, limits: limits.WithDefaults(), uses: uses, open: map[string]*externalFile{}}
	defer e.close()
	return m.eachExternal(e.read)
}

// refuseExternal gives an error when the model keeps elements in other files.
func refuseExternal(m *Model, why string) error {
	return m.eachExternal(func(t *Tensor) error {
		return Errorf(ErrUnsupported, "cannot be read %s", why)
	})
}

// eachExternal is eachTensor for tensors whose elements have not been read.
func (m *Model) eachExternal(f func(*Tensor) error) error {
	return m.eachTensor(func(t *Tensor) error {
		if t.ext == nil {
			return nil
		}
		location := t.ext.Location
		if err := f(t); err != nil {
			return &placedError{fmt.Sprintf("external data %q", location), err}
		}
		return nil
	})
}

// fileOf is the location in the platform's spelling, one for each file.
func fileOf(x *ExternalData) string { return filepath.Clean(filepath.FromSlash(x.Location)) }

// externalFiles are the files that a model's external data lies in. Each is
// opened once, and closed when the last tensor has been read from it.
type externalFiles struct {
	root   *os.Root
	limits Limits
	uses   map[string]int // tensors to be read, by file
	open   map[string]*externalFile
	bytes  int64 // of all tensors read
}

type externalFile struct {
	f        *os.File
	size     int64
	mapping  *mapping // nil when the file is read
	checksum []byte   // SHA-1 of the whole file; nil when nobody asked
}

func (e *externalFiles) close() {
	for _, f := range e.open {
		f.f.Close()
	}
}

// read gives a tensor its elements.
func (e *externalFiles) read(t *Tensor) error {
	if t.dtype == String {
		return Errorf(ErrMalformed, "of a string tensor")
	}
	want := rawLen(t.dtype, t.n)
	switch x := t.ext; {
	case x.Offset < 0:
		return Errorf(ErrMalformed, "offset %d is negative", x.Offset)
	case x.Length < -1:
		return Errorf(ErrMalformed, "length %d is negative", x.Length)
	case x.Length >= 0 && x.Length != want:
		return Errorf(ErrMalformed, "length %d, %v%v takes %d", x.Length, t.dtype, t.shape, want)
	case want > e.limits.InitializerBytes-e.bytes:
		return &LimitError{What: "bytes of tensors", Got: saturatingAdd(e.bytes, want), Max: e.limits.InitializerBytes}
	}
	e.bytes += want
	name := fileOf(t.ext)
	f := e.open[name]
	if f == nil {
		var err error
		if f, err = e.openFile(t.ext.Location, name); err != nil {
			return err
		}
		e.open[name] = f
	}
	if err := f.read(t, want, e.limits.InitializerBytes); err != nil {
		return err
	}
	if e.uses[name]--; e.uses[name] == 0 {
		f.f.Close()
		delete(e.open, name)
	}
	return nil
}

// read gives a tensor the elements, of n bytes.
func (f *externalFile) read(t *Tensor, n, most int64) error {
	x := t.ext
	if x.Offset > f.size || n > f.size-x.Offset {
		return Errorf(ErrMalformed, "%d bytes at offset %d of a file of %d", n, x.Offset, f.size)
	}
	if x.Checksum != "" {
		if err := f.verify(x.Checksum, most); err != nil {
			return err
		}
	}
	l := &lazyData{mapping: f.mapping}
	if f.mapping != nil {
		l.raw = f.mapping.data[x.Offset:][:n:n]
	} else {
		var err error
		if l.raw, err = readPart(f.f, x.Offset, n); err != nil {
			return err
		}
	}
	t.lazy, t.ext = l, nil
	return nil
}

// openFile opens a file of the model's folder: a regular one with one name,
// which neither its path nor a symbolic link leads out of the folder.
func (e *externalFiles) openFile(location, name string) (*externalFile, error) {
	if strings.HasPrefix(location, "/") || !filepath.IsLocal(name) {
		return nil, Errorf(ErrMalformed, "not a path within the model's folder")
	}
	info, err := e.root.Stat(name) // a pipe must not be opened
	if err != nil {
		return nil, notThere(err)
	}
	if !info.Mode().IsRegular() {
		return nil, Errorf(ErrMalformed, "not a regular file")
	}
	f, err := e.root.OpenFile(name, openFlags, 0)
	if err != nil {
		return nil, notThere(err)
	}
	file := &externalFile{f: f}
	if file.size, err = checkOpened(f); err != nil {
		f.Close()
		return nil, err
	}
	if file.size >= mapFrom {
		file.mapping = newMapping(f, file.size)
	}
	return file, nil
}

// checkOpened checks what was opened, whatever was there before, and gives its
// size.
func checkOpened(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, Errorf(ErrMalformed, "not a regular file")
	}
	if n := hardLinks(f, info); n > 1 { // one of them may be outside, as the target of a symbolic link may
		return 0, Errorf(ErrMalformed, "a file with %d names (hard links)", n)
	}
	return info.Size(), nil
}

// notThere tells a file that cannot be read from a path that is refused.
func notThere(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err // the location is in the message already
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return err
	}
	return Errorf(ErrMalformed, "%w", err)
}

// verify compares the SHA-1 of the whole file, as the format has it.
func (f *externalFile) verify(want string, most int64) error {
	digest, err := hex.DecodeString(want)
	if err != nil || len(digest) != sha1.Size {
		return Errorf(ErrMalformed, "checksum %q, want %d hexadecimal digits", want, 2*sha1.Size)
	}
	if f.checksum == nil {
		if f.size > most { // bytes that no tensor needs to hold
			return &LimitError{What: "bytes of a file with a checksum", Got: f.size, Max: most}
		}
		h := sha1.New()
		if _, err := io.Copy(h, io.NewSectionReader(f.f, 0, f.size)); err != nil {
			return err
		}
		f.checksum = h.Sum(nil)
	}
	if !bytes.Equal(digest, f.checksum) {
		return Errorf(ErrMalformed, "checksum is %x, want %x", f.checksum, digest)
	}
	return nil
}
