package account

import (
	"cmp"
	"slices"
	"time"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Output is what a change makes of an account.
type Output struct {
	Before *store.Account // as it is stored, nil for a new one
	After  *store.Account

	// Changed says that something must be stored.
	Changed bool

	// Changes are the attributes that a host sees change.
	Changes []store.Change

	// Notes are the types of events that tell of more than what the account
	// became. They come first. Event is the type of its own, or "".
	Notes []store.EventType
	Event store.EventType

	Counted bool // by the mass guard, as one that went
	Kept    bool // from now on kept as the last site admin

	// Refused says that the last site admin was to be taken out by a request.
	// Nothing else is said, and nothing may be stored.
	Refused bool
}

// Settle lets the guards have their say and returns what becomes of the account.
// It takes over what the input gave as Next.
func (d Decision) Settle(a Answers) Output {
	decided, after := d.policy, d.in.Next
	var notes []store.EventType
	var kept, counted bool
	if d.losesAdmin() && !a.OtherAdmin {
		if d.asked() {
			return Output{Before: d.in.Before, Refused: true}
		}
		if kept = d.keepAdmin(&decided); kept {
			notes = append(notes, store.GuardBlocked)
		}
	}
	if decided.Status != policy.StatusActive && d.guarded() {
		var news bool
		if news, counted = d.holdBack(&decided, a.MayGo); news {
			notes = append(notes, store.AccountHeld)
		}
	}
	d.apply(after, decided)
	if noteSuppressed(&after.Facts, decided, d.in.gone()) {
		notes = append(notes, store.AccountDeprovisionSuppressed)
	}
	if d.in.LogsIn {
		after.Facts.LoggedIn = true
	}
	out := Compare(d.in.Before, after, d.in.Now, notes...)
	out.Kept, out.Counted = kept, counted
	return out
}

// Undecided returns what becomes of an account of which nothing has changed that a
// decision reads, so that it keeps what it was given; ok is false for any other. It
// is right about accounts that follow the policy and the groups of their person: a
// change of these derives the account, or leaves that to a job, which meets it yet.
// It reads no groups, and takes over what the input gave as Next.
//
// What time alone changes is decided: rights that have lapsed, also those that a clock
// let lapse which was ahead. So is who a guard keeps: it may have changed its mind.
func Undecided(in Input) (out Output, ok bool) {
	before, next := in.Before, in.Next
	switch {
	case before == nil, before.Status == policy.StatusDeleted, in.gone(), in.LogsIn, in.Trace:
		return out, false
	case !store.SameFacts(before, next):
		return out, false
	case lapsed(in.Policy, next, cmp.Or(in.Sure, in.Now)), before.Modified.After(in.Now):
		return out, false
	case slices.ContainsFunc(before.Reasons, IsGuardReason):
		return out, false
	}
	next.EmailVerified = in.Policy.TrustsEmail(next.Email)
	return Compare(before, next, in.Now), true
}

// Compare returns the output of a change that is decided. It gives after its
// version.
func Compare(before, after *store.Account, now time.Time, notes ...store.EventType) Output {
	if before == nil && after.Status == policy.StatusDeleted {
		return Output{After: after} // never let in, nothing to remove
	}
	out := Output{Before: before, After: after, Notes: notes, Changes: store.Changes(before, after)}
	switch {
	case before == nil:
		out.Event = store.AccountCreated
	case len(out.Changes) > 0:
		out.Event = eventOf(before, after)
	}
	if out.Event == "" && len(notes) == 0 {
		out.Changed = !store.SameFacts(before, after)
		return out
	}
	after.Version, after.Modified, out.Changed = after.Version+1, now, true
	return out
}

// Bury returns what becomes of an account that is replaced by its tombstone.
func Bury(before *store.Account, now time.Time, why policy.Reason) Output {
	after := before.Clone()
	makeTombstone(after)
	after.Status, after.Reasons = policy.StatusDeleted, []policy.Reason{why}
	return Compare(before, after, now)
}

// BecameAdmin reports whether the account is a site admin and was none.
func (o *Output) BecameAdmin() bool {
	return o.Changed && o.After.SiteAdmin && (o.Before == nil || !o.Before.SiteAdmin)
}

// BecameDeleted reports whether the account is a tombstone from now on.
func (o *Output) BecameDeleted() bool {
	return o.Changed && o.Before != nil && o.After.Status == policy.StatusDeleted
}

func eventOf(before, after *store.Account) store.EventType {
	switch {
	case before.Status == after.Status:
		return store.AccountUpdated
	case after.Status == policy.StatusActive:
		return store.AccountActivated
	case after.Status == policy.StatusDisabled:
		return store.AccountDisabled
	case after.Status == policy.StatusDeleted:
		return store.AccountDeleted
	}
	return store.AccountUpdated
}

// apply writes what was decided into an account.
func (d Decision) apply(a *store.Account, decided policy.Decision) {
	a.EmailVerified = d.in.Policy.TrustsEmail(a.Email)
	if decided.Status == policy.StatusDeleted {
		makeTombstone(a)
	}
	a.Status, a.Reasons = decided.Status, decided.Reasons
	a.Facts.WasActive = a.Facts.WasActive || decided.Status == policy.StatusActive
	if a.Reasons == nil {
		a.Reasons = []policy.Reason{}
	}
	a.Complete()
	if decided.Status == policy.StatusDeleted {
		return
	}
	access := &decided.Access
	a.Roles = append([]string{}, access.Roles...)
	a.Authentication = access.Authentication
	a.SiteAdmin, a.ReadOnlySiteAdmin = access.SiteAdmin, access.ReadOnlySiteAdmin
	a.TwoFactor, a.Permissions = access.TwoFactor, access.Permissions
	a.Company, a.TimeZone = access.Company, access.TimeZone
	a.Groups = d.carried(access.Groups, a.Groups)
}

// carried returns the groups that an account carries: those of the policy, and
// those that the identity provider knows nothing of.
func (d Decision) carried(granted []policy.Grant, had []store.AccountGroup) []store.AccountGroup {
	out := make([]store.AccountGroup, 0, len(granted)+len(d.groups.local))
	for _, g := range granted {
		out = append(out, store.AccountGroup{ID: g.Group.ID, Name: g.Group.Name, Admin: g.Admin, Source: d.groups.source(g.Group.ID, had)})
	}
	for _, g := range d.groups.local {
		if !slices.ContainsFunc(out, func(have store.AccountGroup) bool { return have.ID == g.ID }) {
			out = append(out, g)
		}
	}
	return out
}

// makeTombstone removes what is personal: what stays is that there was an
// account, and when, and which of the host's it was, so that the host can remove
// its own.
func makeTombstone(a *store.Account) {
	*a = store.Account{
		ID: a.ID, Connection: a.Connection, HostID: a.HostID, Version: a.Version, Created: a.Created,
		Authentication: policy.AuthenticationSSO, TwoFactor: policy.TwoFactorSite, Permissions: policy.Permissions{},
		Roles: []string{}, Groups: []store.AccountGroup{},
		Facts: store.Facts{WasActive: a.Facts.WasActive},
	}
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
