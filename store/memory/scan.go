package memory

import (
	"context"
	"fmt"
	"slices"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/internal/budget"
)

// Scan implements store.Store. It holds the lock of the scope while it notes which
// resources there are, and for each question about memberships: what it looks at
// longer does not change any more.
func (s *Store) Scan(ctx context.Context, id string, q store.Query) (store.Page, error) {
	if err := s.usable(ctx); err != nil {
		return store.Page{}, err
	}
	if err := s.enterScan(ctx); err != nil {
		return store.Page{}, fmt.Errorf("memory: waiting for other scans: %w", err)
	}
	defer func() { <-s.scans }()
	if err := s.open(); err != nil {
		return store.Page{}, err
	}
	sc := s.scope(id)
	if sc == nil {
		sc = s.empty
	}
	if q.Filter == nil && q.Sort == nil { // read by index
		return inMoment(ctx, sc, func(r reader) (store.Page, error) { return r.Query(q) })
	}
	b := budget.OfScan(ctx, &q)
	rows := budget.OfQuery(&store.Query{ScanRows: q.ScanRows}) // nothing else is looked at while the lock is held
	var resources []*store.Resource
	c, err := inMoment(ctx, sc, func(r reader) (*candidates, error) {
		c, err := r.candidates(&q, rows)
		if err == nil {
			resources = slices.Collect(c.each)
		}
		return c, err
	})
	if err != nil {
		return store.Page{}, err
	}
	m := moments{ctx, sc}
	return newSelection(&q, b, c, m, m.loadResource).page(slices.Values(resources))
}

// enterScan waits for the turn of a scan.
func (s *Store) enterScan(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.scans <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// inMoment calls fn while the lock of a scope is held for reading.
func inMoment[T any](ctx context.Context, sc *scope, fn func(reader) (T, error)) (result T, err error) {
	if err := sc.lock.acquire(ctx, false); err != nil {
		return result, fmt.Errorf("memory: waiting for the scope: %w", err)
	}
	defer sc.lock.release(false)
	return fn(reader{sc})
}

// moments reads a scope whose lock is not held.
type moments struct {
	ctx   context.Context //nolint:containedctx // of the scan
	scope *scope
}

// IsMember implements store.Relations.
func (m moments) IsMember(group, member string) (bool, error) {
	return inMoment(m.ctx, m.scope, func(r reader) (bool, error) { return r.IsMember(group, member) })
}

func (m moments) loadResource(res *store.Resource, with store.Parts, most int) (*store.Resource, error) {
	if with == 0 {
		return res, nil
	}
	return inMoment(m.ctx, m.scope, func(r reader) (*store.Resource, error) { return r.loadResource(res, with, most) })
}
