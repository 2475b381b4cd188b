package provision

import (
	"context"
	"errors"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// Overview is what an administrator looks at first of a connection.
type Overview struct {
	Connection  Connection
	Credentials []Credential // as of [Directory.Credentials]
	Warnings    []Warning    // as of [Directory.Warnings]
	Accounts    AccountCounts
}

// Overviews returns the overviews of connections, in the order of their ids here; those that
// do not exist are left out. Each is as of one moment. It costs one snapshot of the store for
// each, where these things by themselves cost five.
func (e *Engine) Overviews(ctx context.Context, ids ...string) ([]Overview, error) {
	clock, err := e.clockWarnings(ctx)
	if err != nil {
		return nil, err
	}
	var out []Overview
	for _, id := range ids {
		var o Overview
		d := e.Directory(id)
		err := d.view(ctx, func(r store.Reader) error {
			conn, err := e.connections.load(id, r)
			if err != nil {
				return err
			}
			o.Connection = conn.Clone()
			if o.Credentials, err = d.credentialsIn(r); err != nil {
				return err
			}
			counts, err := records.AccountCounts.Value(r, "")
			if err != nil {
				return err
			}
			o.Accounts = AccountCounts(counts)
			o.Warnings, err = e.warnings(conn, r, clock)
			return err
		})
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}
