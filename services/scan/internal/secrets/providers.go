package secrets

import "assize.dev/shared/event"

// provider is a row of the table of tokens that are a prefix and a run.
type provider struct {
	id, title string
	severity  event.Severity
	alphabet  string
	min, max  int // characters behind the prefix
	prefixes  []string
}

// providers makes the rules of the table below.
func providers() []*rule {
	var out []*rule
	for _, p := range providerTable {
		for _, prefix := range p.prefixes {
			least := 3.0
			if p.alphabet == lowerHex || p.alphabet == digits {
				least = 2.5
			}
			// Short prefixes may be the end of any word.
			short := len(prefix) < 5 || prefix == "ntn_" || prefix == "secret_"
			out = append(out, &rule{
				id: p.id, title: p.title, severity: p.severity, confidence: byStructure, anchors: []string{prefix}, behind: setOf(p.alphabet),
				verify: token{alphabet: p.alphabet, min: p.min, max: p.max, apart: short, entropy: least}.verifier(),
			})
		}
	}
	return out
}

func one(prefix string) []string { return []string{prefix} }

var providerTable = []provider{
	{"stripe_key", "Stripe live key", event.Critical, alnum, 24, 247, []string{"sk_live_", "rk_live_"}},
	{"stripe_key", "Stripe webhook secret", event.High, base64Std, 32, 64, one("whsec_")},
	{"google_api_key", "Google API key", event.High, base64URL, 35, 35, one("AIza")},
	{"google_oauth_secret", "Google OAuth client secret", event.High, base64URL, 28, 28, one("GOCSPX-")},
	{"google_oauth_token", "Google OAuth access token", event.High, base64URL + ".", 20, 1000, one("ya29.")},
	{"google_oauth_token", "Google OAuth refresh token", event.High, base64URL, 40, 120, one("1//0")},
	{"firebase_key", "Firebase messaging server key", event.High, base64URL, 130, 150, one(":APA91b")},
	{"pypi_token", "PyPI token", event.High, base64URL, 50, 1000, []string{"pypi-AgEIcHlwaS5vcmc", "pypi-AgENdGVzdC5weXBpLm9yZ"}},
	{"docker_hub_token", "Docker Hub token", event.High, base64URL, 27, 32, []string{"dckr_pat_", "dckr_oat_"}},
	{"digital_ocean_token", "DigitalOcean token", event.High, lowerHex, 64, 64, []string{"dop_v1_", "doo_v1_", "dor_v1_"}},
	{"heroku_api_key", "Heroku API key", event.High, base64URL, 40, 80, one("HRKU-")},
	{"gitlab_token", "GitLab token", event.Critical, base64URL, 20, 300, []string{"gldt-", "glrt-", "glptt-", "glcbt-", "glft-", "glimt-", "glagent-", "glsoat-", "gloas-", "glffct-", "GR1348941"}},
	{"slack_token", "Slack app token", event.High, alnum + "-", 40, 300, []string{"xapp-", "xoxe.xoxp-", "xoxe.xoxb-"}},
	{"shopify_token", "Shopify token", event.High, lowerHex + "ABCDEF", 32, 32, []string{"shpat_", "shpca_", "shppa_", "shpss_"}},
	{"anthropic_key", "Anthropic API key", event.High, base64URL, 60, 200, []string{"sk-ant-api", "sk-ant-admin", "sk-ant-oat", "sk-ant-sid"}},
	{"openai_key", "OpenAI API key", event.High, base64URL, 40, 240, []string{"sk-proj-", "sk-svcacct-", "sk-admin-", "sk-None-"}},
	{"openai_key", "OpenAI API key", event.High, alnum, 48, 51, one("sk-")},
	{"openrouter_key", "OpenRouter API key", event.High, lowerHex, 64, 64, one("sk-or-v1-")},
	{"deepseek_key", "DeepSeek API key", event.High, lowerHex, 32, 32, one("sk-")},
	{"huggingface_token", "Hugging Face token", event.High, alnum, 34, 40, []string{"hf_", "api_org_"}},
	{"vault_token", "HashiCorp Vault token", event.Critical, base64URL, 20, 300, []string{"hvs.", "hvb.", "hvr."}},
	{"databricks_token", "Databricks token", event.High, lowerHex + "-", 32, 34, one("dapi")},
	{"postman_key", "Postman API key", event.High, lowerHex + "-", 59, 59, one("PMAK-")},
	{"newrelic_key", "New Relic key", event.High, alnum, 19, 36, []string{"NRAK-", "NRIQ-", "NRII-", "NRJS-", "NRRA-", "NRSP-"}},
	{"grafana_token", "Grafana service account token", event.High, alnum + "_", 41, 41, one("glsa_")},
	{"grafana_token", "Grafana Cloud token", event.High, base64Std, 32, 400, one("glc_")},
	{"grafana_token", "Grafana API key", event.High, base64Std, 60, 400, one("eyJrIjoi")},
	{"atlassian_token", "Atlassian API token", event.High, base64URL + "=", 60, 250, []string{"ATATT3", "ATCTT3"}},
	{"bitbucket_token", "Bitbucket app password", event.High, alnum, 32, 32, one("ATBB")},
	{"linear_key", "Linear API key", event.High, alnum, 32, 48, []string{"lin_api_", "lin_oauth_"}},
	{"notion_token", "Notion token", event.High, alnum, 43, 50, []string{"ntn_", "secret_"}},
	{"pulumi_token", "Pulumi token", event.High, lowerHex, 40, 40, one("pul-")},
	{"doppler_token", "Doppler token", event.High, alnum + "_.-", 40, 80, []string{"dp.pt.", "dp.st.", "dp.ct.", "dp.sa.", "dp.scim.", "dp.audit."}},
	{"figma_token", "Figma token", event.High, base64URL, 36, 60, one("figd_")},
	{"rubygems_key", "RubyGems API key", event.High, lowerHex, 48, 48, one("rubygems_")},
	{"nuget_key", "NuGet API key", event.High, lowerDigit, 43, 43, one("oy2")},
	{"clojars_token", "Clojars token", event.High, lowerDigit, 60, 60, one("CLOJARS_")},
	{"prefect_token", "Prefect token", event.High, lowerDigit, 36, 36, []string{"pnu_", "pnb_"}},
	{"readme_key", "ReadMe API key", event.High, lowerDigit, 64, 70, one("rdme_")},
	{"shippo_token", "Shippo token", event.High, lowerHex, 40, 40, []string{"shippo_live_", "shippo_test_"}},
	{"sonar_token", "SonarQube token", event.High, lowerHex, 40, 40, []string{"squ_", "sqp_", "sqa_"}},
	{"typeform_token", "Typeform token", event.High, base64URL + ".=", 40, 80, one("tfp_")},
	{"adafruit_key", "Adafruit IO key", event.High, alnum, 28, 28, one("aio_")},
	{"alibaba_key", "Alibaba Cloud access key id", event.High, alnum, 16, 24, one("LTAI")},
	{"tencent_key", "Tencent Cloud secret id", event.High, alnum, 32, 32, one("AKID")},
	{"yandex_key", "Yandex Cloud API key", event.High, base64URL, 35, 38, one("AQVN")},
	{"cloudflare_key", "Cloudflare origin CA key", event.High, lowerHex + "-", 171, 171, one("v1.0-")},
	{"netlify_token", "Netlify token", event.High, alnum + "_", 36, 60, one("nfp_")},
	{"openshift_token", "OpenShift token", event.High, base64URL, 43, 43, one("sha256~")},
	{"perplexity_key", "Perplexity API key", event.High, alnum, 40, 64, one("pplx-")},
	{"groq_key", "Groq API key", event.High, alnum, 52, 52, one("gsk_")},
	{"replicate_token", "Replicate token", event.High, alnum, 37, 40, one("r8_")},
	{"xai_key", "xAI API key", event.High, alnum, 70, 90, one("xai-")},
	{"pinecone_key", "Pinecone API key", event.High, alnum + "_", 40, 90, one("pcsk_")},
	{"langchain_key", "LangSmith API key", event.High, lowerHex + "_", 43, 43, []string{"lsv2_pt_", "lsv2_sk_"}},
	{"tailscale_key", "Tailscale key", event.High, alnum + "-", 20, 100, []string{"tskey-auth-", "tskey-api-", "tskey-client-", "tskey-scim-", "tskey-webhook-"}},
	{"brevo_key", "Brevo API key", event.High, lowerHex + alnum + "-", 64, 90, []string{"xkeysib-", "xsmtpsib-"}},
	{"mailgun_key", "Mailgun API key", event.High, lowerHex, 32, 32, one("key-")},
	{"mailersend_token", "MailerSend token", event.High, lowerHex, 64, 64, one("mlsn.")},
	{"easypost_key", "EasyPost key", event.High, alnum, 54, 54, []string{"EZAK", "EZTK"}},
	{"duffel_token", "Duffel token", event.High, base64URL, 43, 43, []string{"duffel_live_", "duffel_test_"}},
	{"onepassword_token", "1Password service account token", event.Critical, base64Std, 200, 2000, one("ops_eyJ")},
	{"artifactory_key", "Artifactory API key", event.High, alnum, 60, 90, []string{"AKCp", "cmVmdGtuO"}},
	{"supabase_key", "Supabase token", event.High, lowerHex, 40, 40, one("sbp_")},
	{"supabase_key", "Supabase secret key", event.High, base64URL, 30, 50, one("sb_secret_")},
	{"planetscale_token", "PlanetScale credential", event.High, base64URL + "=.", 32, 64, []string{"pscale_tkn_", "pscale_pw_", "pscale_oauth_"}},
	{"intra42_secret", "42 intranet client secret", event.High, lowerHex, 64, 64, []string{"s-s4t2ud-", "s-s4t2af-"}},
	{"infracost_key", "Infracost API key", event.High, alnum, 32, 32, one("ico-")},
	{"dynatrace_token", "Dynatrace token", event.High, alnum + ".", 89, 89, []string{"dt0c01.", "dt0s16."}},
	{"fly_token", "Fly.io token", event.High, base64Std + "_-", 40, 1000, []string{"fo1_", "fm1a_", "fm1r_", "fm2_"}},
	{"facebook_token", "Facebook access token", event.High, alnum, 100, 400, []string{"EAAC", "EAAM", "EAAB", "EAAG", "EAAJ", "EAAD", "EAAE"}},
	{"square_token", "Square token", event.High, base64URL, 60, 60, one("EAAA")},
	{"square_token", "Square token", event.High, base64URL, 22, 50, []string{"sq0atp-", "sq0csp-", "sq0idp-"}},
	{"braintree_token", "Braintree access token", event.High, alnum + "$", 49, 49, one("access_token$production$")},
	{"launchdarkly_key", "LaunchDarkly key", event.High, lowerHex + "-", 36, 36, []string{"sdk-", "mob-"}},
	{"contentful_token", "Contentful token", event.High, base64URL, 43, 43, one("CFPAT-")},
	{"mapbox_token", "Mapbox secret token", event.High, base64URL + ".", 70, 200, one("sk.eyJ")},
	{"scalingo_token", "Scalingo token", event.High, base64URL, 48, 48, one("tk-us-")},
	{"deno_token", "Deno Deploy token", event.High, alnum, 36, 36, []string{"ddp_", "ddw_"}},
	{"circleci_token", "CircleCI token", event.High, alnum + "_", 40, 80, []string{"CCIPAT_", "CCIPRJ_"}},
	{"buildkite_token", "Buildkite token", event.High, lowerHex, 40, 40, one("bkua_")},
	{"sentry_token", "Sentry token", event.High, base64Std + "_", 60, 400, []string{"sntrys_", "sntryu_"}},
	{"snyk_token", "Snyk token", event.High, base64URL + ".", 40, 120, []string{"snyk_uat.", "snyk_sat."}},
	{"neon_key", "Neon API key", event.High, lowerDigit, 60, 70, one("napi_")},
	{"flutterwave_key", "Flutterwave key", event.High, alnum + "-", 32, 40, []string{"FLWSECK-", "FLWSECK_TEST-"}},
	{"frameio_token", "Frame.io token", event.High, base64URL, 64, 64, one("fio-u-")},
	{"expo_token", "Expo token", event.High, base64URL, 40, 44, one("expo_")},
	{"razorpay_key", "Razorpay live key id", event.Medium, alnum, 14, 14, one("rzp_live_")},
	{"plaid_token", "Plaid access token", event.High, lowerHex + "-", 36, 36, []string{"access-production-", "access-sandbox-", "access-development-"}},
	{"zuplo_key", "Zuplo key", event.High, alnum + "_", 40, 60, one("zpka_")},
	{"settlemint_token", "SettleMint token", event.High, alnum, 16, 16, []string{"sm_aat_", "sm_pat_", "sm_sat_"}},
	{"teams_webhook", "Microsoft Teams webhook address", event.High, base64URL + "/@.", 60, 300, one("webhook.office.com/webhookb2/")},
	{"discord_webhook", "Discord webhook address", event.High, base64URL + "/", 70, 110, []string{"discord.com/api/webhooks/", "discordapp.com/api/webhooks/"}},
}
