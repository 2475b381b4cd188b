package sqlite

import (
	"context"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/internal/sqlstore"
	"github.com/scimjit/provision/store/internal/watch"
)

// Watch implements [store.Store]. What this Store commits is known without a look.
// SQLite tells whether others have committed; only then all scopes are read.
func (s *Store) Watch() store.Watcher {
	if !s.opened() {
		return watch.Failing(errNoStore)
	}
	o := &others{store: s}
	return s.board.Watch(o.look)
}

// others finds what other connections to the database have appended. They may be
// other processes, or the host where the database is its own.
type others struct {
	store   *Store
	known   bool  // whether version is
	version int64 // of the database, which changes when others commit
	last    map[string]int64
}

func (o *others) look(ctx context.Context) ([]string, error) {
	version, err := o.dataVersion(ctx)
	if err != nil || o.known && version == o.version {
		return nil, err
	}
	last, err := o.lastEvents(ctx)
	if err != nil {
		return nil, err
	}
	var scopes []string
	for scope, n := range last {
		if n > o.last[scope] {
			scopes = append(scopes, scope)
		}
	}
	o.known, o.version, o.last = true, version, last
	return scopes, nil
}

func (o *others) dataVersion(ctx context.Context) (version int64, err error) {
	err = o.store.queue.Do(ctx, func() error {
		o.store.writer.failed = nil
		version, err = o.store.writer.dataVersion()
		return err
	})
	return version, err
}

// lastEvents returns the last event of every scope.
func (o *others) lastEvents(ctx context.Context) (map[string]int64, error) {
	conn, err := o.store.readers.get(ctx)
	if err != nil {
		return nil, err
	}
	defer o.store.readers.put(conn)
	if err := conn.begin(ctx, beginRead); err != nil {
		return nil, err
	}
	defer conn.rollback()
	last := make(map[string]int64, len(o.last))
	err = sqlstore.LastEventOfAll(conn, sqlstore.LastEventsByName, func(scope string, n int64) { last[scope] = n })
	return last, err
}
