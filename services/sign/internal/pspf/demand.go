package pspf

import "fmt"

// Level is how deep Verify looks; each level includes the ones before it.
type Level int

// The levels.
const (
	Quick    Level = iota + 1 // trailer, index, metadata and its signature
	Standard                  // and the slot table
	Deep                      // and every byte of slots and launcher
	Paranoid                  // and what the slots would unpack to
)

var levelNames = map[Level]string{Quick: "quick", Standard: "standard", Deep: "deep", Paranoid: "paranoid"}

func (l Level) String() string {
	if name, ok := levelNames[l]; ok {
		return name
	}
	return fmt.Sprintf("level %d", int(l))
}

// ParseLevel reads the name of a level.
func ParseLevel(name string) (Level, error) {
	for level, n := range levelNames {
		if n == name {
			return level, nil
		}
	}
	return 0, fmt.Errorf("verification level %.40q: want quick, standard, deep or paranoid", name)
}

// Options say what a package has to fulfil.
type Options struct {
	Level Level
	// Unsigned lets a package pass that has no signature at all. One with a
	// bad signature never does.
	Unsigned bool
}

// Demand is what a FlavorPack validation name asks of a package.
type Demand struct {
	Options
	// TrustedKey asks the caller to refuse a key that it does not know to be
	// trusted. Without it the caller only tells.
	TrustedKey bool
}

// ParseValidation reads a name as FLAVOR_VALIDATION has them. Only the names
// are FlavorPack's: its launchers go on after a warning, and here no name
// lets anything pass that was found to be wrong.
func ParseValidation(name string) (Demand, error) {
	switch name {
	case "strict":
		return Demand{Options: Options{Level: Deep}, TrustedKey: true}, nil
	case "standard":
		return Demand{Options: Options{Level: Deep}}, nil
	case "relaxed": // checksums
		return Demand{Options: Options{Level: Deep, Unsigned: true}}, nil
	case "minimal": // structure
		return Demand{Options: Options{Level: Standard, Unsigned: true}}, nil
	case "none":
		return Demand{}, fmt.Errorf("validation %q: a package that was not looked at cannot be judged; minimal asks for the least", name)
	}
	return Demand{}, fmt.Errorf("validation %.40q: want strict, standard, relaxed or minimal", name)
}
