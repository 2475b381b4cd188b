package provision

import (
	"errors"

	"github.com/scimjit/provision/store"
)

// people collects the users whose accounts a change touches, up to one more
// than may be derived in its transaction.
type people struct {
	change *change
	users  []string
	seen   map[string]bool
	losing bool // somebody may lose something by the change
}

func newPeople(c *change) *people { return &people{change: c, seen: map[string]bool{}} }

// tooMany reports whether the accounts must be left to a job.
func (p *people) tooMany() bool { return len(p.users) > p.change.engine.Limits.inline() }

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
	after := ""
	for !p.tooMany() {
		ms, err := p.change.tx.Memberships(group, after, membersPage)
		if err != nil {
			return err
		}
		for _, m := range ms {
			if err := p.add(m); err != nil {
				return err
			}
		}
		if len(ms) < membersPage {
			return nil
		}
		after = ms[len(ms)-1].Member
	}
	return nil
}

// membersPage is how many memberships are read at once.
const membersPage = 1000

// derive settles the accounts of the people, or leaves them to a job.
func (c *change) derive(p *people) error {
	if p.tooMany() {
		return c.startJob()
	}
	list := make([]*Account, 0, len(p.users))
	for _, user := range p.users {
		a, err := c.tx.AccountOf(user)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		list = append(list, a)
	}
	return c.settleAll(list, p.losing, func(a *Account) error { return c.settle(a, a.Clone(), false) })
}

// settleAll settles accounts for one cause, by which somebody may be losing.
func (c *change) settleAll(list []*Account, losing bool, settle func(*Account) error) error {
	if len(list) > 1 {
		tx := recall(c.tx)
		if err := tx.readGroups(list); err != nil {
			return err
		}
		c.tx = tx
	}
	if losing {
		if err := c.holdMany(list); err != nil {
			return err
		}
	}
	for _, a := range list {
		if err := settle(a); err != nil {
			return err
		}
	}
	return nil
}

// deriveAll settles all accounts of the connection, or leaves them to a job.
func (c *change) deriveAll() error {
	inline := c.engine.Limits.inline()
	list, err := c.tx.Accounts(store.AccountQuery{Limit: inline + 1})
	if err != nil {
		return err
	}
	if len(list) > inline {
		return c.startJob()
	}
	return c.settleAll(list, true, c.resettle)
}
