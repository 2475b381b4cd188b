package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
)

// replicas opens the same data some times, as other processes do.
func replicas(t *testing.T, config postgres.Config, n int) []*postgres.Store {
	t.Helper()
	list := make([]*postgres.Store, n)
	for i := range list {
		list[i] = open(t, config)
	}
	return list
}

// race runs fn many times on all replicas at once.
func race(list []*postgres.Store, times int, fn func(s *postgres.Store, i int)) {
	var group sync.WaitGroup
	for i := range times {
		group.Go(func() { fn(list[i%len(list)], i) })
	}
	group.Wait()
}

// TestPostgreSQLReplicas lets two Stores write the same scope.
func TestPostgreSQLReplicas(t *testing.T) {
	const times = 60
	db := newDatabase(t)
	for _, partitions := range []int{0, 4} {
		config := db.config()
		config.Partitions = partitions
		list := replicas(t, config, 2)

		var named, won atomic.Int64
		race(list, times, func(s *postgres.Store, i int) { // no event and no member is lost
			err := s.Update(t.Context(), "acme", func(ctx context.Context, tx store.Tx) error {
				if _, err := tx.PutMembership(store.Membership{Group: "g", Member: strconv.Itoa(i), Source: store.SourceSCIM, Kind: "User"}); err != nil {
					return err
				}
				return appendEvent(ctx, tx)
			})
			if err != nil {
				t.Error(err)
			}
		})
		race(list, times, func(s *postgres.Store, i int) { // one has the name
			err := s.Update(t.Context(), "acme", func(_ context.Context, tx store.Tx) error {
				return tx.PutResource(&store.Resource{
					Type: "User", ID: fmt.Sprint("u", i), Version: 1, Document: store.Document(`{}`),
					Keys: []store.Key{{Attribute: "userName", Value: "ann", Unique: true}},
				})
			})
			count(t, &named, err)
		})
		race(list, times, func(s *postgres.Store, i int) { // one conditional write wins
			err := s.Update(t.Context(), "acme", func(_ context.Context, tx store.Tx) error {
				return tx.PutRecord(&store.Record{Kind: "lease", Key: "k", Value: []byte(strconv.Itoa(i))})
			})
			count(t, &won, err)
		})
		if named.Load() != 1 || won.Load() != 1 {
			t.Errorf("%d partitions: %d have the name, %d won", partitions, named.Load(), won.Load())
		}
		for i, s := range list {
			if got := lastEvent(t, s, "acme"); got != times {
				t.Errorf("replica %d: %d events, want %d", i, got, times)
			}
			err := s.View(t.Context(), "acme", func(_ context.Context, r store.Reader) error {
				members, err := r.Memberships("g", "", 0)
				if len(members) != times {
					t.Errorf("replica %d: %d members, want %d", i, len(members), times)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
}

// count counts a write that won. Any other must have lost to it.
func count(t *testing.T, won *atomic.Int64, err error) {
	t.Helper()
	var conflict *store.ConflictError
	switch {
	case err == nil:
		won.Add(1)
	case !errors.As(err, &conflict) && !errors.Is(err, store.ErrVersion):
		t.Error(err)
	}
}

// TestPostgreSQLLockHeld holds the lock of a scope: its updates fail in time, and
// others do not notice.
func TestPostgreSQLLockHeld(t *testing.T) {
	db := newDatabase(t)
	config := db.config()
	config.LockTimeout = 100 * time.Millisecond
	s := open(t, config)
	if err := s.Update(t.Context(), "acme", appendEvent); err != nil {
		t.Fatal(err)
	}
	holder, err := db.connect(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holder.Exec(t.Context(), `SELECT FROM `+config.Schema+`.provision_scopes WHERE scope = 'acme' FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	unavailable(t, "an update of a scope that is locked", s.Update(t.Context(), "acme", func(_ context.Context, tx store.Tx) error {
		if _, err := tx.Record("lease", "k"); err == nil || errors.Is(err, store.ErrNotFound) {
			t.Errorf("it reads: %v", err)
		}
		return nil
	}))
	if err := s.Update(t.Context(), "other", appendEvent); err != nil {
		t.Errorf("another scope: %v", err)
	}
	if got := lastEvent(t, s, "acme"); got != 1 {
		t.Errorf("a view of the scope: %d events, want 1", got)
	}
	if err := holder.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), "acme", appendEvent); err != nil {
		t.Errorf("after the lock was released: %v", err)
	}
}

// TestPostgreSQLHolderStops lets an update stand still that has the lock: the server
// cuts it off, another replica writes, and the first runs again after that.
func TestPostgreSQLHolderStops(t *testing.T) {
	db := newDatabase(t)
	config := db.config()
	config.IdleTimeout = 200 * time.Millisecond
	list := replicas(t, config, 2)
	inside, goOn, stopped := make(chan struct{}, 1), make(chan struct{}), make(chan error, 1)
	runs := 0
	go func() {
		stopped <- list[0].Update(context.WithoutCancel(t.Context()), "acme", func(ctx context.Context, tx store.Tx) error {
			if _, _, err := tx.EventRange(); err != nil { // it has the lock from here on
				return err
			}
			if runs++; runs == 1 {
				inside <- struct{}{}
				<-goOn
			}
			return appendEvent(ctx, tx)
		})
	}()
	<-inside
	if err := list[1].Update(t.Context(), "acme", appendEvent); err != nil {
		t.Errorf("another replica: %v", err)
	}
	close(goOn)
	if err := <-stopped; err != nil || runs < 2 {
		t.Errorf("the one that stopped: %d runs, %v", runs, err)
	}
	if got := lastEvent(t, list[0], "acme"); got != 2 {
		t.Errorf("%d events, want 2", got)
	}
}

// TestPostgreSQLSmallPool passes with few connections, as nobody who has one asks for
// another.
func TestPostgreSQLSmallPool(t *testing.T) {
	db := newDatabase(t)
	for _, size := range []int{1, 2} {
		config := db.config()
		config.URL += fmt.Sprintf(" pool_max_conns=%d", size)
		config.AcquireTimeout = time.Minute // a busy machine fails nobody
		s := open(t, config)
		w := s.Watch()
		race([]*postgres.Store{s}, 40, func(s *postgres.Store, i int) {
			scope := fmt.Sprint("scope", i%5)
			if err := s.Update(t.Context(), scope, appendEvent); err != nil {
				t.Errorf("%d connections: update: %v", size, err)
			}
			if _, err := s.Scan(t.Context(), scope, store.Query{Sort: &store.Sort{}, Limit: 10}); err != nil {
				t.Errorf("%d connections: scan: %v", size, err)
			}
			lastEvent(t, s, scope)
		})
		if heard, err := w.Look(t.Context()); err != nil || len(heard) != 5 {
			t.Errorf("%d connections: heard of %d scopes, %v", size, len(heard), err)
		}
		w.Close()
	}
}

// TestPostgreSQLBackPressure lets no more updates wait than may.
func TestPostgreSQLBackPressure(t *testing.T) {
	db := newDatabase(t)
	config := db.config()
	config.MaxWaiting = 2
	s := open(t, config)
	inside, goOn := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		err := s.Update(t.Context(), "acme", func(context.Context, store.Tx) error {
			close(inside)
			<-goOn
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-inside
	for range 2 {
		group.Go(func() {
			if err := s.Update(t.Context(), "acme", appendEvent); err != nil {
				t.Error(err)
			}
		})
	}
	for s.Waiting() < 3 {
		time.Sleep(time.Millisecond) // two wait in goroutines of their own
	}
	unavailable(t, "one too many", s.Update(t.Context(), "acme", appendEvent))
	if err := s.Update(t.Context(), "other", appendEvent); err != nil {
		t.Errorf("another scope: %v", err)
	}
	close(goOn)
	group.Wait()
}

// TestPostgreSQLGroupCommit commits updates together that wait for each other. One that
// fails takes nothing with it.
func TestPostgreSQLGroupCommit(t *testing.T) {
	const times = 40
	db := newDatabase(t)
	s := open(t, db.config())
	var commits, parts atomic.Int64
	postgres.Sent(s, func(text string, _ []any) {
		switch {
		case text == "COMMIT":
			commits.Add(1)
		case strings.HasPrefix(text, "SAVEPOINT"):
			parts.Add(1)
		}
	})
	failure := errors.New("a failure")
	var group sync.WaitGroup
	err := s.Update(t.Context(), "acme", func(ctx context.Context, tx store.Tx) error {
		for i := range times {
			group.Go(func() {
				fails := i%4 == 0
				err := s.Update(t.Context(), "acme", func(ctx context.Context, tx store.Tx) error {
					if i%4 == 1 { // it neither reads nor changes what the scope counts
						return tx.PutRecord(&store.Record{Kind: "lease", Key: strconv.Itoa(i), Value: []byte("x")})
					}
					err := appendEvent(ctx, tx)
					if err == nil && fails {
						err = failure
					}
					return err
				})
				if fails != errors.Is(err, failure) || !fails && err != nil {
					t.Error(err)
				}
			})
		}
		for s.Waiting() <= times {
			time.Sleep(time.Millisecond) // they wait in goroutines of their own
		}
		return appendEvent(ctx, tx)
	})
	group.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if got := commits.Load(); got > times/4 || parts.Load() == 0 {
		t.Errorf("%d commits with %d parts of %d updates", got, parts.Load(), times+1)
	}
	if got := lastEvent(t, s, "acme"); got != 1+times/2 {
		t.Errorf("%d events, want %d", got, 1+times/2)
	}
	if err := s.Update(t.Context(), "alone", appendEvent); err != nil {
		t.Fatal(err)
	}
}
