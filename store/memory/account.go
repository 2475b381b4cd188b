package memory

import (
	"iter"
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
	var list []*store.Account
	for n := range r.personCandidates(q) {
		if a := r.people.at(n).account(); accountMatches(a, &q) {
			list = append(list, a)
			if len(list) == q.Limit {
				break
			}
		}
	}
	return list, nil
}

// personCandidates returns the accounts that may match q, whose names are folded, in
// order of id.
func (s *scope) personCandidates(q store.AccountQuery) iter.Seq[uint32] {
	switch {
	case q.ExternalID != "":
		return s.peopleWith(personExternalID, q.ExternalID)
	case q.UserName != "":
		return s.peopleWith(personUserName, q.UserName)
	case q.Email != "":
		return s.peopleWith(personEmail, q.Email)
	}
	list := &s.peopleByID
	if q.SiteAdmin {
		list = &s.siteAdmins
	}
	start, _ := list.search(s.byPersonID(q.After)) // q.After itself does not match
	return list.from(start)
}

func (s *scope) peopleWith(attribute int, value string) iter.Seq[uint32] {
	found := s.peopleIndex.find(nil, attribute, value)
	slices.SortFunc(found, func(a, b uint32) int { return strings.Compare(s.people.at(a).id(), s.people.at(b).id()) })
	return slices.Values(found)
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
