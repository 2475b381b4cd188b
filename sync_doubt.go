package provision

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// A source that was read to its end may still not say what it seems to: lost rights and
// other settings look like people and members who left. What speaks for that ends the
// sync, or has it take nobody out.

// ErrSyncGroups says that the directory of a connection has no groups any more although
// syncs have brought some: lost rights look the same. Nothing was taken away. With
// [SyncOptions.Force] the groups go.
var ErrSyncGroups = errors.New("provision: the directory shows no groups any more, though syncs have brought some; they stay")

// ErrSyncMembers says that groups of the directory of a connection have no members any more
// although syncs have brought some, either all groups, or at least three and more than
// have some: lost rights look the same. Nothing was taken away. With [SyncOptions.Force]
// the members go.
var ErrSyncMembers = errors.New("provision: the directory shows no members of most groups any more, though syncs have brought some; they stay")

// ErrSyncUnidentified says that a source has users or groups, and that nobody knows who
// any of them is: neither its id nor its name can be read. Nothing was taken away.
var ErrSyncUnidentified = errors.New("provision: the source tells neither the id nor the name of anybody, or of any group; nothing was taken away")

// ErrSyncIDs says that most of the people whom syncs brought are in the source by their
// names with other ids, and nobody by the id of before, as when the attribute of the id is
// another one. Nobody was taken out. With [SyncOptions.Force] all of them become other
// people.
var ErrSyncIDs = errors.New("provision: most people of the source have other ids than before, and nobody has the same: is the id another attribute? Nobody was taken out")

// fewIDs is how many people with other ids are no sign that the id is another attribute.
const fewIDs = 3

// fewGroups is how many groups at least must be without members where others have some.
const fewGroups = 3

// unidentified counts a user or group of which nothing is written and that nobody is
// found by: it may be anybody whom the source seems to have no longer.
func (s *syncing) unidentified(old, e *syncEntry) bool {
	unknown := old == nil && e.external == ""
	if unknown {
		s.report.Unidentified++
	}
	return unknown
}

// unsure reports whether anybody may be present whom the source seems not to have.
func (s *syncing) unsure() bool { return s.report.Unidentified > 0 && !s.options.Force }

// infers reports whether what the source has not is absent.
func (s *syncing) infers() bool { return !s.options.Changes && !s.unsure() }

// brought reports whether the source had a user when it was read last.
func (e *syncEntry) brought() bool {
	return e.mark == records.SyncHas || e.mark == records.SyncInactive
}

// idsSeen counts what the users of the source say of the ids of those whom syncs brought.
type idsSeen struct{ brought, same, other int }

// count notes what an entry of the source says of the user that it means or whose name it
// has.
func (n *idsSeen) count(old, e *syncEntry) {
	switch {
	case old == nil || !old.brought() || old.external == "" || e.external == "":
	case old.external == e.external:
		n.same++
	default:
		n.other++
	}
}

// changed reports whether the id seems to be another attribute.
func (n *idsSeen) changed() bool { return n.same == 0 && n.other >= fewIDs && 2*n.other > n.brought }

// doubtUsers looks whether the users that were read can be what the source has.
func (s *syncing) doubtUsers() error {
	switch {
	case s.options.Changes:
	case s.report.Users.Seen == 0:
		return ErrEmptySync
	case s.report.Unidentified == s.report.Users.Seen:
		return ErrSyncUnidentified
	case s.ids.changed() && !s.options.Force:
		return ErrSyncIDs
	}
	return nil
}

// doubtGroups looks whether the groups that were read can be what the source has.
func (s *syncing) doubtGroups(list []SyncGroup) error {
	if len(list) > 0 || !s.doubtful() {
		return nil
	}
	for _, e := range s.groups.entries {
		if e.mark != "" && !e.decided {
			return ErrSyncGroups
		}
	}
	return nil
}

// doubtful reports whether it is doubted that groups and members of a source are gone.
func (s *syncing) doubtful() bool {
	return s.knowsGroups && s.directory != "" && !s.options.Changes && !s.options.Force
}

// doubtMembers looks whether the members of groups can be what the source has. Where the
// right to read them is lost, some groups may still have members that are read in another
// way, such as by primary groups.
func (s *syncing) doubtMembers(ctx context.Context, planned []groupWrite) error {
	if !s.doubtful() {
		return nil
	}
	filled, empty := 0, map[string]bool{} // by id, whether the source has the group no longer
	for i := range planned {
		switch w := &planned[i]; {
		case len(w.source.Members) > 0:
			filled++
		case w.id != "":
			empty[w.id] = w.foreign
		}
	}
	want := 1
	if filled > 0 {
		want = max(filled, fewGroups-1) + 1
		maps.DeleteFunc(empty, func(_ string, foreign bool) bool { return foreign })
	}
	if len(empty) < want {
		return nil
	}
	emptied := 0
	for id := range empty {
		had, err := s.hadMembers(ctx, id)
		if err != nil {
			return err
		}
		if had {
			emptied++
		}
		if emptied >= want {
			return ErrSyncMembers
		}
	}
	return nil
}

// hadMembers reports whether syncs have brought members of a group.
func (s *syncing) hadMembers(ctx context.Context, group string) (bool, error) {
	if err := s.keep(ctx); err != nil {
		return false, err
	}
	list, err := s.memberships(ctx, group)
	return slices.ContainsFunc(list, func(m store.Membership) bool { return m.Source == store.SourceSync }), err
}
