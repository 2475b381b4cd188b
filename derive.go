package provision

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Three things are done to accounts: decide, derive and store. To decide says
// what the policy gives, and writes nothing. To derive is to decide, to let the
// guards have their say, and to store what becomes of it.

// derivation is an account to derive: as it is stored, nil for a new one, and
// with the new facts.
type derivation struct{ before, next *Account }

// decide decides about accounts. It reads the groups of all of them at once, and
// appends to decisions.
func (c *change) decide(decisions []account.Decision, list ...derivation) ([]account.Decision, error) {
	c.tx.Expect(func(r store.Reader) {
		if c.verdict == nil {
			c.mass.expect(r)
		}
		for _, d := range list {
			c.expectDeletion(r, d.before)
		}
	})
	groups, err := readGraph(c.tx, c.conn.policy, peopleOf(list)...)
	if err != nil {
		return nil, err
	}
	decisions = slices.Grow(decisions, len(list))
	for _, d := range list {
		in := c.input(d)
		in.Groups = groups
		decisions = append(decisions, account.Decide(in))
	}
	return decisions, nil
}

// input returns what is known of a derivation, without groups.
func (c *change) input(d derivation) account.Input {
	return account.Input{
		Before: d.before, Next: d.next, Policy: c.conn.policy, Now: c.now, Sure: c.engine.sure(c.now), Source: c.source,
	}
}

// peopleOf returns the users whose accounts are to be derived.
func peopleOf(list []derivation) []string {
	people := make([]string, len(list))
	for i, d := range list {
		people[i] = d.next.ResourceID
	}
	return people
}

// derive derives accounts for one cause: the mass guard sees what they are
// together.
func (c *change) derive(list ...derivation) error {
	if c.waits() {
		return c.deriveWaiting(list)
	}
	var one [1]account.Decision // mostly, there is one
	decisions, err := c.decide(one[:0], list...)
	if err != nil {
		return err
	}
	verdict, err := c.verdictOn(decisions)
	if err != nil {
		return err
	}
	for _, d := range decisions {
		out, err := c.settle(d, verdict)
		if err != nil {
			return err
		}
		if err := c.store(&out); err != nil {
			return err
		}
	}
	return nil
}

// verdictOn asks the mass guard about all that lose access by some decisions.
func (c *change) verdictOn(decisions []account.Decision) (account.Verdict, error) {
	if c.verdict != nil {
		return *c.verdict, nil
	}
	leaving := 0
	for _, d := range decisions {
		leaves, err := c.leaves(d)
		if err != nil {
			return account.Hold, err
		}
		if leaves {
			leaving++
		}
	}
	return c.mass.verdict(leaving)
}

// leaves reports whether an account loses access by a decision, which the last
// site admin does not.
func (c *change) leaves(d account.Decision) (bool, error) {
	if !d.Leaves() {
		return false, nil
	}
	if !slices.Contains(d.Open(), account.OtherAdmin) {
		return true, nil
	}
	return c.otherAdmin(d.ID())
}

// settle answers what the guards must know about a decision.
func (c *change) settle(d account.Decision, verdict account.Verdict) (out account.Output, err error) {
	answers := account.Answers{MayGo: verdict}
	if slices.Contains(d.Open(), account.OtherAdmin) {
		if answers.OtherAdmin, err = c.otherAdmin(d.ID()); err != nil {
			return out, err
		}
		if answers.OtherAdmin && verdict == account.LetGo && d.Leaves() {
			// The verdict is without those who were the last admin when it was made.
			if answers.MayGo, err = c.mass.verdict(1); err != nil {
				return out, err
			}
		}
	}
	if out = d.Settle(answers); out.Refused {
		err = &GuardError{Guard: guardLastAdmin, Account: d.ID()}
	}
	return out, err
}

// store stores what became of an account, and appends the events that tell of
// it.
func (c *change) store(out *account.Output) error {
	if !out.Changed {
		return c.scheduleDeletion(out)
	}
	if err := c.tx.PutAccount(out.After); err != nil {
		return err
	}
	c.tally.stored(out.Before, out.After)
	if err := c.remember(out); err != nil {
		return err
	}
	for _, note := range out.Notes {
		if err := c.tell(out.After, note, nil); err != nil {
			return err
		}
	}
	if out.Event == "" {
		return nil
	}
	return c.tell(out.After, out.Event, out.Changes)
}

// tell appends an event of an account.
func (c *change) tell(a *Account, what store.EventType, changes []store.Change) error {
	return c.append(&store.Event{Type: what, AccountID: a.ID, Account: a.EventAccount(), Changes: changes, Reasons: a.Reasons})
}

// remember keeps the records right by which accounts are found and watched.
func (c *change) remember(out *account.Output) error {
	if out.Counted {
		if err := c.mass.went(); err != nil {
			return err
		}
	}
	if err := c.rememberHold(out); err != nil {
		return err
	}
	if out.BecameAdmin() {
		c.newAdmin = true
	}
	if out.Kept {
		if err := records.LastAdmin.Put(c.tx, "", out.After.ID); err != nil {
			return err
		}
	}
	if out.BecameDeleted() {
		c.deleted = append(c.deleted, out.After.ID)
		if err := c.eraseRequestsOf(out.Before); err != nil {
			return err
		}
		if err := forget(c.tx, out.Before); err != nil {
			return err
		}
	}
	return c.scheduleDeletion(out)
}

// deriveAgain derives stored accounts under the connection as it is now, for one
// cause.
func (c *change) deriveAgain(stored ...*Account) error {
	if c.waits() {
		return nil
	}
	c.tx.Expect(func(r store.Reader) {
		c.expectDerivations(r, stored)
		c.defaults().expectGroups(r, stored...)
	})
	list, err := c.reread(stored)
	if err != nil {
		return err
	}
	for _, d := range list {
		if err := c.defaults().retry(d.next); err != nil {
			return err
		}
	}
	return c.derive(list...)
}

// reread returns what is to be derived of stored accounts, with what the
// connection maps of their resources. A tombstone stays what it is.
func (c *change) reread(stored []*Account) ([]derivation, error) {
	list := make([]derivation, 0, len(stored))
	for _, before := range stored {
		if before.Status == policy.StatusDeleted {
			continue
		}
		next := before.Clone()
		if c.rereads && before.ResourceID != "" || c.mapsResource(before) {
			r, err := c.tx.Resource(TypeUser, before.ResourceID, 0)
			if err != nil {
				return nil, err
			}
			account.Read(r.Document, c.conn.attributes).WriteTo(next)
			if c.rereads && knowsBetter(r.Source) {
				account.KnowGroups(&next.Facts)
			}
		}
		list = append(list, derivation{before, next})
	}
	return list, nil
}

// mapsResource reports whether an account has attributes of its user, or is to have.
func (c *change) mapsResource(a *Account) bool {
	return a.ResourceID != "" && len(c.conn.attributes)+len(a.Attributes) > 0
}

// expectDerivations announces what it takes to derive stored accounts again.
func (c *change) expectDerivations(r store.Reader, stored []*Account) {
	if c.verdict == nil {
		c.mass.expect(r)
	}
	var people []string
	groups := map[string]bool{}
	for _, a := range stored {
		if a.Status == policy.StatusDeleted {
			continue
		}
		if c.rereads && a.ResourceID != "" || c.mapsResource(a) {
			_, _ = r.Resource(TypeUser, a.ResourceID, 0)
		}
		if a.ResourceID != "" {
			people = append(people, a.ResourceID)
		}
		c.defaults().expect(r, a)
		c.expectDeletion(r, a)
		for _, g := range a.Groups {
			groups[g.ID] = true
		}
	}
	_, _ = r.Ancestors(people...)
	if c.conn.policy.NeedsExternalIDs() { // mostly of groups that the accounts have
		for _, id := range slices.Sorted(maps.Keys(groups)) {
			_, _ = r.Resource(TypeGroup, id, 0)
		}
	}
}

// deriveTouched derives the accounts of the people that a change touches, or
// leaves them to a job.
func (c *change) deriveTouched(p *people) error {
	if c.waits() {
		return nil
	}
	if p.tooMany() {
		return c.startJob(nil)
	}
	c.tx.Expect(func(r store.Reader) {
		for _, user := range p.users {
			_, _ = r.AccountOf(user)
		}
		_, _ = r.Ancestors(p.users...)
	})
	list := make([]derivation, 0, len(p.users))
	for _, user := range p.users {
		a, err := c.tx.AccountOf(user)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		list = append(list, derivation{a, a.Clone()})
	}
	return c.derive(list...)
}

// deriveAll derives all accounts of the connection, or leaves them to a job.
func (c *change) deriveAll() error {
	if c.waits() {
		return nil
	}
	inline := c.engine.Limits.inline()
	list, err := c.tx.Accounts(store.AccountQuery{Limit: inline + 1})
	if err != nil {
		return err
	}
	if len(list) > inline {
		return c.startJob(nil)
	}
	return c.deriveAgain(list...)
}

// groupReader reads what a graph of memberships needs.
type groupReader interface {
	Ancestors(members ...string) ([]store.Membership, error)
	Resource(typ, id string, with store.Parts) (*Resource, error)
	Expect(reads ...store.Read)
}

// readGraph reads to which groups people belong, directly and by groups in groups: one
// read for all of them. An empty id is nobody.
func readGraph(r groupReader, p *policy.Policy, people ...string) (*account.Graph, error) {
	graph := &account.Graph{}
	people = slices.DeleteFunc(people, func(id string) bool { return id == "" })
	rows, err := r.Ancestors(people...)
	if err != nil {
		return nil, err
	}
	next := graph.Put(rowsOf(rows, people))
	for len(next) > 0 {
		above := rowsOf(rows, next)
		if p.NeedsExternalIDs() {
			if err := readExternalIDs(r, graph, next); err != nil {
				return nil, err
			}
		}
		next = graph.Put(above)
	}
	return graph, nil
}

// rowsOf returns those of some memberships, in order of the member, that some members
// have.
func rowsOf(rows []store.Membership, members []string) []store.Membership {
	members = slices.Sorted(slices.Values(members))
	if len(members) > 0 && len(rows) > 0 && rows[0].Member == members[0] && rows[len(rows)-1].Member == members[0] {
		return rows // mostly there is one person, and no group in groups
	}
	var of []store.Membership
	for i, member := range members {
		if i > 0 && member == members[i-1] {
			continue
		}
		from, _ := slices.BinarySearchFunc(rows, member, func(m store.Membership, id string) int { return strings.Compare(m.Member, id) })
		to := from
		for to < len(rows) && rows[to].Member == member {
			to++
		}
		of = append(of, rows[from:to]...)
	}
	return of
}

// readExternalIDs reads the externalIds of groups.
func readExternalIDs(r groupReader, graph *account.Graph, groups []string) error {
	r.Expect(func(r store.Reader) {
		for _, group := range groups {
			_, _ = r.Resource(TypeGroup, group, 0)
		}
	})
	for _, group := range groups {
		g, err := r.Resource(TypeGroup, group, 0)
		if err != nil {
			return err
		}
		graph.PutExternalID(group, account.Text(g.Document, "externalId"))
	}
	return nil
}
