package ops

import (
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func words(shape []int, w ...string) *onnx.Tensor { return onnx.MustTensor(shape, w) }

func TestStringNormalizer(t *testing.T) {
	days := words([]int{3}, "Monday", "tuesday", "MONDAY")
	runSequenceCases(t, []sequenceCase{
		{"plain", node("StringNormalizer", 1), 10, []onnx.Value{days}, days, nil},
		{"upper", node("StringNormalizer", 1, "case_change_action", "UPPER"), 10, []onnx.Value{days}, words([]int{3}, "MONDAY", "TUESDAY", "MONDAY"), nil},
		{"stop words in any case", node("StringNormalizer", 1, "stopwords", []string{"monday"}), 10, []onnx.Value{days}, words([]int{1}, "tuesday"), nil},
		{"stop words in their case", node("StringNormalizer", 1, "stopwords", []string{"Monday"}, "is_case_sensitive", 1, "case_change_action", "LOWER"), 10, []onnx.Value{days}, words([]int{2}, "tuesday", "monday"), nil},
		{"nothing left", node("StringNormalizer", 1, "stopwords", []string{"monday", "TUESDAY"}), 10, []onnx.Value{days}, words([]int{1}, ""), nil},
		{"nothing left of a row", node("StringNormalizer", 1, "stopwords", []string{"x"}), 10, []onnx.Value{words([]int{1, 1}, "X")}, words([]int{1, 1}, ""), nil},
		{"a row", node("StringNormalizer", 1, "case_change_action", "LOWER"), 13, []onnx.Value{words([]int{1, 2}, "Ä", "B")}, words([]int{1, 2}, "ä", "b"), nil},
		{"empty", node("StringNormalizer", 1), 10, []onnx.Value{words([]int{0})}, words([]int{1}, ""), nil},
		{"Turkish", node("StringNormalizer", 1, "case_change_action", "UPPER", "locale", "tr_TR"), 10, []onnx.Value{words([]int{1}, "ini")}, words([]int{1}, "İNİ"), nil},
		{"Lithuanian", node("StringNormalizer", 1, "locale", "lt_LT"), 10, []onnx.Value{days}, nil, onnx.ErrUnsupported},
		{"two rows", node("StringNormalizer", 1), 10, []onnx.Value{words([]int{2, 1}, "a", "b")}, nil, onnx.ErrShape},
		{"scalar", node("StringNormalizer", 1), 10, []onnx.Value{words(nil, "a")}, nil, onnx.ErrShape},
		{"action", node("StringNormalizer", 1, "case_change_action", "up"), 10, []onnx.Value{days}, nil, onnx.ErrMalformed},
	})
}

func TestStringConcat(t *testing.T) {
	runSequenceCases(t, []sequenceCase{
		{"same shape", node("StringConcat", 1), 20, []onnx.Value{words([]int{2}, "a", "b"), words([]int{2}, "c", "")}, words([]int{2}, "ac", "b"), nil},
		{"both broadcast", node("StringConcat", 1), 20, []onnx.Value{words([]int{2, 1}, "a", "b"), words([]int{1, 3}, "x", "y", "z")}, words([]int{2, 3}, "ax", "ay", "az", "bx", "by", "bz"), nil},
		{"scalar", node("StringConcat", 1), 20, []onnx.Value{words(nil, "a"), words([]int{2}, "x", "y")}, words([]int{2}, "ax", "ay"), nil},
		{"middle axis", node("StringConcat", 1), 20, []onnx.Value{words([]int{2, 1, 2}, "a", "b", "c", "d"), words([]int{2, 1}, "x", "y")}, words([]int{2, 2, 2}, "ax", "bx", "ay", "by", "cx", "dx", "cy", "dy"), nil},
		{"empty", node("StringConcat", 1), 20, []onnx.Value{words([]int{0, 1}), words([]int{3}, "x", "y", "z")}, words([]int{0, 3}), nil},
		{"shapes", node("StringConcat", 1), 20, []onnx.Value{words([]int{2}, "a", "b"), words([]int{3}, "x", "y", "z")}, nil, onnx.ErrShape},
	})
}

func TestStringSplit(t *testing.T) {
	for _, c := range []struct {
		name   string
		attrs  []any
		in     *onnx.Tensor
		pieces *onnx.Tensor
		counts []int64
	}{
		{"comma", []any{"delimiter", ","}, words([]int{2}, "a,b,,c", ""), words([]int{2, 4}, "a", "b", "", "c", "", "", "", ""), []int64{4, 1}},
		{"white space", nil, words([]int{3}, "  a  b\tc ", "", " "), words([]int{3, 3}, "a", "b", "c", "", "", "", "", "", ""), []int64{3, 0, 0}},
		{"white space, one split", []any{"delimiter", "", "maxsplit", 1}, words([]int{2}, " a  b c ", "x"), words([]int{2, 2}, "a", "b c ", "x", ""), []int64{2, 1}},
		{"dashes, two splits", []any{"delimiter", "--", "maxsplit", 2}, words([]int{1}, "a--b--c--d-e"), words([]int{1, 3}, "a", "b", "c--d-e"), []int64{3}},
		{"no splits", []any{"delimiter", ",", "maxsplit", 0}, words([]int{1}, "a,b"), words([]int{1, 1}, "a,b"), []int64{1}},
		{"scalar", []any{"delimiter", "b"}, words(nil, "abc"), words([]int{2}, "a", "c"), []int64{2}},
		{"nothing", nil, words([]int{0, 2}), words([]int{0, 2, 0}), []int64{}},
	} {
		out, err := compute(t, node("StringSplit", 2, c.attrs...), 20, c.in)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if d := differ(out[0], c.pieces, 0, 0); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		if d := differ(out[1], onnx.MustTensor(c.in.Shape(), c.counts), 0, 0); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestRegexFullMatch(t *testing.T) {
	x := words([]int{2, 2}, "www.google.com", "www.google.com\n", "a|b", "")
	bools := func(v ...bool) *onnx.Tensor { return onnx.MustTensor([]int{2, 2}, v) }
	runSequenceCases(t, []sequenceCase{
		{"all of it", node("RegexFullMatch", 1, "pattern", `www\.[\w.-]+\.\bcom\b`), 20, []onnx.Value{x}, bools(true, false, false, false), nil},
		{"alternatives", node("RegexFullMatch", 1, "pattern", `a|a\|b`), 20, []onnx.Value{x}, bools(false, false, true, false), nil},
		{"empty pattern", node("RegexFullMatch", 1), 20, []onnx.Value{x}, bools(false, false, false, true), nil},
		{"lines", node("RegexFullMatch", 1, "pattern", `(?m)www.*$`), 20, []onnx.Value{x}, bools(true, false, false, false), nil},
		{"brackets", node("RegexFullMatch", 1, "pattern", `a)(b`), 20, []onnx.Value{x}, nil, onnx.ErrMalformed},
	})
}

func TestTfIdfVectorizer(t *testing.T) {
	// n-grams: 2, 3, 5, 4 and 5 6, 7 8, 6 7
	pool := func(mode string, low, high, skip int, more ...any) *onnx.Node {
		return node("TfIdfVectorizer", 1, append([]any{"mode", mode, "min_gram_length", low, "max_gram_length", high, "max_skip_count", skip,
			"ngram_counts", []int64{0, 4}, "ngram_indexes", []int64{0, 1, 2, 3, 4, 5, 6}, "pool_int64s", []int64{2, 3, 5, 4, 5, 6, 7, 8, 6, 7}}, more...)...)
	}
	row := onnx.MustTensor([]int{12}, []int32{1, 1, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8})
	rows := onnx.MustTensor([]int{2, 6}, []int64{1, 1, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8})
	w := []float32{1, 2, 3, 4, 5, 6, 7}
	text := node("TfIdfVectorizer", 1, "mode", "TFIDF", "min_gram_length", 1, "max_gram_length", 2, "max_skip_count", 1, "weights", []float32{10, 100, 1000},
		"ngram_counts", []int64{0, 1}, "ngram_indexes", []int64{3, 0, 3}, "pool_strings", []string{"a", "a", "b", "b", "a"})
	runSequenceCases(t, []sequenceCase{
		{"pairs", pool("TF", 2, 2, 0), 9, []onnx.Value{row}, f32([]int{7}, 0, 0, 0, 0, 1, 1, 1), nil},
		{"pairs with gaps", pool("TF", 2, 2, 5), 9, []onnx.Value{row}, f32([]int{7}, 0, 0, 0, 0, 1, 3, 1), nil},
		{"tokens and pairs", pool("TF", 1, 2, 5), 9, []onnx.Value{row}, f32([]int{7}, 0, 3, 1, 0, 1, 3, 1), nil},
		{"rows", pool("TF", 1, 2, 5), 9, []onnx.Value{rows}, f32([]int{2, 7}, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 1), nil},
		{"tokens alone", pool("TF", 1, 1, 5), 9, []onnx.Value{row}, f32([]int{7}, 0, 3, 1, 0, 0, 0, 0), nil},
		{"IDF", pool("IDF", 1, 2, 5, "weights", w), 9, []onnx.Value{row}, f32([]int{7}, 0, 2, 3, 0, 5, 6, 7), nil},
		{"TFIDF", pool("TFIDF", 1, 2, 5, "weights", w), 9, []onnx.Value{row}, f32([]int{7}, 0, 6, 3, 0, 5, 18, 7), nil},
		{"no tokens", pool("TF", 1, 2, 5), 9, []onnx.Value{onnx.MustTensor([]int{1, 0}, []int64{})}, f32([]int{1, 7}, make([]float32, 7)...), nil},
		// a b x a: "a" twice; "a b" next to each other; "b a" with one between
		{"strings to one column", text, 9, []onnx.Value{words([]int{4}, "a", "b", "x", "a")}, f32([]int{4}, 100, 0, 0, 2*10+1000), nil},
		{"numbers for a pool of strings", text, 9, []onnx.Value{row}, nil, onnx.ErrType},
		{"rank", pool("TF", 1, 2, 0), 9, []onnx.Value{onnx.Scalar(int64(1))}, nil, onnx.ErrShape},
		{"mode", pool("tf", 1, 2, 0), 9, []onnx.Value{row}, nil, onnx.ErrMalformed},
		{"lengths", pool("TF", 2, 3, 0), 9, []onnx.Value{row}, nil, onnx.ErrMalformed},
		{"weights", pool("TF", 1, 2, 0, "weights", []float32{1}), 9, []onnx.Value{row}, nil, onnx.ErrMalformed},
	})
}
