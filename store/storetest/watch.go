package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/scimjit/provision/policy"
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
	t.Run("handed over", s.handed)
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

// scopesOf returns the scopes in ascending order, or nil.
func scopesOf(list []store.Appended) (scopes []string) {
	for _, a := range list {
		scopes = append(scopes, a.Scope)
	}
	slices.Sort(scopes)
	return scopes
}

// handed tests what a watcher brings of the commits of its own process: that is what
// readers get, or nothing.
func (s *suite) handed(t *testing.T) {
	st := s.open(t)
	w := st.Watch()
	defer w.Close()
	person := &store.Account{ID: "a1", Connection: scope, UserName: "ada", Version: 1, Reasons: []policy.Reason{{Effect: policy.EffectHeld}}}
	for range 2 {
		update(t, st, func(tx store.Tx) error {
			put := person.Clone()
			put.Version++
			person = put
			ev := s.event("x")
			ev.AccountID = person.ID
			return all(tx.PutAccount(put), tx.AppendEvent(ev), tx.AppendEvent(s.event("y")))
		})
	}
	<-w.C()
	got := w.Take()
	if len(got) != 1 || got[0].Scope != scope {
		t.Fatalf("Take: %v", scopesOf(got))
	}
	view(t, st, func(r store.Reader) error {
		events, err := r.Events(0, 0)
		account, err2 := r.Account("a1")
		if n := len(got[0].Events); n > 0 {
			same(t, "events", asJSON(t, got[0].Events), asJSON(t, events[len(events)-n:]))
			same(t, "account", asJSON(t, got[0].Accounts[len(got[0].Accounts)-1]), asJSON(t, account))
		}
		return errors.Join(err, err2)
	})
	update(t, st, func(tx store.Tx) error {
		ev := s.event("x")
		ev.AccountID = person.ID
		return tx.AppendEvent(ev)
	})
	if got := w.Take(); len(got) != 1 || len(got[0].Events) > 0 {
		t.Errorf("an event of an account that its transaction did not put: %v", got)
	}
	update(t, st, func(tx store.Tx) error { // too many to keep
		for range 1000 {
			if err := tx.AppendEvent(s.event("x")); err != nil {
				return err
			}
		}
		return nil
	})
	if got := w.Take(); len(got) != 1 || len(got[0].Events) > 100 {
		t.Errorf("a large transaction: %q, %d events", scopesOf(got), len(got[0].Events))
	}
	if got := w.Take(); got != nil {
		t.Errorf("taken twice: %q", scopesOf(got))
	}
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
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
		same(t, what, scopesOf(got), want)
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
	if scopes := scopesOf(got); err != nil || !slices.Contains(scopes, "acme") || !slices.Contains(scopes, "globex") {
		t.Errorf("another watcher, which looks later: %q, %v", scopes, err)
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
