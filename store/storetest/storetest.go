// Package storetest is the conformance suite of package store: whatever passes
// [Run] under the race detector can serve as a store.
//
// # Use
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Store {
//			return mystore.Open(t.TempDir())
//		}, storetest.Options{})
//	}
//
// # Tiers
//
// The tests come in tiers, each a subtest: basic, stages, query, isolation, events, log,
// watch, rollback, expect, lifecycle, concurrency, same, scan and durable. Every store passes all of
// them; only durable asks for [Options.Reopen], because a store in memory has
// nothing to reopen. What a store cannot do to the letter is data in [Options],
// not a copy of a test.
//
// The tables of the isolation, rollback and expect tiers are checked against the method
// set of [store.Tx]: a new method fails the suite until it has its rows.
package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/scimjit/provision/store"
)

// Options says how a store may differ and how much is tested.
type Options struct {
	// Reopen closes a store and opens the same data again. Nil means that the
	// store does not outlive its process; the durable tier is left out.
	Reopen func(t *testing.T, s store.Store) store.Store

	// Join opens the same data a second time, as another process does. Nil means
	// that one process at a time can have the store.
	Join func(t *testing.T, s store.Store) store.Store

	// Precision is the precision of stored times. 0 means nanoseconds.
	Precision time.Duration

	// Patience is how long something may take that must not wait for something else.
	// 0 means 10 seconds.
	Patience time.Duration

	// Writers is how many goroutines write at once. 0 means 100.
	Writers int

	// Steps is how many random steps the tier "same" takes. 0 means 400.
	Steps int

	// Stride is which of the places where a page may begin are tried: one of so many.
	// 0 means each. It is for a store that is asked over a network.
	Stride int
}

// Run runs the suite. open returns a new, empty store; the suite closes it.
func Run(t *testing.T, open func(t *testing.T) store.Store, opts Options) {
	if opts.Precision == 0 {
		opts.Precision = time.Nanosecond
	}
	if opts.Patience == 0 {
		opts.Patience = 10 * time.Second
	}
	if opts.Writers == 0 {
		opts.Writers = 100
	}
	if opts.Steps == 0 {
		opts.Steps = 400
	}
	if opts.Stride == 0 {
		opts.Stride = 1
	}
	s := suite{opts: opts, open: func(t *testing.T) store.Store {
		t.Helper()
		st := open(t)
		t.Cleanup(func() { _ = st.Close() }) // a test may have closed it
		return st
	}}
	t.Run("basic", s.basic)
	t.Run("stages", s.stages)
	t.Run("query", s.query)
	t.Run("isolation", s.isolation)
	t.Run("events", s.events)
	t.Run("log", s.log)
	t.Run("watch", s.watch)
	t.Run("rollback", s.rollback)
	t.Run("expect", s.expect)
	t.Run("lifecycle", s.lifecycle)
	t.Run("concurrency", s.concurrency)
	t.Run("same", func(t *testing.T) { RunSame(t, 1, opts.Steps, s.open(t)) })
	t.Run("scan", s.scan)
	if opts.Reopen != nil {
		t.Run("durable", s.durable)
	}
}

type suite struct {
	opts Options
	open func(t *testing.T) store.Store
}

// scope is where the tests work when one scope is enough.
const scope = "acme"

// update runs fn in an update that must succeed.
func update(t *testing.T, s store.Store, fn func(tx store.Tx) error) {
	t.Helper()
	updateIn(t, s, scope, fn)
}

func updateIn(t *testing.T, s store.Store, scope string, fn func(tx store.Tx) error) {
	t.Helper()
	err := s.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error { return fn(tx) })
	if err != nil {
		t.Fatalf("Update(%q): %v", scope, err)
	}
}

// view runs fn in a view that must succeed.
func view(t *testing.T, s store.Store, fn func(r store.Reader) error) {
	t.Helper()
	viewIn(t, s, scope, fn)
}

func viewIn(t *testing.T, s store.Store, scope string, fn func(r store.Reader) error) {
	t.Helper()
	err := s.View(t.Context(), scope, func(_ context.Context, r store.Reader) error { return fn(r) })
	if err != nil {
		t.Fatalf("View(%q): %v", scope, err)
	}
}

// all runs writes one after the other and returns the first error.
func all(writes ...error) error {
	for _, err := range writes {
		if err != nil {
			return err
		}
	}
	return nil
}
