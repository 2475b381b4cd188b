package provision

import (
	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// say writes what the identity says to a user that only logins write.
func (l *login) say(doc *account.Document) {
	l.identity.say(doc)
	if l.conn.externalIDImmutable() {
		account.Say(&doc.ExternalID, l.identity.ID)
	}
}

// say writes what the identity says to a user, but for its id. What it does not
// say stays.
func (id *Identity) say(doc *account.Document) {
	account.Say(&doc.UserName, id.UserName)
	if doc.UserName == "" {
		doc.UserName = id.Email
	}
	if id.Email != "" {
		doc.SetEmail(id.Email)
	}
	account.Say(&doc.Name.Formatted, id.Name)
	account.Say(&doc.Name.GivenName, id.GivenName)
	account.Say(&doc.Name.FamilyName, id.FamilyName)
	account.Say(&doc.DisplayName, id.DisplayName)
	account.Say(&doc.TimeZone, id.TimeZone)
	account.Say(&doc.Enterprise.Organization, id.Company)
	for path, text := range id.Attributes {
		account.Say(doc.Mapped(path), text)
	}
}

// createResource stores a new resource that logins own.
func (l *login) createResource(typ string, content account.Content) (*Resource, error) {
	id, err := l.engine.newID()
	if err != nil {
		return nil, err
	}
	d := &Draft{change: l.change, resource: Resource{ID: id, Type: typ, Created: l.now}}
	d.Write(Content(content))
	l.resource = &store.ResourceRef{Type: typ, ID: id}
	l.tx.Expect(store.Insertion(&d.resource), func(r store.Reader) { _, _ = records.LoginsWrote.Load(r, "") })
	if err := d.put(); err != nil {
		return nil, err
	}
	return &d.resource, records.LoginsWrote.Put(l.tx, "", true)
}

// writeUser gives a person whom only logins write what the identity says. A user
// name or an e-mail that somebody else has is left out, and an event says so.
func (l *login) writeUser(p *loginPerson, next *Account) error {
	was, err := account.ReadDocument(p.resource.Document)
	if err != nil {
		return err
	}
	doc := was
	l.say(&doc)
	var kept []store.Change
	for _, f := range []struct {
		path     string
		was, now string
		restore  func()
	}{
		{"userName", was.UserName, doc.UserName, func() { doc.UserName = was.UserName }},
		{"emails.value", was.Email(), doc.Email(), func() { doc.SetEmail(was.Email()) }},
	} {
		if naming.Match(f.now, f.was) {
			continue
		}
		taken, err := l.taken(f.now, p.resource.ID)
		if err != nil {
			return err
		}
		if taken {
			kept = append(kept, account.TextChange(f.path, f.was, f.now))
			f.restore()
		}
	}
	if doc.ExternalID != was.ExternalID {
		found, err := l.finder().withExternalID(TypeUser, doc.ExternalID)
		if err != nil {
			return err
		}
		if len(found) > 0 { // it had the externalId before ids were immutable
			doc.ExternalID = was.ExternalID
		}
	}
	content := doc.Content()
	if string(content.Document) != string(p.resource.Document) {
		d := &Draft{change: l.change, resource: *p.resource, before: p.resource}
		d.Write(Content(content))
		if err := d.put(); err != nil {
			return err
		}
		account.Read(content.Document, l.conn.attributes).WriteTo(next)
	}
	if len(kept) == 0 {
		return nil
	}
	return l.emailConflict(next, kept)
}

// emailConflict tells, once for each value, that a name or an e-mail was kept.
func (l *login) emailConflict(next *Account, kept []store.Change) error {
	told := ""
	for _, k := range kept {
		told += k.Attribute + string(k.After)
	}
	if was, err := records.Conflict.Value(l.tx, next.ID); err != nil || was == told {
		return err
	}
	if err := records.Conflict.Put(l.tx, next.ID, told); err != nil {
		return err
	}
	return l.append(&store.Event{Type: store.AccountEmailConflict, AccountID: next.ID, Changes: kept})
}
