package sqlstore

import (
	"slices"

	"github.com/scimjit/provision/store"
)

// Memberships implements [store.MemberReader].
func (r *Reader) Memberships(group, after string, limit int) (found []store.Membership, err error) {
	err = r.memberships(membersPage, into(&found), r.scope, group, after, r.scope, rowLimit(limit))
	return found, err
}

// UnnamedMemberships implements [store.MemberReader].
func (r *Reader) UnnamedMemberships(group, after string, limit int) (found []store.Membership, err error) {
	err = r.conn.Query(unnamedPage, func(row Scanner) error { // each column costs as much as the row
		m, source := store.Membership{Group: group}, ""
		err := row.Scan(&m.Member, &source, &m.Kind)
		m.Source = knownSource(source)
		found = append(found, m)
		return err
	}, r.scope, group, after, r.scope, rowLimit(limit))
	return found, err
}

// into returns a function that collects memberships.
func into(found *[]store.Membership) func(store.Membership) error {
	return func(m store.Membership) error {
		*found = append(*found, m)
		return nil
	}
}

// MembershipsOf implements [store.MemberReader].
func (r *Reader) MembershipsOf(members ...string) (found []store.Membership, err error) {
	switch {
	case len(members) == 0 || r.inNone(members):
		return nil, nil
	case len(members) == 1:
		if found, known, err := r.ofAncestors(members[0]); known {
			return found, err
		}
		err = r.memberships(groupsOfMember, into(&found), r.scope, members[0], r.scope)
	case r.pipeline == nil:
		return r.membershipsOfMany(members)
	default: // one statement, as each is waited for
		err = r.memberships(groupsOfMembers, into(&found), r.scope, members, r.scope)
	}
	r.knowGroups(members, found, err)
	return found, err
}

// knowGroups remembers all memberships of members where a Tx can use them.
func (r *Reader) knowGroups(members []string, found []store.Membership, err error) {
	switch {
	case err != nil || r.pipeline == nil:
	case r.telling != nil:
		r.telling.lists = append(r.telling.lists, members)
	case r.memory != nil:
		r.memory.putGroups(members, found)
	}
}

// inNone reports whether members are known to be in no group.
func (r *Reader) inNone(members []string) bool {
	return r.memory != nil && len(r.memory.groups) > 0 && !slices.ContainsFunc(members, func(id string) bool {
		groups, known := r.memory.groups[id]
		return !known || len(groups) > 0
	})
}

// groupsOfOne returns the memberships of a member, which may be among many that were
// announced.
func (t *Tx) groupsOfOne(member string) (map[tie]bool, error) {
	if known := t.memory.groups[member]; known != nil {
		return known, nil
	}
	members := []string{member}
	for _, list := range t.memory.lists {
		if slices.Contains(list, member) {
			members = list
		}
	}
	_, err := t.MembershipsOf(members...)
	return t.memory.groups[member], err
}

// GroupsIn implements [store.MemberReader].
func (r *Reader) GroupsIn(groups ...string) (found []store.Membership, err error) {
	if len(groups) == 0 {
		return nil, nil
	}
	err = r.memberships(groupsInGroups, into(&found), r.scope, groups, r.scope)
	return found, err
}

// Many members are mostly in the same groups, so each group's name is read once.
const (
	membershipsOfMany = `SELECT m.group_id, m.member_id, m.source, m.kind FROM provision_members m
		WHERE m.scope = ? AND m.member_id = ANY (?)` + shown + ` ORDER BY m.member_id, m.group_id, m.source`
	displayNames = `SELECT r.id, r.display FROM provision_resources r
		WHERE r.scope = ? AND r.id = ANY (?)`
)

func (r *Reader) membershipsOfMany(members []string) (found []store.Membership, err error) {
	err = r.conn.Query(membershipsOfMany, func(row Scanner) error {
		var (
			m      store.Membership
			source string
		)
		err := row.Scan(&m.Group, &m.Member, &source, &m.Kind)
		m.Source = knownSource(source)
		found = append(found, m)
		return err
	}, r.scope, members, r.scope)
	if err != nil {
		return nil, err
	}
	names, err := r.displays(found)
	for i := range found {
		found[i].Display = names[found[i].Group]
	}
	return found, err
}

// displays returns the names of the groups of memberships. A Tx remembers them.
func (r *Reader) displays(of []store.Membership) (names map[string]string, err error) {
	names = map[string]string{}
	if r.memory != nil {
		names = r.memory.displays()
	}
	var missing []string
	for _, m := range of {
		if _, known := names[m.Group]; !known {
			names[m.Group] = ""
			missing = append(missing, m.Group)
		}
	}
	if len(missing) == 0 {
		return names, nil
	}
	err = r.conn.Query(displayNames, func(row Scanner) error {
		var id, display string
		err := row.Scan(&id, &display)
		names[id] = display
		return err
	}, r.scope, missing)
	return names, err
}

// IsMember implements [store.MemberReader].
func (r *Reader) IsMember(group, member string) (found bool, err error) {
	query, args := isMember, []any{r.scope, group, member, r.scope}
	switch {
	case group == "" && member == "":
		return false, nil
	case group == "":
		query, args = hasGroups, []any{r.scope, member, r.scope}
	case member == "":
		query, args = hasMembers, []any{r.scope, group, r.scope}
	}
	err = r.conn.Query(query, func(Scanner) error {
		found = true
		return nil
	}, args...)
	return found, err
}

// memberships calls fn with each membership that a statement returns.
func (r *Reader) memberships(query string, fn func(store.Membership) error, args ...any) error {
	return r.conn.Query(query, func(row Scanner) error {
		var (
			m      store.Membership
			source string
		)
		err := row.Scan(&m.Group, &m.Member, &source, &m.Kind, &m.Display)
		m.Source = knownSource(source)
		if err != nil {
			return err
		}
		return fn(m)
	}, args...)
}

// PutMembership implements [store.MemberWriter].
func (t *Tx) PutMembership(m store.Membership) (added bool, err error) {
	if t.pipeline != nil {
		known, err := t.groupsOfOne(m.Member)
		if err != nil || known[tie{m.Group, m.Source}] {
			return false, err
		}
		known[tie{m.Group, m.Source}] = true
		return true, t.write(1, insertMember, t.scope, m.Group, m.Member, string(m.Source), m.Kind, t.scope)
	}
	n, err := t.conn.Exec(insertMember, t.scope, m.Group, m.Member, string(m.Source), m.Kind, t.scope)
	return n == 1, err
}

// DeleteMembership implements [store.MemberWriter].
func (t *Tx) DeleteMembership(group, member string, source store.Source) (removed bool, err error) {
	if t.pipeline != nil {
		return t.deferDeletion(group, member, source)
	}
	var n int64
	if source == "" {
		n, err = t.conn.Exec(deleteMemberAll, t.scope, group, member, t.scope)
	} else {
		n, err = t.conn.Exec(deleteMember, t.scope, group, member, string(source), t.scope)
	}
	return n > 0, err
}

// deferDeletion is DeleteMembership by what is known of the member.
func (t *Tx) deferDeletion(group, member string, source store.Source) (removed bool, err error) {
	known, err := t.groupsOfOne(member)
	if err != nil {
		return false, err
	}
	n := 0
	for at := range known {
		if at.group == group && (at.source == source || source == "") {
			delete(known, at)
			n++
		}
	}
	switch {
	case n == 0:
		return false, nil
	case source == "":
		return true, t.write(n, deleteMemberAll, t.scope, group, member, t.scope)
	}
	return true, t.write(n, deleteMember, t.scope, group, member, string(source), t.scope)
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
