package content

import (
	"path"
	"strings"

	"assize.dev/shared/archive"
)

// links are those of all containers of a package, kept until all are known: a
// link may lead through one that comes after it.
type links struct {
	list    []link
	targets map[string]string // of the symlinks, by container and path
	bytes   int
	work    int  // bytes of paths that may still be looked up
	full    bool // some links are not in the list, or were not followed
}

type link struct {
	container string
	location  string
	subject   string
	dir       string // from which the target counts
	target    string
	depth     int // containers around it
}

const (
	maxLinkBytes = 16 << 20  // of paths and targets
	maxLinkWork  = 256 << 20 // a second or less
	maxHops      = 40        // as Linux follows (MAXSYMLINKS)
)

// add keeps a link. Those that lead out by themselves are on the way of
// others and else of no interest.
func (l *links) add(location string, e *archive.Entry, leadsOut bool) {
	if e.Type != archive.Symlink && e.Type != archive.Hardlink {
		return
	}
	container := strings.Join(e.Parents, "!")
	if l.bytes += 2*len(container) + 2*len(location) + 3*len(e.Linkname) + 300; l.bytes > maxLinkBytes {
		l.full = true
		return
	}
	if l.targets == nil {
		l.targets = map[string]string{}
	}
	one := link{container: container, location: location, subject: subject(e), target: e.Linkname, depth: len(e.Parents)}
	if e.Type == archive.Symlink {
		l.targets[container+"\x00"+e.Path] = e.Linkname
		one.dir = path.Dir(e.Path)
	}
	if !leadsOut {
		l.list = append(l.list, one)
	}
}

// leadsOut follows a link step by step as a system would. An absolute target
// is outside, unless the root of the archive becomes the root of a system.
func (l *links) leadsOut(one link, system bool) bool {
	var at []string
	if one.dir != "." && one.dir != "" {
		at = strings.Split(one.dir, "/")
	}
	steps := strings.Split(one.target, "/")
	for hops := 0; len(steps) > 0; {
		step := steps[0]
		steps = steps[1:]
		switch step {
		case "", ".":
			continue
		case "..":
			if len(at) == 0 && !system {
				return true
			}
			at = at[:max(0, len(at)-1)] // the root is its own parent
			continue
		}
		at = append(at, step)
		key := one.container + "\x00" + strings.Join(at, "/")
		if l.work -= len(key); l.work < 0 {
			l.full = true
			return false
		}
		target, is := l.targets[key]
		if !is {
			continue
		}
		if hops++; hops > maxHops {
			return false // the system gives up as well
		}
		at = at[:len(at)-1]
		if strings.HasPrefix(target, "/") {
			if !system {
				return true
			}
			at = nil
		}
		l.work -= len(target) + len(steps)
		steps = append(strings.Split(target, "/"), steps...)
	}
	return false
}

// chains notes the links that lead out only because of others on their way.
func (f *findings) chains() {
	f.links.work = maxLinkWork
	for _, one := range f.links.list {
		if f.links.leadsOut(one, f.ofSystem()) {
			f.addAs(&linkChain, f.atPlace(&linkChain, one.location, f.unpacked(one.depth)), one.location, 0, one.subject+" "+linkChain.means)
		}
	}
	if f.links.full {
		f.unseen("there are more or longer links than were followed")
	}
}
