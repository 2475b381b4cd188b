// Package outbox brings the events of connections to the consumers of a host: at
// least once, and those of one account in order.
//
// # Where a consumer stands
//
// A cursor for each consumer and connection says which events it has seen. The
// same record holds the lease by which one process at a time delivers them
// (lease.go), so that to move the cursor and to renew the lease is one write.
//
// # Lines
//
// An event that the consumer refuses does not stop the cursor. Its account gets a
// line instead (line.go): the event and the later ones of the account wait there,
// and everybody else's go on. The event is tried again with growing delays, which
// end in parking. A retry is stored before it is made (call.go): what it does to the
// process cannot make it come again for ever. Once the first event of a line is seen, the
// later ones are looked for among all events, for all lines in one walk.
//
// # Who works
//
// Deliver is one loop (deliver.go). It hears at once of what this process stores,
// and asks now and then, with one question, in which connections others have stored
// something. A bounded number of workers
// takes the connections that have something, each for a turn (turn.go). A
// connection where nothing happens has no goroutine, no lease and no write.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// Consumer reads the events of all connections under a name. Set its fields
// before the first call. It is safe for concurrent use.
type Consumer struct {
	Name   string
	Store  store.Store
	Logger *slog.Logger

	// Now tells the time that is shown; leases and retries go by the clock of the Store.
	Now func() time.Time

	// Connections lists the connections.
	Connections func(context.Context) ([]string, error)

	// Pending returns accounts with what is computed when they are read.
	Pending func(store.Reader, []*store.Account) ([]*store.Account, error)

	// Alone says that no other process delivers to the consumer. It spares writes.
	Alone bool

	Redriven *News // of the connections where this process let lines be tried again
	Moved    *News // of the connections where a consumer of this process got on

	// Hung keeps the calls that were left behind from one Deliver to the next; nil
	// forgets them.
	Hung *Hung
}

// Func is what a host does with an event.
type Func func(context.Context, Delivery) error

// Delivery is one event on its way to a consumer.
type Delivery struct {
	Event   *store.Event
	Account *store.Account // as it is now; nil without an account
	Attempt int            // 1 at first
	Fence   int64          // of the lease
}

// Options bounds a delivery. A zero field means its default.
type Options struct {
	Attempts    int           // until an account is parked
	Lease       time.Duration // of a connection
	Concurrency int           // connections at once
	Timeout     time.Duration // of a call of the consumer; negative has no end
}

func (o Options) attempts() int    { return orDefault(o.Attempts, 15) }
func (o Options) concurrency() int { return orDefault(o.Concurrency, 16) }

func (o Options) lease() time.Duration {
	if o.Lease > 0 {
		return o.Lease
	}
	return 10 * time.Second
}

func (o Options) timeout() time.Duration {
	if o.Timeout == 0 {
		return 30 * time.Second
	}
	return o.Timeout
}

func orDefault(n, def int) int {
	if n > 0 {
		return n
	}
	return def
}

// ExpiredError says that events of a connection were removed before the consumer
// has seen them, or that it may have seen some which did not happen.
type ExpiredError struct {
	Consumer, Connection string
	Restored             bool // the store was restored from a backup
}

// Error implements error.
func (e *ExpiredError) Error() string {
	if e.Restored {
		return fmt.Sprintf("provision: the store was restored from a backup: of connection %q consumer %q may have seen what did not happen", e.Connection, e.Consumer)
	}
	return fmt.Sprintf("provision: events of connection %q were removed before consumer %q has seen them", e.Connection, e.Consumer)
}

// Register makes the consumer known, if it is not yet.
func (c *Consumer) Register(ctx context.Context) error {
	if c.Name == "" {
		return errNameless
	}
	e, err := records.Consumer.View(ctx, c.Store, store.Global, c.Name)
	if err != nil || e.Stored() {
		return err
	}
	return c.Store.Update(ctx, store.Global, func(_ context.Context, tx store.Tx) error {
		return records.Consumer.Put(tx, c.Name, records.Listed{})
	})
}

var errNameless = errors.New("provision: a consumer needs a name")

// known returns store.ErrNotFound, with what is unknown, unless there are the
// connection and the consumer. A connection that was deleted is known by its
// events: they may be parked, or be gone before the consumer has seen them.
func (c *Consumer) known(ctx context.Context, connection string) error {
	seen := false
	err := c.Store.View(ctx, connection, func(_ context.Context, r store.Reader) error {
		if err := existed(r); err != nil {
			return fmt.Errorf("provision: connection %q: %w", connection, err)
		}
		e, err := records.Cursor.Load(r, c.Name)
		seen = e.Stored()
		return err
	})
	if err != nil || seen {
		return err
	}
	e, err := records.Consumer.View(ctx, c.Store, store.Global, c.Name)
	if err == nil && !e.Stored() {
		err = fmt.Errorf("provision: consumer %q: %w", c.Name, store.ErrNotFound)
	}
	return err
}

// existed returns store.ErrNotFound for a connection that there has never been.
func existed(r store.Reader) error {
	_, err := records.Connection.Raw(r, "")
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if _, last, fault := r.EventRange(); fault != nil || last > 0 {
		return fault
	}
	return err
}

// Skip moves the cursor past all events of a connection, and drops its lines.
func (c *Consumer) Skip(ctx context.Context, connection string) error {
	kind := records.Line(c.Name)
	return c.seize(ctx, connection, func(tx store.Tx, cursor *records.DeliveryCursor) error {
		lines, err := kind.List(tx, "", 0)
		if err != nil {
			return err
		}
		for _, ln := range lines {
			if err := kind.Clear(tx, ln.Key); err != nil {
				return err
			}
		}
		cursor.Restored = false
		_, cursor.Sequence, err = tx.EventRange()
		return err
	})
}

// restoredFences is how many numbers of leases are passed over after a restore: more
// than there were since any backup.
const restoredFences = 1 << 32

// MarkRestored notes in a connection that the store was restored from a backup.
func MarkRestored(tx store.Tx, consumer string) error {
	cursor, err := records.Cursor.Load(tx, consumer)
	if err != nil {
		return err
	}
	cursor.Value.Restored = true
	cursor.Value.Fence += restoredFences
	cursor.Expires = time.Time{}
	return records.Cursor.Save(tx, &cursor)
}

// restored returns an ExpiredError after a restore, until Skip.
func (c *Consumer) restored(connection string, cursor records.DeliveryCursor) error {
	if cursor.Restored {
		return &ExpiredError{Consumer: c.Name, Connection: connection, Restored: true}
	}
	return nil
}

// accounts returns the accounts of the events that are wanted, by id.
func (c *Consumer) accounts(r store.Reader, events []*store.Event, wanted func(*store.Event) bool) (map[string]*store.Account, error) {
	var list []*store.Account
	out := map[string]*store.Account{}
	for _, ev := range events {
		if _, seen := out[ev.AccountID]; seen || ev.AccountID == "" || !wanted(ev) {
			continue
		}
		out[ev.AccountID] = nil
		a, err := r.Account(ev.AccountID)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	list, err := c.Pending(r, list)
	for _, a := range list {
		out[a.ID] = a
	}
	return out, err
}

// wait returns nil after a while, and ctx.Err() when ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
