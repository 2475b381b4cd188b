package provision

import (
	"slices"
	"strings"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Adoption: what only logins have written, SCIM or a sync takes over when it
// creates the same. The resource keeps its id, a user the account, and a group its
// members unless the draft clears them. From then on logins change it no more: neither
// attributes nor members. A user whom SCIM took out is taken over likewise by who
// comes with the same immutable externalId.

// adopt turns the draft of a new resource into a change of one that only logins
// have written, if it means such a one.
func (d *Draft) adopt() error {
	if !d.change.adopts() || !d.wrote {
		return nil
	}
	r, err := d.change.finder().adoptable(&d.resource)
	if err != nil || r == nil {
		return err
	}
	d.before = r
	d.resource.ID, d.resource.Version, d.resource.Position = r.ID, r.Version, r.Position
	d.resource.Created, d.resource.Source = r.Created, r.Source
	return nil
}

// claims reports whether the draft takes over what only logins have written, so
// that it is stored even where it says the same.
func (d *Draft) claims() bool {
	return d.before != nil && d.before.Source == store.SourceJIT && d.wrote && d.change.adopts()
}

// adoptable returns the resource that a new one means, or nil.
func (f finder) adoptable(r *Resource) (*Resource, error) {
	if r.Type == TypeUser {
		if holder, err := f.returning(r); holder != nil || err != nil {
			return holder, err
		}
	}
	used, err := records.LoginsWrote.Value(f.tx, "")
	if err != nil || !used {
		return nil, err
	}
	switch r.Type {
	case TypeUser:
		return f.adoptableUser(r)
	case TypeGroup:
		return f.adoptableGroup(r)
	}
	return nil, nil
}

// returning returns the user whom an immutable externalId means, if it may be
// taken over: one whom only logins have written, or one who is not active. An
// active one keeps the id, and the new resource conflicts with it.
func (f finder) returning(user *Resource) (*Resource, error) {
	if !f.conn.externalIDImmutable() {
		return nil, nil
	}
	id := account.Text(user.Document, "externalId")
	if id == "" {
		return nil, nil
	}
	holders, err := f.holders(id)
	if err != nil || len(holders) != 1 {
		return nil, err
	}
	if r := holders[0]; r.Source == store.SourceJIT || !account.IsActive(r.Document) {
		return r, nil
	}
	return nil, nil
}

// adoptableUser finds the person whom a login created, by the user name or an
// e-mail. An account that a deleted resource of the same person has left comes first.
func (f finder) adoptableUser(user *Resource) (*Resource, error) {
	p := account.Read(user.Document, nil)
	if p.ExternalID != "" {
		if former, _, err := f.former(p); former != nil || err != nil {
			return nil, err
		}
	}
	names := []string{p.UserName}
	for email := range user.Document.Values("emails", "value") {
		names = append(names, email.Text())
	}
	known, err := f.namesOfLogins(names)
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		if !known[naming.Key(name)] {
			continue
		}
		for _, attribute := range []string{"userName", "emails.value"} {
			r, err := f.adoptableByName(attribute, name, p.ExternalID)
			if err != nil {
				return nil, err
			}
			if r == nil {
				continue
			}
			if i == 0 && attribute == "userName" {
				return r, nil
			}
			return r, f.mayAdoptByAddress(r, name)
		}
	}
	return nil, nil
}

// namesOfLogins returns the keys of those of some names, of which there may be many, that
// people have whom only logins have written: mostly none.
func (f finder) namesOfLogins(names []string) (map[string]bool, error) {
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = naming.Key(name)
	}
	known := map[string]bool{}
	for _, attribute := range []string{"userName", "emails.value"} {
		found, err := f.in(TypeUser, attribute, store.String, slices.Clone(keys)...)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			if r.Source != store.SourceJIT {
				continue
			}
			for value := range r.Document.Values(strings.Split(attribute, ".")...) {
				known[naming.Key(value.Text())] = true
			}
		}
	}
	return known, nil
}

// adoptableByName finds a person by a name or an address. One who is bound to
// another immutable id had it before.
func (f finder) adoptableByName(attribute, name, externalID string) (*Resource, error) {
	if name == "" {
		return nil, nil
	}
	found, err := f.matching(attribute, name)
	if err != nil {
		return nil, err
	}
	for _, r := range found {
		if r.Source != store.SourceJIT {
			continue
		}
		other, err := f.boundToOther(r, externalID)
		if err != nil {
			return nil, err
		}
		if !other {
			return r, nil
		}
	}
	return nil, nil
}

// boundToOther reports whether a person is bound to another immutable id than an
// externalId that is one.
func (f finder) boundToOther(r *Resource, externalID string) (bool, error) {
	if externalID == "" {
		return false, nil
	}
	a, err := f.accountOf(r.ID)
	return err == nil && a != nil && f.boundElsewhere(a, externalID), err
}

// mayAdoptByAddress refuses an admin: an address is too little to inherit such
// rights.
func (f finder) mayAdoptByAddress(r *Resource, address string) error {
	a, err := f.accountOf(r.ID)
	if err != nil || a == nil || !a.SiteAdmin && !a.ReadOnlySiteAdmin {
		return err
	}
	d := denied(policy.DeniedConflict, "%q belongs to the site admin %q, whom a login has created under another user name", address, a.UserName)
	d.Account = a.ID
	return d
}

func (f finder) adoptableGroup(group *Resource) (*Resource, error) {
	found, err := f.withExternalID(TypeGroup, account.Text(group.Document, "externalId"))
	if err != nil {
		return nil, err
	}
	named, err := f.groupsNamed(account.Text(group.Document, "displayName"))
	if err != nil {
		return nil, err
	}
	for _, r := range append(found, named...) {
		if r.Source == store.SourceJIT {
			return r, nil
		}
	}
	return nil, nil
}
