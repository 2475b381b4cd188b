package provision

import (
	"context"
	"errors"
	"slices"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// syncLeave blocks a user who is absent.
func (c *change) syncLeave(id string) error {
	c.cause = &store.ResourceRef{Type: TypeUser, ID: id}
	if err := c.putMark(recordSync, id, syncAbsent); err != nil {
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
	setBlock(&after.Facts.Blocks, store.SourceSync, true)
	return c.settle(before, after, false)
}

// syncGoes reports whether a block of the sync takes access from the account of
// a user, or would if the guard did not hold it.
func (c *change) syncGoes(id string) (bool, error) {
	before, err := c.tx.AccountOf(id)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil || before.Status != policy.Active {
		return false, err
	}
	after := before.Clone()
	setBlock(&after.Facts.Blocks, store.SourceSync, true)
	facts, _, err := collect(c.tx, c.conn.policy, before, after, false)
	if err != nil {
		return false, err
	}
	return c.conn.policy.Decide(facts).Status != policy.Active, nil
}

// retire takes access from the users that are absent or no longer active.
func (s *syncing) retire(ctx context.Context) error {
	var absent, before []string
	for id, e := range s.users.entries {
		switch {
		case e.seen || e.mark == "":
		case e.mark == syncAbsent:
			before = append(before, id)
		default:
			absent = append(absent, id)
		}
	}
	slices.Sort(absent) // a map has no order
	slices.Sort(before)
	if err := s.dropOrphans(ctx); err != nil {
		return err
	}
	hold, err := s.tooMany(ctx, absent, before)
	if err != nil {
		return err
	}
	s.report.Held = hold
	guard := func(c *change) { c.holding, c.releasing = hold, s.options.Force }
	for list := range slices.Chunk(s.leaving, syncBatch) {
		if err := s.writeUsers(ctx, list, guard); err != nil {
			return err
		}
	}
	if err := s.leave(ctx, absent, guard); err != nil {
		return err
	}
	s.report.Users.Absent = len(absent)
	s.progress()
	if s.options.Force { // those that are held go now
		return s.leave(ctx, before, guard)
	}
	return nil
}

// leave blocks users that are absent.
func (s *syncing) leave(ctx context.Context, absent []string, guard func(*change)) error {
	for ids := range slices.Chunk(absent, syncBatch) {
		err := s.update(ctx, func(c *change) error {
			guard(c)
			for _, id := range ids {
				if err := c.syncLeave(id); err != nil {
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
		s.users.entries[id].mark = syncAbsent
	}
	return nil
}

// dropOrphans removes the marks of resources that were deleted since.
func (s *syncing) dropOrphans(ctx context.Context) error {
	for ids := range slices.Chunk(s.orphans, syncBatch) {
		err := s.update(ctx, func(c *change) error {
			for _, id := range ids {
				if err := c.clearMark(recordSync, id); err != nil {
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

// tooMany asks the mass guard about all that lose access by this sync. Those that
// an earlier sync took out count while they are held, so that a sync in two parts
// is no way around the guard.
func (s *syncing) tooMany(ctx context.Context, absent, before []string) (bool, error) {
	if s.options.Force || len(absent)+len(s.leaving) == 0 {
		return false, nil
	}
	ids := slices.Concat(absent, before)
	for i := range s.leaving {
		ids = append(ids, s.leaving[i].id)
	}
	gone := 0
	for part := range slices.Chunk(ids, syncBatch) {
		n := 0
		err := s.engine.update(ctx, s.connection, s.actor, func(c *change) error {
			n = 0
			for _, id := range part {
				goes, err := c.syncGoes(id)
				if err != nil {
					return err
				}
				if goes {
					n++
				}
			}
			return nil
		})
		if err != nil {
			return false, err
		}
		gone += n
	}
	if gone == 0 {
		return false, nil
	}
	hold := false
	err := s.engine.update(ctx, s.connection, s.actor, func(c *change) error {
		var err error
		hold, err = c.tooManyGo(gone)
		c.counted = c.counted && !s.options.DryRun
		return err
	})
	return hold, err
}
