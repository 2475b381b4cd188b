package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// output collects what the server prints and tells when it is ready.
type output struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	ready chan struct{}
	once  sync.Once
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(p)
	if bytes.Contains(o.buf.Bytes(), []byte("SCIM base URL: ")) {
		o.once.Do(func() { close(o.ready) })
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// running is a server in this process.
type running struct {
	t      *testing.T
	out    *output
	log    *output
	cancel context.CancelFunc
	done   chan error

	base, token, operator string
}

// start runs the server with a free port until stop.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{t: t, cancel: cancel, done: make(chan error, 1)}
	r.out, r.log = &output{ready: make(chan struct{})}, &output{ready: make(chan struct{})}
	go func() { r.done <- run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), r.out, r.log) }()
	select {
	case <-r.out.ready:
	case err := <-r.done:
		cancel()
		t.Fatalf("the server ended: %v", err)
	case <-time.After(30 * time.Second):
		cancel()
		t.Fatal("the server does not become ready")
	}
	t.Cleanup(r.stop)
	r.base = r.find(`(?m)^SCIM base URL: (http://127\.0\.0\.1:[0-9]+)/scim/v2$`)
	r.token = r.find(`(?m)^Token: (.*)$`)
	r.operator = r.find(`(?m)^Operator token: (.*)$`)
	return r
}

func (r *running) find(pattern string) string {
	if m := regexp.MustCompile(pattern).FindStringSubmatch(r.out.String()); m != nil {
		return m[1]
	}
	return ""
}

// stop asks the server to end and waits for it.
func (r *running) stop() {
	r.t.Helper()
	if r.cancel == nil {
		return
	}
	r.cancel()
	r.cancel = nil
	if err := <-r.done; err != nil {
		r.t.Errorf("the server ended with %v", err)
	}
}

// do sends a request and returns status and body.
func (r *running) do(method, path, token, body string) (int, string) {
	r.t.Helper()
	status, _, answer := r.send(method, path, token, body)
	return status, answer
}

// send is do with the header of the answer.
func (r *running) send(method, path, token, body string) (int, http.Header, string) {
	r.t.Helper()
	return r.sendWith(method, path, token, body, nil)
}

// header returns a header of what an operator reads.
func (r *running) header(path, name string) string {
	r.t.Helper()
	_, header, _ := r.send("GET", path, operatorToken, "")
	return header.Get(name)
}

// sendWith is send with headers.
func (r *running) sendWith(method, path, token, body string, headers map[string]string) (int, http.Header, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.base+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(data)
}

// get is do for reads that must succeed.
func (r *running) get(path, token string) string {
	r.t.Helper()
	status, body := r.do("GET", path, token, "")
	if status != http.StatusOK {
		r.t.Fatalf("GET %s: %d %s", path, status, body)
	}
	return body
}

// operatorToken is the one that tests choose.
const operatorToken = "operator-token-0123456789abcdef-0123456789"

const newUser = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada@example.com"}`

// Accounts survive a restart; the demo token does not.
func TestRestart(t *testing.T) {
	db := filepath.Join(t.TempDir(), "provision.db")
	first := start(t, "-db", db)
	if status, body := first.do("POST", "/scim/v2/Users", first.token, newUser); status != http.StatusCreated {
		t.Fatalf("creating a user: %d %s", status, body)
	}
	accounts := first.get("/accounts?connection=demo", first.operator)
	events := first.get("/events?connection=demo", first.operator)
	first.stop()

	second := start(t, "-db", db)
	if got := second.get("/accounts?connection=demo", second.operator); got != accounts {
		t.Errorf("accounts after a restart:\n%s\nbefore:\n%s", got, accounts)
	}
	if got := second.get("/events?connection=demo", second.operator); !strings.HasPrefix(got, events) {
		t.Errorf("events after a restart:\n%s\nbefore:\n%s", got, events)
	}
	if status, _ := second.do("GET", "/scim/v2/Users", first.token, ""); status != http.StatusUnauthorized {
		t.Errorf("the demo token of the first run still works: %d", status)
	}
	if got := second.get("/scim/v2/Users", second.token); !strings.Contains(got, `"totalResults":1`) {
		t.Errorf("users after a restart: %s", got)
	}
}

func TestOperatorEndpoints(t *testing.T) {
	s := start(t, "-db", ":memory:", "-operator-token", operatorToken)
	if s.operator != "" {
		t.Error("a chosen operator token is printed")
	}
	for _, name := range []string{"ada", "bob", "cyd"} {
		if status, body := s.do("POST", "/scim/v2/Users", s.token, strings.ReplaceAll(newUser, "ada", name)); status != http.StatusCreated {
			t.Fatalf("creating a user: %d %s", status, body)
		}
	}
	tests := []struct {
		name, path, token string
		status            int
		want              string
	}{
		{"no token", "/accounts?connection=demo", "", 401, "operator token"},
		{"the SCIM token", "/accounts?connection=demo", s.token, 401, "operator token"},
		{"groups without a token", "/groups?connection=demo", "", 401, ""},
		{"events without a token", "/events?connection=demo", "", 401, ""},
		{"no connection", "/accounts", operatorToken, 400, "connection"},
		{"unknown connection", "/events?connection=x", operatorToken, 404, `\"x\"`},
		{"bad limit", "/accounts?connection=demo&limit=x", operatorToken, 400, "limit"},
		{"narrowed", "/accounts?connection=demo&userName=BOB@example.com", operatorToken, 200, "bob@example.com"},
		{"nobody", "/accounts?connection=demo&userName=eve", operatorToken, 200, "[]"},
		{"no groups", "/groups?connection=demo", operatorToken, 200, "[]"},
		{"health needs no token", "/healthz", "", 200, "ok"},
		{"readiness needs no token", "/readyz", "", 200, "ok"},
		{"unknown path", "/nothing", operatorToken, 404, ""},
		{"connection in the path", "/scim/demo/v2/Users", s.token, 200, "totalResults"},
		{"another connection in the path", "/scim/other/v2/Users", s.token, 404, "status"},
		{"no version in the path", "/scim/demo/Users", s.token, 404, ""},
	}
	for _, test := range tests {
		status, body := s.do("GET", test.path, test.token, "")
		if status != test.status || !strings.Contains(body, test.want) {
			t.Errorf("%s: %d %s, want %d and %q", test.name, status, body, test.status, test.want)
		}
	}
	s.checkPages("/accounts?connection=demo", "id", 3)
	if got := strings.Count(s.get("/events?connection=demo&after=1&limit=2", operatorToken), "\n"); got != 2 {
		t.Errorf("%d events with limit 2", got)
	}
}

// checkPages walks pages of one and compares them with the whole.
func (r *running) checkPages(path, cursor string, want int) {
	r.t.Helper()
	decode := func(body string) []map[string]any {
		var list []map[string]any
		if err := json.Unmarshal([]byte(body), &list); err != nil {
			r.t.Fatalf("%s: %v in %s", path, err, body)
		}
		return list
	}
	whole := decode(r.get(path, operatorToken))
	if len(whole) != want {
		r.t.Errorf("%s has %d rows, want %d", path, len(whole), want)
	}
	after := ""
	for i := range whole {
		page := decode(r.get(path+"&limit=1&after="+after, operatorToken))
		if len(page) != 1 || page[0][cursor] != whole[i][cursor] {
			r.t.Fatalf("page %d is %v, want %v", i, page, whole[i][cursor])
		}
		after = page[0][cursor].(string)
	}
}

func TestConfigErrors(t *testing.T) {
	var rows []struct{ Name, Config, Want, Secret string }
	data, err := os.ReadFile("testdata/config_errors.json")
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&rows); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		t.Run(row.Name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config.json")
			if err := os.WriteFile(file, []byte(row.Config), 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err := run(t.Context(), []string{"-addr", "127.0.0.1:0", "-db", ":memory:", "-config", file}, &out, &out)
			if err == nil {
				t.Fatal("the server started")
			}
			if !strings.Contains(err.Error(), file+": ") || !strings.Contains(err.Error(), row.Want) {
				t.Errorf("error %q, want the file and %q", err, row.Want)
			}
			if row.Secret != "" && strings.Contains(err.Error(), row.Secret) {
				t.Errorf("the error %q tells the secret", err)
			}
			if strings.Contains(out.String(), "SCIM base URL") {
				t.Error("the server said that it is ready")
			}
		})
	}
}

// A configuration is applied at each start: what it does not list is disabled,
// and an edited policy counts for the accounts that exist.
func TestConfig(t *testing.T) {
	dir := t.TempDir()
	db, file := filepath.Join(dir, "provision.db"), filepath.Join(dir, "config.json")
	const tokenA, tokenB = "token-of-a-0123456789abcdef-0123456789", "token-of-b-0123456789abcdef-0123456789"
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a := `{"id":"a","name":"A","dialect":"okta","scim":{"token":"` + tokenA + `","expires":"2099-01-01T00:00:00Z"},"attributes":["title"],"policy":{"company":"One"}}`
	b := `{"id":"b","scim":{"token":"` + tokenB + `"}}`
	args := []string{"-db", db, "-config", file, "-operator-token", operatorToken}

	write(`{"connections":[` + a + `,` + b + `]}`)
	s := start(t, args...)
	if s.token != "" {
		t.Error("a configured server prints a token")
	}
	for _, token := range []string{tokenA, tokenB} {
		if status, body := s.do("POST", "/scim/v2/Users", token, newUser); status != http.StatusCreated {
			t.Fatalf("creating a user: %d %s", status, body)
		}
	}
	if got := s.get("/accounts?connection=a", operatorToken); !strings.Contains(got, `"company":"One"`) {
		t.Errorf("accounts of a: %s", got)
	}
	eventsA := s.get("/events?connection=a", operatorToken)
	s.stop()

	s = start(t, args...)
	if got := s.get("/events?connection=a", operatorToken); got != eventsA {
		t.Errorf("an unchanged configuration made events: %s, before %s", got, eventsA)
	}
	s.stop()

	write(`{"connections":[` + strings.ReplaceAll(a, "One", "Two") + `]}`)
	s = start(t, args...)
	if got := s.get("/accounts?connection=a", operatorToken); !strings.Contains(got, `"company":"Two"`) {
		t.Errorf("accounts of a after an edit: %s", got)
	}
	if status, _ := s.do("GET", "/scim/v2/Users", tokenB, ""); status != http.StatusUnauthorized {
		t.Errorf("the token of an unlisted connection: %d, want 401", status)
	}
	if !strings.Contains(s.log.String(), "connection disabled") {
		t.Error("the disabled connection is not logged")
	}
	s.stop()
}

// A configuration that fails anywhere changes nothing, and a server that cannot
// listen takes nothing from one that runs.
func TestFailedStart(t *testing.T) {
	dir := t.TempDir()
	db, file := filepath.Join(dir, "provision.db"), filepath.Join(dir, "config.json")
	s := start(t, "-db", db)
	var out bytes.Buffer
	address := strings.TrimPrefix(s.base, "http://")
	if err := run(t.Context(), []string{"-addr", address, "-db", db}, &out, &out); err == nil {
		t.Error("a second server listens at the same address")
	}
	s.get("/scim/v2/Users", s.token) // the token still works
	s.stop()

	good := `{"id":"a","scim":{"token":"token-of-a-0123456789abcdef-0123456789"}}`
	if err := os.WriteFile(file, []byte(`{"connections":[`+good+`,{"id":"b","policy":{"siteAdminGroups":"*"}}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"-addr", "127.0.0.1:0", "-db", db, "-config", file}, &out, &out); err == nil {
		t.Fatal("the server started")
	}
	s = start(t, "-db", db, "-operator-token", operatorToken)
	if status, _ := s.do("GET", "/accounts?connection=a", operatorToken, ""); status != http.StatusNotFound {
		t.Errorf("a connection beside a wrong one was saved: %d", status)
	}
}

// A token may move to another connection when its own one goes.
func TestTokenMoves(t *testing.T) {
	dir := t.TempDir()
	db, file := filepath.Join(dir, "provision.db"), filepath.Join(dir, "config.json")
	const token = "token-that-moves-0123456789abcdef-0123456789"
	for _, id := range []string{"before", "after"} {
		if err := os.WriteFile(file, []byte(`{"connections":[{"id":"`+id+`","scim":{"token":"`+token+`"}}]}`), 0o600); err != nil {
			t.Fatal(err)
		}
		s := start(t, "-db", db, "-config", file)
		s.get("/scim/"+id+"/v2/Users", token)
		s.stop()
	}
}

func TestBadFlags(t *testing.T) {
	for _, args := range [][]string{{"-nothing"}, {"extra"}, {"-rate", "-1"}, {"-config", "does-not-exist.json"}, {"-db", "postgres://u:p@host:port/x"}, {"-db", "postgres://127.0.0.1:1/x?sslmode=disable"}, {"-db", t.TempDir()}} {
		var out bytes.Buffer
		if err := run(t.Context(), append([]string{"-addr", "127.0.0.1:0"}, args...), &out, &out); err == nil {
			t.Errorf("the server started with %q", args)
		}
	}
}
