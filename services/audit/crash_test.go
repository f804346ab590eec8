package audit

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// crashAt kills this very process at a named point, with a chance of one in
// so many; "point:chance".
func crashAt(spec string) func(string) {
	want, chance, ok := strings.Cut(spec, ":")
	n, err := strconv.Atoi(chance)
	if !ok || err != nil {
		return nil
	}
	var dead atomic.Bool
	return func(point string) {
		if point != want || rand.IntN(n) > 0 || dead.Swap(true) {
			return
		}
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Kill()
		}
		if err != nil {
			panic(err)
		}
		select {} // the signal is on its way
	}
}
