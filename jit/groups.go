package jit

import (
	"slices"
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/policy"
)

// GroupForm is a form in which an identity provider asserts a group.
type GroupForm string

// The forms of groups. A form gives a group its name; the asserted value is
// kept too. DistinguishedName and DomainName shorten: two groups with different
// values, such as those of two domains, can have one short name. A pattern
// id:VALUE means only one of them.
const (
	// DistinguishedName is a DN whose first part is a CN (RFC 4514):
	// "CN=Sales\, EMEA,OU=Groups" is named "Sales, EMEA".
	DistinguishedName GroupForm = "dn"

	// LeadingSlash is a path of Keycloak: "/Staff/IT" is named "Staff/IT".
	LeadingSlash GroupForm = "path"

	// DomainName is a name of Windows: `CORP\Sales` is named "Sales".
	DomainName GroupForm = "domain"

	// Joined is several groups in one value, with ";" between them. One that is
	// escaped by a backslash, as in a DN, belongs to the group.
	Joined GroupForm = "joined"
)

// groupNames are the forms that give a name.
var groupNames = map[GroupForm]func(string) (name string, ok bool){
	DistinguishedName: commonName,
	LeadingSlash:      withoutSlash,
	DomainName:        withoutDomain,
}

// groups returns the groups of an assertion and what they are worth. Of the names
// of a preset the first that is present counts, and of those of [Mapping.WithGroups]
// all. A group that comes twice, in any case, is one.
func (l *lookup) groups(m *Mapping) ([]provision.IdentityGroup, policy.Evidence, error) {
	if l.has(m.preset.Overage) {
		return nil, policy.EvidenceOverage, nil
	}
	lists := [][]string{m.preset.Attributes[fieldGroups]}
	if len(m.groups) > 0 {
		lists = lists[:0]
		for _, name := range m.groups {
			lists = append(lists, []string{name})
		}
	}
	evidence := policy.EvidenceAbsent
	r := groupReader{forms: m.preset.GroupForms, separator: m.separator, seen: map[string]bool{}}
	for _, names := range lists {
		for attribute, found := range l.all(names) {
			if wrong := r.read(found); wrong != (fault{}) {
				return nil, policy.EvidenceAbsent, wrong.in(fieldGroups, attribute)
			}
			evidence = policy.EvidenceKnown
			break
		}
	}
	return r.groups, evidence, nil
}

// groupReader collects groups.
type groupReader struct {
	forms     []GroupForm
	separator string
	groups    []provision.IdentityGroup
	seen      map[string]bool
}

func (r *groupReader) read(asserted found) fault {
	if asserted.malformed {
		return fault{problem: NotText}
	}
	for _, value := range asserted.values {
		for _, part := range r.split(value) {
			g, wrong := readGroup(part, r.forms)
			if wrong != (fault{}) {
				return wrong
			}
			key := naming.Form(g.Value)
			if g.Value == "" || r.seen[key] {
				continue
			}
			if len(r.groups) == provision.MaxIdentityGroups {
				return fault{problem: TooMany}
			}
			r.seen[key] = true
			r.groups = append(r.groups, g)
		}
	}
	return fault{}
}

// readGroup names a group by the first form that fits, or by its value.
func readGroup(part string, forms []GroupForm) (provision.IdentityGroup, fault) {
	value, wrong := cleanID(part)
	if wrong != (fault{}) {
		return provision.IdentityGroup{}, wrong
	}
	plain, wrong := cleanText(value)
	if wrong != (fault{}) {
		return provision.IdentityGroup{}, wrong
	}
	g := provision.IdentityGroup{Value: value, Name: plain}
	for _, form := range forms {
		read := groupNames[form]
		if read == nil {
			continue
		}
		name, ok := read(plain)
		if !ok {
			continue
		}
		// Escapes of a DN can hide what a value may not have.
		if name, wrong := cleanText(name); wrong == (fault{}) && name != "" {
			g.Name = name
			break
		}
	}
	return g, fault{}
}

// split splits a value at each separator without a backslash before it.
func (r *groupReader) split(value string) []string {
	separator := r.separator
	if separator == "" && slices.Contains(r.forms, Joined) {
		separator = ";"
	}
	if separator == "" {
		return []string{value}
	}
	var parts []string
	start := 0
	for i := 0; i < len(value); {
		switch {
		case value[i] == '\\':
			i += 2
		case strings.HasPrefix(value[i:], separator):
			parts = append(parts, value[start:i])
			i += len(separator)
			start = i
		default:
			i++
		}
	}
	return append(parts, value[start:])
}

// shortens reports whether a form makes one name of different groups. A slash
// tells no groups apart: with it or without, it is the same path.
func shortens(form GroupForm) bool { return form == DistinguishedName || form == DomainName }

func withoutSlash(value string) (string, bool) {
	return strings.CutPrefix(value, "/")
}

// withoutDomain reads DOMAIN\name. The domain is a NetBIOS or DNS name.
func withoutDomain(value string) (string, bool) {
	domain, name, ok := strings.Cut(value, `\`)
	if !ok || domain == "" || strings.Contains(name, `\`) {
		return "", false
	}
	for _, r := range domain {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
		default:
			return "", false
		}
	}
	return name, true
}
