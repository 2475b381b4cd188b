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
// nothing happens cost no writes.
type lease struct {
	*Consumer
	connection string
	span       time.Duration

	fence   int64        // 0 when not held
	unclean bool         // the holder before ended without giving it back: perhaps the process died
	expires atomic.Int64 // Unix milliseconds, by the clock of the consumer
}

// left returns for how long nobody else can have the lease.
func (l *lease) left() time.Duration {
	return time.Duration(l.expires.Load()-l.Now().UnixMilli()) * time.Millisecond
}

func (l *lease) alive() bool { return l.left() > 0 }

// acquire takes the lease unless somebody else holds it, and reads in the same
// transaction: what was read before may have been delivered by another since.
func (l *lease) acquire(ctx context.Context, read func(store.Reader, records.DeliveryCursor) error) (ok bool, err error) {
	var taken records.Entry[records.DeliveryCursor]
	err = l.Store.Update(ctx, l.connection, func(_ context.Context, tx store.Tx) error {
		taken = records.Entry[records.DeliveryCursor]{}
		c, err := records.Cursor.Load(tx, l.Name)
		if err != nil {
			return err
		}
		now := l.Now()
		if records.Ahead(c.Expires, now, l.span) {
			return nil
		}
		l.unclean = !c.Expires.IsZero()
		c.Value.Fence++
		c.Expires = now.Add(l.span)
		if err := read(tx, c.Value); err != nil {
			return err
		}
		if err := records.Cursor.Save(tx, &c); err != nil {
			return err
		}
		taken = c
		return nil
	})
	if err != nil || !taken.Stored() {
		return false, err
	}
	l.fence = taken.Value.Fence
	l.expires.Store(taken.Expires.UnixMilli())
	return true, nil
}

// update changes what is stored of the delivery and renews the lease, or
// returns errLeaseLost. With a zero expiry fn gives the lease back.
func (l *lease) update(ctx context.Context, fn func(store.Tx, *records.Entry[records.DeliveryCursor]) error) error {
	var expires time.Time
	err := l.Store.Update(ctx, l.connection, func(_ context.Context, tx store.Tx) error {
		c, err := records.Cursor.Load(tx, l.Name)
		if err != nil {
			return err
		}
		if c.Value.Fence != l.fence {
			return errLeaseLost
		}
		c.Expires = l.Now().Add(l.span)
		if err := fn(tx, &c); err != nil {
			return err
		}
		expires = c.Expires
		return records.Cursor.Save(tx, &c)
	})
	if err != nil {
		return err
	}
	if expires.IsZero() {
		l.fence = 0
		return nil
	}
	l.expires.Store(expires.UnixMilli())
	return nil
}

// release gives the lease back. Where that fails it ends by itself.
func (l *lease) release() {
	if l.fence == 0 {
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
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil) // also when work ends its goroutine, as a failed test does
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
		c.News.Send(connection)
		c.Moved.Send(connection)
	}
	return err
}
