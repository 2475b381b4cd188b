package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// groupWrite is what a sync writes of one group.
type groupWrite struct {
	source  *SyncGroup
	key     string
	id      string
	content bool // it differs
	adopts  bool // it is one of logins
	foreign bool // the source has it not, and it is not the sync's to delete
	decided bool // SCIM decides what it says and who is in it
	keeps   bool // who may be an unknown member does not leave it
	entry   *syncEntry
	created bool
	failed  bool

	added, removed []string // ids of members
	deep           []string // of those added: groups that would be nested too deep
}

// syncGroups makes the connection have the groups. Members come before members
// go and groups are deleted, so that nobody who moves loses access in between.
func (s *syncing) syncGroups(ctx context.Context, list []groupWrite) error {
	for attempt := range 2 { // a name may become free
		for part := range slices.Chunk(list, syncBatch) {
			if err := s.writeGroups(ctx, part, attempt == 1); err != nil {
				return err
			}
			s.progress()
		}
	}
	for _, step := range []func(context.Context, *groupWrite) error{s.planMembers, s.addMembers, s.removeMembers, s.addDeep} {
		for i := range list {
			if list[i].failed {
				continue
			}
			if err := s.keep(ctx); err != nil {
				return err
			}
			if err := step(ctx, &list[i]); err != nil {
				return err
			}
		}
		s.progress()
	}
	for i := range list {
		switch w := &list[i]; {
		case w.failed, w.foreign:
		case w.created:
			s.report.Groups.Created++
		case w.content || len(w.added)+len(w.removed) > 0:
			s.report.Groups.Updated++
		default:
			s.report.Groups.Unchanged++
		}
	}
	return s.deleteGroups(ctx)
}

// planGroups finds the groups of the source in the connection.
func (s *syncing) planGroups(groups []SyncGroup) ([]groupWrite, error) {
	x := s.groups
	list := make([]groupWrite, 0, len(groups))
	names := map[string]string{} // by externalId
	unclear := map[string]bool{} // externalIds of groups with several names
	for i := range groups {
		g := &groups[i]
		e := x.read(g.Content.Document)
		key := cmp.Or(g.Key, e.external, account.Text(g.Content.Document, x.nameKey))
		list = append(list, groupWrite{source: g, key: key, entry: e})
		if e.external == "" {
			continue
		}
		if first, twice := names[e.external]; twice && first != e.name {
			unclear[e.external] = true
		}
		names[e.external] = e.name
	}
	planned, unknown := list[:0], 0
	for _, w := range list {
		id := s.findGroup(w.entry, names)
		old := x.entries[id]
		code := w.source.Problem
		switch {
		case code != "":
		case w.entry.name == "":
			code = problemNoName
		case unclear[w.entry.external]:
			code = problemNotUnique
		case old != nil && old.seen:
			code = problemTwice
		}
		if old != nil {
			old.seen = true // also where nothing of it is written
			x.call(w.key, id)
		}
		if code != "" {
			s.problem(TypeGroup, w.key, w.entry.name, code)
			if s.unidentified(old, w.entry) {
				unknown++
			}
			continue
		}
		w.id, w.entry.seen = id, true
		w.found(old)
		planned = append(planned, w)
	}
	if unknown > 0 && unknown == len(groups) && !s.options.Changes {
		return nil, ErrSyncUnidentified
	}
	return s.planForeign(planned), nil
}

// found plans what to write of a group that is there; nil is a new one.
func (w *groupWrite) found(old *syncEntry) {
	if old == nil {
		return
	}
	w.decided, w.adopts = old.decided, old.owner == store.SourceJIT
	w.content = old.sum != w.entry.sum && !old.decided
	w.entry.mark, w.entry.owner, w.entry.decided = old.mark, old.owner, old.decided
}

// findGroup returns the id of a group of the source in the connection, or "". names are
// those of the source by externalId.
func (s *syncing) findGroup(e *syncEntry, names map[string]string) string {
	x := s.groups
	if id := x.external[e.external]; id != "" || e.name == "" {
		return id
	}
	id := x.names[e.name]
	if old := x.entries[id]; old != nil && old.external != e.external && s.elsewhere(old, names) {
		return "" // it is another group of the source, which has another name now
	}
	return id
}

// elsewhere reports whether a group is known to be there under another name: the source
// has it, or has not said that it has it no longer.
func (s *syncing) elsewhere(old *syncEntry, names map[string]string) bool {
	_, reported := names[old.external]
	return reported || s.options.Changes && old.external != "" && old.mark != ""
}

// planForeign plans that the members whom syncs added to groups of others leave those
// that the source has no longer.
func (s *syncing) planForeign(planned []groupWrite) []groupWrite {
	if !s.knowsGroups || !s.infers() {
		return planned
	}
	for _, id := range slices.Sorted(maps.Keys(s.groups.entries)) {
		if e := s.groups.entries[id]; !e.seen && e.foreign(s.groups.nameKey) {
			planned = append(planned, groupWrite{source: &SyncGroup{}, id: id, entry: e, foreign: true})
		}
	}
	return planned
}

// writeGroups creates groups, and writes what differs of the content of others.
func (s *syncing) writeGroups(ctx context.Context, list []groupWrite, last bool) error {
	for i := range list {
		w := &list[i]
		done := w.id != "" && (!w.content || s.groups.entries[w.id] == w.entry)
		if done {
			continue
		}
		id := cmp.Or(w.id, "new "+w.key) // of a dry run
		err := s.update(ctx, func(c syncChange) error {
			d, err := c.syncContent(TypeGroup, w.id, &w.source.Content)
			if err != nil {
				return err
			}
			id, w.adopts = d.ID(), d.claims()
			if w.id == "" || w.adopts {
				return records.Synced.Put(c.tx, id, records.SyncMark{State: records.SyncHas})
			}
			return nil
		})
		var conflict *store.ConflictError
		if errors.As(err, &conflict) || errors.Is(err, ErrNotFound) {
			if w.failed = last; last {
				s.problem(TypeGroup, w.key, w.entry.name, problemConflict)
			}
			continue
		}
		if err != nil {
			return err
		}
		if w.id == "" {
			w.id, w.created = id, true
		}
		if w.created || w.adopts {
			w.entry.mark = records.SyncHas
		}
		s.groups.put(id, w.entry)
		s.groups.call(w.key, id)
	}
	return nil
}

// planMembers compares the members of a group with those that syncs added before.
func (s *syncing) planMembers(ctx context.Context, w *groupWrite) error {
	want, either, unknown := make(map[string]bool, len(w.source.Members)), map[string]bool{}, 0
	for _, name := range w.source.Members {
		ids := s.membersCalled(name)
		switch len(ids) {
		case 0:
			unknown++
		case 1:
			want[ids[0]] = true
		default:
			for _, id := range ids {
				either[id] = true
			}
		}
	}
	s.report.MembersUnknown += unknown
	w.keeps = w.keeps || s.keepsMembers(unknown)
	have, err := s.memberships(ctx, w.id)
	if err != nil {
		return err
	}
	for _, m := range have {
		if !slices.Contains(w.ends(), m.Source) {
			continue
		}
		if !want[m.Member] && !either[m.Member] {
			w.removed = append(w.removed, m.Member)
		}
		if m.Source == store.SourceSync {
			delete(want, m.Member)
		}
	}
	if len(either) > 0 {
		s.problem(TypeGroup, w.key, w.entry.name, problemAlike)
	}
	if err := s.keepMembers(ctx, w); err != nil {
		return err
	}
	if w.decided {
		return nil // what the sync said before it may take back
	}
	for id := range want {
		w.added = append(w.added, id)
	}
	slices.Sort(w.added) // a map has no order
	return nil
}

// membersCalled returns the ids of those whom a name of a member means: several where
// nobody knows which.
func (s *syncing) membersCalled(name string) (ids []string) {
	for _, x := range []*syncIndex{s.users, s.groups} {
		ids = append(ids, x.alike[name]...)
		if id := x.keys[name]; id != "" {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		if id := cmp.Or(s.users.find(name), s.groups.find(name)); id != "" {
			ids = []string{id}
		}
	}
	return ids
}

// keepMembers takes from those who leave a group, some of whose members are unknown, who
// may be one of these.
func (s *syncing) keepMembers(ctx context.Context, w *groupWrite) error {
	if !w.keeps || len(w.removed) == 0 {
		return nil
	}
	leaving := len(w.removed)
	var sure []string
	if w.source.MayBe != nil && !s.unsure() {
		for _, id := range w.removed {
			known := ""
			if e := cmp.Or(s.users.entries[id], s.groups.entries[id]); e != nil {
				known = e.external
			}
			if known == "" {
				continue
			}
			may, err := w.source.MayBe(ctx, known)
			if err != nil {
				return fmt.Errorf("provision: looking for who left a group: %w", err)
			}
			if !may {
				sure = append(sure, id)
			}
		}
	}
	if w.removed = sure; len(sure) < leaving && !s.unsure() {
		s.problem(TypeGroup, w.key, w.entry.name, problemMembers)
	}
	return nil
}

// keepsMembers reports whether not everybody leaves a group some of whose members are unknown:
// among changes they may be those who are in it, whom the source could not look up.
func (s *syncing) keepsMembers(unknown int) bool {
	return s.unsure() || s.options.Changes && unknown > 0
}

// ends lists the sources whose members of the group the sync may remove: its own,
// and of a group that it has taken over those whom logins put there.
func (w *groupWrite) ends() []store.Source {
	if w.adopts {
		return []store.Source{store.SourceSync, store.SourceJIT}
	}
	return []store.Source{store.SourceSync}
}

// addMembers adds the new members of a group, some in each transaction. Groups that
// would be nested too deep wait until members have gone everywhere.
func (s *syncing) addMembers(ctx context.Context, w *groupWrite) error {
	for ids := range slices.Chunk(w.added, syncBatch) {
		deep, err := s.addSome(ctx, w, ids)
		if err != nil {
			return err
		}
		w.deep = append(w.deep, deep...)
		s.report.MembersAdded += len(ids) - len(deep)
	}
	return nil
}

// addDeep adds the groups that were nested too deep, if they are not any more.
func (s *syncing) addDeep(ctx context.Context, w *groupWrite) error {
	if len(w.deep) == 0 {
		return nil
	}
	deep, err := s.addSome(ctx, w, w.deep)
	if err != nil {
		return err
	}
	s.report.MembersAdded += len(w.deep) - len(deep)
	if len(deep) > 0 {
		s.problem(TypeGroup, w.key, w.entry.name, problemTooDeep)
	}
	return nil
}

// addSome adds members to a group in one transaction, and returns those that it left
// out: groups that would be nested too deep.
func (s *syncing) addSome(ctx context.Context, w *groupWrite, ids []string) (deep []string, err error) {
	err = s.changeMembers(ctx, w, func(c syncChange, d *Draft) error {
		members, left, err := c.nestable(w.id, ids)
		if err != nil {
			return err
		}
		for _, id := range members {
			if w.adopts { // what logins said of them counts no more
				if _, err := c.tx.DeleteMembership(w.id, id, store.SourceJIT); err != nil {
					return err
				}
			}
			d.AddMember(id)
		}
		deep = left
		return nil
	})
	return deep, err
}

// nestable returns which of the users and groups may become members of a group, and
// which groups would be nested too deep. Who was deleted since the sync looked is
// neither.
func (c syncChange) nestable(group string, ids []string) (members, deep []string, err error) {
	c.tx.Expect(func(r store.Reader) {
		for _, id := range ids {
			_, _ = memberOf(r, id)
		}
		_, _ = r.MembershipsOf(ids...)
	})
	var nested []string
	for _, id := range ids {
		r, err := memberOf(c.tx, id)
		var gone *MemberError
		if errors.As(err, &gone) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if members = append(members, id); r.Type == TypeGroup {
			nested = append(nested, id)
		}
	}
	if deep, err = tooDeep(c.tx, c.engine.Limits.nesting(), group, nested); err != nil {
		return nil, nil, err
	}
	return slices.DeleteFunc(members, func(id string) bool { return slices.Contains(deep, id) }), deep, nil
}

// removeMembers removes the former members of a group, all at once, so that the
// mass guard sees what they are together.
func (s *syncing) removeMembers(ctx context.Context, w *groupWrite) error {
	if len(w.removed) == 0 {
		return nil
	}
	s.report.MembersRemoved += len(w.removed)
	return s.takeMembers(ctx, w)
}

// changeMembers is a transaction on the members of a group, of those that the sync
// may remove.
func (s *syncing) changeMembers(ctx context.Context, w *groupWrite, fn func(syncChange, *Draft) error) error {
	err := s.update(ctx, func(c syncChange) error {
		r, err := c.tx.Resource(TypeGroup, w.id, 0)
		if err != nil {
			return err
		}
		d := &Draft{change: c.change, resource: *r, before: r, ends: w.ends()}
		if err := fn(c, d); err != nil {
			return err
		}
		return d.apply()
	})
	if errors.Is(err, ErrNotFound) {
		return nil // deleted since the sync looked; the next one creates it again
	}
	return err
}

// deleteGroups deletes the groups that a sync created and the source has no
// longer, one in each transaction: deleting one touches all its members. Very many of
// them leave it before.
func (s *syncing) deleteGroups(ctx context.Context) error {
	for _, id := range s.groupsToDelete() {
		err := s.update(ctx, func(c syncChange) error { return c.syncDeleteGroup(id) })
		if errors.Is(err, errLarge) {
			err = s.deleteLarge(ctx, id)
			if err == nil || errors.Is(err, ErrNotFound) {
				err = s.update(ctx, func(c syncChange) error { return records.Synced.Clear(c.tx, id) })
			}
		}
		if err != nil {
			return err
		}
		s.report.Groups.Absent++
		s.progress()
	}
	return nil
}

// syncDeleteGroup deletes a group, or returns errLarge where it has many members.
func (c syncChange) syncDeleteGroup(id string) error {
	r, err := c.tx.Resource(TypeGroup, id, 0)
	if err == nil {
		err = c.deleteFew(r)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return records.Synced.Clear(c.tx, id)
}

// groupsToDelete returns the groups that a sync created and the source has no
// longer.
func (s *syncing) groupsToDelete() []string {
	if !s.infers() {
		return nil
	}
	var ids []string
	for id, e := range s.groups.entries {
		if !e.seen && !e.foreign(s.groups.nameKey) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids) // a map has no order
	return ids
}
