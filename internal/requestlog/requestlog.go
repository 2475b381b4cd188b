// Package requestlog keeps what an operator must know of requests that have left
// no event: today how often they were refused, by connection, minute, address and
// cause.
//
// Whoever sends requests decides how many there are and what they say. So a
// refusal is counted in memory, in a bounded number of rows, and a background
// task stores the counts: [Log.Count] costs no transaction, and nothing that it
// keeps is text of a client.
//
// # Bounds
//
// A connection has at most 100 rows in a minute and 5,000 in a day. Beyond them,
// and beyond 10,000 rows in memory, refusals are counted without the address. A
// row without the address is above the bound: there is one for each of at most
// 101 causes in a minute.
package requestlog

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/scimjit/provision/store"
)

// The bounds of what is kept.
const (
	minuteRows = 100    // of one connection in one minute
	dayRows    = 5_000  // of one connection in one day
	bufferRows = 10_000 // in memory, not stored yet
	maxCauses  = 100    // different ones, beside causeOther

	retention = 30 * 24 * time.Hour
)

// Interval is how often [Log.Flush] is called.
const Interval = 10 * time.Second

// Refusal counts the requests of one minute that were refused for one cause.
type Refusal struct {
	Minute  time.Time // UTC, its beginning
	Address string    // IP address; empty for all that are not counted one by one
	Cause   string    // a short code
	Count   int
}

// Log counts refusals and reads the counts. Its fields are required. It is safe
// for concurrent use, and so are several Logs with the same Counts.
type Log struct {
	Counts *Counts
	Store  store.Store

	// Now tells the time, in UTC.
	Now func() time.Time

	// Connections returns the ids of the connections. One that was never saved,
	// as a crash leaves it, may be among them. It is not called inside a
	// transaction.
	Connections func(context.Context) ([]string, error)
}

// Count counts a refusal. It returns at once.
//
// Connection is an id, which nobody has to have checked, or "". Address is an IP
// address, with or without a port; other text counts as no address. Cause is 1 to
// 40 letters, digits, "_", "-" or "."; anything else counts as "other".
func (l *Log) Count(connection, address, cause string) {
	l.Counts.add(key{
		minute:     l.Now().Truncate(time.Minute),
		connection: connection,
		address:    addressOf(address),
		cause:      cause,
	}, 1)
}

// Flush stores what was counted. What cannot be stored is counted again.
//
// No name but those of connections that exist reaches the store: all others are
// stored as those of "", in one transaction.
func (l *Log) Flush(ctx context.Context) error {
	l.Counts.storing.Lock()
	defer l.Counts.storing.Unlock()
	taken := l.Counts.take()
	if len(taken) == 0 {
		return nil
	}
	ids, err := l.Connections(ctx)
	if err != nil {
		l.Counts.addAll(taken)
		return err
	}
	counted := taken.split(ids)
	var failed []error
	for _, id := range append(ids, store.Global) { // last, since it takes what the others refuse
		if len(counted[id]) == 0 {
			continue
		}
		err := l.save(ctx, id, counted[id])
		switch {
		case err == nil:
		case errors.Is(err, store.ErrNotFound):
			counted[store.Global].adopt(counted[id])
		default:
			failed = append(failed, err)
			l.Counts.addAll(counted[id])
		}
	}
	return errors.Join(failed...)
}

// Refusals returns what was counted for a connection since a time, in order of
// minute, address and cause; what other processes have not stored yet is missing.
// The connection "" has what was counted for names of no connection; any other
// that was not saved is [store.ErrNotFound].
func (l *Log) Refusals(ctx context.Context, connection string, since time.Time) ([]Refusal, error) {
	l.Counts.storing.Lock()
	defer l.Counts.storing.Unlock()
	since = since.UTC().Truncate(time.Minute)
	belongs := func(name string) bool { return name == connection }
	if connection == store.Global {
		ids, err := l.Connections(ctx)
		if err != nil {
			return nil, err
		}
		belongs = func(name string) bool { return !slices.Contains(ids, name) }
	}
	rows, err := l.load(ctx, connection, since)
	if err != nil {
		return nil, err
	}
	rows.adopt(l.Counts.of(belongs))
	var out []Refusal
	for k, n := range rows {
		if !k.minute.Before(since) {
			out = append(out, Refusal{k.minute, k.address, k.cause, n})
		}
	}
	slices.SortFunc(out, func(a, b Refusal) int {
		return cmp.Or(a.Minute.Compare(b.Minute), cmp.Compare(a.Address, b.Address), cmp.Compare(a.Cause, b.Cause))
	})
	return out, nil
}
