package policy

// Denial says why a login, or the adoption of a person, was refused. It is a stable
// code.
type Denial string

// The denials.
const (
	// DeniedNotProvisioned: nobody is known by this identity, and option
	// provisionOnFirstLogin does not create people.
	DeniedNotProvisioned Denial = "not_provisioned"

	// DeniedNotAdmitted: requiredGroups or onMissingGroups do not let the
	// person in.
	DeniedNotAdmitted Denial = "not_admitted"

	// DeniedDisabled: the account is disabled.
	DeniedDisabled Denial = "disabled"

	// DeniedPassword: the person logs in with a password of the host.
	DeniedPassword Denial = "password"

	// DeniedIncomplete: the identity lacks what an account needs, or has a text
	// of a wrong form.
	DeniedIncomplete Denial = "incomplete"

	// DeniedConflict: the identity resembles a person to whom it may not be
	// linked. Creating another would make a duplicate.
	DeniedConflict Denial = "conflict"

	// DeniedRecycled: the person was found, but is bound to another immutable
	// id: the name or address has a new owner.
	DeniedRecycled Denial = "recycled"

	// DeniedConnection: the connection is disabled.
	DeniedConnection Denial = "connection_disabled"

	// DeniedNotLive: the connection is in shadow: nobody is let in before it goes live.
	DeniedNotLive Denial = "not_live"

	// DeniedPaused: the connection is paused, and the person has no account yet.
	DeniedPaused Denial = "connection_paused"
)

// EndsSessions reports whether the refusal is about the person who has the account
// that the event login.denied names, so that a host ends their sessions: no event of
// the account follows, since a login deprovisions nobody. Otherwise somebody else was
// refused, who resembles that person, or the person came by the wrong door.
func (d Denial) EndsSessions() bool {
	switch d {
	case DeniedNotAdmitted, DeniedDisabled:
		return true
	}
	return false
}
