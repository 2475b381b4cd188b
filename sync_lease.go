package provision

import (
	"context"
	"errors"
	"time"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// ErrSyncRunning says that another sync of the connection is running, or has
// taken the place of one that was silent for too long.
var ErrSyncRunning = errors.New("provision: another sync of this connection is running")

// syncLease is how long a sync may be silent, for its source or because its
// process ended, until another may begin.
const syncLease = 2 * time.Minute

// syncTold is how often a sync tells how far it is, and prolongs the lease.
const syncTold = 5 * time.Second

// begin takes the lease. Each write of the sync looks whether it is still its
// own, so that of two syncs that both believe to hold it only one writes. It goes by the
// clock of the store: one that jumps may let another sync begin early, which ends the
// first.
func (s *syncing) begin(ctx context.Context) error {
	id, err := s.engine.newID()
	if err != nil {
		return err
	}
	return s.engine.store().Update(ctx, s.connection, func(_ context.Context, tx store.Tx) error {
		lease, err := records.SyncLease.Load(tx, "")
		if err != nil {
			return err
		}
		now, err := tx.Now()
		if err != nil {
			return err
		}
		if held(&lease, now) {
			return ErrSyncRunning
		}
		if s.due != nil {
			plan, err := records.SyncPlan.Value(tx, "")
			if err != nil {
				return err
			}
			if !s.due(plan, now) {
				return errNotDue
			}
		}
		s.began = now
		lease.Value = records.SyncRunning{ID: id, Run: account.JSON(s.told())}
		lease.Expires = now.Add(syncLease)
		if err := records.SyncLease.Save(tx, &lease); err != nil {
			return err
		}
		s.lease, s.renewed = id, s.engine.reading()
		return nil
	})
}

// renew checks the lease in a transaction of the sync, and prolongs it when a
// part of it is over.
func (s *syncing) renew(tx store.Tx) error {
	lease, err := records.SyncLease.Load(tx, "")
	if err != nil {
		return err
	}
	if !lease.Stored() || lease.Value.ID != s.lease {
		return ErrSyncRunning
	}
	if records.Within(s.renewed, s.engine.reading(), syncTold) {
		return nil
	}
	now, err := tx.Now()
	if err != nil {
		return err
	}
	lease.Value.Run = account.JSON(s.told())
	lease.Expires = now.Add(syncLease)
	if err := records.SyncLease.Save(tx, &lease); err != nil {
		return err
	}
	s.renewed = s.engine.reading()
	return nil
}

// keep prolongs the lease of a sync that reads for long without writing.
func (s *syncing) keep(ctx context.Context) error {
	if s.lease == "" || records.Within(s.renewed, s.engine.reading(), syncTold) {
		return nil
	}
	err := s.engine.store().Update(ctx, s.connection, func(_ context.Context, tx store.Tx) error { return s.renew(tx) })
	if err == nil {
		s.renewed = s.engine.reading()
	}
	return err
}

// end gives the lease back, tells of the sync, and says when the next one is: all in one
// transaction, so that a mark is stored only after all that it stands for. Where that
// fails the lease ends by itself.
func (s *syncing) end(ctx context.Context, failed error) {
	if errors.Is(failed, ErrSyncRunning) {
		return // it is another one's
	}
	err := s.Directory.update(context.WithoutCancel(ctx), s.why(), func(c *change) error {
		if err := s.renew(c.tx); err != nil {
			return err
		}
		now, err := c.tx.Now()
		if err != nil {
			return err
		}
		if s.directory != "" {
			if err := s.replan(c, now, failed); err != nil {
				return err
			}
		}
		if !s.lostMark(failed) {
			run := s.told()
			run.Ended = now
			run.fail(failed)
			if err := c.tellSync(&run); err != nil {
				return err
			}
		}
		return records.SyncLease.Delete(c.tx, "", 0)
	})
	if err != nil && !errors.Is(err, ErrSyncRunning) && !errors.Is(err, ErrNotFound) {
		s.engine.logger().Warn("giving back the lease of a sync", "connection", s.connection, "error", err)
	}
}
