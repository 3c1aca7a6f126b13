package kernel

// Each part of the assembly has its own file, and one of declarations.
//go:generate sh -c "cd _gen && go run . -pkg kernel -part level -out ../asm_level_amd64.s -stubs ../asm_level_amd64.go"
//go:generate sh -c "cd _gen && go run . -pkg kernel -part transpose -out ../asm_transpose_amd64.s -stubs ../asm_transpose_amd64.go"
//go:generate sh -c "cd _gen && go run . -pkg kernel -part product -out ../asm_product_amd64.s -stubs ../asm_product_amd64.go"
//go:generate sh -c "cd _gen && go run . -pkg kernel -part beside -out ../asm_beside_amd64.s -stubs ../asm_beside_amd64.go"
//go:generate sh -c "cd _gen && go run . -pkg kernel -part pair -out ../asm_pair_amd64.s -stubs ../asm_pair_amd64.go"
//go:generate sh -c "cd _gen && go run . -pkg kernel -part function -out ../asm_function_amd64.s -stubs ../asm_function_amd64.go"
//go:generate sh -c "cd _gen && go run . -pkg kernel -part cell -out ../asm_cell_amd64.s -stubs ../asm_cell_amd64.go"
//go:generate sh -c "cd _gen && go run . -pkg kernel -part binary -out ../asm_binary_amd64.s -stubs ../asm_binary_amd64.go"
//go:generate sh -c "cd _gen && go run . -pkg kernel -part map -out ../asm_map_amd64.s -stubs ../asm_map_amd64.go"
//go:generate sh -c "cd _gen && go run . -pkg kernel -part sum -out ../asm_sum_amd64.s -stubs ../asm_sum_amd64.go"
//go:generate sh -c "cd _gen && go run . -pkg kernel -part row -out ../asm_row_amd64.s -stubs ../asm_row_amd64.go"
//go:generate sh -c "cd _gen && go run . -pkg kernel -part choose -out ../asm_choose_amd64.s -stubs ../asm_choose_amd64.go"
//go:generate sh -c "cd _gen && go run . -pkg kernel -part conv -out ../asm_conv_amd64.s -stubs ../asm_conv_amd64.go"
//go:generate sh -c "cd _gen && go run . -pkg kernel -part grid -out ../asm_grid_amd64.s -stubs ../asm_grid_amd64.go"
//go:generate sh -c "cd _gen && go run . -pkg kernel -part half -out ../asm_half_amd64.s -stubs ../asm_half_amd64.go"
//go:generate sh -c "cd _gen && go run . -pkg kernel -part integer -out ../asm_integer_amd64.s -stubs ../asm_integer_amd64.go"
