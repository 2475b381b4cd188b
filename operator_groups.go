package provision

import (
	"context"
	"errors"
	"slices"

	"github.com/scimjit/provision/store"
)

// ErrReported says that the identity provider reports that a person is in a
// group: only it can end that.
var ErrReported = errors.New("provision: the identity provider reports that the person is in this group")

// AddGroup puts the person of an account into a group for an operator: one of the
// connection, or one of [Directory.HostGroups]. The account carries the group with source
// "operator" until [Directory.RemoveGroup], the deletion of the group, or that of the
// account. What the identity provider writes changes nothing of that, and it never reads
// it: the group has no new version. Where it reports the person, too, the source is its
// own for as long.
//
// The membership is no evidence: it opens no gate and grants no role. Options
// excludedGroups, includedGroups, provisionGroups and deprovisionGroups do not count for
// it.
//
// To add it twice is no change. The error is [ErrNotFound] for an unknown or deleted
// account and for an unknown group, also one that is being deleted.
func (d *Directory) AddGroup(ctx context.Context, account, group string) error {
	return d.changeAccount(ctx, account, func(c *change, before *Account) error {
		edited := before.Clone()
		if err := c.addGroup(edited, group); err != nil {
			return err
		}
		return c.derive(derivation{before, edited})
	})
}

// addGroup adds a group to an account for an operator.
func (c *change) addGroup(edited *Account, group string) error {
	host, err := (hostGroups{c.tx}).group(group)
	if err != nil {
		return err
	}
	if host != nil {
		host.Source = store.SourceOperator
		edited.Facts.HostGroups = withGroup(edited.Facts.HostGroups, *host)
		return nil
	}
	r, err := c.tx.Resource(TypeGroup, group, 0)
	if errors.Is(err, store.ErrNotFound) {
		return notFound("group", group)
	}
	if err != nil {
		return err
	}
	if ends, err := beingDeleted(c.tx, group); err != nil || ends {
		return errors.Join(err, notFound("group", group))
	}
	if edited.ResourceID == "" { // its groups are with the account until its user comes back
		edited.Groups = withGroup(edited.Groups, store.AccountGroup{ID: r.ID, Name: r.Display, Source: store.SourceOperator})
		return nil
	}
	return c.joinForOperator(group, edited.ResourceID)
}

func (c *change) joinForOperator(group, user string) error {
	_, err := c.tx.PutMembership(store.Membership{Group: group, Member: user, Source: store.SourceOperator, Kind: TypeUser})
	return err
}

// withGroup returns a list of groups that has one, with its source.
func withGroup(list []store.AccountGroup, g store.AccountGroup) []store.AccountGroup {
	i := slices.IndexFunc(list, func(have store.AccountGroup) bool { return have.ID == g.ID })
	if i < 0 {
		return append(list, g)
	}
	list[i] = g
	return list
}

// rejoin gives the user of an account that was without one the memberships which an
// operator gave the account: those of its former user went with it.
func (c *change) rejoin(next *Account) error {
	for _, g := range next.Groups {
		if g.Source != store.SourceOperator {
			continue
		}
		_, err := c.tx.Resource(TypeGroup, g.ID, 0)
		if errors.Is(err, store.ErrNotFound) {
			continue // it is the host's, or was deleted
		}
		if err != nil {
			return err
		}
		if ends, err := beingDeleted(c.tx, g.ID); err != nil {
			return err
		} else if ends {
			continue
		}
		if err := c.joinForOperator(g.ID, next.ResourceID); err != nil {
			return err
		}
	}
	return nil
}

// RemoveGroup takes a group from an account for an operator: one that the
// account only carries still, because deprovisionGroups or provisionGroups is
// off, and one that a default, the host or an operator gave it. A default group
// does not come back by itself. The identity provider's view of the group stays
// as it is.
//
// Where the identity provider reports the membership, directly or by a group inside the
// group, only what [Directory.AddGroup] added ends, and the account carries the group
// still. The error is [ErrReported] where an operator had added nothing; then nothing is
// changed. It is [ErrNotFound] for an unknown or deleted account, and for one that does not
// carry the group.
func (d *Directory) RemoveGroup(ctx context.Context, account, group string) error {
	return d.changeAccount(ctx, account, func(c *change, before *Account) error {
		groups, err := readGraph(c.tx, c.conn.policy, before.ResourceID)
		if err != nil {
			return err
		}
		if groups.Reports(before.ResourceID, group) {
			return c.removeUnreported(before, group)
		}
		has := func(g store.AccountGroup) bool { return g.ID == group }
		if !slices.ContainsFunc(before.Groups, has) {
			return ErrNotFound
		}
		edited := before.Clone()
		edited.Groups = slices.DeleteFunc(edited.Groups, has)
		edited.Facts.HostGroups = slices.DeleteFunc(edited.Facts.HostGroups, has)
		if before.ResourceID != "" {
			for _, source := range []store.Source{store.SourceDefault, store.SourceOperator} {
				if _, err := c.tx.DeleteMembership(group, before.ResourceID, source); err != nil {
					return err
				}
			}
		}
		return c.derive(derivation{before, edited})
	})
}

// removeUnreported ends what an operator said beside the identity provider.
func (c *change) removeUnreported(before *Account, group string) error {
	removed, err := c.tx.DeleteMembership(group, before.ResourceID, store.SourceOperator)
	if err == nil && !removed {
		err = ErrReported
	}
	if err != nil {
		return err
	}
	return c.derive(derivation{before, before.Clone()})
}
