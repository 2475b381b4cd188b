package provision

import (
	"time"

	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// A login announces what it is going to read, in steps: what the identity says, then
// what leads from the account or the user that was found by it to the other one. So
// each step is waited for once, where the person is known. A first login reads more.

// loggingIn returns the cause of a login.
func (d *Directory) loggingIn(id *Identity) cause {
	why := d.why()
	why.once = id.Once
	why.prepare = func(c *change) {
		if conn := c.engine.connections.recall(c.connection); conn != nil { // as it was a moment ago
			c.tx.Expect(func(r store.Reader) { id.expect(finder{r, conn}) })
		}
	}
	return why
}

// expect announces by what an identity finds its person, groups and session.
func (id *Identity) expect(f finder) {
	for _, key := range id.keys() {
		_, _ = records.Identity.Load(f.tx, key)
	}
	if id.ID != "" && f.conn.externalIDImmutable() {
		_, _ = f.withExternalID(TypeUser, id.ID)
	}
	_, _ = f.matching("userName", id.userName())
	_, _ = f.groupsValued(id)
	_, _ = f.groupsCalled(id)
	if s := id.Session; s != nil {
		_, _ = records.LoginName.Load(f.tx, s.NameID.nameKey())
	}
}

// groupsValued returns the groups that have the values of asserted groups.
func (f finder) groupsValued(id *Identity) ([]*Resource, error) {
	values := make([]string, len(id.Groups))
	for i, asserted := range id.Groups {
		values[i] = asserted.Value
	}
	return f.withExternalID(TypeGroup, values...)
}

// groupsCalled returns the groups of which the name could be that of asserted groups.
func (f finder) groupsCalled(id *Identity) ([]*Resource, error) {
	var keys []string
	for _, asserted := range id.Groups {
		keys = append(keys, naming.Key(asserted.Name), naming.Key(asserted.Value))
	}
	return f.in(TypeGroup, "displayName", store.String, keys...)
}

// expectRecords announces the records of an account that a login reads.
func (l *login) expectRecords(r store.Reader, account string) {
	_, _ = records.LoginSessions.Load(r, account)
	_, _ = records.Evidence.Load(r, evidenceKey(l.now.Truncate(24*time.Hour), account))
	l.defaults().expectOf(r, account)
}

// expectUser announces what a login reads of a user.
func (l *login) expectUser(r store.Reader, id string) {
	_, _ = r.MembershipsOf(id)
	_, _ = r.Ancestors(id)
}

// expectNew announces what a login reads of an account that it is about to create.
func (l *login) expectNew(r store.Reader, a *Account) {
	_, _ = r.AccountOf(a.ResourceID)
	expectCounts(r)
	l.expectRecords(r, a.ID)
	l.expectUser(r, a.ResourceID)
	l.defaults().expectGroups(r, a)
}

// expectFacts announces what a login reads by the facts of an account.
func (l *login) expectFacts(r store.Reader, a *Account) {
	if login := a.Facts.Login; login != nil && !login.Known.IsZero() {
		_, _ = records.Evidence.Load(r, evidenceKey(login.Known, a.ID))
	}
	hostGroups{r}.expect(a)
	l.defaults().expectGroups(r, a)
	if l.conn.policy.NeedsExternalIDs() {
		for _, g := range a.Groups {
			_, _ = r.Resource(TypeGroup, g.ID, 0)
		}
	}
}
