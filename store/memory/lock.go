package memory

import (
	"context"
	"slices"
	"sync"
)

// lock is a readers-writer lock whose waiting ends with a context. Waiters are
// served in the order of their arrival, so that neither readers nor writers
// starve. golang.org/x/sync/semaphore can do the same, a tenth slower for views in
// parallel (BenchmarkParallel): it looks at the context under its mutex.
type lock struct {
	mu      sync.Mutex
	readers int
	writing bool
	queue   []*waiter
}

type waiter struct {
	write bool
	ready chan struct{} // closed when the lock is given to the waiter
}

// acquire takes the lock for reading or writing. On an error, which is
// ctx.Err(), it was not taken.
func (l *lock) acquire(ctx context.Context, write bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	if len(l.queue) == 0 && l.take(write) {
		l.mu.Unlock()
		return nil
	}
	w := &waiter{write: write, ready: make(chan struct{})}
	l.queue = append(l.queue, w)
	l.mu.Unlock()

	select {
	case <-w.ready:
		if err := ctx.Err(); err != nil {
			l.release(write)
			return err
		}
		return nil
	case <-ctx.Done():
		l.abandon(w)
		return ctx.Err()
	}
}

// release gives the lock back.
func (l *lock) release(write bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if write {
		l.writing = false
	} else {
		l.readers--
	}
	l.grant()
}

// abandon ends a wait, also one that succeeded at the same moment.
func (l *lock) abandon(w *waiter) {
	l.mu.Lock()
	if i := slices.Index(l.queue, w); i >= 0 {
		l.queue = slices.Delete(l.queue, i, i+1)
		l.grant()
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	l.release(w.write)
}

// grant serves the waiters that can be served now.
func (l *lock) grant() {
	for len(l.queue) > 0 && l.take(l.queue[0].write) {
		close(l.queue[0].ready)
		l.queue = slices.Delete(l.queue, 0, 1)
	}
}

// take takes the lock if it is free.
func (l *lock) take(write bool) bool {
	switch {
	case l.writing, write && l.readers > 0:
		return false
	case write:
		l.writing = true
	default:
		l.readers++
	}
	return true
}
