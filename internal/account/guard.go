package account

import (
	"slices"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Two guards stand between a decision and the account. The last site admin of a
// connection stays one. And when too many would be deprovisioned at once, or
// deleted who are out already, they are held as they are, until an operator
// decides.

// Question is what a guard must know before it counts.
type Question int

// The questions of the guards.
const (
	// OtherAdmin: is anybody else an active site admin?
	OtherAdmin Question = iota

	// MayGo: what does the mass guard say of one more account that loses
	// access?
	MayGo
)

// Answers are the answers to all questions of a decision. The zero value keeps
// the account as it is.
type Answers struct {
	OtherAdmin bool
	MayGo      Verdict
}

// Verdict is what becomes of an account that the policy deprovisions. An account
// may be held already, or kept by an operator after it was held.
type Verdict int

// The verdicts.
const (
	Hold    Verdict = iota // it is held; kept stays kept
	LetGo                  // it goes and counts; who is held or kept stays
	Force                  // it goes, also when it is held; who is kept stays
	Release                // it goes, also when it is held or kept
	Keep                   // an operator keeps it
)

// Open returns the questions of the guards, none for most decisions. An account
// that is held or kept already raises no question: it stays.
func (d Decision) Open() []Question {
	var open []Question
	if d.losesAdmin() {
		open = append(open, OtherAdmin)
	}
	if d.Leaves() {
		open = append(open, MayGo)
	}
	return open
}

// Leaves reports whether the account loses access by this decision, or is deleted
// after it has lost it, so that the mass guard counts it. A request that takes this very person out is neither held
// nor counted: the identity provider means it. Nor is an operator's block.
func (d Decision) Leaves() bool { return d.guarded() && holdOf(d.in.Before) == "" }

// guarded reports whether the mass guard has a say in this decision.
func (d Decision) guarded() bool {
	before := d.in.Before
	if before == nil || d.asked() {
		return false
	}
	switch before.Status {
	case policy.StatusActive:
		return d.policy.Status != policy.StatusActive && !slices.Contains(d.in.Next.Facts.Blocks, store.SourceOperator)
	case policy.StatusDisabled:
		return d.policy.Status == policy.StatusDeleted
	}
	return false
}

// losesAdmin reports whether an active site admin would be none any more.
func (d Decision) losesAdmin() bool {
	return d.in.Before != nil && IsAdmin(d.in.Before) &&
		(d.policy.Status != policy.StatusActive || !d.policy.Access.SiteAdmin)
}

// asked reports whether a request takes this very person out: the new facts have
// a block that the old ones did not have, or no resource any more. What a sync
// says is no request.
func (d Decision) asked() bool {
	before, next := d.in.Before, d.in.Next
	if d.in.Source == store.SourceSync {
		return false
	}
	if before.ResourceID != "" && next.ResourceID == "" {
		return true
	}
	return slices.ContainsFunc(next.Facts.Blocks, func(s store.Source) bool { return !slices.Contains(before.Facts.Blocks, s) })
}

// Asked reports whether a request takes this very person out, whatever the policy makes of
// it: the answer is the same before and after a decision. The account is a stored one.
func Asked(in Input) bool { return Decision{in: in}.asked() }

// keepAdmin changes a decision into one that keeps a site admin.
func (d Decision) keepAdmin(decided *policy.Decision) (news bool) {
	if decided.Status != policy.StatusActive {
		decided.Status, decided.Access = policy.StatusActive, d.had.Access
	}
	decided.Access.SiteAdmin, decided.Access.ReadOnlySiteAdmin = true, false
	decided.Reasons = append(slices.Clip(decided.Reasons), policy.Reason{Effect: policy.EffectKeptAsLastAdmin})
	return !slices.ContainsFunc(d.in.Before.Reasons, isLastAdminReason)
}

// holdBack changes a decision that deprovisions an account into one that keeps
// it, if the verdict says so. A hold lasts until an operator ends it or the facts
// no longer deprovision.
func (d Decision) holdBack(decided *policy.Decision, v Verdict) (news, counted bool) {
	effect := holdOf(d.in.Before)
	switch {
	case v == Release, v == Force && effect != policy.EffectKeptByOperator:
		return false, false
	case v == Keep:
		effect = policy.EffectKeptByOperator
	case effect != "":
	case v == LetGo:
		return false, true
	default:
		effect, news = policy.EffectHeld, true
	}
	decided.Status, decided.Access = d.had.Status, d.had.Access
	decided.Reasons = append(slices.Clip(decided.Reasons), policy.Reason{Effect: effect})
	return news, false
}

// IsAdmin reports whether an account is an active full site admin.
func IsAdmin(a *store.Account) bool { return a.Status == policy.StatusActive && a.SiteAdmin }

// IsHeld reports whether an account is held, or kept by an operator after that.
func IsHeld(a *store.Account) bool { return holdOf(a) != "" }

// IsGuardReason reports whether a reason is not of the policy but of what keeps
// an account in spite of it.
func IsGuardReason(r policy.Reason) bool { return isHoldReason(r) || isLastAdminReason(r) }

// holdOf returns the effect by which an account is kept as it is, or "".
func holdOf(a *store.Account) policy.Effect {
	if i := slices.IndexFunc(a.Reasons, isHoldReason); i >= 0 {
		return a.Reasons[i].Effect
	}
	return ""
}

func isHoldReason(r policy.Reason) bool {
	return r.Effect == policy.EffectHeld || r.Effect == policy.EffectKeptByOperator
}

func isLastAdminReason(r policy.Reason) bool { return r.Effect == policy.EffectKeptAsLastAdmin }
