package runtime

import (
	"math"
	"runtime/debug"
)

// DefaultRunBytes is the memory that one run may take where the limits do not
// say: half of GOMEMLIMIT when that is set, else the smaller of 4 GiB and half
// of the machine's memory.
func DefaultRunBytes() int64 {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return limit / 2
	}
	budget := int64(4) << 30
	if total := physicalMemory(); total > 0 {
		budget = min(budget, total/2)
	}
	if math.MaxInt == math.MaxInt32 {
		budget = min(budget, 1<<30)
	}
	return budget
}
