package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"assize.dev/shared/event"
)

// openFile opens a regular file. What else may stand under a name, a pipe
// above all, could keep us waiting for ever, deaf to Ctrl-C; so it is opened
// without waiting and looked at afterwards. Errors leave out the name, which
// the caller adds.
func openFile(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		if _, missing := os.Lstat(path); path == "-" && missing != nil {
			return nil, nil, errors.New("standard input is not taken: save it as a file, whose name is part of what is judged")
		}
		return nil, nil, withoutPath(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, nil, withoutPath(err)
	}
	return f, info, nil
}

func withoutPath(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// signaturesBeside reads the signatures given for a file, or without any
// those that lie beside it.
func signaturesBeside(file string, given []string) ([]event.Attached, error) {
	paths := given
	if len(given) == 0 {
		for _, suffix := range event.SignatureSuffixes {
			if _, err := os.Lstat(file + suffix); err == nil {
				paths = append(paths, file+suffix)
			}
		}
	}
	var found []event.Attached
	for _, p := range paths {
		data, err := readSignature(p)
		if err != nil {
			return nil, fmt.Errorf("signature %s: %w", p, err)
		}
		found = append(found, event.Attached{Name: nameBeside(file, p), Data: data})
	}
	return found, nil
}

// nameBeside is the name of a signature as the verifier wants it, after that
// of the file it is of. A signature that somebody names is of that file
// whatever it is called; its suffix is kept, for people to know it by.
func nameBeside(file, signature string) string {
	name, base := filepath.Base(signature), filepath.Base(file)
	if strings.HasPrefix(name, base+".") {
		return name
	}
	for _, suffix := range event.SignatureSuffixes {
		if strings.HasSuffix(name, suffix) {
			return base + suffix
		}
	}
	return base + ".sig"
}

func readSignature(path string) ([]byte, error) {
	f, info, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, event.MaxAttached+1))
	if err == nil && len(data) > event.MaxAttached {
		err = fmt.Errorf("%d bytes, at most %d", max(info.Size(), int64(len(data))), event.MaxAttached)
	}
	return data, err
}
