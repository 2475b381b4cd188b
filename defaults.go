package provision

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// defaultGroups gives accounts the groups of option defaultGroups. They are facts
// first: accounts are derived with them afterwards.
type defaultGroups struct {
	tx     store.Tx
	find   finder
	config *policy.Config
}

func (c *change) defaults() defaultGroups {
	return defaultGroups{tx: c.tx, find: c.finder(), config: &c.conn.Policy}
}

// nameKey is the key of the records of a default group.
func nameKey(name string) string { return url.QueryEscape(naming.Form(naming.Normal(name))) }

// waitKey returns the keys of [records.DefaultGroup] of a name, up to the
// account.
func waitKey(name string) string { return nameKey(name) + "/" }

// owe adds the default groups to an account whose moment has come. A name without
// a group is remembered until one has it.
func (d defaultGroups) owe(next *Account, at policy.DefaultGroupsAt) error {
	when := d.config.DefaultGroupsAt
	if when == "" {
		when = policy.AtCreation
	}
	if when != at || next.ResourceID == "" {
		return nil
	}
	return d.add(next, func(string) (bool, error) { return true, nil })
}

// retry adds the default groups that an account waits for and that now exist, and
// gives those of the host their names of now.
func (d defaultGroups) retry(next *Account) error {
	if _, err := (hostGroups{d.tx}).rename(next); err != nil {
		return err
	}
	if next.ResourceID == "" {
		return nil
	}
	return d.add(next, func(name string) (bool, error) { return d.waitsFor(name, next.ID) })
}

// expectOf announces what says whether an account waits for default groups.
func (d defaultGroups) expectOf(r store.Reader, account string) {
	for _, name := range d.config.DefaultGroups {
		_, _ = records.DefaultGroup.Load(r, waitKey(name)+account)
	}
}

// expect announces what waits reads of a stored account.
func (d defaultGroups) expect(r store.Reader, a *Account) {
	d.expectOf(r, a.ID)
	hostGroups{r}.expect(a)
}

// expectGroups announces the default groups that some accounts do not have yet, and to
// which groups these people belong.
func (d defaultGroups) expectGroups(r store.Reader, of ...*Account) {
	find := finder{tx: r, conn: d.find.conn}
	var people []string
	for _, name := range d.config.DefaultGroups {
		some := false
		for _, a := range of {
			if !slices.Contains(a.Facts.DefaultGroups, name) {
				some, people = true, append(people, a.ResourceID)
			}
		}
		if some {
			_, _ = records.HostGroupName.Load(r, hostGroupKey(naming.Key(name)))
			_, _ = records.DefaultGiven.Load(r, nameKey(name))
			_, _ = find.groupNamed(name)
			_, _ = beingDeleted(r, "")
		}
	}
	slices.Sort(people)
	_, _ = r.MembershipsOf(slices.Compact(people)...)
}

// waits reports whether an account waits for a default group, or for the name of
// one.
func (d defaultGroups) waits(a *Account) (bool, error) {
	if renamed, err := (hostGroups{d.tx}).rename(a.Clone()); err != nil || renamed {
		return renamed, err
	}
	for _, name := range d.config.DefaultGroups {
		if waits, err := d.waitsFor(name, a.ID); err != nil || waits {
			return waits, err
		}
	}
	return false, nil
}

func (d defaultGroups) waitsFor(name, account string) (bool, error) {
	e, err := records.DefaultGroup.Load(d.tx, waitKey(name)+account)
	return e.Stored(), err
}

// add adds the default groups that are owed to an account. Each is added once, so
// that a later removal is not undone. The membership is no evidence: it opens no
// gate and grants no role.
func (d defaultGroups) add(next *Account, owed func(name string) (bool, error)) error {
	for _, name := range d.config.DefaultGroups {
		if slices.Contains(next.Facts.DefaultGroups, name) {
			continue
		}
		if ok, err := owed(name); err != nil {
			return err
		} else if !ok {
			continue
		}
		key := waitKey(name) + next.ID
		added, err := d.addNamed(next, name)
		if err != nil {
			return err
		}
		if !added {
			if err := records.DefaultGroup.Put(d.tx, key, name); err != nil {
				return err
			}
			continue
		}
		next.Facts.DefaultGroups = append(next.Facts.DefaultGroups, name)
		if err := records.DefaultGroup.Clear(d.tx, key); err != nil {
			return err
		}
	}
	return nil
}

// addNamed adds the group with a name to an account: the host's, else the
// connection's. It reports whether there is one.
func (d defaultGroups) addNamed(next *Account, name string) (added bool, err error) {
	host, err := (hostGroups{d.tx}).named(name)
	if err != nil {
		return false, err
	}
	if host != nil {
		if !slices.ContainsFunc(next.Facts.HostGroups, func(g store.AccountGroup) bool { return g.ID == host.ID }) {
			next.Facts.HostGroups = append(next.Facts.HostGroups, *host)
		}
		return true, nil
	}
	group, err := d.find.groupNamed(name)
	if err != nil || group == "" {
		return false, err
	}
	if ends, err := beingDeleted(d.tx, group); err != nil || ends {
		return false, err // it waits for another one of the name
	}
	_, err = d.tx.PutMembership(store.Membership{
		Group: group, Member: next.ResourceID, Source: store.SourceDefault, Kind: TypeUser,
	})
	if err != nil {
		return false, err
	}
	return true, records.DefaultGiven.Put(d.tx, nameKey(name), group)
}

// lostInterval is how long a warning says that a default group was lost.
const lostInterval = 30 * 24 * time.Hour

// noteLost records that a default group which accounts had is another one now:
// the identity provider has deleted it and made it again. Each account gets a
// default group once, so that those that had it do not get it again.
func (d defaultGroups) noteLost(name string, now time.Time) error {
	had, err := records.DefaultGiven.Value(d.tx, nameKey(name))
	if err != nil || had == "" {
		return err
	}
	is, err := d.find.groupNamed(name)
	if err != nil || is == "" || is == had {
		return err
	}
	if _, err := d.tx.Resource(TypeGroup, had, 0); !errors.Is(err, store.ErrNotFound) {
		return err // it was renamed: its members still have it
	}
	e, err := records.DefaultLost.Load(d.tx, nameKey(name))
	if err != nil {
		return err
	}
	e.Value, e.Expires = had, now.Add(lostInterval)
	if err := records.DefaultLost.Save(d.tx, &e); err != nil {
		return err
	}
	return records.DefaultGiven.Put(d.tx, nameKey(name), is)
}

// groupNameAppeared gives a group to the accounts that wait for its name, or
// leaves that to a job when they are many. A name that the policy does not have
// any more is nobody's.
func (c *change) groupNameAppeared(name string) error {
	named := func(option string) bool { return sameGroupName(option, name) }
	if !slices.ContainsFunc(c.conn.Policy.DefaultGroups, named) {
		return nil
	}
	if err := c.defaults().noteLost(name, c.now); err != nil {
		return err
	}
	if c.waits() {
		return nil
	}
	inline, prefix := c.engine.Limits.inline(), waitKey(name)
	waiting, err := records.DefaultGroup.List(c.tx, prefix, inline+1)
	if err != nil {
		return err
	}
	if len(waiting) > inline && strings.HasPrefix(waiting[inline].Key, prefix) {
		return c.startJob(nil)
	}
	var accounts []*Account
	for _, e := range waiting {
		id, ok := strings.CutPrefix(e.Key, prefix)
		if !ok {
			break
		}
		a, err := liveAccount(c.tx, id)
		if errors.Is(err, ErrNotFound) {
			if err := records.DefaultGroup.Clear(c.tx, e.Key); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		accounts = append(accounts, a)
	}
	return c.deriveAgain(accounts...)
}
