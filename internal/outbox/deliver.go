package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/scimjit/provision/store"
)

const (
	pollInterval    = time.Second
	maxPollInterval = 15 * time.Second
	pollShare       = 20
)

// PollPause returns how long a process does not look for what others may have
// stored, after it has looked at all connections for so long: a second, and more
// where there are so many connections that to look would keep a processor busy.
func PollPause(took time.Duration) time.Duration {
	return min(max(pollInterval, pollShare*took), maxPollInterval)
}

// Deliver calls fn with every event of every connection until ctx ends, and
// returns the cause. An ExpiredError ends it, too.
func (c *Consumer) Deliver(ctx context.Context, fn Func, o Options) error {
	if c.Name == "" {
		return errNameless
	}
	ctx, cancel := context.WithCancelCause(ctx)
	d := &dispatch{
		Consumer: c, fn: fn, options: o,
		hung:        c.Hung,
		connections: map[string]*queued{}, found: make(chan string), due: make(chan string), done: make(chan outcome),
	}
	if d.hung == nil {
		d.hung = &Hung{}
	}
	defer d.stop()
	defer cancel(nil)
	d.group.Go(func() { d.sweep(ctx) })
	listener := c.News.Listen("")
	defer listener.Close()
	for {
		d.start(ctx)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-listener.C():
			for _, id := range listener.Take() {
				d.enqueue(id)
			}
		case id := <-d.found:
			d.enqueue(id)
		case id := <-d.due:
			d.unblock(id)
			d.enqueue(id)
		case o := <-d.done:
			if expired := (*ExpiredError)(nil); errors.As(o.err, &expired) {
				cancel(expired)
				return expired
			}
			d.settle(ctx, o)
		}
	}
}

// dispatch gives the connections where something waits to workers. Only its loop
// touches its fields.
type dispatch struct {
	*Consumer
	fn      Func
	options Options
	hung    *Hung

	queue       []string // the next to be worked on first
	running     int
	connections map[string]*queued
	group       sync.WaitGroup

	found chan string  // connections where the sweep saw something
	due   chan string  // connections whose time has come
	done  chan outcome // of workers
}

// queued is a connection that waits for a worker, has one, or waits for its time.
type queued struct {
	waiting  bool // in the queue
	running  bool
	again    bool        // there was news while it ran
	blocked  bool        // nothing is tried until the timer: the store or so has failed
	timer    *time.Timer // nil without one
	failures int         // in a row
}

// outcome is what became of a turn.
type outcome struct {
	connection string
	more       bool
	next       time.Duration
	err        error
}

// stop waits for all that was started. The context has ended.
func (d *dispatch) stop() {
	for _, q := range d.connections {
		if q.timer != nil {
			q.timer.Stop()
		}
	}
	d.group.Wait()
}

// sweep looks at all connections again and again, for what this process was not
// told of.
func (d *dispatch) sweep(ctx context.Context) {
	registered := false
	for ctx.Err() == nil {
		began := time.Now()
		err := d.sweepOnce(ctx, &registered)
		if err != nil && ctx.Err() == nil {
			d.Logger.Error("looking for events", "consumer", d.Name, "error", err)
		}
		_ = wait(ctx, PollPause(time.Since(began)))
	}
}

func (d *dispatch) sweepOnce(ctx context.Context, registered *bool) error {
	if !*registered {
		if err := d.Register(ctx); err != nil {
			return err
		}
		*registered = true
	}
	ids, err := d.Connections(ctx)
	for _, id := range ids {
		busy, _, err := d.turn(id).peek(ctx)
		if busy || err != nil { // the turn has the error again, and tells
			select {
			case d.found <- id:
			case <-ctx.Done():
				return nil
			}
		}
	}
	return err
}

func (d *dispatch) turn(connection string) *turn {
	return &turn{
		lease: lease{Consumer: d.Consumer, connection: connection, span: d.options.lease()},
		fn:    d.fn, ends: time.Now().Add(slice), due: d.lineDue, refused: d.refused,
		timeout: d.options.timeout(), hung: d.hung, counts: true, attempts: d.options.attempts(),
	}
}

// enqueue asks for a turn of a connection.
func (d *dispatch) enqueue(connection string) {
	q := d.connections[connection]
	if q == nil {
		q = &queued{}
		d.connections[connection] = q
	}
	switch {
	case q.running:
		q.again = true
	case !q.waiting && !q.blocked:
		q.waiting = true
		d.queue = append(d.queue, connection)
	}
}

// start gives connections to workers, as far as there may be more.
func (d *dispatch) start(ctx context.Context) {
	for d.running < d.options.concurrency() && len(d.queue) > 0 {
		id := d.queue[0]
		d.queue = d.queue[1:]
		q := d.connections[id]
		q.waiting, q.running, q.again = false, true, false
		d.running++
		d.group.Go(func() { d.work(ctx, id) })
	}
}

// errWorkerEnded is the outcome of a turn that ended its goroutine, as a store could.
var errWorkerEnded = errors.New("provision: a worker ended")

func (d *dispatch) work(ctx context.Context, id string) {
	o := outcome{connection: id, err: errWorkerEnded}
	defer func() {
		select {
		case d.done <- o:
		case <-ctx.Done():
		}
	}()
	t := d.turn(id)
	more, next, err := t.run(ctx)
	o = outcome{id, more, next, err}
}

// settle decides when a connection has its next turn.
func (d *dispatch) settle(ctx context.Context, o outcome) {
	d.running--
	q := d.connections[o.connection]
	q.running = false
	switch lost := errors.Is(o.err, errLeaseLost); {
	case lost:
		d.Logger.Warn("the lease of a delivery went to somebody else", "consumer", d.Name, "connection", o.connection)
		q.again = true
	case o.err != nil && ctx.Err() == nil:
		d.Logger.Error("delivering events", "consumer", d.Name, "connection", o.connection, "error", o.err)
		q.failures++
		q.blocked = true
		d.after(ctx, o.connection, retryDelay(q.failures))
		return
	}
	q.failures = 0
	switch {
	case o.more || q.again:
		d.enqueue(o.connection)
	case o.next > 0:
		d.after(ctx, o.connection, o.next)
	default:
		if q.timer != nil {
			q.timer.Stop()
		}
		delete(d.connections, o.connection)
	}
}

// after gives a connection a turn later. News of it may come first, unless it is
// blocked.
func (d *dispatch) after(ctx context.Context, connection string, delay time.Duration) {
	q := d.connections[connection]
	if q.timer != nil {
		q.timer.Stop()
	}
	q.timer = time.AfterFunc(delay, func() {
		select {
		case d.due <- connection:
		case <-ctx.Done():
		}
	})
}

func (d *dispatch) unblock(connection string) {
	if q := d.connections[connection]; q != nil {
		q.blocked, q.timer = false, nil
	}
}

// lineDue follows the clock, but believes no time that is further ahead than the
// delay after so many attempts: the clock was set back.
func (d *dispatch) lineDue(ln line) time.Duration {
	if in := ln.Value.Next.Sub(d.Now()); in <= retryDelay(max(ln.Value.Attempts, 1)) {
		return in
	}
	return 0
}

// refused puts the account of an event in a line, or keeps it there. After too
// many attempts it is parked.
func (d *dispatch) refused(ctx context.Context, t *turn, ln line, ev *store.Event, cause error) (line, error) {
	v := &ln.Value
	if v.Since.IsZero() {
		v.Since = d.Now()
	}
	v.Sequence, v.Attempts, v.Begun, v.LastError = ev.Sequence, v.Attempts+1, false, describe(cause)
	v.Next = d.Now().Add(retryDelay(v.Attempts))
	attrs := []any{
		"consumer", d.Name, "connection", t.connection, "account", accountOf(ln),
		"sequence", v.Sequence, "attempt", v.Attempts, "error", v.LastError,
	}
	if p := (*panicked)(nil); errors.As(cause, &p) {
		attrs = append(attrs, "stack", string(p.stack))
	}
	d.Logger.Warn("consumer refused an event", attrs...)
	if v.Attempts >= d.options.attempts() {
		return t.park(ctx, ln, ev.Resource)
	}
	return t.write(ctx, ln, nil)
}

// DeliverOnce delivers what waits in all connections, and returns when nothing is
// left. It returns the first refusal.
func (c *Consumer) DeliverOnce(ctx context.Context, fn Func) error {
	if err := c.Register(ctx); err != nil {
		return err
	}
	for again := true; again; {
		again = false
		ids, err := c.Connections(ctx)
		if err != nil {
			return err
		}
		for _, id := range ids {
			did, err := c.deliverOnce(ctx, id, fn)
			if err != nil {
				return err
			}
			again = again || did
		}
	}
	return nil
}

func (c *Consumer) deliverOnce(ctx context.Context, connection string, fn Func) (did bool, err error) {
	counted := func(ctx context.Context, d Delivery) error {
		did = true
		return fn(ctx, d)
	}
	t := &turn{
		lease: lease{Consumer: c, connection: connection, span: Options{}.lease()},
		fn:    counted,
		due:   func(line) time.Duration { return 0 },
		refused: func(_ context.Context, _ *turn, ln line, ev *store.Event, cause error) (line, error) {
			return ln, fmt.Errorf("provision: consumer %q refused event %d of connection %q: %w", c.Name, ev.Sequence, connection, cause)
		},
	}
	_, _, err = t.run(ctx)
	return did, err
}
