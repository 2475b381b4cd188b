package policy

// Decision is what a policy says about one person. It is data: there is no
// error, and what was refused is in Status and Reasons.
type Decision struct {
	Status  Status
	Access  Access
	Reasons []Reason

	// Admitted says that requiredGroups and onMissingGroups let the person in.
	// A login of a person who is not admitted is denied, whatever the status,
	// and creates and changes nothing. It does not speak of blocks: they are
	// in Status.
	Admitted bool

	// Suppressed says that the person would have been deprovisioned, were it
	// not for deprovisionUsers, so that Status is what it was.
	Suppressed bool
}

// Status is the state of an account.
type Status string

// The account states.
const (
	StatusStaged   Status = "staged"   // known, never admitted yet
	StatusActive   Status = "active"   // may use the application
	StatusDisabled Status = "disabled" // may not, kept for audit
	StatusDeleted  Status = "deleted"  // removed; a tombstone is kept
)

// Access is what an account may do. An account that is not active has no roles,
// no admin rights and no group admin rights. A deleted one has nothing at all.
type Access struct {
	Authentication    Authentication
	SiteAdmin         bool
	ReadOnlySiteAdmin bool
	Roles             []string // ascending, without duplicates
	Groups            []Grant  // in the order of Facts.Groups
	TwoFactor         TwoFactor
	Permissions       Permissions
	Company           string
	TimeZone          string // IANA name, or empty for the host's default
}

// Grant is a group that the account carries.
type Grant struct {
	Group Group
	Admin bool // the person administers the group
}

// Authentication says how a person logs in.
type Authentication string

// The ways of authentication.
const (
	AuthenticationSSO      Authentication = "sso"
	AuthenticationPassword Authentication = "password"
)

// TwoFactor is the two-factor setting of an account.
type TwoFactor string

// The two-factor settings. TwoFactorSite follows the site's own policy.
const (
	TwoFactorSite   TwoFactor = "site"
	TwoFactorAlways TwoFactor = "always"
	TwoFactorNever  TwoFactor = "never"
)
