package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
)

// Digest tells one configuration from another: the SHA-256, in hexadecimal, of
// the variables that cfgs read and what the environment says of each. Of secrets
// it only counts whether they are set, as a digest of little gives it away.
func Digest(cfgs ...any) (string, error) {
	var lines []string
	for _, cfg := range cfgs {
		vars, err := variables(cfg)
		if err != nil {
			return "", err
		}
		for _, v := range vars {
			value, set := os.LookupEnv(v.name)
			if v.secret {
				_, file := os.LookupEnv(v.name + fileSuffix)
				value, set = "", set || file
			}
			lines = append(lines, fmt.Sprintf("%s %v %q\n", v.name, set, value))
		}
	}
	slices.Sort(lines)
	h := sha256.New()
	for _, line := range slices.Compact(lines) {
		h.Write([]byte(line))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
