// Command policy shows what a policy does before anyone is provisioned: it reads
// a policy and a list of people, and prints who would get what, and why.
//
//	go run ./examples/policy examples/policy/testdata/policy.json examples/policy/testdata/people.csv
//
// It imports package policy and the standard library only. There is no server, no
// store and no clock: the same files always print the same table.
//
// # Input
//
// The policy is the JSON object that a connection has under "policy". Options
// that it does not name have their defaults. The people are CSV with a header.
// The column userName is required; groups (names separated by semicolons),
// company, timeZone and active (true or false) may be left out.
//
// # Output
//
// One block for each person: status, rights and groups in the first row, and in
// the last column one reason a row. With -trace the reasons include the options
// that did not apply. An error names the file, the line and the column or option.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/scimjit/provision/policy"
)

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("policy", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		_, _ = io.WriteString(stderr, "usage: policy [-trace] POLICY.json PEOPLE.csv\n")
		fs.PrintDefaults()
	}
	trace := fs.Bool("trace", false, "show the options that did not apply, too")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() != 2 {
		fs.Usage()
		return fmt.Errorf("policy: want 2 files, have %d", fs.NArg())
	}
	p, err := readPolicy(fs.Arg(0))
	if err != nil {
		return err
	}
	people, err := readPeople(fs.Arg(1))
	if err != nil {
		return err
	}
	decide := p.Decide
	if *trace {
		decide = p.Trace
	}
	return printTable(stdout, people, decide)
}

func readPolicy(file string) (*policy.Policy, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	config, err := policy.Parse(data)
	if err != nil {
		return nil, place(file, data, err)
	}
	p, err := config.Compile()
	if err != nil {
		return nil, place(file, data, err)
	}
	return p, nil
}

// place puts the file before an error, and line and column where it has them.
func place(file string, data []byte, err error) error {
	var wrong *policy.ConfigError
	if !errors.As(err, &wrong) || !wrong.Document {
		return fmt.Errorf("%s: %w", file, err)
	}
	before := string(data[:min(wrong.Offset, len(data))])
	line := strings.Count(before, "\n") + 1
	column := len(before) - strings.LastIndexByte(before, '\n')
	return fmt.Errorf("%s:%d:%d: %w", file, line, column, err)
}

// printTable prints one block of rows for each person.
func printTable(w io.Writer, people []person, decide func(policy.Facts) policy.Decision) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printRow(t, "USER", "STATUS", "LOGIN", "ADMIN", "ROLES", "GROUPS", "COMPANY", "TIME ZONE", "WHY")
	for _, p := range people {
		d := decide(p.facts)
		a := d.Access
		cells := []string{
			p.userName, string(d.Status), string(a.Authentication), admin(a), strings.Join(a.Roles, ", "),
			groups(a.Groups), a.Company, a.TimeZone,
		}
		for i, c := range cells {
			if c == "" {
				cells[i] = "-"
			}
		}
		for i, r := range d.Reasons {
			if i > 0 {
				cells = make([]string, len(cells))
			}
			printRow(t, append(cells, r.String())...)
		}
		if len(d.Reasons) == 0 {
			printRow(t, append(cells, "-")...)
		}
	}
	return t.Flush()
}

// printRow prints cells, without what would break a row or a terminal.
func printRow(t *tabwriter.Writer, cells ...string) {
	for i, c := range cells {
		cells[i] = strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return unicode.ReplacementChar
			}
			return r
		}, c)
	}
	_, _ = fmt.Fprintln(t, strings.Join(cells, "\t")) // Flush returns the error
}

func admin(a policy.Access) string {
	switch {
	case a.SiteAdmin:
		return "yes"
	case a.ReadOnlySiteAdmin:
		return "read-only"
	}
	return "no"
}

func groups(grants []policy.Grant) string {
	names := make([]string, len(grants))
	for i, g := range grants {
		names[i] = g.Group.Name
		if g.Admin {
			names[i] += " (admin)"
		}
	}
	return strings.Join(names, ", ")
}
