package secrets

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"assize.dev/shared/event"
)

// rule is one kind of credential.
type rule struct {
	id, title  string
	severity   event.Severity
	confidence string
	rank       int // of rules that meet in one value the lowest wins
	anchors    []string
	fold       bool     // anchors match in any case
	behind     *charset // what verify wants behind an anchor; anything if nil
	verify     verifier
}

// verifier judges what stands at an anchor, text[at:end]. It looks no
// farther than lookBehind/2 before and lookAhead/2 behind it.
type verifier func(text []byte, at, end int) (finding, bool)

// How sure a rule is.
const (
	byChecksum  = "checksum"
	byStructure = "structure"
	byEntropy   = "entropy"
	byGeneric   = "generic"
)

// Ranks of rules.
const (
	bySpecific = iota
	byName     // the name beside it says what a value is
	byCustom
	byKeyword
	byPassword
)

// rules is every kind there is, specific ones first. Forms are the facts of
// the providers' documentation.
var rules = append([]*rule{
	{id: "aws_access_key", title: "AWS access key id", severity: event.Critical, confidence: byStructure, behind: upperDigitSet,
		anchors: []string{"AKIA", "ASIA"}, verify: awsID},
	{id: "aws_secret_key", title: "AWS secret access key", severity: event.Critical, confidence: byStructure, behind: upperDigitSet,
		anchors: []string{"AKIA", "ASIA"}, verify: awsPair},
	{id: "github_token", title: "GitHub token", severity: event.Critical, confidence: byChecksum,
		anchors: []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_"}, verify: token{alphabet: alnum, min: 36, max: 36, check: base62CRC, sealed: true}.verifier()},
	{id: "github_token", title: "GitHub fine-grained token", severity: event.Critical, confidence: byStructure,
		anchors: []string{"github_pat_"}, verify: token{alphabet: alnum + "_", min: 82, max: 82, check: finegrained}.verifier()},
	{id: "gitlab_token", title: "GitLab token", severity: event.Critical, confidence: byStructure,
		anchors: []string{"glpat-"}, verify: gitlabToken()},
	{id: "private_key", title: "private key", severity: event.Critical, confidence: byStructure,
		anchors: []string{"-----BEGIN ", "---- BEGIN "}, verify: privateKey},
	{id: "private_key", title: "PuTTY private key", severity: event.Critical, confidence: byStructure,
		anchors: []string{"PuTTY-User-Key-File-"}, verify: puttyKey},
	{id: "private_key", title: "private key in DER", severity: event.Critical, confidence: byStructure,
		anchors: derAnchors, verify: derKey},
	{id: "private_key", title: "private key in a PKCS #12 file", severity: event.Medium, confidence: byStructure,
		anchors: []string{shroudedKeyBag}, verify: pkcs12Key},
	{id: "private_key", title: "private key in a Java keystore", severity: event.Medium, confidence: byStructure,
		anchors: []string{"\xfe\xed\xfe\xed\x00\x00\x00", "\xce\xce\xce\xce\x00\x00\x00"}, verify: javaKeystore},
	{id: "private_key", title: "private JSON Web Key", severity: event.Critical, confidence: byStructure,
		anchors: []string{`"kty"`, `\"kty\"`}, verify: webKey},
	{id: "npm_token", title: "npm token", severity: event.High, confidence: byChecksum,
		anchors: []string{"npm_"}, verify: token{alphabet: alnum, min: 36, max: 36, check: base62CRC, sealed: true}.verifier()},
	{id: "npm_token", title: "npm registry credential", severity: event.High, confidence: byStructure, rank: byName,
		anchors: []string{":_authToken", ":_auth", ":_password"}, verify: npmrc},
	{id: "slack_token", title: "Slack token", severity: event.High, confidence: byStructure,
		anchors: []string{"xoxb-", "xoxa-", "xoxp-", "xoxr-", "xoxs-", "xoxe-", "xoxo-"}, verify: token{alphabet: alnum + "-", min: 20, max: 300, check: slackParts}.verifier()},
	{id: "slack_webhook", title: "Slack webhook address", severity: event.High, confidence: byStructure,
		anchors: []string{"hooks.slack.com/services/"}, verify: token{alphabet: alnum + "/", min: 38, max: 80, check: slackHook}.verifier()},
	{id: "sendgrid_key", title: "SendGrid key", severity: event.High, confidence: byStructure, behind: base64URLSet,
		anchors: []string{"SG."}, verify: token{alphabet: base64URL + ".", min: 66, max: 66, apart: true, check: sendgridParts}.verifier()},
	{id: "twilio_key", title: "Twilio API key", severity: event.High, confidence: byStructure, behind: lowerHexSet,
		anchors: preceding("SK", lowerHex), verify: twilioKey},
	{id: "age_key", title: "age identity", severity: event.Critical, confidence: byStructure,
		anchors: []string{"AGE-SECRET-KEY-1"}, verify: ageKey()},
	{id: "jwt_token", title: "JSON Web Token", severity: event.Medium, confidence: byStructure, behind: base64URLSet,
		anchors: []string{"eyJ"}, verify: webToken},
	{id: "telegram_token", title: "Telegram bot token", severity: event.High, confidence: byStructure, behind: base64URLSet,
		anchors: []string{":AA"}, verify: around{before: digits, minBefore: 8, maxBefore: 10, behind: base64URL, minBehind: 32, maxBehind: 33}.verifier()},
	{id: "openai_key", title: "OpenAI API key", severity: event.High, confidence: byStructure,
		anchors: []string{"T3BlbkFJ"}, verify: around{before: base64URL, minBefore: 20, maxBefore: 130, behind: base64URL, minBehind: 20, maxBehind: 130}.verifier()},
	{id: "terraform_token", title: "Terraform Cloud token", severity: event.High, confidence: byStructure,
		anchors: []string{".atlasv1."}, verify: around{before: alnum, minBefore: 14, maxBefore: 14, behind: base64URL + "=", minBehind: 60, maxBehind: 70}.verifier()},
	{id: "mailchimp_key", title: "Mailchimp API key", severity: event.High, confidence: byStructure, behind: digitSet,
		anchors: []string{"-us"}, verify: around{before: lowerHex, minBefore: 32, maxBefore: 32, behind: digits, minBehind: 1, maxBehind: 2}.verifier()},
	{id: "azure_client_secret", title: "Azure AD client secret", severity: event.Critical, confidence: byStructure, behind: setOf(base64URL + "~."),
		anchors: followedBy(digits, "Q~"), verify: around{before: base64URL + "~.", minBefore: 3, maxBefore: 3, behind: base64URL + "~.", minBehind: 31, maxBehind: 34}.verifier()},
	{id: "azure_devops_token", title: "Azure DevOps token", severity: event.Critical, confidence: byStructure,
		anchors: []string{"AZDO"}, verify: around{before: alnum, minBefore: 76, maxBefore: 76, behind: alnum, minBehind: 4, maxBehind: 4}.verifier()},
	{id: "azure_key", title: "Azure shared access signature", severity: event.High, confidence: byStructure, rank: byName,
		anchors: []string{"&sig=", "?sig="}, verify: sharedSignature},
	{id: "password_hash", title: "password hash", severity: event.Medium, confidence: byStructure,
		anchors: []string{"$2a$", "$2b$", "$2y$", "$6$", "$5$", "$1$", "$y$", "$apr1$", "$argon2", "$scrypt$", "$pbkdf2", "pbkdf2_sha", "$P$", "{SSHA", "{CRYPT}"}, verify: passwordHash},
	{id: "url_credentials", title: "password in a URL", severity: event.High, confidence: byStructure, rank: byName, behind: &inAuthority,
		anchors: []string{"://"}, verify: urlPassword},
	{id: "basic_credentials", title: "HTTP credentials", severity: event.High, confidence: byStructure, rank: byName, fold: true,
		anchors: []string{"basic ", "bearer "}, verify: httpCredentials},
	{id: "basic_credentials", title: "password given to curl", severity: event.High, confidence: byStructure, rank: byName,
		anchors: []string{"curl "}, verify: curlLogin},
	{id: "docker_auth", title: "registry login", severity: event.High, confidence: byStructure, rank: byName,
		anchors: []string{`"auth"`, `\"auth\"`}, verify: dockerAuth},
}, slices.Concat(providers(), generics)...)

// discordRule is tried where a run of base64 ends with a dot: its tokens have
// no literal.
var discordRule = &rule{id: "discord_token", title: "Discord bot token", severity: event.High, confidence: byStructure}

// allAnchors are those of the built-in and of custom rules.
func allAnchors(custom *Rules) []*anchor {
	var all []*anchor
	for _, r := range rules {
		for _, literal := range r.anchors {
			all = append(all, &anchor{literal: literal, fold: r.fold, behind: r.behind, rule: r})
		}
	}
	return append(all, custom.anchors()...)
}

// unanchored are the rules that others' anchors lead to.
func unanchored() []*rule {
	all := []*rule{discordRule, openpgpRule, databaseRule, apiKeyRule, awsSecretRule, awsSessionRule}
	for i := range nameRules {
		all = append(all, &nameRules[i].rule)
	}
	return all
}

// RulesDigest is the SHA-256, in hexadecimal, of what identifies the
// built-in rules: their ids, severities and anchors. How a rule judges is
// part of the analyser's version.
func RulesDigest() string {
	sum := sha256.New()
	for _, r := range slices.Concat(rules, unanchored()) {
		fmt.Fprintf(sum, "%s %s %s %q\n", r.id, r.severity, r.confidence, r.anchors)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// preceding spells out what may follow a prefix: the index wants more than
// two bytes.
func preceding(prefix, next string) []string {
	var out []string
	for _, c := range next {
		out = append(out, prefix+string(c))
	}
	return out
}

func followedBy(first, suffix string) []string {
	var out []string
	for _, c := range first {
		out = append(out, string(c)+suffix)
	}
	return out
}

// finegrained is GitHub's github_pat_: 22 letters or digits, "_", 59 more.
func finegrained(value []byte, prefix int) bool {
	run := value[prefix:]
	return run[22] == '_' && bytes.Count(run, []byte("_")) == 1 && entropy(run) >= 3
}

// sendgridParts is SG., 22 characters, a dot, 43 characters.
func sendgridParts(value []byte, prefix int) bool {
	run := value[prefix:]
	return run[22] == '.' && bytes.Count(run, []byte(".")) == 1 && entropy(run) >= 3
}

// slackParts wants groups of which one is a number of 9 to 13 digits or the
// tail is long, and a tail that is no word.
func slackParts(value []byte, prefix int) bool {
	groups := bytes.Split(value[prefix:], []byte("-"))
	tail := groups[len(groups)-1]
	if len(groups) >= 4 && len(tail) >= 10 && len(groups[0]) >= 9 && len(bytes.Trim(tail, lowerHex)) == 0 && entropy(tail) >= 2.5 {
		return len(bytes.Trim(tail, digits)) > 0 // of the older form: numbers, then hexadecimal
	}
	if len(tail) < 12 || entropy(tail) < 2.5 || !drawn(string(tail)) && len(groups) < 2 {
		return false
	}
	if len(groups) == 1 {
		return len(tail) >= 24
	}
	number := groups[0]
	if len(number) <= 2 { // xoxe-1-…
		return len(tail) >= 40
	}
	return len(number) >= 9 && len(number) <= 14 && len(bytes.Trim(number, digits)) == 0
}

// slackHook is T…/B…/ and 24 characters.
func slackHook(value []byte, prefix int) bool {
	parts := bytes.Split(value[prefix:], []byte("/"))
	return len(parts) == 3 && len(parts[0]) >= 8 && parts[0][0] == 'T' && len(parts[1]) >= 8 && parts[1][0] == 'B' &&
		len(parts[2]) >= 20 && entropy(parts[2]) >= 3 && entropy(parts[0]) >= 1.5
}

var twilioHex = token{alphabet: lowerHex, min: 31, max: 31, apart: true, entropy: 3}.verifier()

// twilioKey is SK and 32 hexadecimal digits, of which the anchor has one.
func twilioKey(text []byte, at, end int) (finding, bool) {
	f, ok := twilioHex(text, at, end)
	f.shown = len("SK")
	return f, ok
}

// discordToken is an id in base64, text[at:id], a time of 6 characters, and
// 27 to 40 characters of signature, with dots between.
func discordToken(text []byte, at, id int) (finding, bool) {
	if n := id - at; n < 23 || n > 28 || at > 0 && (continues(text[:at]) || text[at-1] == '.') {
		return finding{}, false
	}
	var number [24]byte
	n := decodeBase64(number[:], text[at:id])
	if len(bytes.Trim(number[:n], digits)) > 0 {
		return finding{}, false
	}
	stamp, ok := segment(text, id+1, 7)
	if !ok || stamp-id-1 < 5 {
		return finding{}, false
	}
	end := stamp + 1
	for end < len(text) && end-stamp <= 45 && sextet[text[end]] >= 0 {
		end++
	}
	tail := text[stamp+1 : end]
	return finding{start: at, end: end}, len(tail) >= 27 && len(tail) <= 40 && entropy(tail) >= 3
}
