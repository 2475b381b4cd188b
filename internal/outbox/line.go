package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// line is an account whose events wait, since the consumer refused the first of
// them. It is tried again at Next, or parked where that is zero.
type line = records.Entry[records.DeliveryLine]

// linePrefix stands before the account in the key of a record: the empty key
// would not be listed.
const linePrefix = "account/"

func newLine(account string) line { return line{Key: linePrefix + account} }

// lineOf returns the account in whose line an event waits. News of parking itself
// does not wait with the account: the consumer could not hear of it.
func lineOf(ev *store.Event) string {
	if ev.Type == store.DeliveryParked {
		return ""
	}
	return ev.AccountID
}

// lines reads the lines of the consumer, and where there are some the clock by which
// they are due.
func (t *turn) lines(r store.Reader) (map[string]line, error) {
	list, err := records.Line(t.Name).List(r, "", 0)
	out := make(map[string]line, len(list))
	for _, ln := range list {
		out[accountOf(ln)] = ln
	}
	if len(list) > 0 && t.clock.at.IsZero() && err == nil {
		t.clock, err = readClock(r)
	}
	return out, err
}

// Erase forgets what consumers said of an account that is deleted: it may have names.
// How often they were tried, and that they wait, stays.
func Erase(tx store.Tx, account string) error {
	cursors, err := records.Cursor.List(tx, "", 0)
	if err != nil {
		return err
	}
	for _, cursor := range cursors {
		kind := records.Line(cursor.Key)
		ln, err := kind.Load(tx, newLine(account).Key)
		if err != nil {
			return err
		}
		if ln.Value.LastError == "" {
			continue
		}
		ln.Value.LastError = erasedError
		if err := kind.Save(tx, &ln); err != nil {
			return err
		}
	}
	return nil
}

// erasedError stands for what a consumer said of somebody who is deleted by now.
const erasedError = "erased with the account"

func accountOf(ln line) string { return strings.TrimPrefix(ln.Key, linePrefix) }

func parked(ln line) bool { return ln.Value.Next.IsZero() }

const (
	firstRetryDelay = 100 * time.Millisecond
	lastRetryDelay  = time.Minute

	// retriedLines is how many accounts of a connection may be retried while
	// others go on. With so many it is rather the consumer that fails, and to
	// go on would park everybody.
	retriedLines = 16

	// lineBatch is how many events are looked through at once for those of an
	// account.
	lineBatch = 1000
)

// retryDelay returns how long after so many attempts the next one comes.
func retryDelay(attempts int) time.Duration {
	return min(firstRetryDelay<<min(attempts-1, 20), lastRetryDelay)
}

// crowded reports whether events that come after the cursor must wait, because
// too many accounts are being retried. What an operator redrives does not count.
func crowded(lines map[string]line) bool {
	n := 0
	for _, ln := range lines {
		if !parked(ln) && !ln.Value.Redriven {
			n++
		}
	}
	return n >= retriedLines
}

// first returns the line that is due first and in how long, or nil.
func (t *turn) first(lines map[string]line) (first *line, in time.Duration) {
	for _, ln := range lines {
		if parked(ln) {
			continue
		}
		due := t.due(ln, t.clock.now())
		if first == nil || due < in || due == in && ln.Value.Sequence < first.Value.Sequence {
			first, in = &ln, due
		}
	}
	return first, in
}

// oneByOne reports whether the attempts at a line are stored one by one, as each may be
// the last of the process.
func (t *turn) oneByOne(ln line) bool {
	return ln.Value.Attempts > 0 || t.counts && t.unclean
}

// together returns the lines that are tried in one walk over the events, the one that is
// furthest behind first. So of m events behind n lines about m are read, and not n times
// as many. A line that is tried one by one goes alone, and those that one batch brings to
// the cursor do not wait for those that are further behind.
func (t *turn) together(w *waiting, due line) []line {
	if t.oneByOne(due) {
		return []line{due}
	}
	near := func(ln line) bool { return w.cursor-ln.Value.Sequence < lineBatch }
	out, now := []line{due}, t.clock.now()
	for _, ln := range w.lines {
		if ln.Key != due.Key && !parked(ln) && !t.oneByOne(ln) && t.due(ln, now) <= 0 && near(ln) == near(due) {
			out = append(out, ln)
		}
	}
	slices.SortFunc(out, func(a, b line) int { return cmp.Compare(a.Value.Sequence, b.Value.Sequence) })
	return out
}

// retry delivers the next events of the line that is due, and of those that go together
// with it. At the cursor they end.
func (t *turn) retry(ctx context.Context, all *waiting, due line) error {
	if due.Value.Begun && t.counts && due.Value.Attempts >= t.attempts {
		due.Value.LastError, due.Value.Begun = errUnended.Error(), false
		_, err := t.park(ctx, due, nil)
		return err
	}
	lines := t.together(all, due)
	w, err := t.lineEvents(ctx, all.cursor, lines)
	if expired := (*ExpiredError)(nil); errors.As(err, &expired) {
		lines[0].Value.LastError = expired.Error()
		_, err = t.park(ctx, lines[0], nil)
		return err
	}
	if err != nil {
		return err
	}
	seen := int64(0)
	err = t.hold(ctx, func(ctx context.Context) error {
		for _, ev := range w.events {
			if err := t.handLine(ctx, w, ev); err != nil {
				return err
			}
			seen = ev.Sequence
			if len(w.lines) == 0 || t.over() {
				return nil
			}
		}
		return nil
	})
	if len(w.lines) == 0 || seen == 0 {
		return err
	}
	return errors.Join(err, t.advance(ctx, w, seen))
}

// handLine gives an event to the consumer, if it is of one of the lines. A line whose
// event is refused leaves them.
func (t *turn) handLine(ctx context.Context, w *waiting, ev *store.Event) error {
	account := lineOf(ev)
	ln, ok := w.lines[account]
	if !ok || ev.Sequence < ln.Value.Sequence {
		return nil
	}
	ln, cause, err := t.hand(ctx, ln, Delivery{ev, w.accounts[ev.AccountID], ln.Value.Attempts + 1, t.fence})
	if err != nil {
		return err
	}
	w.lines[account] = ln
	if cause == nil {
		return nil
	}
	if _, err = t.refused(ctx, t, ln, ev, cause); err == nil {
		delete(w.lines, account)
	}
	return err
}

// advance stores how far the lines of a walk have come, or ends them at the cursor.
// Those that it has not reached yet are stored, too: they had their turn.
func (t *turn) advance(ctx context.Context, w *waiting, seen int64) error {
	kind := records.Line(t.Name)
	err := t.update(context.WithoutCancel(ctx), func(tx store.Tx, _ *records.Entry[records.DeliveryCursor]) error {
		now, err := tx.Now()
		if err != nil {
			return err
		}
		for _, ln := range w.lines {
			if seen >= w.cursor {
				if err := kind.Clear(tx, ln.Key); err != nil {
					return err
				}
				continue
			}
			v := &ln.Value
			v.Sequence, v.Attempts, v.Begun, v.Next = max(v.Sequence, seen+1), 0, false, now
			if _, _, err := put(tx, kind, ln); err != nil {
				return err
			}
		}
		return nil
	})
	t.Moved.Send(t.connection)
	return err
}

// end ends a line: all of its events were seen. It is stored also when ctx has
// just ended.
func (t *turn) end(ctx context.Context, ln line) error {
	err := t.update(context.WithoutCancel(ctx), func(tx store.Tx, _ *records.Entry[records.DeliveryCursor]) error {
		return records.Line(t.Name).Clear(tx, ln.Key)
	})
	t.Moved.Send(t.connection)
	return err
}

// write stores a line that is due in a while, unless somebody else has changed it
// meanwhile, and the cursor behind its first event. Where ev is not nil it is parking,
// of which ev tells.
func (t *turn) write(ctx context.Context, ln line, in time.Duration, ev *store.Event) (line, error) {
	kind, saved := records.Line(t.Name), ln
	err := t.update(context.WithoutCancel(ctx), func(tx store.Tx, c *records.Entry[records.DeliveryCursor]) error {
		due := ln
		if due.Value.Next = (time.Time{}); ev == nil {
			clock, err := tx.Now()
			if err != nil {
				return err
			}
			due.Value.Next = clock.Add(in)
		}
		now, stored, err := put(tx, kind, due)
		if err != nil || !stored {
			return err
		}
		c.Value.Sequence = max(c.Value.Sequence, ln.Value.Sequence)
		if ev != nil {
			news := *ev
			if err := tx.AppendEvent(&news); err != nil {
				return err
			}
		}
		saved = now
		return nil
	})
	t.Moved.Send(t.connection)
	return saved, err
}

// put stores a line, unless somebody else has changed it meanwhile.
func put(tx store.Tx, kind records.Kind[records.DeliveryLine], ln line) (now line, stored bool, err error) {
	now, err = kind.Load(tx, ln.Key)
	if err != nil || now.Version != ln.Version {
		return ln, false, err
	}
	err = kind.Save(tx, &ln)
	return ln, err == nil, err
}

// park makes a line wait for Redrive.
func (t *turn) park(ctx context.Context, ln line, resource *store.ResourceRef) (line, error) {
	v := &ln.Value
	v.Since, v.Redriven = t.Now(), false
	t.Logger.Error("parked the events of an account", "consumer", t.Name, "connection", t.connection,
		"account", accountOf(ln), "sequence", v.Sequence, "attempts", v.Attempts, "error", v.LastError)
	return t.write(ctx, ln, 0, &store.Event{
		Type: store.DeliveryParked, Time: v.Since, Connection: t.connection,
		Actor:    store.Actor{Kind: "system", ID: t.Name},
		Resource: resource, AccountID: accountOf(ln),
		Changes: []store.Change{{Attribute: "sequence", After: strconv.AppendInt(nil, v.Sequence, 10)}},
	})
}

// lineEvents reads the next events up to the cursor for lines of which the first is the
// furthest behind. Of one that is tried one by one it reads the first event alone: the
// attempts are its own.
func (t *turn) lineEvents(ctx context.Context, cursor int64, lines []line) (*waiting, error) {
	first := lines[0]
	limit := min(lineBatch, cursor-first.Value.Sequence+1)
	if t.oneByOne(first) {
		limit = 1
	}
	w := &waiting{cursor: cursor, lines: map[string]line{}}
	for _, ln := range lines {
		w.lines[accountOf(ln)] = ln
	}
	err := t.Store.View(ctx, t.connection, func(_ context.Context, r store.Reader) error {
		err := t.expired(r, t.connection, first)
		if err != nil {
			return err
		}
		if w.events, err = r.Events(first.Value.Sequence-1, int(limit)); err != nil {
			return err
		}
		w.accounts, err = t.accounts(r, w.events, w.waits)
		return err
	})
	return w, err
}

// expired returns an ExpiredError when events of a line were removed.
func (c *Consumer) expired(r store.EventReader, connection string, ln line) error {
	first, _, err := r.EventRange()
	if err == nil && ln.Value.Sequence < first {
		err = &ExpiredError{Consumer: c.Name, Connection: connection}
	}
	return err
}

// Parked is an account whose events wait for Redrive.
type Parked struct {
	AccountID string // empty for the events without an account
	Sequence  int64
	Since     time.Time
	LastError string
	Redriven  bool
}

func describeLine(ln line) Parked {
	v := ln.Value
	return Parked{accountOf(ln), v.Sequence, v.Since, v.LastError, v.Redriven}
}

// Parked returns the parked accounts of a connection, in order of account id.
func (c *Consumer) Parked(ctx context.Context, connection string) ([]Parked, error) {
	if err := c.known(ctx, connection); err != nil {
		return nil, err
	}
	out := []Parked{}
	err := c.Store.View(ctx, connection, func(_ context.Context, r store.Reader) error {
		lines, err := records.Line(c.Name).List(r, "", 0)
		for _, ln := range lines {
			if parked(ln) || ln.Value.Redriven {
				out = append(out, describeLine(ln))
			}
		}
		return err
	})
	return out, err
}

// Redrive has the events of a line tried again, from the beginning.
func (c *Consumer) Redrive(ctx context.Context, connection, account string) error {
	if err := c.known(ctx, connection); err != nil {
		return err
	}
	kind := records.Line(c.Name)
	err := c.Store.Update(ctx, connection, func(_ context.Context, tx store.Tx) error {
		ln, err := kind.Find(tx, newLine(account).Key)
		if err != nil {
			return c.nothingWaits(account, err)
		}
		if err := c.expired(tx, connection, ln); err != nil {
			return err
		}
		ln.Value.Redriven = ln.Value.Redriven || parked(ln)
		ln.Value.Attempts, ln.Value.Begun = 0, false
		if ln.Value.Next, err = tx.Now(); err != nil {
			return err
		}
		return kind.Save(tx, &ln)
	})
	if err == nil {
		c.Redriven.Send(connection)
	}
	return err
}

// SkipParked ends a line without delivering what waited.
func (c *Consumer) SkipParked(ctx context.Context, connection, account string) error {
	return c.seize(ctx, connection, func(tx store.Tx, _ *records.DeliveryCursor) error {
		return c.nothingWaits(account, records.Line(c.Name).Delete(tx, newLine(account).Key, 0))
	})
}

func (c *Consumer) nothingWaits(account string, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("provision: no event of account %q waits for consumer %q: %w", account, c.Name, err)
	}
	return err
}
