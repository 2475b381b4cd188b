package provision

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// askGuard asks the mass guard about all that lose access by this sync: users
// who are absent, who became inactive, and who leave the last group that admits
// them. Of the absent, those that an earlier sync took out count while they are
// held, so that a sync in two parts is no way around the guard.
func (s *syncing) askGuard(ctx context.Context, groups []groupWrite) error {
	if s.options.Force || s.engine.Limits.deprovision() < 0 {
		return nil
	}
	blocked := map[string]bool{} // by user
	for _, id := range s.absent {
		blocked[id] = true
	}
	for i := range s.leaving {
		blocked[s.leaving[i].id] = true
	}
	future, leave, err := s.foresee(ctx, groups)
	if err != nil || len(blocked)+len(leave) == 0 {
		return err
	}
	for _, id := range s.absentBefore {
		blocked[id] = true
	}
	for id := range blocked {
		leave[id] = true
	}
	gone := 0
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(leave)), syncBatch) {
		n, err := s.countGone(ctx, future, ids, blocked)
		if err != nil {
			return err
		}
		gone += n
	}
	if gone == 0 {
		return nil
	}
	return s.view(ctx, func(r store.Reader) error {
		guard := massGuard{r: r, most: s.engine.Limits.deprovision()}
		var err error
		s.report.Held, err = guard.tooMany(gone)
		return err
	})
}

// countGone counts the users whose accounts lose access, or would if the guard did
// not hold them.
func (s *syncing) countGone(ctx context.Context, future *future, ids []string, blocked map[string]bool) (gone int, err error) {
	if err := s.keep(ctx); err != nil {
		return 0, err
	}
	err = s.view(ctx, func(r store.Reader) error {
		gone = 0
		conn, err := s.engine.connections.load(s.connection, r)
		if err != nil {
			return err
		}
		list, err := activeOf(r, ids, blocked)
		if err != nil {
			return err
		}
		groups, err := readGraph(foreseen{Reader: r, future: future}, conn.policy, peopleOf(list)...)
		if err != nil {
			return err
		}
		for _, d := range list {
			decision := account.Decide(account.Input{
				Before: d.before, Next: d.next, Groups: groups, Policy: conn.policy, Now: s.engine.now(), Sure: s.engine.sure(s.engine.now()), Source: s.source,
			})
			if decision.Status() != policy.StatusActive {
				gone++
			}
		}
		return nil
	})
	return gone, err
}

// activeOf returns the active accounts of users, with the blocks that the sync
// would give them.
func activeOf(r store.AccountReader, users []string, blocked map[string]bool) ([]derivation, error) {
	var list []derivation
	for _, id := range users {
		before, err := r.AccountOf(id)
		if errors.Is(err, ErrNotFound) || err == nil && before.Status != policy.StatusActive {
			continue
		}
		if err != nil {
			return nil, err
		}
		next := before.Clone()
		if blocked[id] {
			account.SetBlock(&next.Facts, store.SourceSync, true)
		}
		list = append(list, derivation{before, next})
	}
	return list, nil
}

// future is what a sync will do to the groups of a connection.
type future struct {
	groups  map[string]*groupWrite        // those that are new or differ, by id
	deleted map[string]bool               // groups
	added   map[string][]store.Membership // by member
	removed map[store.Membership]bool     // with group, member and source only
	fresh   map[string]string             // made-up ids of new groups, by their names
}

// foresee compares the groups of the source with those of the connection, and
// returns the users who may lose a group. Both are empty where leaving a group
// takes access from nobody.
func (s *syncing) foresee(ctx context.Context, groups []groupWrite) (*future, map[string]bool, error) {
	f := &future{
		groups: map[string]*groupWrite{}, deleted: map[string]bool{}, fresh: map[string]string{},
		added: map[string][]store.Membership{}, removed: map[store.Membership]bool{},
	}
	leave := map[string]bool{}
	conn, err := s.engine.connection(ctx, s.connection)
	if err != nil {
		return f, leave, err
	}
	if !s.knowsGroups || len(conn.Policy.RequiredGroups) == 0 || conn.Policy.DeprovisionUsers == policy.Off {
		return f, leave, nil
	}
	for i := range groups {
		w := &groups[i]
		if w.id == "" {
			for _, name := range []string{w.entry.name, w.entry.external, w.key} {
				f.fresh[name] = freshGroup(w)
			}
		}
	}
	seen := map[string]bool{}
	for i := range groups {
		if err := s.foreseeGroup(ctx, f, &groups[i], leave, seen); err != nil {
			return f, leave, err
		}
	}
	for _, id := range s.groupsToDelete() {
		f.deleted[id] = true
		if err := s.below(ctx, id, TypeGroup, leave, seen); err != nil {
			return f, leave, err
		}
	}
	return f, leave, nil
}

// freshGroup returns the made-up id of a group that does not exist yet.
func freshGroup(w *groupWrite) string { return "new " + w.key }

// foreseeGroup notes what becomes of one group and its members.
func (s *syncing) foreseeGroup(ctx context.Context, f *future, w *groupWrite, leave, seen map[string]bool) error {
	if err := s.keep(ctx); err != nil {
		return err
	}
	id := cmp.Or(w.id, freshGroup(w))
	if w.content || w.id == "" {
		f.groups[id] = w
	}
	want, unknown := make(map[string]string, len(w.source.Members)), 0 // their types
	for _, name := range w.source.Members {
		if user := s.users.find(name); user != "" {
			want[user] = TypeUser
		} else if group := cmp.Or(s.groups.find(name), f.fresh[name], f.fresh[s.groups.form(name)]); group != "" {
			want[group] = TypeGroup
		} else {
			unknown++
		}
	}
	w.keeps = s.keepsMembers(unknown)
	have, err := s.memberships(ctx, w.id)
	if err != nil {
		return err
	}
	for _, m := range have {
		_, stays := want[m.Member]
		goes := !stays && !w.keeps && slices.Contains(w.ends(), m.Source)
		if goes {
			f.removed[store.Membership{Group: id, Member: m.Member, Source: m.Source}] = true
		}
		if m.Source == store.SourceSync {
			delete(want, m.Member)
		}
		if w.content || goes {
			if err := s.below(ctx, m.Member, m.Kind, leave, seen); err != nil {
				return err
			}
		}
	}
	if w.decided {
		return nil
	}
	for member, kind := range want {
		m := store.Membership{Group: id, Member: member, Source: store.SourceSync, Kind: kind, Display: w.source.Content.Display}
		f.added[member] = append(f.added[member], m)
	}
	return nil
}

// memberships returns those in a group; there are none where it is new.
func (s *syncing) memberships(ctx context.Context, group string) (list []store.Membership, err error) {
	if group == "" {
		return nil, nil
	}
	err = s.view(ctx, func(r store.Reader) error {
		var err error
		list, err = r.Memberships(group, "", 0)
		return err
	})
	return list, err
}

// below adds a user, or everyone who is in a group, transitively.
func (s *syncing) below(ctx context.Context, member, kind string, users, seen map[string]bool) error {
	if kind != TypeGroup {
		users[member] = true
		return nil
	}
	if seen[member] {
		return nil
	}
	seen[member] = true
	list, err := s.memberships(ctx, member)
	if err != nil {
		return err
	}
	for _, m := range list {
		if err := s.below(ctx, m.Member, m.Kind, users, seen); err != nil {
			return err
		}
	}
	return nil
}

// foreseen reads a connection as it will be when a sync has written its groups.
type foreseen struct {
	store.Reader
	*future
}

// MembershipsOf implements [store.MemberReader].
func (f foreseen) MembershipsOf(members ...string) ([]store.Membership, error) {
	list, err := f.Reader.MembershipsOf(members...)
	if err != nil {
		return nil, err
	}
	out := make([]store.Membership, 0, len(list))
	for _, m := range list {
		if f.deleted[m.Group] || f.removed[store.Membership{Group: m.Group, Member: m.Member, Source: m.Source}] {
			continue
		}
		if w := f.groups[m.Group]; w != nil {
			m.Display = w.source.Content.Display
		}
		out = append(out, m)
	}
	known := len(out)
	for _, member := range members {
		out = append(out, f.added[member]...)
	}
	if len(out) > known {
		slices.SortStableFunc(out, func(a, b store.Membership) int { return strings.Compare(a.Member, b.Member) })
	}
	return out, nil
}

// Ancestors implements [store.MemberReader].
func (f foreseen) Ancestors(members ...string) ([]store.Membership, error) {
	return store.Ancestors(f.MembershipsOf, members...)
}

// Resource implements [store.ResourceReader].
func (f foreseen) Resource(typ, id string, with store.Parts) (*store.Resource, error) {
	if w := f.groups[id]; w != nil {
		return &store.Resource{ID: id, Type: TypeGroup, Display: w.source.Content.Display, Document: w.source.Content.Document}, nil
	}
	return f.Reader.Resource(typ, id, with)
}
