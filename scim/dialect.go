package scim

import (
	"fmt"

	"github.com/scimjit/provision/internal/dialect"
	"github.com/scimjit/provision/scim/schema"
)

// Dialect is a named set of what a connection's identity provider needs beyond,
// or against, the RFCs. A dialect is one row of a table: see [Dialects].
type Dialect struct {
	Name        string // as connections keep it, such as "okta"
	Description string // what it accepts, for people

	// Tolerances are accepted when decoding bodies and applying PATCH.
	Tolerances schema.Tolerance

	// KeepOmitted makes PUT keep externalId, active and members where the
	// request does not name them. Otherwise PUT clears them (RFC 7644 section
	// 3.5.1) and active becomes true.
	KeepOmitted bool

	// UniqueGroupNames makes displayName unique among groups.
	UniqueGroupNames bool

	// LooseFilters accepts attribute names and values in filters as identity
	// providers write them; see filter.Options.
	LooseFilters bool

	// EmptyMembers answers a group without members with an empty list of them
	// where its members are in the answer.
	EmptyMembers bool

	// ImmutableExternalID lets externalId identify a person, unless the policy
	// option externalIdImmutable says otherwise.
	ImmutableExternalID bool
}

// Dialects returns the table of dialects, that of a connection which names none
// first.
func Dialects() []Dialect {
	var list []Dialect
	for _, row := range dialect.All() {
		list = append(list, newDialect(row))
	}
	return list
}

// newDialect gives the tolerances of a row their meaning.
func newDialect(row dialect.Dialect) Dialect {
	d := Dialect{
		Name: row.Name, Description: row.Description,
		KeepOmitted: row.KeepOmitted, UniqueGroupNames: row.UniqueGroupNames, LooseFilters: row.LooseFilters,
		EmptyMembers:        row.EmptyMembers,
		ImmutableExternalID: row.ImmutableExternalID,
	}
	for _, name := range row.Tolerances {
		t, ok := schema.ToleranceNamed(name)
		if !ok {
			panic(fmt.Sprintf("scim: dialect %q has no tolerance %q", row.Name, name)) // the table is constant
		}
		d.Tolerances |= t
	}
	return d
}

// dialects is the table by canonical name, built once and never changed. The
// first row is that of the empty name too.
var dialects = byName(Dialects())

func byName(list []Dialect) map[string]Dialect {
	named := map[string]Dialect{"": list[0]}
	for _, d := range list {
		named[d.Name] = d
	}
	return named
}

// LookupDialect returns the dialect with a name, in any case; the empty name is
// "auto".
func LookupDialect(name string) (Dialect, bool) {
	canonical, ok := dialect.Canonical(name)
	return dialects[canonical], ok
}

// dialectOf returns the dialect of a connection; see [dialect.Of]. Each request
// asks for it, mostly by the canonical name.
func dialectOf(name string) Dialect {
	if d, ok := dialects[name]; ok {
		return d
	}
	return dialects[dialect.Of(name).Name]
}
