package sqlstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
)

// State is what a scope counts. A Tx goes on from it and never asks the database for
// the next number. It is a value: one that was handed out does not change.
type State struct {
	Position int64 // of the resource that was made last
	Sequence int64 // of the last event
	Pruned   int64 // events up to this sequence were removed

	changed bool        // since it was read or saved
	counts  []typeCount // what has come to the stored counts of resources
}

type typeCount struct {
	typ     string
	added   int64
	deleted bool // something was
}

// Changed reports whether there is something to save.
func (s State) Changed() bool { return s.changed }

// ReadState returns the state of a scope, all zero where there is none.
func ReadState(conn Conn, scope any) (s State, err error) {
	err = conn.Query(selectState, func(row Scanner) error {
		return row.Scan(&s.Position, &s.Sequence, &s.Pruned)
	}, scope)
	return s, err
}

// Save writes what has changed, and returns the state with nothing left to save. The
// scope must have a row.
func (s State) Save(conn Conn, scope any) (State, error) {
	if !s.changed {
		return s, nil
	}
	n, err := conn.Exec(updateState, s.Position, s.Sequence, s.Pruned, scope)
	if err != nil {
		return s, err
	}
	if n != 1 {
		return s, fmt.Errorf("sqlstore: scope %v is gone", scope)
	}
	for _, c := range s.counts {
		query := addCount
		if c.deleted {
			query = addCountAndMark
		}
		if _, err := conn.Exec(query, scope, c.typ, c.added, rand.Int64()); err != nil {
			return s, err
		}
	}
	s.changed, s.counts = false, nil
	return s, nil
}

// ledger is the state of a Tx, read when it is first needed.
type ledger struct {
	State
	load func() (State, error) // nil once it was called
}

// begin makes the state ready to be read and changed.
func (l *ledger) begin() error {
	if l.load == nil {
		return nil
	}
	state, err := l.load()
	if err != nil {
		return err
	}
	state.counts = slices.Clone(state.counts) // others have the list, too
	l.State, l.load = state, nil
	return nil
}

func (l *ledger) at(position int64)    { l.Position, l.changed = position, true }
func (l *ledger) appended(last int64)  { l.Sequence, l.changed = last, true }
func (l *ledger) pruned(through int64) { l.Pruned, l.changed = through, true }

// count adds to the number of resources of a type.
func (l *ledger) count(typ string, n int64) {
	l.changed = true
	for i := range l.counts {
		if c := &l.counts[i]; c.typ == typ {
			c.added += n
			c.deleted = c.deleted || n < 0
			return
		}
	}
	l.counts = append(l.counts, typeCount{typ, n, n < 0})
}

// counted returns what has come to the stored counts of the types.
func (l *ledger) counted(types []string) (n int) {
	for _, c := range l.counts {
		if hasType(types, c.typ) {
			n += int(c.added)
		}
	}
	return n
}

// current returns the state of the scope as r sees it.
func (r *Reader) current() (State, error) {
	if r.ledger == nil {
		return ReadState(r.conn, r.scope)
	}
	err := r.ledger.begin()
	return r.ledger.State, err
}

// errChanged says that a row is not what it was when it was read under the lock.
var errChanged = errors.New("sqlstore: changed inside a transaction by somebody else")

// write runs a statement that is known to write some number of rows, by what was read
// before.
func (t *Tx) write(rows int, query string, args ...any) error {
	if t.pipeline != nil {
		return t.pipeline.Defer(rows, query, args...)
	}
	n, err := t.conn.Exec(query, args...)
	if err == nil && n != int64(rows) && rows != AnyRows {
		err = errChanged
	}
	return err
}
