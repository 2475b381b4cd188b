package provision

import (
	"errors"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// userWritten derives the account of a user that was created, where was is nil,
// or changed.
func (c *change) userWritten(was, r *Resource) error {
	person := account.Read(r.Document, c.conn.attributes)
	if c.waits() {
		return c.userWaits(was, r, person)
	}
	if was != nil {
		if same, err := c.personSame(was, r, person); same || err != nil {
			return err
		}
	}
	before, err := c.tx.AccountOf(r.ID)
	if errors.Is(err, store.ErrNotFound) {
		if waited, err := c.joinWritten(was, r); err != nil || waited {
			return err
		}
		if was != nil && !person.Active {
			return nil // deleted by an earlier change, and not called back
		}
		before, err = c.formerAccount(r, person)
	}
	if err != nil {
		return err
	}
	next, err := c.startAccount(before, r.ID)
	if err != nil {
		return err
	}
	c.writePerson(next, person)
	if was == nil || account.IsActive(was.Document) != person.Active {
		// A block belongs to who set active, not to who changed something else.
		account.SetBlock(&next.Facts, c.source, !person.Active)
	}
	switch {
	case before == nil:
		if err := c.linkNew(next, person); err != nil {
			return err
		}
		err = c.defaults().owe(next, policy.AtCreation)
	case before.ResourceID == "":
		if err := c.rejoin(next); err != nil {
			return err
		}
		err = c.defaults().retry(next)
	}
	if err != nil {
		return err
	}
	if err := c.tellSharedEmail(before, next); err != nil {
		return err
	}
	return c.deriveWritten(derivation{before, next})
}

// joinWritten lets in who waits and is written before the job of the new mode has come to
// them, and reports whether the user waits, also for an operator who leaves them out.
func (c *change) joinWritten(was, r *Resource) (waited bool, err error) {
	if was == nil {
		return false, nil
	}
	_, waited, err = c.joinNow(r)
	return waited, err
}

// personSame reports whether the account of a user stays as it is, as a change says
// nothing of the person that the account does not say. It reads the account without its
// groups, which may be many, and only where was says the same.
func (c *change) personSame(was, r *Resource, person account.Person) (bool, error) {
	if !account.Read(was.Document, c.conn.attributes).Same(person) {
		return false, nil
	}
	before, err := c.tx.BareAccountOf(r.ID)
	if err != nil {
		if errors.Is(err, store.ErrNotFound) {
			err = nil // it may be called back
		}
		return false, err
	}
	next, err := c.startAccount(before, r.ID)
	if err != nil {
		return false, err
	}
	c.writePerson(next, person)
	out, ok := account.Undecided(c.input(derivation{before, next}))
	if !ok || out.Changed {
		return false, nil
	}
	return true, c.store(&out)
}

// writePerson gives an account what its user says, but for blocks.
func (c *change) writePerson(a *Account, person account.Person) {
	person.WriteTo(a)
	if c.adopts() {
		account.KnowGroups(&a.Facts)
	}
}

// deriveWritten derives the account of a user who was written. The groups of the
// person are read only if anything has changed that a decision reads.
func (c *change) deriveWritten(d derivation) error {
	if out, ok := account.Undecided(c.input(d)); ok {
		return c.store(&out)
	}
	return c.derive(d)
}

// startAccount returns the account to derive: a copy of before, or a new one.
func (c *change) startAccount(before *Account, resource string) (*Account, error) {
	if before != nil {
		next := before.Clone()
		next.ResourceID = resource
		return next, nil
	}
	id, err := c.engine.newID()
	if err != nil {
		return nil, err
	}
	return &Account{ID: id, Connection: c.conn.ID, ResourceID: resource, Created: c.now}, nil
}

// formerAccount returns the account that an earlier, deleted resource of the same
// person left, or nil. A name that comes back with another externalId is another
// person, who must not inherit; an event says so.
func (c *change) formerAccount(r *Resource, p account.Person) (*Account, error) {
	former, recycled, err := c.finder().former(p)
	if err != nil || recycled == nil {
		return former, err
	}
	return nil, c.tellRecycled(r, recycled)
}

// tellRecycled tells that a user has the name or the id of somebody else's account.
func (c *change) tellRecycled(r *Resource, recycled *Account) error {
	return c.append(&store.Event{
		Type: store.AccountIdentityRecycled, AccountID: recycled.ID,
		Resource: &store.ResourceRef{Type: TypeUser, ID: r.ID},
	})
}

// userDeleted deprovisions the account of a deleted user.
func (c *change) userDeleted(resource string) error {
	before, err := c.tx.AccountOf(resource)
	if errors.Is(err, store.ErrNotFound) {
		return records.Waiting.Clear(c.tx, resource)
	}
	if err != nil {
		return err
	}
	next := before.Clone()
	next.ResourceID = ""
	return c.derive(derivation{before, next})
}

// delete removes a resource and derives the accounts that this touches.
func (c *change) delete(r *Resource) error {
	members, err := c.membersToDelete(r, 0)
	if err != nil {
		return err
	}
	return c.deleteWith(r, members)
}

// deleteFew is delete, or errLarge for a group of more members than one transaction
// deletes.
func (c *change) deleteFew(r *Resource) error {
	most := c.engine.Limits.inlineMembers()
	members, err := c.membersToDelete(r, most+1)
	if err == nil && len(members) > most {
		err = errLarge
	}
	if err != nil {
		return err
	}
	return c.deleteWith(r, members)
}

// membersToDelete returns the memberships in a group that is to be deleted, at most limit
// (0: all).
func (c *change) membersToDelete(r *Resource, limit int) ([]store.Membership, error) {
	if r.Type != TypeGroup {
		return nil, nil
	}
	return c.tx.UnnamedMemberships(r.ID, "", limit)
}

func (c *change) deleteWith(r *Resource, members []store.Membership) error {
	c.resource = &store.ResourceRef{Type: r.Type, ID: r.ID}
	if !c.offboarding { // the groups go too
		if err := c.leaveGroups(r.ID); err != nil {
			return err
		}
	}
	if err := c.tx.DeleteResource(r.Type, r.ID); err != nil {
		return err
	}
	switch r.Type {
	case TypeUser:
		return c.userDeleted(r.ID)
	case TypeGroup:
		return c.groupDeleted(r, memberDelta{removed: members})
	}
	return nil
}
