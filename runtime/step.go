package runtime

import "context"

type stepKey struct{}

// WithStep numbers the step of a longer computation that runs under the context:
// a step of training, say. Random operators that have the attribute seed draw
// the same numbers in every run of one step, and others in runs of another. A
// run under a context without a number is of step 0. ctx may be nil, as in Run.
func WithStep(ctx context.Context, step uint64) context.Context {
	if ctx == nil {
		ctx = context.Background()
	}
	return context.WithValue(ctx, stepKey{}, step)
}

func stepOf(ctx context.Context) uint64 {
	step, _ := ctx.Value(stepKey{}).(uint64)
	return step
}
