package secrets

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// webToken is a signed JSON Web Token (RFC 7519): three base64url segments
// of which the first two are JSON objects. The token that jwt.io shows to
// everyone is none.
func webToken(text []byte, at, _ int) (finding, bool) {
	if at > 0 && (continues(text[:at]) || text[at-1] == '-') {
		return finding{}, false
	}
	var header struct {
		Alg string `json:"alg"`
	}
	headerEnd, ok := segment(text, at, 4096)
	if !ok || !decodeSegment(text[at:headerEnd], &header) || header.Alg == "" || strings.EqualFold(header.Alg, "none") {
		return finding{}, false
	}
	var claims map[string]any
	claimsEnd, ok := segment(text, headerEnd+1, 12<<10)
	if !ok || !decodeSegment(text[headerEnd+1:claimsEnd], &claims) {
		return finding{}, false
	}
	if claims["sub"] == "1234567890" && claims["name"] == "John Doe" {
		return finding{}, false
	}
	end := claimsEnd + 1
	for end < len(text) && end-claimsEnd < 2048 && base64URLSet[text[end]] {
		end++
	}
	if signature := text[claimsEnd+1 : end]; len(signature) < 20 || entropy(signature) < 3 {
		return finding{}, false
	}
	return finding{start: at, end: end}, true
}

// segment finds the dot that ends a segment of at most most bytes.
func segment(text []byte, i, most int) (end int, ok bool) {
	for end = i; end < len(text) && end-i <= most; end++ {
		if text[end] == '.' {
			return end, true
		}
		if !base64URLSet[text[end]] {
			break
		}
	}
	return end, false
}

func decodeSegment(segment []byte, v any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(string(segment))
	return err == nil && json.Unmarshal(raw, v) == nil
}
