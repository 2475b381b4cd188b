package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/scimjit/provision/store"
)

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
		connections: map[string]*queued{}, leases: map[string]kept{},
		found: make(chan []store.Appended), due: make(chan string), done: make(chan outcome),
	}
	if d.hung == nil {
		d.hung = &Hung{}
	}
	defer d.stop()
	defer cancel(nil)
	d.group.Go(func() { d.watch(ctx) })
	redriven := c.Redriven.Listen("")
	defer redriven.Close()
	for {
		d.start(ctx)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case list := <-d.found:
			for _, a := range list {
				d.hear(d.enqueue(a.Scope), a)
			}
		case <-redriven.C():
			d.again(redriven.Take()...)
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
	leases      map[string]kept // those of a consumer without others, by connection
	handed      int             // events that are kept for turns
	group       sync.WaitGroup

	found chan []store.Appended // connections where something may have happened
	due   chan string           // connections whose time has come
	done  chan outcome          // of workers
}

// queued is a connection that waits for a worker, has one, or waits for its time.
type queued struct {
	waiting  bool // in the queue
	running  bool
	again    bool        // there was news while it ran
	stale    bool        // what it keeps of the lease was changed from outside while it ran
	tried    bool        // a line was tried last, and not a new event
	blocked  bool        // nothing is tried until the timer: the store or so has failed
	timer    *time.Timer // nil without one
	failures int         // in a row

	// What was appended since the last turn began, by a consumer without others.
	handed []store.Appended
	events int  // in handed
	reads  bool // there is more than can be kept
}

// outcome is what became of a turn.
type outcome struct {
	connection string
	more       bool
	tried      bool
	next       time.Duration
	lease      kept
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

func (d *dispatch) turn(connection string) *turn {
	t := &turn{
		lease: lease{Consumer: d.Consumer, connection: connection, span: d.options.lease()},
		fn:    d.fn, ends: time.Now().Add(slice), due: d.lineDue, refused: d.refused,
		timeout: d.options.timeout(), hung: d.hung, counts: true, attempts: d.options.attempts(),
	}
	t.kept = d.leases[connection]
	t.fence = t.cursor.Value.Fence
	return t
}

// enqueue asks for a turn of a connection.
func (d *dispatch) enqueue(connection string) *queued {
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
	return q
}

// again asks for a turn of connections where what is stored of the delivery was
// changed from outside.
func (d *dispatch) again(connections ...string) {
	for _, id := range connections {
		if l, ok := d.leases[id]; ok {
			d.leases[id] = l.forgotten()
		}
		if q := d.connections[id]; q != nil && q.running {
			q.stale = true
		}
		d.enqueue(id)
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
		t := d.turn(id)
		t.handed, t.tried = q.handed, q.tried
		d.forget(q)
		d.group.Go(func() { d.work(ctx, t) })
	}
}

// errWorkerEnded is the outcome of a turn that ended its goroutine, as a store could.
var errWorkerEnded = errors.New("provision: a worker ended")

func (d *dispatch) work(ctx context.Context, t *turn) {
	o := outcome{connection: t.connection, err: errWorkerEnded}
	defer func() {
		select {
		case d.done <- o:
		case <-ctx.Done():
		}
	}()
	more, next, err := t.run(ctx)
	o = outcome{t.connection, more, t.tried, next, t.kept, err}
}

// settle decides when a connection has its next turn.
func (d *dispatch) settle(ctx context.Context, o outcome) {
	d.running--
	q := d.connections[o.connection]
	q.running, q.tried = false, o.tried
	switch {
	case !d.Alone:
	case o.err != nil:
		delete(d.leases, o.connection)
	case q.stale:
		d.leases[o.connection] = o.lease.forgotten()
	default:
		d.leases[o.connection] = o.lease
	}
	q.stale = false
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

// lineDue follows the clock of the store, but believes no time that is further ahead
// than the delay after so many attempts: the clock was set back.
func (d *dispatch) lineDue(ln line, now time.Time) time.Duration {
	if in := ln.Value.Next.Sub(now); in <= retryDelay(max(ln.Value.Attempts, 1)) {
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
	return t.write(ctx, ln, retryDelay(v.Attempts), nil)
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
		due:   func(line, time.Time) time.Duration { return 0 },
		refused: func(_ context.Context, _ *turn, ln line, ev *store.Event, cause error) (line, error) {
			return ln, fmt.Errorf("provision: consumer %q refused event %d of connection %q: %w", c.Name, ev.Sequence, connection, cause)
		},
	}
	_, _, err = t.run(ctx)
	return did, err
}
