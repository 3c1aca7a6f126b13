package main

import (
	"cmp"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/recur-ml/recur/onnx"
)

// poly is a sum of products of named dimensions: a number of operations or
// bytes before the sizes are known. The key of a term is its dimensions, sorted
// and joined by "*"; that of a plain number is "". Coefficients are positive. A
// nil poly is 0.
type poly map[string]int64

// constant gives a plain number.
func constant(n int64) poly {
	if n == 0 {
		return nil
	}
	return poly{"": n}
}

// dimension gives a size as a poly; ok is false when nothing is known of it.
func dimension(d onnx.Dim) (p poly, ok bool) {
	switch {
	case d.Known():
		return constant(int64(d.Value)), true
	case d.Name != "":
		return poly{strings.ReplaceAll(d.Name, "*", "_"): 1}, true
	}
	return nil, false
}

// elementsIn multiplies the sizes of a shape.
func elementsIn(s onnx.Shape) (p poly, ok bool) {
	if !s.Ranked() {
		return nil, false
	}
	p = constant(1)
	for _, d := range s {
		q, ok := dimension(d)
		if !ok {
			return nil, false
		}
		if p, ok = p.times(q); !ok {
			return nil, false
		}
	}
	return p, true
}

// plus adds; ok is false on an overflow.
func (p poly) plus(q poly) (sum poly, ok bool) {
	sum = poly{}
	for k, v := range p {
		sum[k] = v
	}
	for k, v := range q {
		if sum[k] += v; sum[k] < 0 {
			return nil, false
		}
	}
	return sum, true
}

// times multiplies; ok is false on an overflow.
func (p poly) times(q poly) (product poly, ok bool) {
	product = poly{}
	for a, x := range p {
		for b, y := range q {
			hi, lo := bits.Mul64(uint64(x), uint64(y))
			if hi != 0 || int64(lo) < 0 {
				return nil, false
			}
			key := joined(a, b)
			if product[key] += int64(lo); product[key] < 0 {
				return nil, false
			}
		}
	}
	return product, true
}

func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	names := append(strings.Split(a, "*"), strings.Split(b, "*")...)
	slices.Sort(names)
	return strings.Join(names, "*")
}

// number gives the value when it hangs on no dimension.
func (p poly) number() (int64, bool) {
	if len(p) == 0 {
		return 0, true
	}
	v, ok := p[""]
	return v, ok && len(p) == 1
}

// atOnes gives the value where every named dimension is 1.
func (p poly) atOnes() float64 {
	sum := 0.0
	for _, v := range p {
		sum += float64(v)
	}
	return sum
}

// String writes "1 048 576*batch*steps + 512": terms of more dimensions first.
func (p poly) String() string {
	if len(p) == 0 {
		return "0"
	}
	keys := make([]string, 0, len(p))
	for k := range p {
		keys = append(keys, k)
	}
	degree := func(k string) int {
		if k == "" {
			return 0
		}
		return 1 + strings.Count(k, "*")
	}
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(cmp.Compare(degree(b), degree(a)), cmp.Compare(p[b], p[a]), cmp.Compare(a, b))
	})
	var terms []string
	for _, k := range keys {
		switch {
		case k == "":
			terms = append(terms, grouped(p[k]))
		case p[k] == 1:
			terms = append(terms, k)
		default:
			terms = append(terms, grouped(p[k])+"*"+k)
		}
	}
	return strings.Join(terms, " + ")
}

// grouped writes a number with spaces between thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}
