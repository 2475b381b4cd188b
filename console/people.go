package console

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Group is a group of the identity provider.
type Group struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	ExternalID  string `json:"externalId"`
	MemberCount int    `json:"memberCount"` // as the identity provider reported
}

// Member is a direct member of a group, once for each source that knows it.
type Member struct {
	ID     string `json:"id"`   // of the SCIM resource
	Type   string `json:"type"` // "User" or "Group"
	Name   string `json:"name"`
	Source string `json:"source"`
}

func listAccounts(c *call) (any, error) {
	deleted, err := c.truth("deleted")
	if err != nil {
		return nil, err
	}
	q := store.AccountQuery{UserName: c.parameter("userName")}
	statuses := []string{string(policy.StatusStaged), string(policy.StatusActive), string(policy.StatusDisabled), string(policy.StatusDeleted)}
	switch status := c.parameter("status"); {
	case status != "" && !slices.Contains(statuses, status):
		return nil, wrong(codeParameter, "status", "the parameter status must be one of %s%s", strings.Join(statuses, ", "), near(status, statuses))
	case status != "":
		q.Statuses = []string{status}
	case !deleted:
		q.Statuses = statuses[:3]
	}
	return list[*store.Account](func(ctx context.Context, after string, limit int) ([]*store.Account, string, error) {
		q.After, q.Limit = after, limit+1
		rows, err := c.directory.Accounts(ctx, q)
		if err != nil || len(rows) <= limit {
			return rows, "", err
		}
		return rows[:limit], rows[limit-1].ID, nil
	}), nil
}

func readAccount(c *call) (any, error) {
	id := c.r.PathValue("account")
	account, err := c.directory.Account(c.r.Context(), id)
	return account, orMissing(err, "there is no account %q", id)
}

// groupNamed finds the groups with a name, by its index.
func groupNamed(name string) store.Filter {
	const attribute = "displayName"
	return store.Compare{
		Path: store.Path{Keys: []string{attribute}, Type: store.String}, Op: store.EQ, Value: name, Key: attribute, Folded: store.NameKey(name),
	}
}

func listGroups(c *call) (any, error) {
	return list[Group](func(ctx context.Context, after string, limit int) ([]Group, string, error) {
		q := store.Query{Types: []string{provision.TypeGroup}, Limit: limit + 1, NoTotal: true}
		if name := c.parameter("name"); name != "" {
			q.Filter = groupNamed(name)
		}
		if after != "" {
			position, err := strconv.ParseInt(after, 10, 64)
			if err != nil || position < 0 {
				return nil, "", wrong(codeParameter, "after", "the parameter after is of no page of this list")
			}
			q.After = position
		}
		page, err := c.directory.Query(ctx, q)
		if err != nil {
			return nil, "", err
		}
		found, next := page.Resources, ""
		if len(found) > limit {
			found = found[:limit]
			next = strconv.FormatInt(found[limit-1].Position, 10)
		}
		rows := make([]Group, len(found))
		for i, g := range found {
			external, _ := g.Document.Get("externalId")
			n, err := c.directory.MemberCount(ctx, g.ID)
			if err != nil {
				return nil, "", err
			}
			rows[i] = Group{ID: g.ID, Name: g.Display, ExternalID: external.Text(), MemberCount: n}
		}
		return rows, next, nil
	}), nil
}

// listMembers pages by member: one that several sources know is never cut in two.
func listMembers(c *call) (any, error) {
	group := c.r.PathValue("group")
	return list[Member](func(ctx context.Context, after string, limit int) ([]Member, string, error) {
		found, more, err := c.directory.Members(ctx, group, after)
		if err != nil {
			return nil, "", orMissing(err, "there is no group %q", group)
		}
		var rows []Member
		for i, m := range found {
			if len(rows) >= limit && m.Member != found[i-1].Member {
				return rows, found[i-1].Member, nil
			}
			rows = append(rows, Member{ID: m.Member, Type: m.Kind, Name: m.Display, Source: string(m.Source)})
		}
		if more {
			return rows, found[len(found)-1].Member, nil
		}
		return rows, "", nil
	}), nil
}

func listHostGroups(c *call) (any, error) {
	groups, err := c.directory.HostGroups(c.r.Context())
	return append([]provision.HostGroup{}, groups...), err
}

func saveHostGroups(c *call) (any, error) {
	var groups []provision.HostGroup
	if err := c.decode(&groups); err != nil {
		return nil, err
	}
	if groups == nil {
		return nil, wrong(codeType, "", "the body must be a JSON array, which may be empty")
	}
	if err := c.directory.RegisterGroups(c.r.Context(), groups...); err != nil {
		return nil, err
	}
	return listHostGroups(c)
}
