package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"
)

// config is what the environment says, except the account.
type config struct {
	listen, data, cert, key string
	buckets                 []string
}

func configFromEnv() config {
	return config{
		listen:  cmp.Or(os.Getenv("ASSIZE_STORE_LISTEN"), "127.0.0.1:9000"),
		data:    os.Getenv("ASSIZE_STORE_DATA"),
		cert:    os.Getenv("ASSIZE_STORE_TLS_CERT"),
		key:     os.Getenv("ASSIZE_STORE_TLS_KEY"),
		buckets: strings.FieldsFunc(os.Getenv("ASSIZE_STORE_BUCKETS"), func(r rune) bool { return r == ',' || r == ' ' }),
	}
}

func fromEnvOrFile(name string) (string, error) {
	value, file := os.Getenv(name), os.Getenv(name+"_FILE")
	if value == "" && file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("reading %s_FILE: %w", name, err)
		}
		value = strings.TrimSpace(string(content))
	}
	if value == "" {
		return "", fmt.Errorf("neither %s nor %s_FILE gives a value", name, name)
	}
	return value, nil
}
