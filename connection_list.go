package provision

import (
	"context"
	"errors"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// ManagedByFile is the [Connection.ManagedBy] of a connection that a configuration file
// made, and that is written again at each start.
const ManagedByFile = "file"

// Connections returns all connections, disabled ones included, in order of id.
func (e *Engine) Connections(ctx context.Context) ([]Connection, error) {
	return e.ConnectionsAfter(ctx, "", 0)
}

// ConnectionsAfter returns the connections whose ids are greater than after, disabled ones
// included, in order of id: at most limit, or all with 0. There are fewer only where no
// more follow. It costs a read of each that it returns.
func (e *Engine) ConnectionsAfter(ctx context.Context, after string, limit int) ([]Connection, error) {
	var out []Connection
	for {
		missing := limit - len(out)
		ids, err := e.connectionIDsAfter(ctx, after, max(0, missing))
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			after = id
			c, err := e.Directory(id).Connection(ctx)
			if errors.Is(err, ErrNotFound) {
				continue // listed before its first save
			}
			if err != nil {
				return nil, err
			}
			out = append(out, c)
		}
		if limit == 0 || len(ids) < missing || len(out) == limit {
			return out, nil
		}
	}
}

func (e *Engine) connectionIDs(ctx context.Context) ([]string, error) {
	return e.connectionIDsAfter(ctx, "", 0)
}

// connectionIDsAfter returns the listed ids that are greater than after: at most limit, or all
// with 0.
func (e *Engine) connectionIDsAfter(ctx context.Context, after string, limit int) ([]string, error) {
	e = e.present()
	var ids []string
	err := e.store().View(ctx, store.Global, func(_ context.Context, r store.Reader) error {
		list, err := records.ConnectionList.List(r, after, limit)
		if err != nil {
			return err
		}
		ids = make([]string, len(list))
		for i, e := range list {
			ids[i] = e.Key
		}
		return nil
	})
	return ids, err
}
