package outbox

import (
	"context"
	"errors"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

const (
	// slice is how long a connection has a worker for itself, and how long an
	// event that was seen may be missing in the cursor while others follow.
	slice = time.Second

	forwardBatch = 100
)

// turn brings the events of one connection on.
type turn struct {
	lease
	fn   Func
	ends time.Time // zero: when nothing is left

	timeout time.Duration // of a call: 0 calls on the goroutine of the turn, negative has no end
	hung    *Hung         // nil without a timeout

	counts   bool // attempts are stored
	attempts int  // until an account is parked

	// due says in how long a line is to be tried again: now, if that is not
	// positive.
	due func(line) time.Duration

	// refused decides about an event that the consumer refused. It stores and
	// returns the line of the account, or returns an error that ends the turn.
	refused func(context.Context, *turn, line, *store.Event, error) (line, error)
}

// waiting is what a consumer has not seen of a connection.
type waiting struct {
	cursor   int64
	lines    map[string]line // by account
	events   []*store.Event  // after the cursor
	accounts map[string]*store.Account
}

// run delivers until nothing is left, or until the turn is over and there may be
// more. Otherwise next is in how long a line is due, and 0 where none is.
func (t *turn) run(ctx context.Context) (more bool, next time.Duration, err error) {
	busy, next, err := t.peek(ctx)
	if err != nil || !busy {
		return false, next, err
	}
	var w *waiting
	held, err := t.acquire(ctx, func(r store.Reader, c records.DeliveryCursor) error {
		var err error
		w, err = t.read(r, c)
		return err
	})
	if err != nil || !held {
		return false, 0, err
	}
	defer t.release()
	for tried := false; ; {
		ln, next := t.first(w.lines)
		retry, forward := ln != nil && next <= 0, len(w.events) > 0 && !crowded(w.lines)
		switch {
		case retry && (!forward || !tried): // neither waits for the other
			tried, err = true, t.retry(ctx, w.cursor, *ln)
		case forward:
			tried, err = false, t.forward(ctx, w)
		default:
			return false, next, nil
		}
		if err != nil || t.fence == 0 { // the lease is given back with the last event
			return false, 0, err
		}
		if t.over() {
			return true, 0, nil
		}
		if w, err = t.reread(ctx); err != nil {
			return false, 0, err
		}
	}
}

func (t *turn) over() bool { return !t.ends.IsZero() && !time.Now().Before(t.ends) }

// peek reports whether there is something to deliver for which nobody else has
// the lease, and otherwise in how long a line is due.
func (t *turn) peek(ctx context.Context) (busy bool, next time.Duration, err error) {
	err = t.Store.View(ctx, t.connection, func(_ context.Context, r store.Reader) error {
		busy, next = false, 0
		c, err := records.Cursor.Load(r, t.Name)
		if err != nil || records.Ahead(c.Expires, t.Now(), t.span) {
			return err
		}
		last, err := t.last(r, c.Value.Sequence)
		if err != nil {
			return err
		}
		lines, err := readLines(r, t.Name)
		if err != nil {
			return err
		}
		ln, in := t.first(lines)
		busy = ln != nil && in <= 0 || last > c.Value.Sequence && !crowded(lines)
		next = in
		return nil
	})
	return busy, next, err
}

// last returns the sequence of the last event, or an ExpiredError where events
// after the cursor were removed.
func (t *turn) last(r store.EventReader, cursor int64) (int64, error) {
	first, last, err := r.EventRange()
	if err == nil && first > 0 && cursor < first-1 {
		err = &ExpiredError{t.Name, t.connection}
	}
	return last, err
}

func (t *turn) reread(ctx context.Context) (w *waiting, err error) {
	err = t.Store.View(ctx, t.connection, func(_ context.Context, r store.Reader) error {
		c, err := records.Cursor.Load(r, t.Name)
		if err != nil {
			return err
		}
		w, err = t.read(r, c.Value)
		return err
	})
	return w, err
}

func (t *turn) read(r store.Reader, c records.DeliveryCursor) (*waiting, error) {
	if _, err := t.last(r, c.Sequence); err != nil {
		return nil, err
	}
	lines, err := readLines(r, t.Name)
	if err != nil {
		return nil, err
	}
	w := &waiting{cursor: c.Sequence, lines: lines}
	if w.events, err = r.Events(c.Sequence, forwardBatch); err != nil {
		return nil, err
	}
	w.accounts, err = t.accounts(r, w.events, func(ev *store.Event) bool { return !w.waits(ev) })
	return w, err
}

// waits reports whether an event waits in a line.
func (w *waiting) waits(ev *store.Event) bool {
	_, ok := w.lines[lineOf(ev)]
	return ok
}

// forward delivers the next events, but those that wait in a line.
func (t *turn) forward(ctx context.Context, w *waiting) error {
	seen, stored := w.cursor, w.cursor
	err := t.hold(ctx, func(ctx context.Context) error {
		for _, ev := range w.events {
			if !w.waits(ev) {
				account := lineOf(ev)
				ln, cause, err := t.hand(ctx, newLine(account), Delivery{ev, w.accounts[ev.AccountID], 1, t.fence})
				if err != nil {
					return err
				}
				switch {
				case cause != nil:
					w.lines[account], err = t.refused(ctx, t, ln, ev, cause)
					stored = ev.Sequence
				case ln.Stored(): // it was begun
					err = t.end(ctx, ln)
					stored = ev.Sequence
				}
				if err != nil {
					return err
				}
			}
			seen = ev.Sequence
			if t.over() || crowded(w.lines) {
				return nil
			}
		}
		return nil
	})
	all := err == nil && len(w.lines) == 0 && len(w.events) < forwardBatch && seen == w.events[len(w.events)-1].Sequence
	if seen == stored && !all {
		return err
	}
	// The cursor is stored also when ctx has just ended: what was seen was seen.
	put := t.update(context.WithoutCancel(ctx), func(tx store.Tx, c *records.Entry[records.DeliveryCursor]) error {
		c.Value.Sequence = max(c.Value.Sequence, seen) // one that was begun may be behind it
		if all {
			return giveBack(tx, c)
		}
		return nil
	})
	t.Moved.Send(t.connection)
	return errors.Join(err, put)
}

// hand gives an event of a line, or one that would begin it, to the consumer, and
// returns the line as it is stored. cause is what the consumer has against the event;
// err says that ctx has ended or that the lease is lost.
func (t *turn) hand(ctx context.Context, ln line, d Delivery) (now line, cause, err error) {
	switch {
	case ctx.Err() != nil:
		return ln, nil, context.Cause(ctx)
	case !t.alive():
		return ln, nil, errLeaseLost
	}
	if ln, err = t.begin(ctx, ln, d.Event.Sequence); err != nil {
		return ln, nil, err
	}
	cause = t.call(ctx, d)
	if cause != nil && ctx.Err() != nil { // a consumer that is being stopped has not failed
		t.unbegin(ctx, ln)
		return ln, nil, context.Cause(ctx)
	}
	return ln, cause, nil
}
