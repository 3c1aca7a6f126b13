//go:build !linux

package runtime

// physicalMemory is not asked for on this platform.
func physicalMemory() int64 { return 0 }
