package account

import (
	"cmp"
	"slices"
	"time"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Input is what is known of one person, with the change that is being made.
type Input struct {
	// Before is the account as it is stored, nil for a new one. It is not
	// changed.
	Before *store.Account

	// Next is the account with this change: who the person is now, the facts,
	// and what an operator edited. What the policy gives is in it as it was
	// before. [Decision.Settle] takes it over and makes it the account after.
	Next *store.Account

	// Groups has the groups of the person and those above them.
	Groups *Graph

	Policy *policy.Policy
	Now    time.Time    // UTC
	Source store.Source // of the change
	LogsIn bool         // the change is a login of this person, if it is let in
	Trace  bool         // also the options that did not apply are reasons

	// Sure is the last time that is known to have come, where the clock may be ahead:
	// evidence of logins lapses by it. Zero means Now.
	Sure time.Time
}

// gone reports whether the person has no resource (any more).
func (in *Input) gone() bool { return in.Next.ResourceID == "" }

// Decision is what a policy gives a person, whatever a guard would say.
type Decision struct {
	in     Input
	policy policy.Decision
	groups memberships
	had    *policy.Current // what the account has now, nil for a new one
}

// Decide says what the policy gives a person.
func Decide(in Input) Decision {
	d := Decision{in: in, groups: in.Groups.groupsOf(in.Policy, in.Next)}
	next := in.Next
	if lapsed(in.Policy, next, cmp.Or(in.Sure, in.Now)) {
		in.Groups.markLapsed(next.ResourceID, d.groups.raw)
	}
	if in.gone() {
		d.groups.local = localGroups(next) // the rows went with the resource
	}
	d.groups.local = withHostGroups(d.groups.local, next.Facts.HostGroups)
	facts := policy.Facts{
		Groups:            d.groups.raw,
		Evidence:          next.Facts.Evidence(),
		Gone:              in.gone(),
		Blocked:           BlockedByProvider(next),
		BlockedByOperator: slices.Contains(next.Facts.Blocks, store.SourceOperator),
		Conflict:          next.Facts.Conflict,
		WasActive:         next.Facts.WasActive,
		LoggedIn:          next.Facts.LoggedIn || next.Facts.AuthenticationSet,
		Company:           next.Facts.Company,
		TimeZone:          next.Facts.TimeZone,
	}
	if in.Before != nil {
		d.had = &policy.Current{Status: next.Status, Access: accessOf(next)}
		facts.Current = d.had
	}
	if in.Trace {
		d.policy = in.Policy.Trace(facts)
	} else {
		d.policy = in.Policy.Decide(facts)
	}
	return d
}

// ID returns the id of the account.
func (d Decision) ID() string { return d.in.Next.ID }

// Status is what the policy decides.
func (d Decision) Status() policy.Status { return d.policy.Status }

// Reasons are those of the policy.
func (d Decision) Reasons() []policy.Reason { return d.policy.Reasons }

// Admitted reports whether the policy lets the person in, blocks apart.
func (d Decision) Admitted() bool { return d.policy.Admitted }

// Account returns the account as the policy alone makes it. The input stays as it
// is; the two may share memory and are not to be changed in place.
func (d Decision) Account() *store.Account {
	after := d.in.Next.Clone()
	d.apply(after, d.policy)
	return after
}

// lapsed reports whether the rights of an account that rest on logins alone
// have lapsed.
func lapsed(p *policy.Policy, a *store.Account, now time.Time) bool {
	login := a.Facts.Login
	return login != nil && !login.Known.IsZero() && p.RolesLapsed(login.Known, now)
}

// accessOf returns what an account may do, as its policy gave it.
func accessOf(a *store.Account) policy.Access {
	access := policy.Access{
		Authentication:    a.Authentication,
		SiteAdmin:         a.SiteAdmin,
		ReadOnlySiteAdmin: a.ReadOnlySiteAdmin,
		Roles:             a.Roles,
		TwoFactor:         a.TwoFactor,
		Permissions:       a.Permissions,
		Company:           a.Company,
		TimeZone:          a.TimeZone,
	}
	for _, g := range a.Groups {
		if g.Source.Reported() {
			access.Groups = append(access.Groups, policy.Grant{Group: policy.Group{ID: g.ID, Name: g.Name}, Admin: g.Admin})
		}
	}
	return access
}

// localGroups returns the groups of an account that do not come from the
// identity provider.
func localGroups(a *store.Account) []store.AccountGroup {
	var out []store.AccountGroup
	for _, g := range a.Groups {
		if !g.Source.Reported() {
			out = append(out, g)
		}
	}
	return out
}

// withHostGroups returns a list of groups with those of the host that an account
// has as they are now, after the others.
func withHostGroups(list, host []store.AccountGroup) []store.AccountGroup {
	if len(host) == 0 {
		return list
	}
	others := slices.DeleteFunc(slices.Clone(list), func(g store.AccountGroup) bool {
		return slices.ContainsFunc(host, func(o store.AccountGroup) bool { return o.ID == g.ID })
	})
	return append(others, host...)
}
