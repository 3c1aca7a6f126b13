package ops

import (
	"flag"
	"os"
	"testing"
)

// testLevel is the level that tests build kernels for.
var testLevel = Levels()[0]

// TestMain runs the tests at each level that the machine has.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.bench"); f.Value.String() != "" || flag.Lookup("test.fuzz").Value.String() != "" {
		os.Exit(m.Run())
	}
	failed := 0
	for _, testLevel = range Levels() {
		if code := m.Run(); code != 0 {
			println("at level", testLevel.String())
			failed = code
		}
	}
	os.Exit(failed)
}
