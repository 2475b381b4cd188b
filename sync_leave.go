package provision

import (
	"context"
	"errors"
	"slices"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// syncLeave blocks a user who is absent, and whom the source knew by an externalId.
func (c syncChange) syncLeave(id, known string) error {
	c.resource = &store.ResourceRef{Type: TypeUser, ID: id}
	if err := records.Synced.Put(c.tx, id, records.SyncMark{State: records.SyncAbsent, ID: known}); err != nil {
		return err
	}
	before, err := c.tx.AccountOf(id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	after := before.Clone()
	account.SetBlock(&after.Facts, store.SourceSync, true)
	return c.derive(derivation{before, after})
}

// findAbsent finds the users that the source has no longer, and counts what no sync
// has ever reported.
func (s *syncing) findAbsent() {
	if s.knowsGroups {
		s.report.Groups.LeftAlone = s.groups.foreign()
	}
	s.report.Users.LeftAlone = s.users.foreign()
	for id, e := range s.users.entries {
		switch {
		case e.seen || e.mark == "":
		case e.mark == records.SyncAbsent:
			s.absentBefore = append(s.absentBefore, id)
		case s.unsure(): // it may be one that has no name
		default:
			s.absent = append(s.absent, id)
		}
	}
	slices.Sort(s.absent) // a map has no order
	slices.Sort(s.absentBefore)
}

// retire takes access from the users that are absent or no longer active.
func (s *syncing) retire(ctx context.Context) error {
	if err := s.dropOrphans(ctx); err != nil {
		return err
	}
	if err := s.takeOut(ctx); err != nil {
		return err
	}
	if err := s.leave(ctx, s.absent); err != nil {
		return err
	}
	s.report.Users.Absent = len(s.absent)
	s.progress()
	if s.options.Force { // those that are held go now
		return s.leave(ctx, s.absentBefore)
	}
	return nil
}

// takeOut writes the users that became inactive.
func (s *syncing) takeOut(ctx context.Context) error {
	list := s.leaving
	s.leaving = nil
	for part := range slices.Chunk(list, syncBatch) {
		if err := s.writeUsers(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// leave blocks users that are absent.
func (s *syncing) leave(ctx context.Context, absent []string) error {
	for ids := range slices.Chunk(absent, syncBatch) {
		err := s.update(ctx, func(c syncChange) error {
			for _, id := range ids {
				if err := c.syncLeave(id, s.users.entries[id].known); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, id := range absent {
		s.users.entries[id].mark = records.SyncAbsent
	}
	return nil
}

// letGo takes access, with Force, from the users of the source whom an earlier
// sync put out of their last required group and the guard holds: nothing of
// theirs is written by this sync.
func (s *syncing) letGo(ctx context.Context) error {
	if !s.options.Force || s.options.DryRun {
		return nil
	}
	q := store.AccountQuery{Statuses: []string{string(policy.StatusActive)}, Limit: syncPage}
	for more := true; more; {
		list, err := s.Accounts(ctx, q)
		if err != nil {
			return err
		}
		var held []string
		for _, a := range list {
			if e := s.users.entries[a.ResourceID]; a.Held && e != nil && e.mark != "" {
				held = append(held, a.ID)
			}
			q.After = a.ID
		}
		for ids := range slices.Chunk(held, syncBatch) {
			if err := s.update(ctx, func(c syncChange) error { return c.deriveIDs(ids) }); err != nil {
				return err
			}
		}
		more = len(list) == q.Limit
	}
	return nil
}

// deriveIDs derives stored accounts under the connection as it is now.
func (c syncChange) deriveIDs(ids []string) error {
	accounts := make([]*Account, len(ids))
	for i, id := range ids {
		a, err := c.tx.Account(id)
		if err != nil {
			return err
		}
		accounts[i] = a
	}
	return c.deriveAgain(accounts...)
}

// dropOrphans removes the marks of resources that were deleted since.
func (s *syncing) dropOrphans(ctx context.Context) error {
	for ids := range slices.Chunk(s.orphans, syncBatch) {
		err := s.update(ctx, func(c syncChange) error {
			for _, id := range ids {
				if err := records.Synced.Clear(c.tx, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
