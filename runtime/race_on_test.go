//go:build race

package runtime_test

const raceDetector = true

// patience multiplies the time after which a test takes something for endless.
const patience = 20
