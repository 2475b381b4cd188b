package follow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

const (
	// resyncBatch is how many accounts are read at once.
	resyncBatch = 100

	// resyncPause is after how long a Resync that has failed is tried again, while
	// events are delivered.
	resyncPause = time.Minute

	// markPause is after how long it is tried again to remember that a connection
	// is behind.
	markPause = time.Second

	// shownFailures is how many accounts the error of a Resync names.
	shownFailures = 10
)

// Deliver takes the events of every connection until ctx ends, and returns
// ctx.Err(). It is [provision.Consumer.Deliver] with [Follower.Take], and where the
// application has fallen behind [provision.Engine.Retention] it goes on after a
// [Follower.Resync], with a warning in the log of the Engine. So it does where the store
// was restored from a backup; accounts that were made after the backup are then gone, and
// stay in the table "accounts" with version 0.
func (f *Follower[Tx]) Deliver(ctx context.Context, o provision.DeliveryOptions) error {
	for {
		err := f.resume(ctx)
		turn, stop := ctx, context.CancelFunc(func() {})
		if err != nil {
			f.logger().Error("reading the accounts again", "consumer", f.name, "error", err)
			turn, stop = context.WithTimeout(ctx, resyncPause)
		}
		err = f.Consumer().Deliver(turn, f.Take, o)
		stop()
		var expired *provision.CursorExpiredError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &expired):
			f.logger().Warn("the consumer fell behind: reading the accounts again", "consumer", f.name, "connection", expired.Connection, "restored", expired.Restored)
			if err := f.skip(ctx, expired.Connection, expired.Restored); err != nil {
				f.logger().Error("skipping events that are gone", "consumer", f.name, "connection", expired.Connection, "error", err)
				pause(ctx, markPause)
			}
		case !errors.Is(err, context.DeadlineExceeded):
			return err
		}
	}
}

// Resync reads the accounts of a connection again and calls Func for each, with
// an event of type account.updated, or account.deleted for a tombstone, that has
// Sequence 0, no Changes, and the actor "system". Where the connection was deleted, one of type
// connection.deleted follows. The events that wait are passed over, those of parked
// accounts included. What changes in the meantime comes as an event.
//
// It is for an application that begins with the accounts as they are, or whose
// tables were damaged. An account whose Func fails does not keep the others from
// being read; the error names the first ones. Deliver then tries the whole again, every
// minute and after a restart.
//
// Two processes may do it at the same time, and beside Deliver: an account never
// takes the place of a newer one.
func (f *Follower[Tx]) Resync(ctx context.Context, connection string) error {
	if err := f.skip(ctx, connection, false); err != nil {
		return err
	}
	return f.resume(ctx)
}

// skip passes over the events of a connection, after it has noted that the
// accounts are to be read: a crash in between loses nothing. After a restore it forgets
// what it has seen of them, which may be newer than what there is.
func (f *Follower[Tx]) skip(ctx context.Context, connection string, restored bool) error {
	if err := f.Consumer().Register(ctx); err != nil {
		return err
	}
	err := f.db.InTx(ctx, func(tx Tx) error {
		t := tables[Tx]{f, tx, connection}
		_, err := t.exec(ctx, markBehind)
		if err == nil && restored {
			_, err = t.exec(ctx, forgetAccounts)
		}
		return err
	})
	if err != nil {
		return err
	}
	return f.Consumer().Skip(ctx, connection)
}

// resume reads the accounts of all connections that are behind.
func (f *Follower[Tx]) resume(ctx context.Context) error {
	var failed []error
	for last := ""; ; {
		connection, mark := "", int64(0)
		found := false
		err := f.db.InTx(ctx, func(tx Tx) (err error) {
			found, err = tables[Tx]{f, tx, last}.row(ctx, []any{&connection, &mark}, nextBehind)
			return err
		})
		if err != nil || !found {
			return errors.Join(append(failed, err)...)
		}
		if err := f.reread(ctx, connection, mark); err != nil {
			failed = append(failed, err)
		}
		last = connection
	}
}

// reread gives Func every account of a connection. When that is done the
// connection is no longer behind, unless somebody has marked it once more.
func (f *Follower[Tx]) reread(ctx context.Context, connection string, mark int64) error {
	var failed []error
	for after, more := "", true; more; {
		page, err := f.engine.Directory(connection).Accounts(ctx, store.AccountQuery{After: after, Limit: resyncBatch})
		if err != nil && !errors.Is(err, provision.ErrNotFound) {
			return err
		}
		for _, a := range page {
			if err := f.takeAgain(ctx, a); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if len(failed) < shownFailures {
					failed = append(failed, fmt.Errorf("follow: account %q of connection %q: %w", a.ID, connection, err))
				}
			}
			after = a.ID
		}
		more = len(page) == resyncBatch
	}
	if err := f.endAgain(ctx, connection); err != nil {
		failed = append(failed, err)
	}
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	return f.db.InTx(ctx, func(tx Tx) error {
		_, err := tables[Tx]{f, tx, connection}.exec(ctx, clearBehind, mark)
		return err
	})
}

// takeAgain gives Func an account as it is, unless a newer one is written already.
func (f *Follower[Tx]) takeAgain(ctx context.Context, a *provision.Account) error {
	typ := store.AccountUpdated
	if a.Status == policy.StatusDeleted {
		typ = store.AccountDeleted
	}
	d := provision.Delivery{Event: again(typ, a.Connection), Account: a, Attempt: 1}
	d.Event.Time, d.Event.AccountID, d.Event.Account = a.Modified, a.ID, a.EventAccount()
	hostID := ""
	err := f.db.InTx(ctx, func(tx Tx) error {
		t := tables[Tx]{f, tx, a.Connection}
		if _, err := t.exec(ctx, lockConnection); err != nil {
			return err
		}
		before, err := t.account(ctx, a.ID)
		if err != nil || a.Version < before.version {
			return err
		}
		hostID, err = f.run(ctx, t, a.ID, before, d)
		return err
	})
	if err != nil || hostID == "" || hostID == a.HostID {
		return err
	}
	return f.link(ctx, a.Connection, a.ID, hostID)
}

// endAgain tells Func that a connection is gone, where it is.
func (f *Follower[Tx]) endAgain(ctx context.Context, connection string) error {
	_, err := f.engine.Directory(connection).Connection(ctx)
	if !errors.Is(err, provision.ErrNotFound) {
		return err
	}
	return f.db.InTx(ctx, func(tx Tx) error {
		_, err := f.fn(ctx, tx, provision.Delivery{Event: again(store.ConnectionDeleted, connection), Attempt: 1})
		return err
	})
}

func again(typ store.EventType, connection string) *provision.Event {
	return &provision.Event{Type: typ, Connection: connection, Time: time.Now().UTC(), Actor: provision.Actor{Kind: "system"}}
}

func (f *Follower[Tx]) logger() *slog.Logger {
	if f.engine.Logger != nil {
		return f.engine.Logger
	}
	return slog.Default()
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
