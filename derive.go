package provision

import (
	"slices"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// settle decides what an account gets from its facts, stores it when that is
// news, and appends the events. after is the account with the new facts; before
// is what is stored, nil for a new one. gone says that the resource was
// deleted.
func (c *change) settle(before, after *Account, gone bool) error {
	p, err := c.prepare(before, after, gone)
	if err != nil {
		return err
	}
	return c.settlePrepared(before, after, p.notes)
}

// settlePrepared stores what prepare decided.
func (c *change) settlePrepared(before, after *Account, notes []store.EventType) error {
	if before == nil && after.Status == policy.Deleted {
		return nil // never let in, nothing to remove
	}
	if err := c.storeAccount(before, after, notes); err != nil {
		return err
	}
	return c.scheduleDeletion(before, after)
}

// prepared is what an account gets beside what is written into it.
type prepared struct {
	notes    []store.EventType // events that tell of more than the account's own change
	admitted bool              // as the policy says, whatever a guard does
}

// prepare decides what an account gets from its facts and writes it into after,
// which it does not store.
func (c *change) prepare(before, after *Account, gone bool) (p prepared, err error) {
	facts, groups, err := collect(c.tx, c.conn.policy, c.now, before, after, gone)
	if err != nil {
		return p, err
	}
	decision := c.conn.policy.Decide(facts)
	p.admitted = decision.Admitted
	news, err := c.keepLastAdmin(before, after, facts.Current, &decision)
	if err != nil {
		return p, err
	}
	if news {
		p.notes = append(p.notes, store.GuardBlocked)
	}
	if news, err = c.holdBack(before, after, facts.Current, &decision); err != nil {
		return p, err
	}
	if news {
		p.notes = append(p.notes, store.AccountHeld)
	}
	after.EmailVerified = c.conn.policy.TrustsEmail(after.Email)
	applyDecision(after, decision, groups)
	if noteSuppressed(&after.Facts, decision, gone) {
		p.notes = append(p.notes, store.AccountDeprovisionSuppressed)
	}
	return p, nil
}

// Causes of a suppressed deprovisioning that are no source's block.
const (
	suppressedGone store.Source = "deleted"        // the resource
	suppressedGate store.Source = "requiredGroups" // the last one was lost
)

// noteSuppressed records, once per cause, that deprovisioning is switched off.
func noteSuppressed(facts *store.Facts, d policy.Decision, gone bool) (news bool) {
	if !d.Suppressed {
		facts.Suppressed = nil
		return false
	}
	causes := slices.Clone(facts.Blocks)
	if gone {
		causes = append(causes, suppressedGone)
	}
	if len(causes) == 0 {
		causes = append(causes, suppressedGate)
	}
	if slices.Equal(causes, facts.Suppressed) {
		return false
	}
	facts.Suppressed = causes
	return true
}

// storeAccount stores an account that differs from before, and appends its
// event after those that notes ask for.
func (c *change) storeAccount(before, after *Account, notes []store.EventType) error {
	var changes []store.Change
	if before != nil {
		changes = accountChanges(before, after)
		if len(changes) == 0 && len(notes) == 0 && sameFacts(before, after) {
			return nil
		}
	}
	if before == nil || len(changes) > 0 || len(notes) > 0 {
		after.Version++
		after.Modified = c.now
	}
	if err := c.tx.PutAccount(after); err != nil {
		return err
	}
	if err := c.forgetDeleted(before, after); err != nil {
		return err
	}
	if after.SiteAdmin && (before == nil || !before.SiteAdmin) {
		c.newAdmin = true
	}
	for _, note := range notes {
		if err := c.append(&store.Event{Type: note, AccountID: after.ID, Account: after, Reasons: after.Reasons}); err != nil {
			return err
		}
	}
	if before != nil && len(changes) == 0 {
		return nil
	}
	return c.append(&store.Event{
		Type: accountEvent(before, after), AccountID: after.ID, Account: after,
		Changes: changes, Reasons: after.Reasons,
	})
}

func accountEvent(before, after *Account) store.EventType {
	switch {
	case before == nil:
		return store.AccountCreated
	case before.Status == after.Status:
		return store.AccountUpdated
	case after.Status == policy.Active:
		return store.AccountActivated
	case after.Status == policy.Disabled:
		return store.AccountDisabled
	case after.Status == policy.Deleted:
		return store.AccountDeleted
	}
	return store.AccountUpdated
}

func applyDecision(a *Account, d policy.Decision, groups memberships) {
	if d.Status == policy.Deleted {
		makeTombstone(a)
	}
	a.Status, a.Reasons = d.Status, d.Reasons
	a.Facts.WasActive = a.Facts.WasActive || d.Status == policy.Active
	if a.Reasons == nil {
		a.Reasons = []policy.Reason{}
	}
	a.Held = holdOf(a) == store.EffectHeld
	had := a.Groups
	a.Roles, a.Groups = []string{}, make([]store.AccountGroup, 0, len(d.Access.Groups)+len(groups.local))
	if d.Status == policy.Deleted {
		return
	}
	a.Authentication = d.Access.Authentication
	a.SiteAdmin, a.ReadOnlySiteAdmin = d.Access.SiteAdmin, d.Access.ReadOnlySiteAdmin
	a.Roles = append(a.Roles, d.Access.Roles...)
	a.TwoFactor, a.Permissions = d.Access.TwoFactor, d.Access.Permissions
	a.Company, a.TimeZone = d.Access.Company, d.Access.TimeZone
	for _, g := range d.Access.Groups {
		a.Groups = append(a.Groups, store.AccountGroup{ID: g.Group.ID, Name: g.Group.Name, Admin: g.Admin, Source: groups.source(g.Group.ID, had)})
	}
	for _, g := range groups.local {
		if !slices.ContainsFunc(a.Groups, func(have store.AccountGroup) bool { return have.ID == g.ID }) {
			a.Groups = append(a.Groups, g)
		}
	}
}

// makeTombstone removes what is personal: what stays is that there was an
// account, and when.
func makeTombstone(a *Account) {
	*a = Account{
		ID: a.ID, Connection: a.Connection, Version: a.Version, Created: a.Created,
		Authentication: policy.SSO, TwoFactor: policy.SiteTwoFactor, Permissions: policy.Permissions{},
		Facts: store.Facts{WasActive: a.Facts.WasActive},
	}
}

// resettle settles a stored account under the connection as it is now.
func (c *change) resettle(before *Account) error {
	if before.Status == policy.Deleted {
		return nil
	}
	after, err := c.reread(before)
	if err != nil {
		return err
	}
	if err := c.retryDefaults(after); err != nil {
		return err
	}
	return c.settle(before, after, before.ResourceID == "")
}

// prepareAgain prepares a stored account under the connection as it is now.
func (c *change) prepareAgain(before *Account) (after *Account, notes []store.EventType, err error) {
	if after, err = c.reread(before); err != nil {
		return nil, nil, err
	}
	p, err := c.prepare(before, after, before.ResourceID == "")
	return after, p.notes, err
}

// reread returns a copy of a stored account with what the connection maps of
// its resource.
func (c *change) reread(before *Account) (*Account, error) {
	after := before.Clone()
	if before.ResourceID != "" && len(c.conn.attributes)+len(before.Attributes) > 0 {
		r, err := c.tx.Resource(TypeUser, before.ResourceID, 0)
		if err != nil {
			return nil, err
		}
		readPerson(r.Document, c.conn.attributes).writeTo(after)
	}
	return after, nil
}
