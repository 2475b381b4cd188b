package account

import (
	"slices"
	"sort"

	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Graph is which groups some people and the groups above them are in. Its zero
// value is empty; it is filled before a decision and not changed after.
type Graph struct {
	people      []store.Membership            // in order of their members
	groups      map[string][]store.Membership // of those that are in groups
	named       names                         // groups
	externalIDs map[string]string             // by group, where a policy needs them
}

// Put records all direct memberships of some people, and then of the groups that
// the Put before has returned, until none is returned. They are in order of their
// members. Put takes them over, and returns the groups that were not named before.
func (g *Graph) Put(rows []store.Membership) (above []string) {
	if len(g.named.list) == 0 {
		g.people = rows
	} else {
		g.putGroups(rows)
	}
	known := len(g.named.list)
	for i := range rows {
		g.named.add(rows[i].Group)
	}
	return g.named.list[known:]
}

func (g *Graph) putGroups(rows []store.Membership) {
	if g.groups == nil {
		g.groups = map[string][]store.Membership{}
	}
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].Member == rows[0].Member {
			n++
		}
		g.groups[rows[0].Member], rows = rows[:n], rows[n:]
	}
}

// of returns the direct memberships of a user. To append to them makes a copy.
func (g *Graph) of(user string) []store.Membership {
	from := sort.Search(len(g.people), func(i int) bool { return g.people[i].Member >= user })
	to := from
	for to < len(g.people) && g.people[to].Member == user {
		to++
	}
	return g.people[from:to:to]
}

// names are different names, in the order in which they came. Few are compared
// one by one.
type names struct {
	list  []string
	index map[string]bool // nil for few
}

func (n *names) add(name string) {
	const few = 8
	if n.index[name] || n.index == nil && slices.Contains(n.list, name) {
		return
	}
	n.list = append(n.list, name)
	switch {
	case n.index != nil:
		n.index[name] = true
	case len(n.list) > few:
		n.index = make(map[string]bool, 2*len(n.list))
		for _, name := range n.list {
			n.index[name] = true
		}
	}
}

// PutExternalID records the externalId of a group.
func (g *Graph) PutExternalID(group, externalID string) {
	if g.externalIDs == nil {
		g.externalIDs = map[string]string{}
	}
	g.externalIDs[group] = externalID
}

// Reports reports whether an identity provider says that a user is in a group,
// directly or by groups inside it.
func (g *Graph) Reports(user, group string) bool {
	in := gathering{graph: g}
	in.gather(g.of(user), nil)
	_, reported := in.sources[group]
	return reported
}

// memberships are the groups of one person.
type memberships struct {
	raw     []policy.Group       // what the identity provider reported, transitive
	local   []store.AccountGroup // what a default, the host or an operator added
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
func (g *Graph) groupsOf(p *policy.Policy, a *store.Account) memberships {
	direct := g.of(a.ResourceID)
	var local []store.AccountGroup
	for _, m := range direct {
		if !m.Source.Reported() {
			local = append(local, store.AccountGroup{ID: m.Group, Name: m.Display, Source: m.Source})
		}
	}
	in := gathering{graph: g}
	if named := g.namedGroups(p, a, direct); len(named) == 0 {
		in.gather(direct, nil)
	} else {
		byID := func(m store.Membership) bool { _, is := named[m.Group]; return is }
		in.gather(slices.DeleteFunc(slices.Clone(direct), byID), nil)
		in.gather(direct, named)
	}
	return memberships{raw: in.groups, local: local, sources: in.sources}
}

// namedGroups returns the groups that the last login found by their name alone,
// with the values it asserted. Where no pattern names an id it does not matter.
func (g *Graph) namedGroups(p *policy.Policy, a *store.Account, direct []store.Membership) map[string]string {
	login := a.Facts.Login
	if login == nil || len(login.Groups) == 0 || !p.NeedsExternalIDs() {
		return nil
	}
	named := map[string]string{}
	for _, asserted := range login.Groups {
		known := g.externalIDs[asserted.ID] == asserted.Value || slices.ContainsFunc(direct, func(m store.Membership) bool {
			return m.Group == asserted.ID && m.Source.Reported() && m.Source != store.SourceJIT
		})
		if !known {
			named[asserted.ID] = asserted.Value
		}
	}
	return named
}

// gathering collects groups upwards.
type gathering struct {
	graph   *Graph
	groups  []policy.Group
	sources map[string]store.Source
}

// gather adds the groups of the memberships and those above, but for those that
// are there already. With named, they are known by name alone.
func (g *gathering) gather(todo []store.Membership, named map[string]string) {
	for len(todo) > 0 {
		m := todo[0]
		todo = todo[1:]
		if _, seen := g.sources[m.Group]; seen || !m.Source.Reported() {
			continue
		}
		group := policy.Group{ID: m.Group, Name: naming.Normal(m.Display), ExternalID: g.graph.externalIDs[m.Group]}
		if named != nil {
			group.ByName, group.ExternalID = true, named[m.Group]
		}
		if g.sources == nil {
			g.sources, g.groups = map[string]store.Source{}, make([]policy.Group, 0, len(todo)+1)
		}
		g.sources[m.Group] = m.Source
		g.groups = append(g.groups, group)
		todo = append(todo, g.graph.groups[m.Group]...)
	}
}

// markLapsed marks the groups that a user is in by logins alone. All of them
// stay: it is only rights that lapse.
func (g *Graph) markLapsed(user string, groups []policy.Group) {
	fresh, todo := map[string]bool{}, g.of(user)
	for len(todo) > 0 {
		m := todo[0]
		todo = todo[1:]
		if m.Source == store.SourceJIT || !m.Source.Reported() || fresh[m.Group] {
			continue
		}
		fresh[m.Group] = true
		todo = append(todo, g.groups[m.Group]...)
	}
	for i := range groups {
		groups[i].Lapsed = !fresh[groups[i].ID]
	}
}
