//go:build !unix

package onnx

import (
	"errors"
	"os"
)

// mapFile would map a file for reading; this platform does not.
func mapFile(*os.File, int64) ([]byte, func() error, error) {
	return nil, nil, errors.ErrUnsupported
}
