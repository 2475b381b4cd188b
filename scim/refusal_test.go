package scim_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim"
)

// refusals returns what is counted for a connection, as "address cause count".
func (s *service) refusals(connection string) []string {
	s.t.Helper()
	list, err := s.engine.Refusals(s.t.Context(), connection, time.Time{})
	if err != nil {
		s.t.Fatal(err)
	}
	rows := []string{}
	for _, r := range list {
		rows = append(rows, fmt.Sprintf("%s %s %d", r.Address, r.Cause, r.Count))
	}
	return rows
}

// Refused requests are counted by the connection, the address and the cause, and
// no text of the client is kept. What is not refused is not counted.
func TestRefusalsAreCounted(t *testing.T) {
	s, _ := timedService(t)
	handler := s.handler.(*scim.Handler)
	mux := http.NewServeMux()
	mux.Handle("/{connection}/v2/", handler)
	mux.Handle("/", handler)
	send := func(address, method, path, token, body string) {
		r := httptest.NewRequest(method, "https://sp.example"+path, strings.NewReader(body))
		r.RemoteAddr = address + ":1000"
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		mux.ServeHTTP(httptest.NewRecorder(), r)
	}
	const patch = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"x y","value":1}]}`
	user := `{` + coreUser + `"userName":"ada"}`
	send("192.0.2.1", "POST", "/acme/v2/Users", acmeToken, user)
	send("192.0.2.1", "POST", "/Users", acmeToken, user) // 409
	send("192.0.2.1", "GET", "/Users/nobody", acmeToken, "")
	send("192.0.2.1", "POST", "/Users", acmeToken, `{"userName":`)
	send("192.0.2.1", "GET", "/Users?filter=secret+eq", acmeToken, "")
	send("192.0.2.1", "POST", "/Users", acmeToken, strings.Repeat(" ", 2<<20)) // 413
	send("192.0.2.1", "GET", "/other/v2/Users", acmeToken, "")
	send("192.0.2.1", "PATCH", "/Users/x", acmeToken, patch)
	for range 11 {
		send("192.0.2.2", "GET", "/acme/v2/Users", "wrong", "")
	}
	send("192.0.2.2", "GET", "/other/v2/Users", "", "")
	send("192.0.2.3", "GET", "/Users", "wrong", "")
	send("192.0.2.3", "GET", "/made%20up/v2/Users", "wrong", "")
	// Somebody else was faster, as happens every day.
	ada := s.page("/Users?attributes=id")["Resources"].([]any)[0].(map[string]any)["id"].(string)
	if a := s.do("PUT", "/Users/"+ada, acmeToken, user, "If-Match", `W/"7"`); a.status != http.StatusPreconditionFailed {
		t.Errorf("PUT of another version: %d %s, want 412", a.status, a.body)
	}
	for _, status := range []int{403, 409} {
		handler.Before = func(context.Context, scim.Operation) error {
			return &scim.Error{Status: status, Type: "madeUp", Detail: "no"}
		}
		send("192.0.2.1", "POST", "/Users", acmeToken, user)
	}
	handler.Limits.Rate = 0.1
	for range 2 {
		send("192.0.2.4", "GET", "/Users", otherToken, "")
	}

	want := map[string][]string{
		"acme": {
			"192.0.2.1 409 1", "192.0.2.1 413 1", "192.0.2.1 forbidden 1", "192.0.2.1 foreignConnection 1", "192.0.2.1 invalidFilter 1",
			"192.0.2.1 invalidSyntax 1", "192.0.2.1 uniqueness 1", "192.0.2.2 tooManyFailures 2", "192.0.2.2 unauthenticated 9",
		},
		"other": {"192.0.2.2 unauthenticated 1", "192.0.2.4 tooManyRequests 1"},
		"":      {"192.0.2.3 unauthenticated 2"},
	}
	for connection, rows := range want {
		if diff := cmp.Diff(rows, s.refusals(connection)); diff != "" {
			t.Errorf("of %q (-want +got):\n%s", connection, diff)
		}
	}
}

// A credential that has expired is counted at its connection, whatever address it is
// used at, and the client learns no more than of a wrong one.
func TestExpiredCredentialsAreCounted(t *testing.T) {
	s, now := timedService(t)
	acme := s.engine.Directory("acme").As(provision.Actor{Kind: "operator", ID: "test"})
	if err := acme.RevokeCredentials(t.Context()); err != nil {
		t.Fatal(err)
	}
	token, _, err := acme.IssueToken(t.Context(), now.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	wrong := s.from("192.0.2.7:1", "Bearer wrong")
	now.add(time.Hour)
	if expired := s.from("192.0.2.8:1", "Bearer "+token); expired.status != wrong.status || expired.body != wrong.body {
		t.Errorf("an expired token is answered %d %s, a wrong one %d %s", expired.status, expired.body, wrong.status, wrong.body)
	}
	if _, err := acme.UpdateConnection(t.Context(), func(c *provision.Connection) error { c.Disabled = true; return nil }); err != nil {
		t.Fatal(err)
	}
	s.from("192.0.2.9:1", "Bearer "+token)
	for connection, rows := range map[string][]string{"": {"192.0.2.7 unauthenticated 1"}, "acme": {"192.0.2.8 expiredCredential 1", "192.0.2.9 disabledConnection 1"}} {
		if diff := cmp.Diff(rows, s.refusals(connection)); diff != "" {
			t.Errorf("of %q (-want +got):\n%s", connection, diff)
		}
	}
}

// What is ignored is recorded: in the events of the change, and in the request log,
// which tells of it where nothing changed. The dialect rfc refuses it in a PATCH, and ignores it in a PUT as
// RFC 7644 section 3.5.1 says.
func TestIgnoredIsRecorded(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			s := newService(t, open(t), "entra")
			user := s.must("POST", "/Users", `{`+coreUser+`"userName":"ada"}`)
			group := s.must("POST", "/Groups", `{`+coreGroup+`"displayName":"g"}`)
			patch := func(path, operation string, status int) {
				t.Helper()
				if a := s.do("PATCH", path, acmeToken, `{"Operations":[`+operation+`]}`); a.status != status {
					t.Errorf("%s: %d %s", operation, a.status, a.body)
				}
			}
			patch("/Groups/"+group, `{"op":"add","path":"memebers","value":[{"value":"`+user+`"}]}`, 204)
			patch("/Users/"+user, `{"op":"replace","value":{"titel":"T"}}`, 200)
			patch("/Users/"+user, `{"op":"replace","path":"name","value":{"givenname_":"A"}}`, 200)
			put := `{` + coreUser + `"userName":"ada","titel":"T"}`
			if a := s.do("PUT", "/Users/"+user, acmeToken, put); a.status != 200 {
				t.Errorf("PUT: %d %s", a.status, a.body)
			}
			if diff := cmp.Diff([]string{"192.0.2.1 ignored 4"}, s.refusals("acme")); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}
			for _, name := range []string{"memebers", "titel", "name.givenname_"} {
				if !strings.Contains(s.log.String(), name) {
					t.Errorf("the log does not name %s:\n%s", name, s.log)
				}
			}
			s.must("POST", "/Users", `{`+coreUser+`"userName":"grace","mailbox":"x"}`)
			events, err := s.engine.Directory("acme").Events(t.Context(), 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			if last := events[len(events)-1]; !slices.Contains(last.Tolerances, "unknownIgnored") {
				t.Errorf("the last event has the tolerances %v", last.Tolerances)
			}
		})
	}
}
