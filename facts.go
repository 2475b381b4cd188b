package provision

import (
	"slices"
	"time"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// collect reads what a policy decides by: the groups of the person, and the
// facts that after keeps. before is the account as it is stored, nil for a new
// one; gone says that the resource was deleted.
func collect(r store.Reader, p *policy.Policy, now time.Time, before, after *Account, gone bool) (policy.Facts, memberships, error) {
	groups, err := groupsOf(r, p, after)
	if err != nil {
		return policy.Facts{}, memberships{}, err
	}
	if lapsed(p, after, now) {
		if err := markLapsed(r, after.ResourceID, groups.raw); err != nil {
			return policy.Facts{}, memberships{}, err
		}
	}
	if gone && before != nil {
		groups.local = localGroups(before) // the rows went with the resource
	}
	groups.local = withHostGroups(groups.local, after)
	facts := policy.Facts{
		Groups:            groups.raw,
		Evidence:          after.Facts.Evidence(),
		Gone:              gone,
		Blocked:           blockedByProvider(after),
		BlockedByOperator: slices.Contains(after.Facts.Blocks, store.SourceOperator),
		WasActive:         after.Facts.WasActive,
		LoggedIn:          after.Facts.LoggedIn || after.Facts.AuthenticationSet,
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
		if g.Source.Reported() {
			cur.Access.Groups = append(cur.Access.Groups, policy.Grant{Group: policy.Group{ID: g.ID, Name: g.Name}, Admin: g.Admin})
		}
	}
	return cur
}

// memberships are the groups of one person.
type memberships struct {
	raw     []policy.Group       // what the identity provider reported, transitive
	local   []store.AccountGroup // what a default or an operator added
	sources map[string]store.Source
}

// source returns the source of a group that an account carries: of the
// membership, or what it was when there was one.
func (m memberships) source(group string, had []store.AccountGroup) store.Source {
	if s, ok := m.sources[group]; ok {
		return s
	}
	if i := slices.IndexFunc(had, func(g store.AccountGroup) bool { return g.ID == group }); i >= 0 {
		return had[i].Source
	}
	return store.SourceSCIM
}

// groupsOf collects the groups of the person of an account, transitively, each
// once; a cycle of groups ends where it meets itself. Groups that a login found
// by their name alone come last, with those above them, so that one that is known
// better by any way is known better.
func groupsOf(r store.Reader, p *policy.Policy, a *Account) (memberships, error) {
	var out memberships
	if a.ResourceID == "" {
		return out, nil
	}
	rows, err := r.MembershipsOf(a.ResourceID)
	if err != nil {
		return out, err
	}
	var direct []store.Membership
	for _, m := range rows {
		if m.Source.Reported() {
			direct = append(direct, m)
		} else {
			out.local = append(out.local, store.AccountGroup{ID: m.Group, Name: m.Display, Source: m.Source})
		}
	}
	named, err := namedGroups(r, p, a, direct)
	if err != nil {
		return out, err
	}
	g := gathering{reader: r, policy: p, out: &out}
	if err := g.gather(slices.DeleteFunc(slices.Clone(direct), func(m store.Membership) bool { _, is := named[m.Group]; return is }), nil); err != nil || len(named) == 0 {
		return out, err
	}
	return out, g.gather(direct, named)
}

// namedGroups returns the groups that the last login found by their name alone,
// with the values it asserted. Where no pattern names an id it does not matter.
func namedGroups(r store.Reader, p *policy.Policy, a *Account, direct []store.Membership) (map[string]string, error) {
	login := a.Facts.Login
	if login == nil || len(login.Groups) == 0 || !p.NeedsExternalIDs() {
		return nil, nil
	}
	named := map[string]string{}
	for _, g := range login.Groups {
		by := func(jit bool) bool {
			return slices.ContainsFunc(direct, func(m store.Membership) bool {
				return m.Group == g.ID && (m.Source == store.SourceJIT) == jit
			})
		}
		if !by(true) || by(false) {
			continue
		}
		external, err := externalID(r, g.ID)
		if err != nil {
			return nil, err
		}
		if external != g.Value {
			named[g.ID] = g.Value
		}
	}
	return named, nil
}

// gathering collects groups upwards.
type gathering struct {
	reader store.Reader
	policy *policy.Policy
	out    *memberships
}

// gather adds the groups of the memberships and those above, but for those that
// are there already. With named, they are known by name alone.
func (g *gathering) gather(todo []store.Membership, named map[string]string) error {
	for len(todo) > 0 {
		m := todo[0]
		todo = todo[1:]
		if _, seen := g.out.sources[m.Group]; seen || !m.Source.Reported() {
			continue
		}
		group := policy.Group{ID: m.Group, Name: m.Display}
		switch {
		case named != nil:
			group.ByName, group.ExternalID = true, named[m.Group]
		case g.policy.NeedsExternalIDs():
			var err error
			if group.ExternalID, err = externalID(g.reader, m.Group); err != nil {
				return err
			}
		}
		if g.out.sources == nil {
			g.out.sources = map[string]store.Source{}
		}
		g.out.sources[m.Group] = m.Source
		g.out.raw = append(g.out.raw, group)
		above, err := g.reader.MembershipsOf(m.Group)
		if err != nil {
			return err
		}
		todo = append(todo, above...)
	}
	return nil
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
		if !g.Source.Reported() {
			out = append(out, g)
		}
	}
	return out
}
