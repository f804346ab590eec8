package pspftest

import (
	"bytes"
	"compress/bzip2"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestBzip2 reads with the standard library's reader what Bzip2 writes.
func TestBzip2(t *testing.T) {
	noise := make([]byte, 5000)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	for name, data := range map[string]string{
		"empty": "", "one byte": "a", "text": "hello, world\n", "three": "aaa", "four": "aaaa", "longest run": strings.Repeat("a", 255),
		"more than that": strings.Repeat("a", 256), "zeros": strings.Repeat("\x00", 10_240), "periodic": strings.Repeat("abc", 1000),
		"two symbols": "abababbaab", "noise": string(noise),
	} {
		got, err := io.ReadAll(bzip2.NewReader(bytes.NewReader(Bzip2([]byte(data)))))
		if err != nil || string(got) != data {
			t.Errorf("%s: %v, %d bytes of %d", name, err, len(got), len(data))
		}
	}
}
