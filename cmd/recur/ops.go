package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

const opsHelp = `Ops lists the operators: all that ONNX has, the versions of each, and which
of these recur computes. A version is the opset in which the operator's
definition changed; a model that imports opset 17 means the last version that
is not above 17. Versions that only declare an operator deprecated are left
out.

Names choose operators: those that contain one of them, in any case of letters;
DOMAIN:NAME for another domain than ai.onnx.

Element types are those of the first input in the newest version. Groups of
them have names: floats (float16, bfloat16, float, double), float8 (the four
formats with a sign), ints and uints (8 to 64 bits), complex (64, 128), int4
and int2 (signed and unsigned).`

// opRow is an operator in the support table.
type opRow struct {
	Domain    string   `json:"domain"`
	Name      string   `json:"name"`
	Versions  []int    `json:"versions"`
	Supported []int    `json:"supported"`
	Missing   []int    `json:"missing"`
	Types     []string `json:"types"`
}

func (c *cli) opsCommand() *cobra.Command {
	var asJSON, missing bool
	cmd := &cobra.Command{
		Use:   "ops [NAME]...",
		Short: "List the operators and which versions are supported",
		Long:  opsHelp,
		Example: `  recur ops                 the whole table
  recur ops lstm gru rnn    some operators
  recur ops --missing       what is not supported`,
		RunE: func(_ *cobra.Command, args []string) error {
			all := supportTable(ops.Default())
			rows, err := chooseRows(all, args)
			if err != nil {
				return err
			}
			if missing {
				rows = slices.DeleteFunc(rows, func(r opRow) bool { return len(r.Missing) == 0 })
			}
			if asJSON {
				return writeJSON(c.out, struct {
					header
					Operators []opRow `json:"operators"`
				}{headerOf("ops"), rows})
			}
			return c.printOps(rows)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&missing, "missing", false, "only operators with a version that is not supported")
	return cmd
}

// supportTable joins ONNX's schemas and a registry, by domain and name.
func supportTable(r *ops.Registry) []opRow {
	byName := map[string]*opRow{}
	var order []string
	row := func(domain, name string) *opRow {
		key := domain + ":" + name
		if byName[key] == nil {
			byName[key] = &opRow{Domain: domainTitle(domain), Name: name, Versions: []int{}, Supported: []int{}, Missing: []int{}, Types: []string{}}
			order = append(order, key)
		}
		return byName[key]
	}
	for s := range onnx.Schemas() {
		if r := row(s.Domain, s.Name); !s.Deprecated {
			r.Versions = append(r.Versions, s.Since)
		}
	}
	for _, e := range r.Entries() {
		r := row(e.Domain, e.Name)
		r.Supported = append(r.Supported, e.Since)
		if !slices.Contains(r.Versions, e.Since) {
			r.Versions = append(r.Versions, e.Since)
		}
		r.Types = typeNames(entryTypes(e))
	}
	slices.Sort(order)
	var rows []opRow
	for _, key := range order {
		r := byName[key]
		slices.Sort(r.Versions)
		for _, v := range r.Versions {
			if !slices.Contains(r.Supported, v) {
				r.Missing = append(r.Missing, v)
			}
		}
		if len(r.Versions) > 0 {
			rows = append(rows, *r)
		}
	}
	return rows
}

// entryTypes gives the element types of an operator's first input, or of its
// output where it has no input.
func entryTypes(e ops.Entry) []onnx.DataType {
	if e.Op.Types != nil {
		return e.Op.Types
	}
	s := e.Op.Schema
	if s == nil {
		s = onnx.LookupSchema(e.Domain, e.Name, e.Since)
	}
	if s == nil {
		return nil
	}
	for _, f := range []*onnx.Formal{s.Input(0), s.Output(0)} {
		if f == nil {
			continue
		}
		var out []onnx.DataType
		for _, t := range f.Types.Types() {
			for t.Of != nil {
				t = *t.Of
			}
			if !slices.Contains(out, t.Elem) {
				out = append(out, t.Elem)
			}
		}
		return out
	}
	return nil
}

func typeNames(list []onnx.DataType) []string {
	out := make([]string, len(list))
	for i, d := range list {
		out[i] = d.String()
	}
	return out
}

// chooseRows keeps the operators that the names choose, all without names.
func chooseRows(all []opRow, wanted []string) ([]opRow, error) {
	if len(wanted) == 0 {
		return all, nil
	}
	keep := map[int]bool{}
	for _, w := range wanted {
		found := false
		for i, r := range all {
			if strings.Contains(strings.ToLower(r.Domain+":"+r.Name), strings.ToLower(w)) {
				keep[i], found = true, true
			}
		}
		if !found {
			return nil, hintf("no operator %q%s", w, nearest(w, all))
		}
	}
	var out []opRow
	for i, r := range all {
		if keep[i] {
			out = append(out, r)
		}
	}
	return out, nil
}

// nearest suggests the operators whose names are closest to a wrong one: no
// more than a third of its letters away.
func nearest(name string, all []opRow) string {
	far := min(len(name)/3, 2) + 1
	best, like := far, []string(nil)
	for _, r := range all {
		switch d := distance(strings.ToLower(name), strings.ToLower(r.Name)); {
		case d < best:
			best, like = d, []string{r.Name}
		case d == best && best < far:
			like = append(like, r.Name)
		}
	}
	if like == nil {
		return "; recur ops lists all"
	}
	return "; did you mean " + quotedList(like) + "?"
}

// distance counts the insertions, deletions and substitutions of bytes that
// turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func (c *cli) printOps(rows []opRow) error {
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "OPERATOR\tSUPPORTED\tMISSING\tELEMENT TYPES")
	versions, supported := 0, 0
	for _, r := range rows {
		domain := r.Domain
		if domain == "ai.onnx" {
			domain = ""
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", qualified(domain, r.Name), intList(r.Supported), intList(r.Missing), typeSummary(r.Types))
		versions += len(r.Versions)
		supported += len(r.Supported)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.out, "%d operators, %d of %d versions supported\n", len(rows), supported, versions)
	return err
}

// intList writes "1 7 14", and "-" for nothing.
func intList(list []int) string {
	if len(list) == 0 {
		return "-"
	}
	return strings.Trim(fmt.Sprint(list), "[]")
}

var typeGroups = []struct {
	name  string
	types []onnx.DataType
}{
	{"floats", []onnx.DataType{onnx.Float16, onnx.BFloat16, onnx.Float, onnx.Double}},
	{"float8", []onnx.DataType{onnx.Float8E4M3FN, onnx.Float8E4M3FNUZ, onnx.Float8E5M2, onnx.Float8E5M2FNUZ}},
	{"ints", []onnx.DataType{onnx.Int8, onnx.Int16, onnx.Int32, onnx.Int64}},
	{"uints", []onnx.DataType{onnx.Uint8, onnx.Uint16, onnx.Uint32, onnx.Uint64}},
	{"complex", []onnx.DataType{onnx.Complex64, onnx.Complex128}},
	{"int4", []onnx.DataType{onnx.Int4, onnx.Uint4}},
	{"int2", []onnx.DataType{onnx.Int2, onnx.Uint2}},
}

// typeSummary writes element types, whole groups by the group's name.
func typeSummary(types []string) string {
	left := slices.Clone(types)
	var out []string
	for _, g := range typeGroups {
		members := typeNames(g.types)
		if slices.ContainsFunc(members, func(m string) bool { return !slices.Contains(left, m) }) {
			continue
		}
		out = append(out, g.name)
		left = slices.DeleteFunc(left, func(t string) bool { return slices.Contains(members, t) })
	}
	if out = append(out, left...); len(out) == 0 {
		return "-"
	}
	return strings.Join(out, " ")
}

func domainTitle(domain string) string {
	if domain == "" {
		return "ai.onnx"
	}
	return domain
}
