package provision

import (
	"context"
	"errors"

	"github.com/scimjit/provision/store"
)

// Whose says whose accounts are meant: one account, or those of the people below a group,
// directly or by groups inside it. The zero value is everybody.
type Whose struct {
	Account string
	Group   string
}

// DeriveAgain derives accounts again from what is stored, as a change of the policy would:
// what the identity provider said last counts, and nothing need be sent again. It is for
// what only time or the host has changed, such as an admin by another way, and for doubt.
// Where nothing follows, nothing is stored and no event is appended.
//
// It derives at once up to [Limits.Inline] accounts, and leaves more to a job:
// [Directory.Jobs] shows it. Guards have their say as always; see [Directory.Forced].
//
// The error is [ErrNotFound] for an unknown or deleted account, an unknown group or an
// unknown connection, and an [*ArgumentError] where both are given.
func (d *Directory) DeriveAgain(ctx context.Context, whose Whose) error {
	switch {
	case whose.Account != "" && whose.Group != "":
		return &ArgumentError{Argument: "whose", Reason: "an account and a group: give one of the two"}
	case whose.Account != "":
		return d.changeAccount(ctx, whose.Account, func(c *change, a *Account) error { return c.deriveAgain(a) })
	case whose.Group != "":
		return d.update(ctx, d.why(), func(c *change) error { return c.deriveGroup(whose.Group) })
	}
	return d.update(ctx, d.why(), (*change).deriveAll)
}

// deriveGroup derives the accounts below a group again, or leaves them to a job.
func (c *change) deriveGroup(group string) error {
	if _, err := c.tx.Resource(TypeGroup, group, 0); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			err = notFound("group", group)
		}
		return err
	}
	c.resource = &store.ResourceRef{Type: TypeGroup, ID: group}
	touched := newPeople(c.tx, c.engine.Limits.inline())
	if err := touched.below(group); err != nil {
		return err
	}
	if touched.tooMany() {
		of, err := c.peopleOfJob(nil, []string{group}, "")
		if err != nil {
			return err
		}
		return c.startJob(of)
	}
	var stored []*Account
	for _, user := range touched.users {
		a, err := c.tx.AccountOf(user)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		stored = append(stored, a)
	}
	return c.deriveAgain(stored...)
}
