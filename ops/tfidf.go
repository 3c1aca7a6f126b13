package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(Op{Name: "TfIdfVectorizer", Since: []int{9}, Infer: inferTfIdf, Build: buildTfIdf})
}

// tfidf counts the n-grams of a pool in each row of tokens. An n-gram of
// n >= 2 tokens also counts where up to skip tokens lie between two of its
// neighbours, the same number everywhere.
type tfidf struct {
	minLen, maxLen, skip int
	mode                 string
	words                map[string]int64 // numbers of a pool of strings; nil for integers
	grams                map[gramStep]int // tree of the pool's n-grams
	places               []int            // output column of each n-gram
	weights              []float32        // of each n-gram; nil: 1
	ends                 map[int]int      // n-gram that ends at a node of the tree
	columns              int
}

// gramStep leads from a node of the tree, 0 for its root, by a token to
// another one.
type gramStep struct {
	node  int
	token int64
}

func readTfIdf(n *Node) (*tfidf, error) {
	t := &tfidf{mode: n.Str("mode", ""), grams: map[gramStep]int{}, ends: map[int]int{}, weights: n.Floats("weights")}
	minLen, maxLen, skip := n.Int("min_gram_length", 0), n.Int("max_gram_length", 0), n.Int("max_skip_count", 0)
	counts, places := n.Ints("ngram_counts"), n.Ints("ngram_indexes")
	numbers, words := n.Ints("pool_int64s"), n.Strs("pool_strings")
	if err := n.Err(); err != nil {
		return nil, err
	}
	switch {
	case t.mode != "TF" && t.mode != "IDF" && t.mode != "TFIDF":
		return nil, onnx.Errorf(onnx.ErrMalformed, "mode is %q, want TF, IDF or TFIDF", t.mode)
	case minLen < 1 || maxLen < minLen || maxLen > int64(len(counts)):
		return nil, onnx.Errorf(onnx.ErrMalformed, "n-grams of %d to %d tokens, and %d ngram_counts", minLen, maxLen, len(counts))
	case skip < 0 || skip > 1<<30:
		return nil, onnx.Errorf(onnx.ErrMalformed, "max_skip_count is %d", skip)
	case (len(numbers) == 0) == (len(words) == 0):
		return nil, onnx.Errorf(onnx.ErrMalformed, "pool_int64s has %d entries and pool_strings %d: want one of them", len(numbers), len(words))
	case t.weights != nil && len(t.weights) != len(places):
		return nil, onnx.Errorf(onnx.ErrMalformed, "%d weights for %d n-grams", len(t.weights), len(places))
	}
	t.minLen, t.maxLen, t.skip = int(minLen), int(maxLen), int(skip)
	if len(words) > 0 {
		t.words = map[string]int64{}
		for _, w := range words {
			if _, ok := t.words[w]; !ok {
				t.words[w] = int64(len(t.words))
			}
			numbers = append(numbers, t.words[w])
		}
	}
	for _, p := range places {
		if p < 0 || p >= 1<<31 {
			return nil, onnx.Errorf(onnx.ErrMalformed, "ngram_indexes has %d", p)
		}
		t.places = append(t.places, int(p))
		t.columns = max(t.columns, int(p)+1)
	}
	return t, t.grow(numbers, counts)
}

// grow makes the tree of a pool that holds the n-grams of one token from
// counts[0] on, those of two from counts[1] on, and so forth.
func (t *tfidf) grow(pool, counts []int64) error {
	gram, nodes := 0, 0
	for k, from := range counts {
		to := int64(len(pool))
		if k+1 < len(counts) {
			to = counts[k+1]
		}
		size := int64(k + 1)
		if from < 0 || from > to || to > int64(len(pool)) || (to-from)%size != 0 || k == 0 && from != 0 {
			return onnx.Errorf(onnx.ErrMalformed, "ngram_counts %v do not fit a pool of %d tokens", counts, len(pool))
		}
		for ; from < to; from += size {
			node := 0
			for _, token := range pool[from : from+size] {
				step := gramStep{node, token}
				if t.grams[step] == 0 {
					nodes++
					t.grams[step] = nodes
				}
				node = t.grams[step]
			}
			if _, twice := t.ends[node]; twice {
				return onnx.Errorf(onnx.ErrMalformed, "n-gram %d is in the pool twice", gram)
			}
			t.ends[node] = gram
			gram++
		}
	}
	if gram != len(t.places) {
		return onnx.Errorf(onnx.ErrMalformed, "the pool has %d n-grams, ngram_indexes %d entries", gram, len(t.places))
	}
	return nil
}

func inferTfIdf(n *Node) error {
	t, err := readTfIdf(n)
	if err != nil {
		return err
	}
	if d := n.Elem(0); d != onnx.Undefined && (d == onnx.String) != (t.words != nil) {
		return onnx.Errorf(onnx.ErrType, "X is of %v, the pool is of another kind", d)
	}
	shape := n.Shape(0).Clone()
	if shape.Ranked() {
		if len(shape) != 1 && len(shape) != 2 {
			return onnx.Errorf(onnx.ErrShape, "X is %v, want the shape [C] or [N C]", shape)
		}
		shape[len(shape)-1] = onnx.Fixed(t.columns)
	}
	n.SetTensor(0, onnx.Float, shape)
	return nil
}

func buildTfIdf(n *Node) (Kernel, error) { return readTfIdf(n) }

func (t *tfidf) Run(c *Ctx, in, _ []onnx.Value) error {
	x, ok := in[0].(*onnx.Tensor)
	if !ok || x.Rank() != 1 && x.Rank() != 2 {
		return onnx.Errorf(onnx.ErrShape, "X: want a tensor of the shape [C] or [N C]")
	}
	shape := slices.Clone(x.Shape())
	length := shape[len(shape)-1]
	shape[len(shape)-1] = t.columns
	y, err := c.New(0, onnx.Float, shape)
	if err != nil {
		return err
	}
	tokens, err := t.tokens(x)
	if err != nil {
		return err
	}
	out := onnx.Elements[float32](y)
	clear(out)
	counts, err := Scratch[float32](c, len(t.places))
	if err != nil {
		return err
	}
	for r := 0; t.columns > 0 && r < len(out)/t.columns; r++ {
		clear(counts)
		if err := t.count(c, tokens[r*length:(r+1)*length], counts); err != nil {
			return err
		}
		t.weigh(out[r*t.columns:(r+1)*t.columns], counts)
	}
	return nil
}

// noToken is the number of a word that is not in the pool.
const noToken = -1

func (t *tfidf) tokens(x *onnx.Tensor) ([]int64, error) {
	if t.words == nil {
		return splitLengths(x)
	}
	_, words, err := stringsOf(x, "X")
	if err != nil {
		return nil, err
	}
	out := make([]int64, len(words))
	for i, w := range words {
		out[i] = noToken
		if n, ok := t.words[w]; ok {
			out[i] = n
		}
	}
	return out, nil
}

// count counts the n-grams in a row.
func (t *tfidf) count(c *Ctx, row []int64, counts []float32) error {
	for skip := 0; skip <= t.skip && skip < max(len(row), 1); skip++ {
		if err := c.Err(); err != nil {
			return err
		}
		from, to := t.minLen, t.maxLen
		if skip > 0 {
			from = max(from, 2) // a single token has no neighbours to skip
		}
		for at := range row {
			node := 0
			for size, k := 1, at; size <= to && k < len(row); size, k = size+1, k+skip+1 {
				if node = t.grams[gramStep{node, row[k]}]; node == 0 {
					break
				}
				if gram, ok := t.ends[node]; ok && size >= from {
					counts[gram]++
				}
			}
		}
	}
	return nil
}

func (t *tfidf) weigh(out, counts []float32) {
	for gram, n := range counts {
		if n == 0 {
			continue
		}
		if t.mode == "IDF" {
			n = 1
		}
		if t.mode != "TF" && t.weights != nil {
			n *= t.weights[gram]
		}
		if p := &out[t.places[gram]]; t.mode == "IDF" {
			*p = n
		} else {
			*p += n
		}
	}
}
