package preset

import (
	"slices"
	"strings"

	"github.com/scimjit/provision/internal/spelling"
)

// Directory is a kind of LDAP server, whose attributes package jit/ldap knows.
type Directory struct {
	Name  string // canonical, such as "ad"
	Title string // for people
}

// directories has the row of [Generic] last. It never changes.
var directories = []Directory{
	{"ad", "Active Directory, Samba"},
	{"openldap", "OpenLDAP"},
	{"389ds", "389 Directory Server"},
	{"freeipa", "FreeIPA"},
	{Generic, "Any other LDAP server"},
}

// Directories returns the list of the kinds of LDAP servers.
func Directories() []Directory { return slices.Clone(directories) }

// CanonicalDirectory returns the name of a kind of LDAP server as the list spells it,
// which may be asked for in any case; the empty name is [Generic].
func CanonicalDirectory(name string) (string, bool) {
	if name == "" {
		return Generic, true
	}
	i := slices.IndexFunc(directories, func(d Directory) bool { return strings.EqualFold(d.Name, name) })
	if i < 0 {
		return "", false
	}
	return directories[i].Name, true
}

// DirectoryHint is [Hint] for a kind of LDAP server.
func DirectoryHint(name string) string {
	var names []string
	for _, d := range directories {
		names = append(names, d.Name)
	}
	return spelling.Hint(names, name)
}
