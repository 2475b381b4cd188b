package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

// checkNumbers expects n users with positions that rise, and n events without gaps.
func checkNumbers(t *testing.T, s store.Store, n int) {
	t.Helper()
	view(t, s, func(r store.Reader) error {
		page, err := r.Query(store.Query{Types: []string{"User"}, Limit: 1000})
		if err != nil {
			return err
		}
		if page.Total != n || len(page.Resources) != n {
			t.Errorf("%d users are counted and %d found, want %d", page.Total, len(page.Resources), n)
		}
		events, err := r.Events(0, 0)
		if err != nil {
			return err
		}
		for i, e := range events {
			if e.Sequence != int64(i)+1 {
				t.Errorf("event %d has the sequence %d", i+1, e.Sequence)
			}
		}
		if first, last, err := r.EventRange(); err != nil || first != 1 || last != int64(n) || len(events) != n {
			t.Errorf("%d events, %d to %d, want %d; %v", len(events), first, last, n, err)
		}
		return nil
	})
}

// TestNumbersOfOthers writes by two stores in turns, as two processes do: neither goes
// on from numbers that the other has used, nor from those of what it has removed.
func TestNumbersOfOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	var stores [2]*sqlite.Store
	for i := range stores {
		s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		stores[i] = s
	}
	for n := range int64(12) {
		if err := create(stores[n/2%2], n); err != nil {
			t.Fatal(err)
		}
	}
	checkNumbers(t, stores[0], 12)

	var before int64
	update(t, stores[0], func(tx store.Tx) error {
		r := benchResource(100)
		err := tx.PutResource(r)
		before = r.Position
		return err
	})
	update(t, stores[1], func(tx store.Tx) error {
		if err := tx.AppendEvent(benchEvent(benchAccount(100))); err != nil {
			return err
		}
		if _, err := tx.PruneEvents(13); err != nil {
			return err
		}
		return tx.DeleteResource("User", userID(100))
	})
	update(t, stores[0], func(tx store.Tx) error {
		r, e := benchResource(101), benchEvent(benchAccount(101))
		if err := errors.Join(tx.PutResource(r), tx.AppendEvent(e)); err != nil {
			return err
		}
		if r.Position <= before || e.Sequence != 14 {
			t.Errorf("position %d after %d, event %d, want 14", r.Position, before, e.Sequence)
		}
		return nil
	})
}

// TestNumbersAfterFailures makes updates fail in all ways and expects that those which
// succeed count as if the others had not been.
func TestNumbersAfterFailures(t *testing.T) {
	s, tr := openTraced(t, sqlite.Config{})
	refused := errors.New("refused")
	fails := func(n int64) error {
		return s.Update(t.Context(), benchScope, func(_ context.Context, tx store.Tx) error {
			return errors.Join(createIn(tx, n), refused)
		})
	}
	panics := func() {
		defer func() { _ = recover() }()
		_ = s.Update(t.Context(), benchScope, func(_ context.Context, tx store.Tx) error {
			panic(createIn(tx, 50))
		})
	}
	if err := fails(50); !errors.Is(err, refused) { // the first of its scope
		t.Fatal(err)
	}
	good := int64(0)
	for _, failure := range []func(){
		func() { _ = fails(50) },
		panics,
		func() { tr.failOn("COMMIT", ioError) },
		func() { tr.failOn("UPDATE provision_scopes", ioError) },
		func() { tr.failOn("INSERT INTO provision_types", ioError) },
		func() { tr.failOn("INSERT INTO provision_events", ioError) },
		func() { tr.failOn("PRAGMA data_version", ioError) },
	} {
		if err := create(s, good); err != nil {
			t.Fatal(err)
		}
		good++
		failure()
		if tr.failing() {
			if err := create(s, 60); !errors.Is(err, ioError) {
				t.Errorf("error %v", err)
			}
		}
		tr.failOn("", nil)
	}
	if err := create(s, good); err != nil {
		t.Fatal(err)
	}
	checkNumbers(t, s, int(good)+1)
}

// TestNumbersOfBatch queues updates of two scopes behind one, some of which fail. Each
// scope is saved once with the commit, and nobody asks where it stands.
func TestNumbersOfBatch(t *testing.T) {
	s, tr := openTraced(t, sqlite.Config{})
	if err := create(s, 1000); err != nil {
		t.Fatal(err)
	}
	tr.take()
	const clients = 30
	refused := errors.New("refused")
	var wg sync.WaitGroup
	started, release := make(chan struct{}), make(chan struct{})
	wg.Go(func() {
		update(t, s, func(tx store.Tx) error {
			close(started)
			<-release
			return createIn(tx, 1001)
		})
	})
	<-started
	for n := range int64(clients) {
		scope := []string{benchScope, "other"}[n%2]
		wg.Go(func() {
			err := s.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error {
				if err := createIn(tx, n); err != nil || n%3 > 0 {
					return err
				}
				return refused
			})
			if (n%3 == 0) != errors.Is(err, refused) {
				t.Errorf("update %d: %v", n, err)
			}
		})
	}
	for s.Waiting() < clients {
		runtime.Gosched()
	}
	close(release)
	wg.Wait()
	queries := tr.take()
	commits := count(queries, "COMMIT")
	for start, most := range map[string]int{
		"PRAGMA data_version":     count(queries, "BEGIN"), // one that is refused as the first begins anew
		"UPDATE provision_scopes": 2 * commits, "INSERT INTO provision_types": 2 * commits,
		// Of the new scope, until an update of it has succeeded; and again in a batch that began anew.
		"SELECT position, sequence": 1 + clients/6 + commits,
	} {
		if n := count(queries, start); n > most {
			t.Errorf("%d times %s with %d commits", n, start, commits)
		}
	}
	checkNumbers(t, s, 2+clients/3)
	err := s.View(t.Context(), "other", func(_ context.Context, r store.Reader) error {
		_, last, err := r.EventRange()
		page, _ := r.Query(store.Query{})
		if last != clients/3 || page.Total != clients/3 {
			return fmt.Errorf("%d events and %d resources, want %d", last, page.Total, clients/3)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestCountInside expects that a total counts what the transaction itself has written,
// and the others of its batch.
func TestCountInside(t *testing.T) {
	s, _ := openTraced(t, sqlite.Config{})
	for round := range int64(2) {
		update(t, s, func(tx store.Tx) error {
			for n := range int64(3) {
				if err := createIn(tx, 10*round+n); err != nil {
					return err
				}
			}
			if err := tx.DeleteResource("User", userID(10*round)); err != nil {
				return err
			}
			for _, types := range [][]string{nil, {"User"}, {"User", "Group"}, {"Group"}} {
				page, err := tx.Query(store.Query{Types: types})
				if err != nil {
					return err
				}
				want := int(2 * (round + 1))
				if len(types) == 1 && types[0] == "Group" {
					want = 0
				}
				if page.Total != want {
					t.Errorf("round %d: %d of %q, want %d", round, page.Total, types, want)
				}
			}
			return nil
		})
	}
}
