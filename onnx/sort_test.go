package onnx

import (
	"fmt"
	"strings"
	"testing"
)

func nodeNames(nodes []*Node) string {
	var out []string
	for _, n := range nodes {
		out = append(out, n.Name)
	}
	return strings.Join(out, " ")
}

func TestSort(t *testing.T) {
	for _, c := range []struct {
		name  string
		nodes []*Node
		want  string
	}{
		{"nothing", nil, ""},
		{"in order", []*Node{opNode("B", "x", "b"), opNode("A", "x", "a"), opNode("C", "a b", "c")}, "b a c"},
		{"backwards", []*Node{opNode("C", "b", "c"), opNode("B", "a", "b"), opNode("A", "x", "a")}, "a b c"},
		{"capture", []*Node{ifNode("y", testBranch("q", opNode("Relu", "h", "q")), testBranch("x")), opNode("H", "x", "h")}, "h if"},
		{"capture of an output", []*Node{ifNode("y", testBranch("x"), testBranch("h")), opNode("H", "x", "h")}, "h if"},
		{"nested capture", []*Node{ifNode("y", testBranch("x"), testBranch("z", ifNode("z", testBranch("h"), testBranch("x")))), opNode("H", "x", "h")}, "h if"},
		{"local name", []*Node{ifNode("y", testBranch("h", opNode("Relu", "x", "h")), testBranch("x")), opNode("H", "y", "h")}, "if h"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Sort(&Graph{Nodes: c.nodes})
			if err != nil || nodeNames(got) != c.want {
				t.Errorf("got %q, %v, want %q", nodeNames(got), err, c.want)
			}
		})
	}
}

func TestSortRefuses(t *testing.T) {
	_, err := Sort(&Graph{Nodes: []*Node{opNode("A", "a", "a")}})
	wantError(t, err, ErrMalformed, `nodes form a cycle: node "a" (A) reads from node "a" (A)`)
	_, err = Sort(&Graph{Nodes: []*Node{opNode("A", "x", "a"), opNode("B", "x", "a")}})
	wantError(t, err, ErrMalformed, `value "a" is an output of node "a" (A) and of node "b" (B)`)

	var ring []*Node
	for i := range 20 {
		ring = append(ring, opNode("Relu", fmt.Sprint("h", (i+19)%20), fmt.Sprint("h", i)))
	}
	_, err = Sort(&Graph{Nodes: ring})
	if n := strings.Count(err.Error(), "reads from"); n != 9 {
		t.Errorf("a cycle of 20 nodes: %v", err)
	}
}

// TestSortLong has a chain that is as long as it is backwards.
func TestSortLong(t *testing.T) {
	const n = 100_000
	nodes := make([]*Node, n)
	for i := range nodes {
		nodes[i] = &Node{OpType: "Relu", Inputs: []string{fmt.Sprint(n - i - 1)}, Outputs: []string{fmt.Sprint(n - i)}}
	}
	got, err := Sort(&Graph{Nodes: nodes})
	if err != nil || len(got) != n || got[0] != nodes[n-1] {
		t.Errorf("got %d nodes, %v", len(got), err)
	}
}
