package account

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// accountField is one attribute of an account that a host sees. The table of
// them decides what an event reports and what counts as a change.
type accountField struct {
	name  string
	equal func(a, b *store.Account) bool
	value func(a *store.Account) any
}

func field[T comparable](name string, get func(*store.Account) T) accountField {
	return accountField{
		name:  name,
		equal: func(a, b *store.Account) bool { return get(a) == get(b) },
		value: func(a *store.Account) any { return get(a) },
	}
}

func listField[T comparable](name string, get func(*store.Account) []T) accountField {
	return accountField{
		name:  name,
		equal: func(a, b *store.Account) bool { return slices.Equal(get(a), get(b)) },
		value: func(a *store.Account) any { return get(a) },
	}
}

func accountFields() []accountField {
	return []accountField{
		field("userName", func(a *store.Account) string { return a.UserName }),
		field("externalId", func(a *store.Account) string { return a.ExternalID }),
		field("email", func(a *store.Account) string { return a.Email }),
		field("emailVerified", func(a *store.Account) bool { return a.EmailVerified }),
		field("name", func(a *store.Account) string { return a.Name }),
		field("displayName", func(a *store.Account) string { return a.DisplayName }),
		field("status", func(a *store.Account) policy.Status { return a.Status }),
		field("held", func(a *store.Account) bool { return a.Held }),
		field("hostId", func(a *store.Account) string { return a.HostID }),
		field("authentication", func(a *store.Account) policy.Authentication { return a.Authentication }),
		field("siteAdmin", func(a *store.Account) bool { return a.SiteAdmin }),
		field("readOnlySiteAdmin", func(a *store.Account) bool { return a.ReadOnlySiteAdmin }),
		listField("roles", func(a *store.Account) []string { return a.Roles }),
		listField("groups", func(a *store.Account) []store.AccountGroup { return a.Groups }),
		field("twoFactor", func(a *store.Account) policy.TwoFactor { return a.TwoFactor }),
		{
			name:  "permissions",
			equal: func(a, b *store.Account) bool { return samePermissions(a.Permissions, b.Permissions) },
			value: func(a *store.Account) any { return a.Permissions },
		},
		field("company", func(a *store.Account) string { return a.Company }),
		field("timeZone", func(a *store.Account) string { return a.TimeZone }),
		{
			name:  "attributes",
			equal: func(a, b *store.Account) bool { return sameAttributes(a.Attributes, b.Attributes) },
			value: func(a *store.Account) any { return a.Attributes },
		},
	}
}

// comparedFields is the table, built once and never changed.
var comparedFields = accountFields()

// Changes lists the attributes in which two states of an account differ;
// before is nil for a new one, of which it lists what is not empty. Of a deletion
// it lists the status only, so that an event does not keep what the deletion
// removes.
func Changes(before, after *store.Account) []store.Change {
	if before == nil {
		return createdWith(after)
	}
	var out []store.Change
	for i := range comparedFields {
		f := &comparedFields[i]
		if f.equal(before, after) || after.Status == policy.Deleted && f.name != "status" {
			continue
		}
		out = append(out, store.Change{
			Attribute: f.name,
			Before:    JSON(f.value(before)),
			After:     JSON(f.value(after)),
		})
	}
	return out
}

// nothing is an account before it is created.
var nothing store.Account

func createdWith(a *store.Account) []store.Change {
	var out []store.Change
	for i := range comparedFields {
		f := &comparedFields[i]
		if f.equal(&nothing, a) || f.name == "permissions" && allUnset(a.Permissions) {
			continue
		}
		out = append(out, store.Change{Attribute: f.name, After: JSON(f.value(a))})
	}
	return out
}

func allUnset(p policy.Permissions) bool {
	for _, value := range p {
		if value != nil {
			return false
		}
	}
	return true
}

func samePermissions(a, b policy.Permissions) bool {
	if len(a) != len(b) {
		return false
	}
	for name, va := range a {
		vb, ok := b[name]
		if !ok || (va == nil) != (vb == nil) || (va != nil && *va != *vb) {
			return false
		}
	}
	return true
}

func sameAttributes(a, b store.Attributes) bool {
	if len(a) != len(b) {
		return false
	}
	for name, va := range a {
		if vb, ok := b[name]; !ok || !bytes.Equal(va, vb) {
			return false
		}
	}
	return true
}

// sameFacts reports whether what is stored beside the visible attributes is the
// same too.
func sameFacts(a, b *store.Account) bool {
	fa, fb := &a.Facts, &b.Facts
	return a.ResourceID == b.ResourceID && slices.Equal(a.Reasons, b.Reasons) &&
		fa.Company == fb.Company && fa.TimeZone == fb.TimeZone &&
		slices.Equal(fa.Blocks, fb.Blocks) && slices.Equal(fa.Suppressed, fb.Suppressed) &&
		fa.WasActive == fb.WasActive && fa.LoggedIn == fb.LoggedIn &&
		slices.Equal(fa.DefaultGroups, fb.DefaultGroups) && slices.Equal(fa.HostGroups, fb.HostGroups) &&
		fa.AuthenticationSet == fb.AuthenticationSet && sameLogin(fa.Login, fb.Login)
}

func sameLogin(a, b *store.LoginFacts) bool {
	if a == nil || b == nil {
		return a == b
	}
	return slices.Equal(a.Keys, b.Keys) && a.Evidence == b.Evidence && a.Known.Equal(b.Known) && slices.Equal(a.Groups, b.Groups)
}

// TextChange is a change of a text; an empty one is none.
func TextChange(attribute, before, after string) store.Change {
	c := store.Change{Attribute: attribute}
	if before != "" {
		c.Before = JSON(before)
	}
	if after != "" {
		c.After = JSON(after)
	}
	return c
}

// JSON encodes a value whose type cannot fail to encode.
func JSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("provision: encoding %T: %v", v, err))
	}
	return b
}
