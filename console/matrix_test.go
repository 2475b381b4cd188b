package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/console"
)

// sample is a request for an operation that succeeds, or is refused with a status that is
// not about who asks.
type sample struct {
	query, body string
	match       bool // with the ETag of the connection
	status      int  // 0: that of success
	hostGroup   bool // of a group of the application
	pending     bool // of a credential that waits
	silent      bool // it changes nothing that anybody hears of
}

// samples has one for each operation; those without one need nothing.
var samples = map[string]sample{
	"connections.create":    {body: `{"id":"made","scim":true}`},
	"connection.save":       {body: `{"name":"zebra own","scim":true,"policy":{"requiredGroups":"Staff","company":"Example"}}`, match: true},
	"connection.delete":     {match: true},
	"saml.refresh":          {status: http.StatusBadRequest},
	"credentials.issue":     {body: `{"method":"token"}`},
	"credentials.extend":    {body: `{"expires":"2099-01-01T00:00:00Z"}`},
	"accounts.edit":         {body: `{"twoFactor":"always"}`},
	"accounts.remove-group": {query: "group={group}", status: http.StatusConflict},
	"hostgroups.save":       {body: `[{"id":"18","name":"Mine"}]`},
	"accounts.explain":      {query: "account={account}"},
	"policy.preview":        {body: `{"requiredGroups":"Nobody"}`},
	"policy.totals":         {body: `{"requiredGroups":"Nobody"}`},
	"accounts.derive":       {body: `{"account":"{account}"}`},
	"held.release":          {body: `["{account}"]`},
	"held.keep":             {body: `{"all":true}`},
	"sync.run":              {query: "force=true", body: `{"userName":"new@example.com"}`},
	"credentials.activate":  {pending: true},
	"portal.create":         {body: `{"operations":["connection.read"]}`},
	"portal.revoke":         {},
	"mode.change":           {query: "", body: `{"mode":"live"}`, silent: true},
	"plan.read":             {status: http.StatusNotFound},
	"plan.make":             {status: http.StatusConflict},
	"plan.people":           {status: http.StatusNotFound},
	"links.choose":          {body: `{"choice":"new"}`, status: http.StatusNotFound},
	"memberships.add":       {hostGroup: true},
	"memberships.remove":    {status: http.StatusConflict},
	"requests.read":         {status: http.StatusNotFound},
	"accounts.unbind":       {silent: true},
	"accounts.logged-in":    {silent: true},
	"accounts.enable":       {silent: true},
}

// of returns the request of an operation in a connection.
func (f *fixture) of(o console.Operation, connection string) (request, int) {
	f.t.Helper()
	s := samples[o.Name]
	expand := strings.NewReplacer("{connection}", connection, "{account}", f.account[connection],
		"{group}", f.groupOf(s, connection), "{plan}", "none", "{user}", "nobody", "{request}", "none", "{credential}", f.credentialOf(s, connection), "{link}", f.link[connection]).Replace
	q := request{method: o.Method, path: expand(o.Path), body: expand(s.body), header: map[string]string{}}
	if s.query != "" {
		q.path += "?" + expand(s.query)
	}
	if s.match {
		stored, err := f.engine.Directory(connection).Connection(f.t.Context())
		if err != nil {
			f.t.Fatal(err)
		}
		q.header["If-Match"] = `"` + string(rune('0'+stored.Version)) + `"`
	}
	status := s.status
	for code := range description()["paths"].(object)[o.Path].(object)[strings.ToLower(o.Method)].(object)["responses"].(object) {
		if status == 0 && code != "default" {
			status = int(code[0]-'0')*100 + int(code[1]-'0')*10 + int(code[2]-'0')
		}
	}
	return q, status
}

func (f *fixture) groupOf(s sample, connection string) string {
	if s.hostGroup {
		return "17"
	}
	return f.group[connection]
}

func (f *fixture) credentialOf(s sample, connection string) string {
	if s.pending {
		return f.pending[connection]
	}
	return f.credential[connection]
}

// The table says who may what: each operation is asked for by everybody, of their own and of
// the other connection. Whoever may not is refused, and nothing changes.
func TestRoles(t *testing.T) {
	shared := filled(t)
	before := shared.state()
	for _, o := range console.Operations() {
		scoped := strings.HasPrefix(o.Path, "/connections/{connection}")
		viewers := []struct {
			name       string
			viewer     console.Viewer
			connection string
			refusal    int // 0: they may
		}{
			{"an operator", operator, own, 0},
			{"support", console.Viewer{Role: console.RoleSupport}, own, choose(o.ForSupport, 0, 403)},
			{"a customer who was given it", customer(own, o.Name), own, choose(o.ForCustomer || o.ForEveryone, 0, 403)},
			{"a customer who was given all else", customer(own, others(o.Name)...), own, choose(o.ForEveryone, 0, 403)},
			{"the customer of another connection", customer(own, o.Name), foreign, choose(scoped, 404, choose(o.ForEveryone, 0, 403))},
			{"nobody", console.Viewer{}, own, 403},
			{"a role that is not known", console.Viewer{Role: "root", Connection: own, Operations: []string{o.Name}}, own, 403},
		}
		for _, v := range viewers {
			f, refusal := shared, v.refusal
			if refusal == 0 && o.Method != http.MethodGet {
				f = filled(t)
			}
			f.viewer = v.viewer
			q, status := f.of(o, v.connection)
			if refusal != 0 {
				status = refusal
			}
			w := f.send(q)
			if w.Code != status {
				t.Errorf("%s by %s: %d %s, want %d", o.Name, v.name, w.Code, w.Body, status)
			}
			if refusal != 0 && strings.Contains(w.Body.String(), "zebra") {
				t.Errorf("%s by %s tells of what they may not see: %s", o.Name, v.name, w.Body)
			}
			if f == shared && f.state() != before {
				t.Fatalf("%s by %s has changed something", o.Name, v.name)
			}
			if o.Audited && !samples[o.Name].silent && refusal == 0 && w.Code < 300 && !f.told(q, v.viewer.Actor) {
				t.Errorf("%s by %s: no event names %+v", o.Name, v.name, v.viewer.Actor)
			}
		}
	}
}

func choose(which bool, yes, no int) int {
	if which {
		return yes
	}
	return no
}

// others are all operations for customers but one.
func others(name string) []string {
	var out []string
	for _, o := range console.CustomerOperations() {
		if o != name {
			out = append(out, o)
		}
	}
	return out
}

// told reports whether an event names an actor.
func (f *fixture) told(q request, actor provision.Actor) bool {
	id := own
	if q.path == "/connections" {
		id = "made"
	}
	events, err := f.engine.Directory(id).Events(f.t.Context(), 0, 0)
	if err != nil && strings.HasPrefix(q.path, "/connections/") && q.method == http.MethodDelete {
		return true // the connection is gone, and its events with the id
	}
	for _, e := range events {
		if e.Actor == actor {
			return true
		}
	}
	return false
}
