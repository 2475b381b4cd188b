package policy

// Facts are what is known of one person: the input of [Policy.Decide].
//
// Times, stores and clocks stay outside: whoever calls Decide records what must
// be remembered (first activation, first login, defaults applied) and passes it
// in again.
type Facts struct {
	// Groups are the groups that the identity provider reported for the
	// person, transitive ones included. Groups that an operator or a default
	// added are not among them: they never open a gate or grant a role. Each
	// group is listed once. Groups do not count if Evidence is not Known.
	Groups []Group

	// Evidence says how much Groups is worth. The zero value is Known.
	Evidence Evidence

	// Blocked says that some source (SCIM active=false, a sync, an operator)
	// wants the person out and that nothing has lifted it.
	Blocked bool

	// BlockedByOperator says that an operator disabled the account and has not
	// lifted it. It blocks by itself, whether or not Blocked is set as well.
	// As it is no deprovisioning, deprovisionUsers does not suppress it, and an
	// account that nobody else blocks is disabled, never deleted: for that,
	// Blocked must not be set for the operator's sake.
	BlockedByOperator bool

	// Gone says that the person's resource was deleted by the identity
	// provider. It blocks like Blocked. As the memberships go with the
	// resource, an account that outlives it because deprovisionUsers is off
	// keeps its groups and rights: for that, Gone must stay set.
	Gone bool

	// Conflict, when not empty, is an account of the host that the person resembles and may
	// not be linked to. Somebody whom nobody blocks is staged, until an operator decides.
	Conflict string

	// WasActive says that the account has been active at some time.
	WasActive bool

	// LoggedIn says that the person has logged in: how they authenticate is
	// fixed from then on.
	LoggedIn bool

	// Company and TimeZone are what the identity provider gave, or empty.
	Company  string
	TimeZone string

	// Current is what the account has now; nil for an account that is being
	// created. Options that apply at creation only (two-factor, permissions)
	// keep its values, and absent evidence keeps its groups and roles.
	Current *Current
}

// Current is the state of an account before a decision.
type Current struct {
	Status Status
	Access Access
}

// Group is one group of a person as the identity provider knows it.
type Group struct {
	ID         string // SCIM id, or the raw asserted value
	ExternalID string // the identity provider's own id, or empty
	Name       string // display name

	// ByName says that the group was found by its name alone: ExternalID is the
	// value that was asserted, and ID counts for no pattern, since a name must
	// not be the key to what a pattern gives to an id.
	ByName bool

	// Lapsed says that what tells of the membership is older than
	// roleEvidenceMaxAgeDays: the group is carried and opens the gate as
	// before, but grants no admin right and no role.
	Lapsed bool
}

// Evidence says what is known of a person's groups. Absent is not empty.
type Evidence uint8

// The kinds of evidence.
const (
	// Known means that Facts.Groups is the whole list, which may be empty.
	EvidenceKnown Evidence = iota

	// Absent means that nothing was said about groups.
	EvidenceAbsent

	// Overage means that the identity provider said there are too many groups
	// to list.
	EvidenceOverage
)
