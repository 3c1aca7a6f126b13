// Command recur runs, inspects and verifies ONNX models.
//
//	go run github.com/recur-ml/recur/cmd/recur@latest demo
//	recur run model.onnx -i x=in.npz -o out.npz
//
// Data goes to stdout, progress and messages to stderr. See recur --help.
package main

import (
	"context"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second interrupt ends the process at once
	code := newCLI(os.Stdin, os.Stdout, os.Stderr, os.Getenv).run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
