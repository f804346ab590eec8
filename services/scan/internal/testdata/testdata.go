// Package testdata tells the tests of this service whether the race detector
// is on, under which they take less of the real data.
package testdata
