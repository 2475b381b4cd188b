package provision

import (
	"slices"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// collect reads what a policy decides by: the groups of the person, and the
// facts that after keeps. before is the account as it is stored, nil for a new
// one; gone says that the resource was deleted.
func collect(r store.Reader, p *policy.Policy, before, after *Account, gone bool) (policy.Facts, memberships, error) {
	groups, err := groupsOf(r, p, after.ResourceID)
	if err != nil {
		return policy.Facts{}, memberships{}, err
	}
	if gone && before != nil {
		groups.local = localGroups(before) // the rows went with the resource
	}
	facts := policy.Facts{
		Groups:            groups.raw,
		Gone:              gone,
		Blocked:           blockedByProvider(after),
		BlockedByOperator: slices.Contains(after.Facts.Blocks, store.SourceOperator),
		WasActive:         after.Facts.WasActive,
		LoggedIn:          after.Facts.LoggedIn,
		Company:           after.Facts.Company,
		TimeZone:          after.Facts.TimeZone,
	}
	if before != nil {
		facts.Current = currentAccess(before)
	}
	return facts, groups, nil
}

// blockedByProvider reports whether a source other than an operator says that
// the person must not be active.
func blockedByProvider(a *Account) bool {
	return slices.ContainsFunc(a.Facts.Blocks, func(s store.Source) bool { return s != store.SourceOperator })
}

func currentAccess(a *Account) *policy.Current {
	cur := &policy.Current{Status: a.Status, Access: policy.Access{
		Authentication:    a.Authentication,
		SiteAdmin:         a.SiteAdmin,
		ReadOnlySiteAdmin: a.ReadOnlySiteAdmin,
		Roles:             a.Roles,
		TwoFactor:         a.TwoFactor,
		Permissions:       a.Permissions,
		Company:           a.Company,
		TimeZone:          a.TimeZone,
	}}
	for _, g := range a.Groups {
		if byPolicy(g.Source) {
			cur.Access.Groups = append(cur.Access.Groups, policy.Grant{Group: policy.Group{ID: g.ID, Name: g.Name}, Admin: g.Admin})
		}
	}
	return cur
}

// byPolicy reports whether memberships of a source pass through the policy.
func byPolicy(s store.Source) bool {
	return s != store.SourceDefault && s != store.SourceOperator
}

// memberships are the groups of one person.
type memberships struct {
	raw     []policy.Group       // what the identity provider reported, transitive
	local   []store.AccountGroup // what a default or an operator added
	sources map[string]store.Source
}

func (m memberships) source(group string) store.Source {
	if s, ok := m.sources[group]; ok {
		return s
	}
	return store.SourceSCIM
}

// groupsOf collects the groups of a user, transitively, each once; a cycle of
// groups ends where it meets itself.
func groupsOf(r store.Reader, p *policy.Policy, resource string) (memberships, error) {
	var out memberships
	if resource == "" {
		return out, nil
	}
	seen := map[string]bool{}
	todo := []string{resource}
	for len(todo) > 0 {
		next := todo[0]
		todo = todo[1:]
		ms, err := r.MembershipsOf(next)
		if err != nil {
			return out, err
		}
		for _, m := range ms {
			if !byPolicy(m.Source) {
				if next == resource {
					out.local = append(out.local, store.AccountGroup{ID: m.Group, Name: m.Display, Source: m.Source})
				}
				continue
			}
			if seen[m.Group] {
				continue
			}
			seen[m.Group] = true
			g := policy.Group{ID: m.Group, Name: m.Display}
			if p.NeedsExternalIDs() {
				if g.ExternalID, err = externalID(r, m.Group); err != nil {
					return out, err
				}
			}
			if out.sources == nil {
				out.sources = map[string]store.Source{}
			}
			out.sources[m.Group] = m.Source
			out.raw = append(out.raw, g)
			todo = append(todo, m.Group)
		}
	}
	return out, nil
}

func externalID(r store.ResourceReader, group string) (string, error) {
	g, err := r.Resource(TypeGroup, group, 0)
	if err != nil {
		return "", err
	}
	return documentText(g.Document, "externalId"), nil
}

// localGroups returns the groups of an account that do not come from the
// identity provider.
func localGroups(a *Account) []store.AccountGroup {
	var out []store.AccountGroup
	for _, g := range a.Groups {
		if !byPolicy(g.Source) {
			out = append(out, g)
		}
	}
	return out
}
