package scim

import (
	"strings"

	"github.com/scimjit/provision/scim/schema"
)

// Dialect is a named set of what a connection's identity provider needs beyond,
// or against, the RFCs. A dialect is one row of a table: see [Dialects].
type Dialect struct {
	Name        string
	Description string

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
}

// identityProvider is what every identity provider that was seen needs. They
// send more than one shape over one connection, so the rows share it.
const identityProvider = schema.TextBooleans | schema.SingleAsArray | schema.BareComplex |
	schema.EmptyAsAbsent | schema.NumberText | schema.UnknownIgnored | schema.ReadOnlyIgnored |
	schema.AnyCaseOp | schema.PathKeys | schema.ReplaceCreates | schema.RemoveListed |
	schema.LooseSchemas | schema.OnePrimary

// Dialects returns the table of dialects.
func Dialects() []Dialect {
	row := func(name, description string) Dialect {
		return Dialect{
			Name: name, Description: description,
			Tolerances: identityProvider, KeepOmitted: true, UniqueGroupNames: true, LooseFilters: true,
		}
	}
	return []Dialect{
		row("auto", "the union of what does not conflict; where the RFCs and identity providers contradict each other, the identity providers' reading"),
		{Name: "rfc", Description: "RFC 7643 and 7644 to the letter"},
		row("okta", "PUT of the merged profile, path-less PATCH, filtered removes of members"),
		row("entra", "capitalized operations, text booleans, value lists in removes, replace that creates"),
		row("onelogin", "bodies from a template: empty text, null ids, quoted booleans, one object for a list"),
		row("jumpcloud", "listed extensions without data, value lists in removes"),
		row("google", "schema URIs of SCIM 1.0, application/json"),
		row("ping", "filters that compare a whole complex attribute"),
	}
}

// dialects is the table, built once and never changed.
var dialects = Dialects()

// LookupDialect returns the dialect with a name, in any case; the empty name is
// "auto".
func LookupDialect(name string) (Dialect, bool) {
	if name == "" {
		name = "auto"
	}
	for _, d := range dialects {
		if strings.EqualFold(d.Name, name) {
			return d, true
		}
	}
	return Dialect{}, false
}
