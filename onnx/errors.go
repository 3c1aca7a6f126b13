package onnx

import (
	"errors"
	"fmt"
)

// Sentinels that a caller can test with errors.Is. Every error of this module
// that has one of these causes wraps it and says where the fault lies.
var (
	// ErrMalformed: bytes or a graph that are not what the format says.
	ErrMalformed = errors.New("malformed")
	// ErrUnsupported: valid, but an operator, version, attribute or type that
	// the engine does not compute.
	ErrUnsupported = errors.New("unsupported")
	// ErrShape: a rank, dimension, length or index that does not fit.
	ErrShape = errors.New("invalid shape")
	// ErrType: an element type or kind of value that does not fit.
	ErrType = errors.New("invalid type")
	// ErrLimit: a limit of Limits or the budget of a run is exceeded. The
	// error is a *LimitError.
	ErrLimit = errors.New("limit exceeded")
)

// LimitError reports a value above its limit. It matches ErrLimit.
type LimitError struct {
	What  string // the limited quantity, such as "nodes" or "run memory"
	Got   int64  // the value that was asked for
	Max   int64  // the limit
	Where string // the place, empty when the caller adds it
}

// Error says what exceeded which limit, and where if that is known.
func (e *LimitError) Error() string {
	s := fmt.Sprintf("%s: %d exceeds the limit of %d", e.What, e.Got, e.Max)
	if e.Where != "" {
		s = e.Where + ": " + s
	}
	return s
}

// Unwrap makes errors.Is(err, ErrLimit) true.
func (e *LimitError) Unwrap() error { return ErrLimit }

// Errorf formats an error that wraps one of the sentinels without repeating
// the sentinel's words: the text is the message alone.
func Errorf(kind error, format string, args ...any) error {
	return &kindError{kind: kind, err: fmt.Errorf(format, args...)}
}

type kindError struct{ kind, err error }

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.kind, e.err} }
