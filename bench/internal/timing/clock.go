// Package timing measures two functions side by side.
package timing

import "time"

// Clock tells seconds from some start.
type Clock func() float64

var start = time.Now()

// Wall is the time that passes.
func Wall() float64 { return time.Since(start).Seconds() }
