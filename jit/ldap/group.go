package ldap

import (
	"bytes"
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldapdn"
	"github.com/scimjit/provision/internal/naming"
)

// group is one as an entry says.
type group struct {
	entry   entry
	id      string
	name    string
	problem string
	members []string // DNs
	names   []string // user names

	unseen map[string]bool // keys of members that have no id
}

// group reads the entry of a group, with all of its members.
func (m *mapping) group(e entry) group {
	g := group{entry: e}
	id, ok := m.id(e, fieldGroupID)
	g.id, g.name = id, e.label(m.fields[fieldGroupName])
	for _, name := range m.members {
		for _, value := range e.values(name) {
			g.members = append(g.members, string(withoutUID(value)))
		}
	}
	for _, name := range m.memberNames {
		for _, value := range e.values(name) {
			g.names = append(g.names, string(value))
		}
	}
	switch {
	case !ok:
		g.id, g.problem = "", ProblemNoID
	case g.name == "":
		g.problem = ProblemName
	case len(g.members) == 0 && m.mustHaveMembers(e):
		g.problem = ProblemMembers
	}
	if at, _ := naming.HiddenInGroup(g.name); at >= 0 && g.problem == "" {
		g.problem = ProblemName
	}
	return g
}

func (m *mapping) mustHaveMembers(e entry) bool {
	for _, class := range e.values("objectClass") {
		for _, filled := range m.filled {
			if strings.EqualFold(string(class), filled) {
				return true
			}
		}
	}
	return false
}

// withoutUID removes the unique identifier that may follow the DN of a uniqueMember (RFC
// 4517 section 3.3.21), such as #'0101'B.
func withoutUID(value []byte) []byte {
	if !bytes.HasSuffix(value, []byte("'B")) {
		return value
	}
	if at := bytes.LastIndex(value, []byte("#'")); at > 0 {
		return value[:at]
	}
	return value
}

// sync returns the group for a sync. The members are those who have keys.
func (g *group) sync(members []string) provision.SyncGroup {
	s := provision.SyncGroup{Key: ldapdn.Key(g.entry.DN), Members: members, Problem: g.problem}
	if s.Problem == "" {
		var err error
		if s.Content, err = content(provision.TypeGroup, named{g.id, g.name}); err == nil {
			return s
		}
		s.Problem = ProblemAttribute
	}
	s.Content = bare(named{g.id, g.name})
	return s
}

// named is a SCIM group.
type named struct {
	ExternalID  string `json:"externalId,omitempty"`
	DisplayName string `json:"displayName,omitempty"`
}
