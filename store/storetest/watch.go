package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/scimjit/provision/store"
)

// watch is the tier of [store.Watcher]. Another process, where Options.Join can
// be one, is heard like this one.
func (s *suite) watch(t *testing.T) {
	t.Run("here", func(t *testing.T) {
		st := s.open(t)
		s.watching(t, st, st)
	})
	if s.opts.Join != nil {
		t.Run("elsewhere", func(t *testing.T) {
			st := s.open(t)
			other := s.opts.Join(t, st)
			t.Cleanup(func() { _ = other.Close() })
			s.watching(t, st, other)
		})
	}
	t.Run("closed", func(t *testing.T) {
		st := s.open(t)
		w := st.Watch()
		defer w.Close()
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Look(t.Context()); err == nil {
			t.Error("Look of a closed store: no error")
		}
		late := st.Watch()
		defer late.Close()
		if _, err := late.Look(t.Context()); err == nil {
			t.Error("Watch and Look of a closed store: no error")
		}
	})
}

// watching watches st while writer writes.
func (s *suite) watching(t *testing.T, st, writer store.Store) {
	write := func(scope string, fail error) {
		t.Helper()
		err := writer.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error {
			return all(tx.AppendEvent(s.event("x")), tx.AppendEvent(s.event("y")), fail)
		})
		if !errors.Is(err, fail) {
			t.Fatal(err)
		}
	}
	expect := func(what string, w store.Watcher, want ...string) {
		t.Helper()
		got, err := w.Look(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		same(t, what, got, want)
	}
	write("before", nil)
	w, late := st.Watch(), st.Watch()
	defer w.Close()
	if _, err := w.Look(t.Context()); err != nil { // may name what was before
		t.Fatal(err)
	}
	expect("nothing happened", w)
	write("acme", nil)
	write("globex", nil)
	write("acme", nil)
	expect("two scopes", w, "acme", "globex")
	expect("told once", w)
	write("initech", errors.New("rolled back"))
	updateIn(t, writer, "records", func(tx store.Tx) error {
		return tx.PutRecord(&store.Record{Kind: "k", Key: "a", Value: []byte("1")})
	})
	expect("no event was committed", w)
	write("acme", nil)
	updateIn(t, writer, "acme", func(tx store.Tx) error {
		_, last, err := tx.EventRange()
		if err == nil {
			_, err = tx.PruneEvents(last)
		}
		return err
	})
	expect("appended and pruned", w, "acme")
	updateIn(t, writer, "acme", func(tx store.Tx) error {
		_, err := tx.PruneEvents(1000)
		return err
	})
	expect("pruned alone", w)

	got, err := late.Look(t.Context())
	if err != nil || !slices.Contains(got, "acme") || !slices.Contains(got, "globex") {
		t.Errorf("another watcher, which looks later: %q, %v", got, err)
	}
	late.Close()
	late.Close()

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	write("globex", nil)
	if _, err := w.Look(ended); err == nil {
		expect("a look that succeeded", w)
	} else {
		expect("after a look that failed", w, "globex")
	}
}
