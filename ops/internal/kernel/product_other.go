//go:build !amd64 || noasm

package kernel

// There is plain Go only: machineLevels says so, and nothing calls the rest.

func machineLevels() []Level { return nil }

func mulAdd(Level, []float32, int, []float32, int, int, int, []float32, int)                 {}
func mulAddStrips(Level, []float32, int, int, []float32, int, int, int, []float32, int, int) {}

func expVector(Level, []float32, []float32)     {}
func sigmoidVector(Level, []float32, []float32) {}
func tanhVector(Level, []float32, []float32)    {}
func reluVector(Level, []float32, []float32)    {}

func addVector(Level, []float32, []float32, []float32) int   { return 0 }
func subVector(Level, []float32, []float32, []float32) int   { return 0 }
func mulVector(Level, []float32, []float32, []float32) int   { return 0 }
func divVector(Level, []float32, []float32, []float32) int   { return 0 }
func maxVector(Level, []float32, []float32, []float32) int   { return 0 }
func minVector(Level, []float32, []float32, []float32) int   { return 0 }
func preluVector(Level, []float32, []float32, []float32) int { return 0 }

func addVectorVS(Level, []float32, []float32, float32) int   { return 0 }
func subVectorVS(Level, []float32, []float32, float32) int   { return 0 }
func mulVectorVS(Level, []float32, []float32, float32) int   { return 0 }
func divVectorVS(Level, []float32, []float32, float32) int   { return 0 }
func maxVectorVS(Level, []float32, []float32, float32) int   { return 0 }
func minVectorVS(Level, []float32, []float32, float32) int   { return 0 }
func preluVectorVS(Level, []float32, []float32, float32) int { return 0 }

func subVectorSV(Level, []float32, float32, []float32) int   { return 0 }
func divVectorSV(Level, []float32, float32, []float32) int   { return 0 }
func preluVectorSV(Level, []float32, float32, []float32) int { return 0 }

func lstmCell(Level, *Cells, int, []float32) {}
func gruCell(Level, *Cells, int)             {}
func gruResetCell(Level, *Cells, int)        {}
func gruBlendCell(Level, *Cells, int)        {}
func rnnCell(Level, *Cells, int)             {}

func gemmVectors(Level, []float32, int, []float32, int, int, []float32, int, int, int, int, bool) {}
