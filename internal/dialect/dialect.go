// Package dialect is the table of what identity providers need beyond, or
// against, the RFCs. The engine and the protocols read the same rows, so the
// package imports neither: a tolerance is a name here, which scim/schema gives
// its meaning.
package dialect

import (
	"slices"
	"strings"

	"github.com/scimjit/provision/internal/spelling"
)

// Dialect is one row of the table.
type Dialect struct {
	Name        string // canonical, such as "okta"
	Description string // what it accepts, for people

	// Tolerances are the names of what is accepted when decoding bodies and
	// applying PATCH, as schema.Tolerance.Names returns them. They are shared:
	// callers must not change them.
	Tolerances []string

	// KeepOmitted makes PUT keep externalId, active and members where the
	// request does not name them. Otherwise PUT clears them (RFC 7644 section
	// 3.5.1) and active becomes true.
	KeepOmitted bool

	// UniqueGroupNames makes displayName unique among groups.
	UniqueGroupNames bool

	// LooseFilters accepts attribute names and values in filters as identity
	// providers write them.
	LooseFilters bool

	// EmptyMembers answers a group without members with an empty list of them.
	// Otherwise it has none (RFC 7643 section 2.5); clients were seen that never
	// fill what they do not find.
	EmptyMembers bool

	// ImmutableExternalID says that externalId is the identity provider's own
	// id of a user and never another's, so that it identifies a person. At
	// other identity providers an administrator maps a name to it. The policy
	// option externalIdImmutable overrides it.
	ImmutableExternalID bool
}

// Auto is the name of the dialect of a connection that names none.
const Auto = "auto"

// identityProvider is what every identity provider that was seen needs. They
// send more than one shape over one connection, so the rows share it.
var identityProvider = []string{
	"textBooleans", "singleAsArray", "bareComplex", "emptyAsAbsent", "numberText", "unknownIgnored", "readOnlyIgnored",
	"anyCaseOp", "pathKeys", "replaceCreates", "removeListed", "looseSchemas", "onePrimary",
	"jsonText", "wrappedValue", "armoredBinary", "bareText",
}

// table has the row of Auto first. It never changes.
var table = []Dialect{
	row(Auto, "the union of what does not conflict; where the RFCs and identity providers contradict each other, the identity providers' reading"),
	{Name: "rfc", Description: "RFC 7643 and 7644 to the letter"},
	row("okta", "PUT of the merged profile, path-less PATCH, filtered removes of members").immutableExternalID(),
	row("entra", "capitalized operations, text booleans, value lists in removes, replace that creates"),
	row("onelogin", "bodies from a template: empty text, null ids, quoted booleans, one object for a list"),
	row("jumpcloud", "listed extensions without data, value lists in removes").immutableExternalID(),
	row("google", "schema URIs of SCIM 1.0, application/json"),
	row("ping", "filters that compare a whole complex attribute"),
}

// row is the row of an identity provider.
func row(name, description string) Dialect {
	return Dialect{
		Name: name, Description: description,
		Tolerances: identityProvider, KeepOmitted: true, UniqueGroupNames: true, LooseFilters: true, EmptyMembers: true,
	}
}

func (d Dialect) immutableExternalID() Dialect {
	d.ImmutableExternalID = true
	return d
}

// All returns the table.
func All() []Dialect { return slices.Clone(table) }

// Lookup returns the dialect with a name, in any case; the empty name is [Auto].
func Lookup(name string) (Dialect, bool) {
	if name == "" {
		name = Auto
	}
	for i := range table {
		if strings.EqualFold(table[i].Name, name) {
			return table[i], true
		}
	}
	return Dialect{}, false
}

// Of returns the dialect of a connection, by the name that it was saved with. A
// name that is not in the table is one of a later version: it is [Auto].
func Of(name string) Dialect {
	if d, ok := Lookup(name); ok {
		return d
	}
	return table[0]
}

// Canonical returns the name as the table spells it, which may be asked for in
// any case; the empty name is [Auto].
func Canonical(name string) (string, bool) {
	d, ok := Lookup(name)
	return d.Name, ok
}

// Names returns the names of all dialects, in the order of the table.
func Names() []string {
	var names []string
	for _, d := range table {
		names = append(names, d.Name)
	}
	return names
}

// Hint is how the text of an error about an unknown name goes on; see
// [spelling.Hint].
func Hint(name string) string { return spelling.Hint(Names(), name) }
