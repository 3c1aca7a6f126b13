package rewrite

// boundary is where the definition of an operator changes: version is the
// first opset behind it.
type boundary struct {
	op      string
	version int
}

// crossing changes a node so that it means behind a boundary what it meant
// before: up towards newer opsets, down towards older ones. A nil change leaves
// the node as it is; a boundary that is not in the table has two of these. There
// only element types are added, or what the older version leaves open is said.
type crossing struct{ up, down func(*move) }

var boundaries = map[boundary]crossing{}

// cross adds a crossing for several operators.
func cross(version int, c crossing, ops ...string) {
	for _, op := range ops {
		b := boundary{op, version}
		if _, twice := boundaries[b]; twice {
			panic("two crossings for " + op)
		}
		boundaries[b] = c
	}
}

func init() {
	// What may be overwritten was said with consumed_inputs once.
	consumed := crossing{up: func(m *move) { m.take("consumed_inputs") }}
	cross(6, consumed, "Abs", "Add", "Ceil", "Div", "Elu", "Exp", "Floor", "HardSigmoid", "InstanceNormalization", "LeakyRelu", "Log", "Max", "Mean", "Min",
		"Mul", "Neg", "PRelu", "Reciprocal", "Relu", "Sigmoid", "Sqrt", "Sub", "Sum", "Tanh")
	cross(6, crossing{up: upSelu6, down: downSelu6}, "Selu")

	// Broadcasting by attributes became that of NumPy.
	cross(7, crossing{up: upBroadcast, down: downBroadcast}, "Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Pow", "Sub", "Xor")
	cross(7, crossing{up: func(m *move) { m.take("broadcast") }, down: func(m *move) { m.set("broadcast", 1) }}, "Gemm")
	cross(8, crossing{down: downEqualShapes}, "Max", "Mean", "Min", "Sum")
	cross(7, crossing{up: upPRelu, down: downPRelu}, "PRelu")
	cross(11, crossing{down: downGemmC}, "Gemm")
	cross(12, crossing{down: downOrEqual}, "GreaterOrEqual", "LessOrEqual")

	// Negative axes.
	cross(11, crossing{down: absoluteAxis("axis")}, "ArgMax", "ArgMin", "Compress", "Concat", "Flatten", "Hardmax", "LogSoftmax", "Softmax", "Split")
	cross(11, crossing{down: downGather11}, "Gather")
	cross(11, crossing{down: absoluteAxis("axes")}, "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
		"ReduceProd", "ReduceSum", "ReduceSumSquare", "Squeeze", "Unsqueeze")
	cross(11, crossing{up: upOneHot, down: downOneHot}, "OneHot")
	cross(4, crossing{up: upConcat}, "Concat")
	cross(13, crossing{up: upSoftmax, down: downSoftmax}, "Hardmax", "LogSoftmax", "Softmax")

	// Attributes that became inputs.
	cross(13, crossing{up: upAxes, down: downAxes}, "ReduceSum", "Squeeze", "Unsqueeze")
	cross(18, crossing{up: upAxes, down: downAxes}, "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
		"ReduceProd", "ReduceSumSquare")
	cross(5, crossing{up: upReshape, down: downReshape}, "Reshape")
	cross(14, crossing{down: downAllowZero}, "Reshape")
	cross(10, crossing{up: upSlice, down: downSlice}, "Slice")
	cross(11, crossing{down: downSlice11}, "Slice")
	cross(2, crossing{up: upSplit2}, "Split")
	cross(13, crossing{up: upSplit, down: downSplit}, "Split")
	cross(18, crossing{up: upSplit18, down: downSplit18}, "Split")
	cross(6, crossing{up: upClip6, down: downClip6}, "Clip")
	cross(11, crossing{up: upClip, down: downClip}, "Clip")
	cross(2, crossing{up: renamed("paddings", "pads"), down: renamed("pads", "paddings")}, "Pad")
	cross(11, crossing{up: upPad, down: downPad}, "Pad")
	cross(18, crossing{down: downPadAxes}, "Pad")
	cross(19, crossing{down: otherThan("mode", "wrap")}, "Pad")
	cross(6, crossing{up: upTile, down: downTile}, "Tile")
	cross(10, crossing{up: upTopK, down: downTopK}, "TopK")
	cross(11, crossing{down: onlyDefault("largest")}, "TopK")
	cross(20, crossing{up: upDFT, down: downDFT}, "DFT")

	// Casts and constants.
	cross(6, crossing{up: upCast6, down: downCast6}, "Cast")
	cross(19, crossing{down: without("saturate")}, "Cast", "CastLike") // it says something of types alone that do not exist before
	cross(24, crossing{down: without("round_mode")}, "Cast", "CastLike")
	cross(15, crossing{down: downCastLike}, "CastLike")
	cross(11, crossing{down: downSparseConstant}, "Constant")
	cross(12, crossing{down: downConstant}, "Constant")

	// Attributes that earlier versions do not have.
	cross(12, crossing{down: onlyDefault("select_last_index")}, "ArgMax", "ArgMin")
	cross(7, crossing{down: onlyDefault("count_include_pad")}, "AveragePool")
	cross(10, crossing{down: onlyDefault("ceil_mode")}, "AveragePool")
	cross(19, crossing{down: onlyDefault("dilations")}, "AveragePool")
	cross(8, crossing{down: downMaxPool8}, "MaxPool")
	cross(10, crossing{down: onlyDefault("ceil_mode", "dilations")}, "MaxPool")
	cross(2, crossing{up: upPower, down: downPower}, "GlobalLpPool", "LpPool")
	cross(18, crossing{down: onlyDefault("ceil_mode", "dilations")}, "LpPool")
	cross(11, crossing{down: onlyDefault("mode")}, "DepthToSpace")
	cross(28, crossing{down: onlyDefault("mode")}, "SpaceToDepth")
	cross(12, crossing{down: onlyDefault("batch_dims")}, "GatherND")
	cross(16, crossing{down: onlyDefault("reduction")}, "ScatterElements", "ScatterND")
	cross(18, crossing{down: otherThan("reduction", "min", "max")}, "ScatterElements", "ScatterND")
	cross(11, crossing{up: as("ScatterElements")}, "Scatter")
	cross(11, crossing{down: as("Scatter")}, "ScatterElements")
	cross(15, crossing{down: downShape}, "Shape")
	cross(27, crossing{down: onlyDefault("stash_type")}, "Range")
	cross(16, crossing{up: upRoiAlign, down: downRoiAlign}, "RoiAlign")
	cross(20, crossing{up: upGridSample, down: downGridSample}, "GridSample")
	cross(18, crossing{down: downOptional}, "OptionalHasElement")
	cross(24, crossing{down: withoutInput(6)}, "Attention")
	cross(25, crossing{down: onlyDefault("left_window_size", "right_window_size")}, "Attention")

	// Quantization.
	cross(13, crossing{down: downQuantAxis}, "DequantizeLinear", "QuantizeLinear")
	cross(19, crossing{down: without("saturate")}, "QuantizeLinear")
	cross(21, crossing{down: downQuantType}, "QuantizeLinear")
	cross(21, crossing{down: onlyDefault("block_size")}, "DequantizeLinear")
	cross(23, crossing{down: onlyDefault("precision")}, "QuantizeLinear")
	cross(23, crossing{down: downDequantType}, "DequantizeLinear")

	// Training, normalization, resizing.
	cross(6, crossing{up: func(m *move) { m.take("consumed_inputs") }, down: func(m *move) { m.set("consumed_inputs", []int64{0, 0, 0, 1, 1}) }}, "BatchNormalization")
	cross(7, crossing{up: upTest, down: downBatchNorm7}, "BatchNormalization")
	cross(9, crossing{up: upSpatial}, "BatchNormalization")
	cross(14, crossing{up: upBatchNorm14, down: downBatchNorm14}, "BatchNormalization")
	cross(6, consumed, "Dropout")
	cross(7, crossing{up: upTest, down: func(m *move) { m.set("is_test", 1) }}, "Dropout")
	cross(10, crossing{up: upDropoutMask, down: downDropoutMask}, "Dropout")
	cross(12, crossing{up: upDropout, down: downDropout}, "Dropout")
	cross(21, crossing{up: upGroupNorm, down: downGroupNorm}, "GroupNormalization")
	cross(7, crossing{up: upUpsample7, down: downUpsample7}, "Upsample")
	cross(9, crossing{up: upScales, down: downScales}, "Upsample")
	cross(10, crossing{up: as("Resize")}, "Upsample")
	cross(10, crossing{down: as("Upsample")}, "Resize")
	cross(11, crossing{up: upResize, down: downResize}, "Resize")
	cross(13, crossing{up: upResize13, down: spellResize}, "Resize")
	cross(18, crossing{down: onlyDefault("antialias", "axes", "keep_aspect_ratio_policy")}, "Resize")
	cross(19, crossing{down: otherThan("coordinate_transformation_mode", "half_pixel_symmetric")}, "Resize")

	// Recurrent operators and loops.
	cross(3, crossing{up: upGRU3, down: downGRU3}, "GRU")
	cross(7, crossing{up: without("output_sequence"), down: downOutputSequence}, "GRU", "LSTM", "RNN")
	cross(14, crossing{down: downLayout}, "GRU", "LSTM", "RNN")
	cross(9, crossing{up: upScan, down: downScan}, "Scan")
}
