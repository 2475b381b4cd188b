package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/scimjit/provision/store"
)

// concurrency is the tier of many clients at once.
func (s *suite) concurrency(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, st store.Store)
	}{
		{"updates are serial", s.serial},
		{"updates of every kind", s.mixed},
		{"no member is lost", s.noLostMember},
		{"one conditional write wins", s.oneWinner},
		{"one holder of a unique key", s.oneHolder},
		{"one winner of a record", s.oneRecord},
		{"views are consistent", s.consistentViews},
		{"scopes in parallel", s.parallelScopes},
		{"values may be kept", s.keptValues},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s.open(t)) })
	}
}

// together runs fn in n goroutines and waits for them.
func together(t *testing.T, n int, fn func(i int) error) {
	t.Helper()
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { is(t, "goroutine "+strconv.Itoa(i), fn(i), nil) })
	}
	group.Wait()
}

// serial counts in a record without comparing versions across transactions:
// what one update read must still hold when it writes.
func (s *suite) serial(t *testing.T, st store.Store) {
	var inside atomic.Int32
	together(t, s.opts.Writers, func(int) error {
		return st.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error {
			if inside.Add(1) != 1 {
				t.Error("two updates of a scope run at once")
			}
			defer inside.Add(-1)
			r, err := tx.Record("lease", "n")
			switch {
			case errors.Is(err, store.ErrNotFound):
				r = &store.Record{Kind: "lease", Key: "n", Value: []byte("0")}
			case err != nil:
				return err
			}
			n, err := strconv.Atoi(string(r.Value))
			if err != nil {
				return err
			}
			return tx.PutRecord(&store.Record{Kind: "lease", Key: "n", Version: r.Version, Value: []byte(strconv.Itoa(n + 1))})
		})
	})
	view(t, st, func(r store.Reader) error {
		got, err := r.Record("lease", "n")
		if err == nil && string(got.Value) != strconv.Itoa(s.opts.Writers) {
			t.Errorf("counted to %s, want %d", got.Value, s.opts.Writers)
		}
		return err
	})
}

// mixed lets updates of several kinds wait for each other, as a store may commit them
// together: what one does not need or did not do must not count for the next.
func (s *suite) mixed(t *testing.T, st store.Store) {
	failure := errors.New("a failure")
	kinds := []func(tx store.Tx, i int) error{
		func(tx store.Tx, _ int) error { return tx.AppendEvent(s.event("x")) },
		func(tx store.Tx, i int) error {
			return tx.PutRecord(&store.Record{Kind: "lease", Key: strconv.Itoa(i), Value: []byte("v")})
		},
		func(tx store.Tx, i int) error { return tx.PutResource(s.user(strconv.Itoa(i))) },
		func(tx store.Tx, i int) error {
			return all(tx.PutResource(s.user(strconv.Itoa(i))), tx.AppendEvent(s.event("x")), failure)
		},
		func(store.Tx, int) error { return nil },
	}
	n := 2 * len(kinds) * max(1, s.opts.Writers/10)
	together(t, n, func(i int) error {
		err := st.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error { return kinds[i%len(kinds)](tx, i) })
		if errors.Is(err, failure) {
			return nil
		}
		return err
	})
	got, want := dump(t, st, scope), n/len(kinds)
	if got.Last != int64(want) || len(got.Events) != want || got.Total != want || len(got.Resources) != want || len(got.Records) != want {
		t.Errorf("%d events up to %d, %d resources of %d, %d records, want %d of each",
			len(got.Events), got.Last, len(got.Resources), got.Total, len(got.Records), want)
	}
	for i := range got.Resources[:max(0, len(got.Resources)-1)] {
		if got.Resources[i].Position >= got.Resources[i+1].Position {
			t.Errorf("positions %d and %d", got.Resources[i].Position, got.Resources[i+1].Position)
		}
	}
}

func (s *suite) noLostMember(t *testing.T, st store.Store) {
	update(t, st, func(tx store.Tx) error {
		err := tx.PutResource(s.group("g"))
		for i := range s.opts.Writers {
			err = all(err, tx.PutResource(s.user(strconv.Itoa(i))))
		}
		return err
	})
	together(t, s.opts.Writers, func(i int) error {
		return st.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error {
			return put(tx, "id-g", "id-"+strconv.Itoa(i))
		})
	})
	view(t, st, func(r store.Reader) error {
		rows, err := r.Memberships("id-g", "", 0)
		if len(rows) != s.opts.Writers {
			t.Errorf("%d members, want %d", len(rows), s.opts.Writers)
		}
		return err
	})
}

// oneWinner lets all replace the same version of one resource.
func (s *suite) oneWinner(t *testing.T, st store.Store) {
	update(t, st, func(tx store.Tx) error { return tx.PutResource(s.user("ann")) })
	wins := s.race(t, st, func(tx store.Tx, i int) error {
		r := s.resource("User", "id-ann", fmt.Sprintf(`{"userName":"ann","title":"%d"}`, i))
		r.Version = 2
		return tx.PutResource(r)
	})
	view(t, st, func(r store.Reader) error {
		got, err := r.Resource("User", "id-ann", 0)
		if err != nil {
			return err
		}
		title, _ := got.Document.Get("title")
		if got.Version != 2 || len(wins) != 1 || title.Text() != strconv.Itoa(wins[0]) {
			t.Errorf("winners %v; version %d of %s", wins, got.Version, title)
		}
		return nil
	})
}

// race runs a write in many updates at once and returns who succeeded. The
// others must have failed with ErrVersion or a conflict.
func (s *suite) race(t *testing.T, st store.Store, write func(tx store.Tx, i int) error) []int {
	t.Helper()
	won := make([]bool, s.opts.Writers)
	together(t, s.opts.Writers, func(i int) error {
		err := st.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error { return write(tx, i) })
		var taken *store.ConflictError
		if errors.Is(err, store.ErrVersion) || errors.As(err, &taken) {
			return nil
		}
		won[i] = err == nil
		return err
	})
	var wins []int
	for i, ok := range won {
		if ok {
			wins = append(wins, i)
		}
	}
	return wins
}

func (s *suite) oneHolder(t *testing.T, st store.Store) {
	wins := s.race(t, st, func(tx store.Tx, i int) error {
		return tx.PutResource(s.resource("User", "id-"+strconv.Itoa(i), `{"userName":"ann"}`))
	})
	got := dump(t, st, scope)
	if len(wins) != 1 || got.Total != 1 || got.Resources[0].ID != "id-"+strconv.Itoa(wins[0]) {
		t.Errorf("winners %v of %d resources", wins, got.Total)
	}
}

func (s *suite) oneRecord(t *testing.T, st store.Store) {
	wins := s.race(t, st, func(tx store.Tx, i int) error {
		return tx.PutRecord(&store.Record{Kind: "lease", Key: "k", Value: []byte(strconv.Itoa(i))})
	})
	got := dump(t, st, scope)
	if len(wins) != 1 || len(got.Records) != 1 || string(got.Records[0].Value) != strconv.Itoa(wins[0]) {
		t.Errorf("winners %v; records %+v", wins, got.Records)
	}
}

// consistentViews moves one member between two groups, with an event for each
// move: a view sees it in exactly one, and the events of just that move.
func (s *suite) consistentViews(t *testing.T, st store.Store) {
	groups := [2]string{"id-g0", "id-g1"}
	update(t, st, func(tx store.Tx) error {
		return all(tx.PutResource(s.group("g0")), tx.PutResource(s.group("g1")), tx.PutResource(s.user("ann")),
			put(tx, groups[0], "id-ann"))
	})
	const moves = 60
	var done atomic.Bool
	together(t, 4, func(i int) error {
		if i == 0 {
			defer done.Store(true)
			for n := range moves {
				err := st.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error {
					_, err := tx.DeleteMembership(groups[n%2], "id-ann", "")
					return all(err, tx.AppendEvent(s.event("x")), put(tx, groups[1-n%2], "id-ann"))
				})
				if err != nil {
					return err
				}
			}
			return nil
		}
		for !done.Load() {
			err := st.View(t.Context(), scope, func(_ context.Context, r store.Reader) error {
				_, last, err := r.EventRange()
				for g, id := range groups {
					in, memberErr := r.IsMember(id, "id-ann")
					if want := int(last%2) == g; in != want && memberErr == nil {
						t.Errorf("after move %d: member of %s: %t", last, id, in)
					}
					err = errors.Join(err, memberErr)
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// parallelScopes writes to many scopes at once: each gets just its own.
func (s *suite) parallelScopes(t *testing.T, st store.Store) {
	together(t, 8, func(i int) error {
		id := "scope" + strconv.Itoa(i)
		for n := range 20 {
			err := st.Update(t.Context(), id, func(_ context.Context, tx store.Tx) error {
				return all(tx.PutResource(s.user(strconv.Itoa(n))), tx.AppendEvent(s.event("x")))
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	for i := range 8 {
		got := dump(t, st, "scope"+strconv.Itoa(i))
		if got.Total != 20 || got.Last != 20 {
			t.Errorf("scope %d: %d resources, %d events", i, got.Total, got.Last)
		}
	}
}

// keptValues reads values of a view after it has ended, while others replace
// them. The race detector decides.
func (s *suite) keptValues(t *testing.T, st store.Store) {
	s.fill(t, st, scope)
	before := dump(t, st, scope)
	kept := dump(t, st, scope)
	update(t, st, func(tx store.Tx) error {
		r := s.resource("User", "id-ann", `{"userName":"renamed"}`)
		r.Version = 2
		a := s.account("acc-ann", "")
		a.Status, a.Roles = "disabled", nil
		_, err := tx.DeleteMembership("id-staff", "id-bob", "")
		return all(err, tx.PutResource(r), tx.PutAccount(a), tx.DeleteResource("User", "id-bob"))
	})
	same(t, "values read before", kept, before)
}
