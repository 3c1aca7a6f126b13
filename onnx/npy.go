package onnx

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	goruntime "runtime"
	"strings"
	"unicode/utf8"
)

// The .npy format: "\x93NUMPY", a version of two bytes, the length of the
// header (two bytes in version 1, four in 2 and 3), the header (a Python
// dictionary as text), the elements.
const (
	npyMagic     = "\x93NUMPY"
	npyMaxHeader = 1 << 16
	npyMaxRank   = 64
)

// ReadNPY reads an array in NumPy's .npy format, of versions 1 to 3, into
// memory in row-major order. Unicode and byte strings become strings, without
// the zeros that pad them. What follows the array is not read, so that arrays
// can follow one another.
//
// An error matches ErrMalformed; ErrType for an array of a type that has no
// counterpart, such as pickled objects, dates and records; ErrLimit when its
// size or rank exceeds DefaultLimits; or what reading gives.
func ReadNPY(r io.Reader) (*Tensor, error) {
	h, err := readNPYHeader(r)
	if err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	t, err := h.read(r, DefaultLimits())
	if err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	return t, nil
}

// WriteNPY writes a tensor in NumPy's .npy format, version 1.0, little-endian,
// row-major: byte for byte as NumPy does. Strings become unicode ones.
//
// An error matches ErrType for an element type that NumPy has none for (of
// floating-point types it has float16, float, double and the complex ones), and
// for strings that are no valid UTF-8 or end with a zero, which a NumPy array
// cannot hold; ErrShape for a rank above 64, NumPy's limit.
func WriteNPY(w io.Writer, t *Tensor) error {
	if err := writeNPY(w, t); err != nil {
		return fmt.Errorf("npy: %w", err)
	}
	return nil
}

// npyHeader is what stands before the elements.
type npyHeader struct {
	item    npyItem
	fortran bool
	shape   []int
}

// npyItem is an element type, in NumPy's terms.
type npyItem struct {
	kind byte // of b i u f c, S for bytes, U for unicode
	size int  // bytes of an element
	big  bool // big-endian
	typ  DataType
}

// npyTypes gives the element type for a kind and size.
var npyTypes = map[string]DataType{
	"b1": Bool, "i1": Int8, "i2": Int16, "i4": Int32, "i8": Int64, "u1": Uint8, "u2": Uint16, "u4": Uint32, "u8": Uint64,
	"f2": Float16, "f4": Float, "f8": Double, "c8": Complex64, "c16": Complex128,
}

// npyName gives the kind and size for an element type, "" when there is none.
func npyName(d DataType) string {
	for name, t := range npyTypes {
		if t == d {
			return name
		}
	}
	return ""
}

func readNPYHeader(r io.Reader) (*npyHeader, error) {
	var head [8]byte
	if err := readFull(r, head[:], "the header"); err != nil {
		return nil, err
	}
	if string(head[:6]) != npyMagic {
		return nil, Errorf(ErrMalformed, "begins with %q, want %q", head[:6], npyMagic)
	}
	major, minor := head[6], head[7]
	if major < 1 || major > 3 || minor != 0 {
		return nil, Errorf(ErrUnsupported, "version %d.%d, want 1.0, 2.0 or 3.0", major, minor)
	}
	length := make([]byte, 4)
	size := length
	if major == 1 {
		size = length[:2]
	}
	if err := readFull(r, size, "the header"); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(length)
	if n > npyMaxHeader {
		return nil, &LimitError{What: "bytes of the header", Got: int64(n), Max: npyMaxHeader}
	}
	text := make([]byte, n)
	if err := readFull(r, text, "the header"); err != nil {
		return nil, err
	}
	return parseNPYHeader(string(text))
}

// readFull fills b; too few bytes are an error that says where they end.
func readFull(r io.Reader, b []byte, where string) error {
	n, err := io.ReadFull(r, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return Errorf(ErrMalformed, "truncated: %d bytes of %d in %s", n, len(b), where)
	}
	return err
}

// read reads the elements that the header announces.
func (h *npyHeader) read(r io.Reader, limits Limits) (*Tensor, error) {
	if len(h.shape) > limits.Rank {
		return nil, &LimitError{What: "rank", Got: int64(len(h.shape)), Max: int64(limits.Rank)}
	}
	n, err := NumElements(h.shape)
	if err != nil {
		return nil, err
	}
	if most := min(limits.InitializerBytes, int64(maxOf[int]())); h.cost(n) > most {
		return nil, &LimitError{What: "bytes of the array", Got: h.cost(n), Max: most}
	}
	if n > 0 && h.item.size == 0 {
		return nil, Errorf(ErrType, "strings of no bytes")
	}
	b, err := readGrowing(r, n*h.item.size)
	if err != nil {
		return nil, err
	}
	if h.fortran && len(h.shape) > 1 && n > 1 {
		b = toRowMajor(b, h.shape, h.item.size)
	}
	return h.tensor(n, b)
}

// cost is what n elements take in memory: a string takes a header, and its
// bytes a block, besides what it takes in the file.
func (h *npyHeader) cost(n int) int64 {
	size := int64(h.item.size)
	if h.item.typ == String {
		size += 32
	}
	return saturatingMul(int64(n), size)
}

// tensor makes elements of the file's bytes.
func (h *npyHeader) tensor(n int, b []byte) (*Tensor, error) {
	t := &Tensor{dtype: h.item.typ}
	t.setShape(h.shape, n)
	switch {
	case t.dtype == String:
		t.strs = make([]string, n)
		for i := range t.strs {
			s, err := h.item.text(b[i*h.item.size:][:h.item.size])
			if err != nil {
				return nil, Errorf(ErrMalformed, "element %d: %w", i, err)
			}
			t.strs[i] = s
		}
		return t, nil
	case t.dtype == Bool:
		for i, v := range b {
			if v != 0 { // as NumPy takes it; a Go bool must be 1
				b[i] = 1
			}
		}
	case h.item.big == littleEndian:
		swapBytes(t.dtype, b)
	}
	t.data = b
	return t, nil
}

// text reads a string, which zeros pad.
func (it npyItem) text(b []byte) (string, error) {
	if it.kind == 'S' {
		return string(bytes.TrimRight(b, "\x00")), nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if it.big {
		order = binary.BigEndian
	}
	for len(b) > 0 && order.Uint32(b[len(b)-4:]) == 0 {
		b = b[:len(b)-4]
	}
	out := make([]byte, 0, len(b)/4)
	for ; len(b) > 0; b = b[4:] {
		c := order.Uint32(b)
		if c > utf8.MaxRune || !utf8.ValidRune(rune(c)) {
			return "", fmt.Errorf("%#x is no character", c)
		}
		out = utf8.AppendRune(out, rune(c))
	}
	return string(out), nil
}

// readGrowing reads n bytes into aligned memory that grows with what the reader
// gives.
func readGrowing(r io.Reader, n int) ([]byte, error) {
	const first = 1 << 20
	b := AlignedBytes(min(n, first))
	for have := 0; ; {
		k, err := io.ReadFull(r, b[have:])
		have += k
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return nil, Errorf(ErrMalformed, "truncated: %d bytes of %d in the elements", have, n)
		case err != nil:
			return nil, err
		case have == n:
			return b, nil
		}
		more := AlignedBytes(have + min(have, n-have))
		copy(more, b)
		b = more
	}
}

// toRowMajor reorders elements of w bytes in which the first index varies
// fastest.
func toRowMajor(src []byte, shape []int, w int) []byte {
	dst := AlignedBytes(len(src))
	strides := make([]int, len(shape)) // in src
	stride := w
	for i, n := range shape {
		strides[i] = stride
		stride *= n
	}
	index := make([]int, len(shape))
	from := 0
	for to := 0; to < len(dst); to += w {
		copy(dst[to:to+w], src[from:from+w])
		for i := len(shape) - 1; i >= 0; i-- {
			if index[i]++; index[i] < shape[i] {
				from += strides[i]
				break
			}
			from -= (shape[i] - 1) * strides[i]
			index[i] = 0
		}
	}
	return dst
}

func writeNPY(w io.Writer, t *Tensor) error {
	if t == nil {
		return Errorf(ErrType, "no tensor")
	}
	if t.ext != nil {
		return Errorf(ErrMalformed, "external data in %q has not been read", t.ext.Location)
	}
	if t.Rank() > npyMaxRank {
		return Errorf(ErrShape, "rank %d, NumPy has at most %d", t.Rank(), npyMaxRank)
	}
	if t.dtype == String {
		return writeNPYStrings(w, t)
	}
	name := npyName(t.dtype)
	if name == "" {
		return Errorf(ErrType, "NumPy has no type for %v", t.dtype)
	}
	order := "<"
	if t.dtype.Size() == 1 {
		order = "|"
	}
	if _, err := w.Write(npyHead(order+name, t.shape)); err != nil {
		return err
	}
	_, err := w.Write(t.FileBytes())
	goruntime.KeepAlive(t)
	return err
}

// npyHead gives what stands before the elements, padded to 64 bytes. As
// NumPy's, it leaves room for the first dimension to grow in place.
func npyHead(descr string, shape []int) []byte {
	var dims strings.Builder
	for i, d := range shape {
		if i > 0 {
			dims.WriteString(" ")
		}
		fmt.Fprintf(&dims, "%d,", d)
	}
	tuple := dims.String()
	if len(shape) > 1 {
		tuple = strings.TrimSuffix(tuple, ",")
	}
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, tuple)
	if len(shape) > 0 {
		text += strings.Repeat(" ", 21-len(fmt.Sprint(shape[0])))
	}
	const before = len(npyMagic) + 2 + 2
	text += strings.Repeat(" ", 64-(before+len(text)+1)%64) + "\n"
	head := append([]byte(npyMagic), 1, 0)
	head = binary.LittleEndian.AppendUint16(head, uint16(len(text)))
	return append(head, text...)
}

// writeNPYStrings writes strings at the length of the longest one.
func writeNPYStrings(w io.Writer, t *Tensor) error {
	longest := 1
	for i, s := range t.strs {
		if !utf8.ValidString(s) {
			return Errorf(ErrType, "element %d, %.20q, is no valid UTF-8", i, s)
		}
		if strings.HasSuffix(s, "\x00") {
			return Errorf(ErrType, "element %d ends with a zero, which NumPy would drop", i)
		}
		longest = max(longest, utf8.RuneCountInString(s))
	}
	if _, err := w.Write(npyHead(fmt.Sprintf("<U%d", longest), t.shape)); err != nil {
		return err
	}
	item := make([]byte, 0, 4*longest)
	for _, s := range t.strs {
		item = item[:0]
		for _, c := range s {
			item = binary.LittleEndian.AppendUint32(item, uint32(c))
		}
		clear(item[len(item):cap(item)])
		if _, err := w.Write(item[:4*longest]); err != nil {
			return err
		}
	}
	return nil
}
