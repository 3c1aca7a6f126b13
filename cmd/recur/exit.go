package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// The exit codes; recur --help lists them.
const (
	exitOK          = 0
	exitMismatch    = 1
	exitUsage       = 2
	exitUnsupported = 3
	exitLimit       = 4
	exitInterrupted = 130
)

// usageError is a command line that cannot be followed.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// hintedError is a usageError that says itself what to do, so that no line
// about --help is needed.
type hintedError struct{ err error }

func (e *hintedError) Error() string { return e.err.Error() }
func (e *hintedError) Unwrap() error { return e.err }

func hintf(format string, args ...any) error { return &hintedError{usagef(format, args...)} }

// statusError is an outcome that has been printed already, or that needs no
// more than the message.
type statusError struct {
	code    int
	message string
}

func (e *statusError) Error() string { return e.message }

// exitCode maps every error to the code that the process ends with.
func exitCode(err error) int {
	var status *statusError
	var invalid *onnx.CheckError
	var refused *rt.RefusalError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &status):
		return status.code
	case errors.As(err, &invalid):
		code := exitOK
		for _, p := range invalid.Problems {
			code = worse(code, exitCode(p))
		}
		return code
	case errors.As(err, &refused) && len(refused.Refusals) > 0:
		code := exitOK
		for _, r := range refused.Refusals {
			code = worse(code, exitCode(r.Err))
		}
		return code
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, new(*usageError)), errors.Is(err, fs.ErrNotExist):
		return exitUsage
	case errors.Is(err, onnx.ErrLimit), errors.Is(err, context.DeadlineExceeded):
		return exitLimit
	case errors.Is(err, onnx.ErrUnsupported):
		return exitUnsupported
	}
	return exitMismatch
}

// describe gives what stderr says about an error.
func describe(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.Canceled):
		return "interrupted"
	}
	return err.Error()
}

// worse gives the code that tells more of the two: an interruption, then what
// is wrong, then limits, then what is not supported.
func worse(a, b int) int {
	for _, code := range []int{exitInterrupted, exitMismatch, exitUsage, exitLimit, exitUnsupported} {
		if a == code || b == code {
			return code
		}
	}
	return exitOK
}
