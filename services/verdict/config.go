package verdict

// Config of the service.
type Config struct {
	Policy  string `env:"ASSIZE_POLICY" help:"YAML file of settings for the built-in policy, or a Rego file or directory to replace it; the built-in policy by default"`
	Workers int    `env:"ASSIZE_WORKERS, default=4" help:"pieces of evidence looked at at the same time"`
}
