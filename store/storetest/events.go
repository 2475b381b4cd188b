package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/scimjit/provision/store"
)

// events is the tier of the event stream.
func (s *suite) events(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, st store.Store)
	}{
		{"round trip", s.eventRoundTrip},
		{"pages", s.eventPages},
		{"newest first", s.eventLatest},
		{"rollback leaves no gap", s.eventGap},
		{"prune", s.eventPrune},
		{"replace", s.eventReplace},
		{"scopes count apart", s.eventScopes},
		{"writers and a reader", s.eventWriters},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s.open(t)) })
	}
}

func (s *suite) eventRoundTrip(t *testing.T, st store.Store) {
	full := s.event("x")
	small := &store.Event{Time: s.base(), Type: store.JobFinished, Connection: scope, Actor: store.Actor{Kind: "system"}}
	update(t, st, func(tx store.Tx) error { return all(tx.AppendEvent(full), tx.AppendEvent(small)) })
	if full.Sequence != 1 || small.Sequence != 2 {
		t.Errorf("sequences %d and %d, want 1 and 2", full.Sequence, small.Sequence)
	}
	view(t, st, func(r store.Reader) error {
		events, err := r.Events(0, 0)
		if err != nil || len(events) != 2 {
			t.Fatalf("Events: %d, %v", len(events), err)
		}
		for i, want := range []*store.Event{full, small} {
			got, gotErr := json.Marshal(events[i])
			text, wantErr := json.Marshal(want)
			same(t, "event as JSON", string(got), string(text))
			err = errors.Join(err, gotErr, wantErr)
		}
		return err
	})
}

func (s *suite) eventPages(t *testing.T, st store.Store) {
	s.append(t, st, 10)
	for _, test := range []struct {
		after       int64
		limit       int
		first, last int64
	}{
		{0, 0, 1, 10}, {0, 3, 1, 3}, {3, 3, 4, 6}, {9, 3, 10, 10}, {10, 3, 0, 0}, {99, 0, 0, 0}, {7, 0, 8, 10}, {-1, 2, 1, 2},
	} {
		view(t, st, func(r store.Reader) error {
			events, err := r.Events(test.after, test.limit)
			var want []int64
			for n := test.first; n > 0 && n <= test.last; n++ {
				want = append(want, n)
			}
			same(t, "sequences", sequences(events), want)
			return err
		})
	}
}

// eventLatest reads backwards: all events, and those of an account, also of what was
// pruned, replaced and rolled back.
func (s *suite) eventLatest(t *testing.T, st store.Store) {
	of := func(account string) *store.Event {
		e := s.event("x")
		e.AccountID = account
		return e
	}
	for _, account := range []string{"a", "b", "a", "", "a", "b", "", "a"} {
		update(t, st, func(tx store.Tx) error { return tx.AppendEvent(of(account)) })
	}
	failure := errors.New("no")
	is(t, "Update", st.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error {
		_, err := tx.PruneEvents(5)
		return all(err, tx.AppendEvent(of("a")), tx.AppendEvent(of("c")), failure)
	}), failure)
	expect := func(r store.Reader, q store.EventQuery, want ...int64) error {
		list, err := r.LatestEvents(q)
		same(t, fmt.Sprintf("%+v", q), sequences(list), want)
		return err
	}
	update(t, st, func(tx store.Tx) error {
		_, err := tx.PruneEvents(1)
		return all(err, tx.AppendEvent(of("b")), expect(tx, store.EventQuery{Account: "b"}, 9, 6, 2))
	})
	view(t, st, func(r store.Reader) error {
		return all(
			expect(r, store.EventQuery{}, 9, 8, 7, 6, 5, 4, 3, 2),
			expect(r, store.EventQuery{Limit: 3}, 9, 8, 7),
			expect(r, store.EventQuery{Limit: 3, Before: 7}, 6, 5, 4),
			expect(r, store.EventQuery{Before: 99, Limit: 1}, 9),
			expect(r, store.EventQuery{Before: 2}),
			expect(r, store.EventQuery{Before: -1}),
			expect(r, store.EventQuery{Account: "a"}, 8, 5, 3),
			expect(r, store.EventQuery{Account: "a", Limit: 2}, 8, 5),
			expect(r, store.EventQuery{Account: "a", Before: 5}, 3),
			expect(r, store.EventQuery{Account: "b", Before: 9, Limit: 1}, 6),
			expect(r, store.EventQuery{Account: "c"}),
		)
	})
}

// append appends n events, each in its own update.
func (s *suite) append(t *testing.T, st store.Store, n int) {
	t.Helper()
	for range n {
		update(t, st, func(tx store.Tx) error { return tx.AppendEvent(s.event("x")) })
	}
}

func sequences(events []*store.Event) []int64 {
	var list []int64
	for _, e := range events {
		list = append(list, e.Sequence)
	}
	return list
}

func (s *suite) eventGap(t *testing.T, st store.Store) {
	s.append(t, st, 2)
	failure := errors.New("no")
	err := st.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error {
		return all(tx.AppendEvent(s.event("x")), tx.AppendEvent(s.event("x")), failure)
	})
	is(t, "Update", err, failure)
	s.append(t, st, 1)
	same(t, "range", eventRange(t, st), [2]int64{1, 3})
	view(t, st, func(r store.Reader) error {
		events, err := r.Events(0, 0)
		same(t, "sequences", sequences(events), []int64{1, 2, 3})
		return err
	})
}

func eventRange(t *testing.T, st store.Store) (got [2]int64) {
	t.Helper()
	view(t, st, func(r store.Reader) error {
		first, last, err := r.EventRange()
		got = [2]int64{first, last}
		return err
	})
	return got
}

func (s *suite) eventPrune(t *testing.T, st store.Store) {
	same(t, "range of nothing", eventRange(t, st), [2]int64{0, 0})
	s.append(t, st, 5)
	for _, test := range []struct {
		through int64
		removed int
		want    [2]int64
	}{
		{0, 0, [2]int64{1, 5}}, {2, 2, [2]int64{3, 5}}, {1, 0, [2]int64{3, 5}}, {99, 3, [2]int64{6, 5}}, {99, 0, [2]int64{6, 5}},
	} {
		update(t, st, func(tx store.Tx) error {
			n, err := tx.PruneEvents(test.through)
			if n != test.removed {
				t.Errorf("PruneEvents(%d) = %d, want %d", test.through, n, test.removed)
			}
			return err
		})
		same(t, "range", eventRange(t, st), test.want)
	}
	s.append(t, st, 1)
	same(t, "range after pruning all", eventRange(t, st), [2]int64{6, 6})
	update(t, st, func(tx store.Tx) error {
		for _, want := range []int64{7, 8} {
			e := s.event("x")
			if err := tx.AppendEvent(e); err != nil {
				return err
			}
			if n, err := tx.PruneEvents(99); e.Sequence != want || n == 0 || err != nil {
				t.Errorf("sequence %d, pruned %d, %v; want %d and some", e.Sequence, n, err, want)
			}
		}
		return nil
	})
	same(t, "range after pruning in the same transaction", eventRange(t, st), [2]int64{9, 8})
}

// eventReplace replaces events of before, of the same transaction, and such as are
// not there.
func (s *suite) eventReplace(t *testing.T, st store.Store) {
	s.append(t, st, 5)
	update(t, st, func(tx store.Tx) error {
		_, err := tx.PruneEvents(2)
		return err
	})
	small := func(sequence int64) *store.Event {
		return &store.Event{Sequence: sequence, Time: s.base(), Type: store.AccountUpdated, Connection: scope, Actor: store.Actor{Kind: "scim"}, AccountID: "acc"}
	}
	update(t, st, func(tx store.Tx) error {
		err := tx.AppendEvent(s.event("x")) // 6
		for sequence := int64(-1); sequence < 9; sequence++ {
			if sequence == 5 {
				continue
			}
			replaced, fault := tx.ReplaceEvent(small(sequence))
			if want := sequence >= 3 && sequence <= 6; replaced != want || fault != nil {
				t.Errorf("ReplaceEvent(%d) = %t, %v", sequence, replaced, fault)
			}
		}
		return all(err, tx.AppendEvent(s.event("y")))
	})
	same(t, "range", eventRange(t, st), [2]int64{3, 7})
	view(t, st, func(r store.Reader) error {
		events, err := r.Events(0, 0)
		same(t, "sequences", sequences(events), []int64{3, 4, 5, 6, 7})
		for _, e := range events {
			if replaced := e.Changes == nil; replaced != (e.Sequence != 5 && e.Sequence != 7) {
				t.Errorf("event %d is replaced: %t", e.Sequence, replaced)
			}
			if e.Changes == nil {
				got, gotErr := json.Marshal(e)
				text, wantErr := json.Marshal(small(e.Sequence))
				same(t, "event as JSON", string(got), string(text))
				err = errors.Join(err, gotErr, wantErr)
			}
		}
		return err
	})
	update(t, st, func(tx store.Tx) error { // of a transaction that fails, after pruning
		err := tx.AppendEvent(s.event("z"))
		_, fault := tx.PruneEvents(4)
		return all(err, fault)
	})
	failure := errors.New("no")
	err := st.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error {
		_, first := tx.ReplaceEvent(small(5))
		_, pruned := tx.PruneEvents(5)
		_, second := tx.ReplaceEvent(small(7))
		err := all(first, pruned, second)
		for range 20 {
			err = all(err, tx.AppendEvent(s.event("z")))
		}
		return all(err, failure)
	})
	is(t, "Update", err, failure)
	view(t, st, func(r store.Reader) error {
		events, err := r.Events(0, 0)
		same(t, "sequences", sequences(events), []int64{5, 6, 7, 8})
		if err == nil && (events[0].Changes == nil || events[2].Changes == nil) {
			t.Error("an event is replaced by a transaction that failed")
		}
		return err
	})
}

func (s *suite) eventScopes(t *testing.T, st store.Store) {
	s.append(t, st, 3)
	e := s.event("x")
	updateIn(t, st, "other", func(tx store.Tx) error { return tx.AppendEvent(e) })
	if e.Sequence != 1 {
		t.Errorf("the first sequence of another scope is %d", e.Sequence)
	}
}

// eventWriters checks what a consumer with a cursor relies on: once it has seen
// a sequence, nothing at or below appears later.
func (s *suite) eventWriters(t *testing.T, st store.Store) {
	const writers, each = 2, 25
	failures := make(chan error, writers)
	for range writers {
		go func() {
			failures <- func() error {
				for i := range each {
					err := st.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error {
						err := all(tx.AppendEvent(s.event("a")), tx.AppendEvent(s.event("b")))
						if i%5 == 4 && err == nil {
							return errRollback
						}
						return err
					})
					if err != nil && !errors.Is(err, errRollback) {
						return err
					}
				}
				return nil
			}()
		}()
	}
	const total = writers * (each - each/5) * 2
	var cursor int64
	for running := writers; cursor < total; {
		view(t, st, func(r store.Reader) error {
			events, err := r.Events(cursor, 7)
			for i, e := range events {
				if e.Sequence != cursor+int64(i)+1 {
					t.Fatalf("sequence %d after %d", e.Sequence, cursor+int64(i))
				}
			}
			cursor += int64(len(events))
			return err
		})
		if running > 0 && cursor < total {
			select {
			case err := <-failures:
				running--
				is(t, "a writer", err, nil)
			default:
			}
		} else if running == 0 && cursor < total && eventRange(t, st)[1] != total {
			t.Fatalf("the stream ends at %d, want %d", eventRange(t, st)[1], total)
		}
	}
	same(t, "range", eventRange(t, st), [2]int64{1, total})
}

// errRollback ends an update of the tests that must leave nothing.
var errRollback = errors.New("storetest: roll back")
