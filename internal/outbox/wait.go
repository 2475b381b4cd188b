package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

const (
	firstLook = 10 * time.Millisecond // of a wait for another process
	lastLook  = pollInterval / 2

	// lookBatch is how many events a wait looks through. With more before it,
	// the account's are not the next.
	lookBatch = 1000
)

// ParkedError says that an account is parked.
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

// Wait returns when the consumer has seen the events of an account that there are
// now.
func (c *Consumer) Wait(ctx context.Context, connection, account string) error {
	if err := c.known(ctx, connection); err != nil {
		return err
	}
	moved := c.Moved.Listen(connection)
	defer moved.Close()
	look := look{Consumer: c, connection: connection, account: account}
	for delay := firstLook; ; delay = min(2*delay, lastLook) {
		if done, err := look.again(ctx); done || err != nil {
			return err
		}
		timer := time.NewTimer(delay)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-moved.C():
			timer.Stop()
		case <-timer.C:
		}
	}
}

// look is what a wait has learned of the events that it waits for.
type look struct {
	*Consumer
	connection, account string

	end  int64 // the last event when the wait began
	need int64 // before the cursor is here, there is no use in looking closer
}

// again reports whether the consumer has seen the events.
func (l *look) again(ctx context.Context) (done bool, err error) {
	end, need := l.end, l.need
	err = l.Store.View(ctx, l.connection, func(_ context.Context, r store.Reader) error {
		var err error
		if end == 0 {
			if end, err = l.begin(r); err != nil {
				return err
			}
		}
		c, err := records.Cursor.Load(r, l.Name)
		if err == nil {
			err = l.restored(l.connection, c.Value)
		}
		if err != nil {
			return err
		}
		ln, err := records.Line(l.Name).Load(r, newLine(l.account).Key)
		switch {
		case err != nil:
			return err
		case ln.Stored() && ln.Value.Sequence <= end && parked(ln):
			return &ParkedError{l.Name, l.connection, describeLine(ln)}
		case ln.Stored() && ln.Value.Sequence <= end, c.Value.Sequence < need:
			return nil
		}
		need, err = l.nextOf(r, c.Value.Sequence, end)
		done = need == 0
		return err
	})
	l.end, l.need = end, need
	return done, err
}

// begin returns the last event that there is.
func (l *look) begin(r store.Reader) (int64, error) {
	if _, err := r.Account(l.account); errors.Is(err, store.ErrNotFound) {
		return 0, fmt.Errorf("provision: account %q of connection %q: %w", l.account, l.connection, err)
	} else if err != nil {
		return 0, err
	}
	_, end, err := r.EventRange()
	return end, err
}

// nextOf returns the event that the cursor must come to, or 0 when no event of
// the account is left.
func (l *look) nextOf(r store.EventReader, cursor, end int64) (int64, error) {
	first, _, err := r.EventRange()
	switch {
	case err != nil || cursor >= end:
		return 0, err
	case cursor < first-1:
		return 0, &ExpiredError{Consumer: l.Name, Connection: l.connection}
	case end-cursor > lookBatch:
		return end - lookBatch, nil
	}
	events, err := r.Events(cursor, int(end-cursor))
	last := int64(0)
	for _, ev := range events {
		if lineOf(ev) == l.account {
			last = ev.Sequence
		}
	}
	return last, err
}
