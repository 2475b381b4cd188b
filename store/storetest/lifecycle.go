package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/scimjit/provision/store"
)

// lifecycle is the tier of transactions that do not begin.
func (s *suite) lifecycle(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, st store.Store)
	}{
		{"errors pass through", s.errorsPass},
		{"nested", s.nested},
		{"canceled before", s.canceledBefore},
		{"view canceled inside", s.viewCanceledInside},
		{"canceled while waiting", s.canceledWaiting},
		{"canceled inside", s.canceledInside},
		{"closed", s.closed},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s.open(t)) })
	}
}

func (s *suite) errorsPass(t *testing.T, st store.Store) {
	is(t, "Ping", st.Ping(t.Context()), nil)
	failure := &store.ConflictError{Attribute: "x"}
	err := st.View(t.Context(), scope, func(context.Context, store.Reader) error { return failure })
	is(t, "View", err, failure)
	err = st.Update(t.Context(), scope, func(context.Context, store.Tx) error { return failure })
	is(t, "Update", err, failure)
}

func (s *suite) nested(t *testing.T, st store.Store) {
	inside := func(ctx context.Context) {
		for _, id := range []string{scope, "other"} {
			is(t, "View inside", st.View(ctx, id, func(context.Context, store.Reader) error { return nil }), store.ErrNested)
			is(t, "Update inside", st.Update(ctx, id, func(context.Context, store.Tx) error { return nil }), store.ErrNested)
		}
	}
	err := st.View(t.Context(), scope, func(ctx context.Context, _ store.Reader) error { inside(ctx); return nil })
	is(t, "View", err, nil)
	err = st.Update(t.Context(), scope, func(ctx context.Context, _ store.Tx) error { inside(ctx); return nil })
	is(t, "Update", err, nil)

	another := s.open(t)
	err = st.View(t.Context(), scope, func(ctx context.Context, _ store.Reader) error {
		return another.View(ctx, scope, func(context.Context, store.Reader) error { return nil })
	})
	is(t, "View of another store inside", err, nil)
}

func (s *suite) canceledBefore(t *testing.T, st store.Store) {
	cause := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	err := st.Update(ctx, scope, func(_ context.Context, tx store.Tx) error {
		t.Error("the function of an update ran")
		return tx.PutResource(s.user("ann"))
	})
	is(t, "Update", err, context.Canceled)
	for _, id := range []string{scope, "unknown"} {
		err = st.View(ctx, id, func(context.Context, store.Reader) error {
			t.Error("the function of a view ran")
			return nil
		})
		is(t, "View", err, context.Canceled)
	}
	same(t, "state", dump(t, st, scope), state{})
}

// viewCanceledInside ends the context of a view between two reads: whether the
// second still reads is the store's choice, but a failure is not lost, and the next
// view reads.
func (s *suite) viewCanceledInside(t *testing.T, st store.Store) {
	s.fill(t, st, scope)
	ctx, cancel := context.WithCancel(t.Context())
	var read error
	err := st.View(ctx, scope, func(_ context.Context, r store.Reader) error {
		_, before := r.Resource("User", "id-ann", 0)
		is(t, "a read before", before, nil)
		cancel()
		_, read = r.Resource("User", "id-ann", 0)
		return nil
	})
	if read != nil {
		is(t, "a read after the end of the context", read, context.Canceled)
		is(t, "View", err, context.Canceled)
	}
	view(t, st, func(r store.Reader) error {
		_, err := r.Resource("User", "id-ann", 0)
		return err
	})
}

// canceledWaiting ends the context of an update that cannot start, because
// another one runs until the first has returned.
func (s *suite) canceledWaiting(t *testing.T, st store.Store) {
	running, release, done := make(chan struct{}, 1), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- st.Update(context.WithoutCancel(t.Context()), scope, func(_ context.Context, tx store.Tx) error {
			running <- struct{}{}
			<-release
			return tx.PutResource(s.user("ann"))
		})
	}()
	<-running
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		result <- st.Update(ctx, scope, func(context.Context, store.Tx) error {
			t.Error("the function of the second update ran")
			return nil
		})
	}()
	cancel()
	is(t, "the second update", <-result, context.Canceled)
	close(release)
	is(t, "the first update", <-done, nil)
	same(t, "resources", ids(dump(t, st, scope).Resources), []string{"id-ann"})
}

// canceledInside ends the context when the function has started: whether the
// update then succeeds is the store's choice, but the answer tells the truth.
func (s *suite) canceledInside(t *testing.T, st store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := st.Update(ctx, scope, func(_ context.Context, tx store.Tx) error {
		err := tx.PutResource(s.user("ann"))
		cancel()
		return err
	})
	want := 1
	if err != nil {
		want = 0
	}
	if got := dump(t, st, scope).Total; got != want {
		t.Errorf("%d resources after Update returned %v", got, err)
	}
}

func (s *suite) closed(t *testing.T, st store.Store) {
	is(t, "Close", st.Close(), nil)
	_, scan := st.Scan(t.Context(), scope, store.Query{Limit: 1})
	for name, err := range map[string]error{
		"Scan":   scan,
		"Ping":   st.Ping(t.Context()),
		"View":   st.View(t.Context(), scope, func(context.Context, store.Reader) error { return nil }),
		"Update": st.Update(t.Context(), scope, func(context.Context, store.Tx) error { return nil }),
	} {
		if err == nil {
			t.Errorf("%s of a closed store succeeded", name)
		}
	}
}
