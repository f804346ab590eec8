//go:build race

package testdata

// Race is whether the race detector is on, under which decoding all the real
// advisories takes minutes: tests then take a few ecosystems.
const Race = true
