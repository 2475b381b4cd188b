package provision

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/scimjit/provision/store"
)

// What a query may cost as a look-up, in the readers that all connections share.
// What takes more is a scan. The time is for documents of unusual size.
const (
	lookUpRows = 1000
	lookUpTime = 50 * time.Millisecond
)

// limitScans is the field of a [LimitError] of scans.
const limitScans = "Limits.Scans"

// Query returns one page of resources, or [ErrNotFound] for an unknown connection;
// see [store.ResourceReader].
//
// A query that has more than a thousand candidates, or that takes long, is a scan: it
// goes on in the readers that the store keeps for scans, and nobody waits for it
// ([store.Store.Scan]). It ends with ctx. A connection may have [Limits.Scans] of
// them at a time; a further one is refused at once with a [*LimitError]. A query that
// takes more than q.ScanRows and q.ScanTime allow is a [*store.ScanError].
//
// A filter is narrowed by the indexes that are complete, see [Directory.Indexing].
func (d *Directory) Query(ctx context.Context, q store.Query) (store.Page, error) {
	if usesMarks(&q) {
		return d.queryByMarks(ctx, q)
	}
	return d.query(ctx, q)
}

// queryByMarks is Query with a filter that may name an index which is not complete. It is
// complete for as long as the connection has the same version.
func (d *Directory) queryByMarks(ctx context.Context, q store.Query) (store.Page, error) {
	before, err := d.engine.connection(ctx, d.connection)
	if err != nil {
		return store.Page{}, err
	}
	page, err := d.query(ctx, before.narrowed(q))
	if err != nil {
		return page, err
	}
	after, err := d.engine.connection(ctx, d.connection)
	if err != nil || after.Version == before.Version {
		return page, err
	}
	return d.query(ctx, (&compiled{}).narrowed(q))
}

// query is Query by the indexes that the filter names.
func (d *Directory) query(ctx context.Context, q store.Query) (store.Page, error) {
	bounded := q
	bounded.ScanRows = min(lookUpRows, cmp.Or(q.ScanRows, store.DefaultScanRows))
	bounded.ScanTime = min(lookUpTime, cmp.Or(q.ScanTime, store.DefaultScanTime))
	page, err := d.lookUp(ctx, bounded)
	var spent *store.ScanError
	switch {
	case !errors.As(err, &spent):
		return page, err
	case spent.Rows > 0 && spent.Rows == q.ScanRows, spent.Time > 0 && spent.Time == q.ScanTime:
		return page, err // a scan may do no more
	}
	return d.scan(ctx, q)
}

// lookUp is Query in a view.
func (d *Directory) lookUp(ctx context.Context, q store.Query) (page store.Page, err error) {
	err = d.read(ctx, func(rd store.Reader) error {
		var err error
		if page, err = rd.Query(q); err == nil && len(page.Resources) == 0 {
			err = d.exists(rd)
		}
		return err
	})
	return page, err
}

// scan is Query in the store's readers for scans.
func (d *Directory) scan(ctx context.Context, q store.Query) (store.Page, error) {
	most := d.engine.Limits.scans()
	if !d.engine.scans.enter(d.connection, most) {
		return store.Page{}, &LimitError{Limit: limitScans, Max: most}
	}
	defer d.engine.scans.leave(d.connection)
	page, err := d.engine.store().Scan(ctx, d.connection, q)
	if err == nil && len(page.Resources) == 0 {
		err = d.view(ctx, func(rd store.Reader) error { return d.exists(rd) })
	}
	return page, err
}

// scans counts the scans of each connection that run, or wait for the store. Its
// zero value is ready to use.
type scans struct {
	mu      sync.Mutex
	running map[string]int
}

// enter reports whether one more may begin.
func (s *scans) enter(connection string, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[connection] >= most {
		return false
	}
	if s.running == nil {
		s.running = map[string]int{}
	}
	s.running[connection]++
	return true
}

func (s *scans) leave(connection string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[connection]--; s.running[connection] == 0 {
		delete(s.running, connection)
	}
}
