package storetest

import (
	"testing"

	"github.com/scimjit/provision/store"
)

// durable is the tier of stores that outlive their process.
func (s *suite) durable(t *testing.T) {
	st := s.open(t)
	s.fill(t, st, scope)
	s.fill(t, st, "other")
	update(t, st, func(tx store.Tx) error {
		_, err := tx.PruneEvents(1)
		return all(err, tx.DeleteResource("User", "id-bob"))
	})
	s.crew(t, st, "staged")
	s.crew(t, st, twin)
	updateIn(t, st, "staged", stageSome)
	same(t, "a stage, before opening again", ask(t, st, "staged"), ask(t, st, twin))
	want := map[string]state{"staged": dump(t, st, "staged"), scope: dump(t, st, scope), "other": dump(t, st, "other")}

	st = s.opts.Reopen(t, st)
	t.Cleanup(func() { _ = st.Close() })
	for id, state := range want {
		same(t, "scope "+id+" after opening again", dump(t, st, id), state)
	}
	updateIn(t, st, "staged", func(tx store.Tx) error { return tx.ShowStage(7) })
	st = s.opts.Reopen(t, st)
	t.Cleanup(func() { _ = st.Close() })
	stageTwin(t, st)
	same(t, "a stage that was shown, after opening again", ask(t, st, "staged"), ask(t, st, twin))
	s.positionsGoOn(t, st)
	s.eventsGoOn(t, st)
}

// positionsGoOn checks that the position of a deleted resource is not used
// again.
func (s *suite) positionsGoOn(t *testing.T, st store.Store) {
	r := s.user("carl")
	update(t, st, func(tx store.Tx) error { return tx.PutResource(r) })
	if r.Position <= 3 {
		t.Errorf("position %d after opening again, want more than 3", r.Position)
	}
	update(t, st, func(tx store.Tx) error {
		conflict(t, tx.PutResource(s.resource("User", "id-x", `{"userName":"ANN"}`)), "userName", "id-ann")
		return nil
	})
}

func (s *suite) eventsGoOn(t *testing.T, st store.Store) {
	update(t, st, func(tx store.Tx) error {
		_, err := tx.PruneEvents(99)
		return err
	})
	st = s.opts.Reopen(t, st)
	t.Cleanup(func() { _ = st.Close() })
	same(t, "range after pruning all", eventRange(t, st), [2]int64{3, 2})
	e := s.event("x")
	update(t, st, func(tx store.Tx) error { return tx.AppendEvent(e) })
	if e.Sequence != 3 {
		t.Errorf("sequence %d after opening again, want 3", e.Sequence)
	}
}
