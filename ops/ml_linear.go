package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Domain: mlDomain, Name: "LinearRegressor", Since: []int{1}, Infer: inferLinearRegressor, Build: buildLinearRegressor},
		Op{Domain: mlDomain, Name: "LinearClassifier", Since: []int{1}, Infer: inferLinearClassifier, Build: buildLinearClassifier},
		Op{Domain: mlDomain, Name: "SVMRegressor", Since: []int{1}, Infer: inferSVMRegressor, Build: buildSVMRegressor},
		Op{Domain: mlDomain, Name: "SVMClassifier", Since: []int{1}, Infer: inferSVMClassifier, Build: buildSVMClassifier},
	)
}

// postTransform is what is made of the scores of a row at the end.
type postTransform string

func readPostTransform(n *Node) (postTransform, error) {
	p := postTransform(n.Str("post_transform", "NONE"))
	switch p {
	case "NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT":
		return p, nil
	}
	return p, onnx.Errorf(onnx.ErrMalformed, "post_transform is %q", string(p))
}

func (p postTransform) apply(s []float64) {
	switch p {
	case "LOGISTIC":
		for i, v := range s {
			s[i] = logisticOf(v)
		}
	case "PROBIT":
		for i, v := range s {
			s[i] = math.Sqrt2 * math.Erfinv(2*v-1)
		}
	case "SOFTMAX", "SOFTMAX_ZERO":
		top, sum := math.Inf(-1), 0.0
		for _, v := range s {
			top = max(top, v)
		}
		for i, v := range s {
			if p == "SOFTMAX_ZERO" && math.Abs(v) <= 1e-7 {
				s[i] = v * math.Exp(-top) // what is zero stays zero
			} else {
				s[i] = math.Exp(v - top)
			}
			sum += s[i]
		}
		for i := range s {
			if sum == 0 {
				s[i] = 0.5
			} else {
				s[i] /= sum
			}
		}
	}
}

func logisticOf(v float64) float64 {
	if v < 0 {
		e := math.Exp(v)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-v))
}

// inferRowsOut sets an output of one row for each of X's.
func inferRowsOut(n *Node, i int, d onnx.DataType, columns int) error {
	rows, err := inferRows(n, 0)
	if err != nil {
		return err
	}
	n.SetTensor(i, d, onnx.Shape{rows, onnx.FixedShape(columns)[0]})
	return nil
}

// inferClasses sets the outputs of a classifier: a label and columns scores,
// -1 where not known, for each row.
func inferClasses(n *Node, labels *onnx.Tensor, columns int) error {
	rows, err := inferRows(n, 0)
	if err != nil {
		return err
	}
	n.SetTensor(0, labels.DataType(), onnx.Shape{rows})
	n.SetTensor(1, onnx.Float, onnx.Shape{rows, onnx.FixedShape(columns)[0]})
	return nil
}

// eachRow calls f for each row of X, widened.
func eachRow(c *Ctx, in []onnx.Value, f func(r int, x []float64) error) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	rows, length, err := mlRows(x)
	if err != nil {
		return err
	}
	wide, err := Scratch[float64](c, x.Len())
	if err != nil {
		return err
	}
	if x.DataType() == onnx.Float16 {
		narrow, err := Scratch[float32](c, x.Len())
		if err != nil {
			return err
		}
		WidenTo(narrow, x)
		widenFeatures(wide, narrow)
	} else if err := mlDoubles(wide, x); err != nil {
		return err
	}
	for r := range rows {
		if r&63 == 0 {
			if err := c.Err(); err != nil {
				return err
			}
		}
		if err := f(r, wide[r*length:(r+1)*length]); err != nil {
			return err
		}
	}
	return nil
}

func dotRow(w []float32, x []float64) float64 {
	sum := 0.0
	for i, v := range x {
		sum += v * float64(w[i])
	}
	return sum
}

func linearTargets(n *Node) (int, error) {
	t := n.Int("targets", 1)
	if t < 1 || t > math.MaxInt32 {
		return 0, onnx.Errorf(onnx.ErrMalformed, "targets is %d", t)
	}
	return int(t), n.Err()
}

func inferLinearRegressor(n *Node) error {
	targets, err := linearTargets(n)
	if err != nil {
		return err
	}
	return inferRowsOut(n, 0, onnx.Float, targets)
}

// buildLinearRegressor computes X W^T + b, W of shape [targets, C].
func buildLinearRegressor(n *Node) (Kernel, error) {
	targets, err := linearTargets(n)
	if err != nil {
		return nil, err
	}
	w, b := n.Floats("coefficients"), n.Floats("intercepts")
	post, err := readPostTransform(n)
	if err != nil {
		return nil, err
	}
	if len(w)%targets != 0 || len(b) != 0 && len(b) != targets {
		return nil, onnx.Errorf(onnx.ErrMalformed, "%d coefficients and %d intercepts for %d targets", len(w), len(b), targets)
	}
	return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error {
		x, err := inputTensor(in, 0)
		if err != nil {
			return err
		}
		rows, _, err := mlRows(x)
		if err != nil {
			return err
		}
		y, err := c.New(0, onnx.Float, []int{rows, targets})
		if err != nil {
			return err
		}
		scores, err := Scratch[float64](c, targets)
		if err != nil {
			return err
		}
		out := onnx.Elements[float32](y)
		return eachRow(c, in, func(r int, x []float64) error {
			if err := linearScores(scores, w, b, x); err != nil {
				return err
			}
			post.apply(scores)
			narrowScores(out[r*targets:], scores)
			return nil
		})
	}), nil
}

func narrowScores(out []float32, scores []float64) {
	for i, v := range scores {
		out[i] = float32(v)
	}
}

func linearScores(scores []float64, w, b []float32, x []float64) error {
	if len(w) != len(scores)*len(x) {
		return onnx.Errorf(onnx.ErrShape, "X has %d columns; %d coefficients for %d scores want %d", len(x), len(w), len(scores), len(w)/max(len(scores), 1))
	}
	for k := range scores {
		scores[k] = dotRow(w[k*len(x):(k+1)*len(x)], x)
		if len(b) > 0 {
			scores[k] += float64(b[k])
		}
	}
	return nil
}

// linearClassifier scores each class; with one score and two labels the
// scores are its negative and itself. The label is that of the greatest score,
// or says whether a single score is positive.
type linearClassifier struct {
	w, b   []float32
	labels *onnx.Tensor
	count  int // scores before a second one is added
	post   postTransform
}

func readLinearClassifier(n *Node) (*linearClassifier, error) {
	l := &linearClassifier{w: n.Floats("coefficients"), b: n.Floats("intercepts")}
	var err error
	if l.labels, err = mlKeys(n, "classlabels_ints", "classlabels_strings"); err != nil {
		return nil, err
	}
	if l.post, err = readPostTransform(n); err != nil {
		return nil, err
	}
	n.Int("multi_class", 0) // one against the rest or not: the coefficients say it
	if l.count = len(l.b); l.count == 0 {
		l.count = l.labels.Len()
	}
	if len(l.w)%l.count != 0 || l.count > 1 && l.count != l.labels.Len() || l.labels.Len() > 2 && l.count == 1 {
		return nil, onnx.Errorf(onnx.ErrMalformed, "%d coefficients and %d intercepts for %d labels", len(l.w), len(l.b), l.labels.Len())
	}
	return l, n.Err()
}

func (l *linearClassifier) columns() int { return max(l.count, l.labels.Len()) }

func inferLinearClassifier(n *Node) error {
	l, err := readLinearClassifier(n)
	if err != nil {
		return err
	}
	return inferClasses(n, l.labels, l.columns())
}

func buildLinearClassifier(n *Node) (Kernel, error) { return readLinearClassifier(n) }

func (l *linearClassifier) Run(c *Ctx, in, _ []onnx.Value) error {
	return classify(c, in, l.labels, l.columns(), func(x, scores []float64) (int, bool, error) {
		raw := scores[:l.count]
		if err := linearScores(raw, l.w, l.b, x); err != nil {
			return 0, false, err
		}
		at, single := argmaxOf(raw), l.count == 1
		if single {
			at = 0
			if raw[0] > 0 {
				at = 1
			}
			if len(scores) == 2 {
				scores[0], scores[1] = -raw[0], raw[0]
			}
		}
		l.post.apply(scores)
		return at, single, nil
	})
}

func argmaxOf(s []float64) int {
	at := 0
	for i, v := range s {
		if v > s[at] {
			at = i
		}
	}
	return at
}

// classify makes a classifier's outputs. score fills in the scores of a row
// and gives its label's place; where single is set and there are not two
// labels, the labels are 0 and 1.
func classify(c *Ctx, in []onnx.Value, labels *onnx.Tensor, columns int, score func(x, scores []float64) (at int, single bool, err error)) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	rows, _, err := mlRows(x)
	if err != nil {
		return err
	}
	y, err := c.New(0, labels.DataType(), []int{rows})
	if err != nil {
		return err
	}
	z, err := c.New(1, onnx.Float, []int{rows, columns})
	if err != nil {
		return err
	}
	out, scores := onnx.Elements[float32](z), make([]float64, columns)
	return eachRow(c, in, func(r int, x []float64) error {
		clear(scores)
		at, single, err := score(x, scores)
		if err != nil {
			return err
		}
		narrowScores(out[r*columns:], scores)
		switch {
		case !single || labels.Len() == 2:
			copyElements(y, r, labels, at, 1)
		case labels.DataType() == onnx.String:
			y.Strings()[r] = string(rune('0' + at))
		default:
			onnx.Elements[int64](y)[r] = int64(at)
		}
		return nil
	})
}

// svmKernel is K(a, b) = a.b (LINEAR), (gamma a.b + coef0)^degree (POLY),
// exp(-gamma |a-b|^2) (RBF) or tanh(gamma a.b + coef0) (SIGMOID).
type svmKernel struct {
	kind                 string
	gamma, coef0, degree float64
}

func readSVMKernel(n *Node) (*svmKernel, error) {
	k := &svmKernel{kind: n.Str("kernel_type", "LINEAR")}
	switch p := n.Floats("kernel_params"); len(p) {
	case 0:
	case 3:
		k.gamma, k.coef0, k.degree = float64(p[0]), float64(p[1]), float64(p[2])
	default:
		return nil, onnx.Errorf(onnx.ErrMalformed, "kernel_params has %d entries, want 3 (gamma, coef0, degree)", len(p))
	}
	switch k.kind {
	case "LINEAR", "POLY", "RBF", "SIGMOID":
		return k, n.Err()
	}
	return nil, onnx.Errorf(onnx.ErrMalformed, "kernel_type is %q", k.kind)
}

func (k *svmKernel) of(a []float32, x []float64) float64 {
	if k.kind == "RBF" {
		sum := 0.0
		for i, v := range x {
			d := v - float64(a[i])
			sum += d * d
		}
		return math.Exp(-k.gamma * sum)
	}
	dot := dotRow(a, x)
	switch k.kind {
	case "POLY":
		return math.Pow(k.gamma*dot+k.coef0, k.degree)
	case "SIGMOID":
		return math.Tanh(k.gamma*dot + k.coef0)
	}
	return dot
}

// kernels computes K of x with each of the support vectors.
func (k *svmKernel) kernels(dst []float64, vectors []float32, x []float64) error {
	if len(vectors) != len(dst)*len(x) {
		return onnx.Errorf(onnx.ErrShape, "X has %d columns; the support vectors have %d", len(x), len(vectors)/max(len(dst), 1))
	}
	for j := range dst {
		dst[j] = k.of(vectors[j*len(x):(j+1)*len(x)], x)
	}
	return nil
}

func inferSVMRegressor(n *Node) error { return inferRowsOut(n, 0, onnx.Float, 1) }

// buildSVMRegressor computes sum_j coefficients[j] K(sv_j, x) + rho, without
// support vectors coefficients.x + rho; with one_class its sign.
func buildSVMRegressor(n *Node) (Kernel, error) {
	k, err := readSVMKernel(n)
	if err != nil {
		return nil, err
	}
	post, err := readPostTransform(n)
	if err != nil {
		return nil, err
	}
	w, vectors, rho := n.Floats("coefficients"), n.Floats("support_vectors"), n.Floats("rho")
	supports, oneClass := n.Int("n_supports", 0), n.Bool("one_class", false)
	if supports < 0 || supports > 0 && (int64(len(w)) != supports || int64(len(vectors))%supports != 0) || len(rho) != 1 {
		return nil, onnx.Errorf(onnx.ErrMalformed, "%d coefficients, %d numbers of support vectors and %d rho for n_supports %d", len(w), len(vectors), len(rho), supports)
	}
	return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error {
		x, err := inputTensor(in, 0)
		if err != nil {
			return err
		}
		rows, _, err := mlRows(x)
		if err != nil {
			return err
		}
		y, err := c.New(0, onnx.Float, []int{rows, 1})
		if err != nil {
			return err
		}
		out, values := onnx.Elements[float32](y), make([]float64, supports)
		score := make([]float64, 1)
		return eachRow(c, in, func(r int, x []float64) error {
			if supports == 0 {
				if err := linearScores(score, w, nil, x); err != nil {
					return err
				}
			} else if err := k.kernels(values, vectors, x); err != nil {
				return err
			} else {
				score[0] = dotRow(w, values)
			}
			score[0] += float64(rho[0])
			if post.apply(score); oneClass {
				if score[0] > 0 {
					score[0] = 1
				} else {
					score[0] = -1
				}
			}
			out[r] = float32(score[0])
			return nil
		})
	}), nil
}

// svmClassifier compares each pair of classes by the support vectors of both;
// the class that wins most comparisons is the label. The scores are the
// classes' probabilities where prob_a and prob_b are given, else those of the
// comparisons (for two classes -s and s). Without support vectors each class
// has a linear score.
type svmClassifier struct {
	*svmKernel
	labels       *onnx.Tensor
	w, vectors   []float32
	rho          []float32
	probA, probB []float32
	first        []int // of each class's support vectors, and the number of all
	post         postTransform
}

func readSVMClassifier(n *Node) (*svmClassifier, error) {
	k, err := readSVMKernel(n)
	if err != nil {
		return nil, err
	}
	s := &svmClassifier{svmKernel: k, w: n.Floats("coefficients"), vectors: n.Floats("support_vectors"), rho: n.Floats("rho"),
		probA: n.Floats("prob_a"), probB: n.Floats("prob_b"), first: []int{0}}
	if s.labels, err = mlKeys(n, "classlabels_ints", "classlabels_strings"); err != nil {
		return nil, err
	}
	if s.post, err = readPostTransform(n); err != nil {
		return nil, err
	}
	counts := n.Ints("vectors_per_class")
	classes := s.labels.Len()
	total := 0
	for i, v := range counts {
		if v < 0 || v > int64(len(s.vectors)) {
			return nil, onnx.Errorf(onnx.ErrMalformed, "vectors_per_class[%d] is %d", i, v)
		}
		total += int(v)
		s.first = append(s.first, total)
	}
	if total == 0 {
		if len(s.w)%classes != 0 || len(s.rho) == 0 {
			return nil, onnx.Errorf(onnx.ErrMalformed, "%d coefficients and %d rho for %d classes", len(s.w), len(s.rho), classes)
		}
		if len(s.probA)+len(s.probB) > 0 {
			return nil, onnx.Errorf(onnx.ErrUnsupported, "prob_a and prob_b without support vectors")
		}
		s.first = nil
		return s, n.Err()
	}
	pairs := classes * (classes - 1) / 2
	if classes < 2 || len(counts) != classes || len(s.w) != (classes-1)*total || len(s.vectors)%total != 0 || len(s.rho) != pairs {
		return nil, onnx.Errorf(onnx.ErrMalformed, "%d coefficients, %d rho and %d numbers of %d support vectors for %d classes", len(s.w), len(s.rho), len(s.vectors), total, classes)
	}
	if len(s.probA) != len(s.probB) || len(s.probA) != 0 && len(s.probA) != pairs {
		return nil, onnx.Errorf(onnx.ErrMalformed, "%d prob_a and %d prob_b, want %d", len(s.probA), len(s.probB), pairs)
	}
	return s, n.Err()
}

func (s *svmClassifier) columns() int {
	c := s.labels.Len()
	if s.first == nil || len(s.probA) > 0 || c == 2 {
		return c
	}
	return c * (c - 1) / 2
}

func inferSVMClassifier(n *Node) error {
	s, err := readSVMClassifier(n)
	if err != nil {
		return err
	}
	return inferClasses(n, s.labels, s.columns())
}

func buildSVMClassifier(n *Node) (Kernel, error) { return readSVMClassifier(n) }

func (s *svmClassifier) Run(c *Ctx, in, _ []onnx.Value) error {
	classes := s.labels.Len()
	if s.first == nil {
		return classify(c, in, s.labels, classes, func(x, scores []float64) (int, bool, error) {
			if err := linearScores(scores, s.w, nil, x); err != nil {
				return 0, false, err
			}
			for i := range scores {
				scores[i] += float64(s.rho[0])
			}
			at := argmaxOf(scores)
			if classes == 1 && scores[0] > 0 {
				at = 1
			}
			s.post.apply(scores)
			return at, classes == 1, nil
		})
	}
	total := s.first[classes]
	values, votes := make([]float64, total), make([]float64, classes)
	pairs := make([]float64, len(s.rho))
	return classify(c, in, s.labels, s.columns(), func(x, scores []float64) (int, bool, error) {
		if err := s.kernels(values, s.vectors, x); err != nil {
			return 0, false, err
		}
		s.compare(values, pairs, votes)
		at := argmaxOf(votes)
		switch {
		case len(s.probA) > 0:
			s.probabilities(scores, pairs)
		case classes == 2:
			scores[0], scores[1] = -pairs[0], pairs[0]
		default:
			copy(scores, pairs)
		}
		s.post.apply(scores)
		return at, false, nil
	})
}

// compare computes the score of each pair of classes i < j, positive for i.
// Row j-1 of the coefficients belongs to class i's vectors, row i to j's.
func (s *svmClassifier) compare(values, pairs, votes []float64) {
	clear(votes)
	total, p := len(values), 0
	for i := range votes {
		for j := i + 1; j < len(votes); j++ {
			a, b, d, e := s.first[i], s.first[i+1], s.first[j], s.first[j+1]
			pairs[p] = dotRow(s.w[(j-1)*total+a:], values[a:b]) + dotRow(s.w[i*total+d:], values[d:e]) + float64(s.rho[p])
			if pairs[p] > 0 {
				votes[i]++
			} else {
				votes[j]++
			}
			p++
		}
	}
}

// probabilities couples the pairwise probabilities 1/(1+exp(a s + b)) into one
// for each class: the minimum of sum_ij (r_ji p_i - r_ij p_j)^2, by the
// iteration of Wu, Lin and Weng, "Probability Estimates for Multi-class
// Classification by Pairwise Coupling" (2004), algorithm 2.
func (s *svmClassifier) probabilities(p, pairs []float64) {
	k := len(p)
	r := make([]float64, k*k)
	at := 0
	for i := range k {
		for j := i + 1; j < k; j++ {
			v := logisticOf(-(pairs[at]*float64(s.probA[at]) + float64(s.probB[at])))
			v = min(max(v, 1e-7), 1-1e-7)
			r[i*k+j], r[j*k+i] = v, 1-v
			at++
		}
	}
	q, qp := make([]float64, k*k), make([]float64, k)
	for i := range k {
		p[i] = 1 / float64(k)
		for j := range k {
			if j != i {
				q[i*k+i] += r[j*k+i] * r[j*k+i]
				q[i*k+j] = -r[j*k+i] * r[i*k+j]
			}
		}
	}
	for range max(100, k) {
		pqp, worst := 0.0, 0.0
		for i := range k {
			qp[i] = 0
			for j := range k {
				qp[i] += q[i*k+j] * p[j]
			}
			pqp += p[i] * qp[i]
		}
		for i := range k {
			worst = max(worst, math.Abs(qp[i]-pqp))
		}
		if worst < 0.005/float64(k) {
			return
		}
		for i := range k {
			diff := (pqp - qp[i]) / q[i*k+i]
			p[i] += diff
			pqp = (pqp + diff*(diff*q[i*k+i]+2*qp[i])) / (1 + diff) / (1 + diff)
			for j := range k {
				qp[j] = (qp[j] + diff*q[i*k+j]) / (1 + diff)
				p[j] /= 1 + diff
			}
		}
	}
}
