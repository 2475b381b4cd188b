package console

import (
	"net/http"
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// route is a row of the table of what can be asked: everything else, the mux, who may, the
// documents and the test of both, is made from it.
type route struct {
	method, path string
	name         string // stable; what a customer is given
	summary      string // one sentence

	support  bool // support may
	customer bool // a customer may, where it was chosen for them
	everyone bool // any viewer may

	owned   bool // changes what a file may own
	audited bool // what changes is an event that names the viewer
	ifMatch bool // needs the version that it was made from

	alias string // the path of an address that names the connection by a parameter
	lines bool   // its lists are JSON lines there

	query  []parameter
	body   any    // a value of the type of the body; nil: none
	media  string // of a body that is not JSON
	answer any    // a value of the type of the answer, or of an element of a list; nil: none
	status int    // of success; 0: 200, or 204 without an answer
	list   bool   // the answer is an array: in pages, but for a whole
	whole  bool   // it comes as one

	serveRow func(*call) (any, error)
}

// parameter is one of the query of an address.
type parameter struct {
	name string
	kind string // of JSON Schema, or "time"
	help string
}

// Parameters that several rows have.
var (
	pageParameters = []parameter{
		{"after", "string", "Where the page begins: from the link to it."},
		{"limit", "integer", "How many rows at most, up to 1000; 100 where it is not said."},
	}
	consumerParameter = parameter{"consumer", "string", "The name of the consumer; that of the application where it is not said."}
	accountParameter  = parameter{"account", "string", "The id of an account."}
	sinceParameter    = parameter{"since", "time", "Only what is not older."}
)

// parameters are those of the query.
func (r *route) parameters() []parameter {
	if r.list && !r.whole {
		return append(r.query[:len(r.query):len(r.query)], pageParameters...)
	}
	return r.query
}

// scoped reports whether the row is about one connection.
func (r *route) scoped() bool { return strings.HasPrefix(r.path, scope) }

// success is the status of an answer that is no problem.
func (r *route) success() int {
	switch {
	case r.status != 0:
		return r.status
	case r.answer == nil:
		return http.StatusNoContent
	}
	return http.StatusOK
}

// scope is how the path of a row about one connection begins.
const scope = "/connections/{connection}"

// table returns all rows, in the order of the documentation.
func table() []route {
	rows := globalRoutes()
	for _, some := range [][]route{settingRoutes(), credentialRoutes(), peopleRoutes(), decisionRoutes(), modeRoutes(), followRoutes(), requestRoutes(), portalRoutes()} {
		for _, r := range some {
			r.path = scope + r.path
			rows = append(rows, r)
		}
	}
	return rows
}

// globalRoutes are about no connection, or about all.
func globalRoutes() []route {
	return []route{
		{
			method: "GET", path: "/openapi.json", name: "openapi.read", everyone: true,
			summary: "This description, as OpenAPI 3.1.", answer: map[string]any{}, serveRow: readOpenAPI,
		},
		{
			method: "GET", path: "/options", name: "options.list", everyone: true, list: true, whole: true,
			summary: "The options of a policy, as a form has them.", answer: policy.Option{}, serveRow: listOptions,
		},
		{
			method: "GET", path: "/connections", name: "connections.list", support: true, list: true,
			summary: "All connections with their credentials and warnings, in order of id. Metadata documents are left out.",
			query: []parameter{
				{"connection", "string", "Only the connection with this id."},
				{"q", "string", "Only those that have this text in their id, their name or their e-mail domains, in any case."},
			},
			answer: Overview{}, serveRow: listConnections,
		},
		{
			method: "POST", path: "/connections", name: "connections.create", audited: true,
			summary: "Make a connection. Its id is in the body.",
			body:    Settings{}, answer: Settings{}, status: http.StatusCreated, serveRow: createConnection,
		},
		{
			method: "GET", path: "/refusals", name: "refusals.unknown", support: true, list: true,
			summary: "Counts of refused requests that belong to no connection.",
			query:   []parameter{sinceParameter}, answer: provision.Refusal{}, serveRow: listUnknownRefusals,
		},
		{
			method: "GET", path: "/requests", name: "requests.unknown", support: true, list: true,
			summary: "Samples of what strangers asked of no connection that exists, newest first.",
			query:   requestParameters, answer: provision.Request{}, serveRow: listUnknownRequests,
		},
		{
			method: "GET", path: "/clock", name: "clock.read", support: true,
			summary: "The time of the application, and since when work waits because its clock has jumped.",
			answer:  Clock{}, serveRow: readClock,
		},
		{
			method: "POST", path: "/clock/confirm", name: "clock.confirm",
			summary: "Say that the clock is right: what waits goes on.", answer: Clock{}, serveRow: confirmClock,
		},
	}
}

// settingRoutes are about a connection itself.
func settingRoutes() []route {
	return []route{
		{
			method: "GET", name: "connection.read", support: true, customer: true,
			summary: "The settings. Secrets say whether they are set.", answer: Settings{}, serveRow: readConnection,
		},
		{
			method: "PUT", name: "connection.save", customer: true, owned: true, audited: true, ifMatch: true,
			summary: "Replace the settings. A secret that says whether it is set stays; a text replaces it.",
			body:    Settings{}, answer: Settings{}, serveRow: saveConnection,
		},
		{
			method: "DELETE", name: "connection.delete", owned: true, audited: true, ifMatch: true,
			summary: "End the connection for good, with its accounts.", serveRow: deleteConnection,
		},
		{
			method: "GET", path: "/warnings", name: "warnings.list", support: true, customer: true, list: true, whole: true,
			summary: "What the connection should be seen to.", answer: provision.Warning{}, serveRow: listWarnings,
		},
		{
			method: "POST", path: "/saml/refresh", name: "saml.refresh", customer: true, audited: true, owned: true,
			summary: "Fetch the metadata of the identity provider now.", answer: Refreshed{}, serveRow: refreshMetadata,
		},
		{
			method: "POST", path: "/ldap/check", name: "ldap.check", customer: true,
			summary: "What the directory would bring, and what is wrong with it.", answer: map[string]any{}, serveRow: checkDirectory,
		},
		{
			method: "POST", path: "/test-login", name: "login.test", customer: true, alias: "/test-login",
			summary: "A link that lets whoever has it try one login, within ten minutes.", answer: TestLink{}, serveRow: testLogin,
		},
	}
}

// credentialRoutes are about the credentials of a connection.
func credentialRoutes() []route {
	return []route{
		{
			method: "GET", path: "/credentials", name: "credentials.list", support: true, customer: true, list: true, whole: true,
			summary: "The credentials, those that have expired included, oldest first.", answer: provision.Credential{}, serveRow: listCredentials,
		},
		{
			method: "POST", path: "/credentials", name: "credentials.issue", customer: true, owned: true, audited: true,
			summary: "Make a credential. Its secret is in this answer only.",
			body:    CredentialRequest{}, answer: IssuedCredential{}, status: http.StatusCreated, serveRow: issueCredential,
		},
		{
			method: "POST", path: "/credentials/{credential}/extend", name: "credentials.extend", customer: true, owned: true,
			summary: "Change when a credential expires. Its secret stays.",
			body:    Expiry{}, answer: provision.Credential{}, serveRow: extendCredential,
		},
		{
			method: "POST", path: "/credentials/{credential}/activate", name: "credentials.activate", customer: true, owned: true, audited: true,
			summary: "Make a pending credential count. Those of the other method are revoked.",
			answer:  provision.Credential{}, serveRow: activateCredential,
		},
		{
			method: "DELETE", path: "/credentials/{credential}", name: "credentials.revoke", customer: true, owned: true, audited: true,
			summary: "Revoke a credential at once.", serveRow: revokeCredential,
		},
	}
}

// peopleRoutes are about accounts and groups.
func peopleRoutes() []route {
	rows := []route{
		{
			method: "GET", path: "/accounts", name: "accounts.list", support: true, customer: true, list: true, alias: "/accounts",
			summary: "Staged, active and disabled accounts, in order of id.",
			query: []parameter{
				{"userName", "string", "Only the account with this user name."},
				{"deleted", "boolean", "Also the accounts that are deleted."},
				{"status", "string", "Only those with this status: staged, active, disabled or deleted."},
			},
			answer: store.Account{}, serveRow: listAccounts,
		},
		{
			method: "GET", path: "/accounts/{account}", name: "accounts.read", support: true, customer: true,
			summary: "One account.", answer: store.Account{}, serveRow: readAccount,
		},
	}
	rows = append(rows, actionRoutes()...)
	return append(rows, []route{
		{
			method: "GET", path: "/groups", name: "groups.list", support: true, customer: true, list: true, alias: "/groups",
			summary: "The groups of the identity provider, in order of creation, with as many members as it reported.",
			query:   []parameter{{"name", "string", "Only the group with this name."}},
			answer:  Group{}, serveRow: listGroups,
		},
		{
			method: "GET", path: "/groups/{group}/members", name: "members.list", support: true, customer: true, list: true,
			summary: "The direct members of a group, in order of id.", answer: Member{}, serveRow: listMembers,
		},
		{
			method: "GET", path: "/host-groups", name: "hostgroups.list", support: true, customer: true, list: true, whole: true, alias: "/host-groups",
			summary: "The groups of the application that default groups may name.", answer: provision.HostGroup{}, serveRow: listHostGroups,
		},
		{
			method: "POST", path: "/host-groups", name: "hostgroups.save", list: true, whole: true, alias: "/host-groups",
			summary: "Replace the groups of the application.", body: []provision.HostGroup{}, answer: provision.HostGroup{}, serveRow: saveHostGroups,
		},
	}...)
}

// decisionRoutes are about what accounts are and why, and what somebody must decide.
func decisionRoutes() []route {
	return []route{
		{
			method: "GET", path: "/explain", name: "accounts.explain", support: true, customer: true, alias: "/explain",
			summary: "Why an account is as it is.", query: []parameter{accountParameter}, answer: provision.Explanation{}, serveRow: explain,
		},
		{
			method: "POST", path: "/preview", name: "policy.preview", support: true, customer: true, alias: "/preview", list: true, whole: true,
			summary: "The accounts that another policy would change, in order of id. Nothing is stored.",
			body:    policy.Config{}, answer: provision.AccountChange{}, serveRow: preview,
		},
		{
			method: "POST", path: "/preview/totals", name: "policy.totals", support: true, customer: true,
			summary: "What another policy comes to, as the guards would let it: accounts by status, and site admins, before and after.",
			body:    policy.Config{}, answer: provision.PreviewTotals{}, serveRow: previewTotals,
		},
		{
			method: "POST", path: "/derive", name: "accounts.derive",
			summary: "Derive one account, those of a group, or all again, from what is stored.", body: Derivation{}, serveRow: deriveAgain,
		},
		{
			method: "GET", path: "/jobs", name: "jobs.list", support: true, customer: true, list: true, whole: true,
			summary: "The work that is under way, and how far it is.", answer: provision.JobStatus{}, serveRow: listJobs,
		},
		{
			method: "GET", path: "/held", name: "held.list", support: true, list: true, alias: "/held",
			summary: "The accounts that the mass guard holds, with what a release would do, in order of id.", answer: Held{}, serveRow: listHeld,
		},
		{
			method: "POST", path: "/held/release", name: "held.release", alias: "/held/release",
			summary: "Give held accounts what the policy says.", body: Selection{}, answer: Accounts{}, serveRow: decide((*provision.Directory).Release),
		},
		{
			method: "POST", path: "/held/keep", name: "held.keep", alias: "/held/keep",
			summary: "Keep held accounts as they are, until the identity provider says that they have access.",
			body:    Selection{}, answer: Accounts{}, serveRow: decide((*provision.Directory).Keep),
		},
	}
}

// followRoutes are about what happened and what comes in and goes out.
func followRoutes() []route {
	return []route{
		{
			method: "GET", path: "/events", name: "events.list", support: true, customer: true, list: true, alias: "/events", lines: true,
			summary: "What happened, oldest first, or newest first.",
			query: []parameter{
				{"order", "string", "newest: the newest first; otherwise it is the oldest."},
				{"account", "string", "Only what happened to the account with this id; newest first."},
			},
			answer: store.Event{}, serveRow: listEvents,
		},
		{
			method: "GET", path: "/sync", name: "sync.read", support: true, customer: true,
			summary: "How it stands with the syncs of the directory.", answer: provision.SyncStatus{}, serveRow: syncStatus,
		},
		{
			method: "POST", path: "/sync", name: "sync.run", alias: "/sync",
			summary: "A full sync from the body: SCIM users and groups, one JSON object a line, or CSV; without a body from the directory.",
			query: []parameter{
				{"dryRun", "boolean", "Write nothing, and say what would be written."},
				{"force", "boolean", "Override the mass guard."},
			},
			body: "", media: "application/x-ndjson", answer: provision.SyncReport{}, serveRow: syncNow,
		},
		{
			method: "GET", path: "/refusals", name: "refusals.list", support: true, customer: true, list: true, alias: "/refusals",
			summary: "Counts of refused requests, by minute, address and cause.",
			query:   []parameter{sinceParameter}, answer: provision.Refusal{}, serveRow: listRefusals,
		},
		{
			method: "GET", path: "/parked", name: "parked.list", support: true, list: true, alias: "/parked",
			summary: "The accounts whose events wait, because a consumer could not take them.",
			query:   []parameter{consumerParameter}, answer: Parked{}, serveRow: listParked,
		},
		{
			method: "POST", path: "/redrive", name: "parked.redrive", alias: "/redrive",
			summary: "Try parked events again, of all accounts or of those that are named.",
			query: []parameter{
				consumerParameter,
				{"account", "string", "The id of an account, or empty for the events without one; it may be there several times."},
				{"skip", "boolean", "Drop what waits instead."},
			},
			answer: Accounts{}, serveRow: redrive,
		},
	}
}

// portalRoutes are about the links by which an administrator of the customer comes.
func portalRoutes() []route {
	return []route{
		{
			method: "GET", path: "/portal", name: "portal.list", support: true, list: true, whole: true,
			summary: "The links that may still be redeemed, and those whose sessions go on.", answer: provision.PortalLink{}, serveRow: listPortal,
		},
		{
			method: "POST", path: "/portal", name: "portal.create", audited: true,
			summary: "Make a link. Its code and its proof are in this answer only.",
			body:    provision.NewPortalLink{}, answer: IssuedLink{}, status: http.StatusCreated, serveRow: createPortal,
		},
		{
			method: "DELETE", path: "/portal/{link}", name: "portal.revoke", audited: true,
			summary: "End a link, and the session that it began, at once.", serveRow: revokePortal,
		},
	}
}
