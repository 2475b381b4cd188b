package outbox

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// errLeaseLost says that another process delivers the events now.
var errLeaseLost = errors.New("provision: the lease of this delivery is lost")

// lease is the right of one process to deliver the events of a connection to a
// consumer. It is taken when there is something to deliver, renewed while that
// goes on, and given back when nothing is left, so that connections where
// nothing happens cost no writes. A consumer without others takes it once, for its
// number, and keeps it. Its holder measures it by the monotonic clock. Others read
// when it ends by the clock of the store, which all of them have in common: one that
// jumps may give it to them early, which the fence then tells the holder.
type lease struct {
	*Consumer
	connection string
	span       time.Duration

	fence   int64        // 0 when not held
	unclean bool         // the process before may have died while it delivered
	taken   time.Time    // a reading of the monotonic clock
	ends    atomic.Int64 // a time.Duration after that

	clock reading // zero before the store was asked

	kept // of a consumer without others
}

// reading is what the clock of the store said, from where the monotonic clock goes on.
type reading struct {
	told time.Time
	at   time.Time // a reading of the monotonic clock, before it was told
}

func readClock(c store.Clock) (r reading, err error) {
	r.at = time.Now()
	r.told, err = c.Now()
	return r, err
}

// now is the time of the store, or later by as long as it took to ask.
func (r reading) now() time.Time { return r.told.Add(time.Since(r.at)) }

// kept is what a consumer without others need not read again.
type kept struct {
	cursor records.Entry[records.DeliveryCursor] // not stored before the lease was taken
	quiet  bool                                  // no line was there at the last look, and none was made since
	ended  bool                                  // the last turn came to the end of what was there

	// had says that this process had the lease in the last turn, or in one before it, and
	// that none has failed since: no other has died while it delivered.
	had bool
}

// forgotten returns what is kept where the cursor or lines were changed from outside.
func (k kept) forgotten() kept { return kept{had: k.had} }

// left returns for how long nobody else can have the lease.
func (l *lease) left() time.Duration {
	return time.Duration(l.ends.Load()) - time.Since(l.taken)
}

func (l *lease) alive() bool { return l.Alone || l.left() > 0 }

// freeIn returns in how long the lease is free if its holder is gone, and 0 where it
// is free now. The store is asked for the time only where somebody holds it.
func (l *lease) freeIn(r store.Clock, c *records.Entry[records.DeliveryCursor]) (time.Duration, error) {
	if c.Expires.IsZero() {
		return 0, nil
	}
	now, err := r.Now()
	if err == nil && records.Ahead(c.Expires, now, l.span) {
		return c.Expires.Sub(now) + time.Millisecond, nil
	}
	return 0, err
}

// acquire takes the lease and reads in the same transaction: what was read before may
// have been delivered by another since. Where somebody else holds the lease, it
// returns in how long that ends.
func (l *lease) acquire(ctx context.Context, read func(store.Reader, records.DeliveryCursor) error) (next time.Duration, err error) {
	var taken records.Entry[records.DeliveryCursor]
	var clock reading
	err = l.Store.Update(ctx, l.connection, func(_ context.Context, tx store.Tx) error {
		taken = records.Entry[records.DeliveryCursor]{}
		c, err := records.Cursor.Load(tx, l.Name)
		if err != nil {
			return err
		}
		if next, err = l.freeIn(tx, &c); err != nil || next > 0 {
			return err
		}
		l.unclean = l.Alone && !l.had || !c.Expires.IsZero()
		c.Value.Fence++
		if clock, err = readClock(tx); err != nil {
			return err
		}
		if c.Expires = clock.told.Add(l.span); l.Alone {
			c.Expires = time.Time{} // it needs no end
		}
		if err := read(tx, c.Value); err != nil {
			return err
		}
		if err := records.Cursor.Save(tx, &c); err != nil {
			return err
		}
		taken = c
		return nil
	})
	if err != nil || next > 0 {
		return next, err
	}
	l.fence, l.cursor, l.clock, l.taken, l.had = taken.Value.Fence, taken, clock, clock.at, true
	l.ends.Store(int64(l.span))
	return 0, nil
}

// update changes what is stored of the delivery and renews the lease, or
// returns errLeaseLost. With a zero expiry fn gives the lease back.
func (l *lease) update(ctx context.Context, fn func(store.Tx, *records.Entry[records.DeliveryCursor]) error) error {
	var saved records.Entry[records.DeliveryCursor]
	var ends time.Duration
	err := l.Store.Update(ctx, l.connection, func(_ context.Context, tx store.Tx) error {
		c, err := l.held(tx)
		if err != nil {
			return err
		}
		if err := fn(tx, &c); err != nil {
			return err
		}
		if !c.Expires.IsZero() {
			clock, err := readClock(tx)
			if err != nil {
				return err
			}
			c.Expires, ends = clock.told.Add(l.span), clock.at.Sub(l.taken)+l.span
		}
		if err := records.Cursor.Save(tx, &c); err != nil {
			return err
		}
		saved = c
		return nil
	})
	switch {
	case errors.Is(err, store.ErrVersion):
		return errLeaseLost
	case err != nil:
		return err
	case l.Alone:
		l.cursor = saved
	case saved.Expires.IsZero():
		l.fence = 0
	default:
		l.ends.Store(int64(ends))
	}
	return nil
}

// held returns the cursor under the lease. One that was kept is not read: where
// somebody has changed it since, it cannot be saved.
func (l *lease) held(r store.RecordReader) (records.Entry[records.DeliveryCursor], error) {
	if l.Alone {
		return l.cursor, nil
	}
	c, err := records.Cursor.Load(r, l.Name)
	if err == nil && c.Value.Fence != l.fence {
		err = errLeaseLost
	}
	return c, err
}

// release gives the lease back. Where that fails it ends by itself.
func (l *lease) release() {
	if l.fence == 0 || l.Alone {
		return
	}
	err := l.update(context.Background(), giveBack)
	l.fence = 0
	if err != nil && !errors.Is(err, errLeaseLost) {
		l.Logger.Warn("giving back the lease of a delivery", "consumer", l.Name, "connection", l.connection, "error", err)
	}
}

func giveBack(_ store.Tx, c *records.Entry[records.DeliveryCursor]) error {
	c.Expires = time.Time{}
	return nil
}

// hold renews the lease until work returns. The context of work ends with the
// lease.
func (l *lease) hold(ctx context.Context, work func(context.Context) error) error {
	if l.Alone {
		return work(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil) // also when work ends its goroutine, as a failed test does
	wg.Go(func() {    // ends it in time also where the store hangs while the lease is renewed
		for wait(ctx, l.left()) == nil {
			if !l.alive() {
				cancel(errLeaseLost)
			}
		}
	})
	wg.Go(func() {
		for wait(ctx, min(l.span/3, l.left())) == nil {
			err := l.update(ctx, func(store.Tx, *records.Entry[records.DeliveryCursor]) error { return nil })
			if errors.Is(err, errLeaseLost) || !l.alive() {
				cancel(errLeaseLost)
				return
			}
		}
	})
	return work(ctx)
}

// seize changes what is stored of a delivery from outside. Whoever holds the
// lease loses it, as what it knows of the delivery is no longer true.
func (c *Consumer) seize(ctx context.Context, connection string, fn func(store.Tx, *records.DeliveryCursor) error) error {
	if err := c.known(ctx, connection); err != nil {
		return err
	}
	err := c.Store.Update(ctx, connection, func(_ context.Context, tx store.Tx) error {
		cursor, err := records.Cursor.Load(tx, c.Name)
		if err != nil {
			return err
		}
		cursor.Value.Fence++
		cursor.Expires = time.Time{}
		if err := fn(tx, &cursor.Value); err != nil {
			return err
		}
		return records.Cursor.Save(tx, &cursor)
	})
	if err == nil {
		c.Redriven.Send(connection)
		c.Moved.Send(connection)
	}
	return err
}
