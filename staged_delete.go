package provision

import (
	"context"

	"github.com/scimjit/provision/store"
)

// deleteLarge deletes a group of many members, in the steps of a change that ends the
// memberships of all. open returns the group, or why it is not to be deleted.
func (d *Directory) deleteLarge(ctx context.Context, why cause, open func(*change) (*Resource, error)) error {
	draft := func(c *change) (*Draft, error) {
		r, err := open(c)
		if err != nil {
			return nil, err
		}
		return &Draft{change: c, resource: *r, before: r, deletes: true, cleared: true}, nil
	}
	_, err := (&largeChange{Directory: d, cause: why, open: draft, fn: func(*Draft) error { return nil }}).run(ctx)
	return err
}

// delete is the last step of a deletion.
func (d *Draft) delete() error {
	c, r := d.change, d.before
	if d.stage == 0 { // its members are few by now
		return c.delete(r)
	}
	c.resource = &store.ResourceRef{Type: r.Type, ID: r.ID}
	if err := c.leaveGroups(r.ID); err != nil {
		return err
	}
	if err := d.noteShown(); err != nil {
		return err
	}
	if err := c.tx.DeleteStaged(r.Type, r.ID, d.stage); err != nil {
		return err
	}
	return c.groupDeleted(r, d.diff.delta)
}
