package memory

import (
	"slices"

	"github.com/scimjit/provision/store"
)

// Memberships implements store.MemberReader.
func (r reader) Memberships(group, after string, limit int) ([]store.Membership, error) {
	n, ok := r.lookup("", group)
	if !ok {
		return nil, nil
	}
	return r.membersOf(n, after, limit), nil
}

// UnnamedMemberships implements store.MemberReader. Names are at hand.
func (r reader) UnnamedMemberships(group, after string, limit int) ([]store.Membership, error) {
	return r.Memberships(group, after, limit)
}

func (r reader) membersOf(group uint32, after string, limit int) []store.Membership {
	members := r.nodes.at(group).members
	if members.size() == 0 {
		return nil
	}
	start := place{}
	if after != "" {
		start, _ = members.search(func(e edge) int {
			if r.nodes.at(e.node).resource.ID <= after {
				return -1
			}
			return 1
		})
	}
	size := members.size() - members.rank(start)
	if limit > 0 {
		size = min(size, limit)
	}
	var list []store.Membership
	id := r.nodes.at(group).resource.ID
	for e := range members.from(start) {
		if len(list) == size {
			break
		}
		if !r.seen(e) {
			continue
		}
		if list == nil {
			list = make([]store.Membership, 0, size)
		}
		m := r.nodes.at(e.node).resource
		list = append(list, store.Membership{
			Group: id, Member: m.ID, Source: r.sources[e.source], Kind: m.Type, Display: m.Display,
		})
	}
	return list
}

// MembershipsOf implements store.MemberReader.
func (r reader) MembershipsOf(members ...string) (list []store.Membership, err error) {
	if len(members) > 1 {
		members = slices.Compact(slices.Sorted(slices.Values(members)))
	}
	for _, member := range members {
		if n, ok := r.lookup("", member); ok {
			list = append(list, r.groupsOf(n)...)
		}
	}
	return list, nil
}

func (r reader) groupsOf(member uint32) []store.Membership {
	nd := r.nodes.at(member)
	var list []store.Membership
	for _, e := range nd.groups {
		if !r.seen(e) {
			continue
		}
		if list == nil {
			list = make([]store.Membership, 0, len(nd.groups))
		}
		g := r.nodes.at(e.node).resource
		list = append(list, store.Membership{
			Group: g.ID, Member: nd.resource.ID, Source: r.sources[e.source], Kind: nd.resource.Type, Display: g.Display,
		})
	}
	return list
}

// Ancestors implements store.MemberReader.
func (r reader) Ancestors(members ...string) ([]store.Membership, error) {
	return store.Ancestors(r.MembershipsOf, members...)
}

// GroupsIn implements store.MemberReader. It passes over the users in the groups.
func (r reader) GroupsIn(groups ...string) (list []store.Membership, err error) {
	for _, group := range slices.Compact(slices.Sorted(slices.Values(groups))) {
		n, ok := r.lookup("", group)
		if !ok || r.nodes.at(n).members.size() == 0 {
			continue
		}
		for e := range r.nodes.at(n).members.all() {
			if m := r.nodes.at(e.node).resource; m.Type == "Group" && r.seen(e) {
				list = append(list, store.Membership{
					Group: group, Member: m.ID, Source: r.sources[e.source], Kind: m.Type, Display: m.Display,
				})
			}
		}
	}
	return list, nil
}

// IsMember implements store.MemberReader.
func (r reader) IsMember(group, member string) (bool, error) {
	if member == "" {
		g, ok := r.lookup("", group)
		if !ok || r.nodes.at(g).members.size() == 0 {
			return false, nil
		}
		for e := range r.nodes.at(g).members.from(place{}) {
			if r.sources[e.source].Reported() && r.seen(e) {
				return true, nil
			}
		}
		return false, nil
	}
	m, ok := r.lookup("", member)
	return ok && slices.ContainsFunc(r.nodes.at(m).groups, func(e edge) bool {
		return r.sources[e.source].Reported() && r.seen(e) && (group == "" || r.nodes.at(e.node).resource.ID == group)
	}), nil
}

// PutMembership implements store.MemberWriter. A group or member that does not
// exist is a *store.NotFoundError.
func (t *tx) PutMembership(m store.Membership) (added bool, err error) {
	g, ok := t.lookup("", m.Group)
	if !ok {
		return false, noResource("", m.Group)
	}
	n, ok := t.lookup("", m.Member)
	if !ok {
		return false, noResource("", m.Member)
	}
	source := t.sourceNumber(m.Source)
	if i, found := t.searchGroups(n, g, source); found {
		if t.seen(t.nodes.at(n).groups[i]) {
			return false, nil
		}
		t.mark(g, n, source, 0)
		return true, nil
	}
	t.insertEdge(g, n, source, 0)
	return true, nil
}

// DeleteMembership implements store.MemberWriter.
func (t *tx) DeleteMembership(group, member string, source store.Source) (removed bool, err error) {
	g, ok := t.lookup("", group)
	if !ok {
		return false, nil
	}
	n, ok := t.lookup("", member)
	if !ok {
		return false, nil
	}
	// From the end, as removing moves what follows.
	for i := len(t.nodes.at(n).groups) - 1; i >= 0; i-- {
		e := t.nodes.at(n).groups[i]
		if e.node == g && (source == "" || t.sources[e.source] == source) && t.seen(e) {
			t.removeEdge(g, n, e)
			removed = true
		}
	}
	return removed, nil
}

// sourceNumber returns the number of a source, a new one when it is new.
func (s *scope) sourceNumber(source store.Source) uint16 {
	i := slices.Index(s.sources, source)
	if i < 0 {
		i = len(s.sources)
		s.sources = append(s.sources, source)
	}
	return uint16(i)
}

// searchGroups finds a membership among those of a member.
func (s *scope) searchGroups(member, group uint32, source uint16) (int, bool) {
	at := s.byID(s.nodes.at(group).resource.ID, s.sources[source])
	return slices.BinarySearchFunc(s.nodes.at(member).groups, at, func(e edge, at func(edge) int) int {
		return at(e)
	})
}

// addEdge enters a membership on both sides.
func (s *scope) addEdge(group, member uint32, source, mark uint16) {
	g, m := s.nodes.at(group), s.nodes.at(member)
	if g.members == nil {
		g.members = &ordered[edge]{}
	}
	g.members.insert(edge{member, source, mark}, s.byID(m.resource.ID, s.sources[source]))
	i, _ := s.searchGroups(member, group, source)
	m.groups = slices.Insert(m.groups, i, edge{group, source, mark})
}

// insertEdge is addEdge in a transaction.
func (t *tx) insertEdge(group, member uint32, source, mark uint16) {
	t.addEdge(group, member, source, mark)
	t.did(func() { t.dropEdge(group, member, source) })
}

// dropEdge takes a membership out on both sides.
func (s *scope) dropEdge(group, member uint32, source uint16) {
	g, m := s.nodes.at(group), s.nodes.at(member)
	g.members.remove(s.byID(m.resource.ID, s.sources[source]))
	if i, found := s.searchGroups(member, group, source); found {
		m.groups = slices.Delete(m.groups, i, i+1)
	}
}

// removeEdge is dropEdge in a transaction.
func (t *tx) removeEdge(group, member uint32, e edge) {
	t.dropEdge(group, member, e.source)
	t.did(func() { t.addEdge(group, member, e.source, e.mark) })
}

// removeMembers removes all members of a group.
func (t *tx) removeMembers(group uint32) {
	g := t.nodes.at(group)
	members := g.members
	if members.size() == 0 {
		return
	}
	for e := range members.all() {
		if i, found := t.searchGroups(e.node, group, e.source); found {
			m := t.nodes.at(e.node)
			m.groups = slices.Delete(m.groups, i, i+1)
		}
	}
	g.members = nil
	t.did(func() {
		g.members = members
		for e := range members.all() {
			m := t.nodes.at(e.node)
			i, _ := t.searchGroups(e.node, group, e.source)
			m.groups = slices.Insert(m.groups, i, edge{group, e.source, e.mark})
		}
	})
}
