package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// HostGroup is a group that the application has by itself, which policy option
// defaultGroups may name. The identity provider never sees it.
type HostGroup struct {
	ID   string `json:"id"`   // the application's own id of the group
	Name string `json:"name"` // what defaultGroups calls it, in any case
}

const (
	// recordHostGroup is the kind of the groups of the host, by id, and
	// recordHostGroupName that of their ids, by folded name.
	recordHostGroup     = "hostGroup"
	recordHostGroupName = "hostGroupName"

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
// identity provider; otherwise the error is a [*ConnectionError] and nothing is
// changed. An unknown connection is [ErrNotFound].
func (d *Directory) RegisterGroups(ctx context.Context, groups ...HostGroup) error {
	if reason := checkHostGroups(groups); reason != "" {
		return &ConnectionError{Connection: d.connection, Field: "groups", Reason: reason}
	}
	return d.engine.update(ctx, d.connection, d.actor, func(c *change) error { return c.registerGroups(groups) })
}

// HostGroups returns the groups that [Directory.RegisterGroups] registered, in
// the order of their escaped ids. An unknown connection is [ErrNotFound].
func (d *Directory) HostGroups(ctx context.Context) ([]HostGroup, error) {
	var list []HostGroup
	err := d.engine.Store.View(ctx, d.connection, func(_ context.Context, r store.Reader) error {
		if _, err := r.Record(recordConnection, ""); err != nil {
			return err
		}
		records, err := hostGroups(r)
		list = make([]HostGroup, 0, len(records))
		for _, rec := range records {
			list = append(list, rec.HostGroup)
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
		name := policy.Fold(g.Name)
		switch {
		case !isPlainText(g.ID, maxHostGroupText):
			return fmt.Sprintf("id %q of group %q: must be text of 1 to %d bytes without control characters", g.ID, g.Name, maxHostGroupText)
		case !isPlainText(g.Name, maxHostGroupText):
			return fmt.Sprintf("name %q of group %q: must be text of 1 to %d bytes without control characters", g.Name, g.ID, maxHostGroupText)
		case ids[g.ID]:
			return fmt.Sprintf("two groups have id %q", g.ID)
		case names[name]:
			return fmt.Sprintf("two groups are named %q", g.Name)
		}
		ids[g.ID], names[name] = true, true
	}
	return ""
}

// isPlainText reports whether a text of the host or of an operator has 1 to most
// bytes and no control character, which would break lines of logs and pages.
func isPlainText(s string, most int) bool {
	return s != "" && len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, isControl)
}

type storedHostGroup struct {
	HostGroup
	version int64
}

func hostGroups(r store.RecordReader) ([]storedHostGroup, error) {
	records, err := r.Records(recordHostGroup, "", 0)
	if err != nil {
		return nil, err
	}
	list := make([]storedHostGroup, len(records))
	for i, rec := range records {
		if err := json.Unmarshal(rec.Value, &list[i].HostGroup); err != nil {
			return nil, fmt.Errorf("provision: stored host group: %w", err)
		}
		list[i].version = rec.Version
	}
	return list, nil
}

// registerGroups makes the stored list that of the host.
func (c *change) registerGroups(groups []HostGroup) error {
	stored, err := hostGroups(c.tx)
	if err != nil {
		return err
	}
	before := make(map[string]storedHostGroup, len(stored))
	for _, g := range stored {
		before[g.ID] = g
	}
	var appeared, gone []HostGroup
	renamed := false
	for _, g := range groups {
		old, known := before[g.ID]
		delete(before, g.ID)
		if old.HostGroup == g {
			continue
		}
		if known {
			gone, renamed = append(gone, old.HostGroup), true
		} else if err := c.notAResource(g.ID); err != nil {
			return err
		}
		appeared = append(appeared, g)
		err := c.tx.PutRecord(&store.Record{Kind: recordHostGroup, Key: hostGroupKey(g.ID), Value: mustJSON(g), Version: old.version})
		if err != nil {
			return err
		}
	}
	for _, old := range stored {
		if _, left := before[old.ID]; !left {
			continue
		}
		gone = append(gone, old.HostGroup)
		if err := c.tx.DeleteRecord(recordHostGroup, hostGroupKey(old.ID), old.version); err != nil {
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
		if err := c.clearMark(recordHostGroupName, hostGroupKey(policy.Fold(g.Name))); err != nil {
			return err
		}
	}
	for _, g := range appeared {
		if err := c.putMark(recordHostGroupName, hostGroupKey(policy.Fold(g.Name)), g.ID); err != nil {
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
		return mustJSON(map[string]int{"count": len(groups)})
	}
	return mustJSON(groups)
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
	return &ConnectionError{Connection: c.conn.ID, Field: "groups", Reason: fmt.Sprintf("id %q is a SCIM resource of the connection", id)}
}

// hostGroupKey is the key of a record that is found by id or by folded name.
func hostGroupKey(text string) string { return url.QueryEscape(text) }

// hostGroupNamed returns the group of the host with a name, folded, or nil.
func (c *change) hostGroupNamed(name string) (*store.AccountGroup, error) {
	id, err := c.mark(recordHostGroupName, hostGroupKey(policy.Fold(name)))
	if err != nil || id == "" {
		return nil, err
	}
	return c.hostGroup(id)
}

// hostGroup returns a group of the host as accounts carry it, or nil.
func (c *change) hostGroup(id string) (*store.AccountGroup, error) {
	rec, err := c.tx.Record(recordHostGroup, hostGroupKey(id))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var g HostGroup
	if err := json.Unmarshal(rec.Value, &g); err != nil {
		return nil, fmt.Errorf("provision: stored host group: %w", err)
	}
	return &store.AccountGroup{ID: g.ID, Name: g.Name, Source: store.SourceDefault}, nil
}

// renameHostGroups gives the groups of the host that an account has the names
// that they have now, and reports whether that changed one. A group that is no
// longer registered keeps its name.
func (c *change) renameHostGroups(a *Account) (changed bool, err error) {
	for i, have := range a.Facts.HostGroups {
		g, err := c.hostGroup(have.ID)
		if err != nil {
			return false, err
		}
		if g != nil && *g != have {
			a.Facts.HostGroups[i], changed = *g, true
		}
	}
	return changed, nil
}

// withHostGroups returns a list of groups with those of the host that an account
// has as they are now, after the others.
func withHostGroups(list []store.AccountGroup, a *Account) []store.AccountGroup {
	own := a.Facts.HostGroups
	if len(own) == 0 {
		return list
	}
	others := slices.DeleteFunc(slices.Clone(list), func(g store.AccountGroup) bool {
		return slices.ContainsFunc(own, func(o store.AccountGroup) bool { return o.ID == g.ID })
	})
	return append(others, own...)
}
