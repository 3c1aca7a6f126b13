package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// cli is the command with the world around it, so that a test can give it
// another one.
type cli struct {
	in     io.Reader
	out    *checkedWriter
	err    io.Writer
	getenv func(string) string

	stdinRead bool
}

func newCLI(in io.Reader, out, err io.Writer, getenv func(string) string) *cli {
	return &cli{in: in, out: &checkedWriter{w: out}, err: err, getenv: getenv}
}

// stdin gives the standard input, once: of what is read to its end nothing is
// left for another file named "-".
func (c *cli) stdin() (io.Reader, error) {
	if c.stdinRead {
		return nil, usagef("stdin has been read already; - names it once")
	}
	c.stdinRead = true
	return c.in, nil
}

// run executes a command line and gives the exit code.
func (c *cli) run(ctx context.Context, args []string) (code int) {
	defer func() {
		if r := recover(); r != nil { // Go's own exit code would be that of wrong usage
			c.logf("internal error: %v\n%s", r, debug.Stack())
			code = exitMismatch
		}
	}()
	root := c.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		err = c.out.failed
	}
	if message := describe(err); message != "" {
		fmt.Fprintf(c.err, "recur: %s\n", cleanLines(message))
	}
	if code := exitCode(err); code != exitUsage {
		return code
	}
	if !errors.As(err, new(*hintedError)) && !errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(c.err, "Run \"%s --help\" for usage.\n", cmd.CommandPath())
	}
	return exitUsage
}

const rootHelp = `recur runs ONNX models in Go, recurrent ones above all.

Data goes to stdout, progress and messages to stderr. With --json a command
writes one JSON object with a schema_version. Where a file is read, "-" is
stdin. Files are written whole or not at all. There is no colour and no
progress bar when NO_COLOR is set or the output is not a terminal.

Exit codes:
    0  fine
    1  a result does not match, or a model or value is invalid
    2  the command line is wrong, or a file that it names is not there
    3  a model needs something that is not supported
    4  a limit was exceeded: memory, time, size
  130  interrupted`

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "recur",
		Short: "Run, inspect and verify ONNX models",
		Long:  rootHelp,
		Example: `  recur demo                                    a recurrent network reads handwritten digits
  recur inspect model.onnx                      what a model is and wants
  recur run model.onnx -i x=in.npy -o out.npz   compute its outputs
  recur verify cases                            run test cases and compare the results
  recur bench model.onnx                        how fast it runs, and where the time goes`,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		CompletionOptions:          cobra.CompletionOptions{HiddenDefaultCmd: false},
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		hint := ""
		if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
			hint = fmt.Sprintf("; did you mean %s?", quotedList(like))
		}
		return usagef("unknown command %q%s", args[0], hint)
	}
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.SetUsageTemplate(root.UsageTemplate() + "\nExit codes: 0 fine, 1 mismatch or invalid, 2 usage, 3 unsupported, 4 limit, 130 interrupted.\n")
	root.AddCommand(c.runCommand(), c.inspectCommand(), c.convertCommand(), c.checkCommand(), c.opsCommand(),
		c.verifyCommand(), c.benchCommand(), c.demoCommand(), c.versionCommand())
	return root
}

// exactly wants n arguments, described by what.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("want %s, have %d arguments", what, len(args))
		}
		return nil
	}
}

// atLeastOne wants one argument or more, described by what.
func atLeastOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("want one or more %s", what)
		}
		return nil
	}
}

// checkedWriter remembers the first failure, so that output that is lost (a
// full disk) is not taken for success.
type checkedWriter struct {
	w      io.Writer
	failed error
}

func (c *checkedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if err != nil && c.failed == nil {
		c.failed = err
	}
	return n, err
}

// terminal gives the width of the terminal that w is, 0 when it is none.
func terminal(w io.Writer) int {
	if c, ok := w.(*checkedWriter); ok {
		w = c.w
	}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		return width
	}
	return 80
}

// plain reports whether colour and moving output are unwelcome on w.
func (c *cli) plain(w io.Writer) bool {
	return terminal(w) == 0 || c.getenv("NO_COLOR") != "" || c.getenv("TERM") == "dumb"
}

// utf8 reports whether the locale can show characters beyond ASCII.
func (c *cli) utf8() bool {
	for _, key := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(c.getenv(key)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// logf writes a message to stderr.
func (c *cli) logf(format string, args ...any) { fmt.Fprintf(c.err, "recur: "+format+"\n", args...) }

func quotedList(list []string) string {
	parts := make([]string, len(list))
	for i, s := range list {
		parts[i] = fmt.Sprintf("%q", s)
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
