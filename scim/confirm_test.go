package scim_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store/memory"
)

// TestRevokedElsewhere lets another process revoke a credential that this one remembers:
// every request is refused from then on, whatever is wrong with it, and does nothing.
func TestRevokedElsewhere(t *testing.T) {
	st := memory.New()
	s := newService(t, st, "okta")
	s.engine.Now = (&handClock{now: time.Now()}).Now // what is remembered stays so
	asked, sent := 0, 0
	s.handler.(*scim.Handler).Address = func(*http.Request) string { // nobody is slowed
		sent++
		return fmt.Sprint("192.0.2.", sent)
	}
	s.handler.(*scim.Handler).Me = func(*http.Request, scim.Principal) (string, error) { asked++; return "", provision.ErrNotFound }
	other := (&provision.Engine{Store: st}).Directory("acme").As(provision.Actor{Kind: "operator", ID: "test"})
	ann := s.wantStatus(http.StatusCreated, http.MethodPost, "/Users", `{"userName":"ann"}`).json(t)["id"].(string)
	total := func() any {
		return s.wantStatus(http.StatusOK, http.MethodGet, "/Users?count=0", "").json(t)["totalResults"]
	}
	before := total()
	const bulk = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{"method":"POST","path":"/Users","bulkId":"b","data":{"userName":"bob"}}]}`
	for _, test := range []struct{ method, path, body string }{
		{http.MethodGet, "/Users/" + ann, ""},
		{http.MethodGet, "/Users/nobody", ""},
		{http.MethodGet, `/Users?filter=userName+eq+"ann"`, ""},
		{http.MethodGet, `/Users?filter=wrong`, ""},
		{http.MethodGet, "/Schemas", ""},
		{http.MethodGet, "/Nothing", ""},
		{http.MethodGet, "/Me", ""},
		{http.MethodPost, "/Users", `{"userName":"bob"}`},
		{http.MethodPost, "/Users", `{`},
		{http.MethodPost, "/Bulk", bulk},
		{http.MethodPut, "/Users/" + ann, `{"userName":"other"}`},
		{http.MethodDelete, "/Users/" + ann, ""},
	} {
		token, cred, err := other.IssueToken(t.Context(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.do(http.MethodGet, "/Users/"+ann, token, ""); got.status != http.StatusOK {
			t.Fatalf("before: status %d", got.status)
		}
		if err := other.RevokeCredential(t.Context(), cred.ID); err != nil {
			t.Fatal(err)
		}
		if got := s.do(test.method, test.path, token, test.body); got.status != http.StatusUnauthorized {
			t.Errorf("%s %s: status %d, want 401: %s", test.method, test.path, got.status, got.body)
		}
	}
	if after := total(); after != before || asked != 0 {
		t.Errorf("%v resources, want %v; the host was asked %d times", after, before, asked)
	}
}

// TestEditedElsewhere lets another process edit the connection of a credential that this
// one remembers: the request counts, by the settings as they are.
func TestEditedElsewhere(t *testing.T) {
	st := memory.New()
	s := newService(t, st, "rfc")
	s.engine.Now = (&handClock{now: time.Now()}).Now
	other := (&provision.Engine{Store: st}).Directory("acme").As(provision.Actor{Kind: "operator", ID: "test"})
	const body = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ann","active":"True"}`
	s.wantStatus(http.StatusBadRequest, http.MethodPost, "/Users", body)
	_, err := other.UpdateConnection(t.Context(), func(c *provision.Connection) error {
		c.Dialect = "entra"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.wantStatus(http.StatusCreated, http.MethodPost, "/Users", body)
}
