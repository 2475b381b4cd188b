package provision

import (
	"encoding/json"
	"errors"
	"iter"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// groupWritten derives the accounts that a created or changed group touches.
func (c *change) groupWritten(before, after *Resource, delta memberDelta) error {
	ev := &store.Event{Type: store.GroupUpdated}
	touched := newPeople(c.tx, c.engine.Limits.inline())
	var groups []string // below which a job would derive everybody
	if before == nil {
		ev.Type = store.GroupCreated
	} else if ev.Changes = groupChanges(before, after); len(ev.Changes) > 0 {
		groups = append(groups, after.ID)
		if err := touched.below(after.ID); err != nil {
			return err
		}
	}
	ev.Changes = append(ev.Changes, memberChanges(delta)...)
	if err := c.append(ev); err != nil {
		return err
	}
	if err := c.deriveMembers(touched, groups, delta); err != nil {
		return err
	}
	if before == nil || before.Display != after.Display {
		return c.groupNameAppeared(after.Display)
	}
	return nil
}

// deriveMembers derives the accounts of those who came or went, and of whom a change
// touches beside them, or leaves them to a job, with everybody below some groups.
func (c *change) deriveMembers(touched *people, groups []string, delta memberDelta) error {
	if c.waits() {
		return c.dropList(delta.list)
	}
	var users []string
	for m := range delta.all() {
		if err := touched.add(m); err != nil {
			return err
		}
		if m.Kind == TypeGroup {
			groups = append(groups, m.Member)
		} else if delta.list == "" {
			users = append(users, m.Member)
		}
	}
	if delta.more > 0 || touched.tooMany() {
		of, err := c.peopleOfJob(users, groups, delta.list)
		if err != nil {
			return err
		}
		if of != nil {
			delta.list = "" // it is the job's
		}
		if err := c.startJob(of); err != nil {
			return err
		}
	} else if err := c.deriveTouched(touched); err != nil {
		return err
	}
	return c.dropList(delta.list)
}

// dropList removes the list of people who are derived already, or whose accounts
// wait; "" is none.
func (c *change) dropList(list string) error {
	if list == "" {
		return nil
	}
	_, err := dropPeople(c.tx, list, 0)
	return err
}

// groupDeleted derives the accounts of the people who were in a deleted group: the members
// that delta says were removed.
func (c *change) groupDeleted(r *Resource, delta memberDelta) error {
	ev := &store.Event{Type: store.GroupDeleted, Changes: []store.Change{account.TextChange("displayName", r.Display, "")}}
	if err := c.append(ev); err != nil {
		return err
	}
	return c.deriveMembers(newPeople(c.tx, c.engine.Limits.inline()), nil, delta)
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

// groupChanges lists what changed of the attributes by which a policy can know a
// group.
func groupChanges(before, after *Resource) []store.Change {
	var out []store.Change
	if before.Display != after.Display {
		out = append(out, account.TextChange("displayName", before.Display, after.Display))
	}
	was, is := account.Text(before.Document, "externalId"), account.Text(after.Document, "externalId")
	if was != is {
		out = append(out, account.TextChange("externalId", was, is))
	}
	return out
}

// memberDelta is which memberships a change added and removed.
type memberDelta struct {
	added, removed []store.Membership

	// more is how many others were removed, where they were too many to be kept: only
	// their number is told, and a job derives their accounts. Of the groups among them as
	// many are kept as a job can have.
	more   int
	groups int // that are in removed

	// list names these users as a job keeps them, where they are staged; see
	// records.JobPeople.
	list string
}

// remove adds a membership that was removed, unless so many are kept already.
func (d *memberDelta) remove(m store.Membership, most int) {
	group := m.Kind == TypeGroup
	if len(d.removed) >= most && (!group || d.groups > records.PeopleParts) {
		d.more++
		return
	}
	d.removed = append(d.removed, m)
	if group {
		d.groups++
	}
}

// all goes over both, which may be very many.
func (d memberDelta) all() iter.Seq[store.Membership] {
	return func(yield func(store.Membership) bool) {
		for _, list := range [][]store.Membership{d.added, d.removed} {
			for _, m := range list {
				if !yield(m) {
					return
				}
			}
		}
	}
}

func (d memberDelta) empty() bool { return len(d.added)+len(d.removed) == 0 }

// eventMembers is how many member ids an event lists; it counts the others.
const eventMembers = 100

func memberChanges(delta memberDelta) []store.Change {
	var out []store.Change
	if len(delta.removed) > 0 {
		out = append(out, store.Change{Attribute: "members", Before: memberList(delta.removed, delta.more)})
	}
	if len(delta.added) > 0 {
		out = append(out, store.Change{Attribute: "members", After: memberList(delta.added, 0)})
	}
	return out
}

func memberList(ms []store.Membership, more int) json.RawMessage {
	if n := len(ms) + more; n > eventMembers {
		return account.JSON(map[string]int{"count": n})
	}
	ids := make([]string, len(ms))
	for i, m := range ms {
		ids[i] = m.Member
	}
	return account.JSON(ids)
}

// memberOf returns the user or group that a membership names.
func memberOf(tx store.ResourceReader, id string) (*Resource, error) {
	if id == "" {
		return nil, &MemberError{ID: id}
	}
	r, err := tx.Resource("", id, 0)
	if errors.Is(err, store.ErrNotFound) || err == nil && r.Type != TypeUser && r.Type != TypeGroup {
		return nil, &MemberError{ID: id}
	}
	return r, err
}

// people collects the users whose accounts a change touches, up to one more
// than may be derived in its transaction.
type people struct {
	tx    store.MemberReader
	most  int
	users []string
	seen  map[string]bool
}

func newPeople(tx store.MemberReader, most int) *people {
	return &people{tx: tx, most: most, seen: map[string]bool{}}
}

// tooMany reports whether the accounts must be left to a job.
func (p *people) tooMany() bool { return len(p.users) > p.most }

// add adds a member: itself, or everyone below a group.
func (p *people) add(m store.Membership) error {
	if p.seen[m.Member] || p.tooMany() {
		return nil
	}
	if m.Kind == TypeGroup {
		return p.below(m.Member)
	}
	p.seen[m.Member] = true
	p.users = append(p.users, m.Member)
	return nil
}

// below adds everyone who is in a group, transitively.
func (p *people) below(group string) error {
	if p.seen[group] {
		return nil
	}
	p.seen[group] = true
	after, size := "", min(MembersPage, max(p.most, walkPage)+1) // of others nobody asks
	for !p.tooMany() {
		ms, err := p.tx.UnnamedMemberships(group, after, size)
		if err != nil {
			return err
		}
		for _, m := range ms {
			if err := p.add(m); err != nil {
				return err
			}
		}
		if len(ms) < size {
			return nil
		}
		after = ms[len(ms)-1].Member
	}
	return nil
}
