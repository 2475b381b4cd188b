package memory

import (
	"slices"

	"github.com/scimjit/provision/store"
)

// Events implements store.EventReader.
func (r reader) Events(after int64, limit int) ([]*store.Event, error) {
	skip := r.eventsThrough(after)
	packed := r.events[skip:]
	if limit > 0 && limit < len(packed) {
		packed = packed[:limit]
	}
	first := r.lastSequence - int64(len(r.events)) + int64(skip) + 1
	list := make([]*store.Event, len(packed))
	for i, p := range packed {
		list[i] = unpackEvent(p, first+int64(i))
	}
	return list, nil
}

// EventRange implements store.EventReader.
func (r reader) EventRange() (first, last int64, err error) {
	if r.lastSequence == 0 {
		return 0, 0, nil
	}
	return r.lastSequence - int64(len(r.events)) + 1, r.lastSequence, nil
}

// AppendEvent implements store.EventWriter. It copies e.
func (t *tx) AppendEvent(e *store.Event) error {
	t.lastSequence++
	e.Sequence = t.lastSequence
	t.events = append(t.events, packEvent(t.buffer, e))
	t.appended = append(t.appended, e)
	t.did(func() {
		t.lastSequence--
		last := len(t.events) - 1
		t.events[last] = ""
		t.events = t.events[:last]
	})
	return nil
}

// ReplaceEvent implements store.EventWriter. It copies e.
func (t *tx) ReplaceEvent(e *store.Event) (replaced bool, err error) {
	i := t.eventsThrough(e.Sequence) - 1
	if i < 0 || e.Sequence > t.lastSequence {
		return false, nil
	}
	old := t.events[i]
	t.events[i] = packEvent(t.buffer, e)
	for i, appended := range t.appended {
		if appended.Sequence == e.Sequence {
			t.appended[i] = e
		}
	}
	t.did(func() { t.events[i] = old })
	return true, nil
}

// PruneEvents implements store.EventWriter.
func (t *tx) PruneEvents(through int64) (int, error) {
	n := t.eventsThrough(through)
	if n == 0 {
		return 0, nil
	}
	old := t.events
	t.events = slices.Clone(old[n:]) // so that the removed ones are freed
	t.did(func() { t.events = old })
	return n, nil
}

// eventsThrough returns how many retained events have a sequence up to and
// including one. Sequences have no gaps.
func (s *scope) eventsThrough(sequence int64) int {
	pruned := s.lastSequence - int64(len(s.events))
	return int(min(max(sequence-pruned, 0), int64(len(s.events))))
}
