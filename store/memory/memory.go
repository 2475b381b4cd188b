// Package memory implements store.Store in memory.
//
// It is the store of tests and of programs that can lose their state, and it
// defines by example what the others do. Nothing is written to disk.
//
// # Concurrency
//
// Each scope has its own readers-writer lock: scopes run in parallel, and so do
// the views of one scope. An update writes in place and keeps a log of how to
// undo it, which runs when its function returns an error or panics. Waiting for
// a scope ends with the context.
//
// A scan keeps only the resources of one moment: it holds the lock while it notes
// which they are, and then for each question about memberships, of which it sees
// newer ones. Half as many scans run at once as there are processors, one at least.
//
// A scope to which nothing was ever committed takes no memory, however often it
// is read or an update of it fails.
//
// # Cost
//
// Documents are kept as they are given, keys, accounts and events packed: about
// one kilobyte for a user and its account beside the document.
//
// Looking up an id or an indexed key, adding or removing a member, and paging
// without a filter at any offset cost about the same in a small scope and in a
// large one. Filters without an indexed term, sorting, and account queries by
// status read everything in question: [Store.Scan] does it beside the others.
package memory

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/internal/nested"
	"github.com/scimjit/provision/store/internal/watch"
)

var _ store.Store = (*Store)(nil)

// Store is a store in memory. Make one with [New]. It is safe for concurrent
// use.
type Store struct {
	// Now tells the time of the store ([store.Clock]); nil means time.Now. Who gives
	// an engine another clock gives it to its store, too. It is set before the first
	// call.
	Now func() time.Time

	closed atomic.Bool
	empty  *scope        // what views of unknown scopes read; never written
	scans  chan struct{} // one for each scan that runs; others wait in order
	board  watch.Board

	mu     sync.RWMutex
	scopes map[string]*scope // those that were written, or are about to be
}

// New returns an empty store.
func New() *Store {
	s := &Store{scopes: map[string]*scope{}, scans: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
	s.empty = newScope(s)
	return s
}

func (s *Store) now() time.Time {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	return now().UTC().Truncate(time.Millisecond)
}

// View implements store.Store. Reading an unknown scope does not create it.
func (s *Store) View(ctx context.Context, id string, fn func(context.Context, store.Reader) error) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	sc := s.scope(id)
	if sc == nil {
		sc = s.empty
	}
	if err := sc.lock.acquire(ctx, false); err != nil {
		return fmt.Errorf("memory: waiting for the scope: %w", err)
	}
	defer sc.lock.release(false)
	return fn(nested.Mark(ctx, s), reader{sc})
}

// Update implements store.Store. fn runs once.
func (s *Store) Update(ctx context.Context, id string, fn func(context.Context, store.Tx) error) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	sc := s.enter(id)
	defer s.leave(id, sc)
	if err := sc.lock.acquire(ctx, true); err != nil {
		return fmt.Errorf("memory: waiting for the scope: %w", err)
	}
	defer sc.lock.release(true)

	t := &sc.tx
	committed := false
	// Not a recover: a panic goes on after the rollback, with its stack.
	defer func() { t.end(committed) }()
	if err := fn(nested.Mark(ctx, s), t); err != nil {
		return err
	}
	committed = true
	if len(t.appended) > 0 {
		s.board.Tell(id, t.appended, t.put)
	}
	return nil
}

// Watch implements store.Store.
func (s *Store) Watch() store.Watcher {
	if err := s.open(); err != nil {
		return watch.Failing(err)
	}
	return s.board.Watch(func(context.Context) ([]string, error) { return nil, s.open() })
}

// Ping implements store.Store. It fails only after Close.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.open(); err != nil {
		return err
	}
	return ctx.Err()
}

// Close implements store.Store. Transactions that have begun go on to their
// end; closing twice is not an error.
func (s *Store) Close() error {
	if err := s.open(); errors.Is(err, errNoStore) {
		return err
	}
	s.closed.Store(true)
	return nil
}

// errNoStore is the error of a nil Store, and of one that New did not make.
var errNoStore = errors.New("memory: there is no store: make one with New")

// open reports why nothing can begin.
func (s *Store) open() error {
	switch {
	case s == nil || s.empty == nil:
		return errNoStore
	case s.closed.Load():
		return store.ErrClosed
	}
	return nil
}

// usable reports why no transaction can begin.
func (s *Store) usable(ctx context.Context) error {
	if err := s.open(); err != nil {
		return err
	}
	return nested.Refuse(ctx, s)
}

// scope returns a scope, or nil when nothing was ever written to it.
func (s *Store) scope(id string) *scope {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.scopes[id]
}

// enter returns a scope for an update, which [Store.leave] ends. An unknown one is
// made.
func (s *Store) enter(id string) *scope {
	s.mu.Lock()
	defer s.mu.Unlock()
	sc := s.scopes[id]
	if sc == nil {
		sc = newScope(s)
		s.scopes[id] = sc
	}
	sc.updates++
	return sc
}

// leave ends what enter began. The last update to leave a scope that was never
// written takes it out: a view that still has it reads what was there, nothing.
func (s *Store) leave(id string, sc *scope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sc.updates--; sc.updates == 0 && !sc.written {
		delete(s.scopes, id)
	}
}
