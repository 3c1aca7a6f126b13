package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Domain: mlDomain, Name: "TreeEnsemble", Since: []int{5}, Infer: inferTreeEnsemble, Build: buildTreeEnsemble},
		Op{Domain: mlDomain, Name: "TreeEnsembleRegressor", Since: []int{1, 3}, Infer: inferTreeRegressor, Build: buildTreeRegressor},
		Op{Domain: mlDomain, Name: "TreeEnsembleClassifier", Since: []int{1, 3}, Infer: inferTreeClassifier, Build: buildTreeClassifier},
	)
}

// trees is an ensemble of decision trees. Each row walks every tree from its
// root to a leaf, whose weights go to their targets.
type trees struct {
	nodes     []treeNode
	roots     []int
	leaves    [][]leafWeight
	targets   int
	aggregate string // SUM, AVERAGE, MIN or MAX
	base      []float64
	post      postTransform
}

// treeNode tests a feature; yes and no are nodes, or leaves as -1-leaf. A
// missing feature (NaN) counts as yes where missing is set.
type treeNode struct {
	feature int
	mode    string
	value   float64
	members map[float64]bool
	missing bool
	yes, no int
}

type leafWeight struct {
	target int
	weight float64
}

func (n *treeNode) holds(x float64) bool {
	if x != x && n.missing {
		return true
	}
	switch n.mode {
	case "BRANCH_LEQ":
		return x <= n.value
	case "BRANCH_LT":
		return x < n.value
	case "BRANCH_GTE":
		return x >= n.value
	case "BRANCH_GT":
		return x > n.value
	case "BRANCH_EQ":
		return x == n.value
	case "BRANCH_NEQ":
		return x != n.value
	}
	return n.members[x]
}

var treeModes = []string{"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER"}

// attrDoubles reads a tensor attribute of a floating-point type; nil when it
// is not set.
func attrDoubles(n *Node, name string) ([]float64, error) {
	t := n.TensorAttr(name)
	if t == nil {
		return nil, n.Err()
	}
	out := make([]float64, t.Len())
	if t.DataType() == onnx.Float16 {
		narrow := make([]float32, t.Len())
		WidenTo(narrow, t)
		widenFeatures(out, narrow)
		return out, nil
	}
	if err := mlDoubles(out, t); err != nil {
		return nil, onnx.Errorf(onnx.ErrType, "attribute %q: %v", name, err)
	}
	return out, nil
}

// floatsOrTensor reads a list that from version 3 on may be a tensor.
func floatsOrTensor(n *Node, name string) ([]float64, error) {
	list := n.Floats(name)
	var wide []float64
	if n.Since >= 3 {
		var err error
		if wide, err = attrDoubles(n, name+"_as_tensor"); err != nil {
			return nil, err
		}
	}
	if list == nil {
		return wide, n.Err()
	}
	if wide != nil {
		return nil, onnx.Errorf(onnx.ErrMalformed, "%s and %s_as_tensor are both set", name, name)
	}
	wide = make([]float64, len(list))
	widenFeatures(wide, list)
	return wide, n.Err()
}

// nodeKey names a node of versions 1 and 3.
type nodeKey struct{ tree, node int64 }

// readTrees reads the lists of versions 1 and 3; the leaves' weights are in
// lists that start with weights, "class" or "target".
func readTrees(n *Node, weights string) (*trees, error) {
	features, modes := n.Ints("nodes_featureids"), n.Strs("nodes_modes")
	treeIDs, nodeIDs := n.Ints("nodes_treeids"), n.Ints("nodes_nodeids")
	yes, no, missing := n.Ints("nodes_truenodeids"), n.Ints("nodes_falsenodeids"), n.Ints("nodes_missing_value_tracks_true")
	values, err := floatsOrTensor(n, "nodes_values")
	if err != nil {
		return nil, err
	}
	if _, err := floatsOrTensor(n, "nodes_hitrates"); err != nil { // how often nodes are met: no part of the result
		return nil, err
	}
	t := &trees{aggregate: "SUM"}
	if t.base, err = floatsOrTensor(n, "base_values"); err != nil {
		return nil, err
	}
	if t.post, err = readPostTransform(n); err != nil {
		return nil, err
	}
	count := len(modes)
	for _, l := range []int{len(features), len(treeIDs), len(nodeIDs), len(yes), len(no), len(values)} {
		if l != count || count == 0 {
			return nil, onnx.Errorf(onnx.ErrMalformed, "the lists of nodes have different lengths, %d and %d, or none", l, count)
		}
	}
	if missing != nil && len(missing) != count {
		return nil, onnx.Errorf(onnx.ErrMalformed, "nodes_missing_value_tracks_true has %d entries, want %d", len(missing), count)
	}
	// A node that is no leaf is numbered among such, a leaf among leaves, as -1-leaf.
	place := map[nodeKey]int{}
	inner := 0
	seen := map[int64]bool{}
	for i, m := range modes {
		key := nodeKey{treeIDs[i], nodeIDs[i]}
		if _, twice := place[key]; twice {
			return nil, onnx.Errorf(onnx.ErrMalformed, "node %d of tree %d is there twice", key.node, key.tree)
		}
		if m == "LEAF" {
			t.leaves = append(t.leaves, nil)
			place[key] = -len(t.leaves)
		} else {
			place[key] = inner
			inner++
		}
		if !seen[key.tree] {
			seen[key.tree] = true
			t.roots = append(t.roots, place[key])
		}
	}
	for i, m := range modes {
		if m == "LEAF" {
			continue
		}
		node := treeNode{mode: m, value: values[i], missing: missing != nil && missing[i] != 0, feature: int(features[i])}
		var ok1, ok2 bool
		node.yes, ok1 = place[nodeKey{treeIDs[i], yes[i]}]
		node.no, ok2 = place[nodeKey{treeIDs[i], no[i]}]
		if !ok1 || !ok2 {
			return nil, onnx.Errorf(onnx.ErrMalformed, "node %d of tree %d leads to nodes that are not there", nodeIDs[i], treeIDs[i])
		}
		t.nodes = append(t.nodes, node)
	}
	if err := t.readLeaves(n, weights, place); err != nil {
		return nil, err
	}
	return t, t.check()
}

func (t *trees) readLeaves(n *Node, weights string, place map[nodeKey]int) error {
	ids, treeIDs, nodeIDs := n.Ints(weights+"_ids"), n.Ints(weights+"_treeids"), n.Ints(weights+"_nodeids")
	w, err := floatsOrTensor(n, weights+"_weights")
	if err != nil {
		return err
	}
	if len(treeIDs) != len(ids) || len(nodeIDs) != len(ids) || len(w) != len(ids) {
		return onnx.Errorf(onnx.ErrMalformed, "the lists of leaf weights have different lengths: %d, %d, %d, %d", len(ids), len(treeIDs), len(nodeIDs), len(w))
	}
	for i, id := range ids {
		at, ok := place[nodeKey{treeIDs[i], nodeIDs[i]}]
		if !ok || at >= 0 {
			return onnx.Errorf(onnx.ErrMalformed, "weight %d belongs to node %d of tree %d, which is no leaf", i, nodeIDs[i], treeIDs[i])
		}
		if id < 0 || id > math.MaxInt32 {
			return onnx.Errorf(onnx.ErrMalformed, "%s_ids[%d] is %d", weights, i, id)
		}
		t.leaves[-1-at] = append(t.leaves[-1-at], leafWeight{int(id), w[i]})
		t.targets = max(t.targets, int(id)+1)
	}
	return nil
}

// check holds features and modes against what there may be.
func (t *trees) check() error {
	for i, n := range t.nodes {
		known := false
		for _, m := range treeModes {
			known = known || m == n.mode
		}
		if !known || n.mode == "BRANCH_MEMBER" && n.members == nil {
			return onnx.Errorf(onnx.ErrMalformed, "node %d has the mode %q", i, n.mode)
		}
		if n.feature < 0 || n.feature > math.MaxInt32 {
			return onnx.Errorf(onnx.ErrMalformed, "node %d tests feature %d", i, n.feature)
		}
	}
	return nil
}

// setTargets makes the number of targets what an attribute says.
func (t *trees) setTargets(n *Node) error {
	if !n.HasAttr("n_targets") {
		return nil
	}
	v := n.Int("n_targets", 0)
	if v < int64(t.targets) || v > math.MaxInt32 {
		return onnx.Errorf(onnx.ErrMalformed, "n_targets is %d, the leaves have targets up to %d", v, t.targets-1)
	}
	t.targets = int(v)
	return n.Err()
}

// scores walks all trees with a row; hit is scratch of a flag for each target.
func (t *trees) scores(x, out []float64, hit []bool) error {
	clear(out)
	clear(hit)
	for _, at := range t.roots {
		for steps := 0; at >= 0; steps++ {
			n := &t.nodes[at]
			if steps > len(t.nodes) {
				return onnx.Errorf(onnx.ErrMalformed, "the nodes of a tree lead in a circle")
			}
			if n.feature >= len(x) {
				return onnx.Errorf(onnx.ErrShape, "X has %d columns, a node tests feature %d", len(x), n.feature)
			}
			if at = n.no; n.holds(x[n.feature]) {
				at = n.yes
			}
		}
		for _, l := range t.leaves[-1-at] {
			switch v := &out[l.target]; {
			case !hit[l.target]:
				*v = l.weight
			case t.aggregate == "MIN":
				*v = min(*v, l.weight)
			case t.aggregate == "MAX":
				*v = max(*v, l.weight)
			default:
				*v += l.weight
			}
			hit[l.target] = true
		}
	}
	if t.aggregate == "AVERAGE" {
		for i := range out {
			out[i] /= float64(len(t.roots))
		}
	}
	if len(t.base) == len(out) {
		for i, b := range t.base {
			out[i] += b
		}
	}
	return nil
}

// regress makes output 0, of type d, of the scores.
func (t *trees) regress(c *Ctx, in []onnx.Value, d onnx.DataType) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	rows, _, err := mlRows(x)
	if err != nil {
		return err
	}
	y, err := c.New(0, d, []int{rows, t.targets})
	if err != nil {
		return err
	}
	out, err := Scratch[float64](c, t.targets)
	if err != nil {
		return err
	}
	hit, err := Scratch[bool](c, t.targets)
	if err != nil {
		return err
	}
	narrow, err := Scratch[float32](c, t.targets)
	if err != nil {
		return err
	}
	row := &onnx.Tensor{}
	size := d.Size() * t.targets
	return eachRow(c, in, func(r int, x []float64) error {
		if err := t.scores(x, out, hit); err != nil {
			return err
		}
		t.post.apply(out)
		switch d {
		case onnx.Double:
			copy(onnx.Elements[float64](y)[r*t.targets:], out)
		case onnx.Float:
			narrowScores(onnx.Elements[float32](y)[r*t.targets:], out)
		default:
			narrowScores(narrow, out)
			row.Reset(d, []int{t.targets}, y.Bytes()[r*size:(r+1)*size], nil, nil)
			NarrowTo(row, narrow)
		}
		return nil
	})
}

func readTreeRegressor(n *Node) (*trees, error) {
	t, err := readTrees(n, "target")
	if err != nil {
		return nil, err
	}
	switch t.aggregate = n.Str("aggregate_function", "SUM"); t.aggregate {
	case "SUM", "AVERAGE", "MIN", "MAX":
	default:
		return nil, onnx.Errorf(onnx.ErrMalformed, "aggregate_function is %q", t.aggregate)
	}
	if err := t.setTargets(n); err != nil {
		return nil, err
	}
	if len(t.base) != 0 && len(t.base) != t.targets {
		return nil, onnx.Errorf(onnx.ErrMalformed, "%d base values for %d targets", len(t.base), t.targets)
	}
	return t, nil
}

func inferTreeRegressor(n *Node) error {
	t, err := readTreeRegressor(n)
	if err != nil {
		return err
	}
	return inferRowsOut(n, 0, onnx.Float, t.targets)
}

func buildTreeRegressor(n *Node) (Kernel, error) {
	t, err := readTreeRegressor(n)
	if err != nil {
		return nil, err
	}
	return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error { return t.regress(c, in, onnx.Float) }), nil
}

// readTreeEnsemble reads the lists of version 5, where nodes and leaves have
// numbers of their own.
func readTreeEnsemble(n *Node) (*trees, error) {
	features, yes, no := n.Ints("nodes_featureids"), n.Ints("nodes_truenodeids"), n.Ints("nodes_falsenodeids")
	yesLeaf, noLeaf, missing := n.Ints("nodes_trueleafs"), n.Ints("nodes_falseleafs"), n.Ints("nodes_missing_value_tracks_true")
	targets, roots, modes := n.Ints("leaf_targetids"), n.Ints("tree_roots"), n.TensorAttr("nodes_modes")
	var lists [4][]float64
	for i, name := range []string{"nodes_splits", "leaf_weights", "membership_values", "nodes_hitrates"} {
		var err error
		if lists[i], err = attrDoubles(n, name); err != nil {
			return nil, err
		}
	}
	splits, weights, members := lists[0], lists[1], lists[2]
	t := &trees{}
	if err := t.readEnums(n); err != nil {
		return nil, err
	}
	if modes == nil || modes.DataType() != onnx.Uint8 {
		return nil, onnx.Errorf(onnx.ErrMalformed, "nodes_modes is no tensor of uint8")
	}
	count := modes.Len()
	for _, l := range []int{len(features), len(yes), len(no), len(yesLeaf), len(noLeaf), len(splits)} {
		if l != count || count == 0 {
			return nil, onnx.Errorf(onnx.ErrMalformed, "the lists of nodes have different lengths, %d and %d, or none", l, count)
		}
	}
	if missing != nil && len(missing) != count || len(targets) != len(weights) {
		return nil, onnx.Errorf(onnx.ErrMalformed, "lists of nodes or of leaves have different lengths")
	}
	for i, id := range targets {
		if id < 0 || id > math.MaxInt32 {
			return nil, onnx.Errorf(onnx.ErrMalformed, "leaf_targetids[%d] is %d", i, id)
		}
		t.leaves = append(t.leaves, []leafWeight{{int(id), weights[i]}})
		t.targets = max(t.targets, int(id)+1)
	}
	child := func(id, leaf int64) (int, error) {
		bound := count
		if leaf != 0 {
			bound = len(targets)
		}
		if id < 0 || id >= int64(bound) {
			return 0, onnx.Errorf(onnx.ErrMalformed, "a node leads to %d, want 0..%d", id, bound-1)
		}
		if leaf != 0 {
			return -1 - int(id), nil
		}
		return int(id), nil
	}
	for i, m := range onnx.Elements[uint8](modes) {
		if int(m) >= len(treeModes) {
			return nil, onnx.Errorf(onnx.ErrMalformed, "nodes_modes[%d] is %d", i, m)
		}
		node := treeNode{mode: treeModes[m], value: splits[i], missing: missing != nil && missing[i] != 0, feature: int(features[i])}
		var err error
		if node.yes, err = child(yes[i], yesLeaf[i]); err != nil {
			return nil, err
		}
		if node.no, err = child(no[i], noLeaf[i]); err != nil {
			return nil, err
		}
		if node.mode == "BRANCH_MEMBER" {
			if node.members, members = nextMembers(members); node.members == nil {
				return nil, onnx.Errorf(onnx.ErrMalformed, "membership_values has too few sets")
			}
		}
		t.nodes = append(t.nodes, node)
	}
	if len(members) > 0 {
		return nil, onnx.Errorf(onnx.ErrMalformed, "membership_values has %d values too many", len(members))
	}
	for _, r := range roots {
		if r < 0 || r >= int64(count) {
			return nil, onnx.Errorf(onnx.ErrMalformed, "tree_roots has %d, want 0..%d", r, count-1)
		}
		t.roots = append(t.roots, int(r))
	}
	if len(t.roots) == 0 {
		return nil, onnx.Errorf(onnx.ErrMalformed, "tree_roots is empty")
	}
	if err := t.setTargets(n); err != nil {
		return nil, err
	}
	return t, t.check()
}

// nextMembers takes a set, which a NaN ends, off a list; nil when none is left.
func nextMembers(list []float64) (map[float64]bool, []float64) {
	set := map[float64]bool{}
	for i, v := range list {
		if v != v {
			return set, list[i+1:]
		}
		set[v] = true
	}
	if len(set) == 0 {
		return nil, nil
	}
	return set, nil // the last one may have no NaN
}

// readEnums reads the attributes of version 5 that number what versions 1 and
// 3 name.
func (t *trees) readEnums(n *Node) error {
	aggregates := []string{"AVERAGE", "SUM", "MIN", "MAX"}
	posts := []postTransform{"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"}
	a, p := n.Int("aggregate_function", 1), n.Int("post_transform", 0)
	if a < 0 || a >= int64(len(aggregates)) || p < 0 || p >= int64(len(posts)) {
		return onnx.Errorf(onnx.ErrMalformed, "aggregate_function is %d, want 0..3; post_transform is %d, want 0..4", a, p)
	}
	t.aggregate, t.post = aggregates[a], posts[p]
	return n.Err()
}

func inferTreeEnsemble(n *Node) error {
	t, err := readTreeEnsemble(n)
	if err != nil {
		return err
	}
	return inferRowsOut(n, 0, n.Elem(0), t.targets)
}

func buildTreeEnsemble(n *Node) (Kernel, error) {
	t, err := readTreeEnsemble(n)
	if err != nil {
		return nil, err
	}
	return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error {
		x, err := inputTensor(in, 0)
		if err != nil {
			return err
		}
		return t.regress(c, in, x.DataType())
	}), nil
}

// treeClassifier adds up the classes' weights; the label is that of the
// greatest sum. Where all weights belong to one of two classes, their sum s
// tells the second class's: with weights that are nowhere negative s is its
// probability, and the scores are 1-s and s; else, or where a transform
// follows, they are -s and s.
type treeClassifier struct {
	*trees
	labels *onnx.Tensor
	binary bool // all weights belong to class only
	only   int
	signed bool // there are negative weights
}

func readTreeClassifier(n *Node) (*treeClassifier, error) {
	t, err := readTrees(n, "class")
	if err != nil {
		return nil, err
	}
	k := &treeClassifier{trees: t, only: -1}
	if k.labels, err = mlKeys(n, "classlabels_int64s", "classlabels_strings"); err != nil {
		return nil, err
	}
	if t.targets > k.labels.Len() {
		return nil, onnx.Errorf(onnx.ErrMalformed, "class_ids go up to %d, there are %d labels", t.targets-1, k.labels.Len())
	}
	t.targets = k.labels.Len()
	k.binary = t.targets <= 2
	for _, leaf := range t.leaves {
		for _, l := range leaf {
			if k.only < 0 {
				k.only = l.target
			}
			k.binary = k.binary && l.target == k.only
			k.signed = k.signed || l.weight < 0
		}
	}
	k.only = max(k.only, 0)
	if l := len(t.base); l != 0 && l != t.targets && !(k.binary && l == 1) {
		return nil, onnx.Errorf(onnx.ErrMalformed, "%d base values for %d classes", l, t.targets)
	}
	return k, nil
}

func (k *treeClassifier) columns() int {
	if k.binary {
		return 2
	}
	return k.targets
}

func inferTreeClassifier(n *Node) error {
	k, err := readTreeClassifier(n)
	if err != nil {
		return err
	}
	return inferClasses(n, k.labels, k.columns())
}

func buildTreeClassifier(n *Node) (Kernel, error) { return readTreeClassifier(n) }

func (k *treeClassifier) Run(c *Ctx, in, _ []onnx.Value) error {
	sums, hit := make([]float64, k.targets), make([]bool, k.targets)
	return classify(c, in, k.labels, k.columns(), func(x, scores []float64) (int, bool, error) {
		if err := k.trees.scores(x, sums, hit); err != nil {
			return 0, false, err
		}
		if !k.binary {
			copy(scores, sums)
			at := argmaxOf(scores)
			k.post.apply(scores)
			return at, false, nil
		}
		s, threshold := sums[k.only], 0.0
		if len(k.base) == 2 {
			s += k.base[1] - k.base[k.only]
		} else if len(k.base) == 1 && k.targets == 2 {
			s += k.base[0]
		}
		scores[0], scores[1] = -s, s
		if !k.signed && (k.post == "NONE" || k.post == "PROBIT") {
			scores[0], threshold = 1-s, 0.5
		}
		at := 0
		if s > threshold {
			at = 1
		}
		k.post.apply(scores)
		return at, true, nil
	})
}
