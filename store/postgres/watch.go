package postgres

import (
	"context"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/internal/sqlstore"
	"github.com/scimjit/provision/store/internal/watch"
)

// Watch implements [store.Store]. What this Store commits is known without a look. A
// look asks one question for all scopes.
func (s *Store) Watch() store.Watcher {
	if !s.opened() {
		return watch.Failing(errNoStore)
	}
	o := &others{store: s}
	return s.board.Watch(o.look)
}

// others finds what other processes, or other Stores, have appended.
type others struct {
	store *Store
	last  map[string]int64 // nil before the first look
}

func (o *others) look(ctx context.Context) ([]string, error) {
	last := make(map[string]int64, len(o.last))
	err := o.store.ask(ctx, func(conn *session) error {
		return sqlstore.LastEventOfAll(conn, sqlstore.LastEvents, func(scope string, n int64) { last[scope] = n })
	})
	if err != nil {
		return nil, err
	}
	var scopes []string
	for scope, n := range last {
		if n > o.last[scope] && (o.last == nil || !o.store.hasTold(scope, n)) {
			scopes = append(scopes, scope)
		}
	}
	o.last = last
	return scopes, nil
}

// hasTold reports whether the watchers have been told of an event, or of a later one:
// then this Store appended it, and who reads because of it reads all before it.
func (s *Store) hasTold(scope string, sequence int64) bool {
	last, ok := s.told.Load(scope)
	return ok && last.(int64) >= sequence
}

// ask runs a single statement, outside any transaction.
func (s *Store) ask(ctx context.Context, fn func(*session) error) error {
	if ctx.Err() != nil {
		return notStarted("look", ctx)
	}
	if _, err := s.enter(store.Global, false); err != nil {
		return err
	}
	defer s.leave(nil)
	for attempt := 1; ; attempt++ {
		conn := s.newSession(ctx)
		err := fn(conn)
		lost := conn.lost()
		conn.release()
		if err == nil || !lost || attempt == begins {
			return err
		}
	}
}
