package provision

import (
	"context"
	"slices"

	"github.com/scimjit/provision/store"
)

// memberDifference is what a draft changes of the memberships that are stored. Those who
// join are named by a request; those who leave may be as many as are stored, so that of
// very many only what is needed of them is kept, and they are read again when they are
// staged.
type memberDifference struct {
	joining []store.Membership
	leaving []store.Membership // nil where they are more than most
	leave   int                // how many leave
	most    int
	last    string      // of those who are no members any more, the last one
	delta   memberDelta // what Draft.applyMembers would have returned
}

func (m *memberDifference) size() int { return len(m.joining) + m.leave }

// compare returns the difference, without taking the writer from anybody.
func (l *largeChange) compare(ctx context.Context, d *Draft) (*memberDifference, error) {
	m := &memberDifference{most: max(l.engine.Limits.inlineMembers(), l.engine.Limits.inline(), eventMembers)}
	known := map[string]bool{} // members from the source of the change
	err := l.eachStored(ctx, d, d.order, func(row store.Membership) error {
		if d.members[row.Member] && row.Source == l.source {
			known[row.Member] = true
		}
		if d.endsMembership(row) {
			m.leaves(d, row)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var added []string
	for _, id := range d.order {
		if d.members[id] && !known[id] {
			added = append(added, id)
		}
	}
	for ids := range slices.Chunk(added, MembersPage) {
		var types map[string]string
		err := l.view(ctx, func(r store.Reader) (err error) {
			types, err = r.Types(ids...)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if typ := types[id]; typ != TypeUser && typ != TypeGroup {
				return nil, &MemberError{ID: id}
			}
			m.joining = append(m.joining, store.Membership{Group: d.resource.ID, Member: id, Source: l.source, Kind: types[id]})
		}
	}
	m.delta.added = m.joining
	return m, nil
}

// endsMembership reports whether the draft ends a stored membership in the group, as
// removeOthers and removeMember would.
func (d *Draft) endsMembership(m store.Membership) bool {
	member, named := d.members[m.Member]
	switch {
	case d.deletes:
		return true
	case !d.mayEnd(m.Source):
		return false
	case member:
		return d.cleared && m.Source == store.SourceJIT && d.claims()
	}
	return named || d.cleared
}

// leaves takes a membership that ends.
func (m *memberDifference) leaves(d *Draft, row store.Membership) {
	if m.leave++; m.leave <= m.most {
		m.leaving = append(m.leaving, row)
	} else {
		m.leaving = nil
	}
	switch {
	case d.members[row.Member]: // by another source
	case d.cleared:
		m.delta.remove(row, m.most)
	case m.last != row.Member:
		m.last = row.Member
		m.delta.remove(store.Membership{Group: row.Group, Member: row.Member, Kind: row.Kind}, m.most)
	}
}

// eachStored calls fn with the stored memberships that the draft may end, in order of
// member: with all of the group, a page in each view, or with those whom the draft names,
// in the order of ids. Nobody waits while fn runs.
func (l *largeChange) eachStored(ctx context.Context, d *Draft, ids []string, fn func(store.Membership) error) error {
	switch {
	case d.before == nil:
		return nil
	case d.cleared:
		return l.eachMember(ctx, d, fn)
	}
	return l.eachNamed(ctx, d, ids, fn)
}

// eachMember calls fn with all memberships of the group.
func (l *largeChange) eachMember(ctx context.Context, d *Draft, fn func(store.Membership) error) error {
	after := ""
	for more := true; more; {
		var page []store.Membership
		err := l.sameVersion(ctx, d, func(r store.Reader) (err error) {
			page, err = r.UnnamedMemberships(d.resource.ID, after, MembersPage)
			return err
		})
		if err != nil {
			return err
		}
		if more = len(page) == MembersPage; more {
			page = wholeMembers(page)
		}
		for _, row := range page {
			after = row.Member
			row.Group = d.resource.ID // they share it
			if err := fn(row); err != nil {
				return err
			}
		}
	}
	return nil
}

// eachNamed calls fn with the memberships of some in the group.
func (l *largeChange) eachNamed(ctx context.Context, d *Draft, ids []string, fn func(store.Membership) error) error {
	for ids := range slices.Chunk(ids, MembersPage) {
		of := map[string][]store.Membership{}
		err := l.sameVersion(ctx, d, func(r store.Reader) error {
			clear(of)
			rows, err := r.MembershipsOf(ids...)
			for _, row := range rows {
				if row.Group == d.resource.ID {
					of[row.Member] = append(of[row.Member], row)
				}
			}
			return err
		})
		if err != nil {
			return err
		}
		for _, id := range ids {
			for _, row := range of[id] {
				if err := fn(row); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
