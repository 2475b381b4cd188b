package provision

import (
	"fmt"
	"slices"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// What may exist once in a connection, beside the unique attributes of the schema:
// an immutable externalId says who somebody is, and option uniqueEmails allows an
// e-mail once.

// checkUnique refuses a user who would share such a value with another one. It
// comes before anything is written.
func (d *Draft) checkUnique() error {
	if d.resource.Type != TypeUser || !d.wrote {
		return nil
	}
	if err := d.checkExternalID(); err != nil {
		return err
	}
	if !d.change.conn.Policy.UniqueEmails {
		return nil
	}
	had := map[string]bool{}
	if d.before != nil {
		for _, email := range emailsOf(d.before.Document) {
			had[naming.Key(email)] = true
		}
	}
	var keys []string
	for _, email := range emailsOf(d.resource.Document) {
		if key := naming.Key(email); !had[key] {
			keys = append(keys, key)
		}
	}
	found, err := d.change.finder().withEmails(keys)
	if err != nil {
		return err
	}
	if other := d.otherOf(found); other != "" {
		return &store.ConflictError{Attribute: "emails.value", ID: other}
	}
	return nil
}

// emailsOf returns the e-mails of a user: the user name where there is no other and
// it is one, as for the account.
func emailsOf(user store.Document) (emails []string) {
	for email := range user.Values("emails", "value") {
		emails = append(emails, email.Text())
	}
	if len(emails) > 0 {
		return emails
	}
	if email := account.Read(user, nil).Email; email != "" {
		return []string{email}
	}
	return nil
}

// withEmails returns the users of whom an e-mail has one of some keys, so that it could
// be taken for the other.
func (f finder) withEmails(keys []string) ([]*Resource, error) {
	found, err := f.in(TypeUser, "emails.value", store.String, slices.Clone(keys)...)
	if err != nil {
		return nil, err
	}
	named, err := f.in(TypeUser, "userName", store.String, slices.Clone(keys)...)
	if err != nil {
		return nil, err
	}
	asked := make(map[string]bool, len(keys))
	for _, key := range keys {
		asked[key] = true
	}
	for _, r := range named {
		if slices.ContainsFunc(emailsOf(r.Document), func(have string) bool { return asked[naming.Key(have)] }) {
			found = append(found, r)
		}
	}
	return found, nil
}

// checkExternalID refuses an immutable externalId that another user has.
func (d *Draft) checkExternalID() error {
	if !d.change.conn.externalIDImmutable() {
		return nil
	}
	id := account.Text(d.resource.Document, "externalId")
	if id == "" || d.before != nil && account.Text(d.before.Document, "externalId") == id {
		return nil
	}
	holders, err := d.change.finder().holders(id)
	if err != nil {
		return err
	}
	if other := d.otherOf(holders); other != "" {
		return &store.ConflictError{Attribute: "externalId", ID: other}
	}
	return nil
}

// otherOf returns the id of the first resource that is not that of the draft, or
// "".
func (d *Draft) otherOf(found []*Resource) string {
	i := slices.IndexFunc(found, func(r *Resource) bool { return r.ID != d.resource.ID })
	if i < 0 {
		return ""
	}
	return found[i].ID
}

// holders returns the users whom an immutable id means: those who have it as
// externalId, and the one whose account a login has bound to it.
func (f finder) holders(id string) ([]*Resource, error) {
	found, err := f.withExternalID(TypeUser, id)
	if err != nil {
		return nil, err
	}
	a, err := f.boundTo(idKey(id))
	if err != nil || a == nil || a.ResourceID == "" || slices.ContainsFunc(found, func(r *Resource) bool { return r.ID == a.ResourceID }) {
		return found, err
	}
	r, err := f.tx.Resource(TypeUser, a.ResourceID, 0)
	if err != nil {
		return nil, err
	}
	return append(found, r), nil
}

// othersWith selects the accounts that may share an e-mail.
func othersWith(email string) store.AccountQuery {
	return store.AccountQuery{Email: email, Limit: likenessLimit}
}

// tellSharedEmail tells of the account, and warns of the connection, when an
// account gets an e-mail that another one has: mail for one of them, and links by
// address, may reach the other.
func (c *change) tellSharedEmail(before, next *Account) error {
	if next.Email == "" || before != nil && naming.Clash(before.Email, next.Email) {
		return nil
	}
	others, err := c.tx.Accounts(othersWith(next.Email))
	if err != nil {
		return err
	}
	i := slices.IndexFunc(others, func(a *Account) bool { return a.ID != next.ID && a.ResourceID != "" })
	if i < 0 {
		return nil
	}
	had := ""
	if before != nil {
		had = before.Email
	}
	return c.tellSharedWith(next, had, others[i].ID)
}

// tellSharedWith tells that an account, which had an e-mail, has that of somebody else now.
func (c *change) tellSharedWith(next *Account, had, other string) error {
	err := c.append(&store.Event{
		Type: store.AccountEmailConflict, AccountID: next.ID,
		Changes: []store.Change{account.TextChange("emails.value", had, next.Email)},
		Reasons: []policy.Reason{{Effect: policy.EffectEmailShared, Value: other}},
	})
	if err != nil {
		return err
	}
	return c.warn(Warning{
		Code: warnSharedEmail, Field: "uniqueEmails", Value: next.ID,
		Text: fmt.Sprintf("it has the e-mail of account %q: mail and links by address may reach the wrong one", other),
	})
}
