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
	if !m.hasExternal() {
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
	e := &externalFiles{root: root, limits: limits.WithDefaults(), files: map[string]*externalFile{}}
	defer e.close()
	return m.eachTensor(func(t *Tensor) error {
		if t.ext == nil {
			return nil
		}
		if err := e.read(t); err != nil {
			return fmt.Errorf("external data %q: %w", t.ext.Location, err)
		}
		return nil
	})
}

// refuseExternal gives an error when the model keeps elements in other files.
func refuseExternal(m *Model, why string) error {
	return m.eachTensor(func(t *Tensor) error {
		if t.ext == nil {
			return nil
		}
		return Errorf(ErrUnsupported, "external data %q cannot be read %s", t.ext.Location, why)
	})
}

var errFound = errors.New("found")

func (m *Model) hasExternal() bool {
	return m.eachTensor(func(t *Tensor) error {
		if t.ext != nil {
			return errFound
		}
		return nil
	}) != nil
}

// externalFiles are the files that a model's external data lies in, each
// opened once.
type externalFiles struct {
	root   *os.Root
	limits Limits
	files  map[string]*externalFile
	bytes  int64 // of all tensors read
}

type externalFile struct {
	f        *os.File
	size     int64
	mapping  *mapping // nil when the file is read
	checksum []byte   // SHA-1 of the whole file; nil when nobody asked
}

func (e *externalFiles) close() {
	for _, f := range e.files {
		f.f.Close()
	}
}

// read gives a tensor its elements.
func (e *externalFiles) read(t *Tensor) error {
	want := rawLen(t.dtype, t.n)
	switch x := t.ext; {
	case t.dtype == String:
		return Errorf(ErrMalformed, "of a string tensor")
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
	f, err := e.open(t.ext.Location)
	if err != nil {
		return err
	}
	if t.ext.Offset > f.size || want > f.size-t.ext.Offset {
		return Errorf(ErrMalformed, "%d bytes at offset %d of a file of %d", want, t.ext.Offset, f.size)
	}
	if t.ext.Checksum != "" {
		if err := f.verify(t.ext.Checksum, e.limits.InitializerBytes); err != nil {
			return err
		}
	}
	l := &lazyData{mapping: f.mapping}
	if f.mapping != nil {
		l.raw = f.mapping.data[t.ext.Offset:][:want:want]
	} else if l.raw, err = readPart(f.f, t.ext.Offset, want); err != nil {
		return err
	}
	t.lazy, t.ext = l, nil
	return nil
}

// open opens a file of the model's folder: a regular one with one name, which
// neither its path nor a symbolic link leads out of the folder.
func (e *externalFiles) open(location string) (*externalFile, error) {
	name := filepath.Clean(filepath.FromSlash(location))
	if f := e.files[name]; f != nil {
		return f, nil
	}
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
	e.files[name] = file
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
