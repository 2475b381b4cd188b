// Package clocktest gives stores the clock of a test.
package clocktest

import (
	"context"
	"time"

	"github.com/scimjit/provision/store"
)

// New returns a store whose clock is now, cut to milliseconds, as stores tell the time.
func New(st store.Store, now func() time.Time) store.Store { return timed{st, now} }

type timed struct {
	store.Store
	clock func() time.Time
}

// View implements [store.Store].
func (s timed) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	return s.Store.View(ctx, scope, func(ctx context.Context, r store.Reader) error { return fn(ctx, reader{r, s}) })
}

// Update implements [store.Store].
func (s timed) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	return s.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error { return fn(ctx, writer{tx, s}) })
}

func (s timed) now() time.Time { return s.clock().UTC().Truncate(time.Millisecond) }

type reader struct {
	store.Reader
	of timed
}

// Now implements [store.Clock].
func (r reader) Now() (time.Time, error) { return r.of.now(), nil }

type writer struct {
	store.Tx
	of timed
}

// Now implements [store.Clock].
func (w writer) Now() (time.Time, error) { return w.of.now(), nil }
