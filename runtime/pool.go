package runtime

import (
	"sync"
	"sync/atomic"
)

// runPool keeps runs that are at rest. One of them outlives the collections of
// garbage, which empty a sync.Pool: a single caller finds it again each time.
type runPool struct {
	last atomic.Pointer[run]
	rest sync.Pool
}

// get gives a run that nobody uses, nil when there is none.
func (p *runPool) get() *run {
	if r := p.last.Load(); r != nil && p.last.CompareAndSwap(r, nil) {
		return r
	}
	r, _ := p.rest.Get().(*run)
	return r
}

func (p *runPool) put(r *run) {
	if p.last.Load() == nil && p.last.CompareAndSwap(nil, r) {
		return
	}
	p.rest.Put(r)
}

func (p *runPool) clear() {
	p.last.Store(nil)
	p.rest = sync.Pool{}
}
