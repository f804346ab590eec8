package audit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"

	"assize.dev/services/audit/internal/checkpoint"
	"assize.dev/shared/digest"
	"assize.dev/shared/run"
)

// Parts are what a process runs and serves:
//
//	/audit/checkpoint, /audit/tile/…     the log (c2sp.org/tlog-tiles)
//	/v1/proof/inclusion?index=N          that an entry is in it (c2sp.org/tlog-proof)
//	/v1/proof/inclusion?artifact=DIGEST  the same of the newest verdict
//	/v1/proof/consistency?from=N&to=M    that it only grew: hashes in base64, a line each
//
// Reading is for all who can reach the address: the log holds what every event
// says.
func (s *Service) Parts() []run.Part {
	return []run.Part{
		{Name: "audit", Run: s.Run, Pattern: "GET /" + publicPrefix, Handler: http.HandlerFunc(s.serveLog)},
		{Name: "audit-proofs", Pattern: "GET /v1/proof/", Handler: s.proofHandler()},
	}
}

// serveLog serves tiles for good, and the checkpoint for the moment.
func (s *Service) serveLog(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/"+publicPrefix)
	limit := int64(maxObject)
	switch {
	case path == "checkpoint":
		limit = checkpoint.MaxSigned
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
	case strings.HasPrefix(path, "tile/"):
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	default:
		http.NotFound(w, r)
		return
	}
	b, err := fetch(r.Context(), s.store, path, limit)
	if err != nil {
		w.Header().Del("Cache-Control")
		s.refuse(w, r, err)
		return
	}
	_, _ = w.Write(b) // whoever went away needs no answer
}

func (s *Service) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	s.log.WarnContext(r.Context(), "the log could not be read", "path", r.URL.Path, "error", err)
	http.Error(w, "the log could not be read", http.StatusInternalServerError)
}

func (s *Service) proofHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/proof/inclusion", func(w http.ResponseWriter, r *http.Request) {
		p, err := s.inclusion(r)
		var bad badRequest
		switch {
		case errors.As(err, &bad):
			http.Error(w, bad.Error(), http.StatusBadRequest)
		case err != nil:
			s.refuse(w, r, err)
		default:
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("Cache-Control", "no-cache")
			_, _ = w.Write(p.Marshal())
		}
	})
	mux.HandleFunc("GET /v1/proof/consistency", func(w http.ResponseWriter, r *http.Request) {
		from, err := strconv.ParseUint(r.FormValue("from"), 10, 63)
		to := uint64(0)
		if text := r.FormValue("to"); err == nil && text != "" {
			to, err = strconv.ParseUint(text, 10, 63)
		}
		if err != nil {
			http.Error(w, "want ?from=N, and &to=M for other than the present size", http.StatusBadRequest)
			return
		}
		path, _, err := ProveConsistency(r.Context(), Published(s.store), from, to)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		for _, h := range path {
			_, _ = fmt.Fprintln(w, base64.StdEncoding.EncodeToString(h[:]))
		}
	})
	return mux
}

type badRequest string

func (b badRequest) Error() string { return string(b) }

func (s *Service) inclusion(r *http.Request) (*Proof, error) {
	index, artifact := r.FormValue("index"), r.FormValue("artifact")
	switch {
	case index != "" && artifact == "":
		n, err := strconv.ParseUint(index, 10, 63)
		if err != nil {
			return nil, badRequest("index: want a number")
		}
		return Prove(r.Context(), Published(s.store), n)
	case artifact != "" && index == "":
		d, err := digest.Parse(artifact)
		if err != nil {
			return nil, badRequest("artifact: want sha256: and 64 hexadecimal digits")
		}
		return ProofOf(r.Context(), s.store, d)
	}
	return nil, badRequest("want ?index=N or ?artifact=sha256:…")
}
