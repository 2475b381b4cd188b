package sqlite

import (
	"context"
	"maps"
	"slices"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/internal/sqlstore"
)

var _ store.Exporter = (*Store)(nil)

// Scopes implements [store.Exporter].
func (s *Store) Scopes(ctx context.Context) ([]string, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	last, err := (&others{store: s}).lastEvents(ctx)
	return slices.Sorted(maps.Keys(last)), err
}

// Export implements [store.Exporter]. It takes a reader, and keeps the write-ahead log
// from beginning anew until it ends.
func (s *Store) Export(ctx context.Context, scope string, put func(store.Rows) error) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	return s.read(ctx, s.readers, scope, func(r *sqlstore.Reader) error { return r.Export(put) })
}
