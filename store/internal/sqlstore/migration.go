package sqlstore

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/scimjit/provision/store"
)

// Migration is a file that brings the schema from one version to the next.
//
// Its statements end with a semicolon at the end of a line. The last of them sets the
// version in the table provision_schema, and oldest where the file takes something away
// that programs before need: to expand comes first, to contract a version later. A line
// "-- rewrites provision_x" names a table that is written anew.
type Migration struct {
	File       string
	Version    int
	Text       string
	Statements []string // without comments
	Rewrites   []string // tables
}

var (
	comment  = regexp.MustCompile(`(?m)\s*--.*$`)
	rewrites = regexp.MustCompile(`(?m)^-- rewrites (` + DefaultPrefix + `\w+)$`)
)

// ReadMigrations returns the files of a directory in the order of their names. The first
// makes version 1.
func ReadMigrations(dir fs.FS) ([]Migration, error) {
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, err
	}
	list := make([]Migration, len(entries))
	for i, entry := range entries {
		text, err := fs.ReadFile(dir, entry.Name())
		if err != nil {
			return nil, err
		}
		list[i] = Migration{File: entry.Name(), Version: i + 1, Text: string(text), Statements: Statements(string(text))}
		for _, m := range rewrites.FindAllStringSubmatch(string(text), -1) {
			list[i].Rewrites = append(list[i].Rewrites, m[1])
		}
	}
	return list, nil
}

// Statements splits a file and drops its comments.
func Statements(text string) []string {
	var list []string
	for statement := range strings.SplitSeq(comment.ReplaceAllString(text, "")+"\n", ";\n") {
		if statement = strings.TrimSpace(statement); statement != "" {
			list = append(list, statement)
		}
	}
	return list
}

// Version is what the table of the schema says.
type Version struct {
	Is     int // 0: there is no schema
	Oldest int // of the programs that may write it
}

// SelectVersion reads a [Version].
const SelectVersion = `SELECT version, oldest FROM provision_schema`

// Missing returns which of the migrations that a program knows a schema needs. The error
// says that the program is too old for it.
func (v Version) Missing(known []Migration) ([]Migration, error) {
	if v.Oldest > len(known) {
		return nil, fmt.Errorf("the schema has version %d, which programs before version %d cannot use, and this one knows up to %d: run a newer program", v.Is, v.Oldest, len(known))
	}
	return known[min(v.Is, len(known)):], nil
}

// Run calls run with the statements of a migration, and tell before each.
func (m *Migration) Run(statements []string, size int64, tell func(store.Migration) error, run func(string) error) error {
	for i, statement := range statements {
		if tell != nil {
			err := tell(store.Migration{
				File: m.File, From: m.Version - 1, To: m.Version,
				Statement: i + 1, Statements: len(statements), Rewrites: size,
			})
			if err != nil {
				return fmt.Errorf("migration %s: %w", m.File, err)
			}
		}
		if err := run(statement); err != nil {
			return fmt.Errorf("migration %s, statement %d of %d: %w", m.File, i+1, len(statements), err)
		}
	}
	return nil
}
