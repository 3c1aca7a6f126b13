package main

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/recur-ml/recur/bench/internal/ort"
	rt "github.com/recur-ml/recur/runtime"
)

// report is everything that a run of this program found.
type report struct {
	Date       string    `json:"date"`
	CPU        string    `json:"cpu"`
	CPUs       int       `json:"cpus"`
	GOMAXPROCS int       `json:"gomaxprocs"`
	Platform   string    `json:"platform"`
	Go         string    `json:"go"`
	Revision   string    `json:"revision"`
	Engine     string    `json:"engine"`
	ORT        string    `json:"onnxruntime"`
	Clock      string    `json:"clock"`
	Passes     int       `json:"passes"`
	Peak       float64   `json:"peak_gflops,omitempty"`
	Results    []*result `json:"results"`
	Notes      []string  `json:"notes,omitempty"`
}

func newReport(c *config) *report {
	r := &report{Date: time.Now().UTC().Format(time.DateOnly), CPU: cpuName(), CPUs: runtime.NumCPU(), GOMAXPROCS: runtime.GOMAXPROCS(0),
		Platform: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), Revision: revision(), Engine: rt.Engines()[0],
		ORT: ort.Version(), Clock: "wall", Passes: c.effort.Passes}
	if c.cpu {
		r.Clock = "cpu"
	}
	return r
}

// cpuName is what the processor calls itself, "" where the system does not tell.
func cpuName() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		out, _ := exec.Command("sysctl", "-n", "machdep.cpu.brand_string").Output()
		return strings.TrimSpace(string(out))
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// revision is the commit of the working tree, with "+" when it was changed.
func revision() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty=+", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
