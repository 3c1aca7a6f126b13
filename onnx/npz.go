package onnx

import (
	"archive/zip"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Limits of .npz files: a bomb has few bytes and makes many of them.
const (
	npzMaxEntries = 1 << 16
	npzMaxRatio   = 200
	npzSmall      = 1 << 20 // below it the ratio does not matter
)

// ReadNPZ reads the arrays of a file in NumPy's .npz format: a zip archive of
// .npy files, stored or deflated, that keep their names without ".npy". Other
// entries are passed over. Names are names, never paths.
//
// An error matches what ReadNPY's errors match, or ErrUnsupported for another
// compression or encryption. It matches ErrLimit when the archive has more than
// 65,536 entries, when an entry above 1 MiB is more than 200 times as large as
// what it takes in the archive (or all entries are, together), and when they
// exceed DefaultLimits.
func ReadNPZ(r io.ReaderAt, size int64) (map[string]*Tensor, error) {
	tensors, err := readNPZ(r, size, DefaultLimits())
	if err != nil {
		return nil, fmt.Errorf("npz: %w", err)
	}
	return tensors, nil
}

func readNPZ(r io.ReaderAt, size int64, limits Limits) (map[string]*Tensor, error) {
	archive, err := zip.NewReader(r, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, zipError(err)
	}
	if n := len(archive.File); n > npzMaxEntries {
		return nil, &LimitError{What: "entries", Got: int64(n), Max: npzMaxEntries}
	}
	entries, err := npzEntries(archive, size, limits)
	if err != nil {
		return nil, err
	}
	tensors := make(map[string]*Tensor, len(entries))
	for _, f := range entries {
		t, err := readNPZEntry(f, &limits)
		if err != nil {
			return nil, fmt.Errorf("entry %q: %w", f.Name, err)
		}
		tensors[npzName(f)] = t
	}
	return tensors, nil
}

func npzName(f *zip.File) string { return strings.TrimSuffix(f.Name, ".npy") }

// npzEntries gives the arrays of an archive, after a look at what they claim.
func npzEntries(archive *zip.Reader, size int64, limits Limits) ([]*zip.File, error) {
	var entries []*zip.File
	seen := map[string]bool{}
	total := uint64(0)
	for _, f := range archive.File {
		if !strings.HasSuffix(f.Name, ".npy") {
			continue
		}
		if seen[f.Name] {
			return nil, Errorf(ErrMalformed, "two entries %q", f.Name)
		}
		seen[f.Name] = true
		if f.CompressedSize64 > uint64(size) {
			return nil, Errorf(ErrMalformed, "entry %q: %d bytes in an archive of %d", f.Name, f.CompressedSize64, size)
		}
		if err := checkRatio(f.UncompressedSize64, f.CompressedSize64); err != nil {
			return nil, fmt.Errorf("entry %q: %w", f.Name, err)
		}
		if most := uint64(limits.InitializerBytes); f.UncompressedSize64 > most-total {
			return nil, &LimitError{What: "bytes of all entries", Got: saturatingAdd(int64(total), int64(min(f.UncompressedSize64, 1<<62))), Max: limits.InitializerBytes}
		}
		total += f.UncompressedSize64
		entries = append(entries, f)
	}
	return entries, checkRatio(total, uint64(size)) // entries may share bytes of the archive
}

// checkRatio bounds what compressed bytes may become.
func checkRatio(size, compressed uint64) error {
	if size > npzSmall && size/npzMaxRatio >= max(compressed, 1) {
		return &LimitError{What: "compression ratio", Got: int64(size / max(compressed, 1)), Max: npzMaxRatio}
	}
	return nil
}

// readNPZEntry reads an array, and takes what it costs from the limit.
func readNPZEntry(f *zip.File, limits *Limits) (*Tensor, error) {
	if f.Flags&1 != 0 {
		return nil, Errorf(ErrUnsupported, "encrypted")
	}
	r, err := f.Open()
	if err != nil {
		return nil, zipError(err)
	}
	defer r.Close()
	in := &entryReader{r}
	h, err := readNPYHeader(in)
	if err != nil {
		return nil, err
	}
	t, err := h.read(in, *limits)
	if err != nil {
		return nil, err
	}
	limits.InitializerBytes -= h.cost(t.n)
	_, err = io.Copy(io.Discard, in) // the checksum is compared at the end
	return t, err
}

// entryReader gives the module's errors for those of package zip.
type entryReader struct{ r io.Reader }

func (e *entryReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err != nil && err != io.EOF {
		err = zipError(err)
	}
	return n, err
}

// zipError sorts an error of package zip.
func zipError(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, zip.ErrAlgorithm):
		return Errorf(ErrUnsupported, "%w", err)
	case errors.Is(err, zip.ErrFormat), errors.Is(err, zip.ErrChecksum), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.As(err, &corrupt):
		return Errorf(ErrMalformed, "%w", err)
	}
	return err
}

// WriteNPZ writes tensors in NumPy's .npz format, uncompressed, in the order of
// their names: the same tensors give the same bytes. An error matches what
// WriteNPY's errors match; w may have a part of the file then.
func WriteNPZ(w io.Writer, tensors map[string]*Tensor) error {
	archive := zip.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		entry, err := archive.CreateHeader(&zip.FileHeader{Name: name + ".npy", Method: zip.Store, Modified: npzTime})
		if err == nil {
			err = writeNPY(entry, tensors[name])
		}
		if err != nil {
			return fmt.Errorf("npz: entry %q: %w", name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("npz: %w", err)
	}
	return nil
}

// npzTime is the earliest time that a zip archive can tell.
var npzTime = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
