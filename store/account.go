package store

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/scimjit/provision/policy"
)

// Account is the derived, effective state of one person in the application. It
// is what a host acts on. Its JSON form is the one that a host sees; Facts stay
// inside.
//
// A stored Account is never changed, only replaced: copy it with [Account.Clone]
// before changing a field. A new field needs a row in the table of fields, see
// [Field], and nothing else.
type Account struct {
	ID                string                `json:"id"`
	Connection        string                `json:"connection"`
	UserName          string                `json:"userName"`
	ExternalID        string                `json:"externalId"`
	Email             string                `json:"email"`
	EmailVerified     bool                  `json:"emailVerified"` // its domain is one of emailDomains
	Name              string                `json:"name"`
	DisplayName       string                `json:"displayName"`
	Status            policy.Status         `json:"status"`
	Authentication    policy.Authentication `json:"authentication"`
	SiteAdmin         bool                  `json:"siteAdmin"`
	ReadOnlySiteAdmin bool                  `json:"readOnlySiteAdmin"`
	Roles             []string              `json:"roles"`
	Groups            []AccountGroup        `json:"groups"`
	TwoFactor         policy.TwoFactor      `json:"twoFactor"`
	Permissions       policy.Permissions    `json:"permissions"`
	Company           string                `json:"company"`
	TimeZone          string                `json:"timeZone"`
	Attributes        Attributes            `json:"attributes"`
	Pending           bool                  `json:"pending"`          // it waits for a job: computed when it is read, stored nowhere
	Held              bool                  `json:"held"`             // a guard keeps it as it is until an operator decides: as Reasons say, stored nowhere
	HostID            string                `json:"hostId,omitempty"` // the account of the host's own that it is linked to
	Version           int64                 `json:"version"`
	Reasons           []policy.Reason       `json:"reasons"`

	// ResourceID is the user resource that the account is derived from, empty
	// for a tombstone and for an account whose resource was deleted.
	ResourceID string `json:"-"`

	Created  time.Time `json:"-"` // UTC
	Modified time.Time `json:"-"` // UTC

	// Facts are what derivation needs to know beside the resource and its
	// memberships.
	Facts Facts `json:"-"`
}

// AccountGroup is a group that an account carries into the application.
type AccountGroup struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Admin  bool   `json:"admin"`
	Source Source `json:"source"`
}

// Facts are the policy inputs of one person: a projection of the resource, so
// that an edited policy is applied without decoding documents, and sticky facts
// that are recorded once.
type Facts struct {
	Company  string `json:"company,omitempty"`  // as the identity provider gave it
	TimeZone string `json:"timeZone,omitempty"` // as the identity provider gave it

	// Blocks are the sources that said the person must not be active. Each
	// source lifts only its own.
	Blocks []Source `json:"blocks,omitempty"`

	// Suppressed says what would have deprovisioned the person while that was
	// switched off: blocks by their source, "deleted" for the resource, or
	// "requiredGroups" for the last required group. It was recorded, not acted
	// on.
	Suppressed []Source `json:"suppressed,omitempty"`

	WasActive bool `json:"wasActive,omitempty"` // the account was active at some time
	LoggedIn  bool `json:"loggedIn,omitempty"`  // the person has logged in: authentication is fixed

	// DefaultGroups are the default groups that were applied, by name; a later
	// removal is not undone.
	DefaultGroups []string `json:"defaultGroups,omitempty"`

	// HostGroups are the groups of the host itself that the account got as
	// default groups, until an operator removes them.
	HostGroups []AccountGroup `json:"hostGroups,omitempty"`

	// AuthenticationSet says that an operator chose how the person logs in: it
	// is fixed.
	AuthenticationSet bool `json:"authenticationSet,omitempty"`

	// Conflict is an account of the host that the person resembles and may not be linked
	// to: the account is staged until an operator decides. It is empty for anybody else.
	Conflict string `json:"conflict,omitempty"`

	// Login is what logins through the identity provider told about the person;
	// nil when there was none.
	Login *LoginFacts `json:"login,omitempty"`
}

// LoginFacts are what logins through the identity provider told.
type LoginFacts struct {
	// Keys are the ids that the account is bound to: keys of the records by
	// which a login finds it.
	Keys []string `json:"keys,omitempty"`

	// Evidence is the best that was ever known of the person's groups, of a
	// person whom only logins tell about.
	Evidence policy.Evidence `json:"evidence,omitempty"`

	// Known is when a login told the groups last, to the day in UTC.
	Known time.Time `json:"known,omitzero"`

	// Groups are the values by which the last such login named the groups that
	// the person is in by it.
	Groups []LoginGroup `json:"groups,omitempty"`
}

// LoginGroup is the value by which a login named a group.
type LoginGroup struct {
	ID    string `json:"id"` // of the group resource
	Value string `json:"value"`
}

// Evidence returns what is known of the person's groups.
func (f *Facts) Evidence() policy.Evidence {
	if f.Login == nil {
		return policy.EvidenceKnown
	}
	return f.Login.Evidence
}

// Attributes are SCIM attributes that a connection maps for the host, by path.
type Attributes map[string]json.RawMessage

// MarshalJSON implements [json.Marshaler]: an object, also when a is nil.
func (a Attributes) MarshalJSON() ([]byte, error) {
	if a == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(map[string]json.RawMessage(a))
}

// Complete sets what follows from other fields and is therefore not stored: Held. A
// store calls it on each account that it reads.
func (a *Account) Complete() {
	a.Held = slices.ContainsFunc(a.Reasons, func(r policy.Reason) bool { return r.Effect == policy.EffectHeld })
}
