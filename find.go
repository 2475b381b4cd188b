package provision

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// finder finds who somebody is: the resources and accounts of a connection that
// have a name or an id. Every way in asks it.
type finder struct {
	tx   store.Reader
	conn *compiled
}

func (c *change) finder() finder { return finder{c.tx, c.conn} }

// likenessLimit is how many resources with the same value matter.
const likenessLimit = 10

// Names are compared in two ways (see package naming), ids in one. What clashes
// may not both exist; only who matches is meant.

// clashing returns resources of which an indexed name could be taken for this one,
// in order of creation.
func (f finder) clashing(typ, attribute, name string) ([]*Resource, error) {
	return f.in(typ, attribute, store.String, naming.Key(name))
}

// matching returns users that have a name: those that are meant by it.
func (f finder) matching(attribute, name string) ([]*Resource, error) {
	key := naming.Key(name)
	if key == "" {
		return nil, nil
	}
	return f.query(TypeUser, likenessLimit, store.Compare{
		Path: store.Path{Keys: strings.Split(attribute, "."), Type: store.String}, Op: store.EQ,
		Value: name, Key: attribute, Folded: key,
	})
}

// withExternalID returns resources that have one of some externalIds, byte for
// byte.
func (f finder) withExternalID(typ string, ids ...string) ([]*Resource, error) {
	return f.in(typ, "externalId", store.Exact, ids...)
}

// in returns resources of which an indexed attribute has one of some keys, of each
// key the oldest ones.
func (f finder) in(typ, attribute string, valueType store.ValueType, keys ...string) ([]*Resource, error) {
	slices.Sort(keys)
	keys = slices.DeleteFunc(slices.Compact(keys), func(key string) bool { return key == "" })
	if len(keys) == 0 {
		return nil, nil
	}
	filter := store.In{Path: store.Path{Keys: strings.Split(attribute, "."), Type: valueType}, Key: attribute, Keys: keys}
	found, err := f.query(typ, likenessLimit*len(keys), filter)
	if err != nil || len(keys) == 1 || len(found) < likenessLimit*len(keys) {
		return found, err
	}
	// Those of one key may have left no room for those of another.
	found = nil
	for i := range keys {
		filter.Keys = keys[i : i+1]
		of, err := f.query(typ, likenessLimit, filter)
		if err != nil {
			return nil, err
		}
		found = append(found, of...)
	}
	return found, nil
}

func (f finder) query(typ string, limit int, filter store.Filter) ([]*Resource, error) {
	page, err := f.tx.Query(store.Query{Types: []string{typ}, Limit: limit, NoTotal: true, Filter: filter})
	return page.Resources, err
}

// groupNamed returns the id of the group with a name, or "". Where a
// dialect allows several, it is the oldest.
func (f finder) groupNamed(name string) (string, error) {
	found, err := f.groupsNamed(name)
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0].ID, nil
}

// groupsNamed returns the groups with a name, in order of creation.
func (f finder) groupsNamed(name string) ([]*Resource, error) {
	found, err := f.clashing(TypeGroup, "displayName", name)
	return slices.DeleteFunc(found, func(g *Resource) bool { return !sameGroupName(g.Display, name) }), err
}

// sameGroupName reports whether two names mean one group. Unlike those of people
// they are trimmed first: options and assertions are.
func sameGroupName(a, b string) bool { return naming.Match(naming.Normal(a), naming.Normal(b)) }

// accountOf returns the account of a resource, or nil.
func (f finder) accountOf(resource string) (*Account, error) {
	a, err := f.tx.AccountOf(resource)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return a, err
}

// boundTo returns the account that is bound to a key, or nil. When the account
// is gone, whoever comes is somebody new.
func (f finder) boundTo(key string) (*Account, error) {
	id, err := records.Identity.Value(f.tx, key)
	if err != nil || id == "" {
		return nil, err
	}
	a, err := f.tx.Account(id)
	if errors.Is(err, store.ErrNotFound) || err == nil && a.Status == policy.StatusDeleted {
		return nil, nil
	}
	return a, err
}

// former finds the account that an earlier, deleted resource of the same person
// left. Where externalIds are immutable, an equal one says that it is the same
// person. Where they are not, the user name must match as well. Where one side has
// none, the user name is all there is. Of several, one with an equal externalId
// comes first, then the one that was changed last. What looks like the same person
// and is not is recycled: an id or a name that somebody new has got.
func (f finder) former(p account.Person) (former, recycled *Account, err error) {
	immutable := f.conn.externalIDImmutable()
	if p.ExternalID != "" {
		same, err := f.tx.Accounts(store.AccountQuery{ExternalID: p.ExternalID})
		if err != nil {
			return nil, nil, err
		}
		if immutable {
			same = slices.DeleteFunc(same, func(a *Account) bool { return a.ResourceID != "" })
			if bound, err := f.boundTo(idKey(p.ExternalID)); err != nil {
				return nil, nil, err
			} else if bound != nil && bound.ResourceID == "" {
				same = append(same, bound)
			}
			if a := lastRemaining(same); a != nil {
				return a, nil, nil
			}
		}
		// Of somebody who is there, the name cannot match: it would be taken.
		recycled = lastRemaining(slices.DeleteFunc(same, func(a *Account) bool { return naming.Match(a.UserName, p.UserName) }))
	}
	same, err := f.tx.Accounts(store.AccountQuery{UserName: p.UserName, Unlinked: true})
	if err != nil {
		return nil, nil, err
	}
	same = slices.DeleteFunc(same, func(a *Account) bool { return !naming.Match(a.UserName, p.UserName) })
	for _, may := range []func(*Account) bool{
		func(a *Account) bool { return p.ExternalID != "" && a.ExternalID == p.ExternalID },
		func(a *Account) bool {
			return p.ExternalID == "" || a.ExternalID == "" && !f.boundElsewhere(a, p.ExternalID)
		},
	} {
		if a := lastRemaining(slices.DeleteFunc(slices.Clone(same), func(a *Account) bool { return !may(a) })); a != nil {
			return a, nil, nil
		}
	}
	return nil, cmp.Or(lastRemaining(same), recycled), nil
}

// boundElsewhere reports whether logins have bound an account to another immutable
// id than an externalId that is one.
func (f finder) boundElsewhere(a *Account, externalID string) bool {
	return f.conn.externalIDImmutable() && bound(a, keyOfID) && !slices.Contains(keysOf(a), idKey(externalID))
}

// lastRemaining returns the most recently changed account that is not a
// tombstone, or nil.
func lastRemaining(list []*Account) *Account {
	var last *Account
	for _, a := range list {
		if a.Status != policy.StatusDeleted && (last == nil || a.Modified.After(last.Modified)) {
			last = a
		}
	}
	return last
}

// What keys of [records.Identity] begin with.
const (
	keyOfID     = "id/"
	keyOfNameID = "nameid/"
)

// keys returns the keys of an identity, the immutable id first.
func (id *Identity) keys() []string {
	var keys []string
	if id.ID != "" {
		keys = append(keys, idKey(id.ID))
	}
	if n := id.NameID; n.key() != "" {
		keys = append(keys, keyOfNameID+url.QueryEscape(n.NameQualifier)+"/"+url.QueryEscape(n.SPNameQualifier)+"/"+url.QueryEscape(n.key()))
	}
	return keys
}

func idKey(id string) string { return keyOfID + url.QueryEscape(id) }

// sameKind reports whether two keys are ids of the same kind, of which a person
// has one: both immutable ids, or both NameIDs with the same qualifiers.
func sameKind(a, b string) bool {
	return a[:strings.LastIndexByte(a, '/')] == b[:strings.LastIndexByte(b, '/')]
}

// bound reports whether an account is bound to any key of a kind.
func bound(a *Account, kind string) bool {
	return slices.ContainsFunc(keysOf(a), func(key string) bool { return strings.HasPrefix(key, kind) })
}

// keysOf returns the keys that an account is bound to.
func keysOf(a *Account) []string {
	if a.Facts.Login == nil {
		return nil
	}
	return a.Facts.Login.Keys
}

// unbind makes a key lead to an account no more, unless it leads to another one
// meanwhile: a login may have found a new resource of the same person.
func unbind(tx store.Tx, a *Account, key string) error {
	if bound, err := records.Identity.Value(tx, key); err != nil || bound != a.ID {
		return err
	}
	return records.Identity.Clear(tx, key)
}

// forget removes what leads to an account that is deleted.
func forget(tx store.Tx, a *Account) error {
	if a.HostID != "" {
		if err := records.HostAccount.Clear(tx, url.QueryEscape(a.HostID)); err != nil {
			return err
		}
	}
	if a.Facts.Login == nil {
		return nil
	}
	if err := forgetEvidence(tx, a); err != nil {
		return err
	}
	for _, key := range a.Facts.Login.Keys {
		if err := unbind(tx, a, key); err != nil {
			return err
		}
	}
	if err := forgetLogins(tx, a.ID); err != nil {
		return err
	}
	return records.Conflict.Clear(tx, a.ID)
}

// forgetLogins forgets the sessions of an account, and by which names it logged in.
func forgetLogins(tx store.Tx, account string) error {
	sessions, err := records.LoginSessions.Value(tx, account)
	if err != nil || len(sessions) == 0 {
		return err
	}
	for _, s := range sessions {
		key := sessionOf(s).NameID.nameKey()
		known, err := records.LoginName.Value(tx, key)
		if err != nil {
			return err
		}
		if known != account {
			continue // it is somebody else's by now
		}
		if err := records.LoginName.Clear(tx, key); err != nil {
			return err
		}
	}
	return records.LoginSessions.Clear(tx, account)
}
