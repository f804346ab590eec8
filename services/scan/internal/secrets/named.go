package secrets

import (
	"strings"

	"assize.dev/shared/event"
)

// form is what a value may look like.
type form struct {
	alphabet string
	min, max int
	shape    func(string) bool // instead of an alphabet
}

func (f form) fits(v string) bool {
	if f.shape != nil {
		return f.shape(v)
	}
	return len(v) >= f.min && len(v) <= f.max && strings.Trim(v, f.alphabet) == ""
}

// provider's credentials without a prefix of their own are known by the name
// they are given to: it holds one of words.
type nameRule struct {
	rule
	words  []string
	values []form
}

// byProvider is the rule of the provider that the name of a value mentions,
// if the value may be of it.
func byProvider(name, v string) *rule {
	if count(v, digitSet) == 0 && !isUUID(v) {
		return nil
	}
	for i := range nameRules {
		r := &nameRules[i]
		for _, w := range r.words {
			if !strings.Contains(name, w) {
				continue
			}
			for _, f := range r.values {
				if f.fits(v) && (f.shape != nil || strings.HasPrefix(f.alphabet, lowerHex) || drawn(v) || entropy([]byte(v)) >= 4) {
					return &r.rule
				}
			}
		}
	}
	return nil
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (s[i] == '-') || !dash && !isHex(s[i]) {
			return false
		}
	}
	return true
}

var (
	hex32  = form{alphabet: lowerHex, min: 32, max: 32}
	hex40  = form{alphabet: lowerHex, min: 40, max: 40}
	hex64  = form{alphabet: lowerHex, min: 64, max: 64}
	uuid   = form{shape: isUUID}
	chars  = func(least, most int) form { return form{alphabet: base64URL, min: least, max: most} }
	dotted = form{alphabet: base64URL + ".", min: 26, max: 120}
)

var nameRules = func() (out []nameRule) {
	for _, r := range []struct {
		id, title string
		severity  event.Severity
		words     string
		values    []form
	}{
		{"heroku_api_key", "Heroku API key", event.High, "heroku", []form{uuid}},
		{"datadog_key", "Datadog key", event.High, "datadog dd_api_key dd_app_key dd_application_key", []form{hex32, hex40}},
		{"twilio_key", "Twilio auth token", event.High, "twilio", []form{hex32}},
		{"cloudflare_key", "Cloudflare key", event.High, "cloudflare cf_api", []form{{alphabet: lowerHex, min: 37, max: 37}, chars(40, 40)}},
		{"azure_key", "Azure key", event.Critical, "azure accountkey sharedaccesskey", []form{{alphabet: base64Std, min: 40, max: 88}, hex32, chars(32, 60)}},
		{"discord_token", "Discord token", event.High, "discord", []form{dotted, hex64, chars(32, 32)}},
		{"airtable_token", "Airtable token", event.High, "airtable", []form{dotted, chars(17, 17)}},
		{"vault_token", "HashiCorp Vault token", event.Critical, "vault", []form{{alphabet: alnum + ".", min: 26, max: 26}}},
		{"fastly_token", "Fastly token", event.High, "fastly", []form{chars(32, 32)}},
		{"algolia_key", "Algolia key", event.High, "algolia", []form{hex32}},
		{"facebook_token", "Facebook secret", event.High, "facebook fb_app", []form{hex32}},
		{"okta_token", "Okta token", event.High, "okta", []form{chars(42, 42)}},
		{"sentry_token", "Sentry token", event.High, "sentry", []form{hex64}},
		{"spotify_secret", "Spotify secret", event.High, "spotify", []form{hex32}},
		{"snyk_token", "Snyk token", event.High, "snyk", []form{uuid}},
		{"hubspot_key", "HubSpot key", event.High, "hubspot", []form{uuid}},
		{"kucoin_key", "KuCoin secret", event.High, "kucoin", []form{uuid}},
		{"squarespace_token", "Squarespace token", event.High, "squarespace", []form{uuid}},
		{"harness_token", "Harness token", event.High, "harness", []form{dotted}},
		{"codecov_token", "Codecov token", event.High, "codecov", []form{uuid, hex32}},
		{"circleci_token", "CircleCI token", event.High, "circleci circle_", []form{hex40}},
		{"travis_token", "Travis CI token", event.High, "travis", []form{chars(20, 24)}},
		{"dropbox_token", "Dropbox token", event.High, "dropbox", []form{chars(15, 160)}},
		{"bitbucket_token", "Bitbucket secret", event.High, "bitbucket", []form{chars(32, 64)}},
		{"twitter_token", "Twitter token", event.High, "twitter", []form{chars(25, 50), {alphabet: alnum + "%", min: 80, max: 120}}},
		{"linkedin_secret", "LinkedIn secret", event.High, "linkedin", []form{chars(14, 16)}},
		{"asana_token", "Asana token", event.High, "asana", []form{hex32}},
		{"mailgun_key", "Mailgun key", event.High, "mailgun", []form{{alphabet: lowerHex + "-", min: 50, max: 50}, hex32}},
		{"pagerduty_token", "PagerDuty token", event.High, "pagerduty", []form{chars(20, 20), hex32}},
		{"opsgenie_key", "Opsgenie key", event.High, "opsgenie", []form{uuid}},
		{"jenkins_token", "Jenkins token", event.High, "jenkins", []form{hex32, {alphabet: lowerHex, min: 34, max: 34}}},
		{"rapidapi_key", "RapidAPI key", event.High, "rapidapi", []form{chars(50, 50)}},
		{"confluent_key", "Confluent secret", event.High, "confluent", []form{{alphabet: base64Std, min: 64, max: 64}}},
		{"coinbase_key", "Coinbase key", event.High, "coinbase", []form{chars(64, 64), {alphabet: base64Std, min: 80, max: 90}}},
		{"cohere_key", "Cohere key", event.High, "cohere co_api", []form{{alphabet: alnum, min: 40, max: 40}}},
		{"mistral_key", "Mistral key", event.High, "mistral", []form{{alphabet: alnum, min: 32, max: 32}}},
		{"vercel_token", "Vercel token", event.High, "vercel", []form{{alphabet: alnum, min: 24, max: 24}}},
		{"zendesk_token", "Zendesk token", event.High, "zendesk", []form{{alphabet: alnum, min: 40, max: 40}}},
	} {
		out = append(out, nameRule{
			rule:  rule{id: r.id, title: r.title, severity: r.severity, confidence: byStructure, rank: byName},
			words: strings.Fields(r.words), values: r.values,
		})
	}
	return out
}()

func isAWSSecret(v []byte) bool {
	s := string(v)
	return len(s) == 40 && strings.Trim(s, base64Std) == "" && !placeholderToken(v) && entropy(v) >= 3.5 &&
		strings.ContainsAny(s, upper) && strings.ContainsAny(s, lower) && strings.ContainsAny(s, digits)
}

var awsID = token{alphabet: upperDigit, min: 16, max: 16, apart: true, entropy: 2.5}.verifier()

// awsPair is a secret key that follows its id without a name that says so,
// as in the CSV file that the console gives.
func awsPair(text []byte, at, end int) (finding, bool) {
	const apart = 160 // bytes between id and secret
	if _, ok := awsID(text, at, end); !ok {
		return finding{}, false
	}
	limit := min(len(text), end+16+apart)
	for i := end + 16; i < limit; i++ {
		if !base64Set[text[i]] || base64Set[text[i-1]] && text[i-1] != '=' {
			continue
		}
		stop := i
		for stop < len(text) && stop-i <= 41 && (base64Set[text[stop]] || isWord(text[stop])) {
			stop++
		}
		if isAWSSecret(text[i:stop]) {
			return finding{start: i, end: stop}, true
		}
		i = stop
	}
	return finding{}, false
}

// isAWSSession tells what the security token service gives beside a
// temporary key.
func isAWSSession(v []byte) bool {
	return len(v) >= 100 && strings.Trim(string(v), base64Std) == "" && !placeholderToken(v) && entropy(v) >= 4
}

// npmrc is a credential of a registry in .npmrc: a token, or a password in
// base64.
func npmrc(text []byte, _, end int) (finding, bool) {
	a, ok := assigned(text, end)
	if !ok || a.end-a.start < 8 {
		return finding{}, false
	}
	v := string(text[a.start:a.end])
	if owned(v) || placeholderValue(v) || entropy([]byte(v)) < 2.5 {
		return finding{}, false
	}
	return finding{start: a.start, end: a.end}, isUUID(v) || drawn(v)
}

// sharedSignature is the signature of an Azure SAS address, which says until
// when and for what it is good close by.
func sharedSignature(text []byte, at, end int) (finding, bool) {
	stop := end
	for stop < len(text) && stop-end <= 80 && (base64Set[text[stop]] || text[stop] == '%') {
		stop++
	}
	value := text[end:stop]
	near := string(text[max(0, at-300):min(len(text), stop+300)])
	if n := stop - end; n < 43 || n > 80 || !strings.Contains(near, "sv=") || !strings.Contains(near, "se=") && !strings.Contains(near, "sp=") || placeholderToken(value) {
		return finding{}, false
	}
	return finding{start: end, end: stop}, entropy(value) >= 4
}
