package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/console"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// fixture is an API over a store with the connections own and foreign, which have something
// for each route to show: accounts, all held, in a group, a group of the host, a parked
// event, a refusal, a credential.
type fixture struct {
	t      *testing.T
	engine *provision.Engine
	api    *console.API
	viewer console.Viewer

	account, group, credential, pending, link map[string]string // by connection
}

const (
	own      = "own"
	foreign  = "foreign"
	consumer = "log"
)

// operator is who may everything.
var operator = console.Viewer{Actor: provision.Actor{Kind: "operator", ID: "ann"}, Role: console.RoleOperator}

// customer is an administrator of a connection with these operations.
func customer(connection string, operations ...string) console.Viewer {
	return console.Viewer{Actor: provision.Actor{Kind: "operator", ID: "portal"}, Role: console.RoleCustomer, Connection: connection, Operations: operations}
}

// empty is an API over an empty store, asked by an operator.
func empty(t *testing.T, st store.Store) *fixture {
	t.Helper()
	keys, err := provision.NewSecretKeys([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	f := &fixture{t: t, viewer: operator, engine: &provision.Engine{Store: st, Logger: logger, Secrets: keys}}
	f.account, f.group, f.credential = map[string]string{}, map[string]string{}, map[string]string{}
	f.pending, f.link = map[string]string{}, map[string]string{}
	f.api = &console.API{
		Engine: f.engine, Aliases: true, Consumer: consumer,
		Who: func(*http.Request) (console.Viewer, error) { return f.viewer, nil },
		TestLogin: func(_ context.Context, connection string) (string, error) {
			return "/saml/" + connection + "/test", nil
		},
		CheckDirectory: func(context.Context, string) (any, error) { return map[string]int{"people": 3}, nil },
	}
	return f
}

// filled is an API over a store with both connections.
func filled(t *testing.T) *fixture {
	t.Helper()
	f := empty(t, memory.New())
	for _, id := range []string{own, foreign} {
		f.connect(id)
	}
	f.park()
	return f
}

// connect makes a connection with twelve people of one required group that they have lost.
func (f *fixture) connect(id string) {
	f.t.Helper()
	ctx, d := f.t.Context(), f.engine.Directory(id).As(provision.Actor{Kind: "operator", ID: "test"})
	config, err := policy.Parse([]byte(`{"requiredGroups":"Staff"}`))
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := d.SaveConnection(ctx, provision.Connection{ID: id, Name: "zebra " + id, SCIM: true, Policy: config}); err != nil {
		f.t.Fatal(err)
	}
	token, credential, err := d.IssueToken(ctx, time.Time{})
	if err != nil {
		f.t.Fatal(err)
	}
	_, waiting, err := d.IssueCredential(ctx, provision.NewCredential{Pending: true})
	if err != nil {
		f.t.Fatal(err)
	}
	_, link, err := d.CreatePortalLink(ctx, provision.NewPortalLink{Operations: []string{"connection.read"}})
	if err != nil {
		f.t.Fatal(err)
	}
	f.pending[id], f.link[id] = waiting.ID, link.ID
	service := &scim.Handler{Engine: f.engine, Logger: f.engine.Logger, Prefix: "/", Limits: scim.Limits{Rate: -1}}
	send := func(method, path, body string) string {
		r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		service.ServeHTTP(w, r)
		var made struct{ ID string }
		if err := json.Unmarshal(w.Body.Bytes(), &made); w.Code >= 300 || err != nil {
			f.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
		return made.ID
	}
	var members []string
	for i := range 12 {
		user := send("POST", "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"zebra%d@%s.example"}`, i, id))
		members = append(members, `{"value":"`+user+`"}`)
	}
	group := func(name string) string {
		return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"%s","members":[%s]}`, name, strings.Join(members, ","))
	}
	f.credential[id], f.group[id] = credential.ID, send("POST", "/Groups", group("Staff"))
	send("PUT", "/Groups/"+f.group[id], group("zebra lost"))
	if err := d.RegisterGroups(ctx, provision.HostGroup{ID: "17", Name: "zebra"}); err != nil {
		f.t.Fatal(err)
	}
	f.engine.Plumbing().CountRefusal(id, "192.0.2.1", "zebra")
	list, err := d.Accounts(ctx, provision.AccountQuery{Limit: 1})
	if err != nil {
		f.t.Fatal(err)
	}
	f.account[id] = list[0].ID
}

// park has the consumer refuse all events until an account of each connection is parked.
func (f *fixture) park() {
	f.t.Helper()
	ctx, stop := context.WithTimeout(f.t.Context(), 20*time.Second)
	defer stop()
	c := f.engine.Consumer(consumer)
	parked := func() bool {
		for _, id := range []string{own, foreign} {
			list, err := c.Parked(f.t.Context(), id)
			if err != nil || !strings.Contains(fmt.Sprint(list), f.account[id]) {
				return false
			}
		}
		return true
	}
	done := make(chan error, 1)
	go func() {
		no := func(context.Context, provision.Delivery) error { return errors.New("no") }
		done <- c.Deliver(ctx, no, provision.DeliveryOptions{Attempts: 1})
	}()
	for !parked() && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	stop()
	<-done
	if !parked() {
		f.t.Fatal("nothing is parked")
	}
}

// state is what a refusal must not change: all of both connections.
func (f *fixture) state() string {
	f.t.Helper()
	ctx := f.t.Context()
	var out []any
	add := func(v any, err error) {
		if err != nil {
			f.t.Fatal(err)
		}
		out = append(out, v)
	}
	connections, err := f.engine.Connections(ctx)
	add(connections, err)
	for _, c := range connections {
		d := f.engine.Directory(c.ID)
		add(c.Version, nil)
		events, err := d.Events(ctx, 0, 0)
		add(events, err)
		accounts, err := d.Accounts(ctx, provision.AccountQuery{})
		add(accounts, err)
		groups, err := d.HostGroups(ctx)
		add(groups, err)
		credentials, err := d.Credentials(ctx)
		add(credentials, err)
		links, err := d.PortalLinks(ctx)
		add(links, err)
		parked, err := f.engine.Consumer(consumer).Parked(ctx, c.ID)
		if err == nil {
			add(parked, nil)
		}
	}
	data, err := json.Marshal(out)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(data)
}

// request is one for the API.
type request struct {
	method, path, body string
	header             map[string]string
}

// send sends a request, and holds every answer against the description.
func (f *fixture) send(q request) *httptest.ResponseRecorder {
	f.t.Helper()
	r := httptest.NewRequestWithContext(f.t.Context(), q.method, q.path, strings.NewReader(q.body))
	for name, value := range q.header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	f.api.ServeHTTP(w, r)
	described(f.t, r, w)
	return w
}

// expect sends a request as the viewer, compares the status and a part of the answer, and
// returns the answer.
func (f *fixture) expect(method, path, body string, status int, want string) string {
	f.t.Helper()
	w := f.send(request{method: method, path: path, body: body})
	got, err := io.ReadAll(w.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	if w.Code != status || !strings.Contains(string(got), want) {
		f.t.Errorf("%s %s %.200s: %d %.2000s, want %d and %q", method, path, body, w.Code, got, status, want)
	}
	return string(got)
}
