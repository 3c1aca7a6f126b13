module github.com/recur-ml/recur/bench

go 1.26.0

require (
	github.com/recur-ml/recur v0.0.0
	github.com/yalue/onnxruntime_go v1.27.0
)

require google.golang.org/protobuf v1.36.12 // indirect

replace github.com/recur-ml/recur => ../
