package policy

import (
	"slices"
	"strings"
)

// Config holds the options of a policy, as an administrator sets them for one
// connection. The comments give the JSON keys, which are the names that errors
// and reasons use.
//
// The zero Config is the defaults, as is the JSON object {}: in every field the
// zero value stands for the default of the option. What nobody set takes
// leavers out and carries groups, and gives nobody a right. [Config.Compile]
// checks the options and makes a [Policy], whose [Policy.Config] has the
// defaults in full.
type Config struct {
	// ProvisionOnFirstLogin (provisionOnFirstLogin) says whether a login by an unknown
	// person creates them.
	ProvisionOnFirstLogin FirstLogin

	// DeprovisionUsers (deprovisionUsers) lets the identity provider take
	// people out: by SCIM active=false and DELETE, by absence from a full sync,
	// by loss of the last required group. Off: an account stays as it is, and
	// the decision says so in Suppressed.
	DeprovisionUsers Switch

	// DeprovisionMethod (deprovisionMethod) is how a person is taken out.
	DeprovisionMethod DeprovisionMethod

	// DeleteAfterDays (deleteAfterDays, 0 to 90) disables an account so many
	// days before it is deleted, if DeprovisionMethod is MethodDelete.
	DeleteAfterDays int

	// ProvisionGroups (provisionGroups) lets accounts gain and lose groups.
	// Off: groups remain facts, which open the gate and grant roles.
	ProvisionGroups Switch

	// DeprovisionGroups (deprovisionGroups) lets accounts lose groups. Off: a
	// group that an account carries stays, under its last name.
	DeprovisionGroups Switch

	// Company (company) is the company of people for whom the identity provider
	// gives none, or of everyone if CompanyMode says so.
	Company string

	// CompanyMode (companyMode) says when Company is used.
	CompanyMode CompanyMode

	// DefaultGroups (defaultGroups) are names of groups, without wildcards,
	// that each account gets once. Resolving names and recording what was added
	// is for the caller: [Policy.Decide] does not know them.
	DefaultGroups []string

	// DefaultGroupsAt (defaultGroupsAt) says when DefaultGroups are added.
	DefaultGroupsAt DefaultGroupsAt

	// RequiredGroups (requiredGroups) is a gate on people: only those in one of
	// these groups are admitted.
	RequiredGroups Patterns

	// ExcludedGroups (excludedGroups) is a filter on groups, not on people:
	// accounts do not carry these groups.
	ExcludedGroups Patterns

	// IncludedGroups (includedGroups), if not empty, are the only groups that
	// accounts carry. ExcludedGroups beats it.
	IncludedGroups Patterns

	// SiteAdminGroups (siteAdminGroups) make their members site admins.
	SiteAdminGroups Patterns

	// ReadOnlySiteAdminGroups (readOnlySiteAdminGroups) make their members site
	// admins who may only look. SiteAdminGroups beats it.
	ReadOnlySiteAdminGroups Patterns

	// AllowEveryoneAdmin (allowEveryoneAdmin) permits patterns made of
	// wildcards only in SiteAdminGroups and ReadOnlySiteAdminGroups. Who sets
	// it MUST want everyone to be an admin.
	AllowEveryoneAdmin bool

	// GroupAdminGroups (groupAdminGroups) make their members admins of the
	// group that matched, if the account carries it.
	GroupAdminGroups Patterns

	// PasswordGroups (passwordGroups) make their members log in with a password
	// of the application. It is fixed with the first login.
	PasswordGroups Patterns

	// AllowSSOForPasswordUsers (allowSSOForPasswordUsers) lets those who have a
	// password log in through the identity provider, too.
	AllowSSOForPasswordUsers bool

	// TwoFactor (twoFactor) is the two-factor setting of new accounts.
	TwoFactor TwoFactor

	// Permissions (permissions) are the protocol permissions of new accounts.
	// "webdav", "ftp" and "sftp", in any case, are left to the host where it
	// does not name them. A host that has more names tells [Config.Compile].
	Permissions Permissions

	// TimeZone (timeZone) is used where the identity provider gives no valid
	// one: a name that [TimeZone] knows.
	TimeZone string

	// Roles (roles) grant host roles to members of groups.
	Roles []RoleGrant

	// Link (link) says how a person is joined with an account that the host had
	// before.
	Link Link

	// EmailDomains (emailDomains) are the domains whose e-mail addresses the
	// identity provider can speak for. Addresses elsewhere are not verified and
	// never link.
	EmailDomains []string

	// OnMissingGroups (onMissingGroups) says what follows when nothing is known
	// of a person's groups.
	OnMissingGroups OnMissingGroups

	// RoleEvidenceMaxAgeDays (roleEvidenceMaxAgeDays, 0 to 3650) is how long
	// roles live that rest on logins alone, without a login that lists groups.
	// Zero means 30, and [Forever] that they never lapse; in JSON that is 0.
	// The caller keeps the time.
	RoleEvidenceMaxAgeDays int

	// ExternalIDImmutable (externalIdImmutable) says whether an externalId may
	// identify a person at login. Nil leaves it to the dialect.
	ExternalIDImmutable *bool

	// UniqueEmails (uniqueEmails) refuses a second user with the primary e-mail
	// address of another one. Off: both are there, and the host is told.
	UniqueEmails bool
}

// RoleGrant grants a role of the host to the members of some groups.
type RoleGrant struct {
	Groups Patterns `json:"groups"`
	Role   string   `json:"role"`
}

// DeprovisionMethod is how a person is taken out. Empty means MethodDisable.
type DeprovisionMethod string

// The methods of deprovisioning.
const (
	MethodDisable DeprovisionMethod = "disable" // keep the account for audit
	MethodDelete  DeprovisionMethod = "delete"  // remove it and its personal data, leave a tombstone
)

// CompanyMode says when the company option is used. Empty means CompanyDefault.
type CompanyMode string

// The modes of the company option.
const (
	CompanyDefault CompanyMode = "default" // where the identity provider gives none
	CompanyForce   CompanyMode = "force"   // always
)

// DefaultGroupsAt says when default groups are added. Empty means AtCreation.
type DefaultGroupsAt string

// The moments at which default groups are added.
const (
	AtCreation DefaultGroupsAt = "creation" // with the account
	AtLogin    DefaultGroupsAt = "login"    // with the first login
)

// Link says how a person is joined with an account that the host had before.
// Empty means LinkDeny.
type Link string

// The ways of linking.
const (
	LinkDeny     Link = "deny"     // never
	LinkEmail    Link = "email"    // by verified e-mail address
	LinkUserName Link = "username" // by user name
)

// OnMissingGroups says what follows when nothing is known of a person's groups.
// Empty means MissingKeep.
type OnMissingGroups string

// The ways to read missing groups.
const (
	MissingKeep  OnMissingGroups = "keep"  // nothing is removed or revoked
	MissingEmpty OnMissingGroups = "empty" // Absent is no groups; Overage, which has too many, is kept
	MissingDeny  OnMissingGroups = "deny"  // as keep, and the person is not admitted
)

// Clone returns a copy of c that shares no memory with it.
func (c Config) Clone() Config {
	for _, o := range options {
		switch field := o.field(&c).(type) {
		case *Patterns:
			*field = slices.Clone(*field)
		case *[]string:
			*field = slices.Clone(*field)
		}
	}
	c.Permissions = c.Permissions.Clone()
	c.Roles = slices.Clone(c.Roles)
	for i := range c.Roles {
		c.Roles[i].Groups = slices.Clone(c.Roles[i].Groups)
	}
	c.ExternalIDImmutable = clonePointer(c.ExternalIDImmutable)
	return c
}

// WithNames returns a copy of c in which normal has changed each pattern that is
// not an exact id. This package compares names as they are: whoever normalizes
// those of groups before they are matched does so with patterns too.
func (c Config) WithNames(normal func(string) string) Config {
	c = c.Clone()
	for _, list := range c.lists() {
		for i, text := range list {
			if !strings.HasPrefix(text, "id:") {
				list[i] = normal(text)
			}
		}
	}
	return c
}

func clonePointer(b *bool) *bool {
	if b == nil {
		return nil
	}
	c := *b
	return &c
}
