package recur_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/recur-ml/recur/internal/verify"
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// TestOperatorsTable holds OPERATORS.md against the table of operators and the
// goldens that pass. go test . -run TestOperatorsTable -update writes it.
func TestOperatorsTable(t *testing.T) {
	passed := map[string]int{}
	for _, s := range goldens(t) {
		for _, r := range s.run(t.Context(), configs()[0]).results {
			if r.Verdict == verify.Passed {
				for _, tag := range r.Case.Tags {
					passed[tag]++
				}
			}
		}
	}
	text := operatorsTable(ops.Default(), passed)
	if *update {
		if err := os.WriteFile("OPERATORS.md", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile("OPERATORS.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != text {
		t.Error("OPERATORS.md is stale; renew it with: go test . -run TestOperatorsTable -update")
	}
}

// operatorRow is an operator with all its versions.
type operatorRow struct {
	domain, name string
	versions     []int
	missing      []int
	types        []onnx.DataType
}

func operatorRows(r *ops.Registry) (rows []*operatorRow, absent []string) {
	byName := map[string]*operatorRow{}
	for _, e := range r.Entries() {
		key := e.Domain + ":" + e.Name
		row := byName[key]
		if row == nil {
			row = &operatorRow{domain: e.Domain, name: e.Name}
			byName[key] = row
			rows = append(rows, row)
		}
		row.versions = append(row.versions, e.Since)
		row.types = e.Op.Types
		if s := onnx.LookupSchema(e.Domain, e.Name, e.Since); row.types == nil && s != nil {
			row.types = firstTypes(s)
		}
	}
	seen := map[string]bool{}
	for s := range onnx.Schemas() {
		key := s.Domain + ":" + s.Name
		row := byName[key]
		switch {
		case s.Deprecated:
		case row == nil && !seen[key]:
			absent = append(absent, qualified(s.Domain, s.Name))
			seen[key] = true
		case row != nil && !slices.Contains(row.versions, s.Since):
			row.missing = append(row.missing, s.Since)
		}
	}
	return rows, absent
}

// firstTypes gives the element types of an operator's first input, or of its
// first output where it has none.
func firstTypes(s *onnx.Schema) []onnx.DataType {
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

func qualified(domain, name string) string {
	if domain == "" {
		return name
	}
	return domain + ":" + name
}

func operatorsTable(r *ops.Registry, passed map[string]int) string {
	rows, absent := operatorRows(r)
	var b strings.Builder
	b.WriteString(`# Operators

Made by a test from the table of operators: go test . -run TestOperatorsTable -update

Versions are the opsets in which an operator's definition changed; a model that imports opset n means the last one that is not above n. Types are the element
types of the first input in the newest version. Cases are the goldens of this repository that use the operator and pass. No operator has a gradient yet.

| operator | versions | missing | element types | cases passed | gradient |
| --- | --- | --- | --- | --- | --- |
`)
	versions := 0
	for _, row := range rows {
		name := qualified(row.domain, row.name)
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d | none |\n", name, ints(row.versions), ints(row.missing), typeNames(row.types), casesOf(passed, row))
		versions += len(row.versions)
	}
	fmt.Fprintf(&b, "\n%d operators in %d versions.\n", len(rows), versions)
	if len(absent) > 0 {
		fmt.Fprintf(&b, "\nNot there: %s.\n", strings.Join(absent, ", "))
	}
	return b.String()
}

// casesOf counts cases; their tags name operators with or without the domain.
func casesOf(passed map[string]int, row *operatorRow) int {
	if row.domain == "" {
		return passed[row.name]
	}
	return max(passed[row.domain+":"+row.name], passed[row.name])
}

func ints(list []int) string {
	if len(list) == 0 {
		return "-"
	}
	return strings.Trim(fmt.Sprint(list), "[]")
}

func typeNames(list []onnx.DataType) string {
	if len(list) == 0 {
		return "-"
	}
	names := make([]string, len(list))
	for i, d := range list {
		names[i] = d.String()
	}
	return strings.Join(names, " ")
}
