//go:build !amd64 || noasm

package kernel

// Without assembly the only level is Go, and nothing here is called.

func sumRows(Term, []float64, []float32, int, []float64)                                           {}
func extremeRows(Level, []float32, []float32, int, bool)                                           {}
func expRows(Level, []float32, []float32, int, []float32, []float64)                               {}
func mapRows(rowMap, Level, []float32, []float32, int, []float32, []float32, []float32, []float32) {}
func normRows(Level, []float32, []float32, int, []float32, []float32, []float32, []float32)        {}
func addColumnRows(Term, *Columns, []float32, int, int, int, int) int                              { return 0 }
func expColumns(Level, []float32, []float32, int, int, int, []float32) int                         { return 0 }
