package memory_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// line is transactions of one scope that wait in line.
type line struct {
	store *memory.Store

	mu      sync.Mutex
	started []string
}

// begin starts a transaction that ends when the returned channel is closed, and
// waits until it runs or stands in line.
func (l *line) begin(ctx context.Context, t *testing.T, name string, writes bool, want error) (end chan struct{}) {
	t.Helper()
	end = make(chan struct{})
	run := func() error {
		l.mu.Lock()
		l.started = append(l.started, name)
		l.mu.Unlock()
		<-end
		return nil
	}
	go func() {
		var err error
		if writes {
			err = l.store.Update(ctx, scope, func(context.Context, store.Tx) error { return run() })
		} else {
			err = l.store.View(ctx, scope, func(context.Context, store.Reader) error { return run() })
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}()
	synctest.Wait()
	return end
}

func (l *line) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.started, want) {
		t.Errorf("started %q, want %q", l.started, want)
	}
}

func newLine(t *testing.T) *line {
	t.Helper()
	l := &line{store: memory.New()}
	// A line forms before a scope that is there, not before one that is unknown.
	err := l.store.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error { return tx.AppendEvent(&store.Event{}) })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestOrderOfArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		first := l.begin(t.Context(), t, "view 1", false, nil)
		second := l.begin(t.Context(), t, "update 2", true, nil)
		third := l.begin(t.Context(), t, "view 3", false, nil)
		fourth := l.begin(t.Context(), t, "view 4", false, nil)
		l.expect(t, "view 1")
		close(first)
		l.expect(t, "view 1", "update 2")
		close(second)
		synctest.Wait()
		l.mu.Lock()
		slices.Sort(l.started[2:]) // views start together
		l.mu.Unlock()
		l.expect(t, "view 1", "update 2", "view 3", "view 4")
		close(third)
		close(fourth)
	})
}

func TestAbandonedWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		ctx, cancel := context.WithCancel(t.Context())
		first := l.begin(t.Context(), t, "view 1", false, nil)
		l.begin(ctx, t, "update 2", true, context.Canceled)
		third := l.begin(t.Context(), t, "view 3", false, nil)
		l.expect(t, "view 1")
		cancel() // nothing keeps the third from the first any more
		l.expect(t, "view 1", "view 3")
		close(first)
		close(third)
	})
}

// TestCanceledAtItsTurn ends the context of a waiter at the moment in which it gets
// its turn: it does not run, and the next one does.
func TestCanceledAtItsTurn(t *testing.T) {
	for _, writes := range []bool{false, true} {
		for range 20 { // both orders of the two
			synctest.Test(t, func(t *testing.T) {
				l := newLine(t)
				ctx, cancel := context.WithCancel(t.Context())
				first := l.begin(t.Context(), t, "update 1", true, nil)
				l.begin(ctx, t, "2", writes, context.Canceled)
				third := l.begin(t.Context(), t, "update 3", true, nil)
				cancel()
				close(first)
				l.expect(t, "update 1", "update 3")
				close(third)
			})
		}
	}
}

// TestCanceledAfterItsTurn ends the context of a view that has got its turn and does
// not run yet: it does not run any more. It may have been faster, but not always.
func TestCanceledAfterItsTurn(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // what wakes up runs when the other has ended
	const times = 20
	ran := 0
	for range times {
		synctest.Test(t, func(t *testing.T) {
			l := newLine(t)
			ctx, cancel := context.WithCancel(t.Context())
			end := make(chan struct{})
			go func() {
				err := l.store.Update(t.Context(), scope, func(context.Context, store.Tx) error { <-end; return nil })
				cancel()
				if err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait()
			go func() {
				err := l.store.View(ctx, scope, func(context.Context, store.Reader) error { ran++; return nil })
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}()
			synctest.Wait()
			close(end)
			close(l.begin(t.Context(), t, "next", true, nil))
		})
	}
	if ran == times {
		t.Error("a view ran after the end of its context, each time")
	}
}
