package secrets

import (
	"encoding/base64"
	"hash/crc32"
	"math/rand/v2"
	"strings"
)

// samples makes credentials of every kind. They are made at run time so that
// no file holds anything that looks like one.
type samples struct{ r *rand.Rand }

func newSamples(seed uint64) samples { return samples{rand.New(rand.NewPCG(seed, 1))} }

func (s samples) run(alphabet string, n int) string {
	b := make([]byte, n)
	for {
		for i := range b {
			b[i] = alphabet[s.r.IntN(len(alphabet))]
		}
		// A generator of random text may draw what the rules take for a
		// placeholder; real ones may too, once in a great many.
		if !placeholderToken(b) {
			return string(b)
		}
	}
}

func (s samples) withCRC(prefix string) string {
	const base62 = digits + upper + lower
	body := s.run(alnum, 30)
	sum, crc := make([]byte, 6), crc32.ChecksumIEEE([]byte(body))
	for i := 5; i >= 0; i-- {
		sum[i] = base62[crc%62]
		crc /= 62
	}
	return prefix + body + string(sum)
}

func (s samples) routable() string {
	body := "glpat" + "-" + s.run(alnum+"_", 40) + ".01.1a"
	sum, crc := make([]byte, 7), crc32.ChecksumIEEE([]byte(body))
	for i := 6; i >= 0; i-- {
		sum[i] = (digits + lower)[crc%36]
		crc /= 36
	}
	return body + string(sum)
}

func (s samples) bytes(head string, n int) []byte {
	b := []byte(head)
	for len(b) < n {
		b = append(b, byte(s.r.IntN(256)))
	}
	return b
}

func (s samples) pem(label, eol string, der []byte, headers ...string) string {
	text := base64.StdEncoding.EncodeToString(der)
	lines := []string{"-----" + "BEGIN " + label + "-----"}
	lines = append(lines, headers...)
	for len(text) > 64 {
		lines = append(lines, text[:64])
		text = text[64:]
	}
	return strings.Join(append(lines, text, "-----"+"END "+label+"-----"), eol)
}

func (s samples) openssh(cipher string) []byte {
	return s.bytes("openssh-key-v1\x00\x00\x00\x00"+string(rune(len(cipher)))+cipher, 300)
}

func (s samples) jwt(header, claims string) string {
	enc := base64.RawURLEncoding
	return enc.EncodeToString([]byte(header)) + "." + enc.EncodeToString([]byte(claims)) + "." + s.run(base64URL, 43)
}

func (s samples) uuid() string {
	return s.run(lowerHex, 8) + "-" + s.run(lowerHex, 4) + "-4" + s.run(lowerHex, 3) + "-a" + s.run(lowerHex, 3) + "-" + s.run(lowerHex, 12)
}

func (s samples) awsSecret() string { return s.run(alnum+"/+", 37) + "aB7" }
func (s samples) apiKey() string    { return s.run(alnum, 28) + "k4z9" }
func (s samples) password() string  { return s.run(lower, 4) + "!" + s.run(upper+lower+digits, 7) + "7" }

// all is one credential of each kind, as rule and text; the value is the
// text unless the rule needs a name before it.
func (s samples) all() [][3]string {
	der := "\x30\x82\x04\xa2"
	alg := `{"alg":"HS256","typ":"JWT"}`
	kinds := [][3]string{}
	add := func(rule, before, value string) { kinds = append(kinds, [3]string{rule, before, value}) }
	add("aws_access_key", "", "AKIA"+s.run(upperDigit, 16))
	add("aws_access_key", "", "ASIA"+s.run(upperDigit, 16))
	add("aws_secret_key", "aws_secret_access_key = ", s.awsSecret())
	add("aws_secret_key", `"SecretAccessKey": `, s.awsSecret())
	for _, p := range []string{"ghp", "gho", "ghu", "ghs", "ghr"} {
		add("github_token", "", s.withCRC(p+"_"))
	}
	add("github_token", "", "github_pat_"+s.run(alnum, 22)+"_"+s.run(alnum, 59))
	add("gitlab_token", "", "glpat-"+s.run(alnum, 20))
	add("gitlab_token", "", s.routable())
	for _, label := range []string{"RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"} {
		add("private_key", "", s.pem(label, "\n", s.bytes(der, 600)))
	}
	add("private_key", "", s.pem("OPENSSH PRIVATE KEY", "\r\n", s.openssh("none")))
	add("private_key", "", s.pem("PGP PRIVATE KEY BLOCK", "\n", s.bytes("\xc5\x58", 400), "Version: X", ""))
	add("private_key", "", s.pem("PRIVATE KEY", `\n`, s.bytes("\x30\x2e\x02\x01", 48)))
	add("stripe_key", "", "sk_live_"+s.run(alnum, 24))
	add("stripe_key", "", "rk_live_"+s.run(alnum, 99))
	add("slack_token", "", "xoxb-"+s.run(digits, 12)+"-"+s.run(digits, 12)+"-"+s.run(alnum, 24))
	add("slack_token", "", "xoxp-"+s.run(digits, 11)+"-"+s.run(digits, 11)+"-"+s.run(digits, 11)+"-"+s.run(lowerHex, 32))
	add("slack_webhook", "https://", "hooks.slack.com/services/T"+s.run(upperDigit, 8)+"/B"+s.run(upperDigit, 8)+"/"+s.run(alnum, 24))
	add("google_api_key", "", "AIza"+s.run(alnum+"_-", 34)+"x")
	add("npm_token", "", s.withCRC("npm_"))
	add("pypi_token", "", "pypi-AgEIcHlwaS5vcmc"+s.run(alnum, 150))
	add("jwt_token", "", s.jwt(alg, `{"sub":"u-1","exp":1}`))
	add("twilio_key", "", "SK"+s.run(lowerHex, 32))
	add("sendgrid_key", "", "SG."+s.run(alnum+"_-", 22)+"."+s.run(alnum+"_-", 42)+"x")
	add("docker_hub_token", "", "dckr_pat_"+s.run(alnum+"_-", 26)+"x")
	add("heroku_api_key", "HEROKU_API_KEY=", s.uuid())
	add("digital_ocean_token", "", "dop_v1_"+s.run(lowerHex, 64))
	add("generic_api_key", "api_key = ", s.apiKey())
	add("generic_api_key", "X-Api-Key: ", s.apiKey())
	add("generic_password", "DB_PASSWORD=", s.password())
	for _, p := range providerTable {
		add(p.id, "", s.provided(p))
	}
	for _, r := range nameRules {
		for _, f := range r.values {
			add(r.id, strings.ToUpper(r.words[0])+"_API_KEY=", s.formed(f))
		}
	}
	add("aws_session_token", "AWS_SESSION_TOKEN=", s.run(alnum+"/+", 299)+"=")
	add("age_key", "", "AGE-SECRET-KEY-1"+s.run("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58))
	add("telegram_token", "", s.run("123456789", 10)+":AA"+s.run(base64URL, 32)+"x")
	add("discord_token", "", base64.RawStdEncoding.EncodeToString([]byte(s.run("123456789", 18)))+"."+s.run(alnum, 6)+"."+s.run(alnum, 38))
	add("openai_key", "", "sk-"+s.run(alnum, 20)+"T3Blbk"+"FJ"+s.run(alnum, 20))
	add("terraform_token", "", s.run(alnum, 14)+".atlasv1."+s.run(alnum, 67))
	add("mailchimp_key", "", s.run(lowerHex, 32)+"-us12")
	add("azure_client_secret", "", s.run(alnum, 3)+"8Q~"+s.run(alnum, 34))
	add("azure_devops_token", "", s.run(alnum, 76)+"AZ"+"DO"+s.run(alnum, 4))
	add("azure_key", "https://x.blob.core.windows.net/c?sv=2022-11-02&se=2030&sig=", s.run(alnum, 43)+"%3D")
	add("azure_key", "AccountKey=", s.run(alnum+"+/", 86)+"==")
	add("password_hash", "", "$2b$12$"+s.run(alnum, 53))
	add("password_hash", "", "$6$"+s.run(alnum, 12)+"$"+s.run(alnum, 86))
	add("password_hash", "", "$argon2id$v=19$m=65536,t=3,p=4$"+s.run(alnum, 22)+"$"+s.run(alnum, 43))
	add("password_hash", "", "pbkdf2_sha256$260000$"+s.run(alnum, 22)+"$"+s.run(alnum, 43)+"=")
	add("database_credentials", "postgres://app:", s.password()+"@db.internal:5432/x")
	add("url_credentials", "https://deploy:", s.password()+"@git.internal/x")
	add("basic_credentials", "Authorization: Basic ", base64.StdEncoding.EncodeToString([]byte("deploy:"+s.password())))
	add("docker_auth", `"auth": "`, base64.StdEncoding.EncodeToString([]byte("deploy:"+s.password()))+`"`)
	add("npm_token", "//registry.npmjs.org/:_authToken=", s.uuid())
	add("generic_secret", "CLIENT_SECRET=", s.apiKey())
	add("generic_secret", "auth_token: ", s.apiKey())
	return kinds
}

// provided makes a token of a row of the table.
func (s samples) provided(p provider) string {
	return p.prefixes[0] + s.run(p.alphabet[:min(len(p.alphabet), len(alnum))], min(p.max, p.min+2))
}

func (s samples) formed(f form) string {
	switch {
	case f.shape != nil:
		return s.uuid()
	case strings.HasSuffix(f.alphabet, "."):
		return "s." + s.run(alnum, 24)
	}
	return s.run(f.alphabet[:min(len(f.alphabet), len(alnum))], f.max-2) + "7b"
}
