package outbox

import (
	"context"
	"time"

	"github.com/scimjit/provision/store"
)

const (
	// pollInterval is how often the store is asked what others have stored, or more
	// rarely where that takes more than a pollShare-th of the time.
	pollInterval    = time.Second
	pollShare       = 50
	maxPollInterval = 15 * time.Second

	// sweepInterval is how often all connections are looked at, whatever is known.
	sweepInterval = 10 * time.Minute
)

// PollPause returns how long a process does not ask the store what others may have
// stored, after an answer that took so long.
func PollPause(took time.Duration) time.Duration {
	return min(max(pollInterval, pollShare*took), maxPollInterval)
}

// watch finds the connections where something may have happened: what this process
// stores is heard at once, what others store at the next question. At first, and
// rarely after that, it names all connections.
func (d *dispatch) watch(ctx context.Context) {
	watcher := d.Store.Watch()
	defer watcher.Close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	registered, swept := false, time.Time{}
	for {
		var found []store.Appended
		select {
		case <-ctx.Done():
			return
		case <-watcher.C():
			found = watcher.Take()
		case <-timer.C:
			began := time.Now()
			var err error
			if found, err = d.look(ctx, watcher, &registered, &swept); err != nil && ctx.Err() == nil {
				d.Logger.Error("looking for events", "consumer", d.Name, "error", err)
			}
			timer.Reset(PollPause(time.Since(began)))
		}
		if len(found) == 0 {
			continue
		}
		select {
		case d.found <- found:
		case <-ctx.Done():
			return
		}
	}
}

// look asks for all connections what is new, and lists them all where that is due.
func (d *dispatch) look(ctx context.Context, w store.Watcher, registered *bool, swept *time.Time) ([]store.Appended, error) {
	if !*registered {
		if err := d.Register(ctx); err != nil {
			return nil, err
		}
		*registered = true
	}
	found, err := w.Look(ctx)
	if err != nil || time.Since(*swept) < sweepInterval {
		return found, err
	}
	ids, err := d.Connections(ctx)
	if err != nil {
		return nil, err
	}
	*swept = time.Now()
	for _, id := range ids {
		found = append(found, store.Appended{Scope: id})
	}
	return found, nil
}

// mostHanded is how many events are kept for turns of all connections.
const mostHanded = 2_000

// hear keeps events for the next turn of a connection, unless they are too many, or
// there are others that were not brought: then it reads them.
func (d *dispatch) hear(q *queued, a store.Appended) {
	if !d.Alone {
		return
	}
	n := len(a.Events)
	if n == 0 || q.reads || q.events+n > forwardBatch || d.handed+n > mostHanded {
		d.forget(q)
		q.reads = true
		return
	}
	q.handed = append(q.handed, a)
	q.events += n
	d.handed += n
}

// forget drops what was kept for the next turn of a connection.
func (d *dispatch) forget(q *queued) {
	d.handed -= q.events
	q.handed, q.events, q.reads = nil, 0, false
}
