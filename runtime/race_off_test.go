//go:build !race

package runtime_test

const raceDetector = false

// patience multiplies the time after which a test takes something for endless.
const patience = 3
