package console

import (
	"context"

	"github.com/scimjit/provision"
)

// requestParameters select requests of the log.
var requestParameters = []parameter{
	{"outcome", "string", "Only requests that succeeded, were refused, or failed: succeeded, refused or failed."},
	{"protocol", "string", "Only requests by scim, saml, ldap or sync."},
	{"account", "string", "Only about the account with this id."},
	{"resource", "string", "Only about the user or group with this id."},
	{"externalId", "string", "Only about who has this external id."},
	{"userName", "string", "Only about who has this user name."},
	{"refusal", "string", "Only the one with this refusal id."},
	{"text", "string", "Only those that have this text in them."},
	{"known", "boolean", "Only of somebody who is known."},
	{"strangers", "boolean", "Only of somebody whom nobody knows."},
	sinceParameter,
	{"until", "time", "Only what is older."},
}

// requestRoutes are about what was asked of a connection.
func requestRoutes() []route {
	return []route{
		{
			method: "GET", path: "/requests", name: "requests.list", support: true, customer: true, list: true, alias: "/requests",
			summary: "The request log, newest first. A page may be short although there is another.",
			query:   requestParameters, answer: provision.Request{}, serveRow: listRequests,
		},
		{
			method: "GET", path: "/requests/{request}", name: "requests.read", support: true, customer: true,
			summary: "One request of the log.", answer: provision.Request{}, serveRow: readRequest,
		},
		{
			method: "GET", path: "/activity", name: "activity.read", support: true, customer: true,
			summary: "When the last request, the last change and the last refusal were.", answer: provision.Activity{}, serveRow: readActivity,
		},
		{
			method: "GET", path: "/traffic", name: "traffic.list", support: true, customer: true, list: true, whole: true,
			summary: "Requests by the hour, for 30 days.", query: []parameter{sinceParameter}, answer: provision.Traffic{}, serveRow: listTraffic,
		},
	}
}

func listUnknownRequests(c *call) (any, error) {
	return requests(c, c.api.Engine.Directory(""))
}

func listRequests(c *call) (any, error) { return requests(c, c.directory) }

func requests(c *call, d *provision.Directory) (any, error) {
	q := provision.RequestQuery{
		Account: c.parameter("account"), Resource: c.parameter("resource"), ExternalID: c.parameter("externalId"), UserName: c.parameter("userName"),
		Outcome: provision.RequestOutcome(c.parameter("outcome")), Protocol: c.parameter("protocol"), Refusal: c.parameter("refusal"), Text: c.parameter("text"),
	}
	var err error
	if q.Known, err = c.truth("known"); err != nil {
		return nil, err
	}
	if q.Strangers, err = c.truth("strangers"); err != nil {
		return nil, err
	}
	if q.Since, err = c.time("since"); err != nil {
		return nil, err
	}
	if q.Until, err = c.time("until"); err != nil {
		return nil, err
	}
	return list[provision.Request](func(ctx context.Context, after string, limit int) ([]provision.Request, string, error) {
		q.Before, q.Limit = after, limit
		page, err := d.Requests(ctx, q)
		return page.Requests, page.Next, err
	}), nil
}

func readRequest(c *call) (any, error) {
	id := c.r.PathValue("request")
	found, err := c.directory.Request(c.r.Context(), id)
	return found, orMissing(err, "there is no request %q", id)
}

func readActivity(c *call) (any, error) {
	return c.directory.Activity(c.r.Context())
}

func listTraffic(c *call) (any, error) {
	since, err := c.time("since")
	if err != nil {
		return nil, err
	}
	hours, err := c.directory.Traffic(c.r.Context(), since)
	return append([]provision.Traffic{}, hours...), err
}
