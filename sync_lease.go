package provision

import (
	"context"
	"errors"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// ErrSyncRunning says that another sync of the connection is running, or has
// taken the place of one that was silent for too long.
var ErrSyncRunning = errors.New("provision: another sync of this connection is running")

// syncLease is how long a sync may be silent, for its source or because its
// process ended, until another may begin.
const syncLease = 2 * time.Minute

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
		if lease.Stored() && records.Ahead(lease.Expires, now, syncLease) {
			return ErrSyncRunning
		}
		lease.Value, lease.Expires = id, now.Add(syncLease)
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
	if !lease.Stored() || lease.Value != s.lease {
		return ErrSyncRunning
	}
	if records.Within(s.renewed, s.engine.reading(), syncLease/4) {
		return nil
	}
	now, err := tx.Now()
	if err != nil {
		return err
	}
	lease.Expires = now.Add(syncLease)
	if err := records.SyncLease.Save(tx, &lease); err != nil {
		return err
	}
	s.renewed = s.engine.reading()
	return nil
}

// keep prolongs the lease of a sync that reads for long without writing.
func (s *syncing) keep(ctx context.Context) error {
	if s.lease == "" || records.Within(s.renewed, s.engine.reading(), syncLease/4) {
		return nil
	}
	err := s.engine.store().Update(ctx, s.connection, func(_ context.Context, tx store.Tx) error { return s.renew(tx) })
	if err == nil {
		s.renewed = s.engine.reading()
	}
	return err
}

// end gives the lease back. Where that fails it ends by itself.
func (s *syncing) end(ctx context.Context) {
	err := s.engine.store().Update(context.WithoutCancel(ctx), s.connection, func(_ context.Context, tx store.Tx) error {
		if err := s.renew(tx); err != nil {
			return err
		}
		return records.SyncLease.Delete(tx, "", 0)
	})
	if err != nil && !errors.Is(err, ErrSyncRunning) {
		s.engine.logger().Warn("giving back the lease of a sync", "connection", s.connection, "error", err)
	}
}
