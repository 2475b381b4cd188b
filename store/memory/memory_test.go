package memory_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return memory.New() }, storetest.Options{})
}

func TestSame(t *testing.T) {
	for seed := range uint64(5) {
		storetest.RunSame(t, seed, 200, memory.New(), memory.New())
	}
}

func FuzzSame(f *testing.F) {
	f.Add(uint64(1), uint8(50))
	f.Fuzz(func(t *testing.T, seed uint64, steps uint8) {
		storetest.RunSame(t, seed, int(steps), memory.New())
	})
}

// TestMany has more resources and members than a chunk holds, in random order,
// with removals and rollbacks between, and compares every page with a model.
func TestMany(t *testing.T) {
	const users = 3000
	s := memory.New()
	random := rand.New(rand.NewPCG(1, 2))
	ids := map[string]bool{}
	created := []string{} // in order of creation, deleted ones included
	rollback := errors.New("roll back")

	update := func(fn func(tx store.Tx) error) {
		t.Helper()
		err := s.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error {
			return fn(tx)
		})
		if err != nil && !errors.Is(err, rollback) {
			t.Fatal(err)
		}
	}
	add := func(tx store.Tx, id string) error {
		r := &store.Resource{ID: id, Type: "User", Version: 1, Document: store.Document(`{}`), Keys: []store.Key{{Attribute: "shared", Value: "x"}}}
		if err := tx.PutResource(r); err != nil {
			return err
		}
		_, err := tx.PutMembership(store.Membership{Group: "group", Member: id, Source: store.SourceSCIM})
		return errors.Join(err, tx.PutAccount(&store.Account{ID: id}), tx.PutRecord(&store.Record{Kind: "k", Key: id}))
	}
	update(func(tx store.Tx) error {
		return tx.PutResource(&store.Resource{ID: "group", Type: "Group", Version: 1, Document: store.Document(`{}`)})
	})
	for len(ids) < users {
		id := strconv.Itoa(random.IntN(1 << 30))
		ids[id] = true
		created = append(created, id)
		update(func(tx store.Tx) error { return add(tx, id) })
		if len(ids)%100 == 0 {
			update(func(tx store.Tx) error {
				err := errors.Join(tx.DeleteResource("Group", "group"), tx.DeleteResource("User", id))
				for i := range 600 {
					err = errors.Join(err, tx.PutResource(&store.Resource{ID: "new" + strconv.Itoa(i), Type: "User", Version: 1}))
				}
				return errors.Join(err, rollback)
			})
		}
		if len(ids)%3 == 0 {
			victim := created[random.IntN(len(created))]
			if ids[victim] {
				delete(ids, victim)
				update(func(tx store.Tx) error {
					return errors.Join(tx.DeleteResource("User", victim), tx.DeleteRecord("k", victim, 0))
				})
			}
		}
	}
	created = slices.DeleteFunc(created, func(id string) bool { return !ids[id] })
	comparePages(t, s, created)
}

// comparePages compares pages of everything with the ids in order of creation.
func comparePages(t *testing.T, s store.Store, created []string) {
	t.Helper()
	sorted := slices.Sorted(slices.Values(created))
	err := s.View(t.Context(), scope, func(_ context.Context, r store.Reader) error {
		shared := store.Compare{Path: store.Path{Keys: []string{"id"}}, Op: store.EQ, Key: "shared", Folded: "x"}
		for offset := 0; offset <= len(created); offset += 97 {
			page, err := r.Query(store.Query{Types: []string{"User"}, Offset: offset, Limit: 97})
			var got []string
			for _, one := range page.Resources {
				got = append(got, one.ID)
			}
			if want := created[offset:min(offset+97, len(created))]; err != nil || !slices.Equal(got, want) || page.Total != len(created) {
				t.Fatalf("page at %d of %d: %v, want %v, %v", offset, page.Total, got, want, err)
			}
			after := ""
			if offset > 0 {
				after = sorted[offset-1]
			}
			want := sorted[offset:min(offset+97, len(sorted))]
			rows, memberErr := r.Memberships("group", after, 97)
			records, recordErr := r.Records("k", after, 97)
			if err := errors.Join(memberErr, recordErr); err != nil || len(rows) != len(want) || len(records) != len(want) {
				t.Fatalf("after %q: %d members and %d records, want %d, %v", after, len(rows), len(records), len(want), err)
			}
			for i, id := range want {
				if rows[i].Member != id || records[i].Key != id {
					t.Fatalf("after %q: member %q, record %q, want %q", after, rows[i].Member, records[i].Key, id)
				}
			}
		}
		page, err := r.Query(store.Query{Filter: store.Or{shared, store.MemberOf{Group: "group"}}, NoTotal: true})
		if err != nil || page.Total != 0 {
			t.Errorf("no total: %d, %v", page.Total, err)
		}
		page, err = r.Query(store.Query{Filter: store.MemberOf{Group: "group"}})
		if page.Total != len(created) {
			t.Errorf("%d members are found, want %d", page.Total, len(created))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestViewsTogether needs two views inside at the same time to end.
func TestViewsTogether(t *testing.T) {
	s := memory.New()
	if err := s.Update(t.Context(), scope, func(context.Context, store.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	var inside, all sync.WaitGroup
	inside.Add(2)
	for range 2 {
		all.Go(func() {
			err := s.View(t.Context(), scope, func(context.Context, store.Reader) error {
				inside.Done()
				inside.Wait()
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// TestWaiting ends the contexts of a view and an update that wait for a scope,
// and checks that the scope still works.
func TestWaiting(t *testing.T) {
	s := memory.New()
	entered, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		err := s.Update(context.WithoutCancel(t.Context()), scope, func(context.Context, store.Tx) error {
			close(entered)
			<-release
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	view := s.View(ctx, scope, func(context.Context, store.Reader) error { return nil })
	update := s.Update(ctx, scope, func(context.Context, store.Tx) error { return nil })
	if !errors.Is(view, context.DeadlineExceeded) || !errors.Is(update, context.DeadlineExceeded) {
		t.Errorf("waiting ended with %v and %v", view, update)
	}
	for range 20 { // who waits is served
		all.Go(func() {
			if err := s.View(t.Context(), scope, func(context.Context, store.Reader) error { return nil }); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			if err := s.Update(t.Context(), scope, func(context.Context, store.Tx) error { return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	close(release)
	all.Wait()
}

// TestDocumentCopied checks that a document with much room behind it does not
// keep that room alive.
func TestDocumentCopied(t *testing.T) {
	s := memory.New()
	large := make([]byte, 0, 1<<20)
	err := s.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error {
		r := &store.Resource{ID: "a", Type: "User", Version: 1, Document: append(large, `{"a":"b"}`...)}
		if err := tx.PutResource(r); err != nil {
			return err
		}
		got, err := tx.Resource("User", "a", 0)
		if err == nil && cap(got.Document) > 64 {
			t.Errorf("the stored document has room for %d bytes", cap(got.Document))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestUnwrittenScopes checks that a scope to which nothing is committed takes no
// memory, also while updates of it run side by side, and that those that are
// written stay.
func TestUnwrittenScopes(t *testing.T) {
	s := memory.New()
	nothing := func(context.Context, store.Tx) error { return nil }
	write := func(_ context.Context, tx store.Tx) error { return tx.AppendEvent(&store.Event{}) }
	fail := errors.New("no")
	ended, end := context.WithCancel(t.Context())
	end()
	for i := range 1000 {
		name := "made up " + strconv.Itoa(i)
		_ = s.View(t.Context(), name, func(context.Context, store.Reader) error { return nil })
		_ = s.Update(t.Context(), name, nothing)
		_ = s.Update(ended, name, nothing)
		_ = s.Update(t.Context(), name, func(ctx context.Context, tx store.Tx) error { return errors.Join(write(ctx, tx), fail) })
		func() {
			defer func() { _ = recover() }()
			_ = s.Update(t.Context(), name, func(context.Context, store.Tx) error { panic("no") })
		}()
	}
	if n := s.Scopes(); n != 0 {
		t.Errorf("%d scopes take memory, want none", n)
	}

	const writers = 8
	for i := range 50 {
		name := "written " + strconv.Itoa(i)
		var all sync.WaitGroup
		for range writers {
			all.Go(func() { _ = s.Update(t.Context(), name, nothing) })
			all.Go(func() {
				if err := s.Update(t.Context(), name, write); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		err := s.View(t.Context(), name, func(_ context.Context, r store.Reader) error {
			_, last, err := r.EventRange()
			if last != writers {
				t.Errorf("%d events, want %d", last, writers)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Scopes(); n != 50 {
		t.Errorf("%d scopes take memory, want those that were written", n)
	}
}
