module github.com/recur-ml/recur

go 1.26.0

require (
	github.com/schollz/progressbar/v3 v3.19.1 // progress on a terminal
	github.com/spf13/cobra v1.10.2 // the command line: help, suggestions, completion
	github.com/spf13/pflag v1.0.9 // kinds of flags of our own, for cobra
	golang.org/x/term v0.48.0 // whether output is a terminal, and its width
	google.golang.org/protobuf v1.36.12 // protowire: the encoding of .onnx files
)

require (
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/mitchellh/colorstring v0.0.0-20190213212951-d06e56a500db // indirect
	github.com/rivo/uniseg v0.4.7 // indirect
	golang.org/x/sys v0.50.0 // indirect
)
