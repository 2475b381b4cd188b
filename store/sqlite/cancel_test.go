package sqlite_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

// A view whose context ends between two reads runs no further statement.
func TestViewCanceledInside(t *testing.T) {
	s, tr := openTraced(t, sqlite.Config{})
	update(t, s, func(tx store.Tx) error { return createIn(tx, 1) })
	ctx, cancel := context.WithCancel(t.Context())
	err := s.View(ctx, benchScope, func(_ context.Context, r store.Reader) error {
		cancel()
		tr.take()
		if _, err := r.Resource("User", userID(1), 0); !errors.Is(err, context.Canceled) {
			t.Errorf("a read after the end of the context: %v", err)
		}
		if ran := tr.take(); len(ran) > 0 {
			t.Errorf("statements ran: %q", ran)
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("View: %v", err)
	}
}

// A view whose context has ended takes no connection.
func TestViewCanceledBefore(t *testing.T) {
	s, tr := openTraced(t, sqlite.Config{})
	update(t, s, func(tx store.Tx) error { return createIn(tx, 1) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tr.take()
	for range 20 {
		err := s.View(ctx, benchScope, func(context.Context, store.Reader) error { return nil })
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "not started") {
			t.Errorf("View: %v", err)
		}
	}
	if ran := tr.take(); len(ran) > 0 {
		t.Errorf("statements ran: %q", ran)
	}
}

// asked is a context that tells when somebody waits for its end.
type asked struct {
	context.Context

	once    sync.Once
	waiting chan struct{}
}

func (a *asked) Done() <-chan struct{} {
	a.once.Do(func() { close(a.waiting) })
	return a.Context.Done()
}

// A view that waits for a reader gives up with its context.
func TestViewCanceledWaiting(t *testing.T) {
	s, _ := openTraced(t, sqlite.Config{Readers: 1})
	ctx, cancel := context.WithCancel(t.Context())
	second, result := &asked{Context: ctx, waiting: make(chan struct{})}, make(chan error, 1)
	view(t, s, func(store.Reader) error {
		go func() {
			result <- s.View(second, benchScope, func(context.Context, store.Reader) error { return nil })
		}()
		tooLong := time.After(10 * time.Second)
		select {
		case <-second.waiting:
		case <-tooLong:
			return errors.New("the second view does not look at its context")
		}
		cancel()
		select {
		case err := <-result:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("View: %v", err)
			}
		case <-tooLong:
			t.Error("the second view still waits")
		}
		return nil
	})
}

// Scans have connections of their own: as many as Config.Scans work, a further one
// waits, also where readers are free, and gives up with its context.
func TestScansWait(t *testing.T) {
	s, _ := openTraced(t, sqlite.Config{Readers: 2, Scans: 1})
	update(t, s, func(tx store.Tx) error { return createIn(tx, 1) })
	q := store.Query{Sort: &store.Sort{Path: store.Path{Keys: []string{"userName"}, Type: store.String}}, Limit: 1}
	still := &stillAt{Context: t.Context(), at: 2, inside: make(chan struct{}), open: make(chan struct{})}
	results := make(chan error, 2)
	scan := func(ctx context.Context) {
		_, err := s.Scan(ctx, benchScope, q)
		results <- err
	}
	go scan(still)
	<-still.inside
	view(t, s, func(store.Reader) error { return nil })
	ctx, cancel := context.WithCancel(t.Context())
	second := &asked{Context: ctx, waiting: make(chan struct{})}
	go scan(second)
	<-second.waiting
	cancel()
	if err := <-results; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "scan not started") {
		t.Errorf("the second scan: %v", err)
	}
	close(still.open)
	if err := <-results; err != nil {
		t.Errorf("the first scan: %v", err)
	}
}

// stillAt is a context of which one look, by its number, stands still.
type stillAt struct {
	context.Context

	looks, at    int
	inside, open chan struct{}
}

func (s *stillAt) Err() error {
	if s.looks++; s.looks == s.at {
		close(s.inside)
		<-s.open
	}
	return s.Context.Err()
}
