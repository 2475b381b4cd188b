package provision

import (
	"slices"

	"github.com/scimjit/provision/store"
)

// recalled is a transaction that knows what the groups of many people are, so
// that to derive their accounts does not ask for each person, and again for
// each group, to which groups it belongs. What it writes, it forgets.
type recalled struct {
	store.Tx
	memberships map[string][]store.Membership // by member, for those that were read
	groups      map[string]*Resource
}

// recall returns a transaction that remembers.
func recall(tx store.Tx) *recalled {
	if known, ok := tx.(*recalled); ok {
		return known
	}
	return &recalled{Tx: tx, memberships: map[string][]store.Membership{}, groups: map[string]*Resource{}}
}

// readGroups reads to which groups the people belong that some accounts are
// derived from: one read for all of them, and one for each level of groups
// above.
func (t *recalled) readGroups(accounts []*Account) error {
	var next []string
	for _, a := range accounts {
		if a.ResourceID != "" {
			next = append(next, a.ResourceID)
		}
	}
	for {
		next = slices.DeleteFunc(next, func(member string) bool {
			_, known := t.memberships[member]
			return known
		})
		if len(next) == 0 {
			return nil
		}
		ms, err := t.Tx.MembershipsOf(next...)
		if err != nil {
			return err
		}
		for _, member := range next {
			t.memberships[member] = nil
		}
		next = t.remember(ms)
	}
}

// remember keeps memberships, which are in order of their members, and returns
// the groups.
func (t *recalled) remember(ms []store.Membership) (groups []string) {
	seen := map[string]bool{}
	for len(ms) > 0 {
		n := 0
		for n < len(ms) && ms[n].Member == ms[0].Member {
			if group := ms[n].Group; !seen[group] {
				seen[group] = true
				groups = append(groups, group)
			}
			n++
		}
		t.memberships[ms[0].Member] = ms[:n:n]
		ms = ms[n:]
	}
	return groups
}

// MembershipsOf implements [store.MemberReader].
func (t *recalled) MembershipsOf(members ...string) ([]store.Membership, error) {
	if len(members) == 1 {
		if ms, known := t.memberships[members[0]]; known {
			return ms, nil
		}
	}
	return t.Tx.MembershipsOf(members...)
}

// Resource implements [store.ResourceReader]. It remembers groups, whose
// external ids are asked for with each of their members.
func (t *recalled) Resource(typ, id string, with store.Parts) (*Resource, error) {
	if typ != TypeGroup || with != 0 {
		return t.Tx.Resource(typ, id, with)
	}
	if g, known := t.groups[id]; known {
		return g, nil
	}
	g, err := t.Tx.Resource(typ, id, with)
	if err == nil {
		t.groups[id] = g
	}
	return g, err
}

// PutMembership implements [store.MemberWriter].
func (t *recalled) PutMembership(m store.Membership) (added bool, err error) {
	delete(t.memberships, m.Member)
	return t.Tx.PutMembership(m)
}

// DeleteMembership implements [store.MemberWriter].
func (t *recalled) DeleteMembership(group, member string, source store.Source) (removed bool, err error) {
	delete(t.memberships, member)
	return t.Tx.DeleteMembership(group, member, source)
}

// PutResource implements [store.ResourceWriter].
func (t *recalled) PutResource(r *Resource) error {
	t.forget()
	return t.Tx.PutResource(r)
}

// DeleteResource implements [store.ResourceWriter].
func (t *recalled) DeleteResource(typ, id string) error {
	t.forget()
	return t.Tx.DeleteResource(typ, id)
}

// forget is for a change that any membership may show.
func (t *recalled) forget() {
	clear(t.memberships)
	clear(t.groups)
}
