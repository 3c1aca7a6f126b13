package ops

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "StringNormalizer", Since: []int{10}, Infer: inferStringNormalizer, Build: buildStringNormalizer},
		Op{Name: "StringConcat", Since: []int{20}, Infer: inferStringConcat, Build: plainBuild(runStringConcat)},
		Op{Name: "StringSplit", Since: []int{20}, Infer: inferStringSplit, Build: buildStringSplit},
		Op{Name: "RegexFullMatch", Since: []int{20}, Infer: inferRegexFullMatch, Build: buildRegexFullMatch},
	)
}

// stringsOf gives the elements of a string tensor.
func stringsOf(v onnx.Value, name string) (*onnx.Tensor, []string, error) {
	s, err := onnx.Data[string](v)
	if err != nil {
		return nil, nil, onnx.Errorf(onnx.ErrType, "%s: %v", name, err)
	}
	return v.(*onnx.Tensor), s, nil
}

// limitText holds the bytes of the strings that a kernel is about to make
// against the run's budget, which counts string headers alone.
func limitText(c *Ctx, bytes int) error {
	if limit := c.Limits().RunBytes; limit > 0 && (int64(bytes) > limit || bytes < 0) {
		return &onnx.LimitError{What: "bytes of strings", Got: int64(bytes), Max: limit}
	}
	return nil
}

// stringNormalizer drops stop words from a list and changes the case of the
// rest.
type stringNormalizer struct {
	sensitive bool
	change    func(string) string // nil: none
	fold      func(string) string // what is compared where case does not count
	stop      map[string]bool
}

func readStringNormalizer(n *Node) (*stringNormalizer, error) {
	s := &stringNormalizer{sensitive: n.Bool("is_case_sensitive", false), stop: map[string]bool{}}
	upper, lower, err := caseOf(n.Str("locale", ""))
	if err != nil {
		return nil, err
	}
	s.fold = lower
	switch a := n.Str("case_change_action", "NONE"); a {
	case "NONE":
	case "LOWER":
		s.change = lower
	case "UPPER":
		s.change = upper
	default:
		return nil, onnx.Errorf(onnx.ErrMalformed, "case_change_action is %q, want LOWER, UPPER or NONE", a)
	}
	for _, w := range n.Strs("stopwords") {
		if !s.sensitive {
			w = s.fold(w)
		}
		s.stop[w] = true
	}
	return s, n.Err()
}

// caseOf gives the case mappings of a locale such as "en_US" or "tr-TR". Only
// the Turkic languages and Lithuanian have rules of their own.
func caseOf(locale string) (upper, lower func(string) string, err error) {
	language, _, _ := strings.Cut(strings.ToLower(strings.ReplaceAll(locale, "-", "_")), "_")
	switch language {
	case "tr", "az":
		return func(s string) string { return strings.ToUpperSpecial(unicode.TurkishCase, s) },
			func(s string) string { return strings.ToLowerSpecial(unicode.TurkishCase, s) }, nil
	case "lt":
		return nil, nil, onnx.Errorf(onnx.ErrUnsupported, "locale %q: the case rules of Lithuanian", locale)
	}
	return strings.ToUpper, strings.ToLower, nil
}

func inferStringNormalizer(n *Node) error {
	s, err := readStringNormalizer(n)
	if err != nil {
		return err
	}
	shape := n.Shape(0).Clone()
	if shape.Ranked() {
		if err := normalizerShape(shape); err != nil {
			return err
		}
		last := &shape[len(shape)-1]
		if len(shape) == 2 {
			shape[0] = onnx.Fixed(1)
		}
		switch {
		case last.Known() && len(s.stop) == 0:
			last.Value = max(last.Value, 1)
		default:
			*last = onnx.UnknownDim
		}
	}
	n.SetTensor(0, onnx.String, shape)
	return nil
}

func normalizerShape(s onnx.Shape) error {
	if len(s) != 1 && len(s) != 2 || len(s) == 2 && s[0].Known() && s[0].Value != 1 {
		return onnx.Errorf(onnx.ErrShape, "X has the shape %v, want [C] or [1 C]", s)
	}
	return nil
}

func buildStringNormalizer(n *Node) (Kernel, error) { return readStringNormalizer(n) }

func (s *stringNormalizer) Run(c *Ctx, in, _ []onnx.Value) error {
	x, words, err := stringsOf(in[0], "X")
	if err != nil {
		return err
	}
	if err := normalizerShape(onnx.FixedShape(x.Shape()...)); err != nil {
		return err
	}
	var kept []string
	for _, w := range words {
		key := w
		if !s.sensitive && len(s.stop) > 0 {
			key = s.fold(w)
		}
		if s.stop[key] {
			continue
		}
		if s.change != nil {
			w = s.change(w)
		}
		kept = append(kept, w)
	}
	if len(kept) == 0 {
		kept = []string{""}
	}
	shape := []int{1, len(kept)}
	y, err := c.New(0, onnx.String, shape[2-x.Rank():])
	if err != nil {
		return err
	}
	copy(y.Strings(), kept)
	return nil
}

func inferStringConcat(n *Node) error {
	shape, err := BroadcastShapes(n.Shape(0), n.Shape(1))
	if err != nil {
		return err
	}
	n.SetTensor(0, onnx.String, shape)
	return nil
}

func runStringConcat(c *Ctx, in, _ []onnx.Value) error {
	a, as, err := stringsOf(in[0], "X")
	if err != nil {
		return err
	}
	b, bs, err := stringsOf(in[1], "Y")
	if err != nil {
		return err
	}
	shape, err := Broadcast(nil, a, b)
	if err != nil {
		return err
	}
	y, err := c.New(0, onnx.String, shape)
	if err != nil {
		return err
	}
	bytes := 0
	each := func(f func(k int, a, b string)) error {
		index := make([]int, len(shape))
		sa, sb := broadcastSteps(a.Shape(), shape), broadcastSteps(b.Shape(), shape)
		for k, i, j := 0, 0, 0; k < y.Len(); k++ {
			if k&0xffff == 0 {
				if err := c.Err(); err != nil {
					return err
				}
			}
			f(k, as[i], bs[j])
			for axis := len(shape) - 1; axis >= 0; axis-- {
				i, j = i+sa[axis], j+sb[axis]
				if index[axis]++; index[axis] < shape[axis] {
					break
				}
				i, j = i-sa[axis]*shape[axis], j-sb[axis]*shape[axis]
				index[axis] = 0
			}
		}
		return nil
	}
	if err := each(func(_ int, a, b string) {
		if bytes += len(a) + len(b); bytes < 0 {
			bytes = int(^uint(0) >> 1)
		}
	}); err != nil {
		return err
	}
	if err := limitText(c, bytes); err != nil {
		return err
	}
	out := y.Strings()
	return each(func(k int, a, b string) { out[k] = a + b })
}

// broadcastSteps gives how far an operand moves for a step along each axis of
// the result: 0 where it repeats.
func broadcastSteps(from, to []int) []int {
	steps := make([]int, len(to))
	step := 1
	for k := len(from) - 1; k >= 0; k-- {
		if from[k] != 1 {
			steps[len(to)-len(from)+k] = step
		}
		step *= from[k]
	}
	return steps
}

// stringSplit cuts each string at a delimiter, at white space where that is
// empty, into at most maxsplit+1 pieces where maxsplit is not negative.
type stringSplit struct {
	delimiter string
	maxsplit  int
}

func inferStringSplit(n *Node) error {
	shape := n.Shape(0).Clone()
	n.SetTensor(1, onnx.Int64, shape.Clone())
	if shape.Ranked() {
		shape = append(shape, onnx.UnknownDim)
	}
	n.SetTensor(0, onnx.String, shape)
	return nil
}

func buildStringSplit(n *Node) (Kernel, error) {
	s := &stringSplit{delimiter: n.Str("delimiter", ""), maxsplit: -1}
	if m := n.Int("maxsplit", -1); m >= 0 {
		s.maxsplit = int(min(m, 1<<30))
	}
	return s, nil
}

func (s *stringSplit) Run(c *Ctx, in, _ []onnx.Value) error {
	x, words, err := stringsOf(in[0], "X")
	if err != nil {
		return err
	}
	counts, err := c.New(1, onnx.Int64, x.Shape())
	if err != nil {
		return err
	}
	longest, n := 0, onnx.Elements[int64](counts)
	for k, w := range words {
		if k&0xffff == 0 {
			if err := c.Err(); err != nil {
				return err
			}
		}
		n[k] = int64(s.count(w))
		longest = max(longest, int(n[k]))
	}
	y, err := c.New(0, onnx.String, append(append([]int{}, x.Shape()...), longest))
	if err != nil {
		return err
	}
	out := y.Strings()
	for k, w := range words {
		s.pieces(w, func(i int, piece string) { out[k*longest+i] = piece })
	}
	return nil
}

func (s *stringSplit) count(w string) int {
	n := 0
	s.pieces(w, func(int, string) { n++ })
	return n
}

// pieces calls f for each piece of w.
func (s *stringSplit) pieces(w string, f func(i int, piece string)) {
	i := 0
	if s.delimiter == "" {
		for w = strings.TrimLeftFunc(w, isSpace); w != ""; i++ {
			end := strings.IndexFunc(w, isSpace)
			if end < 0 || i == s.maxsplit {
				f(i, w)
				return
			}
			f(i, w[:end])
			w = strings.TrimLeftFunc(w[end:], isSpace)
		}
		return
	}
	for ; i != s.maxsplit; i++ {
		piece, rest, found := strings.Cut(w, s.delimiter)
		if !found {
			break
		}
		f(i, piece)
		w = rest
	}
	f(i, w)
}

// isSpace reports white space as Unicode has it, with the information
// separators of ASCII.
func isSpace(r rune) bool {
	return r != utf8.RuneError && (unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f)
}

// fullMatch compiles a pattern in RE2's syntax so that it must match all of a
// string.
func fullMatch(n *Node) (*regexp.Regexp, error) {
	p := n.Str("pattern", "")
	if _, err := regexp.Compile(p); err != nil {
		return nil, onnx.Errorf(onnx.ErrMalformed, "pattern %q: %v", p, err)
	}
	re, err := regexp.Compile(`\A(?:` + p + `)\z`)
	if err != nil {
		return nil, onnx.Errorf(onnx.ErrMalformed, "pattern %q: %v", p, err)
	}
	return re, nil
}

func inferRegexFullMatch(n *Node) error {
	_, err := fullMatch(n)
	n.SetTensor(0, onnx.Bool, n.Shape(0).Clone())
	return err
}

func buildRegexFullMatch(n *Node) (Kernel, error) {
	re, err := fullMatch(n)
	if err != nil {
		return nil, err
	}
	return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error {
		x, words, err := stringsOf(in[0], "X")
		if err != nil {
			return err
		}
		y, err := c.New(0, onnx.Bool, x.Shape())
		if err != nil {
			return err
		}
		out := onnx.Elements[bool](y)
		for k, w := range words {
			if k&0x3ff == 0 {
				if err := c.Err(); err != nil {
					return err
				}
			}
			out[k] = re.MatchString(w)
		}
		return nil
	}), nil
}
