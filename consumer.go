package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scimjit/provision/internal/outbox"
)

// Consumer is a part of the host that follows the events of all connections
// under a name, such as the one that keeps the users table right. The store
// remembers where it stands. It is a small value, safe for concurrent use.
//
// A consumer is known from its first Deliver on, or from Register on. Before
// that, and for an unknown connection, the methods that name a connection return
// [ErrNotFound]: a name with a typing error does not read as empty.
type Consumer struct {
	engine *Engine
	name   string
}

// Consumer returns the consumer with a name. It does not check that the name is
// known. The name must not be empty.
func (e *Engine) Consumer(name string) Consumer { return Consumer{e.present(), name} }

// Delivery is one event on its way to a consumer.
type Delivery struct {
	Event *Event

	// Account is the account of the event as it is by now: as the event left it,
	// or newer where it has changed since. Its Version tells, so several events may
	// come with the same one. An older version follows a newer one only from a
	// process that was cut off: see Fence. Account is nil for an event without an
	// account, and the tombstone of a deleted one. It is for reading only.
	Account *Account

	// Attempt is 1 at first and one more each time that the consumer has refused
	// the event, in whichever process.
	Attempt int

	// Fence is the number of the lease under which the event comes. In one
	// connection it grows each time that another process takes over. A consumer
	// that keeps the greatest one it has seen, in the transaction of its own
	// writes, and refuses smaller ones is safe from a process that was cut off
	// and writes late.
	Fence int64
}

// DeliveryOptions bounds how [Consumer.Deliver] treats consumers and processes
// that fail. A zero field means its default.
type DeliveryOptions struct {
	// Attempts is how often an event is tried before its account is parked. The
	// default is 15, which is about six minutes.
	Attempts int

	// Lease is how long the other processes wait for one that no longer
	// answers before one of them takes over. The default is 10 seconds. It goes by
	// the clock of the store.
	Lease time.Duration

	// Concurrency is how many connections this process delivers at once. The
	// default is 16.
	Concurrency int

	// Timeout is how long fn may take with an event. Then its context ends, and half
	// a second later the event counts as refused, whether fn has returned or not. The
	// default is 30 seconds; a negative one has no end. The other events of the
	// connection wait so long.
	Timeout time.Duration
}

// Parked is an account whose events wait for [Consumer.Redrive], because the
// consumer refused one of them too often.
type Parked struct {
	AccountID string    // empty for the events without an account
	Sequence  int64     // of the event that was refused: the first one that waits
	Since     time.Time // UTC
	LastError string    // what the consumer said last: one line, at most 300 bytes
	Redriven  bool      // Redrive was called and the events are on their way
}

// ParkedError says that a consumer does not see the events of an account, because
// it is parked.
type ParkedError struct {
	Consumer   string
	Connection string
	Parked     Parked
}

// Error implements error.
func (e *ParkedError) Error() string {
	return fmt.Sprintf("provision: account %q of connection %q is parked for consumer %q since event %d: %s",
		e.Parked.AccountID, e.Connection, e.Consumer, e.Parked.Sequence, e.Parked.LastError)
}

// CursorExpiredError says that events of a connection which a consumer has not
// seen were removed by [Engine.Retention]. The consumer calls [Consumer.Skip]
// first, or [Consumer.SkipParked] for one account, and then reads the accounts
// again: what changes in between comes as an event.
//
// With Restored the store was restored from a backup ([Engine.Restored]), and the
// consumer may have seen what did not happen. Sequences and the versions of accounts
// may be smaller than what it has seen, and accounts may be gone: it forgets what it
// keeps of them before it reads the accounts again.
type CursorExpiredError struct {
	Consumer   string
	Connection string
	Restored   bool
}

// Error implements error.
func (e *CursorExpiredError) Error() string { return (*outbox.ExpiredError)(e).Error() }

// Deliver calls fn with every event of every connection until ctx ends, and
// returns ctx.Err(). Events of one connection come one at a time, and those of one
// account in order; connections are delivered in parallel. An event counts as
// seen when fn returns nil: a durable cursor per consumer and connection remembers
// it, and a new Deliver goes on from there. After a crash an event may come again,
// so fn must be idempotent. It is enough to keep the Sequence of the event with what
// fn writes of its account, and to pass over events of the account that are not
// newer. Package follow does that for tables in a database.
//
// # Replicas
//
// Every process may run Deliver for the same consumer. A lease in the store
// gives the events of a connection to one of them at a time; the others take
// over when it ends or stops renewing the lease. The context of fn ends when
// the lease is lost. Only its holder can move the cursor. For what fn itself
// writes there is [Delivery.Fence].
//
// # Failures
//
// When fn returns an error, panics, ends its goroutine or does not return within
// [DeliveryOptions.Timeout], the event and the later ones of its account wait, and
// those of everybody else go on. The event is tried again with growing delays of up
// to a minute. Attempts are stored: a restart does not begin anew. A retry is stored
// before it is made, and so is every attempt in the first turn after a process that
// ended while it delivered: an event that kills the process, such as by a stack
// overflow, which nothing recovers from, is parked after as many deaths, a few more at
// most.
//
// A call that ignores the end of its context is left behind. While it runs, this
// process makes no other call for the account: its attempts count as refused. Another
// process may make one, with a greater Fence.
//
// After [DeliveryOptions.Attempts] the account is parked: its events wait for
// [Consumer.Redrive], an event of type delivery.parked says so, and the log has
// the error. Events without an account, and those of type delivery.parked, form
// one line of their own, which waits and is parked like an account.
//
// While 16 accounts of a connection are being tried again, its other events wait,
// too. A consumer that can take nothing at the moment, such as while its database
// is away, waits in fn instead of returning an error: then nobody is parked. It has a
// Timeout that is negative, or as long as it may have to wait.
//
// A consumer that fell behind [Engine.Retention] ends Deliver with a
// [*CursorExpiredError].
//
// # Logins
//
// Deliver and a login know nothing of each other: [Directory.Login] may return
// an account before its events have come here. See [Consumer.Wait].
//
// # Cost
//
// Events that this process stores come at once. For those of other processes the
// store is asked once a second, with one question for all connections. A connection
// without news costs nothing else. With [Engine.SingleProcess] the leases of
// connections are kept, which spares a transaction for each event that comes alone.
func (c Consumer) Deliver(ctx context.Context, fn func(context.Context, Delivery) error, o DeliveryOptions) error {
	return rootError(c.outbox().Deliver(ctx, consume(fn), outbox.Options(o)))
}

// DeliverOnce calls fn with every event that waits, of all connections in turn,
// until nothing is left. Where fn returns an error or panics, DeliverOnce returns
// that error at once: the event is the next one again, is not counted as
// attempted, and nobody is parked. Parked accounts stay parked, and what another
// process delivers at the moment is left to it. With [Engine.SingleProcess] it must
// not run beside a Deliver of the consumer.
//
// It is for tests of hosts, beside [Engine.RunOnce].
func (c Consumer) DeliverOnce(ctx context.Context, fn func(context.Context, Delivery) error) error {
	return rootError(c.outbox().DeliverOnce(ctx, consume(fn)))
}

// Wait returns when the consumer has seen all events that an account has now. After
// [Directory.Login], or any other call that returns an account, these are the
// events up to the Version that was returned. Where nothing is left to see it
// returns at once.
//
// [Directory.Login] stores the events of a login before it returns, and Deliver
// brings them after that. A host whose consumer writes the users table, and
// whose login needs the row, waits here between the two, with a ctx that ends
// after the seconds that a person is ready to wait. It wakes at once when Deliver
// runs in this process, and within half a second when it runs in another. It must
// not be called by fn of Deliver.
//
// The error is a [*ParkedError] when the account is parked, a
// [*CursorExpiredError] when its events were removed unseen, [ErrNotFound] for an
// unknown consumer, connection or account, and ctx.Err() when ctx ends first.
// While the account is only tried again, Wait waits.
func (c Consumer) Wait(ctx context.Context, connection, accountID string) error {
	return rootError(c.outbox().Wait(ctx, connection, accountID))
}

// Register makes the consumer known before its first [Consumer.Deliver]. A host
// that begins with the accounts as they are, and not with all events since the
// beginning, calls Register, then [Consumer.Skip] for each connection, reads the
// accounts, and then delivers. Register of a known consumer does nothing.
func (c Consumer) Register(ctx context.Context) error { return c.outbox().Register(ctx) }

// Skip moves the cursor past all events of a connection, those of parked accounts
// included. It returns [ErrNotFound] for an unknown consumer or connection.
func (c Consumer) Skip(ctx context.Context, connection string) error {
	return c.outbox().Skip(ctx, connection)
}

// Parked returns the accounts of a connection that are parked, in order of account
// id. One that is being tried again for the first time is not parked yet. It
// returns [ErrNotFound] for an unknown consumer or connection.
func (c Consumer) Parked(ctx context.Context, connection string) ([]Parked, error) {
	list, err := c.outbox().Parked(ctx, connection)
	if err != nil {
		return nil, err
	}
	out := make([]Parked, len(list))
	for i, p := range list {
		out[i] = Parked(p)
	}
	return out, nil
}

// Redrive lets [Consumer.Deliver], in whichever process it runs, try the parked
// events of an account again: in order, before newer ones of the account, and as
// often as at first. An empty accountID means the events without an account. An
// account that is being tried again is tried at once.
//
// The error is [ErrNotFound] when nothing of the account waits, or for an unknown
// consumer or connection, and a [*CursorExpiredError] when [Engine.Retention] has
// removed events that waited: then the consumer reads the account and goes on
// after [Consumer.SkipParked].
func (c Consumer) Redrive(ctx context.Context, connection, accountID string) error {
	return rootError(c.outbox().Redrive(ctx, connection, accountID))
}

// SkipParked ends the parking of an account without delivering what waited.
// Newer events of the account go on. The error is [ErrNotFound] when nothing of
// the account waits, or for an unknown consumer or connection.
func (c Consumer) SkipParked(ctx context.Context, connection, accountID string) error {
	return c.outbox().SkipParked(ctx, connection, accountID)
}

func (c Consumer) outbox() *outbox.Consumer {
	e := c.engine
	return &outbox.Consumer{
		Name: c.name, Store: e.store(), Now: e.now, Logger: e.logger(),
		Connections: e.connectionIDs, Pending: markPending, Alone: e.SingleProcess, Redriven: &e.redriven, Moved: &e.moved, Hung: &e.hung,
	}
}

func consume(fn func(context.Context, Delivery) error) outbox.Func {
	return func(ctx context.Context, d outbox.Delivery) error { return fn(ctx, Delivery(d)) }
}

// rootError returns an error of package outbox as one of this package.
func rootError(err error) error {
	var (
		expired *outbox.ExpiredError
		parked  *outbox.ParkedError
	)
	switch {
	case errors.As(err, &expired):
		return (*CursorExpiredError)(expired)
	case errors.As(err, &parked):
		return &ParkedError{parked.Consumer, parked.Connection, Parked(parked.Parked)}
	}
	return err
}
