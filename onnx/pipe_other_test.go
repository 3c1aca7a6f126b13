//go:build !unix || solaris || illumos || aix

package onnx

import "testing"

func pipe(*testing.T, string) {}
