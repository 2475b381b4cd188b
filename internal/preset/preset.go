// Package preset is the list of the presets of package jit: the names by which
// connections select the attribute names of an identity provider. It knows no
// more of them, so that whoever saves a connection can check the name without
// what logs people in.
package preset

import (
	"slices"
	"strings"

	"github.com/scimjit/provision/internal/spelling"
)

// Preset is one of the list.
type Preset struct {
	Name  string // canonical, such as "okta"
	Title string // for people, such as "Okta"

	// HasID says that the preset names an attribute with an immutable id. Without
	// one, a mapping must.
	HasID bool
}

// Generic is the name of the preset of a connection that names none.
const Generic = "generic"

// list has the row of Generic last. It never changes.
var list = []Preset{
	{"okta", "Okta", false},
	{"entra", "Microsoft Entra ID", true},
	{"onelogin", "OneLogin", true},
	{"adfs", "Active Directory Federation Services", true},
	{"google", "Google Workspace", false},
	{"keycloak", "Keycloak", false},
	{"shibboleth", "Shibboleth and eduPerson", true},
	{"jumpcloud", "JumpCloud", false},
	{"simplesamlphp", "SimpleSAMLphp", true},
	{"auth0", "Auth0", true},
	{"samlidp", "crewjam samlidp", true},
	{Generic, "Any other identity provider", true},
}

// All returns the list.
func All() []Preset { return slices.Clone(list) }

// Lookup returns the preset with a name, in any case; the empty name is
// [Generic].
func Lookup(name string) (Preset, bool) {
	if name == "" {
		name = Generic
	}
	i := slices.IndexFunc(list, func(p Preset) bool { return strings.EqualFold(p.Name, name) })
	if i < 0 {
		return Preset{}, false
	}
	return list[i], true
}

// Canonical returns the name as the list spells it, which may be asked for in any
// case; the empty name is [Generic].
func Canonical(name string) (string, bool) {
	p, ok := Lookup(name)
	return p.Name, ok
}

// Names returns all names, in the order of the list.
func Names() []string {
	var names []string
	for _, p := range list {
		names = append(names, p.Name)
	}
	return names
}

// Hint is how the text of an error about an unknown name goes on; see
// [spelling.Hint].
func Hint(name string) string { return spelling.Hint(Names(), name) }
