package config

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// Table prints every variable the given configurations read, in the order
// they declare them: its name, its default, its meaning. A variable that
// several of them read with the same default and meaning is printed once.
// Defaults are those written in the tags; what the environment or a struct
// holds at the moment is never shown.
//
// Each cfg is a struct or a pointer to one, possibly nil.
func Table(w io.Writer, cfgs ...any) error {
	var all []variable
	for _, cfg := range cfgs {
		vars, err := variables(cfg)
		if err != nil {
			return err
		}
		for _, v := range vars {
			v.field = ""
			if !slices.Contains(all, v) {
				all = append(all, v)
			}
		}
	}

	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "VARIABLE\tDEFAULT\tMEANING")
	for _, v := range all {
		fmt.Fprintf(columns, "%s\t%s\t%s\n", v.name, v.defaultColumn(), v.meaning())
	}
	if err := columns.Flush(); err != nil {
		return fmt.Errorf("printing the table of variables: %w", err)
	}
	return nil
}

func (v variable) defaultColumn() string {
	switch {
	case v.required:
		return "(required)"
	case v.def == "":
		return "-"
	case v.secret:
		return redacted
	}
	return v.def
}

func (v variable) meaning() string {
	if !v.secret {
		return v.help
	}
	file := "may be given as a file named by " + v.name + fileSuffix
	if v.help == "" {
		return file
	}
	return v.help + " (" + file + ")"
}
