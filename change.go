package provision

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// change is one transaction on one connection: the store's transaction and what
// every event of it has in common.
type change struct {
	engine     *Engine
	tx         store.Tx
	conn       *compiled
	actor      Actor
	now        time.Time
	cause      *store.ResourceRef // the resource whose change this is
	tolerances []string

	local    map[LocalQuery][]LocalAccount // what the host has answered
	entering string                        // the account of the login that this is

	events   int
	jobs     int
	newAdmin bool // an account became site admin

	mass      *massCount // nil: not read yet
	counted   bool       // mass must be stored
	counting  bool       // decisions are only counted
	holding   bool       // who would be deprovisioned is held
	forcing   bool       // the mass guard holds nobody
	releasing bool       // holds end
	canceling bool       // holds become permanent
}

// source is the way of provisioning that the transaction's facts come from.
func (c *change) source() store.Source {
	switch s := store.Source(c.actor.Kind); s {
	case store.SourceSCIM, store.SourceJIT, store.SourceSync:
		return s
	}
	return store.SourceOperator
}

// mayRemove reports whether the actor may end memberships of a source: an
// operator all, an identity provider those that identity providers reported.
func (c *change) mayRemove(s store.Source) bool {
	return c.source() == store.SourceOperator || s.Reported()
}

// removable lists the sources for which mayRemove is true.
func (c *change) removable() []store.Source {
	if c.source() == store.SourceOperator {
		return []store.Source{""} // all
	}
	return []store.Source{store.SourceSCIM, store.SourceJIT, store.SourceSync}
}

// append completes an event and appends it.
func (c *change) append(ev *store.Event) error {
	ev.Time, ev.Connection, ev.Actor = c.now, c.conn.ID, c.actor
	if ev.Resource == nil {
		ev.Resource = c.cause
	}
	if len(ev.Tolerances) == 0 {
		ev.Tolerances = c.tolerances
	}
	c.events++
	return c.tx.AppendEvent(ev)
}

// finish is the last step of a transaction.
func (c *change) finish() error {
	if err := c.releaseLastAdmin(); err != nil {
		return err
	}
	return c.saveMassCount()
}

// member returns the user or group that a membership names.
func (c *change) member(id string) (*Resource, error) {
	if id == "" {
		return nil, &MemberError{ID: id}
	}
	r, err := c.tx.Resource("", id, 0)
	if errors.Is(err, store.ErrNotFound) {
		return nil, &MemberError{ID: id}
	}
	if err != nil {
		return nil, err
	}
	if r.Type != TypeUser && r.Type != TypeGroup {
		return nil, &MemberError{ID: id}
	}
	return r, nil
}

// userWritten derives the account of a user that was created, where was is nil,
// or changed.
func (c *change) userWritten(was, r *Resource) error {
	person := readPerson(r.Document, c.conn.attributes)
	before, err := c.tx.AccountOf(r.ID)
	if errors.Is(err, store.ErrNotFound) {
		if was != nil && !person.active {
			return nil // deleted by an earlier change, and not called back
		}
		before, err = c.formerAccount(r, person)
	}
	if err != nil {
		return err
	}
	after, err := c.startAccount(before, r.ID)
	if err != nil {
		return err
	}
	person.writeTo(after)
	c.providerWrote(after)
	if was == nil || isActive(was.Document) != person.active {
		// A block belongs to who set active, not to who changed something else.
		setBlock(&after.Facts.Blocks, c.source(), !person.active)
	}
	if before == nil {
		if err := c.linkNew(after, person); err != nil {
			return err
		}
		err = c.owesDefaults(after, policy.AtCreation)
	} else if before.ResourceID == "" {
		err = c.retryDefaults(after)
	}
	if err != nil {
		return err
	}
	return c.settle(before, after, false)
}

// startAccount returns the account to change: a copy of before, or a new one.
func (c *change) startAccount(before *Account, resource string) (*Account, error) {
	if before != nil {
		after := before.Clone()
		after.ResourceID = resource
		return after, nil
	}
	id, err := c.engine.newID()
	if err != nil {
		return nil, err
	}
	return &Account{ID: id, Connection: c.conn.ID, ResourceID: resource, Created: c.now}, nil
}

// formerAccount finds the account that an earlier, deleted resource of the same
// person left, or nil: by equal externalId, or by equal userName where one side
// has no externalId. A name that comes back with another externalId is another
// person, who must not inherit; an event says so.
func (c *change) formerAccount(r *Resource, p person) (*Account, error) {
	if p.externalID != "" {
		same, err := c.tx.Accounts(store.AccountQuery{ExternalID: p.externalID, Unlinked: true})
		if err != nil {
			return nil, err
		}
		if a := lastRemaining(same); a != nil {
			return a, nil
		}
	}
	same, err := c.tx.Accounts(store.AccountQuery{UserName: policy.Fold(p.userName), Unlinked: true})
	if err != nil {
		return nil, err
	}
	a := lastRemaining(same)
	if a == nil || p.externalID == "" || a.ExternalID == "" {
		return a, nil
	}
	return nil, c.append(&store.Event{
		Type: store.AccountIdentityRecycled, AccountID: a.ID,
		Resource: &store.ResourceRef{Type: TypeUser, ID: r.ID},
	})
}

// lastRemaining returns the most recently changed account that is not a
// tombstone, or nil.
func lastRemaining(list []*Account) *Account {
	var last *Account
	for _, a := range list {
		if a.Status != policy.Deleted && (last == nil || a.Modified.After(last.Modified)) {
			last = a
		}
	}
	return last
}

func setBlock(blocks *[]store.Source, s store.Source, blocked bool) {
	i := slices.Index(*blocks, s)
	switch {
	case blocked && i < 0:
		*blocks = append(*blocks, s)
	case !blocked && i >= 0:
		*blocks = slices.Delete(*blocks, i, i+1)
	}
}

// groupWritten derives the accounts that a created or changed group touches.
func (c *change) groupWritten(before, after *Resource, delta memberDelta) error {
	ev := &store.Event{Type: store.GroupUpdated}
	touched := newPeople(c)
	if before == nil {
		ev.Type = store.GroupCreated
	} else if ev.Changes = groupChanges(before, after); len(ev.Changes) > 0 {
		touched.losing = true
		if err := touched.below(after.ID); err != nil {
			return err
		}
	}
	ev.Changes = append(ev.Changes, memberChanges(delta)...)
	if err := c.append(ev); err != nil {
		return err
	}
	touched.losing = touched.losing || len(delta.removed) > 0
	for _, m := range slices.Concat(delta.added, delta.removed) {
		if err := touched.add(m); err != nil {
			return err
		}
	}
	if err := c.derive(touched); err != nil {
		return err
	}
	if before == nil || before.Display != after.Display {
		return c.groupNameAppeared(after.Display)
	}
	return nil
}

// groupChanges lists what changed of the attributes by which a policy can know a
// group.
func groupChanges(before, after *Resource) []store.Change {
	var out []store.Change
	if before.Display != after.Display {
		out = append(out, textChange("displayName", before.Display, after.Display))
	}
	was, is := documentText(before.Document, "externalId"), documentText(after.Document, "externalId")
	if was != is {
		out = append(out, textChange("externalId", was, is))
	}
	return out
}

// eventMembers is how many member ids an event lists; it counts the others.
const eventMembers = 100

func memberChanges(delta memberDelta) []store.Change {
	var out []store.Change
	if len(delta.removed) > 0 {
		out = append(out, store.Change{Attribute: "members", Before: memberList(delta.removed)})
	}
	if len(delta.added) > 0 {
		out = append(out, store.Change{Attribute: "members", After: memberList(delta.added)})
	}
	return out
}

func memberList(ms []store.Membership) json.RawMessage {
	if len(ms) > eventMembers {
		return mustJSON(map[string]int{"count": len(ms)})
	}
	ids := make([]string, len(ms))
	for i, m := range ms {
		ids[i] = m.Member
	}
	return mustJSON(ids)
}

// delete removes a resource and derives the accounts that this touches.
func (c *change) delete(r *Resource) error {
	c.cause = &store.ResourceRef{Type: r.Type, ID: r.ID}
	touched := newPeople(c)
	touched.losing = true
	if r.Type == TypeGroup {
		if err := touched.below(r.ID); err != nil {
			return err
		}
	}
	if err := c.leaveGroups(r.ID); err != nil {
		return err
	}
	if err := c.tx.DeleteResource(r.Type, r.ID); err != nil {
		return err
	}
	switch r.Type {
	case TypeUser:
		return c.userDeleted(r.ID)
	case TypeGroup:
		ev := &store.Event{Type: store.GroupDeleted, Changes: []store.Change{textChange("displayName", r.Display, "")}}
		if err := c.append(ev); err != nil {
			return err
		}
		return c.derive(touched)
	}
	return nil
}

// leaveGroups gives every group that loses a deleted member its new version, and
// its event.
func (c *change) leaveGroups(member string) error {
	ms, err := c.tx.MembershipsOf(member)
	if err != nil {
		return err
	}
	last := ""
	for _, m := range ms {
		if m.Group == last {
			continue // the same pair from another source
		}
		last = m.Group
		g, err := c.tx.Resource(TypeGroup, m.Group, 0)
		if err != nil {
			return err
		}
		if err := c.groupChanged(g, memberDelta{removed: []store.Membership{m}}); err != nil {
			return err
		}
	}
	return nil
}

// groupChanged gives a group that gained or lost a member its new version, and
// its event.
func (c *change) groupChanged(g *Resource, delta memberDelta) error {
	next := *g
	next.Version, next.Modified, next.Keys = g.Version+1, c.now, nil
	if err := c.tx.PutResource(&next); err != nil {
		return err
	}
	return c.append(&store.Event{
		Type:     store.GroupUpdated,
		Resource: &store.ResourceRef{Type: TypeGroup, ID: g.ID},
		Changes:  memberChanges(delta),
	})
}

// userDeleted deprovisions the account of a deleted user.
func (c *change) userDeleted(resource string) error {
	before, err := c.tx.AccountOf(resource)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	after := before.Clone()
	after.ResourceID = ""
	return c.settle(before, after, true)
}
