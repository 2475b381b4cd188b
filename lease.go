package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scimjit/provision/store"
)

const recordCursor = "cursor"

// errLeaseLost says that another process delivers the events now.
var errLeaseLost = errors.New("provision: the lease of this delivery is lost")

// cursorRecord is where a consumer stands in the events of a connection, and
// the lease on moving it: one record, so that to move the cursor and to renew
// the lease is one write. The record expires when the lease does.
type cursorRecord struct {
	Sequence int64 `json:"sequence"` // of the last event that was seen or parked
	Fence    int64 `json:"fence"`    // of the last lease

	expires time.Time
	version int64
}

func readCursor(r store.RecordReader, consumer string) (*cursorRecord, error) {
	var c cursorRecord
	rec, err := r.Record(recordCursor, consumer)
	if errors.Is(err, store.ErrNotFound) {
		return &c, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(rec.Value, &c); err != nil {
		return nil, fmt.Errorf("provision: stored cursor: %w", err)
	}
	c.expires, c.version = rec.Expires, rec.Version
	return &c, nil
}

func (c *cursorRecord) write(w store.RecordWriter, consumer string) error {
	return w.PutRecord(&store.Record{
		Kind: recordCursor, Key: consumer, Value: mustJSON(c), Version: c.version, Expires: c.expires,
	})
}

// lease is the right of one process to deliver the events of a connection to a
// consumer. It is taken when there is something to deliver, renewed while that
// goes on, and given back when nothing is left, so that connections where
// nothing happens cost no writes.
type lease struct {
	engine     *Engine
	consumer   string
	connection string

	fence   int64        // 0 when not held
	expires atomic.Int64 // Unix milliseconds, by the clock of the engine
}

// alive reports whether nobody else can have the lease yet.
func (l *lease) alive() bool { return l.engine.now().UnixMilli() < l.expires.Load() }

// acquire takes the lease unless somebody else holds it.
func (l *lease) acquire(ctx context.Context) (ok bool, err error) {
	var taken *cursorRecord
	err = l.engine.Store.Update(ctx, l.connection, func(_ context.Context, tx store.Tx) error {
		taken = nil
		c, err := readCursor(tx, l.consumer)
		if err != nil {
			return err
		}
		now := l.engine.now()
		if now.Before(c.expires) {
			return nil
		}
		c.Fence++
		c.expires = now.Add(l.engine.Delivery.lease())
		if err := c.write(tx, l.consumer); err != nil {
			return err
		}
		taken = c
		return nil
	})
	if err != nil || taken == nil {
		return false, err
	}
	l.fence = taken.Fence
	l.expires.Store(taken.expires.UnixMilli())
	return true, nil
}

// update changes what is stored of the delivery and renews the lease, or
// returns errLeaseLost.
func (l *lease) update(ctx context.Context, fn func(store.Tx, *cursorRecord) error) error {
	var expires time.Time
	err := l.engine.Store.Update(ctx, l.connection, func(_ context.Context, tx store.Tx) error {
		c, err := readCursor(tx, l.consumer)
		if err != nil {
			return err
		}
		if c.Fence != l.fence {
			return errLeaseLost
		}
		c.expires = l.engine.now().Add(l.engine.Delivery.lease())
		if err := fn(tx, c); err != nil {
			return err
		}
		expires = c.expires
		return c.write(tx, l.consumer)
	})
	if err == nil {
		l.expires.Store(expires.UnixMilli())
	}
	return err
}

// seize changes what is stored of a delivery from outside. Whoever holds the
// lease loses it, as what it knows of the delivery is no longer true.
func (e *Engine) seize(ctx context.Context, consumer, connection string, fn func(store.Tx, *cursorRecord) error) error {
	err := e.Store.Update(ctx, connection, func(_ context.Context, tx store.Tx) error {
		c, err := readCursor(tx, consumer)
		if err != nil {
			return err
		}
		c.Fence++
		c.expires = e.now()
		if err := fn(tx, c); err != nil {
			return err
		}
		return c.write(tx, consumer)
	})
	if err == nil {
		e.news.send()
	}
	return err
}

// release gives the lease back. Where that fails it ends by itself.
func (l *lease) release() {
	if l.fence == 0 {
		return
	}
	err := l.update(context.Background(), func(_ store.Tx, c *cursorRecord) error {
		c.expires = l.engine.now()
		return nil
	})
	l.fence = 0
	if err != nil && !errors.Is(err, errLeaseLost) {
		l.engine.logger().Warn("giving back the lease of a delivery", "consumer", l.consumer, "connection", l.connection, "error", err)
	}
}

// hold renews the lease until work returns. The context of work ends with the
// lease.
func (l *lease) hold(ctx context.Context, work func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for l.engine.pause(ctx, nil, l.engine.Delivery.lease()/3) == nil {
			err := l.update(ctx, func(store.Tx, *cursorRecord) error { return nil })
			if errors.Is(err, errLeaseLost) || !l.alive() {
				cancel(errLeaseLost)
				return
			}
		}
	})
	err := work(ctx)
	cancel(nil)
	wg.Wait()
	return err
}
