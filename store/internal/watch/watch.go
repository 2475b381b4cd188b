// Package watch tells the watchers of a store what its own process commits.
package watch

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/scimjit/provision/store"
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
	w := &watcher{board: b, elsewhere: elsewhere, wake: make(chan struct{}, 1), heard: map[string]struct{}{}}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.watchers == nil {
		b.watchers = map[*watcher]struct{}{}
	}
	b.watchers[w] = struct{}{}
	return w
}

// Tell says that events of a scope were committed.
func (b *Board) Tell(scope string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for w := range b.watchers {
		w.heard[scope] = struct{}{}
		select {
		case w.wake <- struct{}{}:
		default: // it has not taken what was told before
		}
	}
}

type watcher struct {
	board     *Board
	elsewhere func(context.Context) ([]string, error)
	wake      chan struct{}
	heard     map[string]struct{} // board.mu guards it
}

// C implements [store.Watcher].
func (w *watcher) C() <-chan struct{} { return w.wake }

// Take implements [store.Watcher].
func (w *watcher) Take() []string { return w.take(nil) }

// Look implements [store.Watcher].
func (w *watcher) Look(ctx context.Context) ([]string, error) {
	others, err := w.elsewhere(ctx)
	if err != nil {
		return nil, err
	}
	return w.take(others), nil
}

func (w *watcher) take(others []string) []string {
	w.board.mu.Lock()
	defer w.board.mu.Unlock()
	for _, scope := range others {
		w.heard[scope] = struct{}{}
	}
	if len(w.heard) == 0 {
		return nil
	}
	scopes := slices.Collect(maps.Keys(w.heard))
	clear(w.heard)
	return scopes
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
