package sqlstore

import (
	"slices"

	"github.com/scimjit/provision/store"
)

// Ancestors implements [store.MemberReader]. Where each statement is waited for it is one
// recursive one; else a level at a time costs less.
func (r *Reader) Ancestors(members ...string) (found []store.Membership, err error) {
	switch {
	case len(members) == 0 || r.inNone(members):
		return nil, nil
	case r.pipeline == nil:
		return store.Ancestors(r.MembershipsOf, members...)
	}
	err = r.memberships(membersAbove, into(&found), r.above(members)...)
	slices.SortFunc(found, store.CompareMemberships)
	found = slices.Compact(found) // a member may be above another one
	r.knowGroups(members, found, err)
	return found, err
}

// above returns the arguments of membersAbove.
func (r *Reader) above(members []string) []any {
	return []any{r.scope, members, r.scope, r.scope, r.scope, r.scope, members, r.scope, r.scope, r.scope}
}

// ofAncestors returns the memberships of a member out of those of its ancestors, where they
// were announced.
func (r *Reader) ofAncestors(member string) (found []store.Membership, known bool, err error) {
	members := []string{member}
	if r.pipeline == nil || !r.pipeline.Expects(membersAbove, r.above(members)...) {
		return nil, false, nil
	}
	all, err := r.Ancestors(member)
	for _, m := range all {
		if m.Member == member {
			found = append(found, m)
		}
	}
	return found, true, err
}
