package provision

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// HostGroup is a group that the application has by itself, which policy option
// defaultGroups may name. The identity provider never sees it.
type HostGroup struct {
	ID   string `json:"id"`   // the application's own id of the group
	Name string `json:"name"` // what defaultGroups calls it, in any case
}

const (
	maxHostGroups    = 10_000
	maxHostGroupText = 256 // bytes of an id or name
)

// RegisterGroups makes these the groups of the host that default groups are
// looked for among, before the groups of the connection. It replaces the list of
// the call before; an equal list changes nothing, so that a host may call it at
// each start.
//
// Accounts that wait for a name that is new get the group, or a job gives it to
// them when they are many. Accounts that have a group whose name is new get that
// name. Whoever has a group that is no longer listed keeps it, with its last
// name, until [Directory.RemoveGroup].
//
// There are at most 10,000 groups, whose ids and names are text of 1 to 256 bytes without control
// characters. Ids and folded names must be unique, and no id may be that of a SCIM resource
// of the connection, so that a host can tell its groups from those of the
// identity provider; otherwise the error is an [*ArgumentError] and nothing is
// changed. An unknown connection is [ErrNotFound].
func (d *Directory) RegisterGroups(ctx context.Context, groups ...HostGroup) error {
	if reason := checkHostGroups(groups); reason != "" {
		return &ArgumentError{Argument: "groups", Reason: reason}
	}
	return d.update(ctx, d.why(), func(c *change) error { return c.registerGroups(groups) })
}

// HostGroups returns the groups that [Directory.RegisterGroups] registered, in
// the order of their escaped ids. An unknown connection is [ErrNotFound].
func (d *Directory) HostGroups(ctx context.Context) ([]HostGroup, error) {
	var list []HostGroup
	err := d.view(ctx, func(r store.Reader) error {
		if err := d.exists(r); err != nil {
			return err
		}
		stored, err := records.HostGroup.List(r, "", 0)
		list = make([]HostGroup, 0, len(stored))
		for _, e := range stored {
			list = append(list, HostGroup(e.Value))
		}
		return err
	})
	return list, err
}

func checkHostGroups(groups []HostGroup) (reason string) {
	if len(groups) > maxHostGroups {
		return fmt.Sprintf("more than %d groups", maxHostGroups)
	}
	ids, names := make(map[string]bool, len(groups)), make(map[string]bool, len(groups))
	for _, g := range groups {
		name := naming.Key(g.Name)
		switch {
		case !isPlainText(g.ID, maxHostGroupText):
			return fmt.Sprintf("id %q of group %q: must be text of 1 to %d bytes without control characters", g.ID, g.Name, maxHostGroupText)
		case !isPlainText(g.Name, maxHostGroupText):
			return fmt.Sprintf("name %q of group %q: must be text of 1 to %d bytes without control characters", g.Name, g.ID, maxHostGroupText)
		case ids[g.ID]:
			return fmt.Sprintf("two groups have id %q", g.ID)
		case names[name]:
			return fmt.Sprintf("two groups are named %q, or so like it that they could be taken for each other", g.Name)
		}
		ids[g.ID], names[name] = true, true
	}
	return ""
}

// isPlainText reports whether a text of the host or of an operator has 1 to most
// bytes and no control character, which would break lines of logs and pages.
func isPlainText(s string, most int) bool {
	return s != "" && len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, naming.Control)
}

// registerGroups makes the stored list that of the host.
func (c *change) registerGroups(groups []HostGroup) error {
	stored, err := records.HostGroup.List(c.tx, "", 0)
	if err != nil {
		return err
	}
	before := make(map[string]records.Entry[records.Group], len(stored))
	for _, e := range stored {
		before[e.Value.ID] = e
	}
	var appeared, gone []HostGroup
	renamed := false
	for _, g := range groups {
		e, known := before[g.ID]
		delete(before, g.ID)
		if HostGroup(e.Value) == g {
			continue
		}
		if known {
			gone, renamed = append(gone, HostGroup(e.Value)), true
		} else if err := c.notAResource(g.ID); err != nil {
			return err
		}
		appeared = append(appeared, g)
		e.Key, e.Value = hostGroupKey(g.ID), records.Group(g)
		if err := records.HostGroup.Save(c.tx, &e); err != nil {
			return err
		}
	}
	for _, e := range stored {
		if _, left := before[e.Value.ID]; !left {
			continue
		}
		gone = append(gone, HostGroup(e.Value))
		if err := records.HostGroup.Delete(c.tx, e.Key, e.Version); err != nil {
			return err
		}
	}
	if len(appeared)+len(gone) == 0 {
		return nil
	}
	return c.hostGroupsChanged(appeared, gone, renamed)
}

// hostGroupsChanged finds the groups by their names from now on, and gives them
// to the accounts that wait for them.
func (c *change) hostGroupsChanged(appeared, gone []HostGroup, renamed bool) error {
	for _, g := range gone { // first, since another group may have the name now
		if err := records.HostGroupName.Clear(c.tx, hostGroupKey(naming.Key(g.Name))); err != nil {
			return err
		}
	}
	for _, g := range appeared {
		if err := records.HostGroupName.Put(c.tx, hostGroupKey(naming.Key(g.Name)), g.ID); err != nil {
			return err
		}
	}
	err := c.append(&store.Event{Type: store.ConnectionUpdated, Changes: []store.Change{{
		Attribute: "hostGroups", Before: hostGroupList(gone), After: hostGroupList(appeared),
	}}})
	if err != nil {
		return err
	}
	if renamed {
		return c.deriveAll()
	}
	for _, g := range appeared {
		if err := c.groupNameAppeared(g.Name); err != nil {
			return err
		}
	}
	return nil
}

// hostGroupList is a list of groups as an event shows it: a long one is only
// counted.
func hostGroupList(groups []HostGroup) json.RawMessage {
	switch {
	case len(groups) == 0:
		return nil
	case len(groups) > eventMembers:
		return account.JSON(map[string]int{"count": len(groups)})
	}
	return account.JSON(groups)
}

// notAResource refuses an id that the identity provider uses.
func (c *change) notAResource(id string) error {
	_, err := c.tx.Resource("", id, 0)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return &ArgumentError{Argument: "groups", Reason: fmt.Sprintf("id %q is a SCIM resource of the connection", id)}
}

// hostGroupKey is the key of a record that is found by id or by the key of a name.
func hostGroupKey(text string) string { return url.QueryEscape(text) }

// hostGroups reads the groups of the host.
type hostGroups struct{ tx store.RecordReader }

// named returns the group with a name, as accounts carry it, or nil.
func (h hostGroups) named(name string) (*store.AccountGroup, error) {
	id, err := records.HostGroupName.Value(h.tx, hostGroupKey(naming.Key(name)))
	if err != nil || id == "" {
		return nil, err
	}
	g, err := h.group(id)
	if g == nil || !sameGroupName(g.Name, name) {
		return nil, err
	}
	return g, err
}

// group returns a group as accounts carry it, or nil.
func (h hostGroups) group(id string) (*store.AccountGroup, error) {
	e, err := records.HostGroup.Load(h.tx, hostGroupKey(id))
	if err != nil || !e.Stored() {
		return nil, err
	}
	return &store.AccountGroup{ID: e.Value.ID, Name: e.Value.Name, Source: store.SourceDefault}, nil
}

// expect announces the groups of the host that an account has.
func (h hostGroups) expect(a *Account) {
	for _, have := range a.Facts.HostGroups {
		_, _ = h.group(have.ID)
	}
}

// rename gives the groups of the host that an account has the names that they have
// now, and reports whether that changed one. A group that is no longer registered
// keeps its name.
func (h hostGroups) rename(a *Account) (changed bool, err error) {
	for i, have := range a.Facts.HostGroups {
		g, err := h.group(have.ID)
		if err != nil {
			return false, err
		}
		if g != nil && g.Name != have.Name {
			a.Facts.HostGroups[i].Name, changed = g.Name, true
		}
	}
	return changed, nil
}

// drop forgets the groups of the host. Accounts that have one keep it.
func (h hostGroups) drop(tx store.Tx) error {
	groups, err := records.HostGroup.List(tx, "", 0)
	if err != nil {
		return err
	}
	for _, g := range groups {
		err := cmp.Or(
			records.HostGroup.Clear(tx, g.Key),
			records.HostGroupName.Clear(tx, hostGroupKey(naming.Key(g.Value.Name))),
		)
		if err != nil {
			return err
		}
	}
	return nil
}
