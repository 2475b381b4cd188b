package provision

import (
	"fmt"
	"slices"
	"strings"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/dialect"
	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// find returns the person of the identity, or nil for somebody unknown. One whose
// resource the identity provider deleted, and whose account stayed active, comes
// last: there may be a new resource of the same person. Whoever resembles a person
// to whom the identity may not be linked is refused: creating another account would
// make a duplicate.
func (l *login) find() (*loginPerson, error) {
	for _, way := range []func() (*loginPerson, error){l.byID, l.byExternalID, l.byNameID, l.byUserName, l.byLikeness} {
		p, err := way()
		if err != nil {
			return nil, err
		}
		if p != nil {
			return p, l.mayBe(p.account)
		}
	}
	if l.gone != nil && l.gone.Status == policy.StatusActive {
		p := &loginPerson{account: l.gone}
		return p, l.mayBe(p.account)
	}
	if l.gone != nil {
		d := denied(policy.DeniedDisabled, "the user resource of the account %q was deleted", l.gone.ID)
		d.Account = l.gone.ID
		return nil, d
	}
	return nil, nil
}

// mayBe refuses an account that is bound to another id: a recycled name or
// address must not inherit. The immutable id decides where there is one; where
// the account has one and the identity has none, a name says too little.
func (l *login) mayBe(a *Account) error {
	why := l.differs(a)
	if why == "" && l.identity.ID == "" && bound(a, keyOfID) && !l.boundBy(a, keyOfNameID) {
		why = "the account is bound to an immutable id, and none was asserted"
	}
	if why == "" {
		return nil
	}
	d := denied(policy.DeniedRecycled, "%q was asserted, which is the account %q of somebody else: %s", l.identity.userName(), a.ID, why)
	d.Account = a.ID
	return d
}

// differs says by which two ids the person of an account is somebody else, or
// "".
func (l *login) differs(a *Account) string {
	id := l.identity.ID
	switch {
	case id == "":
	case l.boundBy(a, keyOfID):
		return ""
	case l.conn.externalIDImmutable() && a.ExternalID != "" && a.ExternalID != id:
		return fmt.Sprintf("its externalId is %q, and the asserted id is %q", a.ExternalID, id)
	}
	for _, key := range l.identity.keys() {
		for _, have := range keysOf(a) {
			if have != key && sameKind(have, key) {
				return fmt.Sprintf("it is bound to %q, and %q was asserted", have, key)
			}
		}
	}
	return ""
}

// boundBy reports whether an account is bound to the identity's key of a kind.
func (l *login) boundBy(a *Account, kind string) bool {
	return slices.ContainsFunc(l.identity.keys(), func(key string) bool {
		return strings.HasPrefix(key, kind) && slices.Contains(keysOf(a), key)
	})
}

// byID finds the account that is bound to the immutable id.
func (l *login) byID() (*loginPerson, error) { return l.byKey(keyOfID) }

// byNameID finds the account that is bound to the persistent NameID.
func (l *login) byNameID() (*loginPerson, error) { return l.byKey(keyOfNameID) }

func (l *login) byKey(kind string) (*loginPerson, error) {
	for _, key := range l.identity.keys() {
		if !strings.HasPrefix(key, kind) {
			continue
		}
		id, err := records.Identity.Value(l.tx, key)
		if err != nil {
			return nil, err
		}
		if id != "" {
			l.tx.Expect(func(r store.Reader) {
				_, _ = r.Account(id)
				l.expectRecords(r, id)
			})
		}
		if a, err := l.finder().boundTo(key); err != nil || a != nil {
			if err != nil {
				return nil, err
			}
			return l.person(a)
		}
	}
	return nil, nil
}

// person returns the person of an account, or nil where the identity provider
// has deleted the resource: it may have made another for the same person.
func (l *login) person(a *Account) (*loginPerson, error) {
	if a.ResourceID == "" {
		if l.gone == nil { // the immutable id counts before the NameID
			l.gone = a
		}
		return nil, nil
	}
	l.tx.Expect(func(r store.Reader) {
		_, _ = r.Resource(TypeUser, a.ResourceID, 0)
		l.expectUser(r, a.ResourceID)
		l.expectFacts(r, a)
	})
	r, err := l.tx.Resource(TypeUser, a.ResourceID, 0)
	if err != nil {
		return nil, err
	}
	return &loginPerson{resource: r, account: a}, nil
}

func (l *login) byExternalID() (*loginPerson, error) {
	if l.identity.ID == "" || !l.conn.externalIDImmutable() {
		return nil, nil
	}
	found, err := l.finder().withExternalID(TypeUser, l.identity.ID)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	if len(found) > 1 {
		return nil, denied(policy.DeniedConflict, "%d users have the externalId %q", len(found), l.identity.ID)
	}
	return l.personOf(found[0])
}

func (l *login) byUserName() (*loginPerson, error) {
	name := l.identity.userName()
	if name == "" {
		return nil, nil
	}
	found, err := l.finder().matching("userName", name)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return l.personOf(found[0])
}

// personOf returns the person of a resource. One whose account was deleted while
// the identity provider says that they are not active stays out.
func (l *login) personOf(r *Resource) (*loginPerson, error) {
	l.tx.Expect(func(reader store.Reader) {
		_, _ = reader.AccountOf(r.ID)
		l.expectUser(reader, r.ID)
	})
	a, err := l.finder().accountOf(r.ID)
	if err != nil {
		return nil, err
	}
	if a == nil {
		if a, err = l.joinToLogIn(r); err != nil {
			return nil, err
		}
	}
	l.tx.Expect(func(reader store.Reader) {
		l.expectRecords(reader, a.ID)
		l.expectFacts(reader, a)
	})
	return &loginPerson{resource: r, account: a}, nil
}

// byLikeness looks for people of whom a name or an address clashes with what the
// identity asserts, without being found by it. One of them may be linked by option link;
// every other one is a refusal.
func (l *login) byLikeness() (*loginPerson, error) {
	id := l.identity
	values := []string{id.UserName, id.Email}
	if id.NameID.Format != nameIDTransient {
		values = append(values, id.NameID.Value)
	}
	values = slices.DeleteFunc(values, func(value string) bool { return value == "" })
	l.tx.Expect(func(r store.Reader) {
		for _, value := range values {
			_, _ = finder{r, l.conn}.clashing(TypeUser, "userName", value)
			_, _ = finder{r, l.conn}.clashing(TypeUser, "emails.value", value)
		}
		for _, q := range l.likeGone(values) {
			_, _ = r.Accounts(q)
		}
	})
	var found []*Resource
	asserted := ""
	for i, value := range values {
		if slices.Contains(values[:i], value) {
			continue
		}
		for _, attribute := range []string{"userName", "emails.value"} {
			list, err := l.finder().clashing(TypeUser, attribute, value)
			if err != nil {
				return nil, err
			}
			for _, r := range list {
				if !slices.ContainsFunc(found, func(have *Resource) bool { return have.ID == r.ID }) {
					found, asserted = append(found, r), value
				}
			}
		}
	}
	if len(found) == 0 {
		return l.likeSomebodyGone(values)
	}
	p, err := l.personOf(found[0])
	if err != nil {
		return nil, err
	}
	if len(found) == 1 && l.mayLink(p) {
		return p, nil
	}
	known := account.Text(p.resource.Document, "userName")
	d := denied(policy.DeniedConflict, "%q was asserted, which belongs to the user %q; without a mapped immutable id, or option link, they are not known to be one person", asserted, known)
	d.Account = p.account.ID
	return nil, d
}

// mayLink reports whether option link joins the identity to a person who has its
// e-mail.
func (l *login) mayLink(p *loginPerson) bool {
	a := p.account
	return l.conn.Policy.Link == policy.LinkEmail &&
		l.identity.Email != "" && naming.Match(a.Email, l.identity.Email) &&
		l.conn.policy.TrustsEmail(l.identity.Email) &&
		!a.SiteAdmin && !a.ReadOnlySiteAdmin
}

// likeSomebodyGone finds the active account whose resource was deleted, by the user
// name or an immutable externalId. It refuses who resembles another such account,
// unless two ids say that they are different people. Whoever is known by an id needs
// no likeness.
func (l *login) likeSomebodyGone(values []string) (*loginPerson, error) {
	for _, q := range l.likeGone(values) {
		list, err := l.tx.Accounts(q)
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			if a.Status == policy.StatusDeleted || l.differs(a) != "" {
				continue
			}
			same := q.ExternalID != "" || q.Email == "" && naming.Match(a.UserName, l.identity.userName())
			if same && a.Status == policy.StatusActive {
				return &loginPerson{account: a}, nil
			}
			code := policy.DeniedDisabled
			if a.Status == policy.StatusActive {
				code = policy.DeniedConflict // it is somebody else's, and their sessions go on
			}
			d := denied(code, "%q resembles the account %q, whose user resource was deleted", l.identity.userName(), a.ID)
			d.Account = a.ID
			return nil, d
		}
	}
	return nil, nil
}

// likeGone returns what finds active accounts without a resource that resemble somebody
// who asserts some values, the surest first.
func (l *login) likeGone(values []string) (queries []store.AccountQuery) {
	if l.gone != nil {
		return nil
	}
	if l.identity.ID != "" && l.conn.externalIDImmutable() {
		queries = append(queries, store.AccountQuery{ExternalID: l.identity.ID, Unlinked: true})
	}
	for _, value := range values {
		queries = append(queries, store.AccountQuery{UserName: value, Unlinked: true}, store.AccountQuery{Email: value, Unlinked: true})
	}
	return queries
}

// taken reports whether a value clashes with a user name or an e-mail of somebody
// else.
func (l *login) taken(value, resource string) (bool, error) {
	for _, attribute := range []string{"userName", "emails.value"} {
		found, err := l.finder().clashing(TypeUser, attribute, value)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(found, func(r *Resource) bool { return r.ID != resource }) {
			return true, nil
		}
	}
	return false, nil
}

// externalIDImmutable reports whether an externalId may identify a person at
// login. That of a directory does, where nobody else tells ids that may be of another
// kind.
func (c *Connection) externalIDImmutable() bool {
	directory := c.LDAP != nil && !c.SCIM && c.SAML == nil
	return c.Policy.ExternalIDsImmutable(directory || dialect.Of(c.Dialect).ImmutableExternalID)
}

// uniqueGroupNames reports whether two groups of the connection may not have the
// same name.
func (c *compiled) uniqueGroupNames() bool { return dialect.Of(c.Dialect).UniqueGroupNames }
