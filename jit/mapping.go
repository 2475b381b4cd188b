package jit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/internal/preset"
)

// Mapping turns an assertion into an identity by the attribute names of one
// identity provider. Make one with [NewMapping]. It does not change and is safe
// for concurrent use.
type Mapping struct {
	preset     Preset
	overridden map[string]bool
	paths      []pathSource
	groups     []string // attributes that are read together, in the place of one
	separator  string   // between the groups of one value; empty means that of the preset
}

// pathSource is a SCIM attribute and where it comes from.
type pathSource struct{ path, attribute string }

// Overrides are names of attributes that replace those of a preset, by field:
// "id", "userName", "email", "givenName", "familyName", "name", "displayName",
// "company", "timeZone", "groups", or a SCIM path such as "title".
//
// The paths are those of RFC 7643 that hold one text: nickName, title,
// userType, preferredLanguage, locale, and of the enterprise extension
// employeeNumber, costCenter, division and department, with their full URN.
// They go to the Attributes of the identity. Fields and paths match in any case.
//
// An override replaces all names of the preset for its field, and for
// "userName" the NameID too. An empty name means that the field is not mapped.
type Overrides map[string]string

// NewMapping returns the mapping of a preset with the overrides of a
// connection. The name of the preset may come in any case; an empty one is
// "generic".
//
// A wrong setting is a [*MappingError] that names it: an unknown preset, a key
// that is neither a field nor a usable path, two keys for the same thing, or a
// name of an attribute that cannot be one.
func NewMapping(name string, overrides Overrides) (*Mapping, error) {
	p, ok := presetNamed(name)
	if !ok {
		return nil, &MappingError{Setting: "preset", Value: name, Reason: "there is no such preset; " + preset.Hint(name)}
	}
	m := &Mapping{preset: p, overridden: map[string]bool{}}
	for _, key := range slices.Sorted(maps.Keys(overrides)) {
		if err := m.override(key, overrides[key]); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Mapping) override(key, attribute string) error {
	name, isField, reason := target(key)
	if reason != "" {
		return &MappingError{Setting: "mapping", Value: key, Reason: reason}
	}
	if m.overridden[name] {
		return &MappingError{Setting: "mapping", Value: key, Reason: "given twice"}
	}
	if !isAttributeName(attribute) {
		return &MappingError{Setting: "mapping", Value: key, Reason: "the name of the attribute has spaces around it, control characters, or is too long"}
	}
	m.overridden[name] = true
	switch {
	case isField && attribute == "":
		delete(m.preset.Attributes, name)
	case isField:
		m.preset.Attributes[name] = []string{attribute}
	case attribute != "":
		m.paths = append(m.paths, pathSource{path: name, attribute: attribute})
	}
	return nil
}

// isAttributeName reports whether a text can be the name of an attribute, or empty.
func isAttributeName(text string) bool {
	clean, wrong := cleanText(text)
	return wrong == (fault{}) && clean == text
}

// maxSeparator is how many bytes a separator may have.
const maxSeparator = 8

// separators are names for what is hard to see in a configuration.
var separators = map[string]string{"comma": ",", "semicolon": ";"}

// WithGroups returns a mapping that reads the groups of several attributes, and of
// values that hold several groups with a separator between them. The groups of all
// attributes that are there count together; one that is missing has none as long as
// another one is there. Without attributes those of m count, and without a
// separator only the form of the preset. "comma" and "semicolon" are separators
// too; one with a backslash before it belongs to the group.
//
// A wrong setting is a [*MappingError].
func (m *Mapping) WithGroups(attributes []string, separator string) (*Mapping, error) {
	out := *m
	out.separator = separator
	if named, ok := separators[separator]; ok {
		out.separator = named
	}
	if len(out.separator) > maxSeparator || strings.ContainsFunc(out.separator, naming.Control) || strings.Contains(out.separator, `\`) {
		return nil, &MappingError{Setting: "groupSeparator", Value: separator, Reason: fmt.Sprintf("it must be a text of at most %d bytes without control characters and backslashes, or comma or semicolon", maxSeparator)}
	}
	if len(attributes) == 0 {
		return &out, nil
	}
	if m.overridden[fieldGroups] {
		return nil, &MappingError{Setting: "groups", Value: attributes[0], Reason: "the mapping names an attribute of groups already: name all of them here"}
	}
	for i, name := range attributes {
		switch {
		case name == "" || !isAttributeName(name):
			return nil, &MappingError{Setting: "groups", Value: name, Reason: "the name of the attribute is empty, has spaces around it, control characters, or is too long"}
		case slices.Contains(attributes[:i], name):
			return nil, &MappingError{Setting: "groups", Value: name, Reason: "given twice"}
		}
	}
	out.groups = slices.Clone(attributes)
	out.preset = m.preset.clone()
	out.preset.Attributes[fieldGroups] = out.groups
	out.overridden = maps.Clone(m.overridden)
	out.overridden[fieldGroups] = true
	return &out, nil
}

// Identity returns what an assertion says about a person.
//
// Attributes are found by Name, then by FriendlyName, then by Name in another
// case; within each of these the order of the preset decides. One without a
// value does not count, but for groups. The values of attributes with the same
// name count together.
//
// What names a person, that is the id, the NameID, the user name and the e-mail, is
// taken as it was asserted, without line breaks and indentation around it; control
// and invisible characters in it are refused. Other texts are trimmed and NFC-normalized, and those
// that are only shown, such as a display name, are cut at
// [provision.MaxIdentityText] bytes.
//
// Two different values of "id" or "userName" are refused, since either could be the
// person's. Of the other fields the first value counts, as the identity provider
// has sent them; "email" passes over what cannot be an address, such as a text
// without "@" and the user name of a guest at Entra ("#EXT#").
//
// Groups are [policy.EvidenceKnown] when the attribute is there, with or without
// values, [policy.EvidenceAbsent] when not, and [policy.EvidenceOverage] when the identity
// provider says that there are too many, whatever else it asserts.
//
// The error is an [*AttributeError]: a text of a wrong form, or a value that is
// no text, in an attribute that is mapped refuses the whole login, rather than
// leave out a part of it.
func (m *Mapping) Identity(a Assertion) (provision.Identity, error) {
	id, err := m.identity(a)
	if err != nil {
		return provision.Identity{}, err
	}
	return id, nil
}

func (m *Mapping) identity(a Assertion) (id provision.Identity, err error) {
	id.Session = a.Session
	if id.NameID, err = CleanNameID(a.NameID); err != nil {
		return id, err
	}
	found := newLookup(a.Attributes)
	for _, f := range fields {
		if *f.text(&id), err = found.text(f, m.preset.Attributes[f.name]); err != nil {
			return id, err
		}
	}
	if id.UserName == "" && m.isUserName(id.NameID) {
		id.UserName = id.NameID.Value
	}
	for _, p := range m.paths {
		text, err := found.text(pathField(p.path), []string{p.attribute})
		if err != nil {
			return id, err
		}
		if text == "" {
			continue
		}
		if id.Attributes == nil {
			id.Attributes = map[string]string{}
		}
		id.Attributes[p.path] = text
	}
	id.Groups, id.Evidence, err = found.groups(m)
	return id, err
}

// isUserName reports whether the preset takes a NameID for the user name.
func (m *Mapping) isUserName(n provision.NameID) bool {
	format := n.Format
	if format == "" {
		format = unspecified
	}
	return !m.overridden[fieldUserName] && slices.Contains(m.preset.UserNameFormats, format)
}

// Warnings returns what an administrator should know about the mapping before
// people log in with it, one sentence each, in a fixed order.
func (m *Mapping) Warnings() []string {
	var out []string
	if len(m.preset.Attributes[fieldID]) == 0 {
		out = append(out, "id: without an immutable id, renames cannot be seen, unless the NameID is persistent")
	}
	if len(m.preset.Attributes[fieldUserName])+len(m.preset.UserNameFormats) == 0 {
		out = append(out, "userName: nothing gives it")
	}
	if len(m.preset.Attributes[fieldGroups]) == 0 {
		out = append(out, "groups: not mapped, so that nothing is known of anybody's groups")
	}
	if len(m.preset.Attributes[fieldGroups]) > 0 && slices.ContainsFunc(m.preset.GroupForms, shortens) {
		out = append(out, "groups: several groups can have one short name: write patterns for admins as id:VALUE")
	}
	for _, name := range []string{fieldID, fieldNameID, fieldGroups} {
		if note := m.preset.Notes[name]; note != "" && !m.overridden[name] {
			out = append(out, name+": "+note)
		}
	}
	return out
}
