package watch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/internal/watch"
)

func TestBoard(t *testing.T) {
	var (
		b      watch.Board
		others []string
		fail   error
	)
	first := b.Watch(func(context.Context) ([]string, error) { return others, fail })
	second := b.Watch(func(context.Context) ([]string, error) { return nil, nil })
	b.Tell("acme", nil, nil)
	b.Tell("globex", nil, nil)
	b.Tell("acme", nil, nil)
	<-first.C()
	if got := sorted(first.Take()); !cmp.Equal(got, []string{"acme", "globex"}) {
		t.Errorf("Take: %q", got)
	}
	select {
	case <-first.C():
		t.Error("woken twice for the same")
	default:
	}
	b.Tell("acme", nil, nil)
	others = []string{"initech", "acme"}
	fail = errors.New("away")
	if _, err := first.Look(t.Context()); !errors.Is(err, fail) {
		t.Errorf("Look: %v", err)
	}
	fail = nil
	got, err := first.Look(t.Context())
	if diff := cmp.Diff([]string{"acme", "initech"}, sorted(got)); diff != "" || err != nil {
		t.Errorf("Look, %v (-want +got):\n%s", err, diff)
	}
	first.Close()
	b.Tell("hooli", nil, nil)
	if got := first.Take(); len(got) > 0 {
		t.Errorf("Take after Close: %q", sorted(got))
	}
	if got := sorted(second.Take()); !cmp.Equal(got, []string{"acme", "globex", "hooli"}) {
		t.Errorf("the other watcher: %q", got)
	}
	failing := watch.Failing(fail)
	defer failing.Close()
	if got := failing.Take(); got != nil {
		t.Errorf("Failing: %q", sorted(got))
	}
}

// Events come while they have no gap and are not too many.
func TestEvents(t *testing.T) {
	events := func(from, to int64) (list []*store.Event) {
		for n := from; n <= to; n++ {
			list = append(list, &store.Event{Sequence: n})
		}
		return list
	}
	for _, test := range []struct {
		name  string
		tell  [][]*store.Event
		first int64 // of those that come; 0: none do
		n     int
	}{
		{"one commit", [][]*store.Event{events(7, 9)}, 7, 3},
		{"two commits", [][]*store.Event{events(7, 9), events(10, 10)}, 7, 4},
		{"a gap", [][]*store.Event{events(7, 9), events(11, 11)}, 0, 0},
		{"another order", [][]*store.Event{events(8, 8), events(7, 7)}, 0, 0},
		{"after a gap", [][]*store.Event{events(7, 7), events(9, 9), events(10, 10)}, 0, 0},
		{"as many as are kept", [][]*store.Event{events(1, watch.Most)}, 1, watch.Most},
		{"one more", [][]*store.Event{events(1, watch.Most), events(watch.Most+1, watch.Most+1)}, 0, 0},
		{"one more at once", [][]*store.Event{events(1, watch.Most+1)}, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b watch.Board
			w := b.Watch(nil)
			for _, list := range test.tell {
				b.Tell("acme", list, nil)
			}
			got := w.Take()
			if len(got) != 1 || len(got[0].Events) != test.n || test.n > 0 && got[0].Events[0].Sequence != test.first {
				t.Errorf("got %v, want %d events from %d on", got, test.n, test.first)
			}
		})
	}
	var b watch.Board
	w := b.Watch(nil)
	ada := []*store.Event{{Sequence: 1, AccountID: "ada"}}
	b.Tell("as put", ada, []*store.Account{{ID: "ada"}})
	b.Tell("not put", ada, []*store.Account{{ID: "grace"}})
	for _, a := range w.Take() {
		if come := len(a.Events) == 1; come != (a.Scope == "as put") {
			t.Errorf("an event of an account, %s: %d events come", a.Scope, len(a.Events))
		}
	}
	for scope := range 150 {
		b.Tell(fmt.Sprint(scope), events(1, watch.Most), nil)
	}
	kept := 0
	for _, a := range w.Take() {
		kept += len(a.Events)
	}
	if kept != 2_000 {
		t.Errorf("%d events of 150 scopes are kept, want 2,000", kept)
	}
}

// Of accounts, not more is kept than of events, though a commit with one event may put
// many.
func TestAccountsAreBounded(t *testing.T) {
	var b watch.Board
	w := b.Watch(nil)
	accounts := make([]*store.Account, watch.Most)
	for i := range accounts {
		accounts[i] = &store.Account{ID: fmt.Sprint(i)}
	}
	for range 2 { // what was taken does not count
		for scope := range 20 {
			for n := range int64(9) {
				b.Tell(fmt.Sprint(scope), []*store.Event{{Sequence: n + 1}}, accounts)
			}
		}
		kept := 0
		for _, a := range w.Take() {
			kept += len(a.Events) + len(a.Accounts)
		}
		if kept > 2_000 || kept < 1_000 {
			t.Errorf("%d events and accounts are kept, want at most 2,000", kept)
		}
	}
}

func sorted(list []store.Appended) (scopes []string) {
	for _, a := range list {
		scopes = append(scopes, a.Scope)
	}
	slices.Sort(scopes)
	return scopes
}
