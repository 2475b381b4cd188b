package provision

import (
	"errors"
	"slices"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Guard tells the engine of site admins that are no accounts of a connection.
type Guard interface {
	// OtherAdmins returns how many people are active full site admins beside
	// the accounts of the connection. While there are some, the connection may
	// lose its last site admin.
	//
	// It is called inside a transaction, perhaps concurrently: it answers at
	// once and does not call the Engine or its Store. An account that is kept as
	// the last site admin is not derived again because the answer changes, but
	// with the next change that touches it.
	OtherAdmins(connection string) int
}

const (
	recordGuard = "guard"

	// guardLastAdmin is the guard of [GuardError], and the key of the record
	// that names the account which the guard keeps.
	guardLastAdmin = "lastSiteAdmin"

	// effectLastAdmin is the effect of the reason that a guarded account has.
	effectLastAdmin = "kept as the last site admin"
)

// keepLastAdmin changes a decision that would leave the connection without an
// active site admin. A request that takes this very person out is refused with a
// [*GuardError]. With any other cause, a sync among them, the facts count, and
// the account stays as it is until there is another admin; news says that it
// does so from now on.
//
// Changes of one connection are serial, so of two admins who lose the role at
// the same moment the second is the last.
func (c *change) keepLastAdmin(before, after *Account, current *policy.Current, d *policy.Decision) (news bool, err error) {
	if before == nil || !isAdmin(before) || d.Status == policy.Active && d.Access.SiteAdmin {
		return false, nil
	}
	last, err := c.lastAdmin(before.ID)
	if err != nil || !last {
		return false, err
	}
	if takesOut(before, after) && c.source() != store.SourceSync {
		return false, &GuardError{Guard: guardLastAdmin, Account: before.ID}
	}
	if d.Status != policy.Active {
		d.Status, d.Access = policy.Active, current.Access
	}
	d.Access.SiteAdmin, d.Access.ReadOnlySiteAdmin = true, false
	d.Reasons = append(slices.Clip(d.Reasons), policy.Reason{Effect: effectLastAdmin})
	if slices.ContainsFunc(before.Reasons, isLastAdminReason) {
		return false, nil
	}
	return true, c.putMark(recordGuard, guardLastAdmin, before.ID)
}

func isAdmin(a *Account) bool { return a.Status == policy.Active && a.SiteAdmin }

func isLastAdminReason(r policy.Reason) bool { return r.Effect == effectLastAdmin }

// lastAdmin reports whether nobody else is an active site admin.
func (c *change) lastAdmin(account string) (bool, error) {
	if g := c.engine.Guard; g != nil && g.OtherAdmins(c.conn.ID) > 0 {
		return false, nil
	}
	admins, err := c.tx.Accounts(store.AccountQuery{
		SiteAdmin: true, Statuses: []string{string(policy.Active)}, Limit: 2,
	})
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(admins, func(a *Account) bool { return a.ID != account }), nil
}

// takesOut reports whether the new facts of an account have a block that the
// old ones did not have, or no resource any more.
func takesOut(before, after *Account) bool {
	if before.ResourceID != "" && after.ResourceID == "" {
		return true
	}
	return slices.ContainsFunc(after.Facts.Blocks, func(s store.Source) bool { return !slices.Contains(before.Facts.Blocks, s) })
}

// releaseLastAdmin derives the account that the guard kept as soon as another
// one has become site admin.
func (c *change) releaseLastAdmin() error {
	if !c.newAdmin {
		return nil
	}
	kept, err := c.mark(recordGuard, guardLastAdmin)
	if err != nil || kept == "" {
		return err
	}
	if err := c.clearMark(recordGuard, guardLastAdmin); err != nil {
		return err
	}
	a, err := c.tx.Account(kept)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return c.resettle(a)
}
