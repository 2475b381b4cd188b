package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/scimjit/provision/policy"
)

// person is one row of the list of people.
type person struct {
	userName string
	facts    policy.Facts
}

// columns are the columns that a list may have.
const columns = "userName, groups, company, timeZone, active"

func knownColumn(name string) bool {
	return slices.Contains(strings.Split(columns, ", "), name)
}

// set takes the value of one column.
func (p *person) set(column, value string) (err error) {
	switch column {
	case "userName":
		p.userName = value
		if value == "" {
			err = errors.New("is empty")
		}
	case "groups":
		p.facts.Groups, err = splitGroups(value)
	case "company":
		p.facts.Company = value
	case "timeZone":
		p.facts.TimeZone = value
	case "active":
		var active bool
		if active, err = strconv.ParseBool(value); err != nil {
			err = fmt.Errorf("%q is neither true nor false", value)
		}
		p.facts.Blocked = !active
	}
	return err
}

func splitGroups(value string) ([]policy.Group, error) {
	var groups []policy.Group
	for name := range strings.SplitSeq(value, ";") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		group := policy.Group{ID: name, Name: name}
		if slices.Contains(groups, group) {
			return nil, fmt.Errorf("%q is there twice", name)
		}
		groups = append(groups, group)
	}
	return groups, nil
}

// readPeople reads a CSV file with a header.
func readPeople(file string) ([]person, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	r := csv.NewReader(f)
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s:1: the header is missing", file)
	}
	if err != nil {
		return nil, csvError(file, err)
	}
	if err := checkHeader(file, header); err != nil {
		return nil, err
	}
	var people []person
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return people, nil
		}
		if err != nil {
			return nil, csvError(file, err)
		}
		var p person
		for i, value := range record {
			if err := p.set(header[i], value); err != nil {
				line, column := r.FieldPos(i)
				return nil, fmt.Errorf("%s:%d:%d: column %s: %w", file, line, column, header[i], err)
			}
		}
		people = append(people, p)
	}
}

func checkHeader(file string, header []string) error {
	seen := map[string]bool{}
	for i, name := range header {
		name = strings.TrimPrefix(name, "\ufeff") // spreadsheets write a byte order mark
		header[i] = name
		switch {
		case !knownColumn(name):
			return fmt.Errorf("%s:1: column %d: %q is not known, want one of %s", file, i+1, name, columns)
		case seen[name]:
			return fmt.Errorf("%s:1: column %d: %q is there twice", file, i+1, name)
		}
		seen[name] = true
	}
	if !seen["userName"] {
		return fmt.Errorf("%s:1: the column userName is missing", file)
	}
	return nil
}

// csvError puts the place of a syntax error the way the other errors have it.
func csvError(file string, err error) error {
	var syntax *csv.ParseError
	if errors.As(err, &syntax) {
		return fmt.Errorf("%s:%d:%d: %w", file, syntax.Line, syntax.Column, syntax.Err)
	}
	return fmt.Errorf("%s: %w", file, err)
}
