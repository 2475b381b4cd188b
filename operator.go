package provision

import (
	"context"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Disable blocks an account for an operator, whatever the identity provider
// says, until [Directory.Enable]. The SCIM resource is not changed: the identity
// provider reads what it wrote. Disabling twice is no change.
//
// The error is [ErrNotFound] for an unknown or deleted account, and a
// [*GuardError] for the last site admin.
func (d *Directory) Disable(ctx context.Context, account string) error {
	return d.setOperatorBlock(ctx, account, true)
}

// Enable lifts the block of [Directory.Disable]. The account then gets what the
// policy says; a block of the identity provider stays. The error is
// [ErrNotFound] for an unknown or deleted account.
func (d *Directory) Enable(ctx context.Context, account string) error {
	return d.setOperatorBlock(ctx, account, false)
}

func (d *Directory) setOperatorBlock(ctx context.Context, account string, blocked bool) error {
	return d.changeAccount(ctx, account, func(c *change, before *Account) error {
		after := before.Clone()
		setBlock(&after.Facts.Blocks, store.SourceOperator, blocked)
		return c.settle(before, after, after.ResourceID == "")
	})
}

// Unbind makes an account forget the ids by which logins find it: the immutable id
// and the NameID. The next login that finds it by the user name binds it anew. It
// is for a person whose identity provider gave them another id, after an operator
// has made sure that it is the same person. The error is [ErrNotFound] for an
// unknown or deleted account.
func (d *Directory) Unbind(ctx context.Context, account string) error {
	return d.changeAccount(ctx, account, func(c *change, before *Account) error {
		if len(keysOf(before)) == 0 {
			return nil
		}
		for _, key := range keysOf(before) {
			if err := c.clearMark(recordIdentity, key); err != nil {
				return err
			}
		}
		after := before.Clone()
		after.Facts.Login.Keys = nil
		return c.storeAccount(before, after, []store.EventType{store.AccountUpdated})
	})
}

// MarkLoggedIn records that a person has logged in to the host by other means
// than this library. From then on the policy does not change how they
// authenticate. Default groups that wait for the first login are added.
// The error is [ErrNotFound] for an unknown or deleted account.
func (d *Directory) MarkLoggedIn(ctx context.Context, account string) error {
	return d.changeAccount(ctx, account, func(c *change, before *Account) error {
		if before.Facts.LoggedIn {
			return nil
		}
		after := before.Clone()
		after.Facts.LoggedIn = true
		if err := c.owesDefaults(after, policy.AtLogin); err != nil {
			return err
		}
		return c.settle(before, after, after.ResourceID == "")
	})
}

// DeleteAccount removes an account, its personal data and its SCIM resource, and
// leaves a tombstone. The identity provider gets 404 for the resource; when it
// creates the user again, that is a new account.
//
// The error is [ErrNotFound] for an unknown or deleted account, and a
// [*GuardError] for the last site admin.
func (d *Directory) DeleteAccount(ctx context.Context, account string) error {
	return d.changeAccount(ctx, account, func(c *change, before *Account) error {
		if isAdmin(before) {
			last, err := c.lastAdmin(before.ID)
			if err != nil {
				return err
			}
			if last {
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
		return c.bury(before, policy.Reason{Effect: effectDeletedByOperator})
	})
}

// effectDeletedByOperator is the effect of the reason that the tombstone has.
const effectDeletedByOperator = "deleted by an operator"

// changeAccount runs fn on an account that exists. Its events name the resource
// of the account.
func (d *Directory) changeAccount(ctx context.Context, account string, fn func(*change, *Account) error) error {
	return d.engine.update(ctx, d.connection, d.actor, func(c *change) error {
		a, err := c.tx.Account(account)
		if err != nil {
			return err
		}
		if a.Status == policy.Deleted {
			return ErrNotFound
		}
		if a.ResourceID != "" {
			c.cause = &store.ResourceRef{Type: TypeUser, ID: a.ResourceID}
		}
		return fn(c, a)
	})
}
