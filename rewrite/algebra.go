package rewrite

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/recur-ml/recur/onnx"
)

// exprKind says what an expression is.
type exprKind uint8

const (
	exprInput   exprKind = iota // what a step reads of sequence number index
	exprState                   // state number index before the step
	exprOuter                   // a value from outside, the same at every step
	exprConst                   // a constant
	exprCounter                 // the number of the step + index, an integer
	exprOpaque                  // anything else: a value of which nothing is known
	exprSum                     // of args
	exprProd                    // of args
	exprUnary                   // function name of args[0]
	exprMatMul                  // args[0] times the matrix k
	exprSlice                   // columns index..hi-1 of args[0]
	exprConcat                  // args side by side along the last axis
	exprSelect                  // args[1] where args[0] holds, args[2] elsewhere
	exprLess                    // args[0] < args[1]
	exprNot                     // of a mask
	exprAnd                     // of args
	exprColumn                  // a mask of [B] as one of [B,1]
	exprFlag                    // a mask as numbers, 1 where it holds
)

// expr is a node of the graph of expressions that a step computes. Equal
// expressions are one node. Numbers have their rows in the first axis and their
// columns in the last.
type expr struct {
	id          int
	kind        exprKind
	args        []*expr
	index, hi   int
	name        string
	alpha, beta float64
	k           *view
	width       int // of the last axis, -1 when it is not known
	rank        int // -1 when it is not known
	states      uint64
	zero        int8 // of a constant: 1 if all elements are 0, -1 if not, 0 while not known
}

// algebra makes expressions. What it makes is in a normal form as far as
// recognising a cell needs it: slices stand at the leaves, sums and products
// are flat, a product with side-by-side factors is a sum of products.
type algebra struct {
	known map[string]*expr
	cuts  map[cutOf]*expr // slices that were taken
	elem  onnx.DataType   // of the numbers
	zeros bool            // whether outer values that are zero count as constants
}

type cutOf struct {
	e      *expr
	lo, hi int
}

// maxTerms bounds the arguments of a sum or a product: what has more is no part
// of a cell, and putting it in normal form would take long.
const maxTerms = 64

// long is a sum or a product of too many arguments.
func (a *algebra) long(name string, args []*expr) *expr {
	e := expr{kind: exprOpaque, name: name, args: args}
	e.width, e.rank = widest(args)
	return a.intern(e)
}

func newAlgebra(elem onnx.DataType) *algebra {
	return &algebra{known: map[string]*expr{}, cuts: map[cutOf]*expr{}, elem: elem}
}

// intern gives the one expression that equals e.
func (a *algebra) intern(e expr) *expr {
	var key strings.Builder
	fmt.Fprintf(&key, "%d %d %d %s %g %g", e.kind, e.index, e.hi, e.name, e.alpha, e.beta)
	for _, x := range e.args {
		fmt.Fprintf(&key, " %d", x.id)
		e.states |= x.states
	}
	if e.k != nil {
		key.WriteString(e.k.key())
	}
	if e.kind == exprState {
		e.states = 1 << e.index
	}
	if old := a.known[key.String()]; old != nil {
		return old
	}
	e.id = len(a.known)
	a.known[key.String()] = &e
	return &e
}

func (a *algebra) constant(v *view) *expr {
	return a.intern(expr{kind: exprConst, k: v, width: v.last(), rank: v.rank()})
}

// number is a scalar of the pass's own.
func (a *algebra) number(x float64) *expr {
	e := expr{kind: exprConst, alpha: x, name: "number", width: 1}
	return a.intern(e)
}

// isNumber gives the value of a scalar constant.
func isNumber(e *expr) (float64, bool) {
	if e.kind != exprConst {
		return 0, false
	}
	if e.k == nil {
		return e.alpha, true
	}
	if e.k.rank() > 0 {
		return 0, false
	}
	return e.k.scalar()
}

// isZero reports whether e is certainly 0 everywhere.
func isZero(e *expr) bool {
	if e.kind != exprConst {
		return false
	}
	if e.k == nil {
		return e.alpha == 0
	}
	if e.zero == 0 {
		if e.zero = -1; e.k.zero() {
			e.zero = 1
		}
	}
	return e.zero > 0
}

func widest(args []*expr) (width, rank int) {
	width = 1
	for _, x := range args {
		if x.width < 0 {
			width = -1
		} else if x.width > width && width >= 0 {
			width = x.width
		}
		if x.rank < 0 || rank < 0 {
			rank = -1
		} else {
			rank = max(rank, x.rank)
		}
	}
	return width, rank
}

// canonical sorts the arguments of a commutative expression.
func canonicalArgs(args []*expr) []*expr {
	args = slices.Clone(args)
	slices.SortFunc(args, func(x, y *expr) int { return x.id - y.id })
	return args
}

func (a *algebra) sum(args ...*expr) *expr {
	var flat []*expr
	number, numbers := 0.0, 0
	var add func(e *expr)
	add = func(e *expr) {
		if e.kind == exprSum {
			for _, x := range e.args {
				add(x)
			}
			return
		}
		if x, ok := isNumber(e); ok {
			number += x
			numbers++
			return
		}
		flat = append(flat, e)
	}
	for _, e := range args {
		add(e)
	}
	if len(flat) > maxTerms {
		return a.long("sum", args)
	}
	flat = a.blend(flat)
	width, _ := widest(flat)
	flat = slices.DeleteFunc(flat, func(e *expr) bool {
		return isZero(e) && len(flat) > 1 && (e.width == 1 || e.width == width) && e.rank < 2
	})
	if numbers > 0 && (number != 0 || len(flat) == 0) {
		flat = append(flat, a.number(number))
	}
	if len(flat) == 1 {
		return flat[0]
	}
	flat = canonicalArgs(flat)
	e := expr{kind: exprSum, args: flat}
	e.width, e.rank = widest(flat)
	return a.intern(e)
}

// blend joins m*x and (1-m)*y, of one mask m, to the choice between x and y.
func (a *algebra) blend(terms []*expr) []*expr {
	for i := 0; i < len(terms); i++ {
		for j := i + 1; j < len(terms); j++ {
			x, y := terms[i], terms[j]
			if x.kind != exprSelect || y.kind != exprSelect || x.args[0] != y.args[0] {
				continue
			}
			if isZero(x.args[1]) && isZero(y.args[2]) {
				x, y = y, x
			}
			if !isZero(x.args[2]) || !isZero(y.args[1]) {
				continue
			}
			terms = slices.Delete(slices.Clone(terms), j, j+1)
			terms[i] = a.choose(x.args[0], x.args[1], y.args[2])
			j = i
		}
	}
	return terms
}

func (a *algebra) prod(args ...*expr) *expr {
	var flat, masks []*expr
	number := 1.0
	var add func(e *expr)
	add = func(e *expr) {
		if e.kind == exprProd {
			for _, x := range e.args {
				add(x)
			}
			return
		}
		if x, ok := isNumber(e); ok {
			number *= x
			return
		}
		if e.kind == exprFlag {
			masks = append(masks, e.args[0])
			return
		}
		flat = append(flat, e)
	}
	for _, e := range args {
		add(e)
	}
	if len(flat)+len(masks) > maxTerms {
		return a.long("product", args)
	}
	for _, e := range flat {
		if isZero(e) {
			number = 0
		}
	}
	if number == 0 {
		return a.number(0)
	}
	var e *expr
	switch {
	case len(flat) == 0:
		e = a.number(number)
	case len(flat) == 1 && number == 1:
		e = flat[0]
	default:
		if len(flat) == 1 {
			if s := a.scaledClip(flat[0], number); s != nil {
				e = s
				break
			}
		}
		if number != 1 {
			flat = append(flat, a.number(number))
		}
		flat = canonicalArgs(flat)
		p := expr{kind: exprProd, args: flat}
		p.width, p.rank = widest(flat)
		e = a.intern(p)
	}
	for _, m := range masks {
		e = a.choose(m, e, a.number(0))
	}
	return e
}

func (a *algebra) neg(e *expr) *expr    { return a.prod(a.number(-1), e) }
func (a *algebra) sub(x, y *expr) *expr { return a.sum(x, a.neg(y)) }

// oneMinus is 1 - e.
func (a *algebra) oneMinus(e *expr) *expr {
	if e.kind == exprFlag {
		return a.flag(a.not(e.args[0]))
	}
	if e.kind == exprSum && len(e.args) == 2 { // 1 - (1 - u) is u
		for i, t := range e.args {
			f := factors(e.args[1-i])
			if x, ok := isNumber(t); ok && x == 1 && len(f) > 1 && slices.Contains(f, a.number(-1)) {
				return a.without(e.args[1-i], a.number(-1))
			}
		}
	}
	return a.sub(a.number(1), e)
}

func (a *algebra) unary(name string, alpha, beta float64, x *expr) *expr {
	return a.intern(expr{kind: exprUnary, name: name, alpha: alpha, beta: beta, args: []*expr{x}, width: x.width, rank: x.rank})
}

// clip bounds x; with the bounds 0 and 1 it is a HardSigmoid, without an upper
// bound from 0 on a Relu.
func (a *algebra) clip(x *expr, lo, hi float64) *expr {
	if x.kind == exprUnary && x.name == "Clip" {
		lo, hi = min(max(x.alpha, lo), hi), max(min(x.beta, hi), lo)
		x = x.args[0]
	} else if x.kind == exprUnary && x.name == "Relu" && hi > 0 {
		lo, x = max(lo, 0), x.args[0]
	}
	switch {
	case lo == 0 && math.IsInf(hi, 1):
		return a.unary("Relu", 0, 0, x)
	case lo == 0 && hi == 1:
		return a.hardSigmoid(x, 1)
	}
	return a.unary("Clip", lo, hi, x)
}

// scaledClip is a clipping from 0 to hi, times 1/hi: a HardSigmoid. Nil when
// e is none.
func (a *algebra) scaledClip(e *expr, scale float64) *expr {
	if e.kind != exprUnary || e.name != "Clip" || e.alpha != 0 || math.Abs(e.beta*scale-1) > 1e-6 {
		return nil
	}
	return a.hardSigmoid(e.args[0], scale)
}

// hardSigmoid is clip(scale*x, 0, 1), where x may be alpha*y + beta.
func (a *algebra) hardSigmoid(x *expr, scale float64) *expr {
	alpha, beta := 1.0, 0.0
	if x.kind == exprSum {
		var rest []*expr
		for _, t := range x.args {
			if n, ok := isNumber(t); ok {
				beta += n
			} else {
				rest = append(rest, t)
			}
		}
		x = a.sum(rest...)
	}
	if x.kind == exprProd {
		var rest []*expr
		for _, t := range x.args {
			if n, ok := isNumber(t); ok {
				alpha *= n
			} else {
				rest = append(rest, t)
			}
		}
		x = a.prod(rest...)
	}
	return a.unary("HardSigmoid", round32(alpha*scale), round32(beta*scale), x)
}

// round32 gives the float32 next to x: what an attribute can hold.
func round32(x float64) float64 { return float64(float32(x)) }

// matMul multiplies x by a constant matrix.
func (a *algebra) matMul(x *expr, k *view) *expr {
	rows := k.size(0)
	switch x.kind {
	case exprConcat:
		var terms []*expr
		at, unknown := 0, 0
		for _, p := range x.args {
			at += max(p.width, 0)
			if p.width < 0 {
				unknown++
			}
		}
		if unknown > 1 || unknown == 0 && at != rows || at > rows {
			break
		}
		rest := rows - at
		at = 0
		for _, p := range x.args {
			w := p.width
			if w < 0 {
				w = rest
			}
			terms = append(terms, a.matMul(p, k.slice(0, at, at+w)))
			at += w
		}
		return a.sum(terms...)
	case exprConst:
		if isZero(x) && x.k == nil {
			return x
		}
	}
	return a.intern(expr{kind: exprMatMul, args: []*expr{x}, k: k, width: k.size(1), rank: x.rank})
}

// slice takes the columns lo..hi-1.
func (a *algebra) slice(e *expr, lo, hi int) *expr {
	if done := a.cuts[cutOf{e, lo, hi}]; done != nil {
		return done
	}
	done := a.sliceOf(e, lo, hi)
	a.cuts[cutOf{e, lo, hi}] = done
	return done
}

func (a *algebra) sliceOf(e *expr, lo, hi int) *expr {
	if e.width >= 0 && lo == 0 && hi == e.width {
		return e
	}
	each := func(args []*expr) []*expr {
		out := make([]*expr, len(args))
		for i, x := range args {
			if out[i] = x; x.width != 1 {
				out[i] = a.slice(x, lo, hi)
			}
		}
		return out
	}
	if e.width >= 0 {
		switch e.kind {
		case exprConst:
			if e.k != nil && e.k.rank() > 0 {
				return a.constant(e.k.slice(e.k.rank()-1, lo, hi))
			}
		case exprSum:
			return a.sum(each(e.args)...)
		case exprProd:
			return a.prod(each(e.args)...)
		case exprUnary:
			return a.unary(e.name, e.alpha, e.beta, a.slice(e.args[0], lo, hi))
		case exprMatMul:
			return a.matMul(e.args[0], e.k.slice(1, lo, hi))
		case exprSelect:
			return a.choose(e.args[0], each(e.args[1:2])[0], each(e.args[2:])[0])
		case exprSlice:
			return a.slice(e.args[0], e.index+lo, e.index+hi)
		case exprConcat:
			var parts []*expr
			at := 0
			for _, p := range e.args {
				if p.width < 0 {
					parts = nil
					break
				}
				if from, to := max(lo-at, 0), min(hi-at, p.width); from < to {
					parts = append(parts, a.slice(p, from, to))
				}
				at += p.width
			}
			if parts != nil {
				return a.concat(parts)
			}
		}
	}
	return a.intern(expr{kind: exprSlice, args: []*expr{e}, index: lo, hi: hi, width: hi - lo, rank: e.rank})
}

// concat puts expressions side by side; neighbours that were cut from one
// another are joined again.
func (a *algebra) concat(parts []*expr) *expr {
	var flat []*expr
	for _, p := range parts {
		if p.kind == exprConcat {
			flat = append(flat, p.args...)
		} else {
			flat = append(flat, p)
		}
	}
	for i := 0; i+1 < len(flat); i++ {
		x, y := flat[i], flat[i+1]
		if x.kind == exprSlice && y.kind == exprSlice && x.args[0] == y.args[0] && x.hi == y.index {
			flat = append(append(slices.Clone(flat[:i]), a.slice(x.args[0], x.index, y.hi)), flat[i+2:]...)
			i--
		}
	}
	if len(flat) == 1 {
		return flat[0]
	}
	e := expr{kind: exprConcat, args: flat, rank: flat[0].rank}
	for _, p := range flat {
		if p.width < 0 {
			e.width = -1
			break
		}
		e.width += p.width
	}
	return a.intern(e)
}

// choose is x where the mask holds, y elsewhere.
func (a *algebra) choose(mask, x, y *expr) *expr {
	if mask.kind == exprNot {
		mask, x, y = mask.args[0], y, x
	}
	if x == y {
		return x
	}
	if x.kind == exprSelect && x.args[0] == mask {
		x = x.args[1]
	}
	if y.kind == exprSelect && y.args[0] == mask {
		y = y.args[2]
	}
	e := expr{kind: exprSelect, args: []*expr{mask, x, y}}
	e.width, e.rank = widest([]*expr{x, y})
	return a.intern(e)
}

func (a *algebra) not(m *expr) *expr {
	if m.kind == exprNot {
		return m.args[0]
	}
	return a.intern(expr{kind: exprNot, args: []*expr{m}, width: m.width, rank: m.rank})
}

// column makes a mask of one number a row one of one column.
func (a *algebra) column(m *expr) *expr {
	if m.kind == exprNot {
		return a.not(a.column(m.args[0]))
	}
	return a.intern(expr{kind: exprColumn, args: []*expr{m}, width: 1, rank: 2})
}

func (a *algebra) flag(m *expr) *expr {
	return a.intern(expr{kind: exprFlag, args: []*expr{m}, width: m.width, rank: m.rank})
}

func (a *algebra) less(x, y *expr) *expr {
	e := expr{kind: exprLess, args: []*expr{x, y}, width: 1, rank: max(x.rank, y.rank)}
	if x.rank < 0 || y.rank < 0 {
		e.rank = -1
	}
	return a.intern(e)
}
