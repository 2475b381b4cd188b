package sqlstore

import (
	"slices"

	"github.com/scimjit/provision/store"
)

// Ancestors implements [store.MemberReader]. Where each statement is waited for it is one
// recursive one; else a level at a time costs less.
func (r *Reader) Ancestors(members ...string) (found []store.Membership, err error) {
	switch {
	case len(members) == 0:
		return nil, nil
	case r.pipeline == nil:
		return store.Ancestors(r.MembershipsOf, members...)
	}
	err = r.memberships(membersAbove, into(&found), r.scope, members, r.scope, r.scope, r.scope, r.scope, members, r.scope, r.scope, r.scope)
	slices.SortFunc(found, store.CompareMemberships)
	found = slices.Compact(found) // a member may be above another one
	r.knowGroups(members, found, err)
	return found, err
}
