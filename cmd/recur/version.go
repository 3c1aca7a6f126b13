package main

import (
	"fmt"
	"maps"
	goruntime "runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/recur-ml/recur/onnx"
)

// versionInfo is what recur version tells.
type versionInfo struct {
	header
	Module   string         `json:"module"`
	Version  string         `json:"version"`
	Revision string         `json:"revision,omitempty"`
	Time     string         `json:"time,omitempty"`
	Modified bool           `json:"modified,omitempty"`
	Go       string         `json:"go"`
	Platform string         `json:"platform"`
	CPUs     int            `json:"cpus"`
	ONNX     string         `json:"onnx"`
	IR       int            `json:"ir"`
	Opsets   map[string]int `json:"opsets"`
}

func (c *cli) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version, the platform and the opsets that are known",
		Long: `Version prints the module's version and revision, the Go release and platform
it was built for, and the newest opset of each domain whose definitions it
knows. "recur ops" tells which operators of these it computes.`,
		Example: "  recur version --json",
		Args:    cobra.MatchAll(exactly(0, "no arguments")),
		RunE: func(*cobra.Command, []string) error {
			v := readVersion()
			if asJSON {
				return writeJSON(c.out, v)
			}
			return c.printVersion(v)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func readVersion() versionInfo {
	v := versionInfo{header: headerOf("version"), Module: "github.com/recur-ml/recur", Version: "(devel)",
		Go: goruntime.Version(), Platform: goruntime.GOOS + "/" + goruntime.GOARCH, CPUs: goruntime.GOMAXPROCS(0), Opsets: map[string]int{}}
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.time":
				v.Time = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	releases := onnx.Releases()
	last := releases[len(releases)-1]
	v.ONNX, v.IR = last.Version, last.IRVersion
	for domain := range last.Opsets {
		v.Opsets[domainTitle(domain)] = onnx.LatestOpset(domain)
	}
	return v
}

func (c *cli) printVersion(v versionInfo) error {
	var b strings.Builder
	fmt.Fprintf(&b, "recur %s %s %s\n", v.Version, v.Go, v.Platform)
	if v.Revision != "" {
		modified := ""
		if v.Modified {
			modified = ", modified"
		}
		fmt.Fprintf(&b, "revision %s of %s%s\n", v.Revision, v.Time, modified)
	}
	fmt.Fprintf(&b, "ONNX %s, IR version %d\n", v.ONNX, v.IR)
	for _, domain := range slices.Sorted(maps.Keys(v.Opsets)) {
		fmt.Fprintf(&b, "opset %d of %s\n", v.Opsets[domain], domain)
	}
	_, err := c.out.Write([]byte(b.String()))
	return err
}
