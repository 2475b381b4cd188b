package sqlstore

import "github.com/scimjit/provision/store"

// Memberships implements [store.MemberReader].
func (r *Reader) Memberships(group, after string, limit int) (found []store.Membership, err error) {
	err = r.memberships(membersPage, func(m store.Membership) { found = append(found, m) },
		r.scope, group, after, rowLimit(limit))
	return found, err
}

// MembershipsOf implements [store.MemberReader].
func (r *Reader) MembershipsOf(member string) (found []store.Membership, err error) {
	err = r.memberships(groupsOfMember, func(m store.Membership) { found = append(found, m) }, r.scope, member)
	return found, err
}

// IsMember implements [store.MemberReader].
func (r *Reader) IsMember(group, member string) (found bool, err error) {
	query, args := isMember, []any{r.scope, group, member}
	switch {
	case group == "" && member == "":
		return false, nil
	case group == "":
		query, args = hasGroups, []any{r.scope, member}
	case member == "":
		query, args = hasMembers, []any{r.scope, group}
	}
	err = r.conn.Query(query, func(Scanner) error {
		found = true
		return nil
	}, args...)
	return found, err
}

// memberships calls fn with each membership that a statement returns.
func (r *Reader) memberships(query string, fn func(store.Membership), args ...any) error {
	return r.conn.Query(query, func(row Scanner) error {
		var (
			m      store.Membership
			source string
		)
		err := row.Scan(&m.Group, &m.Member, &source, &m.Kind, &m.Display)
		m.Source = knownSource(source)
		fn(m)
		return err
	}, args...)
}

// PutMembership implements [store.MemberWriter].
func (t *Tx) PutMembership(m store.Membership) (added bool, err error) {
	n, err := t.conn.Exec(insertMember, t.scope, m.Group, m.Member, string(m.Source), m.Kind)
	return n == 1, err
}

// DeleteMembership implements [store.MemberWriter].
func (t *Tx) DeleteMembership(group, member string, source store.Source) (removed bool, err error) {
	var n int64
	if source == "" {
		n, err = t.conn.Exec(deleteMemberAll, t.scope, group, member)
	} else {
		n, err = t.conn.Exec(deleteMember, t.scope, group, member, string(source))
	}
	return n > 0, err
}

// knownSource returns the constant of a source, so that many rows share it.
func knownSource(text string) store.Source {
	switch text {
	case string(store.SourceSCIM):
		return store.SourceSCIM
	case string(store.SourceJIT):
		return store.SourceJIT
	case string(store.SourceSync):
		return store.SourceSync
	case string(store.SourceDefault):
		return store.SourceDefault
	case string(store.SourceOperator):
		return store.SourceOperator
	}
	return store.Source(text)
}

// rowLimit returns the limit of a statement for a limit of which 0 is none.
func rowLimit(limit int) int64 {
	if limit <= 0 {
		return allRows
	}
	return int64(limit)
}
