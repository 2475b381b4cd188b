package provision

import (
	"errors"
	"slices"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// While a connection is in shadow or paused, facts are stored as ever, and nothing follows
// from them. Who has no account yet is noted as waiting; what the account of anybody else
// waits for is in the resources and memberships, but for who says that the person must not
// be active, which the account notes where nobody sees it. Whoever joins later gets what
// the facts and the policy say then.

// userWaits notes what a written user changes while accounts wait.
func (c *change) userWaits(was, r *Resource, person account.Person) error {
	before, err := c.tx.AccountOf(r.ID)
	if errors.Is(err, store.ErrNotFound) {
		if was != nil && !person.Active {
			return nil // it waits already, or was deleted by an earlier change
		}
		return c.noteWaiting(r.ID, was == nil)
	}
	if err != nil || was != nil && account.IsActive(was.Document) == person.Active {
		return err
	}
	next := before.Clone()
	account.SetBlock(&next.Facts, c.source, !person.Active)
	return c.derive(derivation{before, next})
}

// noteWaiting notes that a user has no account yet.
func (c *change) noteWaiting(user string, isNew bool) error {
	e := records.Entry[records.WaitingUser]{Key: user}
	if !isNew {
		var err error
		if e, err = records.Waiting.Load(c.tx, user); err != nil || e.Stored() {
			return err
		}
	}
	return records.Waiting.Save(c.tx, &e)
}

// deriveWaiting is derive while accounts wait: of each it stores the facts alone, unless a
// request takes this very person out.
func (c *change) deriveWaiting(list []derivation) error {
	for _, d := range list {
		if d.before == nil {
			continue
		}
		if account.Asked(c.input(d)) {
			leaves, err := c.takeOut(d)
			if err != nil {
				return err
			}
			if leaves {
				continue
			}
		}
		after := d.before.Clone()
		after.Facts.Blocks, after.ResourceID = d.next.Facts.Blocks, d.next.ResourceID
		if err := c.storeFacts(d.before, after); err != nil {
			return err
		}
	}
	return nil
}

// storeFacts stores what nobody sees of an account.
func (c *change) storeFacts(before, after *Account) error {
	if store.SameFacts(before, after) {
		return nil
	}
	return c.tx.PutAccount(after)
}

// takeOut derives the account of a person whom a request takes out, and reports whether
// it does: where nothing is deprovisioned, the account waits like all others.
func (c *change) takeOut(d derivation) (bool, error) {
	decisions, err := c.decide(nil, d)
	if err != nil || decisions[0].Status() == policy.StatusActive {
		return false, err
	}
	out, err := c.settle(decisions[0], account.LetGo)
	if err != nil {
		return false, err
	}
	return true, c.store(&out)
}

// joined is what became of somebody who waited.
type joined struct {
	person   account.Person
	out      *account.Output // nil for whom an operator leaves out
	before   *Account        // the account that an earlier resource of the person left
	conflict *linkConflict   // why the account is not linked
	shares   string          // another user who has the e-mail
	recycles string          // the account that somebody else left who had the name or the id
}

// join gives the user who waits an account: the one that an earlier resource of the same
// person left, or a new one. planned, when not nil, is how the person is to be linked.
func (c *change) join(r *Resource, w *records.Entry[records.WaitingUser], planned *PlanPerson) (*joined, error) {
	j := &joined{person: account.Read(r.Document, c.conn.attributes)}
	if leftOut(w.Value, j.person) {
		return j, nil
	}
	c.resource = &store.ResourceRef{Type: TypeUser, ID: r.ID}
	before, err := c.formerOfJoining(r, j)
	if err != nil {
		return nil, err
	}
	next, err := c.startAccount(before, r.ID)
	if err != nil {
		return nil, err
	}
	j.before = before
	j.person.WriteTo(next)
	if knowsBetter(r.Source) {
		account.KnowGroups(&next.Facts)
	}
	if err := c.blockJoining(&next.Facts, r, j.person.Active); err != nil {
		return nil, err
	}
	if before == nil {
		if j.conflict, err = c.linkJoining(next, j.person, w.Value, planned); err != nil {
			return nil, err
		}
		err = c.defaults().owe(next, policy.AtCreation)
	} else {
		err = c.defaults().retry(next)
	}
	if err != nil {
		return nil, err
	}
	if j.shares, err = c.tellJoiningEmail(r, next); err != nil {
		return nil, err
	}
	if j.out, err = c.enterJoining(derivation{before, next}); err != nil {
		return nil, err
	}
	return j, records.Waiting.Clear(c.tx, r.ID)
}

// formerOfJoining is formerAccount for who joins. Of two users who are there, none has the
// id of the other again: both waited.
func (c *change) formerOfJoining(r *Resource, j *joined) (*Account, error) {
	former, recycled, err := c.finder().former(j.person)
	if err != nil || recycled == nil || recycled.ResourceID != "" {
		return former, err
	}
	j.recycles = recycled.ID
	return nil, c.tellRecycled(r, recycled)
}

// enterJoining derives the account of who joins.
func (c *change) enterJoining(d derivation) (*account.Output, error) {
	decisions, err := c.decide(nil, d)
	if err != nil {
		return nil, err
	}
	verdict, err := c.verdictOn(decisions)
	if err != nil {
		return nil, err
	}
	out, err := c.settle(decisions[0], verdict)
	if err != nil {
		return nil, err
	}
	return &out, c.store(&out)
}

// blockJoining sets the blocks of who joins, by what the user says and what syncs have
// said of it. Who is not active was so for the source that owns the user.
func (c *change) blockJoining(facts *store.Facts, r *Resource, active bool) error {
	source := r.Source
	if source == "" {
		source = store.SourceSCIM
	}
	account.SetBlock(facts, source, !active)
	mark, err := records.Synced.Value(c.tx, r.ID)
	if err == nil && mark.State != "" {
		account.SetBlock(facts, store.SourceSync, mark.State != records.SyncHas)
	}
	return err
}

// linkJoining links the new account of who joins, as a plan or an operator says. Where it
// may not be linked, it is a conflict, and nobody is refused.
func (c *change) linkJoining(next *Account, p account.Person, w records.WaitingUser, planned *PlanPerson) (*linkConflict, error) {
	if c.engine.Linker == nil {
		return nil, nil
	}
	q := LocalQuery{UserName: p.UserName, Email: p.Email}
	local, answered := c.host.local[q]
	if !answered {
		return nil, &askHost{local: q}
	}
	host, conflict := chosen(c.conn, local, p, w)
	if conflict == nil && host != "" {
		taken, err := c.takenBy(host, next.ResourceID)
		if err != nil {
			return nil, err
		}
		if taken {
			conflict = &linkConflict{Code: conflictTaken, Hosts: []string{host}}
		}
	}
	if conflict == nil && planned != nil && planned.HostID != host {
		conflict = &linkConflict{Code: conflictOvertaken, Hosts: []string{planned.HostID, host}}
		conflict.Hosts = slices.DeleteFunc(conflict.Hosts, func(id string) bool { return id == "" })
	}
	if conflict != nil {
		next.Facts.Conflict = conflict.Hosts[0]
		return conflict, nil
	}
	if host == "" {
		return nil, nil
	}
	next.HostID = host
	return nil, c.claim(host, next)
}

// personKey says who a user is, as far as a choice of an operator counts for the person: by
// the externalId, else by the user name.
func personKey(p account.Person) string {
	if p.ExternalID != "" {
		return keyOfID + p.ExternalID
	}
	return "name/" + naming.Form(p.UserName)
}

// leftOut reports whether an operator leaves the person out.
func leftOut(w records.WaitingUser, p account.Person) bool {
	return LinkChoice(w.Choice) == ChooseLeaveOut && w.Person == personKey(p)
}

// chosen returns the account of the host that somebody is linked to: by a choice that was
// made about this very person, else as it is for everybody.
func chosen(conn *compiled, local []LocalAccount, p account.Person, w records.WaitingUser) (string, *linkConflict) {
	if w.Choice == "" || w.Person != personKey(p) {
		return linkLocal(conn, local, p.UserName, p.Email)
	}
	if LinkChoice(w.Choice) == ChooseNew {
		return "", nil
	}
	i := slices.IndexFunc(local, func(a LocalAccount) bool { return a.ID == w.HostID })
	if i < 0 || !local[i].mayBeChosen(conn) {
		return "", &linkConflict{Code: conflictVoidChoice, Hosts: []string{w.HostID}}
	}
	return w.HostID, nil
}

// mayBeChosen reports whether an operator may link somebody to the account: to none of an
// admin, and to none of another connection.
func (a *LocalAccount) mayBeChosen(conn *compiled) bool {
	return !a.Admin && (a.Connection == "" || a.Connection == conn.ID)
}

// tellJoiningEmail tells of the e-mail that who joins has in common with a user who came
// before, and returns that user. Where that user has no account yet, the event names the
// user.
func (c *change) tellJoiningEmail(r *Resource, next *Account) (string, error) {
	if next.Email == "" {
		return "", nil
	}
	found, err := c.finder().withEmails([]string{naming.Key(next.Email)})
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(found, func(other *Resource) bool {
		return other.Position < r.Position && naming.Clash(account.Read(other.Document, nil).Email, next.Email)
	})
	if i < 0 {
		return "", nil
	}
	other, err := c.finder().accountOf(found[i].ID)
	if err != nil {
		return "", err
	}
	if other == nil { // whoever comes first by id joins first
		return found[i].ID, c.tellSharedWith(next, "", found[i].ID)
	}
	return found[i].ID, c.tellSharedWith(next, "", other.ID)
}
