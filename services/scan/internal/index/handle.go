package index

import "sync"

// Handle lets an index be replaced while others use it: the old one is closed
// when its last user is done. The zero Handle holds none.
type Handle struct {
	mu  sync.Mutex
	now *held
}

type held struct {
	*Index
	users    int
	replaced bool
}

// Acquire gives the present index, nil if there is none, and what to call
// when it is not needed any more.
func (h *Handle) Acquire() (*Index, func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.now
	if one == nil {
		return nil, func() {}
	}
	one.users++
	return one.Index, sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		one.users--
		one.closeIfDone()
	})
}

// Swap makes x the present index; nil leaves none.
func (h *Handle) Swap(x *Index) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if old := h.now; old != nil {
		old.replaced = true
		old.closeIfDone()
	}
	if h.now = nil; x != nil {
		h.now = &held{Index: x}
	}
}

func (h *held) closeIfDone() {
	if h.replaced && h.users == 0 {
		_ = h.Close() // only read from, so nothing is lost
	}
}
