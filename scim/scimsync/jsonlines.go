package scimsync

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// maxLine bounds one line. A group of 200,000 members with long ids fits.
const maxLine = 32 << 20

// JSONLines returns a source that reads SCIM users and groups from r, one JSON
// object a line, at most 32 MiB each. Blank lines are skipped. The answers of
// another SCIM server have ids, which [provision.Directory.Import] keeps.
func JSONLines(r io.Reader) *Source {
	return &Source{silent: true, read: func(s *Source, yield func(provision.SyncUser) bool) error {
		return s.readLines(r, yield)
	}}
}

func (s *Source) readLines(r io.Reader, yield func(provision.SyncUser) bool) error {
	set := schema.Standard()
	users, groups := set.Type(provision.TypeUser), set.Type(provision.TypeGroup)
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	n := 0
	for lines.Scan() {
		n++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		t := users
		if isGroup(line, groups.Schema) {
			t = groups
		}
		content, members, err := decode(t, line)
		if err != nil {
			return lineError(n, err)
		}
		if t == groups {
			s.silent = false
			s.groups = append(s.groups, provision.SyncGroup{ID: idOf(line), Content: content, Members: members})
			continue
		}
		if !yield(provision.SyncUser{ID: idOf(line), Content: content}) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return &Error{Line: n + 1, Err: err}
	}
	return nil
}

// lineError names the line and attribute of an error.
func lineError(line int, err error) error {
	var invalid *schema.Error
	if errors.As(err, &invalid) && !strings.Contains(invalid.Detail, invalid.Attribute) {
		return &Error{Line: line, Column: invalid.Attribute, Err: err}
	}
	return &Error{Line: line, Err: err}
}

// idOf returns the id of a resource, which is the server's: the decoder leaves it
// out.
func idOf(line []byte) string {
	id, _ := store.Document(line).Get("id")
	return strings.Clone(id.Text())
}

// isGroup reports whether a line is a group: it lists the schema of groups, or
// no schemas and has no userName. Whether it is JSON at all is checked later.
func isGroup(line []byte, urn string) bool {
	listed, named := false, false
	for key, value := range store.Document(line).Fields() {
		switch {
		case strings.EqualFold(string(key), "schemas"):
			for e := range value.Elements() {
				listed = true
				if strings.EqualFold(e.Text(), urn) {
					return true
				}
			}
		case strings.EqualFold(string(key), "userName"):
			named = true
		}
	}
	return !listed && !named
}
