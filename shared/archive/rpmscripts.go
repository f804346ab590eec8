package archive

import (
	"bytes"
	"encoding/binary"
	"io"
)

// RPMScript is something an RPM package runs on the system.
type RPMScript struct {
	When        string // "post-install", "trigger" and so on
	Interpreter string // as the package spells it; "" where it names none
	Body        string
}

// rpmScripts are the tags of bodies and interpreters (rpm's rpmtag.h). The
// last ones are lists: one body for each trigger.
var rpmScripts = []struct {
	when       string
	body, prog uint32
}{
	{"pre-transaction", 1151, 1153}, {"pre-install", 1023, 1085}, {"post-install", 1024, 1086}, {"pre-uninstall", 1025, 1087},
	{"post-uninstall", 1026, 1088}, {"post-transaction", 1152, 1154}, {"pre-uninstall transaction", 5104, 5106},
	{"post-uninstall transaction", 5105, 5107}, {"verification", 1079, 1091},
	{"trigger", 1065, 1092}, {"file trigger", 5066, 5067}, {"transaction file trigger", 5076, 5077},
}

// maxRPMScripts bounds the triggers of one kind.
const maxRPMScripts = 1000

// ReadRPMScripts reads what an RPM package runs when it is installed, checked
// or removed, or when others are. A body is empty where only an interpreter
// is run. Its errors are those of ReadRPMHeader.
func ReadRPMScripts(r io.Reader) ([]RPMScript, error) {
	index, store, err := readRPMSections(r)
	if err != nil {
		return nil, err
	}
	var all []RPMScript
	for _, tag := range rpmScripts {
		bodies, err := rpmStrings(index, store, tag.body, maxRPMScripts)
		if err != nil {
			return nil, err
		}
		programs, err := rpmStrings(index, store, tag.prog, maxRPMScripts)
		if err != nil {
			return nil, err
		}
		if len(bodies) == 0 && len(programs) > 0 {
			bodies = []string{""} // "%post -p /sbin/ldconfig"
		}
		for i, body := range bodies {
			s := RPMScript{When: tag.when, Body: body}
			if i < len(programs) {
				s.Interpreter = programs[i]
			}
			all = append(all, s)
		}
	}
	return all, nil
}

// rpmStrings gives all strings of a tag, of which there may be up to limit;
// none where the package has no such tag.
func rpmStrings(index, store []byte, tag, limit uint32) ([]string, error) {
	const stringType, stringArray = 6, 8
	for ; len(index) > 0; index = index[16:] {
		if binary.BigEndian.Uint32(index) != tag {
			continue
		}
		kind, at, count := binary.BigEndian.Uint32(index[4:]), int64(binary.BigEndian.Uint32(index[8:])), binary.BigEndian.Uint32(index[12:])
		switch {
		case kind != stringType && kind != stringArray:
			return nil, damaged(nil, "rpm: tag %d has type %d", tag, kind)
		case at > int64(len(store)):
			return nil, damaged(nil, "rpm: tag %d lies outside the header", tag)
		case count > limit:
			return nil, unsupported("rpm: tag %d has %d strings; the most read is %d", tag, count, limit)
		case kind == stringType:
			count = 1
		}
		var list []string
		for rest := store[at:]; len(list) < int(count); {
			s, after, found := bytes.Cut(rest, []byte{0})
			if !found {
				return nil, damaged(nil, "rpm: tag %d does not end", tag)
			}
			list, rest = append(list, string(s)), after
		}
		return list, nil
	}
	return nil, nil
}
