//go:build unix

package scim_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/store/postgres"
)

// TestTrips counts how often a request waits for PostgreSQL, and with how many
// statements, BEGIN and COMMIT included. The credential is
// remembered, and confirmed nevertheless.
func TestTrips(t *testing.T) {
	wire := postgrestest.NewWire(t, postgrestest.Start(t).Database(t))
	st, err := postgres.Open(t.Context(), postgres.Config{URL: wire.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	s := newService(t, st, "okta")
	s.engine.Now = (&handClock{now: time.Now()}).Now // it stands still: what is remembered stays so
	user := func(n int) string {
		return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"u%d@example.com","externalId":"e%d",
			"emails":[{"value":"u%d@example.com","primary":true}],"name":{"givenName":"U"},"active":true}`, n, n, n)
	}
	const operations = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[%s]}`
	create := func(path, body string) string {
		id, _ := s.wantStatus(http.StatusCreated, http.MethodPost, path, body).json(t)["id"].(string)
		return id
	}
	ann := create("/Users", user(1))
	staff := create("/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Staff"}`)
	all := create("/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"All"}`)
	member := func(id string) string {
		return fmt.Sprintf(operations, fmt.Sprintf(`{"op":"add","path":"members","value":[{"value":%q}]}`, id))
	}
	active := func(is bool) string {
		return fmt.Sprintf(operations, fmt.Sprintf(`{"op":"replace","value":{"active":%t}}`, is))
	}
	s.wantStatus(http.StatusNoContent, http.MethodPatch, "/Groups/"+all, member(staff))
	for _, test := range []struct {
		name, method, path, body  string
		status, trips, statements int
	}{
		{"GET", http.MethodGet, "/Users/" + ann, "", http.StatusOK, 1, 4},
		{"GET of a group", http.MethodGet, "/Groups/" + staff, "", http.StatusOK, 1, 5},
		{"GET of nobody", http.MethodGet, "/Users/nobody", "", http.StatusNotFound, 1, 4},
		{"filter", http.MethodGet, `/Users?filter=userName+eq+"u1@example.com"`, "", http.StatusOK, 1, 5},
		{"filter that finds nobody", http.MethodGet, `/Users?filter=userName+eq+"nobody"`, "", http.StatusOK, 1, 5},
		{"what needs no store", http.MethodGet, "/Schemas", "", http.StatusOK, 1, 3},
		{"POST", http.MethodPost, "/Users", user(2), http.StatusCreated, 2, 15},
		{"POST of a group", http.MethodPost, "/Groups", `{"displayName":"Crew"}`, http.StatusCreated, 3, 15},
		{"POST of a name that is taken", http.MethodPost, "/Users", user(2), http.StatusConflict, 1, 6},
		{"add a member", http.MethodPatch, "/Groups/" + staff, member(ann), http.StatusNoContent, 4, 16},
		{"add the member again", http.MethodPatch, "/Groups/" + staff, member(ann), http.StatusNoContent, 2, 6},
		{"PATCH active", http.MethodPatch, "/Users/" + ann, active(false), http.StatusOK, 2, 13},
		{"PATCH active again", http.MethodPatch, "/Users/" + ann, active(true), http.StatusOK, 3, 15},
	} {
		var got reply
		trips := wire.Count(func() { got = s.do(test.method, test.path, acmeToken, test.body) })
		if got.status != test.status || trips != test.trips || wire.Statements() != test.statements {
			t.Errorf("%s: %d trips, want %d; %d statements, want %d; status %d, want %d: %s", test.name,
				trips, test.trips, wire.Statements(), test.statements, got.status, test.status, got.body)
		}
	}
}
