package memory

import (
	"slices"
	"strings"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/internal/watch"
)

// The index attributes of accounts.
const (
	personID = iota
	personResource
	personUserName // folded
	personExternalID
	personEmail // folded
)

// person is a packed account.
type person string

func (p person) account() *store.Account { return unpackAccount(p) }

// id returns the id of the account. It comes first.
func (p person) id() string {
	n, rest := cutUvarint(string(p))
	return rest[:n]
}

// resource returns the id of the resource. It comes second.
func (p person) resource() string {
	n, rest := cutUvarint(string(p))
	n, rest = cutUvarint(rest[n:])
	return rest[:n]
}

// personIndex is what the indexes hold of an account.
type personIndex struct {
	keys  [5]string // by attribute
	admin bool
}

func indexedPerson(a *store.Account) personIndex {
	return personIndex{admin: a.SiteAdmin, keys: [...]string{
		personID:         a.ID,
		personResource:   a.ResourceID,
		personUserName:   store.NameKey(a.UserName),
		personExternalID: a.ExternalID,
		personEmail:      store.NameKey(a.Email),
	}}
}

// Account implements store.AccountReader.
func (r reader) Account(id string) (*store.Account, error) {
	if n, ok := r.personOf(personID, id); ok {
		return r.people.at(n).account(), nil
	}
	return nil, &store.NotFoundError{Kind: store.KindAccount, ID: id}
}

// AccountOf implements store.AccountReader.
func (r reader) AccountOf(resource string) (*store.Account, error) {
	if n, ok := r.personOf(personResource, resource); ok {
		return r.people.at(n).account(), nil
	}
	return nil, &store.NotFoundError{Kind: store.KindAccountOf, ID: resource}
}

// BareAccountOf implements store.AccountReader.
func (r reader) BareAccountOf(resource string) (*store.Account, error) {
	if n, ok := r.personOf(personResource, resource); ok {
		return unpackBare(*r.people.at(n)), nil
	}
	return nil, &store.NotFoundError{Kind: store.KindAccountOf, ID: resource}
}

// personOf finds the account with an id or, for personResource, of a resource.
func (s *scope) personOf(attribute int, value string) (uint32, bool) {
	if value == "" {
		return 0, false
	}
	var buffer few
	for _, n := range s.peopleIndex.find(buffer[:0], attribute, value) {
		p := *s.people.at(n)
		if attribute == personID && p.id() == value || attribute == personResource && p.resource() == value {
			return n, true
		}
	}
	return 0, false
}

// Accounts implements store.AccountReader.
func (r reader) Accounts(q store.AccountQuery) ([]*store.Account, error) {
	q.UserName, q.Email = store.NameKey(q.UserName), store.NameKey(q.Email)
	if attribute, value := indexedBy(&q); value != "" {
		var buffer few
		found := r.peopleIndex.find(buffer[:0], attribute, value)
		slices.SortFunc(found, func(a, b uint32) int { return strings.Compare(r.people.at(a).id(), r.people.at(b).id()) })
		return r.accountsOf(found, &q), nil
	}
	return r.accountsInOrder(q), nil
}

// indexedBy returns a value by which an index finds all accounts that may match q,
// whose names are folded, or "".
func indexedBy(q *store.AccountQuery) (attribute int, value string) {
	switch {
	case q.ExternalID != "":
		return personExternalID, q.ExternalID
	case q.UserName != "":
		return personUserName, q.UserName
	}
	return personEmail, q.Email
}

// accountsOf returns those of some accounts that match q. Most writes of people ask
// for accounts that are not there, which costs no memory.
func (r reader) accountsOf(found []uint32, q *store.AccountQuery) (list []*store.Account) {
	for _, n := range found {
		if a := r.people.at(n).account(); accountMatches(a, q) {
			if list = append(list, a); len(list) == q.Limit {
				break
			}
		}
	}
	return list
}

// accountsInOrder returns the accounts that match q, of all or of the site admins.
func (r reader) accountsInOrder(q store.AccountQuery) (list []*store.Account) {
	all := &r.peopleByID
	if q.SiteAdmin {
		all = &r.siteAdmins
	}
	start, _ := all.search(r.byPersonID(q.After)) // q.After itself does not match
	for n := range all.from(start) {
		if a := r.people.at(n).account(); accountMatches(a, &q) {
			if list = append(list, a); len(list) == q.Limit {
				break
			}
		}
	}
	return list
}

// byPersonID orders accounts relative to an id.
func (s *scope) byPersonID(id string) func(uint32) int {
	return func(n uint32) int { return strings.Compare(s.people.at(n).id(), id) }
}

func accountMatches(a *store.Account, q *store.AccountQuery) bool {
	return a.ID > q.After &&
		(q.ExternalID == "" || a.ExternalID == q.ExternalID) &&
		(q.UserName == "" || store.NameKey(a.UserName) == q.UserName) &&
		(q.Email == "" || store.NameKey(a.Email) == q.Email) &&
		(len(q.Statuses) == 0 || slices.Contains(q.Statuses, string(a.Status))) &&
		(!q.SiteAdmin || a.SiteAdmin) &&
		(!q.Unlinked || a.ResourceID == "")
}

// PutAccount implements store.AccountWriter. It copies a.
func (t *tx) PutAccount(a *store.Account) error {
	n, exists := t.personOf(personID, a.ID)
	if holder, taken := t.personOf(personResource, a.ResourceID); taken && (!exists || holder != n) {
		return &store.ConflictError{Attribute: "resourceId", ID: a.ResourceID}
	}
	packed := packAccount(t.buffer, a)
	if len(t.put) <= watch.Most {
		t.put = append(t.put, a)
	}
	if exists {
		old := *t.people.at(n)
		t.setPerson(n, packed, indexedPerson(a))
		t.did(func() { t.setPerson(n, old, indexedPerson(old.account())) })
		return nil
	}
	n = t.people.add("")
	t.setPerson(n, packed, indexedPerson(a))
	t.did(func() {
		t.setPerson(n, "", personIndex{})
		t.people.remove(n)
	})
	return nil
}

// setPerson replaces an account and its index entries. An empty person is none.
func (s *scope) setPerson(n uint32, p person, after personIndex) {
	var before personIndex
	old := *s.people.at(n)
	if old != "" {
		unpackIndexed(old, &s.tx.scratch)
		before = indexedPerson(&s.tx.scratch)
	}
	if before.keys != after.keys {
		s.indexPerson(before, s.peopleIndex.remove, n)
		s.indexPerson(after, s.peopleIndex.add, n)
	}
	if before.admin && !after.admin {
		s.siteAdmins.remove(s.byPersonID(old.id()))
	}
	if old != "" && p == "" {
		s.peopleByID.remove(s.byPersonID(old.id()))
	}
	*s.people.at(n) = p
	if old == "" && p != "" {
		s.peopleByID.insert(n, s.byPersonID(p.id()))
	}
	if after.admin && !before.admin {
		s.siteAdmins.insert(n, s.byPersonID(p.id()))
	}
}

// indexPerson adds or removes all keys of an account, together as the index
// demands.
func (s *scope) indexPerson(entries personIndex, change func(int, string, uint32), n uint32) {
	for attribute, value := range entries.keys {
		if value != "" {
			change(attribute, value, n)
		}
	}
}
