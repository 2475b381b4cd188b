package jit

import (
	"maps"
	"slices"

	"github.com/scimjit/provision/internal/preset"
)

// Preset is the attribute names of one identity provider.
type Preset struct {
	// Name selects the preset, in any case: "okta". Title is for people: "Okta".
	Name  string
	Title string

	// Issuer shows what the entity id of such an identity provider looks like;
	// "*" stands for what differs. It is empty where nothing is typical. It is
	// a hint for people and decides nothing.
	Issuer string

	// Attributes are the names of attributes by field, as in [Overrides], in
	// the order of preference. A field that is not there has no usual name at
	// this identity provider: an override names it.
	Attributes map[string][]string

	// Overage are attributes by which the identity provider says that there are
	// too many groups to list.
	Overage []string

	// GroupForms are the forms in which groups may be asserted. The first that
	// fits gives the name.
	GroupForms []GroupForm

	// UserNameFormats are the formats of a NameID that is the user name where
	// no attribute gives one. An absent format counts as unspecified (SAML core
	// section 2.2.2). Persistent and transient ones are never among them.
	UserNameFormats []string

	// Notes are what an administrator should know, by field or "NameID".
	Notes map[string]string
}

// Presets returns all presets, "generic" last. The caller may change them: they
// are copies.
func Presets() []Preset {
	var out []Preset
	for _, name := range preset.Names() {
		p, _ := presetNamed(name)
		out = append(out, p)
	}
	return out
}

func (p Preset) clone() Preset {
	attributes := make(map[string][]string, len(p.Attributes))
	for field, names := range p.Attributes {
		attributes[field] = slices.Clone(names)
	}
	p.Attributes = attributes
	p.Overage = slices.Clone(p.Overage)
	p.GroupForms = slices.Clone(p.GroupForms)
	p.UserNameFormats = slices.Clone(p.UserNameFormats)
	p.Notes = maps.Clone(p.Notes)
	return p
}

// presetNamed returns a copy of a preset, whose name may come in any case; empty
// means generic.
func presetNamed(name string) (Preset, bool) {
	named, ok := preset.Lookup(name)
	if !ok {
		return Preset{}, false
	}
	p := presets[named.Name].clone()
	p.Name, p.Title = named.Name, named.Title
	return p, true
}
