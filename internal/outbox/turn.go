package outbox

import (
	"context"
	"errors"
	"slices"
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

	tried bool // a line was tried last, and not a new event, in this turn or the one before

	handed []store.Appended // what was stored lately, in order

	timeout time.Duration // of a call: 0 calls on the goroutine of the turn, negative has no end
	hung    *Hung         // nil without a timeout

	counts   bool // attempts are stored
	attempts int  // until an account is parked

	// due says in how long a line is to be tried again, by the time of the store: now,
	// if that is not positive.
	due func(ln line, now time.Time) time.Duration

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
	w, next, err := t.open(ctx)
	if err != nil || w == nil {
		return false, next, err
	}
	defer t.release()
	t.ended = false
	for {
		var all bool
		ln, next := t.first(w.lines)
		retry, forward := ln != nil && next <= 0, len(w.events) > 0 && !crowded(w.lines)
		switch {
		case retry && (!forward || !t.tried): // neither waits for the other
			t.tried, err = true, t.retry(ctx, w, *ln)
		case forward:
			t.tried = false
			all, err = t.forward(ctx, w)
		default:
			return false, t.later(w.lines, next), nil
		}
		if err != nil || all {
			t.ended = all
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

// open takes the lease, unless it was kept, and reads what is waiting. Where nothing
// is, or somebody else has the lease, it returns nil, and in how long a line is due.
func (t *turn) open(ctx context.Context) (w *waiting, next time.Duration, err error) {
	if t.fence != 0 {
		if w, err = t.take(ctx); w == nil && err == nil {
			w, err = t.reread(ctx)
		}
		return w, 0, err
	}
	busy, next, err := t.peek(ctx)
	if err != nil || !busy {
		return nil, next, err
	}
	next, err = t.acquire(ctx, func(r store.Reader, c records.DeliveryCursor) error {
		var err error
		w, err = t.read(r, c)
		return err
	})
	if err != nil || next > 0 {
		return nil, next, err
	}
	return w, 0, nil
}

// take returns what was handed over, if it follows on what the consumer has seen and
// nothing waits in a line, or nil. Where the last turn left something, an account may
// have come as it was after later events.
func (t *turn) take(ctx context.Context) (*waiting, error) {
	if !t.quiet || !t.ended {
		return nil, nil
	}
	w := &waiting{cursor: t.cursor.Value.Sequence, accounts: map[string]*store.Account{}}
	var accounts []*store.Account
	for _, a := range t.handed {
		for _, ev := range a.Events {
			switch next := w.cursor + int64(len(w.events)) + 1; {
			case ev.Sequence > next:
				return nil, nil
			case ev.Sequence == next:
				w.events = append(w.events, ev)
			}
		}
		accounts = append(accounts, a.Accounts...)
	}
	if len(w.events) == 0 {
		return nil, nil
	}
	for _, ev := range w.events {
		if ev.AccountID != "" && !slices.ContainsFunc(accounts, func(a *store.Account) bool { return a.ID == ev.AccountID }) {
			return nil, nil
		}
	}
	err := t.Store.View(ctx, t.connection, func(_ context.Context, r store.Reader) error {
		list, err := t.Pending(r, accounts)
		for _, a := range list {
			// Commits may be told in another order than they were made.
			if known := w.accounts[a.ID]; known == nil || known.Version <= a.Version {
				w.accounts[a.ID] = a
			}
		}
		return err
	})
	return w, err
}

func (t *turn) over() bool { return !t.ends.IsZero() && !time.Now().Before(t.ends) }

// peek reports whether there is something to deliver for which nobody else has
// the lease, and otherwise in how long there may be.
func (t *turn) peek(ctx context.Context) (busy bool, next time.Duration, err error) {
	err = t.Store.View(ctx, t.connection, func(_ context.Context, r store.Reader) error {
		busy, next = false, 0
		c, err := records.Cursor.Load(r, t.Name)
		if err != nil {
			return err
		}
		if err := t.restored(t.connection, c.Value); err != nil {
			return err
		}
		if next, err = t.freeIn(r, &c); err != nil || next > 0 {
			return err
		}
		last, err := t.last(r, c.Value.Sequence)
		if err != nil {
			return err
		}
		lines, err := t.lines(r)
		if err != nil {
			return err
		}
		ln, in := t.first(lines)
		busy = ln != nil && in <= 0 || last > c.Value.Sequence && !crowded(lines)
		next = t.later(lines, in)
		return nil
	})
	return busy, next, err
}

// parkedLook is how often a parked line is looked at that another process may have
// been asked to try again.
const parkedLook = 5 * time.Second

// later returns in how long there may be something to do if no event comes, given in
// how long the first line is due, and 0 for never.
func (t *turn) later(lines map[string]line, due time.Duration) time.Duration {
	if due <= 0 && len(lines) > 0 && !t.Alone {
		return parkedLook
	}
	return due
}

// last returns the sequence of the last event, or an ExpiredError where events
// after the cursor were removed.
func (t *turn) last(r store.EventReader, cursor int64) (int64, error) {
	first, last, err := r.EventRange()
	if err == nil && first > 0 && cursor < first-1 {
		err = &ExpiredError{Consumer: t.Name, Connection: t.connection}
	}
	return last, err
}

func (t *turn) reread(ctx context.Context) (w *waiting, err error) {
	err = t.Store.View(ctx, t.connection, func(_ context.Context, r store.Reader) error {
		c, err := t.held(r)
		if err != nil {
			return err
		}
		w, err = t.read(r, c.Value)
		return err
	})
	return w, err
}

func (t *turn) read(r store.Reader, c records.DeliveryCursor) (*waiting, error) {
	w := &waiting{cursor: c.Sequence}
	err := t.restored(t.connection, c)
	if err != nil {
		return nil, err
	}
	if !t.quiet {
		if w.lines, err = t.lines(r); err != nil {
			return nil, err
		}
	}
	if w.events, err = r.Events(c.Sequence, forwardBatch); err != nil {
		return nil, err
	}
	// Events that follow on the cursor show that none was removed.
	if len(w.events) == 0 || w.events[0].Sequence != c.Sequence+1 {
		if _, err := t.last(r, c.Sequence); err != nil {
			return nil, err
		}
	}
	w.accounts, err = t.accounts(r, w.events, func(ev *store.Event) bool { return !w.waits(ev) })
	t.quiet = t.Alone && len(w.lines) == 0
	return w, err
}

// waits reports whether an event waits in a line.
func (w *waiting) waits(ev *store.Event) bool {
	_, ok := w.lines[lineOf(ev)]
	return ok
}

// wait notes that an account has a line by now.
func (w *waiting) wait(account string, ln line) {
	if w.lines == nil {
		w.lines = map[string]line{}
	}
	w.lines[account] = ln
}

// forward delivers the next events, but those that wait in a line. all says that
// nothing is left: the lease was given back with the last event.
func (t *turn) forward(ctx context.Context, w *waiting) (all bool, err error) {
	seen, stored := w.cursor, w.cursor
	err = t.hold(ctx, func(ctx context.Context) error {
		for _, ev := range w.events {
			if !w.waits(ev) {
				account := lineOf(ev)
				ln, cause, err := t.hand(ctx, newLine(account), Delivery{ev, w.accounts[ev.AccountID], 1, t.fence})
				if err != nil {
					return err
				}
				switch {
				case cause != nil:
					if ln, err = t.refused(ctx, t, ln, ev, cause); err == nil {
						w.wait(account, ln)
					}
					t.quiet, stored = false, ev.Sequence
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
	all = err == nil && len(w.lines) == 0 && len(w.events) < forwardBatch && seen == w.events[len(w.events)-1].Sequence
	if seen == stored && !all {
		return false, err
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
	return all && put == nil, errors.Join(err, put)
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
