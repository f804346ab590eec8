// Package foreign holds the audit log against programs that are not ours. It is
// a module of its own so that what they need does not become what we need.
package foreign
