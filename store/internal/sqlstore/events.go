package sqlstore

import (
	"fmt"

	"github.com/scimjit/provision/store"
)

// Events implements [store.EventReader].
func (r *Reader) Events(after int64, limit int) (found []*store.Event, err error) {
	var (
		sequence int64
		data     []byte
	)
	err = r.conn.Query(eventsAfter, func(row Scanner) error {
		if err := row.Scan(&sequence, &data); err != nil {
			return err
		}
		e, err := decodeEvent(data, sequence)
		if err != nil {
			return err
		}
		found = append(found, e)
		return nil
	}, r.scope, after, rowLimit(limit))
	return found, err
}

// EventRange implements [store.EventReader].
func (r *Reader) EventRange() (first, last int64, err error) {
	first, last, pruned, err := r.eventRange()
	if err == nil && first == 0 && pruned > 0 {
		first, last = pruned+1, pruned
	}
	return first, last, err
}

// eventRange returns the oldest and newest retained sequence, 0 for none, and
// up to which sequence events were pruned.
func (r *Reader) eventRange() (first, last, pruned int64, err error) {
	err = r.conn.Query(eventRange, func(row Scanner) error { return row.Scan(&first, &last, &pruned) }, r.scope)
	return first, last, pruned, err
}

const appendNextEvent = `INSERT INTO provision_events (scope, sequence, data) VALUES (?, ?, ?)`

// AppendEvent implements [store.EventWriter].
func (t *Tx) AppendEvent(e *store.Event) error {
	data, err := encodeEvent(e)
	if err != nil {
		return err
	}
	sequence, err := t.insertEvent(data)
	if err != nil {
		return err
	}
	e.Sequence = sequence
	t.appended = append(t.appended, e)
	return nil
}

// insertEvent stores an event after the last one. Only the first of a
// transaction has to find out which that is.
func (t *Tx) insertEvent(data string) (sequence int64, err error) {
	if n := len(t.appended); n > 0 {
		sequence = t.appended[n-1].Sequence + 1
		_, err = t.conn.Exec(appendNextEvent, t.scope, sequence, data)
		return sequence, err
	}
	err = t.conn.Query(appendEvent, func(row Scanner) error { return row.Scan(&sequence) }, data, t.scope)
	if err == nil && sequence == 0 {
		err = fmt.Errorf("sqlstore: scope %d is gone", t.scope)
	}
	return sequence, err
}

// ReplaceEvent implements [store.EventWriter].
func (t *Tx) ReplaceEvent(e *store.Event) (replaced bool, err error) {
	data, err := encodeEvent(e)
	if err != nil {
		return false, err
	}
	n, err := t.conn.Exec(replaceEvent, data, t.scope, e.Sequence)
	for i, appended := range t.appended {
		if appended.Sequence == e.Sequence {
			t.appended[i] = e
		}
	}
	return n > 0, err
}

// PruneEvents implements [store.EventWriter].
func (t *Tx) PruneEvents(through int64) (int, error) {
	_, last, _, err := t.eventRange()
	if err != nil || last == 0 {
		return 0, err
	}
	n, err := t.conn.Exec(pruneEvents, t.scope, through)
	if err != nil || n == 0 {
		return 0, err
	}
	_, err = t.conn.Exec(prunedUntil, min(through, last), t.scope)
	return int(n), err
}
