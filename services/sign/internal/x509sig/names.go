package x509sig

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"

	"assize.dev/shared/pattern"
)

// maxName is far beyond any name, and bounds what results say. Leaves with
// longer subjects are refused.
const maxName = 2 << 10

// signerName is how trust lists name the holder of a leaf; see Verify.
func signerName(leaf *x509.Certificate) string {
	if dn := distinguishedName(leaf.RawSubject); dn != "" {
		return dn
	}
	if all := names(leaf); len(all) > 0 && len(all[0].value) <= maxName {
		return printable(all[0].field + ":" + all[0].value)
	}
	return fingerprint(leaf)
}

// distinguishedName writes a name as RFC 4514 has it, in the order of the
// certificate. pkix.Name would sort it, so that different names became one.
func distinguishedName(raw []byte) string {
	if len(raw) > maxName {
		return fmt.Sprintf("a name of %d bytes", len(raw))
	}
	var rdns pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &rdns); err != nil || len(rest) != 0 {
		return "#" + hex.EncodeToString(raw)
	}
	return printable(rdns.String())
}

// printable escapes, as RFC 4514 does any byte, what would not show or would
// break a line of a log.
func printable(s string) string {
	var out strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			out.WriteRune(r)
			continue
		}
		for _, b := range []byte(string(r)) {
			fmt.Fprintf(&out, `\%02X`, b)
		}
	}
	return out.String()
}

// brief is an error of a library, which may quote what it read.
func brief(err error) string { return printable(fmt.Sprintf("%.300s", err.Error())) }

type name struct{ field, value string }

// names are those that Anchors.Names is about. Empty ones are left out: they
// say nothing, and * would match them.
func names(leaf *x509.Certificate) []name {
	var all []name
	add := func(field string, values ...string) {
		for _, v := range values {
			if v != "" {
				all = append(all, name{field, v})
			}
		}
	}
	add("cn", leaf.Subject.CommonName)
	add("email", leaf.EmailAddresses...)
	for _, u := range leaf.URIs {
		add("uri", u.String())
	}
	add("dns", leaf.DNSNames...)
	return all
}

func namesMatch(patterns []string, leaf *x509.Certificate) bool {
	if len(patterns) == 0 {
		return true
	}
	has := names(leaf)
	for _, p := range patterns {
		field, rest, prefixed := strings.Cut(p, ":")
		switch field {
		case "cn", "email", "uri", "dns":
		default:
			prefixed = false
		}
		for _, n := range has {
			if prefixed && n.field == field && pattern.Match(rest, n.value) || !prefixed && pattern.Match(p, n.value) {
				return true
			}
		}
	}
	return false
}
