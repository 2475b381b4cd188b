package follow

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// ErrFenced says that a delivery came under a lease that another process has
// taken over. Nothing of it was written.
var ErrFenced = errors.New("follow: another process has taken over the connection")

// errOutdated says that the account of a delivery was read before one that is
// written already. The event comes again with a newer account.
var errOutdated = errors.New("follow: the account was read before another process has written a newer one")

// Func writes one delivery to the tables of the application, by tx alone: what it
// writes there counts exactly once. An error undoes it, and the event is tried
// again as [provision.Consumer.Deliver] says.
//
// Account is what to write, and Event says why. Account is nil for an event that
// is not about an account, such as that of a group. It is also nil for
// delivery.parked, which comes out of the order of its account. Account.HostID is
// what Func has returned for this account before, where it was linked to nothing
// else since.
//
// hostID is the id that the application has for the account, such as that of the
// row: the account is linked to it. Empty links nothing, and ends no link.
//
// Events whose Sequence is 0 come from [Follower.Resync].
type Func[Tx any] func(ctx context.Context, tx Tx, d provision.Delivery) (hostID string, err error)

// Follower runs a [Func] for the events of a consumer. Make it with [New], set its
// field before the first call, and do not change it after. It is safe for
// concurrent use, in any number of processes.
type Follower[Tx any] struct {
	// Prefix begins the names of its two tables, "connections" and "accounts";
	// empty means "follow_". It is letters, digits and "_", at most 41 of them,
	// after the name of a schema and a dot where wanted: "app.follow_".
	// Several consumers may share the tables.
	Prefix string

	engine *provision.Engine
	name   string
	db     Database[Tx]
	fn     Func[Tx]
}

// New returns what follows the events of an engine under the name of a consumer
// and writes them to a database by fn.
func New[Tx any](engine *provision.Engine, consumer string, db Database[Tx], fn Func[Tx]) *Follower[Tx] {
	return &Follower[Tx]{engine: engine, name: consumer, db: db, fn: fn}
}

// Consumer returns the consumer, such as to wait for it: see
// [provision.Consumer.Wait].
func (f *Follower[Tx]) Consumer() provision.Consumer { return f.engine.Consumer(f.name) }

// Create makes the two tables where they are missing, and makes the consumer known,
// so that a login may wait for it at once. An application that may not change its
// schema uses [Schema] in its migrations and [provision.Consumer.Register] instead.
func (f *Follower[Tx]) Create(ctx context.Context) error {
	err := f.db.InTx(ctx, func(tx Tx) error {
		for _, text := range []string{createConnections, createAccounts} {
			query, err := statement(f.db.Dialect(), f.Prefix, text)
			if err != nil {
				return err
			}
			if _, err := f.db.Exec(ctx, tx, query); err != nil {
				return fmt.Errorf("follow: making the tables: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return f.Consumer().Register(ctx)
}

// Take takes one delivery: it is the function for [provision.Consumer.Deliver] and
// [provision.Consumer.DeliverOnce]. [Follower.Deliver] calls it by itself.
//
// An event that is not newer than what the account has got is passed over. The
// error is [ErrFenced] for a delivery of a process that was cut off, or that of Func, of the
// database, or of Link.
func (f *Follower[Tx]) Take(ctx context.Context, d provision.Delivery) error {
	ev := d.Event
	line := ev.AccountID
	if ev.Type == store.DeliveryParked {
		d.Account, line = nil, ""
	}
	hostID := ""
	err := f.db.InTx(ctx, func(tx Tx) error {
		t := tables[Tx]{f, tx, ev.Connection}
		rows, err := t.exec(ctx, raiseFence, d.Fence)
		if err == nil && rows == 0 {
			err = ErrFenced
		}
		if err != nil {
			return err
		}
		before, err := t.account(ctx, line)
		switch {
		case err != nil:
			return err
		case ev.Sequence < before.sequence:
			return nil
		case ev.Sequence == before.sequence:
			hostID = before.hostID // the link may be missing
			return nil
		case d.Account != nil && d.Account.Version < before.version:
			return errOutdated
		}
		hostID, err = f.run(ctx, t, line, before, d)
		return err
	})
	if err != nil || d.Account == nil || hostID == "" || hostID == d.Account.HostID {
		return err
	}
	return f.link(ctx, ev.Connection, d.Account.ID, hostID)
}

// run calls Func and remembers what it has taken.
func (f *Follower[Tx]) run(ctx context.Context, t tables[Tx], line string, before taken, d provision.Delivery) (string, error) {
	after := taken{sequence: max(before.sequence, d.Event.Sequence), version: before.version}
	if a := d.Account; a != nil {
		after.version = a.Version
		if a.HostID == "" && before.hostID != "" {
			d.Account = a.Clone()
			d.Account.HostID = before.hostID
		}
	}
	hostID, err := f.fn(ctx, t.tx, d)
	if err != nil {
		return "", err
	}
	after.hostID = cmp.Or(hostID, before.hostID)
	return hostID, t.put(ctx, line, after)
}

// link links an account, unless it is gone by now.
func (f *Follower[Tx]) link(ctx context.Context, connection, account, hostID string) error {
	d := f.engine.Directory(connection).As(provision.Actor{Kind: "system", ID: f.name})
	err := d.Link(ctx, account, hostID)
	if err == nil || errors.Is(err, provision.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("follow: linking account %q of connection %q to %q: %w", account, connection, hostID, err)
}
