package rewrite_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/rewrite"
)

// TestRecurrenceTable prints a table of the recurrences of every ONNX file
// below the folders that RECUR_CORPUS lists, before and after the passes, with
// the reasons of loops that stay.
func TestRecurrenceTable(t *testing.T) {
	roots := filepath.SplitList(os.Getenv("RECUR_CORPUS"))
	if len(roots) == 0 || !testing.Verbose() {
		t.Skip("prints with -v and RECUR_CORPUS")
	}
	reasons := map[string]int{}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".onnx" {
				return err
			}
			m, err := onnx.Load(path, nil)
			if err != nil || onnx.Check(m) != nil {
				return nil // refused in other tests
			}
			before, after, err := rewrite.Recurrences(m, rewrite.Options{})
			if err != nil {
				t.Errorf("%s: %v", path, err)
				return nil
			}
			if len(before)+len(after) == 0 {
				return nil
			}
			rel, _ := filepath.Rel(root, path)
			fmt.Printf("| %s | %s | %s | %s |\n", rel, kinds(before), kinds(after), whyLeft(after, reasons))
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	for why, n := range reasons {
		fmt.Printf("%5d left: %s\n", n, why)
	}
}

func kinds(list []rewrite.Recurrence) string {
	var out []string
	for _, r := range list {
		out = append(out, r.Kind)
	}
	return strings.Join(out, " ")
}

func whyLeft(list []rewrite.Recurrence, reasons map[string]int) string {
	var out []string
	for _, r := range list {
		if r.Why != "" {
			out = append(out, r.Why)
			reasons[r.Why]++
		}
	}
	return strings.Join(out, "; ")
}

// TestRecurrences: what is counted, and why a loop stays one.
func TestRecurrences(t *testing.T) {
	for _, c := range stepCells {
		p := layer(t, c, loopForms[0])
		before, after, err := rewrite.Recurrences(p.model, rewrite.Options{})
		if err != nil || len(before) != 1 || len(after) != 1 || before[0].Kind != "Loop" {
			t.Fatalf("%s: %v, %v, %v", c.name, before, after, err)
		}
		if c.want != "" && after[0].Kind != c.want || c.want == "" && (after[0].Kind != "Loop" || after[0].Why == "") {
			t.Errorf("%s: %+v", c.name, after[0])
		}
	}
}
