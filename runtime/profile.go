package runtime

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Profile collects how often the nodes of a session run and how long they
// take. The zero Profile is ready to use, by any number of runs at a time and
// by several sessions. It counts each node that runs, which those of the file
// need not be: the rewrite passes come first, and Session.Model shows what they
// left.
//
// Two readings of the clock a node, about 0.1 µs, are what it costs.
type Profile struct {
	mu    sync.Mutex
	nodes map[nodeKey]*nodeCounter
}

// WithProfile makes a session's runs count in p. Without it nothing is
// measured.
func WithProfile(p *Profile) Option { return func(o *options) { o.profile = p } }

// NodeProfile is what a Profile knows of a node. Nodes of bodies are among
// them; nodes of one name and operator count as one.
type NodeProfile struct {
	Name  string // the node's, or that of its first output
	Op    string // "LSTM-14", "ai.recur:FusedGemm-1"
	Calls int64
	Total time.Duration // of all calls, bodies included
	Self  time.Duration // Total without the nodes of its bodies
}

// nodeKey tells the nodes of a profile apart.
type nodeKey struct{ name, op string }

type nodeCounter struct{ calls, total, self atomic.Int64 }

// Nodes gives the nodes that have run since the last Reset, the one of the
// longest Self first.
func (p *Profile) Nodes() []NodeProfile {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []NodeProfile
	for k, c := range p.nodes {
		if n := c.calls.Load(); n > 0 {
			list = append(list, NodeProfile{k.name, k.op, n, time.Duration(c.total.Load()), time.Duration(c.self.Load())})
		}
	}
	slices.SortFunc(list, func(a, b NodeProfile) int {
		return cmp.Or(cmp.Compare(b.Self, a.Self), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Op, b.Op))
	})
	return list
}

// Reset forgets what was counted.
func (p *Profile) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.nodes {
		c.calls.Store(0)
		c.total.Store(0)
		c.self.Store(0)
	}
}

// counters gives the counter of each step of a program, nil without a profile.
func (p *Profile) counters(prog *program) []*nodeCounter {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.nodes == nil {
		p.nodes = map[nodeKey]*nodeCounter{}
	}
	list := make([]*nodeCounter, len(prog.steps))
	for i := range prog.steps {
		s := &prog.steps[i]
		k := nodeKey{s.node.Label(), s.node.Operator(s.since)}
		if p.nodes[k] == nil {
			p.nodes[k] = &nodeCounter{}
		}
		list[i] = p.nodes[k]
	}
	return list
}

// timed runs the current step and counts it. Within a run steps are nested, in
// bodies, and never side by side: run.nested is the time of those within the
// step around.
func (f *frame) timed(c *nodeCounter) error {
	around := f.run.nested
	f.run.nested = 0
	start := time.Now()
	err := f.one(f.step)
	took := time.Since(start)
	c.calls.Add(1)
	c.total.Add(int64(took))
	c.self.Add(int64(took - f.run.nested))
	f.run.nested = around + took
	return err
}
