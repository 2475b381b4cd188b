package provision

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/internal/requestlog"
	"github.com/scimjit/provision/store"
)

// NoteRequest keeps a request for the log of a connection ([Directory.Requests]). It returns
// at once: entries wait in memory, 20,000 at most and 500 of strangers, and [Engine.Run]
// stores them. More are dropped, and counted as that. Of r the ID, the Outcome and the
// Count are not used; a zero Time is now, less what the request took.
//
// The connection of a stranger may be text of the client; one that does not exist is that of
// "". Fill in what the fields of [Request] say and nothing else of a request. What may be a
// value of the client in Detail, between quotation marks or a long number, is masked, other
// methods than those of SCIM are, and long texts are cut.
func (p Plumbing) NoteRequest(connection string, r Request) {
	e := p.engine.present()
	if e.Limits.requests() == 0 {
		return
	}
	if r.Stranger && !isConnectionID(connection) {
		connection = "" // no connection has the name, which may have any length
	}
	if r.Time.IsZero() {
		r.Time = e.now().Add(-time.Duration(r.Microseconds) * time.Microsecond)
	}
	r.Time = r.Time.UTC().Truncate(time.Millisecond)
	entry := entryOf(&r)
	e.requests.Note(connection, &entry)
}

// CountRead counts a request of a connection that succeeded and has only read, for
// [Directory.Traffic] and [Directory.Activity]. It returns at once.
func (p Plumbing) CountRead(connection string) { p.countRequest(connection, false) }

// CountLogin counts a login that succeeded, likewise.
func (p Plumbing) CountLogin(connection string) { p.countRequest(connection, true) }

func (p Plumbing) countRequest(connection string, login bool) {
	if e := p.engine.present(); e.Limits.requests() > 0 {
		e.requests.CountRead(connection, e.now(), login)
	}
}

// FlushRequests stores what was noted of requests by this process. [Engine.Run] does that
// about every second and when it ends; a host without it calls this.
func (p Plumbing) FlushRequests(ctx context.Context) error {
	e := p.engine.present()
	return e.requestLog().FlushEntries(ctx, &e.requests)
}

// requestsInterval is how often requests are stored at least.
const requestsInterval = time.Second

const storingRequests = "storing requests"

// storingRequests stores requests until ctx ends, apart from other background work, which
// may take long.
func (e *Engine) storingRequests(ctx context.Context, failed func(error)) (stop func()) {
	var wg sync.WaitGroup
	full := e.requests.Full()
	wg.Go(func() {
		ticker := time.NewTicker(requestsInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			case <-full:
			}
			if err := e.Plumbing().FlushRequests(ctx); err != nil {
				failed(err)
			}
		}
	})
	return wg.Wait
}

// requestBounds returns how much of the request log is kept.
func (e *Engine) requestBounds() requestlog.Bounds {
	b := requestlog.Bounds{Age: e.RequestRetention, Most: e.Limits.requests()}
	switch {
	case b.Age == 0:
		b.Age = defaultRequestRetention
	case b.Age < 0:
		b.Age = 0
	}
	return b
}

const defaultRequestRetention = 30 * 24 * time.Hour

// pruneRequests removes from the request log of a scope what is too much or too old.
func (e *Engine) pruneRequests(ctx context.Context, scope string) error {
	for more := true; more; {
		due := false
		err := e.store().View(ctx, scope, func(_ context.Context, r store.Reader) error {
			var err error
			due, err = requestlog.Due(r, e.now(), e.requestBounds())
			return err
		})
		if err != nil || !due {
			return err
		}
		err = e.store().Update(ctx, scope, func(_ context.Context, tx store.Tx) error {
			left, err := requestlog.PruneEntries(tx, e.now(), e.requestBounds())
			if err != nil {
				return err
			}
			_, err = records.RequestHour.Prune(tx, e.now())
			more = left
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eraseRequestsOf has the requests of somebody erased whose account is deleted: what names
// them leaves the log. Entries that still wait in some process are stored before the mark
// goes.
func (c *change) eraseRequestsOf(a *Account) error {
	keys := requestlog.KeysOf(a.ID, a.ResourceID, a.ExternalID, a.UserName)
	return records.RequestErasure.Put(c.tx, a.ID, records.ErasedRequests{
		Keys: keys, Before: requestlog.NumberAfter(c.now), Time: c.now,
	})
}

// requestsWait is how long entries wait in a process at most before they are stored, where
// the store answers.
const requestsWait = time.Minute

// eraseRequests erases deleted people from the request log of a connection.
func (e *Engine) eraseRequests(ctx context.Context, connection string) error {
	var marked []records.Entry[records.ErasedRequests]
	err := e.store().View(ctx, connection, func(_ context.Context, r store.Reader) (err error) {
		marked, err = records.RequestErasure.List(r, "", eraseMarks)
		return err
	})
	if err != nil || len(marked) == 0 {
		return err
	}
	var over []string
	for _, m := range marked {
		if err := requestlog.Erase(ctx, e.store(), connection, m.Value.Keys, m.Value.Before); err != nil {
			return err
		}
		if !records.Within(m.Value.Time, e.now(), requestsWait) {
			over = append(over, m.Key)
		}
	}
	if len(over) > 0 {
		err = e.store().Update(ctx, connection, func(_ context.Context, tx store.Tx) error {
			var err error
			for _, id := range over {
				err = errors.Join(err, records.RequestErasure.Clear(tx, id))
			}
			return err
		})
	}
	if err == nil && len(over) < len(marked) {
		return errMore // a quiet connection is looked at too rarely
	}
	return err
}
