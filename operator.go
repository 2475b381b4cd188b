package provision

import (
	"context"
	"slices"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Disable blocks an account for an operator, whatever the identity provider
// says, until [Directory.Enable]. The SCIM resource is not changed: the identity
// provider reads what it wrote. Disabling twice is no change.
//
// The error is [ErrNotFound] for an unknown or deleted account, and a
// [*GuardError] for the last site admin.
func (d *Directory) Disable(ctx context.Context, id string) error {
	return d.setOperatorBlock(ctx, id, true)
}

// Enable lifts the block of [Directory.Disable]. The account then gets what the
// policy says; a block of the identity provider stays. The error is
// [ErrNotFound] for an unknown or deleted account.
func (d *Directory) Enable(ctx context.Context, id string) error {
	return d.setOperatorBlock(ctx, id, false)
}

func (d *Directory) setOperatorBlock(ctx context.Context, id string, blocked bool) error {
	return d.changeAccount(ctx, id, func(c *change, before *Account) error {
		after := before.Clone()
		account.SetBlock(&after.Facts, store.SourceOperator, blocked)
		return c.derive(derivation{before, after})
	})
}

// Unbind makes an account forget the ids by which logins find it: the immutable id
// and the NameID, and the externalId where a login wrote it, or told it of somebody
// whose user was deleted. The next login that finds it by the user name binds it
// anew. It is for a person whose identity provider gave them another id, after an operator
// has made sure that it is the same person. The error is [ErrNotFound] for an
// unknown or deleted account.
func (d *Directory) Unbind(ctx context.Context, id string) error {
	return d.changeAccount(ctx, id, func(c *change, before *Account) error {
		if len(keysOf(before)) == 0 {
			return nil
		}
		for _, key := range keysOf(before) {
			if err := unbind(c.tx, before, key); err != nil {
				return err
			}
		}
		after := before.Clone()
		if after.ResourceID == "" && slices.Contains(keysOf(before), idKey(before.ExternalID)) {
			after.ExternalID = "" // nobody else says it any more
		}
		after.Facts.Login.Keys = nil
		if err := c.forgetExternalID(after); err != nil {
			return err
		}
		out := account.Compare(before, after, c.now)
		if out.Event == "" { // the ids are facts, which a host does not see change
			out = account.Compare(before, after, c.now, store.AccountUpdated)
		}
		return c.store(&out)
	})
}

// forgetExternalID removes the externalId of a person whom only logins write: it
// is the id that they asserted.
func (c *change) forgetExternalID(next *Account) error {
	if next.ResourceID == "" || next.ExternalID == "" {
		return nil
	}
	r, err := c.tx.Resource(TypeUser, next.ResourceID, 0)
	if err != nil || r.Source != store.SourceJIT {
		return err
	}
	doc, err := account.ReadDocument(r.Document)
	if err != nil {
		return err
	}
	doc.ExternalID = ""
	d := &Draft{change: c, resource: *r, before: r}
	d.Write(Content(doc.Content()))
	next.ExternalID = ""
	return d.put()
}

// MarkLoggedIn records that a person has logged in to the host by other means
// than this library. From then on the policy does not change how they
// authenticate. Default groups that wait for the first login are added.
// The error is [ErrNotFound] for an unknown or deleted account.
func (d *Directory) MarkLoggedIn(ctx context.Context, id string) error {
	return d.changeAccount(ctx, id, func(c *change, before *Account) error {
		if before.Facts.LoggedIn {
			return nil
		}
		after := before.Clone()
		after.Facts.LoggedIn = true
		if err := c.defaults().owe(after, policy.AtLogin); err != nil {
			return err
		}
		return c.derive(derivation{before, after})
	})
}

// DeleteAccount removes an account, its personal data and its SCIM resource, and
// leaves a tombstone. The identity provider gets 404 for the resource; when it
// creates the user again, that is a new account.
//
// The error is [ErrNotFound] for an unknown or deleted account, and a
// [*GuardError] for the last site admin.
func (d *Directory) DeleteAccount(ctx context.Context, id string) error {
	return d.changeAccount(ctx, id, func(c *change, before *Account) error {
		if account.IsAdmin(before) {
			other, err := c.otherAdmin(before.ID)
			if err != nil {
				return err
			}
			if !other {
				return &GuardError{Guard: guardLastAdmin, Account: before.ID}
			}
		}
		if before.ResourceID != "" {
			if err := c.leaveGroups(before.ResourceID); err != nil {
				return err
			}
			if err := c.tx.DeleteResource(TypeUser, before.ResourceID); err != nil {
				return err
			}
		}
		out := account.Bury(before, c.now, policy.Reason{Effect: policy.EffectDeletedByOperator})
		return c.store(&out)
	})
}

// changeAccount runs fn on an account that exists. Its events name the resource
// of the account.
func (d *Directory) changeAccount(ctx context.Context, id string, fn func(*change, *Account) error) error {
	why := d.why()
	why.acts = true
	return d.update(ctx, why, func(c *change) error {
		a, err := liveAccount(c.tx, id)
		if err != nil {
			return err
		}
		if a.ResourceID != "" {
			c.resource = &store.ResourceRef{Type: TypeUser, ID: a.ResourceID}
		}
		return fn(c, a)
	})
}
