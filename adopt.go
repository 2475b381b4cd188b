package provision

import (
	"errors"
	"net/url"
	"slices"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Adoption: what only logins have written, SCIM or a sync takes over when it
// creates the same. The resource keeps its id and its account; from then on
// logins change it no more.

// adopts reports whether the actor takes over what logins wrote.
func (c *change) adopts() bool { return knowsBetter(c.source()) }

// knowsBetter reports whether a source tells all of what it writes, so that
// logins no longer count.
func knowsBetter(s store.Source) bool { return s == store.SourceSCIM || s == store.SourceSync }

// adopt turns the draft of a new resource into a change of one that only logins
// have written, if it means such a one.
func (d *Draft) adopt() error {
	r, err := d.change.adoptable(d)
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

// adoptable returns the resource that the draft of a new one means, or nil.
func (c *change) adoptable(d *Draft) (*Resource, error) {
	if !c.adopts() || !d.wrote {
		return nil, nil
	}
	used, err := c.mark(recordJIT, jitWrote)
	if err != nil || used == "" {
		return nil, err
	}
	switch d.resource.Type {
	case TypeUser:
		return c.adoptableUser(d)
	case TypeGroup:
		return c.adoptableGroup(d)
	}
	return nil, nil
}

// adoptableUser finds the person whom a login created: by the externalId where
// that is immutable, else by the user name or an e-mail. An account that a
// deleted resource of the same externalId has left comes first.
func (c *change) adoptableUser(d *Draft) (*Resource, error) {
	p := readPerson(d.resource.Document, nil)
	if p.externalID != "" {
		left, err := c.tx.Accounts(store.AccountQuery{ExternalID: p.externalID, Unlinked: true})
		if err != nil || lastRemaining(left) != nil {
			return nil, err
		}
	}
	if r, err := c.adoptableByID(p.externalID); r != nil || err != nil {
		return r, err
	}
	names := []string{p.userName}
	for _, key := range d.resource.Keys {
		if key.Attribute == "emails.value" {
			names = append(names, key.Value)
		}
	}
	for i, name := range names {
		for _, attribute := range []string{"userName", "emails.value"} {
			r, err := c.adoptableByName(attribute, name, p.externalID)
			if err != nil {
				return nil, err
			}
			if r == nil {
				continue
			}
			if i == 0 && attribute == "userName" {
				return r, nil
			}
			return r, c.mayAdoptByAddress(r, name)
		}
	}
	return nil, nil
}

// adoptableByID finds the person who is bound to an externalId.
func (c *change) adoptableByID(externalID string) (*Resource, error) {
	if externalID == "" || !c.conn.externalIDImmutable() {
		return nil, nil
	}
	a, err := c.boundTo(idKey(externalID))
	if err != nil || a == nil || a.ResourceID == "" {
		return nil, err
	}
	r, err := c.tx.Resource(TypeUser, a.ResourceID, 0)
	if err != nil || r.Source != store.SourceJIT {
		return nil, err
	}
	return r, nil
}

// adoptableByName finds a person by a name or an address. One who is bound to
// another immutable id had it before.
func (c *change) adoptableByName(attribute, name, externalID string) (*Resource, error) {
	if name == "" {
		return nil, nil
	}
	found, err := c.withKey(TypeUser, attribute, name)
	if err != nil {
		return nil, err
	}
	for _, r := range found {
		if r.Source != store.SourceJIT {
			continue
		}
		other, err := c.boundToOther(r, externalID)
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
func (c *change) boundToOther(r *Resource, externalID string) (bool, error) {
	if externalID == "" || !c.conn.externalIDImmutable() {
		return false, nil
	}
	a, err := c.tx.AccountOf(r.ID)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && bound(a, keyOfID) && !slices.Contains(keysOf(a), idKey(externalID)), err
}

// mayAdoptByAddress refuses an admin: an address is too little to inherit such
// rights.
func (c *change) mayAdoptByAddress(r *Resource, address string) error {
	a, err := c.tx.AccountOf(r.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil || !a.SiteAdmin && !a.ReadOnlySiteAdmin {
		return err
	}
	d := denied(DeniedConflict, "%q belongs to the site admin %q, whom a login has created under another user name", address, a.UserName)
	d.Account = a.ID
	return d
}

func (c *change) adoptableGroup(d *Draft) (*Resource, error) {
	for _, attribute := range []string{"externalId", "displayName"} {
		value := documentText(d.resource.Document, attribute)
		if value == "" {
			continue
		}
		found, err := c.withKey(TypeGroup, attribute, value)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			if r.Source == store.SourceJIT {
				return r, nil
			}
		}
	}
	return nil, nil
}

// providerWrote notes that somebody who knows the groups better than logins has
// written a person.
func (c *change) providerWrote(after *Account) {
	if c.adopts() && after.Facts.Login != nil {
		login := *after.Facts.Login
		login.Evidence = policy.Known
		after.Facts.Login = &login
	}
}

// forgetDeleted removes what leads to an account that is deleted.
func (c *change) forgetDeleted(before, after *Account) error {
	if before == nil || after.Status != policy.Deleted {
		return nil
	}
	if before.HostID != "" {
		if err := c.clearMark(recordHost, url.QueryEscape(before.HostID)); err != nil {
			return err
		}
	}
	if before.Facts.Login == nil {
		return nil
	}
	if err := c.forgetEvidence(before); err != nil {
		return err
	}
	for _, key := range before.Facts.Login.Keys {
		if err := c.clearMark(recordIdentity, key); err != nil {
			return err
		}
	}
	return c.clearMark(recordConflict, before.ID)
}
