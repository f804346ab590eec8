package run

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// readyWithin bounds the checks of one request; probes commonly allow few seconds.
const readyWithin = 2 * time.Second

// readiness is the answer of /readyz.
type readiness struct {
	Status string            `json:"status"` // "ready", "not ready" or "draining"
	Parts  map[string]string `json:"parts"`  // part → "ok" or why not
}

const (
	statusReady    = "ready"
	statusNotReady = "not ready"
	statusDraining = "draining"
)

func (s *service) serveReady(w http.ResponseWriter, r *http.Request) {
	// One request at a time asks the parts, so that whoever can reach the
	// port cannot multiply the questions to what is behind them.
	select {
	case s.readySlot <- struct{}{}:
		defer func() { <-s.readySlot }()
	case <-r.Context().Done():
		return
	}
	ctx, done := context.WithTimeout(r.Context(), readyWithin)
	defer done()
	answer := s.readiness(ctx)

	code := http.StatusOK
	if answer.Status != statusReady {
		code = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(answer) // fails only if the caller has gone
}

func (s *service) readiness(ctx context.Context) readiness {
	reasons := make([]error, len(s.parts))
	var checks sync.WaitGroup
	for i, part := range s.parts {
		if part.Ready != nil {
			checks.Go(func() { reasons[i] = guarded(ctx, part.Ready) })
		}
	}
	checks.Wait()

	answer := readiness{Status: statusReady, Parts: make(map[string]string)}
	for i, part := range s.parts {
		answer.Parts[part.Name] = "ok"
		if reasons[i] != nil {
			answer.Parts[part.Name] = reasons[i].Error()
			answer.Status = statusNotReady
		}
	}
	// Asked last: draining may have begun while the parts were asked.
	if s.requests.isShut() {
		answer.Status = statusDraining
	}
	return answer
}
