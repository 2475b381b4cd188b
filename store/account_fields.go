package store

import (
	"slices"

	"github.com/scimjit/provision/policy"
)

// Field is a row of a table of fields: what a T is made of. The table of the
// fields of [Account] is all that a store's codec, [Changes], [SameFacts] and
// [Account.Clone] know of an account, so that a new field is one more row. Only a
// field of a new type needs more: a case in each of them.
//
// What is computed when an account is read is stored nowhere, and [AccountFields]
// leaves it out: Pending, and Held, which [Account.Complete] sets.
type Field[T any] struct {
	// Name is unique in its table. That of a field that a host sees is its name
	// in JSON.
	Name string

	// At returns a pointer to the field: a *string, *bool, *int64, *uint8,
	// *[time.Time], *[]string, *[]Source, *[][AccountGroup], *[][LoginGroup],
	// *[][policy.Reason], *[policy.Permissions], *[Attributes] or **[LoginFacts].
	// A codec stores all of these, and keeps nil and empty apart.
	At func(*T) any

	role fieldRole
}

// fieldRole says what a field counts for. It is used in the table of accounts
// only.
type fieldRole uint8

const (
	inside  fieldRole = iota // stored beside what a host sees
	shown                    // a host sees it: Changes lists it
	follows                  // the same, but not stored: it follows from other fields
	stamp                    // says when the account was written, not what it is
)

// accountFields are the fields of an account, in the order in which Changes lists
// them.
var accountFields = []Field[Account]{
	{"id", func(a *Account) any { return &a.ID }, inside},
	{"resourceId", func(a *Account) any { return &a.ResourceID }, inside},
	{"connection", func(a *Account) any { return &a.Connection }, inside},
	{"userName", func(a *Account) any { return &a.UserName }, shown},
	{"externalId", func(a *Account) any { return &a.ExternalID }, shown},
	{"email", func(a *Account) any { return &a.Email }, shown},
	{"emailVerified", func(a *Account) any { return &a.EmailVerified }, shown},
	{"name", func(a *Account) any { return &a.Name }, shown},
	{"displayName", func(a *Account) any { return &a.DisplayName }, shown},
	{"status", func(a *Account) any { return (*string)(&a.Status) }, shown},
	{"held", func(a *Account) any { return &a.Held }, follows},
	{"hostId", func(a *Account) any { return &a.HostID }, shown},
	{"authentication", func(a *Account) any { return (*string)(&a.Authentication) }, shown},
	{"siteAdmin", func(a *Account) any { return &a.SiteAdmin }, shown},
	{"readOnlySiteAdmin", func(a *Account) any { return &a.ReadOnlySiteAdmin }, shown},
	{"roles", func(a *Account) any { return &a.Roles }, shown},
	{"groups", func(a *Account) any { return &a.Groups }, shown},
	{"twoFactor", func(a *Account) any { return (*string)(&a.TwoFactor) }, shown},
	{"permissions", func(a *Account) any { return &a.Permissions }, shown},
	{"company", func(a *Account) any { return &a.Company }, shown},
	{"timeZone", func(a *Account) any { return &a.TimeZone }, shown},
	{"attributes", func(a *Account) any { return &a.Attributes }, shown},
	{"reasons", func(a *Account) any { return &a.Reasons }, inside},
	{"version", func(a *Account) any { return &a.Version }, stamp},
	{"created", func(a *Account) any { return &a.Created }, stamp},
	{"modified", func(a *Account) any { return &a.Modified }, stamp},
	{"facts.company", func(a *Account) any { return &a.Facts.Company }, inside},
	{"facts.timeZone", func(a *Account) any { return &a.Facts.TimeZone }, inside},
	{"facts.blocks", func(a *Account) any { return &a.Facts.Blocks }, inside},
	{"facts.suppressed", func(a *Account) any { return &a.Facts.Suppressed }, inside},
	{"facts.wasActive", func(a *Account) any { return &a.Facts.WasActive }, inside},
	{"facts.loggedIn", func(a *Account) any { return &a.Facts.LoggedIn }, inside},
	{"facts.defaultGroups", func(a *Account) any { return &a.Facts.DefaultGroups }, inside},
	{"facts.hostGroups", func(a *Account) any { return &a.Facts.HostGroups }, inside},
	{"facts.authenticationSet", func(a *Account) any { return &a.Facts.AuthenticationSet }, inside},
	{"facts.conflict", func(a *Account) any { return &a.Facts.Conflict }, inside},
	{"facts.login", func(a *Account) any { return &a.Facts.Login }, inside},
}

// The fields of the parts of an account.
var (
	accountGroupFields = []Field[AccountGroup]{
		{Name: "id", At: func(g *AccountGroup) any { return &g.ID }},
		{Name: "name", At: func(g *AccountGroup) any { return &g.Name }},
		{Name: "admin", At: func(g *AccountGroup) any { return &g.Admin }},
		{Name: "source", At: func(g *AccountGroup) any { return (*string)(&g.Source) }},
	}
	reasonFields = []Field[policy.Reason]{
		{Name: "option", At: func(r *policy.Reason) any { return &r.Option }},
		{Name: "pattern", At: func(r *policy.Reason) any { return &r.Pattern }},
		{Name: "group", At: func(r *policy.Reason) any { return &r.Group }},
		{Name: "effect", At: func(r *policy.Reason) any { return (*string)(&r.Effect) }},
		{Name: "value", At: func(r *policy.Reason) any { return &r.Value }},
	}
	loginFields = []Field[LoginFacts]{
		{Name: "keys", At: func(l *LoginFacts) any { return &l.Keys }},
		{Name: "evidence", At: func(l *LoginFacts) any { return (*uint8)(&l.Evidence) }},
		{Name: "known", At: func(l *LoginFacts) any { return &l.Known }},
		{Name: "groups", At: func(l *LoginFacts) any { return &l.Groups }},
	}
	loginGroupFields = []Field[LoginGroup]{
		{Name: "id", At: func(g *LoginGroup) any { return &g.ID }},
		{Name: "value", At: func(g *LoginGroup) any { return &g.Value }},
	}
)

// AccountFields returns the fields of an account that a store keeps. Groups are the
// last, so that a codec can leave them out. It makes a copy of the table, as do those
// below: a codec asks once.
func AccountFields() []Field[Account] {
	list := fieldsWith(inside, shown, stamp)
	i := slices.IndexFunc(list, func(f Field[Account]) bool { return f.Name == "groups" })
	groups := list[i]
	return append(slices.Delete(list, i, i+1), groups)
}

// AccountGroupFields returns the fields of an [AccountGroup].
func AccountGroupFields() []Field[AccountGroup] { return slices.Clone(accountGroupFields) }

// ReasonFields returns the fields of a [policy.Reason].
func ReasonFields() []Field[policy.Reason] { return slices.Clone(reasonFields) }

// LoginFields returns the fields of [LoginFacts].
func LoginFields() []Field[LoginFacts] { return slices.Clone(loginFields) }

// LoginGroupFields returns the fields of a [LoginGroup].
func LoginGroupFields() []Field[LoginGroup] { return slices.Clone(loginGroupFields) }

// fieldsWith returns the fields of an account with some roles.
func fieldsWith(roles ...fieldRole) []Field[Account] {
	return slices.DeleteFunc(slices.Clone(accountFields), func(f Field[Account]) bool { return !slices.Contains(roles, f.role) })
}
