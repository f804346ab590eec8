package verdict

// Config of the service.
type Config struct {
	Policy  string `env:"ASSIZE_POLICY" help:"YAML file of settings for the built-in policy, or a Rego file, directory or OPA bundle (.tar.gz) to replace it; the built-in policy by default"`
	Key     string `env:"ASSIZE_POLICY_KEY" help:"PEM public key; the policy has to be an OPA bundle that it signed"`
	Again   bool   `env:"ASSIZE_POLICY_AGAIN, default=true" help:"have verdicts judged again that would be others by a changed policy or after a waiver has expired"`
	Workers int    `env:"ASSIZE_WORKERS, default=4" help:"pieces of evidence looked at at the same time"`
}
