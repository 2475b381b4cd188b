package provision

import (
	"context"
	"encoding/json"
	"errors"
	"sort"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

const (
	// pruneInterval is how often small things that are over are removed.
	pruneInterval = time.Hour

	// pruneEventsInterval is how often events are counted and removed. In between
	// they may grow beyond Engine.RetentionBytes.
	pruneEventsInterval = 10 * time.Minute

	// pruneBatch bounds how many events one transaction looks at.
	pruneBatch = 2000
)

// horizon returns when the oldest events happened that are kept, and false where
// all are, however old.
func (e *Engine) horizon() (oldest time.Time, ends bool) {
	switch {
	case e.Retention < 0:
		return time.Time{}, false
	case e.Retention == 0:
		return e.now().Add(-defaultRetention), true
	}
	return e.now().Add(-e.Retention), true
}

const (
	defaultRetention      = 90 * 24 * time.Hour
	defaultRetentionBytes = 10 << 30
)

// retentionBytes returns how large events may be, and false for any size.
func (e *Engine) retentionBytes() (most int64, ends bool) {
	if e.RetentionBytes == 0 {
		return defaultRetentionBytes, true
	}
	return e.RetentionBytes, e.RetentionBytes > 0
}

// prune removes the oldest events of a connection: those that happened before the
// horizon, and as many as are too much.
func (e *Engine) prune(ctx context.Context, connection string) error {
	if most, bounded := e.retentionBytes(); bounded {
		if err := e.countEvents(ctx, connection, most/fewEvents); err != nil {
			return err
		}
	}
	for more := true; more; {
		due := false
		err := e.store().View(ctx, connection, func(_ context.Context, r store.Reader) (err error) {
			_, due, err = e.pruning(r, 1)
			return err
		})
		if err != nil || !due {
			return err
		}
		err = e.store().Update(ctx, connection, func(_ context.Context, tx store.Tx) error {
			p, due, err := e.pruning(tx, pruneBatch)
			if err != nil || !due {
				more = false
				return err
			}
			more = p.removed == pruneBatch
			return p.apply(tx)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// pruneEnded removes the events of deleted connections that are listed no more, and
// forgets the connections that have none left.
func (e *Engine) pruneEnded(ctx context.Context) error {
	var ended []records.Entry[records.Listed]
	err := e.store().View(ctx, store.Global, func(_ context.Context, r store.Reader) (err error) {
		ended, err = records.ConnectionEnded.List(r, "", 0)
		return err
	})
	for _, connection := range ended {
		if err := e.prune(ctx, connection.Key); err != nil {
			return err
		}
		if err := e.pruneRequests(ctx, connection.Key); err != nil {
			return err
		}
		empty := false
		err := e.store().View(ctx, connection.Key, func(_ context.Context, r store.Reader) error {
			first, last, err := r.EventRange()
			entries, logErr := r.LogEntries(store.LogQuery{Limit: 1})
			empty = (first > last || last == 0) && len(entries) == 0
			return errors.Join(err, logErr)
		})
		if err != nil {
			return err
		}
		if !empty {
			continue
		}
		err = e.store().Update(ctx, store.Global, func(_ context.Context, tx store.Tx) error {
			return records.ConnectionEnded.Clear(tx, connection.Key)
		})
		if err != nil {
			return err
		}
	}
	return err
}

// pruning is what is removed next.
type pruning struct {
	through int64 // the sequence of the last event that is removed
	removed int
	size    records.Entry[records.EventsSize] // without these
}

// pruning looks at the oldest events, at most so many, and reports whether any are
// removed. It does not part what one transaction appended: that has one time. An event
// of a clock that was ahead is as old as the next one that has a past; one of a clock
// that was behind stays as long as those before it.
func (e *Engine) pruning(r store.Reader, look int) (p pruning, due bool, err error) {
	first, last, err := r.EventRange()
	if err != nil || first == 0 || first > last {
		return p, false, err
	}
	if p.size, err = records.EventSize.Load(r, ""); err != nil {
		return p, false, err
	}
	list, err := r.Events(first-1, look)
	if err != nil {
		return p, false, err
	}
	oldest, ages := e.horizon()
	most, bounded := e.retentionBytes()
	past := int64(0) // what comes before it is older
	if now := e.now(); ages && len(list) > 0 && list[0].Time.After(now) {
		if past, err = pastAfter(r, first, last, now, oldest); err != nil {
			return p, false, err
		}
	}
	for i, ev := range list {
		old := ages && (ev.Time.Before(oldest) || ev.Sequence < past)
		large := bounded && p.size.Value.Bytes > most
		together := i > 0 && ev.Time.Equal(list[i-1].Time)
		if !old && !large && !together {
			break
		}
		p.through, p.removed = ev.Sequence, i+1
		if p.size.Stored() && ev.Sequence <= p.size.Value.Through {
			p.size.Value.Bytes -= eventSize(ev)
		}
	}
	return p, p.removed > 0, nil
}

// pastAfter returns the first event that is not of the future, if it is older than a
// time, or 0. All of the future before it came while the clock was ahead, so that few
// events are read to find it.
func pastAfter(r store.EventReader, first, last int64, now, oldest time.Time) (sequence int64, err error) {
	var found *store.Event
	sort.Search(int(last-first)+1, func(i int) bool {
		if err != nil {
			return true
		}
		var list []*store.Event
		if list, err = r.Events(first+int64(i), 1); err != nil || len(list) == 0 {
			return true
		}
		past := !list[0].Time.After(now)
		if past {
			found = list[0]
		}
		return past
	})
	if err != nil || found == nil || !found.Time.Before(oldest) {
		return 0, err
	}
	return found.Sequence, nil
}

func (p *pruning) apply(tx store.Tx) error {
	if _, err := tx.PruneEvents(p.through); err != nil || !p.size.Stored() {
		return err
	}
	p.size.Value.Through = max(p.size.Value.Through, p.through)
	return records.EventSize.Save(tx, &p.size)
}

// fewEvents is by how many bytes that may be kept one event may go uncounted.
const fewEvents = 1 << 20

// countEvents adds what was appended since the last time to the size of the events,
// unless these are few. Writes do not count: it would cost each of them a record.
func (e *Engine) countEvents(ctx context.Context, connection string, few int64) error {
	for {
		var (
			size  records.Entry[records.EventsSize]
			first int64
			left  bool
		)
		err := e.store().View(ctx, connection, func(_ context.Context, r store.Reader) (err error) {
			if size, err = records.EventSize.Load(r, ""); err != nil {
				return err
			}
			oldest, last, err := r.EventRange()
			if first, left = oldest, last-size.Value.Through > few; err != nil || !left {
				return err
			}
			list, err := r.Events(size.Value.Through, pruneBatch)
			for _, ev := range list {
				size.Value.Bytes += eventSize(ev)
				size.Value.Through = ev.Sequence
			}
			if len(list) == 0 {
				size.Value.Through = last // all were removed
			}
			return err
		})
		if err != nil || !left {
			return err
		}
		err = e.store().Update(ctx, connection, func(_ context.Context, tx store.Tx) error {
			if oldest, _, err := tx.EventRange(); err != nil || oldest != first {
				return errors.Join(err, errIf(oldest != first, store.ErrVersion))
			}
			return records.EventSize.Save(tx, &size)
		})
		if errors.Is(err, store.ErrVersion) {
			return nil // another process counts, too
		}
		if err != nil {
			return err
		}
	}
}

// eventSize returns about how many bytes an event takes.
func eventSize(ev *store.Event) int64 {
	text, err := json.Marshal(ev)
	if err != nil {
		return 0 // it was stored: it can be encoded
	}
	return int64(len(text))
}
