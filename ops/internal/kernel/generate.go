package kernel

//go:generate sh -c "cd _gen && go run . -pkg kernel -out ../asm_amd64.s -stubs ../stubs_amd64.go"
