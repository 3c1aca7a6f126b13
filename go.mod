module github.com/recur-ml/recur

go 1.26.0

require (
	github.com/owulveryck/onnx-go v0.5.0 // runtime/onnxgo is a backend for it; archived
	github.com/schollz/progressbar/v3 v3.19.1 // progress on a terminal
	github.com/spf13/cobra v1.10.2 // the command line: help, suggestions, completion
	github.com/spf13/pflag v1.0.9 // kinds of flags of our own, for cobra
	golang.org/x/term v0.48.0 // whether output is a terminal, and its width
	gonum.org/v1/gonum v0.17.0 // graphs, as onnx-go wants them
	google.golang.org/protobuf v1.36.12 // protowire: the encoding of .onnx files
	gorgonia.org/tensor v0.9.3 // tensors, as onnx-go has them
)

require (
	github.com/chewxy/hm v1.0.0 // indirect
	github.com/chewxy/math32 v1.11.1 // indirect
	github.com/davecgh/go-spew v1.1.1 // indirect
	github.com/gogo/protobuf v1.3.2 // indirect
	github.com/golang/protobuf v1.5.0 // indirect
	github.com/google/flatbuffers v1.11.0 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/mitchellh/colorstring v0.0.0-20190213212951-d06e56a500db // indirect
	github.com/pkg/errors v0.8.1 // indirect
	github.com/pmezard/go-difflib v1.0.0 // indirect
	github.com/rivo/uniseg v0.4.7 // indirect
	github.com/stretchr/testify v1.9.0 // indirect
	github.com/xtgo/set v1.0.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	gopkg.in/yaml.v3 v3.0.1 // indirect
	gorgonia.org/vecf32 v0.9.0 // indirect
	gorgonia.org/vecf64 v0.9.0 // indirect
)
