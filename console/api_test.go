package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/console"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// Each refusal is a problem with a code and the place, and changes nothing.
func TestBadInput(t *testing.T) {
	f := filled(t)
	before := f.state()
	large := `"` + strings.Repeat("x", console.MaxBody) + `"`
	tag := map[string]string{"If-Match": `"1"`}
	for _, test := range []struct {
		name         string
		q            request
		status       int
		code, detail string
	}{
		{"an unknown address", request{method: "GET", path: "/connectionz"}, 404, "request_not_found", ""},
		{"a slash too many", request{method: "GET", path: "/connections/"}, 404, "request_not_found", ""},
		{"slashes that are one", request{method: "GET", path: "//connections"}, 404, "request_not_found", ""},
		{"a wrong method", request{method: "PATCH", path: "/connections/own"}, 405, "request_method", "GET and PUT and DELETE"},
		{"an unknown connection", request{method: "GET", path: "/connections/nobody/accounts"}, 404, "request_not_found", `\"nobody\"`},
		{"an account of another connection", request{method: "GET", path: "/connections/own/accounts/" + f.account[foreign]}, 404, "request_not_found", ""},
		{"an action on an account of another connection", request{method: "POST", path: "/connections/own/accounts/" + f.account[foreign] + "/disable"}, 404, "request_not_found", ""},
		{"a credential of another connection", request{method: "DELETE", path: "/connections/own/credentials/" + f.credential[foreign]}, 404, "request_not_found", ""},
		{"to extend a credential of another connection", request{method: "POST", path: "/connections/own/credentials/" + f.credential[foreign] + "/extend", body: `{}`}, 404, "request_not_found", ""},
		{"a group of another connection", request{method: "GET", path: "/connections/own/groups/" + f.group[foreign] + "/members"}, 404, "request_not_found", ""},
		{"an unknown parameter", request{method: "GET", path: "/connections/own/accounts?afer=1"}, 400, "request_parameter", `did you mean \"after\"`},
		{"a limit of nothing", request{method: "GET", path: "/connections/own/accounts?limit=0"}, 400, "request_parameter", ""},
		{"a limit beyond all", request{method: "GET", path: "/connections/own/accounts?limit=1001"}, 400, "request_parameter", ""},
		{"a place that is none", request{method: "GET", path: "/connections/own/groups?after=x"}, 400, "request_parameter", ""},
		{"a sequence that is none", request{method: "GET", path: "/connections/own/events?after=x"}, 400, "request_parameter", ""},
		{"no version", request{method: "PUT", path: "/connections/own", body: `{}`}, 428, "version_missing", "If-Match"},
		{"no version to delete", request{method: "DELETE", path: "/connections/own"}, 428, "version_missing", "If-Match"},
		{"a stale version", request{method: "PUT", path: "/connections/own", body: `{}`, header: map[string]string{"If-Match": `"7"`}}, 412, "version_stale", ""},
		{"a stale version to delete", request{method: "DELETE", path: "/connections/own", header: map[string]string{"If-Match": `"7"`}}, 412, "version_stale", ""},
		{"any version", request{method: "DELETE", path: "/connections/own", header: map[string]string{"If-Match": `*`}}, 412, "version_stale", ""},
		{"a weak version", request{method: "DELETE", path: "/connections/own", header: map[string]string{"If-Match": `W/"1"`}}, 412, "version_stale", ""},
		{"two versions", request{method: "PUT", path: "/connections/own", body: `{"version":2}`, header: tag}, 412, "version_stale", ""},
		{"no body", request{method: "PUT", path: "/connections/own", header: tag}, 400, "request_wrong", "empty"},
		{"half a body", request{method: "PUT", path: "/connections/own", body: `{`, header: tag}, 400, "request_not_json", "ends too early"},
		{"two bodies", request{method: "PUT", path: "/connections/own", body: `{} {}`, header: tag}, 400, "request_not_json", ""},
		{"too much of a body", request{method: "PUT", path: "/connections/own", body: large, header: tag}, 413, "request_too_large", ""},
		{"an unknown key", request{method: "PUT", path: "/connections/own", body: `{"saml":{"presett":"okta"}}`, header: tag}, 400, "request_unknown_key", `"field":"saml.presett"`},
		{"a key twice", request{method: "PUT", path: "/connections/own", body: `{"name":"a","name":"b"}`, header: tag}, 400, "request_twice", `"field":"name"`},
		{"a wrong type", request{method: "PUT", path: "/connections/own", body: `{"saml":{"groups":[1]}}`, header: tag}, 400, "request_wrong_type", `"field":"saml.groups[0]"`},
		{"an unknown option", request{method: "PUT", path: "/connections/own", body: `{"policy":{"requiredGroup":"x"}}`, header: tag}, 400, "option_unknown", `"field":"policy.requiredGroup"`},
		{"a wrong option", request{method: "PUT", path: "/connections/own", body: `{"policy":{"deleteAfterDays":91}}`, header: tag}, 400, "option_out_of_range", "deleteAfterDays"},
		{"a wrong setting", request{method: "PUT", path: "/connections/own", body: `{"dialect":"klingon"}`, header: tag}, 400, "setting_dialect", `"field":"dialect"`},
		{"another id", request{method: "PUT", path: "/connections/own", body: `{"id":"foreign"}`, header: tag}, 400, "setting_id", ""},
		{"an owner", request{method: "PUT", path: "/connections/own", body: `{"managedBy":"file"}`, header: tag}, 400, "setting_managed_by", ""},
		{"to make what is there", request{method: "POST", path: "/connections", body: `{"id":"own"}`}, 409, "connection_exists", ""},
		{"to make what a file has", request{method: "POST", path: "/connections", body: `{"id":"new","managedBy":"file"}`}, 400, "setting_managed_by", ""},
		{"to make nothing", request{method: "POST", path: "/connections", body: `{}`}, 400, "request_wrong", "id"},
		{"to make what no address can have", request{method: "POST", path: "/connections", body: `{"id":"a/b"}`}, 400, "setting_id", ""},
		{"an unknown method", request{method: "POST", path: "/connections/own/credentials", body: `{"method":"tokken"}`}, 400, "request_wrong_type", `did you mean \"token\"`},
		{"to activate a credential of another connection", request{method: "POST", path: "/connections/own/credentials/" + f.pending[foreign] + "/activate"}, 404, "request_not_found", ""},
		{"to activate what does not wait", request{method: "POST", path: "/connections/own/credentials/" + f.account[own] + "/activate"}, 404, "request_not_found", ""},
		{"a link to what no customer may have", request{method: "POST", path: "/connections/own/portal", body: `{"operations":["held.release"]}`}, 400, "role_forbidden", `"field":"operations[0]"`},
		{"a link to nothing", request{method: "POST", path: "/connections/own/portal", body: `{"operations":[]}`}, 400, "argument_operations", ""},
		{"a link of another connection", request{method: "DELETE", path: "/connections/own/portal/" + f.link[foreign]}, 404, "request_not_found", ""},
		{"an end that has passed", request{method: "POST", path: "/connections/own/credentials", body: `{"method":"token","expires":"2001-01-01T00:00:00Z"}`}, 400, "credential_in_the_past", `"field":"expires"`},
		{"a time that is none", request{method: "POST", path: "/connections/own/credentials", body: `{"method":"token","expires":"tomorrow"}`}, 400, "request_wrong_type", `"field":"expires"`},
		{"a two-factor that is none", request{method: "POST", path: "/connections/own/accounts/" + f.account[own] + "/edit", body: `{"twoFactor":"allways"}`}, 400, "argument_two_factor", ""},
		{"an unknown action", request{method: "POST", path: "/connections/own/accounts/" + f.account[own] + "/dissable"}, 404, "request_not_found", `did you mean \"disable\"`},
		{"a group that the provider reports", request{method: "POST", path: "/connections/own/accounts/" + f.account[own] + "/remove-group?group=" + f.group[own]}, 409, "reported_by_provider", ""},
		{"no group", request{method: "POST", path: "/connections/own/accounts/" + f.account[own] + "/remove-group"}, 400, "request_parameter", "group"},
		{"a link that can show nothing", request{method: "POST", path: "/connections/own/portal", body: `{"operations":["accounts.list"]}`}, 400, "request_wrong", `"field":"operations"`},
		{"nobody of whom to decide", request{method: "POST", path: "/connections/own/held/release", body: `[]`}, 400, "request_wrong", ""},
		{"a held account of another connection", request{method: "POST", path: "/connections/own/held/release", body: `["` + f.account[foreign] + `"]`}, 404, "request_not_found", ""},
		{"a consumer that is none", request{method: "GET", path: "/connections/own/parked?consumer=nobody"}, 404, "request_not_found", ""},
		{"an account that is not parked", request{method: "POST", path: "/connections/own/redrive?account=" + f.account[foreign]}, 404, "request_not_found", ""},
		{"a wrong line", request{method: "POST", path: "/connections/own/sync", body: "x\n"}, 400, "sync_source", "line 1"},
		{"a sync of nobody", request{method: "POST", path: "/connections/own/sync", body: "\n"}, 400, "sync_empty", ""},
		{"a sync without a directory", request{method: "POST", path: "/connections/own/sync"}, 400, "sync_empty", "no directory"},
		{"a flag that is none", request{method: "POST", path: "/connections/own/sync?force=perhaps", body: "{}"}, 400, "request_parameter", "force"},
		{"a wrong preview", request{method: "POST", path: "/connections/own/preview", body: `{"siteAdminGroups":"*"}`}, 400, "option_everyone", "siteAdminGroups"},
		{"groups of the host without a name", request{method: "POST", path: "/connections/own/host-groups", body: `[{"id":"1"}]`}, 400, "argument_groups", ""},
		{"no groups of the host", request{method: "POST", path: "/connections/own/host-groups", body: `null`}, 400, "request_wrong_type", ""},
		{"a page of another site", request{method: "POST", path: "/connections/own/accounts/" + f.account[own] + "/disable", header: map[string]string{"Sec-Fetch-Site": "cross-site"}}, 403, "request_cross_origin", ""},
	} {
		w := f.send(test.q)
		var p console.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if w.Code != test.status || p.Status != test.status || p.Code != test.code || p.Detail == "" || p.Title != http.StatusText(test.status) || !strings.Contains(w.Body.String(), test.detail) {
			t.Errorf("%s: %d %s, want %d, the code %s and %q", test.name, w.Code, w.Body, test.status, test.code, test.detail)
		}
		if test.code[:4] == "sync" {
			before = f.state() // an event tells that a sync has failed
		}
		if f.state() != before {
			t.Fatalf("%s has changed something", test.name)
		}
	}
	if list, err := f.engine.Directory(own).Accounts(t.Context(), provision.AccountQuery{}); err != nil || len(list) != 12 {
		t.Errorf("%d accounts, %v, want the twelve of before", len(list), err)
	}
}

// A connection is made, read, saved, and deleted by who has read it as it is.
func TestConnectionLife(t *testing.T) {
	f := empty(t, memory.New())
	w := f.send(request{method: "POST", path: "/connections", body: `{"id":"okta","name":"Okta","dialect":"Okta","scim":true}`})
	if w.Code != 201 || w.Header().Get("Location") != "connections/okta" || w.Header().Get("ETag") != `"1"` {
		t.Fatalf("making it: %d %v %s", w.Code, w.Header(), w.Body)
	}
	read := f.send(request{method: "GET", path: "/connections/okta"})
	if read.Header().Get("ETag") != `"1"` || !strings.Contains(read.Body.String(), `"version":1`) {
		t.Fatalf("reading it: %v %s", read.Header(), read.Body)
	}
	tag := map[string]string{"If-Match": `"1"`}
	if w := f.send(request{method: "PUT", path: "/connections/okta", body: read.Body.String(), header: tag}); w.Code != 200 || w.Header().Get("ETag") != `"1"` {
		t.Errorf("saving what was read: %d %v %s", w.Code, w.Header(), w.Body)
	}
	changed := strings.Replace(read.Body.String(), `"name":"Okta"`, `"name":"New"`, 1)
	if w := f.send(request{method: "PUT", path: "/connections/okta", body: changed, header: tag}); w.Code != 200 || w.Header().Get("ETag") != `"2"` {
		t.Errorf("saving another name: %d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := f.send(request{method: "DELETE", path: "/connections/okta", header: tag}); w.Code != 412 {
		t.Errorf("deleting what was edited since: %d %s", w.Code, w.Body)
	}
	events := f.expect("GET", "/connections/okta/events", "", 200, `"actor":{"kind":"operator","id":"ann"}`)
	if !strings.Contains(events, `"changes":[{"attribute":"name","before":"Okta","after":"New"}]`) || strings.Count(events, `"type":"connection.updated"`) != 2 {
		t.Errorf("the events do not say what changed: %s", events)
	}
	if w := f.send(request{method: "DELETE", path: "/connections/okta", header: map[string]string{"If-Match": `"2"`}}); w.Code != 204 {
		t.Errorf("deleting it: %d %s", w.Code, w.Body)
	}
	f.expect("GET", "/connections/okta", "", 404, "okta")
	f.expect("GET", "/connections", "", 200, "[]")
}

// A secret is written and never read: not in an answer, an event or the log. One that a form
// sends back as it was read stays.
func TestSecretsAreWriteOnly(t *testing.T) {
	f := empty(t, memory.New())
	const secret = "hunter2-hunter2-hunter2"
	ldap := func(password string) string {
		return `"ldap":{"urls":["ldaps://dc1.example"],"bindDN":"CN=reader,DC=example","bindPassword":` + password + `,"baseDNs":["DC=example"]}`
	}
	answers := f.expect("POST", "/connections", `{"id":"ad",`+ldap(`"`+secret+`"`)+`}`, 201, `"bindPassword":{"set":true}`)
	w := f.send(request{method: "PUT", path: "/connections/ad", body: `{"name":"AD",` + ldap(`{"set":true}`) + `}`, header: map[string]string{"If-Match": `"1"`}})
	if w.Code != 200 {
		t.Fatalf("saving: %d %s", w.Code, w.Body)
	}
	answers += w.Body.String() + f.expect("GET", "/connections/ad", "", 200, `"set":true`) + f.expect("GET", "/connections/ad/events", "", 200, "AD") + f.expect("GET", "/connections", "", 200, "AD")
	if strings.Contains(answers, "hunter2") {
		t.Errorf("an answer has the secret: %s", answers)
	}
	stored, err := f.engine.Directory("ad").Connection(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.engine.Directory("ad").OpenSecret(t.Context(), "ldap.bindPassword", stored); err != nil || got != secret {
		t.Errorf("the secret is %q, %v", got, err)
	}
}

// A credential is issued, extended and revoked; its secret is in one answer, and works.
func TestCredentials(t *testing.T) {
	f := empty(t, memory.New())
	f.expect("POST", "/connections", `{"id":"okta","scim":true}`, 201, "")
	var token, basic console.IssuedCredential
	if err := json.Unmarshal([]byte(f.expect("POST", "/connections/okta/credentials", `{"method":"token"}`, 201, `"token":"scimjit_`)), &token); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.engine.Authenticate(t.Context(), provision.Secret{Token: token.Token}); err != nil {
		t.Errorf("the token does not work: %v", err)
	}
	listed := f.expect("GET", "/connections/okta/credentials", "", 200, token.ID)
	if strings.Contains(listed, token.Token) {
		t.Errorf("the list has the token: %s", listed)
	}
	f.expect("POST", "/connections/okta/credentials/"+token.ID+"/extend", `{"expires":"2099-01-01T00:00:00Z"}`, 200, `"expires":"2099-01-01T00:00:00Z"`)
	if err := json.Unmarshal([]byte(f.expect("POST", "/connections/okta/credentials", `{"method":"basic"}`, 201, `"password":"`)), &basic); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.engine.Authenticate(t.Context(), provision.Secret{UserName: basic.UserName, Password: basic.Password}); err != nil {
		t.Errorf("the password does not work: %v", err)
	}
	f.expect("DELETE", "/connections/okta/credentials/"+basic.ID, "", 204, "")
	if _, _, err := f.engine.Authenticate(t.Context(), provision.Secret{UserName: basic.UserName, Password: basic.Password}); !errors.Is(err, provision.ErrUnauthenticated) {
		t.Errorf("a revoked password works: %v", err)
	}
}

// A credential that is not activated is shown with its secret, lets nobody in, and leaves the
// others alone before it is.
func TestPendingCredential(t *testing.T) {
	f := filled(t)
	var basic console.IssuedCredential
	if err := json.Unmarshal([]byte(f.expect("POST", "/connections/own/credentials", `{"method":"basic","activate":false}`, 201, `"pendingUntil":"`)), &basic); err != nil {
		t.Fatal(err)
	}
	secret := provision.Secret{UserName: basic.UserName, Password: basic.Password}
	if _, _, err := f.engine.Authenticate(t.Context(), secret); !errors.Is(err, provision.ErrUnauthenticated) {
		t.Errorf("a pending password: %v", err)
	}
	f.expect("GET", "/connections/own/credentials", "", 200, f.credential[own])
	activated := f.expect("POST", "/connections/own/credentials/"+basic.ID+"/activate", "", 200, basic.ID)
	if strings.Contains(activated, "pendingUntil") || strings.Contains(activated, basic.Password) {
		t.Errorf("activated: %s", activated)
	}
	if _, _, err := f.engine.Authenticate(t.Context(), secret); err != nil {
		t.Errorf("an activated password: %v", err)
	}
	if listed := f.expect("GET", "/connections/own/credentials", "", 200, ""); strings.Contains(listed, f.credential[own]) {
		t.Errorf("the token counts beside the password: %s", listed)
	}
	f.expect("POST", "/connections/own/credentials/unknown/activate", "", 404, "request_not_found")
}

// A connection goes live by a plan that somebody has looked at, is paused until a time, and
// somebody is put into a group. The request log is found by who it is about.
func TestOperatorsDay(t *testing.T) {
	f := empty(t, memory.New())
	ctx := t.Context()
	f.expect("POST", "/connections", `{"id":"new","scim":true,"mode":"shadow","policy":{"siteAdminGroups":"Admins"}}`, 201, `"mode":"shadow"`)
	f.expect("POST", "/connections/new/sync", `{"userName":"ann@example.com"}`+"\n"+`{"displayName":"Admins","members":[{"value":"ann@example.com"}]}`, 200, `"created":1`)
	f.expect("GET", "/connections/new/accounts", "", 200, "[]")
	f.expect("POST", "/connections/new/mode", `{"mode":"live"}`, 409, "mode_needs_plan")
	f.expect("POST", "/connections/new/plan", "", 202, `"id":"`)
	if err := f.engine.RunOnce(ctx); err != nil {
		t.Fatal(err)
	}
	var plan provision.Plan
	if err := json.Unmarshal([]byte(f.expect("GET", "/connections/new/plan", "", 200, `"ended"`)), &plan); err != nil {
		t.Fatal(err)
	}
	f.expect("GET", "/connections/new/plan/"+plan.ID+"/people", "", 200, `"outcome":"create"`)
	f.expect("POST", "/connections/new/sync", `{"userName":"ann@example.com"}`+"\n"+`{"userName":"bob@example.com"}`, 200, `"created":1`)
	f.expect("POST", "/connections/new/mode", `{"mode":"live","plan":"`+plan.ID+`"}`, 409, `"code":"plan_outdated"`)
	f.expect("POST", "/connections/new/plan", "", 202, `"id":"`)
	if err := f.engine.RunOnce(ctx); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(f.expect("GET", "/connections/new/plan", "", 200, `"ended"`)), &plan); err != nil {
		t.Fatal(err)
	}
	f.expect("POST", "/connections/new/mode", `{"mode":"live","plan":"`+plan.ID+`"}`, 200, `"version"`)
	if err := f.engine.RunOnce(ctx); err != nil {
		t.Fatal(err)
	}
	f.expect("GET", "/connections/new/counts", "", 200, `"active":2`)
	f.expect("POST", "/connections/new/mode", `{"mode":"shadow"}`, 409, "mode_was_live")
	f.expect("POST", "/connections/new/mode", `{"mode":"paused"}`, 409, "mode_needs_until")
	f.expect("POST", "/connections/new/mode", `{"mode":"paused","until":"`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"}`, 200, `"mode":"paused"`)
	f.expect("POST", "/connections/new/mode", `{"mode":"live"}`, 200, `"version"`)
	list, err := f.engine.Directory("new").Accounts(ctx, provision.AccountQuery{})
	if err != nil || len(list) != 2 {
		t.Fatalf("accounts %v, %v", list, err)
	}
	f.expect("POST", "/connections/new/host-groups", `[{"id":"17","name":"Everyone"}]`, 200, "17")
	member := "/connections/new/groups/17/accounts/" + list[0].ID
	f.expect("PUT", member, "", 200, `"name":"Everyone"`)
	f.expect("DELETE", member, "", 200, `"groups":[`)
	f.expect("DELETE", member, "", 404, "17")
	for _, status := range []int{201, 400} {
		f.engine.Plumbing().NoteRequest("new", provision.Request{Time: time.Now(), Protocol: "scim", Method: "POST", Path: "/Users", Status: status, Code: "invalidValue"})
	}
	if err := f.engine.Plumbing().FlushRequests(ctx); err != nil {
		t.Fatal(err)
	}
	f.expect("GET", "/connections/new/requests?protocol=scim&outcome=refused", "", 200, `"outcome":"refused"`)
	f.expect("GET", "/connections/new/requests?after=%21", "", 400, "request_parameter")
	f.expect("GET", "/connections/new/activity", "", 200, `"change":{`)
	f.expect("GET", "/connections/new/traffic", "", 200, `"refused":1`)
	f.expect("GET", "/requests", "", 200, "[")
}

// What a file manages is shown, and neither its settings nor its credentials change.
func TestManagedByFile(t *testing.T) {
	f := filled(t)
	if _, err := f.engine.Directory(own).UpdateConnection(t.Context(), func(c *provision.Connection) error {
		c.ManagedBy = provision.ManagedByFile
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	before := f.state()
	f.expect("GET", "/connections/own", "", 200, `"managedBy":"file"`)
	for _, q := range []request{
		{method: "PUT", path: "/connections/own", body: `{"name":"mine","managedBy":"file"}`},
		{method: "PUT", path: "/connections/own", body: `{"name":"mine"}`},
		{method: "DELETE", path: "/connections/own"},
		{method: "POST", path: "/connections/own/credentials", body: `{"method":"token"}`},
		{method: "POST", path: "/connections/own/credentials/" + f.credential[own] + "/extend", body: `{}`},
		{method: "DELETE", path: "/connections/own/credentials/" + f.credential[own]},
	} {
		q.header = map[string]string{"If-Match": `"2"`}
		if w := f.send(q); w.Code != 409 || !strings.Contains(w.Body.String(), `"code":"managed_by_file"`) {
			t.Errorf("%s %s: %d %s, want 409", q.method, q.path, w.Code, w.Body)
		}
	}
	if f.state() != before {
		t.Error("something has changed")
	}
	f.expect("POST", "/connections/own/accounts/"+f.account[own]+"/disable", "", 200, `"disabled"`) // people are nobody's but the operator's
}

// A list is read page by page, and each row is there once; the alias has all of it.
func TestPages(t *testing.T) {
	f := filled(t)
	for _, path := range []string{
		"/connections", "/connections/own/accounts", "/connections/own/groups", "/connections/own/events", "/connections/own/held",
		"/connections/own/groups/" + f.group[own] + "/members", "/connections/own/parked", "/connections/own/refusals",
	} {
		var all, paged []json.RawMessage
		whole := f.send(request{method: "GET", path: path + "?limit=1000"})
		if err := json.Unmarshal(whole.Body.Bytes(), &all); err != nil || len(all) == 0 || whole.Header().Get("Link") != "" {
			t.Errorf("%s: %v, Link %q, %d rows", path, err, whole.Header().Get("Link"), len(all))
			continue
		}
		for query := "?limit=1"; query != "" && len(paged) <= len(all); {
			w := f.send(request{method: "GET", path: path + query})
			var rows []json.RawMessage
			if err := json.Unmarshal(w.Body.Bytes(), &rows); err != nil || len(rows) > 1 {
				t.Fatalf("%s%s: %v, %d rows", path, query, err, len(rows))
			}
			paged = append(paged, rows...)
			link, _, _ := strings.Cut(w.Header().Get("Link"), ">")
			query = strings.TrimPrefix(link, "<")
		}
		if fmt.Sprintf("%s", paged) != fmt.Sprintf("%s", all) {
			t.Errorf("%s: page by page %s, at once %s", path, paged, all)
		}
	}
	if lines := f.expect("GET", "/events?connection=own&limit=3", "", 200, "connection.updated"); strings.Count(lines, "\n") != 3 || lines[0] != '{' {
		t.Errorf("the alias of events has not three lines: %s", lines)
	}
	if got := f.expect("GET", "/accounts?connection=own&limit=3", "", 200, "["); strings.Count(got, `"userName"`) != 3 {
		t.Errorf("the alias has not three accounts: %s", got)
	}
}

// Whoever is nobody learns nothing, not even what connections there are.
func TestWho(t *testing.T) {
	f := filled(t)
	for name, who := range map[string]func(*http.Request) (console.Viewer, error){
		"nil":       nil,
		"a refusal": func(*http.Request) (console.Viewer, error) { return operator, errors.New("secret cause") },
	} {
		f.api.Who = who
		for _, path := range []string{"/connections", "/connections/own", "/connections/nobody", "/openapi.json", "/accounts?connection=own"} {
			w := f.send(request{method: "GET", path: path})
			if w.Code != 401 || !strings.Contains(w.Body.String(), "viewer_unknown") || strings.Contains(w.Body.String(), "secret") {
				t.Errorf("%s: %s: %d %s", name, path, w.Code, w.Body)
			}
		}
	}
}

// brokenStore fails, or panics, at every view.
type brokenStore struct {
	store.Store
	view func() error
}

func (s brokenStore) View(context.Context, string, func(context.Context, store.Reader) error) error {
	return s.view()
}

// A fault of the application is told without its cause, and logged with it.
func TestFaults(t *testing.T) {
	for name, view := range map[string]func() error{
		"an error": func() error { return errors.New("secret cause") },
		"a panic":  func() error { panic("secret cause") },
	} {
		f := empty(t, brokenStore{memory.New(), view})
		for _, path := range []string{"/connections", "/connections/own", "/accounts?connection=own"} {
			w := f.send(request{method: "GET", path: path})
			if w.Code != 500 || !strings.Contains(w.Body.String(), `"code":"internal"`) || strings.Contains(w.Body.String(), "secret") {
				t.Errorf("%s: %s: %d %s", name, path, w.Code, w.Body)
			}
		}
	}
}

// The description names every operation once, and nothing else.
func TestDescriptionHasAllOperations(t *testing.T) {
	names := map[string]bool{}
	for path, at := range description()["paths"].(object) {
		for method, o := range at.(object) {
			name := o.(object)["operationId"].(string)
			if names[name] {
				t.Errorf("%s is there twice", name)
			}
			names[name] = true
			r := httptest.NewRequest(strings.ToUpper(method), strings.NewReplacer("{", "", "}", "").Replace(path), nil)
			if operationOf(r) == nil {
				t.Errorf("%s %s is no operation", method, path)
			}
		}
	}
	for _, o := range console.Operations() {
		if !names[o.Name] {
			t.Errorf("%s is not described", o.Name)
		}
	}
}
