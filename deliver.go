package provision

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/scimjit/provision/store"
)

// ErrCursorExpired says that events which a consumer has not seen were removed
// by [Engine.Retention]. The consumer calls [Engine.SkipEvents] first, or
// [Engine.SkipParked] for one account, and then reads the accounts again: what
// changes in between comes as an event.
var ErrCursorExpired = errors.New("provision: events were removed before this consumer saw them")

// Delivery is one event on its way to a consumer.
type Delivery struct {
	Event   *Event
	Attempt int // 1 at first, one more with each retry in this process

	// Fence is the number of the lease under which the event comes. In one
	// connection it grows each time that another process takes over. A consumer
	// that keeps the greatest one it has seen, in the transaction of its own
	// writes, and refuses smaller ones is safe from a process that was cut off
	// and writes late.
	Fence int64
}

// DeliveryOptions bounds how [Engine.Deliver] treats consumers and processes
// that fail. A zero field means its default.
type DeliveryOptions struct {
	// Attempts is how often an event is tried before the events of its account
	// are parked. The default is 10, which is about a minute.
	Attempts int

	// Lease is how long the other processes wait for one that no longer
	// answers before one of them takes over. The default is 10 seconds. It must
	// be longer than the clocks of the processes are apart.
	Lease time.Duration
}

func (o DeliveryOptions) attempts() int { return orDefault(o.Attempts, 10) }

func (o DeliveryOptions) lease() time.Duration {
	if o.Lease > 0 {
		return o.Lease
	}
	return 10 * time.Second
}

const (
	deliverBatch    = 100
	firstRetryDelay = 100 * time.Millisecond
	lastRetryDelay  = time.Minute
)

// Deliver calls fn with every event of every connection until ctx ends, and
// returns ctx.Err(). Events of one connection come in order, one at a time;
// connections are delivered in parallel. An event counts as seen when fn
// returns nil: a durable cursor per consumer and connection remembers it, and a
// new Deliver goes on from there. After a crash an event may come again, so fn
// must be idempotent. To remember [Event.Sequence] with what fn writes of an
// account, and to pass over events of that account that are not newer, is enough.
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
// When fn fails, the same event is tried again with growing delays, and later
// events of the connection wait. After [DeliveryOptions.Attempts] the account
// of the event is parked: this event and all later ones of the account wait for
// [Engine.Redrive], an event of type delivery.parked says so, and the events of
// other accounts go on. Events without an account, and those of type
// delivery.parked, form one line of their own, which is parked like an account.
// A consumer that can take nothing at the moment had better wait in fn than
// return an error: that parks nobody.
//
// A consumer that fell behind [Engine.Retention] ends Deliver with
// [ErrCursorExpired].
func (e *Engine) Deliver(ctx context.Context, consumer string, fn func(context.Context, Delivery) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	defer wg.Wait()
	started := map[string]bool{}
	for {
		news := e.news.next()
		ids, err := e.connectionIDs(ctx)
		if err != nil && ctx.Err() == nil {
			e.logger().Error("listing connections", "consumer", consumer, "error", err)
		}
		for _, id := range ids {
			if started[id] {
				continue
			}
			started[id] = true
			d := &delivery{lease: lease{engine: e, consumer: consumer, connection: id}, fn: fn}
			wg.Go(func() {
				if err := d.run(ctx); err != nil {
					cancel(err)
				}
			})
		}
		if e.pause(ctx, news, pollInterval) != nil {
			return context.Cause(ctx)
		}
	}
}

// SkipEvents moves the cursor of a consumer past all events of a connection,
// those of parked accounts included.
func (e *Engine) SkipEvents(ctx context.Context, consumer, connection string) error {
	return e.seize(ctx, consumer, connection, func(tx store.Tx, c *cursorRecord) error {
		lines, err := readParked(tx, consumer)
		if err != nil {
			return err
		}
		for _, p := range lines {
			if err := p.delete(tx, consumer); err != nil {
				return err
			}
		}
		_, c.Sequence, err = tx.EventRange()
		return err
	})
}

// pause waits as wait does, at the pace of the engine.
func (e *Engine) pause(ctx context.Context, news <-chan struct{}, d time.Duration) error {
	if e.pace != nil {
		d = e.pace(d)
	}
	return wait(ctx, news, d)
}

// delivery brings the events of one connection to one consumer.
type delivery struct {
	lease
	fn func(context.Context, Delivery) error
}

func (d *delivery) run(ctx context.Context) error {
	defer d.release()
	delay := firstRetryDelay
	for {
		news := d.engine.news.next()
		more, err := d.batch(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrCursorExpired):
			return err
		case errors.Is(err, errLeaseLost):
			d.fence = 0
			d.engine.logger().Warn("the lease of a delivery went to somebody else", "consumer", d.consumer, "connection", d.connection)
			continue
		case err != nil:
			d.engine.logger().Error("delivering events", "consumer", d.consumer, "connection", d.connection, "error", err)
			if d.engine.pause(ctx, nil, delay) != nil {
				return nil
			}
			delay = min(2*delay, lastRetryDelay)
			continue
		}
		delay = firstRetryDelay
		if !more && d.engine.pause(ctx, news, pollInterval) != nil {
			return nil
		}
	}
}

// batch delivers the next events, if this process has the lease or can have it,
// and reports whether there may be more to do at once.
func (d *delivery) batch(ctx context.Context) (more bool, err error) {
	held := d.fence != 0
	w, err := d.read(ctx)
	switch {
	case err != nil:
		return false, err
	case w.idle():
		d.release()
		return false, nil
	case !held:
		// What was read may be old by the time that the lease is ours.
		return d.acquire(ctx)
	}
	err = d.hold(ctx, func(ctx context.Context) error {
		var err error
		if p := w.redriven(); p != nil {
			more, err = true, d.redrive(ctx, w.cursor, p)
		} else {
			more, err = d.forward(ctx, w)
		}
		return err
	})
	return more, err
}

// waiting is what a consumer has not seen of a connection.
type waiting struct {
	cursor int64
	parked map[string]*parked // by account
	events []*Event           // after cursor
}

func (w *waiting) idle() bool { return len(w.events) == 0 && w.redriven() == nil }

// redriven returns an account whose events an operator wants delivered, or nil.
func (w *waiting) redriven() *parked {
	for _, p := range w.parked {
		if p.Redrive {
			return p
		}
	}
	return nil
}

func (d *delivery) read(ctx context.Context) (*waiting, error) {
	var w *waiting
	err := d.engine.Store.View(ctx, d.connection, func(_ context.Context, r store.Reader) error {
		c, err := readCursor(r, d.consumer)
		if err != nil {
			return err
		}
		first, _, err := r.EventRange()
		if err != nil {
			return err
		}
		if first > 0 && c.Sequence < first-1 {
			return ErrCursorExpired
		}
		lines, err := readParked(r, d.consumer)
		if err != nil {
			return err
		}
		events, err := r.Events(c.Sequence, deliverBatch)
		w = &waiting{cursor: c.Sequence, parked: lines, events: events}
		return err
	})
	return w, err
}

// forward delivers the next events, but those of parked accounts.
func (d *delivery) forward(ctx context.Context, w *waiting) (more bool, err error) {
	last, failed, err := d.each(ctx, w.events, func(ev *Event) bool { return w.parked[accountOf(ev)] == nil })
	if last == 0 {
		return false, err
	}
	// The cursor is stored also when ctx has just ended: what was seen was seen.
	put := d.update(context.WithoutCancel(ctx), func(tx store.Tx, c *cursorRecord) error {
		c.Sequence = last
		return d.park(tx, failed)
	})
	if failed != nil {
		d.engine.news.send() // an event says so
	}
	return failed != nil || len(w.events) == deliverBatch, errors.Join(err, put)
}

// each delivers the events that are wanted until one fails for good or ctx
// ends. It returns the sequence that it came to, the failed one included, or 0.
func (d *delivery) each(ctx context.Context, events []*Event, wanted func(*Event) bool) (last int64, failed *Event, err error) {
	for _, ev := range events {
		seen := true
		if wanted(ev) {
			if seen, err = d.try(ctx, ev); err != nil {
				return last, nil, err
			}
		}
		last = ev.Sequence
		if !seen {
			return last, ev, nil
		}
	}
	return last, nil, nil
}

// try calls fn with an event until fn has seen it or has failed too often. The
// error says that ctx ended or that the lease is lost.
func (d *delivery) try(ctx context.Context, ev *Event) (seen bool, err error) {
	delay := firstRetryDelay
	for attempt := 1; ; attempt++ {
		switch {
		case ctx.Err() != nil:
			return false, context.Cause(ctx)
		case !d.alive():
			return false, errLeaseLost
		}
		err := d.fn(ctx, Delivery{Event: ev, Attempt: attempt, Fence: d.fence})
		switch {
		case err == nil:
			return true, nil
		case ctx.Err() != nil:
			return false, context.Cause(ctx)
		}
		d.engine.logger().Error("consumer refused an event", "consumer", d.consumer, "connection", d.connection,
			"sequence", ev.Sequence, "attempt", attempt, "error", err)
		if attempt == d.engine.Delivery.attempts() {
			return false, nil
		}
		if d.engine.pause(ctx, nil, delay) != nil {
			return false, context.Cause(ctx)
		}
		delay = min(2*delay, lastRetryDelay)
	}
}
