package provision

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// recordDefault marks a default group that an account waits for, because no
// group has the name yet.
const recordDefault = "default"

// waitsFor returns the keys of the marks of a name, up to the account.
func waitsFor(name string) string { return url.QueryEscape(policy.Fold(name)) + "/" }

// owesDefaults adds the default groups to an account whose moment has come. A
// name without a group is remembered until one has it.
func (c *change) owesDefaults(after *Account, at policy.DefaultGroupsAt) error {
	when := c.conn.Policy.DefaultGroupsAt
	if when == "" {
		when = policy.AtCreation
	}
	if when != at || after.ResourceID == "" {
		return nil
	}
	return c.addDefaults(after, func(string) (bool, error) { return true, nil })
}

// retryDefaults adds the default groups that an account waits for and that now
// exist, and gives those of the host their names of now.
func (c *change) retryDefaults(after *Account) error {
	if _, err := c.renameHostGroups(after); err != nil {
		return err
	}
	if after.ResourceID == "" {
		return nil
	}
	return c.addDefaults(after, func(name string) (bool, error) {
		mark, err := c.mark(recordDefault, waitsFor(name)+after.ID)
		return mark != "", err
	})
}

// waitsForDefaults reports whether an account waits for a default group, or for
// the name of one.
func (c *change) waitsForDefaults(a *Account) (bool, error) {
	if renamed, err := c.renameHostGroups(a.Clone()); err != nil || renamed {
		return renamed, err
	}
	for _, name := range c.conn.Policy.DefaultGroups {
		mark, err := c.mark(recordDefault, waitsFor(name)+a.ID)
		if err != nil || mark != "" {
			return mark != "", err
		}
	}
	return false, nil
}

// addDefaults adds the default groups that are owed to an account. Each is
// added once, so that a later removal is not undone. The membership is no
// evidence: it opens no gate and grants no role.
func (c *change) addDefaults(after *Account, owed func(name string) (bool, error)) error {
	for _, name := range c.conn.Policy.DefaultGroups {
		if slices.Contains(after.Facts.DefaultGroups, name) {
			continue
		}
		if ok, err := owed(name); err != nil {
			return err
		} else if !ok {
			continue
		}
		key := waitsFor(name) + after.ID
		added, err := c.addDefault(after, name)
		if err != nil {
			return err
		}
		if !added {
			if err := c.putMark(recordDefault, key, name); err != nil {
				return err
			}
			continue
		}
		after.Facts.DefaultGroups = append(after.Facts.DefaultGroups, name)
		if err := c.clearMark(recordDefault, key); err != nil {
			return err
		}
	}
	return nil
}

// addDefault adds the group with a name to an account: the host's, else the
// connection's. It reports whether there is one.
func (c *change) addDefault(after *Account, name string) (added bool, err error) {
	host, err := c.hostGroupNamed(name)
	if err != nil {
		return false, err
	}
	if host != nil {
		if !slices.ContainsFunc(after.Facts.HostGroups, func(g store.AccountGroup) bool { return g.ID == host.ID }) {
			after.Facts.HostGroups = append(after.Facts.HostGroups, *host)
		}
		return true, nil
	}
	group, err := c.groupNamed(name)
	if err != nil || group == "" {
		return false, err
	}
	_, err = c.tx.PutMembership(store.Membership{
		Group: group, Member: after.ResourceID, Source: store.SourceDefault, Kind: TypeUser,
	})
	return err == nil, err
}

// groupNamed returns the id of the group with a name, folded, or "". Where a
// dialect allows several, it is the oldest.
func (c *change) groupNamed(name string) (string, error) {
	page, err := c.tx.Query(store.Query{
		Types: []string{TypeGroup}, Limit: 1, NoTotal: true,
		Filter: store.Compare{
			Path: store.Path{Keys: []string{"displayName"}, Type: store.String}, Op: store.EQ,
			Value: name, Key: "displayName", Folded: policy.Fold(name),
		},
	})
	if err != nil || len(page.Resources) == 0 {
		return "", err
	}
	return page.Resources[0].ID, nil
}

// groupNameAppeared gives a group to the accounts that wait for its name, or
// leaves that to a job when they are many. A name that the policy does not have
// any more is nobody's.
func (c *change) groupNameAppeared(name string) error {
	named := func(option string) bool { return policy.Fold(option) == policy.Fold(name) }
	if !slices.ContainsFunc(c.conn.Policy.DefaultGroups, named) {
		return nil
	}
	inline, prefix := c.engine.Limits.inline(), waitsFor(name)
	marks, err := c.tx.Records(recordDefault, prefix, inline+1)
	if err != nil {
		return err
	}
	if len(marks) > inline && strings.HasPrefix(marks[inline].Key, prefix) {
		return c.startJob()
	}
	for _, mark := range marks {
		account, ok := strings.CutPrefix(mark.Key, prefix)
		if !ok {
			break
		}
		if account == c.entering {
			continue // the login gives it by itself
		}
		a, err := c.tx.Account(account)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err != nil || a.Status == policy.Deleted {
			if err := c.clearMark(recordDefault, mark.Key); err != nil {
				return err
			}
			continue
		}
		if err := c.resettle(a); err != nil {
			return err
		}
	}
	return nil
}
