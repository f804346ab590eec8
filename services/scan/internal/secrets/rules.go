package secrets

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"assize.dev/shared/event"
)

// rule is one kind of credential.
type rule struct {
	id, title  string
	severity   event.Severity
	confidence string
	shown      string // prefix of the value that is not secret
	rank       int    // of two rules that meet in one value the lower wins
	anchors    []string
	fold       bool // anchors match in any case
	// verify judges what stands at an anchor, text[at:end]. It may look
	// anywhere in text.
	verify func(text []byte, at, end int) (finding, bool)
}

// How sure a rule is.
const (
	byChecksum  = "checksum"
	byStructure = "structure"
	byEntropy   = "entropy"
	byGeneric   = "generic"
)

// rules is every kind there is. Forms and severities are the facts of the
// providers' documentation; the generic kinds come last.
var rules = []*rule{
	{id: "aws_access_key", title: "AWS access key id", severity: event.Critical, confidence: byStructure,
		anchors: []string{"AKIA", "ASIA"}, verify: token{alphabet: upperDigit, min: 16, max: 16, apart: true, entropy: 2.5}.verify},
	{id: "aws_secret_key", title: "AWS secret access key", severity: event.Critical, confidence: byEntropy, rank: 1, fold: true,
		anchors: []string{"secret_access_key", "secretaccesskey", "secret-access-key", "aws_secret_key"}, verify: awsSecret},
	{id: "github_token", title: "GitHub token", severity: event.Critical, confidence: byChecksum,
		anchors: []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_"}, verify: token{alphabet: alnum, min: 36, max: 36, check: base62CRC}.verify},
	{id: "github_token", title: "GitHub fine-grained token", severity: event.Critical, confidence: byStructure,
		anchors: []string{"github_pat_"}, verify: token{alphabet: alnum + "_", min: 82, max: 82, check: finegrained}.verify},
	{id: "gitlab_token", title: "GitLab token", severity: event.Critical, confidence: byStructure,
		anchors: []string{"glpat-"}, verify: gitlabToken},
	{id: "private_key", title: "private key", severity: event.Critical, confidence: byStructure,
		anchors: []string{"-----BEGIN "}, verify: privateKey},
	{id: "stripe_key", title: "Stripe live key", severity: event.Critical, confidence: byStructure,
		anchors: []string{"sk_live_", "rk_live_"}, verify: token{alphabet: alnum, min: 24, max: 247, entropy: 3}.verify},
	{id: "slack_token", title: "Slack token", severity: event.High, confidence: byStructure,
		anchors: []string{"xoxb-", "xoxa-", "xoxp-", "xoxr-", "xoxs-"}, verify: token{alphabet: alnum + "-", min: 24, max: 250, check: slackParts}.verify},
	{id: "slack_webhook", title: "Slack webhook address", severity: event.High, confidence: byStructure,
		anchors: []string{"hooks.slack.com/services/"}, verify: token{alphabet: alnum + "/", min: 38, max: 80, check: slackHook}.verify},
	{id: "google_api_key", title: "Google API key", severity: event.High, confidence: byStructure,
		anchors: []string{"AIza"}, verify: token{alphabet: alnum + "_-", min: 35, max: 35, apart: true, entropy: 3}.verify},
	{id: "npm_token", title: "npm token", severity: event.High, confidence: byChecksum,
		anchors: []string{"npm_"}, verify: token{alphabet: alnum, min: 36, max: 36, check: base62CRC}.verify},
	{id: "pypi_token", title: "PyPI token", severity: event.High, confidence: byStructure,
		anchors: []string{"pypi-AgEIcHlwaS5vcmc"}, verify: token{alphabet: alnum + "_-", min: 50, max: 1000, entropy: 3}.verify},
	{id: "twilio_key", title: "Twilio API key", severity: event.High, confidence: byStructure,
		anchors: twilioAnchors(), verify: token{alphabet: lowerHex, min: 31, max: 31, apart: true, entropy: 3}.verify},
	{id: "sendgrid_key", title: "SendGrid key", severity: event.High, confidence: byStructure,
		anchors: []string{"SG."}, verify: token{alphabet: alnum + "_-.", min: 66, max: 66, apart: true, check: sendgridParts}.verify},
	{id: "docker_hub_token", title: "Docker Hub token", severity: event.High, confidence: byStructure,
		anchors: []string{"dckr_pat_"}, verify: token{alphabet: alnum + "_-", min: 27, max: 27, entropy: 3}.verify},
	{id: "digital_ocean_token", title: "DigitalOcean token", severity: event.High, confidence: byStructure,
		anchors: []string{"dop_v1_", "doo_v1_", "dor_v1_"}, verify: token{alphabet: lowerHex, min: 64, max: 64, entropy: 3}.verify},
	{id: "heroku_api_key", title: "Heroku API key", severity: event.High, confidence: byStructure, rank: 1, fold: true,
		anchors: []string{"heroku"}, verify: herokuKey},
	{id: "jwt_token", title: "JSON Web Token", severity: event.Medium, confidence: byStructure,
		anchors: []string{"eyJ"}, verify: webToken},
	{id: "generic_api_key", title: "API key", severity: event.Medium, confidence: byGeneric, rank: 2, fold: true,
		anchors: []string{"api_key", "apikey", "api-key"}, verify: genericKey},
	{id: "generic_password", title: "password", severity: event.Medium, confidence: byGeneric, rank: 3, fold: true,
		anchors: []string{"password", "passwd", "pwd"}, verify: genericPassword},
}

// allAnchors indexes the rules. A rule whose value starts with its only
// anchor may show that anchor.
func allAnchors() *index {
	var all []*anchor
	for _, r := range rules {
		for _, literal := range r.anchors {
			// Each anchor gets its own copy of the rule so that what is
			// shown of a value is exactly its literal.
			own := *r
			if !r.fold && r.id != "slack_webhook" && r.id != "private_key" && r.id != "jwt_token" && r.id != "twilio_key" {
				own.shown = literal
			}
			if r.id == "twilio_key" {
				own.shown = "SK"
			}
			all = append(all, &anchor{literal: literal, fold: r.fold, rule: &own})
		}
	}
	return newIndex(all)
}

// RulesDigest is the SHA-256, in hexadecimal, of what identifies the rules:
// their ids, severities and anchors. How a rule judges is part of the
// analyser's version.
func RulesDigest() string {
	sum := sha256.New()
	for _, r := range rules {
		fmt.Fprintf(sum, "%s %s %s %q\n", r.id, r.severity, r.confidence, r.anchors)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// twilioAnchors spells out "SK" and the first of its hexadecimal digits: the
// index needs three bytes.
func twilioAnchors() []string {
	var out []string
	for _, c := range lowerHex {
		out = append(out, "SK"+string(c))
	}
	return out
}

// ownedPrefixes start values that belong to a rule of their own: where that
// rule did not confirm them, by a failed checksum say, no generic rule may.
var ownedPrefixes = []string{
	"AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "-----BEGIN", "sk_live_", "rk_live_",
	"sk_test_", "rk_test_", "pk_live_", "pk_test_", "xoxb-", "xoxa-", "xoxp-", "xoxr-", "xoxs-", "https://hooks.slack.com/", "AIza", "npm_",
	"pypi-", "SG.", "dckr_pat_", "dop_v1_", "doo_v1_", "dor_v1_", "eyJ",
}
