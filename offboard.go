package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Progress is how far long work has come. Total is what is known of it by now.
type Progress struct {
	Done  int `json:"done"`
	Total int `json:"total"`
}

// DeleteConnection ends a connection for good. Its credentials stop working at
// once. Then its users and groups are deleted, a batch in each transaction: their
// accounts end as by DELETE, with their events, whatever guards would say; so do
// accounts that are held or kept. Last go the settings, the credentials that were
// set meanwhile and the groups of the host, with the event connection.deleted.
// progress, when not nil, is called after each batch.
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
	o := offboarding{Directory: d}
	p := Progress{Total: total}
	for more := true; more; {
		var n int
		if n, more, err = o.batch(ctx); err != nil {
			return fmt.Errorf("provision: deleting connection %q: %w", d.connection, err)
		}
		p.Done += n
		p.Total = max(p.Total, p.Done)
		if progress != nil && n > 0 {
			progress(p)
		}
	}
	d.engine.releaseSecrets(ctx, d.connection, o.revoked...)
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
	err = d.update(ctx, d.why(), func(c *change) error {
		page, err := c.tx.Query(store.Query{Limit: 1})
		if err != nil {
			return err
		}
		e, err := records.Offboarding.Load(c.tx, "")
		if err != nil {
			return err
		}
		if !e.Stored() {
			e.Value = records.Ending{Started: c.now, Actor: d.actor}
		}
		total = page.Total
		e.Value.Total = e.Value.Done + total
		return c.saveEnding(&e)
	})
	return total, err
}

// saveEnding stores how far the deletion has come, by the clock of the store.
func (c *change) saveEnding(e *records.Entry[records.Ending]) (err error) {
	if e.Value.Heard, err = c.tx.Now(); err != nil {
		return err
	}
	return records.Offboarding.Save(c.tx, e)
}

// offboarding is one run of a deletion.
type offboarding struct {
	*Directory
	last    string   // the last account that was looked at
	revoked []string // hashes of secrets
}

// batch deletes the next resources, users first: what is deleted after them touches
// nobody. Accounts follow that had lost their resource before, and with the last
// one goes the connection.
func (o *offboarding) batch(ctx context.Context) (deleted int, more bool, err error) {
	why := o.why().decided(account.Release)
	why.offboarding = true
	last := ""
	err = o.update(ctx, why, func(c *change) error {
		more, last = true, o.last
		if deleted, err = o.deleteResources(c); err != nil {
			return err
		}
		if deleted > 0 {
			e, err := records.Offboarding.Load(c.tx, "")
			if err != nil {
				return err
			}
			e.Value.Done += deleted
			return c.saveEnding(&e)
		}
		if last, more, err = o.endAccounts(c, o.last); err != nil || more {
			return err
		}
		o.revoked, err = c.dropConnection()
		return err
	})
	o.last = last
	return deleted, more, err
}

// deleteResources deletes the next resources and returns how many.
func (o *offboarding) deleteResources(c *change) (deleted int, err error) {
	for _, types := range [][]string{{TypeUser}, nil} {
		left, err := c.tx.Query(store.Query{Types: types, Limit: c.engine.Limits.batch() - deleted, NoTotal: true})
		if err != nil {
			return 0, err
		}
		for _, r := range left.Resources {
			if err := c.delete(r); err != nil {
				return 0, err
			}
			if deleted++; c.events >= walkEvents {
				return deleted, nil
			}
		}
	}
	return deleted, nil
}

// endAccounts derives the next active accounts, such as those that are held or
// waited for a job, and clears the next marks of accounts to be deleted later, and the next
// rows of a plan. It
// returns the last account, and whether there may be more.
func (o *offboarding) endAccounts(c *change, after string) (last string, more bool, err error) {
	c.resource = nil
	size := min(walkEvents, c.engine.Limits.batch())
	list, err := c.tx.Accounts(store.AccountQuery{
		Statuses: []string{string(policy.StatusActive)}, After: after, Limit: size,
	})
	if err != nil {
		return "", false, err
	}
	if err := c.deriveAgain(list...); err != nil {
		return "", false, err
	}
	if len(list) > 0 {
		after = list[len(list)-1].ID
	}
	marked, err := records.Deletion.List(c.tx, "", size)
	if err != nil {
		return "", false, err
	}
	for _, e := range marked {
		if err := records.Deletion.Clear(c.tx, e.Key); err != nil {
			return "", false, err
		}
	}
	plans, err := c.dropPlans(size)
	return after, len(list) == size || len(marked) == size || plans, err
}

// dropConnection removes the settings, and what would act on a connection that is
// made under the same id: credentials that were set meanwhile, work that is under
// way, what the host said. It returns the hashes of the secrets. What stays belongs
// to accounts, to consumers and to replay caches.
func (c *change) dropConnection() (revoked []string, err error) {
	book := &credentialBook{connection: c.conn.ID, tx: c.tx, now: c.now, append: c.append}
	creds, err := book.all()
	if err != nil {
		return nil, err
	}
	if revoked, err = book.revoke(creds); err != nil {
		return nil, err
	}
	if err := (hostGroups{c.tx}).drop(c.tx); err != nil {
		return nil, err
	}
	err = cmp.Or(
		records.Job.Clear(c.tx, ""),
		records.Plan.Clear(c.tx, ""),
		records.FactsChanged.Clear(c.tx, ""),
		records.SyncLease.Clear(c.tx, ""),
		records.SyncPlan.Clear(c.tx, ""),
		records.SyncEnded.Clear(c.tx, ""),
		records.Imported.Clear(c.tx, ""),
		records.MassCount.Clear(c.tx, ""),
		records.LastAdmin.Clear(c.tx, ""),
		records.Offboarding.Clear(c.tx, ""),
		records.Warned.Clear(c.tx, ""),
		records.MetadataRefresh.Clear(c.tx, ""),
		dropSecrets(c.tx),
		records.DropConnection(c.tx),
	)
	c.mass.dirty = false
	if err != nil {
		return nil, err
	}
	return revoked, c.append(&store.Event{Type: store.ConnectionDeleted})
}

// unlist removes a connection without settings from the list of connections, when every
// consumer has seen all of its events: nobody would deliver those that wait to be tried
// again, and when the names of those who were deleted have left events and requests. Its
// events still end: see pruneEnded.
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
			waiting, err := records.Line(consumer.Key).List(r, "", 1)
			if err != nil || len(waiting) > 0 {
				return err
			}
		}
		// What is erased ends while the connection is listed, as nobody looks at it after that.
		events, err := records.Erasure.List(r, "", 1)
		if err != nil || len(events) > 0 {
			return err
		}
		requests, err := records.RequestErasure.List(r, "", 1)
		if err != nil || len(requests) > 0 {
			return err
		}
		over = true
		return nil
	})
	if err != nil || !over {
		return err
	}
	err = e.store().Update(ctx, store.Global, func(_ context.Context, tx store.Tx) error {
		if err := records.ConnectionEnded.Put(tx, connection, records.Listed{}); err != nil {
			return err
		}
		return records.ConnectionList.Clear(tx, connection)
	})
	if err != nil {
		return err
	}
	// It may have been made again since the look. Whoever makes one looks at the
	// list after that, too, so that one of both sees the other.
	if _, err = e.connection(ctx, connection); errors.Is(err, ErrNotFound) {
		return nil
	}
	return errors.Join(err, e.listConnection(ctx, connection))
}
