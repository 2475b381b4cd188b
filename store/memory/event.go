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

// LatestEvents implements store.EventReader.
func (r reader) LatestEvents(q store.EventQuery) (list []*store.Event, err error) {
	pruned := r.lastSequence - int64(len(r.events))
	before := r.lastSequence + 1
	if q.Before != 0 {
		before = min(before, q.Before)
	}
	take := func(sequence int64) (more bool) {
		if sequence <= pruned || q.Limit > 0 && len(list) == q.Limit {
			return false
		}
		list = append(list, unpackEvent(r.events[sequence-pruned-1], sequence))
		return true
	}
	if q.Account == "" {
		for sequence := before - 1; take(sequence); sequence-- {
		}
		return list, nil
	}
	of := r.eventsOf[q.Account]
	last, _ := slices.BinarySearch(of, before)
	for last--; last >= 0 && take(of[last]); last-- {
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
	t.listEvent(e)
	t.did(func() {
		t.unlistEvent(e)
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
	t.unlistPruned()
	return n, nil
}

// listEvent notes an event that was appended by its account.
func (s *scope) listEvent(e *store.Event) {
	if e.AccountID == "" {
		return
	}
	if s.eventsOf == nil {
		s.eventsOf = map[string][]int64{}
	}
	s.eventsOf[e.AccountID] = append(s.eventsOf[e.AccountID], e.Sequence)
	s.eventsListed++
}

// unlistEvent is the end of the newest event.
func (s *scope) unlistEvent(e *store.Event) {
	list := s.eventsOf[e.AccountID]
	if len(list) == 0 || list[len(list)-1] != e.Sequence {
		return
	}
	s.eventsListed--
	if len(list) == 1 {
		delete(s.eventsOf, e.AccountID)
		return
	}
	s.eventsOf[e.AccountID] = list[:len(list)-1]
}

// listedAhead is how many sequences of events that were pruned are kept before all are
// looked through: to do so costs as much as there are accounts.
const listedAhead = 10_000

// unlistPruned forgets the sequences of events that were pruned, where these are many.
func (t *tx) unlistPruned() {
	if t.eventsListed < 2*len(t.events)+listedAhead {
		return
	}
	old, listed := t.eventsOf, t.eventsListed
	pruned := t.lastSequence - int64(len(t.events))
	t.eventsOf, t.eventsListed = map[string][]int64{}, 0
	for account, list := range old {
		from, _ := slices.BinarySearch(list, pruned+1)
		if from < len(list) {
			t.eventsOf[account] = slices.Clone(list[from:])
			t.eventsListed += len(list) - from
		}
	}
	t.did(func() { t.eventsOf, t.eventsListed = old, listed })
}

// eventsThrough returns how many retained events have a sequence up to and
// including one. Sequences have no gaps.
func (s *scope) eventsThrough(sequence int64) int {
	pruned := s.lastSequence - int64(len(s.events))
	return int(min(max(sequence-pruned, 0), int64(len(s.events))))
}
