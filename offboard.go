package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// Progress is how far long work has come. Total is what is known of it by now.
type Progress struct {
	Done  int `json:"done"`
	Total int `json:"total"`
}

// DeleteConnection ends a connection for good. Its credentials stop working at
// once. Then its users and groups are deleted, a batch in each transaction: their
// accounts end as by DELETE, with their events, whatever guards would say. Last
// go the settings, with the event connection.deleted. progress, when not nil, is
// called after each batch.
//
// When it ends early, the connection is closed and stays as far as it came:
// calling it again goes on. Accounts that the policy only disables stay for
// audit, as do the events, until every consumer has seen them and
// [Engine.Retention] is over. An id that is used again later finds them.
//
// The error is [ErrNotFound] for an unknown connection.
func (d *Directory) DeleteConnection(ctx context.Context, progress func(Progress)) error {
	total, err := d.close(ctx)
	if err != nil {
		return err
	}
	p := Progress{Total: total}
	for more := true; more; {
		var n int
		if n, more, err = d.deleteBatch(ctx); err != nil {
			return fmt.Errorf("provision: deleting connection %q: %w", d.connection, err)
		}
		p.Done += n
		p.Total = max(p.Total, p.Done)
		if progress != nil && n > 0 {
			progress(p)
		}
	}
	return nil
}

// close closes the connection and revokes its credentials. It returns how many
// resources are left to delete.
func (d *Directory) close(ctx context.Context) (total int, err error) {
	_, err = d.UpdateConnection(ctx, func(c *Connection) error {
		if c.Version == 0 {
			return notFound("connection", d.connection)
		}
		c.Disabled = true
		return nil
	})
	if err != nil {
		return 0, err
	}
	if err := d.engine.Directory(d.connection).As(d.actor).RevokeCredentials(ctx); err != nil {
		return 0, err
	}
	err = d.view(ctx, func(r store.Reader) error {
		page, err := r.Query(store.Query{Limit: 1})
		total = page.Total
		return err
	})
	return total, err
}

// deleteBatch deletes the next resources, users first: what is deleted after them
// touches nobody. With the last one goes the connection.
func (d *Directory) deleteBatch(ctx context.Context) (deleted int, more bool, err error) {
	why := d.why().decided(account.Force)
	why.offboarding = true
	err = d.update(ctx, why, func(c *change) error {
		deleted, more = 0, true
		for _, types := range [][]string{{TypeUser}, nil} {
			left, err := c.tx.Query(store.Query{Types: types, Limit: c.engine.Limits.batch() - deleted, NoTotal: true})
			if err != nil {
				return err
			}
			for _, r := range left.Resources {
				if err := c.delete(r); err != nil {
					return err
				}
				if deleted++; c.events >= walkEvents {
					return nil
				}
			}
		}
		if deleted > 0 {
			return nil
		}
		more = false
		return c.dropConnection()
	})
	return deleted, more, err
}

// dropConnection removes the settings, and what is under way.
func (c *change) dropConnection() error {
	c.resource = nil
	err := records.Job.Clear(c.tx, "")
	if err == nil {
		err = records.DropConnection(c.tx)
	}
	if err != nil {
		return err
	}
	return c.append(&store.Event{Type: store.ConnectionDeleted})
}

// unlist removes a connection without settings from the list of connections,
// when every consumer has seen its last event.
func (e *Engine) unlist(ctx context.Context, connection string) error {
	var consumers []records.Entry[records.Listed]
	err := e.store().View(ctx, store.Global, func(_ context.Context, r store.Reader) (err error) {
		consumers, err = records.Consumer.List(r, "", 0)
		return err
	})
	if err != nil {
		return err
	}
	over := false
	err = e.store().View(ctx, connection, func(_ context.Context, r store.Reader) error {
		over = false
		if _, err := records.LiveConnection(r); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		_, last, err := r.EventRange()
		if err != nil || last == 0 {
			return err // it is being made
		}
		for _, consumer := range consumers {
			at, err := records.Cursor.Value(r, consumer.Key)
			if err != nil || at.Sequence < last {
				return err
			}
		}
		over = true
		return nil
	})
	if err != nil || !over {
		return err
	}
	return e.store().Update(ctx, store.Global, func(_ context.Context, tx store.Tx) error {
		return records.ConnectionList.Clear(tx, connection)
	})
}
