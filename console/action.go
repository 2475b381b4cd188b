package console

import (
	"context"
	"net/http"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// actions are what can be done to an account. Each is answered with the account as it is
// then.
var actions = []struct {
	name    string
	summary string
	run     func(d *provision.Directory, ctx context.Context, account string) error
}{
	{"disable", "Block an account, whatever the identity provider says.", (*provision.Directory).Disable},
	{"enable", "Lift that block.", (*provision.Directory).Enable},
	{"delete", "Remove an account, its personal data and its SCIM user. A tombstone stays.", (*provision.Directory).DeleteAccount},
	{"logged-in", "Say that the person has logged in by other means.", (*provision.Directory).MarkLoggedIn},
	{"unbind", "Have logins find the account by its user name again.", (*provision.Directory).Unbind},
}

// actionRoutes are the rows of the actions.
func actionRoutes() []route {
	var rows []route
	for _, action := range actions {
		run := action.run
		rows = append(rows, route{
			method: http.MethodPost, path: "/accounts/{account}/" + action.name, alias: "/accounts/{account}/" + action.name,
			name: "accounts." + action.name, summary: action.summary, audited: true, answer: store.Account{},
			serveRow: func(c *call) (any, error) {
				return c.act(func(ctx context.Context, id string) error { return run(c.directory, ctx, id) })
			},
		})
	}
	return append(rows, route{
		method: http.MethodPost, path: "/accounts/{account}/edit", alias: "/accounts/{account}/edit",
		name: "accounts.edit", summary: "Set how the person logs in, two-factor and permissions. They stay as edited.", audited: true,
		body: provision.AccountEdit{}, answer: store.Account{}, serveRow: editAccount,
	}, route{
		method: http.MethodPost, path: "/accounts/{account}/remove-group", alias: "/accounts/{account}/remove-group",
		name: "accounts.remove-group", summary: "Take a group from an account that only carries it still, or has it by a default.", audited: true,
		query: []parameter{{"group", "string", "The id of the group."}}, answer: store.Account{}, serveRow: removeGroup,
	})
}

// act does something to the account of the path, and returns what has become of it.
func (c *call) act(run func(ctx context.Context, account string) error) (any, error) {
	id := c.r.PathValue("account")
	err := run(c.r.Context(), id)
	if err != nil {
		return nil, orMissing(err, "there is no account %q, or it is deleted", id)
	}
	return readAccount(c)
}

func editAccount(c *call) (any, error) {
	var edit provision.AccountEdit
	if err := c.decode(&edit); err != nil {
		return nil, err
	}
	return c.act(func(ctx context.Context, id string) error { return c.directory.Edit(ctx, id, edit) })
}

func removeGroup(c *call) (any, error) {
	group, err := c.required("group")
	if err != nil {
		return nil, err
	}
	return c.act(func(ctx context.Context, id string) error {
		return orMissing(c.directory.RemoveGroup(ctx, id, group), "there is no account %q, or it does not carry the group %q", id, group)
	})
}
