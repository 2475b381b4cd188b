package provision

import (
	"context"
	"slices"
	"time"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/outbox"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// A person whose account is deleted leaves what is kept: the account is a tombstone,
// and their names and addresses leave the events. Where there are few events that is
// done in the transaction that deletes; else the account is marked, and Run walks
// over the events for all marked accounts together.

const (
	// eraseInline is how many events are looked through in the transaction that
	// deletes an account.
	eraseInline = 1000

	// eraseInterval is how often Run looks for marked accounts.
	eraseInterval = time.Minute

	// erasePages is how many pages of eraseInline events Run looks through each time,
	// and eraseMarks for how many accounts at once.
	erasePages = 100
	eraseMarks = 10_000
)

// eraseDeleted removes from the events, and from what is kept for consumers, those
// whose accounts the transaction deleted.
func (c *change) eraseDeleted() error {
	if len(c.deleted) == 0 {
		return nil
	}
	for _, id := range c.deleted {
		if err := outbox.Erase(c.tx, id); err != nil {
			return err
		}
	}
	first, last, err := c.tx.EventRange()
	if err != nil {
		return err
	}
	if last-first < eraseInline {
		return eraseEvents(c.tx, first-1, func(ev *store.Event) bool { return slices.Contains(c.deleted, ev.AccountID) })
	}
	for _, id := range c.deleted {
		if err := records.Erasure.Put(c.tx, id, records.ErasedEvents{Through: last}); err != nil {
			return err
		}
	}
	return nil
}

// eraseEvents erases those of the next eraseInline events that are of somebody.
func eraseEvents(tx store.Tx, after int64, of func(*store.Event) bool) error {
	list, err := tx.Events(after, eraseInline)
	if err != nil {
		return err
	}
	size, err := records.EventSize.Load(tx, "")
	if err != nil {
		return err
	}
	less := int64(0)
	for _, ev := range list {
		if !of(ev) {
			continue
		}
		next, changed := account.Erase(ev)
		if !changed {
			continue
		}
		if _, err := tx.ReplaceEvent(next); err != nil {
			return err
		}
		if ev.Sequence <= size.Value.Through {
			less += eventSize(ev) - eventSize(next)
		}
	}
	if less == 0 {
		return nil
	}
	size.Value.Bytes -= less
	return records.EventSize.Save(tx, &size)
}

// erase goes on with the events of the marked accounts of a connection, for a while.
// It reports whether some are left.
func (e *Engine) erase(ctx context.Context, connection string) (more bool, err error) {
	var marked []records.Entry[records.ErasedEvents]
	err = e.store().View(ctx, connection, func(_ context.Context, r store.Reader) (err error) {
		marked, err = records.Erasure.List(r, "", eraseMarks)
		return err
	})
	if err != nil || len(marked) == 0 {
		return false, err
	}
	// Those that were begun come to their end first, so that new marks do not keep
	// them from it.
	at := int64(0)
	for _, m := range marked {
		at = max(at, m.Value.At)
	}
	walk := erasure{engine: e, connection: connection, at: at, accounts: map[string]bool{}}
	for _, m := range marked {
		if m.Value.At == at {
			walk.accounts[m.Key] = true
			walk.through = max(walk.through, m.Value.Through)
		}
	}
	for range erasePages {
		if walk.at >= walk.through {
			break
		}
		if err := walk.page(ctx); err != nil {
			return false, err
		}
	}
	return true, walk.save(ctx)
}

// erasure is a walk over the events of marked accounts.
type erasure struct {
	engine      *Engine
	connection  string
	accounts    map[string]bool
	at, through int64
}

// of reports whether an event has something to erase.
func (w *erasure) of(ev *store.Event) bool { return w.accounts[ev.AccountID] }

// page looks at the next events. Others may write meanwhile, unless there is
// something to erase.
func (w *erasure) page(ctx context.Context) error {
	found, next := false, w.through
	err := w.engine.store().View(ctx, w.connection, func(_ context.Context, r store.Reader) error {
		list, err := r.Events(w.at, eraseInline)
		for _, ev := range list {
			if next = ev.Sequence; w.of(ev) {
				_, changed := account.Erase(ev)
				found = found || changed
			}
		}
		return err
	})
	if err == nil && found {
		err = w.engine.store().Update(ctx, w.connection, func(_ context.Context, tx store.Tx) error {
			return eraseEvents(tx, w.at, w.of)
		})
	}
	if err == nil {
		w.at = next
	}
	return err
}

// save remembers how far the walk has come, or that it has come to its end.
func (w *erasure) save(ctx context.Context) error {
	return w.engine.store().Update(ctx, w.connection, func(_ context.Context, tx store.Tx) error {
		for id := range w.accounts {
			e, err := records.Erasure.Load(tx, id)
			if err != nil {
				return err
			}
			if e.Value.At = w.at; w.at >= e.Value.Through {
				err = records.Erasure.Clear(tx, id)
			} else {
				err = records.Erasure.Save(tx, &e)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
