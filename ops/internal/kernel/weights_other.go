//go:build !linux

package kernel

// preferHugePages is for systems that leave the choice to the program.
func preferHugePages([]byte) {}
