//go:build race

package isolate

// The race detector keeps several bytes for each byte of the program, so that
// a limit of memory would mean nothing.
const raceDetector = true
