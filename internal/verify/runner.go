package verify

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// Verdict is what is made of a case.
type Verdict string

// The verdicts.
const (
	// Passed: loaded, ran, and all outputs are right; or refused where that
	// is expected.
	Passed Verdict = "passed"
	// Failed: an output is wrong, missing, or of another type or shape; it ran
	// though an error is expected; a panic, a time-out, or data that is not
	// there.
	Failed Verdict = "failed"
	// Refused: an error at load or at run that says what is not supported or
	// not valid.
	Refused Verdict = "refused"
)

// Session is a loaded model, as the runtime's is.
type Session interface {
	Inputs() []onnx.ValueInfo
	Outputs() []onnx.ValueInfo
	Run(ctx context.Context, inputs onnx.Values, names ...string) (onnx.Values, error)
	Close() error
}

// Runner runs cases. The zero Runner runs them with the runtime's defaults. It
// may be used from several goroutines.
type Runner struct {
	// Options are given to the runtime with each model.
	Options []rt.Option
	// Limits bound files of data; they do not stand for a limit among Options.
	Limits onnx.Limits
	// Rtol and Atol replace those of all cases where they are set.
	Rtol, Atol *float64
	// Timeout ends a call of a model that takes longer; 0 is no limit.
	Timeout time.Duration
	// Again is how often each independent run is made again on the same
	// session, at the same time; 0 means once and a negative number never.
	// The results must be the same bits.
	Again int
	// Load replaces the runtime's Load.
	Load func(path string) (Session, error)
}

// Result is what became of a case.
type Result struct {
	Case    *Case
	Verdict Verdict
	// Reason says why the case did not pass, and the error that was expected
	// of one that did. For wrong outputs it is that of the first.
	Reason string
	// Run is the place in Case.Runs of the call that did not pass, -1 for what
	// is not of one call.
	Run int
	// Mismatches are the outputs of that call that are wrong.
	Mismatches []*Mismatch
	Took       time.Duration
}

// Allowed reports whether the result is a refusal that the case permits.
func (r *Result) Allowed() bool { return r.Verdict == Refused && r.Case.MayRefuse != "" }

// Run runs a case. When ctx is cancelled the verdict is without meaning.
func (r *Runner) Run(ctx context.Context, c *Case) (result Result) {
	start := time.Now()
	t := &trial{r: r, c: c, run: -1}
	defer func() {
		if p := recover(); p != nil {
			result = t.result(&outcome{Failed, fmt.Sprintf("panic: %v\n%s", p, debug.Stack())})
		}
		result.Took = time.Since(start)
	}()
	return t.result(t.do(ctx))
}
