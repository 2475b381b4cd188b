package provision

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// ErrSyncRunning says that another sync of the connection is running, or has
// taken the place of one that was silent for too long.
var ErrSyncRunning = errors.New("provision: another sync of this connection is running")

// syncLease is how long after the end of a process another sync may begin in the place of
// its own.
const syncLease = 2 * time.Minute

// While its source is read, a sync prolongs the lease each syncAlive, whatever the source
// does, but for one that has said nothing for syncSilent.
const (
	syncAlive  = 30 * time.Second
	syncSilent = 30 * time.Minute
)

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
		plan, err := records.SyncPlan.Value(tx, "")
		if err != nil {
			return err
		}
		if s.due != nil && !s.due(plan, now) {
			return errNotDue
		}
		s.began, s.secrets = now, plan.Secrets
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
	lease, err := s.ownLease(tx)
	if err != nil {
		return err
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

// ownLease returns the lease, or [ErrSyncRunning] where it is another one's by now.
func (s *syncing) ownLease(tx store.Tx) (records.Entry[records.SyncRunning], error) {
	lease, err := records.SyncLease.Load(tx, "")
	if err == nil && (!lease.Stored() || lease.Value.ID != s.lease) {
		err = ErrSyncRunning
	}
	return lease, err
}

// whileReading keeps the lease until stop is called, so that no source has to say that it
// goes on. The context that it returns ends with [ErrSyncRunning] as its cause when the
// lease is another one's.
func (s *syncing) whileReading(ctx context.Context) (reading context.Context, stop func()) {
	if s.lease == "" {
		return ctx, func() {}
	}
	reading, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(syncAlive)
		defer ticker.Stop()
		heard, silent := int64(0), time.Duration(0)
		for {
			select {
			case <-reading.Done():
				return
			case <-ticker.C:
			}
			silent += syncAlive
			if n := s.heard.Load(); n != heard {
				heard, silent = n, 0
			}
			if silent > syncSilent {
				continue
			}
			// Another error is that of the store, which may be back for the next time.
			if err := s.prolong(reading); errors.Is(err, ErrSyncRunning) {
				cancel(err)
				return
			}
		}
	})
	return reading, func() {
		cancel(nil)
		wg.Wait()
	}
}

// prolong prolongs the lease. It is safe beside the other methods.
func (s *syncing) prolong(ctx context.Context) error {
	return s.engine.store().Update(ctx, s.connection, func(_ context.Context, tx store.Tx) error {
		lease, err := s.ownLease(tx)
		if err != nil {
			return err
		}
		now, err := tx.Now()
		if err != nil {
			return err
		}
		lease.Expires = now.Add(syncLease)
		return records.SyncLease.Save(tx, &lease)
	})
}

// keep prolongs the lease of a sync that reads for long without writing, and tells how far
// it is.
func (s *syncing) keep(ctx context.Context) error {
	s.heard.Add(1)
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
	var ended *SyncRun
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
			ended = &run
		}
		return records.SyncLease.Delete(c.tx, "", 0)
	})
	if err != nil && !errors.Is(err, ErrSyncRunning) && !errors.Is(err, ErrNotFound) {
		s.engine.logger().Warn("giving back the lease of a sync", "connection", s.connection, "error", err)
	}
	if err == nil && ended != nil {
		s.note(ended)
	}
}

// note tells the request log of a sync.
func (s *syncing) note(run *SyncRun) {
	r := Request{Time: run.Began, Protocol: "sync", Method: "sync", Path: "/everything", Code: run.Code, Microseconds: run.Ended.Sub(run.Began).Microseconds()}
	if run.Report.Changes {
		r.Path = "/changes"
	}
	s.engine.Plumbing().NoteRequest(s.connection, r)
}
