package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/internal/outbox"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// put changes an account without an event, as the engine does for what no consumer
// asked to hear of.
func put(tx store.Tx, account string) error {
	a, err := tx.Account(account)
	if errors.Is(err, store.ErrNotFound) {
		a, err = &store.Account{ID: account, Connection: "acme", UserName: account}, nil
	}
	if err != nil {
		return err
	}
	a = a.Clone()
	a.Version++
	return tx.PutAccount(a)
}

// tell appends an event of an account that leaves it as it is, such as the end of a
// login.
func tell(tx store.Tx, account string) error {
	return tx.AppendEvent(&store.Event{Type: store.LoginEnded, Time: time.Now(), Connection: "acme", AccountID: account})
}

// versions remembers with which versions of accounts events came.
type versions struct {
	mu   sync.Mutex
	came []string
	wait time.Duration // of each call
}

func (v *versions) take(_ context.Context, d outbox.Delivery) error {
	time.Sleep(v.wait)
	v.mu.Lock()
	defer v.mu.Unlock()
	if d.Account != nil {
		v.came = append(v.came, fmt.Sprintf("%d: version %d", d.Event.Sequence, d.Account.Version))
	}
	return nil
}

func (v *versions) all() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.came
}

// A consumer without others is handed what was just stored. An event that put nothing
// comes with its account as it was then, though that was changed without an event
// after what was handed over.
func TestHandedAccountIsNotOlder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, single{memory.New()}, "acme")
		v := &versions{wait: 100 * time.Millisecond}
		s.start(s.Consumer, v.take, outbox.Options{})
		for range 2 { // from the second on, events are handed over
			s.change("ada")
			time.Sleep(time.Second)
		}
		s.change("grace")
		synctest.Wait() // the consumer has it
		s.change("ada")
		s.update("acme", func(tx store.Tx) error { return put(tx, "ada") })
		synctest.Wait() // the change is kept for the next turn
		s.update("acme", func(tx store.Tx) error { return tell(tx, "ada") })
		time.Sleep(time.Second)
		want := []string{"1: version 1", "2: version 2", "3: version 1", "4: version 4", "5: version 4"}
		if diff := cmp.Diff(want, v.all()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

// A store may tell of two commits in another order than it made them. What was put
// first does not come last.
func TestHandedInAnotherOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &told{Store: memory.New(), wake: make(chan struct{}, 1)}
		s := newSite(t, st, "acme")
		s.Alone = true
		v := &versions{wait: 100 * time.Millisecond}
		s.start(s.Consumer, v.take, outbox.Options{})
		s.change("ada")
		st.tell()                   // it may have looked before
		time.Sleep(2 * time.Second) // its lease is kept
		s.change("grace")
		s.change("ada")
		st.tell()       // of nobody's events: the consumer reads them
		synctest.Wait() // it has grace
		s.change("ada")
		st.tell(s.appended(4, "ada", 3))
		synctest.Wait()
		st.tell(s.appended(3, "ada", 2))
		time.Sleep(5 * time.Second)
		want := []string{"1: version 1", "2: version 1", "3: version 2", "4: version 3"}
		if diff := cmp.Diff(want, v.all()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

// told is a store that tells of its commits when the test says so.
type told struct {
	store.Store
	wake chan struct{}

	mu   sync.Mutex
	list []store.Appended
}

func (l *told) Watch() store.Watcher { return toldWatcher{l} }

func (l *told) tell(a ...store.Appended) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, a...)
	if len(a) == 0 {
		l.list = append(l.list, store.Appended{Scope: "acme"})
	}
	l.wake <- struct{}{}
}

type toldWatcher struct{ *told }

func (w toldWatcher) C() <-chan struct{} { return w.wake }

func (w toldWatcher) Close() {}

func (w toldWatcher) Take() []store.Appended {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.list
	w.list = nil
	return list
}

func (w toldWatcher) Look(context.Context) ([]store.Appended, error) { return nil, nil }

// appended is what a store tells of one event that left an account with a version.
func (s *site) appended(sequence int64, account string, version int64) store.Appended {
	s.t.Helper()
	out := store.Appended{Scope: "acme", Accounts: []*store.Account{{ID: account, Version: version}}}
	s.must(s.st.View(s.t.Context(), "acme", func(_ context.Context, r store.Reader) (err error) {
		out.Events, err = r.Events(sequence-1, 1)
		return err
	}))
	return out
}
