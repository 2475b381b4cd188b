package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/console"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// mounted is the whole handler over a store, without a server.
type mounted struct {
	t       *testing.T
	engine  *provision.Engine
	handler http.Handler
	sent    int
}

func mount(t *testing.T, st store.Store) *mounted {
	logger := slog.New(slog.DiscardHandler)
	engine := &provision.Engine{Store: st, Logger: logger}
	handler := newHandler(newAPI(engine, operatorToken))
	return &mounted{t: t, engine: engine, handler: withSCIM(handler, &scim.Handler{Engine: engine, Logger: logger}, "https://app.example")}
}

func (m *mounted) do(method, path, token, body string) *httptest.ResponseRecorder {
	m.t.Helper()
	r := httptest.NewRequestWithContext(m.t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	r.RemoteAddr = fmt.Sprintf("10.0.%d.%d:1", m.sent>>8, m.sent&255) // wrong tokens slow none of the others
	m.sent++
	w := httptest.NewRecorder()
	m.handler.ServeHTTP(w, r)
	return w
}

// aliases are the operations at the addresses that name the connection by a parameter, and
// those of no connection, by pattern.
func aliases() map[string]console.Operation {
	out := map[string]console.Operation{}
	for _, o := range console.Operations() {
		switch {
		case o.Alias != "":
			out[o.Method+" "+o.Alias] = o
		case o.Method+" "+o.Path == "GET /connections":
			out["GET /connections"] = o
		}
	}
	return out
}

// concrete returns the method and a path of a route, without parameters.
func concrete(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	return method, strings.ReplaceAll(path, "{account}", "a")
}

// Every route but SCIM, /healthz and /readyz needs the operator token and a connection
// that exists.
func TestRoutesAreGuarded(t *testing.T) {
	m := mount(t, memory.New())
	m.connect("gate", `{}`)
	for _, o := range console.Operations() {
		path := strings.NewReplacer("{connection}", "gate", "{account}", "a", "{group}", "a", "{credential}", "a").Replace(o.Path)
		if w := m.do(o.Method, path, gateToken, ""); w.Code != http.StatusUnauthorized {
			t.Errorf("%s with the token of a connection: %d, want 401", o.Name, w.Code)
		}
	}
	for pattern := range aliases() {
		method, path := concrete(pattern)
		for _, token := range []string{"", operatorToken[1:], gateToken} {
			if w := m.do(method, path+"?connection=gate", token, ""); w.Code != http.StatusUnauthorized {
				t.Errorf("%s with the token %q: %d, want 401", pattern, token, w.Code)
			}
		}
		if w := m.do(method, path+"?connection=nobody", operatorToken, ""); w.Code != http.StatusNotFound {
			t.Errorf("%s of an unknown connection: %d, want 404", pattern, w.Code)
		}
		want := http.StatusBadRequest
		if pattern == "GET /refusals" || pattern == "GET /requests" || pattern == "GET /connections" {
			want = http.StatusOK // those of no connection, and all
		}
		if w := m.do(method, path, operatorToken, ""); w.Code != want {
			t.Errorf("%s of no connection: %d, want %d", pattern, w.Code, want)
		}
	}
}

// busyStore cannot answer now.
type busyStore struct {
	store.Store
	retry time.Duration
}

func (s busyStore) View(context.Context, string, func(context.Context, store.Reader) error) error {
	return &store.UnavailableError{RetryAfter: s.retry, Err: errors.New("secret cause")}
}

// A store that is busy is not a fault of the server: the operator tries again.
func TestRoutesOfBusyStore(t *testing.T) {
	for retry, want := range map[time.Duration]string{0: "1", time.Second: "1", 1500 * time.Millisecond: "2", time.Minute: "60"} {
		m := mount(t, busyStore{memory.New(), retry})
		for pattern := range aliases() {
			method, path := concrete(pattern)
			w := m.do(method, path+"?connection=gate", operatorToken, "")
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != want || strings.Contains(w.Body.String(), "secret") {
				t.Errorf("%s: %d, Retry-After %q, %s; want 503 and %s", pattern, w.Code, w.Header().Get("Retry-After"), w.Body, want)
			}
		}
	}
}

// docs/server.md has each flag and each route.
func TestFlagsAndRoutesAreDocumented(t *testing.T) {
	data, err := os.ReadFile("../../docs/server.md")
	if err != nil {
		t.Fatal(err)
	}
	var help strings.Builder
	if _, err := parseFlags([]string{"-help"}, &help); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^  (-[a-z-]+)`).FindAllStringSubmatch(help.String(), -1) {
		want = append(want, "| `"+m[1]+"` |")
	}
	for pattern, o := range aliases() {
		if _, ok := strings.CutPrefix(o.Path, "/connections/{connection}/accounts/{account}/"); !ok {
			want = append(want, "`"+pattern+"?connection=ID")
		}
	}
	for _, text := range append(want, "`GET /healthz`", "`GET /readyz`", "`GET /saml/{connection}/login`") {
		if !strings.Contains(string(data), text) {
			t.Errorf("docs/server.md does not have %s", text)
		}
	}
	if len(want) < 20 {
		t.Errorf("only %d flags and routes were found: %q", len(want), want)
	}
}

// connect saves a connection with a token of its own.
func (m *mounted) connect(id, policyJSON string) (token string) {
	m.t.Helper()
	config, err := policy.Parse([]byte(policyJSON))
	if err != nil {
		m.t.Fatal(err)
	}
	actor := provision.Actor{Kind: "operator", ID: "test"}
	if _, err := m.engine.Directory(id).As(actor).UpdateConnection(m.t.Context(), with(provision.Connection{ID: id, SCIM: true, Policy: config})); err != nil {
		m.t.Fatal(err)
	}
	if token, _, err = m.engine.Directory(id).As(actor).IssueToken(m.t.Context(), time.Time{}); err != nil {
		m.t.Fatal(err)
	}
	return token
}

// foreignRow is a request of connection other that names what belongs to gate:
// <account> and <group>.
type foreignRow struct {
	method, path, query, body string
	status                    int
	want                      string
}

// foreignRows has rows of each route. The last ones make something in other.
func foreignRows() []foreignRow {
	var rows []foreignRow
	for _, action := range []string{"disable", "enable", "delete", "logged-in", "unbind", "edit", "remove-group"} {
		rows = append(rows, foreignRow{"POST", "/accounts/<account>/" + action, "&group=<group>", `{"twoFactor":"always"}`, 404, ""})
	}
	return append(rows, []foreignRow{
		{"GET", "/connections", "", "", 200, `[{"id":"other"`},
		{"GET", "/accounts", "", "", 200, "[]"},
		{"GET", "/accounts", "&userName=zebra0@example.com&deleted=true", "", 200, "[]"},
		{"GET", "/held", "", "", 200, "[]"},
		{"POST", "/held/release", "", `["<account>"]`, 404, ""},
		{"POST", "/held/release", "", `{"all":true}`, 200, `{"accounts":0}`},
		{"POST", "/held/keep", "", `["<account>"]`, 404, ""},
		{"POST", "/held/keep", "", `{"all":true}`, 200, `{"accounts":0}`},
		{"GET", "/groups", "", "", 200, "[]"},
		{"GET", "/events", "", "", 200, ""},
		{"GET", "/explain", "&account=<account>", "", 404, ""},
		{"POST", "/preview", "", `{"requiredGroups":"Nobody"}`, 200, "[]"},
		{"GET", "/parked", "", "", 200, "[]"},
		{"POST", "/redrive", "&account=<account>", "", 404, ""},
		{"POST", "/redrive", "&skip=true&account=<account>", "", 404, ""},
		{"POST", "/redrive", "", "", 200, `{"accounts":0}`},
		{"GET", "/refusals", "", "", 200, "[]"},
		{"GET", "/requests", "", "", 200, "[]"},
		{"POST", "/test-login", "", "", 409, "no SAML"},
		{"GET", "/host-groups", "", "", 200, "[]"},
		{"POST", "/host-groups", "", `[{"id":"<group>","name":"Mine"}]`, 200, "Mine"},
		{"POST", "/sync", "&force=true", `{"userName":"new@example.com"}` + "\n" + `{"displayName":"new","members":[{"value":"<account>"}]}`, 200, ""},
	}...)
}

// A thing of another connection is not there on any route, and nothing changes of
// it.
func TestRoutesKeepTenantsApart(t *testing.T) {
	m := mount(t, memory.New())
	token := m.connect("gate", `{"requiredGroups":"zebra"}`)
	m.connect("other", `{}`)
	account, group := m.fillGate(token)
	expand := strings.NewReplacer("<account>", account, "<group>", group).Replace

	mux := http.NewServeMux() // which route a row is of
	for pattern := range aliases() {
		mux.HandleFunc(pattern, http.NotFound)
	}
	gate := func() map[string]string {
		out := map[string]string{}
		for pattern := range aliases() {
			if method, path, _ := strings.Cut(pattern, " "); method == http.MethodGet {
				query := "?connection=gate"
				if path == "/explain" {
					query += "&account=" + account
				}
				out[path] = m.do(method, path+query, operatorToken, "").Body.String()
			}
		}
		return out
	}
	before, covered := gate(), map[string]bool{}
	for path, text := range before {
		if !strings.Contains(text, "zebra") && !strings.Contains(text, account) {
			t.Errorf("%s has nothing of gate to keep apart: %s", path, text)
		}
	}
	for _, row := range foreignRows() {
		path, query, body := expand(row.path), expand(row.query), expand(row.body)
		_, pattern := mux.Handler(httptest.NewRequestWithContext(t.Context(), row.method, path, nil))
		covered[pattern] = true
		w := m.do(row.method, path+"?connection=other"+query, operatorToken, body)
		answer := w.Body.String()
		if w.Code != row.status || !strings.Contains(answer, row.want) {
			t.Errorf("%s %s%s %s: %d %s, want %d and %q", row.method, row.path, row.query, row.body, w.Code, answer, row.status, row.want)
		}
		if strings.Contains(answer, "zebra") {
			t.Errorf("%s %s%s tells of the other connection: %s", row.method, row.path, row.query, answer)
		}
		if diff := cmp.Diff(before, gate()); diff != "" {
			t.Fatalf("%s %s%s %s changed the other connection (-before +after):\n%s", row.method, row.path, row.query, row.body, diff)
		}
	}
	for pattern := range aliases() {
		if !covered[pattern] {
			t.Errorf("%s has no row", pattern)
		}
	}
}

// SCIM has two addresses, and any number of slashes in them counts as one: every
// answer is SCIM's JSON, and none a redirect. The rest is not SCIM's.
func TestSCIMAddresses(t *testing.T) {
	m := mount(t, memory.New())
	tokens := map[string]string{"gate": m.connect("gate", `{}`), "Users": m.connect("Users", `{}`), "nobody": "nobody"}
	tests := []struct {
		path, as string
		want     int
		location string // where the answer says it is
	}{
		{"/scim/v2/Users", "gate", 200, ""},
		{"/scim/gate/v2/Users", "gate", 200, ""},
		{"/scim/Users/v2/Users", "Users", 200, ""},
		{"/scim/Users/v2/Users", "gate", 404, ""},
		{"/scim/nobody/v2/Users", "gate", 404, ""},
		{"/scim/v2", "gate", 200, ""},
		{"/scim/v2/", "gate", 200, ""},
		{"/scim/gate/v2", "gate", 200, ""},
		{"/scim/v2//Users", "gate", 200, ""},
		{"/scim/v2//Users", "nobody", 401, ""},
		{"//scim///gate//v2//Users/", "gate", 200, ""},
		{"/scim/v2/ServiceProviderConfig", "gate", 200, "https://app.example/scim/v2/ServiceProviderConfig"},
		{"/scim/gate/v2//ServiceProviderConfig", "gate", 200, "https://app.example/scim/gate/v2/ServiceProviderConfig"},
		{"/scim", "gate", 404, ""},
		{"/scim/", "gate", 404, ""},
		{"/scim/gate", "gate", 404, ""},
		{"/scim/gate/v3/Users", "gate", 404, ""},
		{"/scim/v2/x/Users", "gate", 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.path+" as "+tt.as, func(t *testing.T) {
			w := m.do(http.MethodGet, tt.path, tokens[tt.as], "")
			if w.Code != tt.want || w.Header().Get("Content-Type") != "application/scim+json" {
				t.Errorf("%d, want %d; %s: %s", w.Code, tt.want, w.Header().Get("Content-Type"), w.Body)
			}
			if !strings.Contains(w.Body.String(), tt.location) {
				t.Errorf("no %s in %s", tt.location, w.Body)
			}
		})
	}
	if w := m.do(http.MethodGet, "/scimitar", tokens["gate"], ""); w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "SCIM") {
		t.Errorf("/scimitar: %d %s", w.Code, w.Body)
	}
}

// fillGate gives connection gate something for each route to show: accounts, all
// held, in a group, a group of the host, a parked event and a refusal. The word
// zebra is in all of them. It returns the ids of an account and of the group.
func (m *mounted) fillGate(token string) (account, group string) {
	m.t.Helper()
	ctx, gate := m.t.Context(), m.engine.Directory("gate")
	create := func(method, path, body string) string {
		w := m.do(method, "/scim/v2"+path, token, body)
		if w.Code >= 300 {
			m.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
		_, rest, _ := strings.Cut(w.Body.String(), `"id":"`)
		id, _, _ := strings.Cut(rest, `"`)
		return id
	}
	var members []string
	for i := range 12 {
		members = append(members, `{"value":"`+create("POST", "/Users", strings.ReplaceAll(newUser, "ada", fmt.Sprint("zebra", i)))+`"}`)
	}
	group = create("POST", "/Groups", fmt.Sprintf(groupBody, "zebra", strings.Join(members, ",")))
	create("PUT", "/Groups/"+group, fmt.Sprintf(groupBody, "zebra lost", strings.Join(members, ",")))
	if err := gate.RegisterGroups(ctx, provision.HostGroup{ID: "17", Name: "zebra"}); err != nil {
		m.t.Fatal(err)
	}
	m.engine.Plumbing().CountRefusal("gate", "192.0.2.1", "zebra")
	list, err := gate.Accounts(ctx, store.AccountQuery{Limit: 1})
	if err != nil {
		m.t.Fatal(err)
	}
	m.engine.Plumbing().NoteRequest("gate", provision.Request{Protocol: "scim", Method: "POST", Path: "/Users", Status: 400, Code: "zebra"})
	if err := m.engine.Plumbing().FlushRequests(ctx); err != nil {
		m.t.Fatal(err)
	}
	m.park(list[0].ID)
	return list[0].ID, group
}

// park fails at the events of gate until the account is parked.
func (m *mounted) park(account string) {
	m.t.Helper()
	ctx, stop := context.WithTimeout(m.t.Context(), 20*time.Second)
	defer stop()
	consumer := m.engine.Consumer(logConsumer)
	parked := func() bool {
		list, _ := consumer.Parked(m.t.Context(), "gate") // an error before the consumer is known
		return strings.Contains(fmt.Sprint(list), account)
	}
	done := make(chan error, 1)
	go func() {
		done <- consumer.Deliver(ctx, func(_ context.Context, d provision.Delivery) error {
			if d.Event.Connection == "gate" {
				return errors.New("no")
			}
			return nil
		}, provision.DeliveryOptions{Attempts: 1})
	}()
	for !parked() && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	stop()
	<-done
	if !parked() {
		m.t.Fatal("nothing is parked")
	}
}

// with replaces all settings of a connection.
func with(c provision.Connection) func(*provision.Connection) error {
	return func(stored *provision.Connection) error {
		*stored = c
		return nil
	}
}

// The process lives although its store does not answer; it is not ready then.
func TestHealthWithoutStore(t *testing.T) {
	st := memory.New()
	m := mount(t, st)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		if w := m.do("GET", path, "", ""); w.Code != want {
			t.Errorf("%s: %d %s, want %d", path, w.Code, w.Body, want)
		}
	}
}
