package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// byteSize is a flag for a number of bytes, such as 512MiB or 2GB.
type byteSize int64

var byteUnits = []struct {
	suffix string
	factor float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"T", 1 << 40}, {"B", 1},
}

// Set reads the flag.
func (b *byteSize) Set(s string) error {
	factor, number := 1.0, s
	for _, u := range byteUnits {
		if len(s) > len(u.suffix) && strings.EqualFold(s[len(s)-len(u.suffix):], u.suffix) {
			factor, number = u.factor, s[:len(s)-len(u.suffix)]
			break
		}
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !(v > 0) || v*factor >= math.MaxInt64 {
		return fmt.Errorf("want a size such as 512MiB or 2GB")
	}
	*b = byteSize(v * factor)
	return nil
}

// Type names the flag's argument in the help.
func (b *byteSize) Type() string { return "size" }

// String writes the flag's value; 0 stands for the default.
func (b *byteSize) String() string {
	if *b == 0 {
		return ""
	}
	return formatBytes(int64(*b))
}

// formatBytes writes a number of bytes for people: "430.3 KiB".
func formatBytes(n int64) string {
	const units = "KMGTPE"
	v, unit := float64(n), -1
	for v >= 1024 && unit < len(units)-1 {
		v /= 1024
		unit++
	}
	if unit < 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %ciB", v, units[unit])
}
