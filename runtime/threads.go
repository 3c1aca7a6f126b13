package runtime

import (
	"fmt"
	goruntime "runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// busy counts the goroutines that compute in this process: those that called
// Run, and the workers that they borrowed. Workers are only started while it
// is below GOMAXPROCS.
var busy atomic.Int64

// borrow takes up to n workers from the process, without waiting.
func borrow(n int) int {
	limit := int64(goruntime.GOMAXPROCS(0))
	for {
		now := busy.Load()
		take := min(int64(n), limit-now)
		if take <= 0 {
			return 0
		}
		if busy.CompareAndSwap(now, now+take) {
			return int(take)
		}
	}
}

func giveBack(n int) { busy.Add(-int64(n)) }

// parallel calls f for ranges that cover 0..n-1, multiples of grain but for
// the last, on up to threads goroutines, the caller's own among them. A panic
// in any of them is raised again on the caller's.
func parallel(threads, n, grain int, f func(lo, hi int)) {
	grain = max(grain, 1)
	chunks := (n + grain - 1) / grain
	extra := 0
	if want := min(threads, chunks) - 1; want > 0 {
		extra = borrow(want)
	}
	if extra == 0 {
		f(0, n)
		return
	}
	defer giveBack(extra)
	size := (chunks + extra) / (extra + 1) * grain
	var wg sync.WaitGroup
	var failed atomic.Pointer[workerPanic]
	for lo := size; lo < n; lo += size {
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() {
				if r := recover(); r != nil {
					failed.CompareAndSwap(nil, &workerPanic{r, debug.Stack()})
				}
			}()
			f(lo, min(lo+size, n))
		}()
	}
	func() {
		defer wg.Wait()
		f(0, min(size, n))
	}()
	if p := failed.Load(); p != nil {
		panic(p)
	}
}

type workerPanic struct {
	value any
	stack []byte
}

func (p *workerPanic) String() string { return fmt.Sprintf("%v\n%s", p.value, p.stack) }
