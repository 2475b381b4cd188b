package jit

import (
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

// groups returns the groups of an assertion and what they are worth. Of several
// attributes the first that is present counts. A group that comes twice, in any
// case, is one.
func (l *lookup) groups(p Preset) ([]provision.IdentityGroup, policy.Evidence, error) {
	if l.has(p.Overage) {
		return nil, policy.EvidenceOverage, nil
	}
	for attribute, found := range l.all(p.Attributes[fieldGroups]) {
		groups, problem := readGroups(found, p.GroupForms)
		if problem != "" {
			return nil, policy.EvidenceAbsent, &AttributeError{Field: fieldGroups, Attribute: attribute, Problem: problem}
		}
		return groups, policy.EvidenceKnown, nil
	}
	return nil, policy.EvidenceAbsent, nil
}

func readGroups(asserted found, forms []GroupForm) ([]provision.IdentityGroup, Problem) {
	if asserted.malformed {
		return nil, NotText
	}
	var out []provision.IdentityGroup
	seen := map[string]bool{}
	for _, value := range asserted.values {
		for _, part := range splitGroups(value, forms) {
			g, problem := readGroup(part, forms)
			if problem != "" {
				return nil, problem
			}
			key := naming.Form(g.Value)
			if g.Value == "" || seen[key] {
				continue
			}
			if len(out) == provision.MaxIdentityGroups {
				return nil, TooMany
			}
			seen[key] = true
			out = append(out, g)
		}
	}
	return out, ""
}

// readGroup names a group by the first form that fits, or by its value.
func readGroup(part string, forms []GroupForm) (provision.IdentityGroup, Problem) {
	value, problem := cleanID(part)
	if problem != "" {
		return provision.IdentityGroup{}, problem
	}
	plain, problem := cleanText(value)
	if problem != "" {
		return provision.IdentityGroup{}, problem
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
		if name, _ = cleanText(name); name != "" {
			g.Name = name
			break
		}
	}
	return g, ""
}

// splitGroups splits a value at each ";" without a backslash before it.
func splitGroups(value string, forms []GroupForm) []string {
	joined := false
	for _, form := range forms {
		joined = joined || form == Joined
	}
	if !joined {
		return []string{value}
	}
	var parts []string
	start := 0
	for i := 0; i < len(value); i++ {
		switch value[i] {
		case '\\':
			i++
		case ';':
			parts = append(parts, value[start:i])
			start = i + 1
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
