package console

import (
	"context"
	"net/http"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// modeRoutes are about when facts reach people, and what will happen then.
func modeRoutes() []route {
	return []route{
		{
			method: "POST", path: "/mode", name: "mode.change", audited: true,
			summary: "Go live by a plan, pause until a time, or resume.",
			body:    provision.ModeChange{}, answer: Settings{}, serveRow: changeMode,
		},
		{
			method: "GET", path: "/plan", name: "plan.read", support: true,
			summary: "What going live, or resuming, would do: the last plan that was asked for.", answer: provision.Plan{}, serveRow: readPlan,
		},
		{
			method: "POST", path: "/plan", name: "plan.make",
			summary: "Ask for a plan. It is made by and by, and takes the place of the one before.",
			answer:  provision.Plan{}, status: http.StatusAccepted, serveRow: makePlan,
		},
		{
			method: "GET", path: "/plan/{plan}/people", name: "plan.people", support: true, list: true,
			summary: "What the plan does to each person.",
			query:   []parameter{{"outcome", "string", "Only people of this outcome: create, link, conflict, leave_out, return, change or leave."}},
			answer:  provision.PlanPerson{}, serveRow: listPlanPeople,
		},
		{
			method: "PUT", path: "/links/{user}", name: "links.choose",
			summary: "Decide whether somebody is the account of the application that they resemble.",
			body:    Link{}, serveRow: chooseLink,
		},
		{
			method: "PUT", path: "/groups/{group}/accounts/{account}", name: "memberships.add", audited: true,
			summary: "Put a person into a group, whatever the identity provider says.", answer: store.Account{}, serveRow: addMembership,
		},
		{
			method: "DELETE", path: "/groups/{group}/accounts/{account}", name: "memberships.remove", audited: true,
			summary: "End such a membership, or take a group away that an account only carries still.", answer: store.Account{}, serveRow: removeMembership,
		},
		{
			method: "GET", path: "/counts", name: "accounts.count", support: true, customer: true,
			summary: "How many accounts there are, by status.", answer: provision.AccountCounts{}, serveRow: countAccounts,
		},
	}
}

// Link is what an operator decides about somebody who resembles an account of the
// application.
type Link struct {
	// Choice is "link", "new", "leave_out", or empty to take an earlier choice back.
	Choice provision.LinkChoice `json:"choice"`

	// HostID is the account of the application that is meant by "link".
	HostID string `json:"hostId,omitempty"`
}

func changeMode(c *call) (any, error) {
	var body provision.ModeChange
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	saved, err := c.directory.SetMode(c.r.Context(), body)
	if err != nil {
		return nil, err
	}
	return c.settings(saved)
}

func readPlan(c *call) (any, error) {
	plan, err := c.directory.Plan(c.r.Context())
	return plan, orMissing(err, "no plan was asked for")
}

func makePlan(c *call) (any, error) {
	return c.directory.MakePlan(c.r.Context())
}

func listPlanPeople(c *call) (any, error) {
	id := c.r.PathValue("plan")
	return list[provision.PlanPerson](func(ctx context.Context, after string, limit int) ([]provision.PlanPerson, string, error) {
		q := provision.PlanQuery{Outcome: provision.PlanOutcome(c.parameter("outcome")), After: after, Limit: limit + 1}
		rows, err := c.directory.PlanPeople(ctx, id, q)
		if err != nil || len(rows) <= limit {
			return rows, "", orMissing(err, "the plan %q is not the last one", id)
		}
		return rows[:limit], rows[limit-1].Cursor, nil
	}), nil
}

func chooseLink(c *call) (any, error) {
	var body Link
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	user := c.r.PathValue("user")
	return nil, orMissing(c.directory.ChooseLink(c.r.Context(), user, body.Choice, body.HostID), "there is no user %q about whom to decide", user)
}

func addMembership(c *call) (any, error) {
	group := c.r.PathValue("group")
	return c.act(func(ctx context.Context, id string) error {
		return orMissing(c.directory.AddGroup(ctx, id, group), "there is no account %q, or no group %q", id, group)
	})
}

func removeMembership(c *call) (any, error) {
	group := c.r.PathValue("group")
	return c.act(func(ctx context.Context, id string) error {
		return orMissing(c.directory.RemoveGroup(ctx, id, group), "there is no account %q, or it does not carry the group %q", id, group)
	})
}

func countAccounts(c *call) (any, error) {
	return c.directory.AccountCounts(c.r.Context())
}
