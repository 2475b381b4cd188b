package postgres_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
)

// TestPostgreSQLEveryRequest fails each statement of typical requests and logins. Whoever
// is answered 503 repeats the request. It counts once then.
func TestPostgreSQLEveryRequest(t *testing.T) {
	db := newDatabase(t)
	for _, test := range []struct {
		name      string
		operation func(c client) error
	}{
		{"post", func(c client) error {
			return c.send("POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bob@example.com","active":true}`)
		}},
		{"patch", func(c client) error {
			return c.send("PATCH", "/Users/"+c.user, patchOf(`{"op":"replace","path":"active","value":false}`))
		}},
		{"group", func(c client) error {
			return c.send("PATCH", "/Groups/"+c.group, patchOf(`{"op":"add","path":"members","value":[{"value":"`+c.user+`"}]}`))
		}},
		{"login", func(c client) error {
			_, err := c.engine.Directory(c.connection).Login(t.Context(), provision.Identity{
				ID: "cyd", UserName: "cyd@example.com", Email: "cyd@example.com", Groups: []provision.IdentityGroup{{Value: "Guests"}},
			})
			return err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // they wait most of the time
			p, s := openInjected(t, db)
			everyStatement(t, p, []string{"40001", ""}, func(connection string) (func() error, func() string) {
				c := newClient(t, s, connection)
				return func() error { return test.operation(c) }, func() string { return contents(t, s, connection) }
			})
		})
	}
}

func patchOf(operation string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + operation + `]}`
}

// client is an identity provider of a new connection, with a user who waits for a group.
type client struct {
	engine                         *provision.Engine
	handler                        http.Handler
	connection, token, user, group string
}

func newClient(t *testing.T, s store.Store, connection string) client {
	t.Helper()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	engine := &provision.Engine{Store: s, Now: func() time.Time { return now }, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	c := client{engine: engine, connection: connection, handler: &scim.Handler{Engine: engine, Logger: engine.Logger}}
	d := engine.Directory(connection).As(provision.Actor{Kind: "operator", ID: "test"})
	_, err := d.UpdateConnection(t.Context(), func(conn *provision.Connection) error {
		conn.SCIM, conn.Policy = true, policy.Config{RequiredGroups: policy.Patterns{"Staff", "Guests"}, ProvisionOnFirstLogin: policy.FirstLoginProvision}
		return nil
	})
	if err == nil {
		c.token, _, err = d.IssueToken(t.Context(), time.Time{})
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, made := range []struct {
		typ, body string
		id        *string
	}{
		{"Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ann@example.com","active":true}`, &c.user},
		{"Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Staff"}`, &c.group},
	} {
		w := c.do("POST", "/"+made.typ, made.body)
		var created struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &created); err != nil || w.Code != http.StatusCreated {
			t.Fatalf("%s: %d %s", made.typ, w.Code, w.Body)
		}
		*made.id = created.ID
	}
	return c
}

func (c client) do(method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/scim/v2"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+c.token)
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	return w
}

// send sends a request. One that is to be repeated is an UnavailableError.
func (c client) send(method, path, body string) error {
	w := c.do(method, path, body)
	switch {
	case w.Code < http.StatusMultipleChoices:
		return nil
	case w.Code == http.StatusServiceUnavailable:
		after, err := strconv.Atoi(w.Header().Get("Retry-After"))
		if err != nil {
			return fmt.Errorf("503 without Retry-After: %s", w.Body)
		}
		return &store.UnavailableError{RetryAfter: time.Duration(after) * time.Second, Err: fmt.Errorf("%s", w.Body)}
	}
	return fmt.Errorf("%d %s", w.Code, w.Body)
}
