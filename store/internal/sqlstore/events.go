package sqlstore

import (
	"math"

	"github.com/scimjit/provision/store"
)

// Events implements [store.EventReader].
func (r *Reader) Events(after int64, limit int) ([]*store.Event, error) {
	return r.events(eventsAfter, r.scope, after, rowLimit(limit))
}

// LatestEvents implements [store.EventReader].
func (r *Reader) LatestEvents(q store.EventQuery) ([]*store.Event, error) {
	before := q.Before
	if before == 0 {
		before = math.MaxInt64
	}
	if q.Account == "" {
		return r.events(latestEvents, r.scope, before, rowLimit(q.Limit))
	}
	return r.events(latestOf, r.scope, q.Account, before, rowLimit(q.Limit))
}

// events returns what a statement finds.
func (r *Reader) events(query string, args ...any) (found []*store.Event, err error) {
	var (
		sequence int64
		data     []byte
	)
	err = r.conn.Query(query, func(row Scanner) error {
		if err := row.Scan(&sequence, &data); err != nil {
			return err
		}
		e, err := decodeEvent(data, sequence)
		if err != nil {
			return err
		}
		found = append(found, e)
		return nil
	}, args...)
	return found, err
}

// EventRange implements [store.EventReader].
func (r *Reader) EventRange() (first, last int64, err error) {
	state, err := r.current()
	if err != nil || state.Sequence == 0 {
		return 0, 0, err
	}
	return state.Pruned + 1, state.Sequence, nil
}

// AppendEvent implements [store.EventWriter].
func (t *Tx) AppendEvent(e *store.Event) error {
	data, err := encodeEvent(e)
	if err != nil {
		return err
	}
	if err := t.ledger.begin(); err != nil {
		return err
	}
	sequence := t.ledger.Sequence + 1
	if err := t.write(1, appendEvent, t.scope, sequence, orNull(e.AccountID), data); err != nil {
		return err
	}
	t.ledger.appended(sequence)
	e.Sequence = sequence
	t.appended = append(t.appended, e)
	return nil
}

// ReplaceEvent implements [store.EventWriter].
func (t *Tx) ReplaceEvent(e *store.Event) (replaced bool, err error) {
	data, err := encodeEvent(e)
	if err != nil {
		return false, err
	}
	var n int64
	if t.pipeline == nil {
		n, err = t.conn.Exec(replaceEvent, data, t.scope, e.Sequence)
	} else if err = t.ledger.begin(); err == nil && e.Sequence > t.ledger.Pruned && e.Sequence <= t.ledger.Sequence {
		n, err = 1, t.write(1, replaceEvent, data, t.scope, e.Sequence)
	}
	for i, appended := range t.appended {
		if appended.Sequence == e.Sequence {
			t.appended[i] = e
		}
	}
	return n > 0, err
}

// PruneEvents implements [store.EventWriter].
func (t *Tx) PruneEvents(through int64) (int, error) {
	if err := t.ledger.begin(); err != nil {
		return 0, err
	}
	through = min(through, t.ledger.Sequence)
	if through <= t.ledger.Pruned {
		return 0, nil
	}
	n := int(through - t.ledger.Pruned) // sequences have no gaps
	if err := t.write(n, pruneEvents, t.scope, through); err != nil {
		return 0, err
	}
	t.ledger.pruned(through)
	return n, nil
}
