// Package verify runs the cases of verify.json manifests and judges what
// comes out.
//
// A manifest lists cases: a model, inputs, and the outputs that they must
// give. Read reads one, Discover finds all below a path, and a Runner runs a
// case and gives its verdict.
package verify

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/recur-ml/recur/onnx"
)

// version is the version of verify.json that is read here.
const version = 1

// The tolerances of floating-point outputs where neither case nor file says
// others.
const (
	DefaultRtol = 1e-3
	DefaultAtol = 1e-5
)

// maxManifest bounds the size of a manifest in bytes.
const maxManifest = 256 << 20

// Manifest is a file of cases.
type Manifest struct {
	Path  string // of the file; of the folder where there is none
	About string
	Cases []*Case // in the file's order
}

// Case is a model and the calls of it that are checked.
type Case struct {
	Manifest   *Manifest
	ID         string // unique in its manifest
	Dir        string // the folder that paths are relative to
	Model      string
	Format     string
	Weights    string // path of a second file with the weights, "" for none
	Tags       []string
	Rtol, Atol float64
	// IntAtol is by how much integer outputs may differ.
	IntAtol uint64
	Runs    []Call
	// Sequence says that the runs are consecutive calls of one stream.
	Sequence bool
	// Carry maps outputs of a run to inputs of the next one in a sequence.
	Carry map[string]string
	// Options are those of the format.
	Options map[string]any
	// ExpectError says that the model must be refused.
	ExpectError bool
	// MayRefuse is the reason why the model may be refused, "" if it may not.
	MayRefuse string
	// SkipNumbers is the reason why only names, element types and shapes are
	// checked, "" if the elements are.
	SkipNumbers string
	Note        string
	// Positional says that names of inputs and outputs are places in the
	// model's lists, and that the declared types tell what a file holds.
	Positional bool
}

// Call is one call of a model: values by name, in the file's order.
type Call struct{ In, Out []Named }

// Named is a value's name and where it is kept.
type Named struct {
	Name string
	Ref  Ref
}

// formats are the formats of models that verify.json knows.
var formats = []string{"onnx", "graphdef", "meta_graph", "saved_model", "keras", "keras_h5", "keras_json"}

// Formats lists the formats of models that a manifest may name.
func Formats() []string { return slices.Clone(formats) }

// Read reads a manifest. An error names the file and the case; it matches
// onnx.ErrMalformed for what the format does not allow, unknown keys among it,
// and onnx.ErrUnsupported for another version of it.
func Read(path string) (*Manifest, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxManifest {
		return nil, fmt.Errorf("%s: %w", path, &onnx.LimitError{What: "bytes of a manifest", Got: info.Size(), Max: maxManifest})
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m, err := parse(data, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	m.Path = path
	return m, nil
}

// parse reads a manifest whose paths are relative to dir.
func parse(data []byte, dir string) (*Manifest, error) {
	tree, err := parseJSON(data)
	if err != nil {
		return nil, err
	}
	f := fieldsOf("a manifest", tree)
	f.require("version")
	f.require("cases")
	if v, ok := f.take("version"); ok && f.err == nil && fmt.Sprint(v) != fmt.Sprint(version) {
		return nil, onnx.Errorf(onnx.ErrUnsupported, "version %v of verify.json, want %d", v, version)
	}
	m := &Manifest{About: field[string](f, "about", "a string")}
	base := &Case{Manifest: m, Dir: dir, Rtol: f.number("rtol", DefaultRtol), Atol: f.number("atol", DefaultAtol)}
	cases := f.list("cases")
	f.list("left_out") // for people
	if err := f.done(); err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	for i, v := range cases {
		c := *base
		if err := c.parse(v); err != nil {
			return nil, fmt.Errorf("%s: %w", caseName(i, c.ID), err)
		}
		if ids[c.ID] {
			return nil, onnx.Errorf(onnx.ErrMalformed, "%s: another case has this id", caseName(i, c.ID))
		}
		ids[c.ID] = true
		m.Cases = append(m.Cases, &c)
	}
	return m, nil
}

func caseName(i int, id string) string {
	if id == "" {
		return fmt.Sprintf("case %d", i)
	}
	return fmt.Sprintf("case %q", id)
}

func (c *Case) parse(v any) error {
	f := fieldsOf("a case", v)
	for _, key := range []string{"id", "model", "format", "runs"} {
		f.require(key)
	}
	c.ID = f.text("id")
	c.Model, c.Format, c.Weights = f.text("model"), f.text("format"), f.text("weights")
	c.Tags = f.texts("tags")
	c.Rtol, c.Atol = f.number("rtol", c.Rtol), f.number("atol", c.Atol)
	c.IntAtol = uint64(f.integer("int_atol", 0))
	runs := f.list("runs")
	c.Sequence = f.flag("sequence")
	c.Carry = f.carry()
	c.Options = f.options()
	if e := f.text("expect"); e != "" && e != "error" {
		f.fail(`"expect" is %q, want "error"`, e)
	} else {
		c.ExpectError = e != ""
	}
	c.MayRefuse, c.SkipNumbers, c.Note = f.text("may_refuse"), f.text("skip_numbers"), field[string](f, "note", "a string")
	if err := f.done(); err != nil {
		return err
	}
	for _, p := range []string{c.Model, c.Weights} {
		if err := checkPath(p); err != nil && p != "" {
			return err
		}
	}
	if len(runs) == 0 {
		return onnx.Errorf(onnx.ErrMalformed, `"runs" is empty`)
	}
	for i, v := range runs {
		call, err := parseCall(v, c.ExpectError)
		if err != nil {
			return fmt.Errorf("run %d: %w", i, err)
		}
		c.Runs = append(c.Runs, call)
	}
	return c.checkCarry()
}

func (f *fields) texts(key string) []string {
	var out []string
	for _, v := range f.list(key) {
		s, ok := v.(string)
		if !ok {
			f.fail("%q holds %s, want strings", key, jsonKind(v))
		}
		out = append(out, s)
	}
	return out
}

func (f *fields) carry() map[string]string {
	v, ok := f.take("carry")
	if !ok {
		return nil
	}
	in := fieldsOf(`"carry"`, v)
	carry := map[string]string{}
	for _, k := range in.o.keys {
		carry[k] = in.text(k)
	}
	if err := in.done(); err != nil && f.err == nil {
		f.err = err
	}
	return carry
}

func (f *fields) options() map[string]any {
	v, ok := f.take("options")
	if !ok {
		return nil
	}
	in := fieldsOf(`"options"`, v)
	options := map[string]any{}
	if s := in.text("signature"); s != "" {
		options["signature"] = s
	}
	if in.flag("keras") {
		options["keras"] = true
	}
	if err := in.done(); err != nil && f.err == nil {
		f.err = err
	}
	return options
}

// checkCarry holds what is carried against the runs.
func (c *Case) checkCarry() error {
	if len(c.Carry) > 0 && !c.Sequence {
		return onnx.Errorf(onnx.ErrMalformed, `"carry" without "sequence": true`)
	}
	seen := map[string]bool{}
	for _, to := range c.Carry {
		if seen[to] {
			return onnx.Errorf(onnx.ErrMalformed, `"carry" has two outputs for the input %q`, to)
		}
		seen[to] = true
		if !slices.ContainsFunc(c.Runs[0].In, func(n Named) bool { return n.Name == to }) {
			return onnx.Errorf(onnx.ErrMalformed, "run 0 does not name the carried input %q", to)
		}
	}
	return nil
}

func parseCall(v any, expectError bool) (Call, error) {
	f := fieldsOf("a run", v)
	f.require("in")
	if !expectError {
		f.require("out")
	}
	call := Call{In: f.named("in"), Out: f.named("out")}
	return call, f.done()
}

// named reads the values of a run.
func (f *fields) named(key string) []Named {
	v, ok := f.take(key)
	if !ok {
		return nil
	}
	o := fieldsOf(fmt.Sprintf("%q", key), v)
	if o.err != nil && f.err == nil {
		f.err = o.err
	}
	var out []Named
	for _, name := range o.o.keys {
		ref, err := parseRef(o.o.values[name])
		if err != nil && f.err == nil {
			f.err = fmt.Errorf("%s %q: %w", key, name, err)
		}
		out = append(out, Named{name, ref})
	}
	return out
}

// checkPath wants a path below the manifest's folder, written with slashes.
func checkPath(p string) error {
	switch {
	case p == "":
		return onnx.Errorf(onnx.ErrMalformed, "an empty path")
	case strings.Contains(p, `\`):
		return onnx.Errorf(onnx.ErrMalformed, `path %q: want / between its parts`, p)
	case strings.HasPrefix(p, "/"), !filepath.IsLocal(filepath.FromSlash(p)):
		return onnx.Errorf(onnx.ErrMalformed, "path %q leads out of the manifest's folder", p)
	}
	return nil
}
