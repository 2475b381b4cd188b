// Package watch tells the watchers of a store what its own process commits.
package watch

import (
	"context"
	"slices"
	"sync"

	"github.com/scimjit/provision/store"
)

// What a watcher keeps until it is taken: events of one scope, and events and accounts
// of all. Beyond that it remembers the scope alone. A transaction that puts more accounts than Most need not
// list the others.
const (
	Most     = 100
	mostKept = 2_000
)

// Board is where a store tells of its commits. Its zero value is ready to use. It is
// safe for concurrent use.
type Board struct {
	mu       sync.Mutex
	watchers map[*watcher]struct{}
}

// Watch returns a watcher that hears from now on. elsewhere returns the scopes to
// which others have appended.
func (b *Board) Watch(elsewhere func(context.Context) ([]string, error)) store.Watcher {
	w := &watcher{board: b, elsewhere: elsewhere, wake: make(chan struct{}, 1), heard: map[string]*store.Appended{}}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.watchers == nil {
		b.watchers = map[*watcher]struct{}{}
	}
	b.watchers[w] = struct{}{}
	return w
}

// Tell says that events were committed, with the accounts that were put with them.
// Of commits to one scope that are told in another order than they were made, the
// events are left out. So are those of a commit with an event of an account that it did
// not put: how that is by now is not known here.
func (b *Board) Tell(scope string, events []*store.Event, accounts []*store.Account) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.watchers) == 0 {
		return
	}
	if len(events) > Most || len(accounts) > Most || !complete(events, accounts) {
		events, accounts = nil, nil
	}
	accounts = asRead(accounts)
	for w := range b.watchers {
		w.hear(scope, events, accounts)
		select {
		case w.wake <- struct{}{}:
		default: // it has not taken what was told before
		}
	}
}

// complete reports whether the account of each event was put.
func complete(events []*store.Event, accounts []*store.Account) bool {
	return !slices.ContainsFunc(events, func(ev *store.Event) bool {
		return ev.AccountID != "" && !slices.ContainsFunc(accounts, func(a *store.Account) bool { return a.ID == ev.AccountID })
	})
}

// asRead returns copies of accounts as readers get them.
func asRead(accounts []*store.Account) []*store.Account {
	list := make([]*store.Account, len(accounts))
	for i, a := range accounts {
		c := *a
		c.Pending = false
		c.Complete()
		list[i] = &c
	}
	return list
}

type watcher struct {
	board     *Board
	elsewhere func(context.Context) ([]string, error)
	wake      chan struct{}

	// board.mu guards these.
	heard map[string]*store.Appended
	kept  int // events and accounts
}

// hear adds events of a scope, or forgets those that are kept where they would have
// a gap or be too many.
func (w *watcher) hear(scope string, events []*store.Event, accounts []*store.Account) {
	a, known := w.heard[scope]
	if !known {
		a = &store.Appended{Scope: scope}
		w.heard[scope] = a
	}
	n, more := len(a.Events), len(events)+len(accounts)
	follows := n > 0 && len(events) > 0 && events[0].Sequence == a.Events[n-1].Sequence+1
	if known && !follows || len(events) == 0 || n+len(events) > Most || w.kept+more > mostKept {
		w.kept -= n + len(a.Accounts)
		a.Events, a.Accounts = nil, nil
		return
	}
	w.kept += more
	a.Events = append(a.Events, events...)
	a.Accounts = append(a.Accounts, accounts...)
}

// C implements [store.Watcher].
func (w *watcher) C() <-chan struct{} { return w.wake }

// Take implements [store.Watcher].
func (w *watcher) Take() []store.Appended { return w.take(nil) }

// Look implements [store.Watcher].
func (w *watcher) Look(ctx context.Context) ([]store.Appended, error) {
	others, err := w.elsewhere(ctx)
	if err != nil {
		return nil, err
	}
	return w.take(others), nil
}

func (w *watcher) take(others []string) []store.Appended {
	w.board.mu.Lock()
	defer w.board.mu.Unlock()
	for _, scope := range others {
		if w.heard[scope] == nil {
			w.hear(scope, nil, nil)
		}
	}
	if len(w.heard) == 0 {
		return nil
	}
	list := make([]store.Appended, 0, len(w.heard))
	for _, a := range w.heard {
		list = append(list, *a)
	}
	clear(w.heard)
	w.kept = 0
	return list
}

// Close implements [store.Watcher].
func (w *watcher) Close() {
	w.board.mu.Lock()
	defer w.board.mu.Unlock()
	delete(w.board.watchers, w)
}

// Failing returns a watcher of a store that cannot be used: it hears nothing, and Look
// fails.
func Failing(err error) store.Watcher {
	return new(Board).Watch(func(context.Context) ([]string, error) { return nil, err })
}
