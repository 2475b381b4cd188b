package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/console"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store/memory"
)

const gateToken = "token-of-gate-0123456789abcdef-0123456789"

// startWith runs the server with one connection named "gate".
func startWith(t *testing.T, policyJSON string) *running {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.json")
	text := `{"connections":[{"id":"gate","scim":{"token":"` + gateToken + `"},"policy":` + policyJSON + `}]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, "-db", ":memory:", "-config", file, "-operator-token", operatorToken)
}

// scim sends a SCIM request that must succeed, and returns the id in the answer.
func (r *running) scim(method, path, body string) string {
	r.t.Helper()
	status, answer := r.do(method, "/scim/v2"+path, gateToken, body)
	if status >= 300 {
		r.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	var resource struct{ ID string }
	_ = json.Unmarshal([]byte(answer), &resource) // nothing is there after a DELETE
	return resource.ID
}

// operate sends an operator's request, compares the status and a part of the
// answer, and returns the answer.
func (r *running) operate(method, path, body string, status int, want string) string {
	r.t.Helper()
	got, answer := r.do(method, path, operatorToken, body)
	if got != status || !strings.Contains(answer, want) {
		r.t.Errorf("%s %s %s: %d %s, want %d and %q", method, path, body, got, answer, status, want)
	}
	return answer
}

func (r *running) accounts() []provision.Account {
	r.t.Helper()
	var list []provision.Account
	if err := json.Unmarshal([]byte(r.get("/accounts?connection=gate", operatorToken)), &list); err != nil {
		r.t.Fatal(err)
	}
	return list
}

const groupBody = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"%s","members":[%s]}`

func TestAccountActions(t *testing.T) {
	s := startWith(t, `{"siteAdminGroups":"Admins","deprovisionGroups":false}`)
	id := s.scim("POST", "/Users", newUser)
	admins := s.scim("POST", "/Groups", fmt.Sprintf(groupBody, "Admins", `{"value":"`+id+`"}`))
	account := "/accounts/" + s.accounts()[0].ID
	const at = "?connection=gate"

	s.operate("POST", account+"/disable"+at, "", 409, "last site admin")
	s.operate("POST", account+"/delete"+at, "", 409, "last site admin")
	s.operate("POST", account+"/remove-group"+at+"&group="+admins, "", 409, "identity provider")
	boss := s.scim("POST", "/Users", strings.ReplaceAll(newUser, "ada", "boss"))
	s.scim("PUT", "/Groups/"+admins, fmt.Sprintf(groupBody, "Admins", `{"value":"`+boss+`"}`))
	s.operate("POST", account+"/remove-group"+at+"&group="+admins, "", 200, `"groups":[]`)
	s.operate("POST", account+"/remove-group"+at+"&group="+admins, "", 404, "does not carry")
	s.operate("POST", account+"/remove-group"+at, "", 400, "group")
	s.operate("POST", account+"/disable"+at, "", 200, `"status":"disabled"`)
	s.operate("POST", account+"/enable"+at, "", 200, `"status":"active"`)
	s.operate("POST", account+"/edit"+at, `{"twoFactor":"always","permissions":{"ftp":false}}`, 200, `"ftp":false`)
	s.operate("POST", account+"/edit"+at, `{"authentication":"password"}`, 200, `"authentication":"password"`)
	s.operate("POST", account+"/edit"+at, `{"twoFactor":"x"}`, 400, "site, always, never")
	s.operate("POST", account+"/edit"+at, `{"siteAdmin":true}`, 400, "siteAdmin")
	s.operate("POST", account+"/edit"+at, `{} {}`, 400, "after top-level value")
	s.operate("POST", account+"/edit"+at, `{"twoFactor":7}`, 400, `expected: twoFactor: a number in the place of a text"`)
	s.operate("POST", account+"/edit"+at, `{"permission":{}}`, 400, `there are authentication, twoFactor, permissions; did you mean \"permissions\"?`)
	s.operate("POST", account+"/edit"+at, `{"permissions":{"webdavv":true}}`, 400, `\"webdavv\": it is not one of ftp, sftp, webdav; did you mean \"webdav\"?"`)
	s.operate("POST", account+"/edit"+at, `{"twoFactor":"allways"}`, 400, `"code":"argument_two_factor"`)
	s.operate("POST", account+"/dissable"+at, ``, 404, `did you mean \"disable\"?`)
	s.operate("POST", account+"/edit"+at, `{"permissions":[]}`, 400, `expected: permissions: a list in the place of an object"`)
	s.operate("POST", account+"/edit"+at, `[]`, 400, `expected: a list in the place of an object"`)
	s.operate("POST", account+"/edit"+at, ``, 400, `expected: it is empty"`)
	s.operate("POST", account+"/edit"+at, `{`, 400, `expected: it ends too early"`)
	s.operate("POST", account+"/edit"+at, strings.Repeat(" ", console.MaxBody+1), 413, "larger")
	s.operate("POST", account+"/unbind"+at, "", 200, `"userName"`)
	s.operate("POST", account+"/logged-in"+at, "", 200, `"twoFactor":"always"`)
	s.operate("POST", account+"/delete"+at, "", 200, `"status":"deleted"`)
	s.operate("POST", account+"/enable"+at, "", 404, "no account")
	s.operate("POST", "/accounts/nobody/disable"+at, "", 404, "nobody")
	s.operate("POST", account+"/frobnicate"+at, "", 404, "frobnicate")
	s.operate("POST", account+"/disable", "", 400, "connection")
	if status, _ := s.do("POST", account+"/disable"+at, gateToken, ""); status != http.StatusUnauthorized {
		t.Errorf("with a SCIM token: %d, want 401", status)
	}
	if got := s.get("/events?connection=gate", operatorToken); strings.Count(got, `"actor":{"kind":"operator","id":"http"}`) != 6 {
		t.Errorf("the events do not name the operator six times: %s", got)
	}
}

func TestHeldEndpoints(t *testing.T) {
	s := startWith(t, `{"requiredGroups":"Staff"}`)
	var members []string
	for i := range 12 {
		id := s.scim("POST", "/Users", strings.ReplaceAll(newUser, "ada", fmt.Sprint("u", i)))
		members = append(members, `{"value":"`+id+`"}`)
	}
	staff := s.scim("POST", "/Groups", fmt.Sprintf(groupBody, "Staff", strings.Join(members, ",")))
	const at = "?connection=gate"
	s.operate("GET", "/held"+at, "", 200, "[]")
	s.scim("PUT", "/Groups/"+staff, fmt.Sprintf(groupBody, "Others", strings.Join(members, ",")))
	held := func() (list []provision.Account) {
		t.Helper()
		if err := json.Unmarshal([]byte(s.get("/held"+at, operatorToken)), &list); err != nil {
			t.Fatal(err)
		}
		return list
	}
	before := held()
	if len(before) != 12 {
		t.Fatalf("%d accounts are held, want 12", len(before))
	}
	one, two := before[0].ID, before[1].ID
	s.operate("POST", "/held/release"+at, `["`+one+`"]`, 200, `{"accounts":1}`)
	s.operate("POST", "/held/keep"+at, `["`+two+`"]`, 200, `{"accounts":1}`)
	s.operate("POST", "/held/release"+at, `["`+two+`x"]`, 404, "does not exist")
	for _, body := range []string{"", "[]", "{}", `{"all":false}`, `{"all":1}`, `{"every":true}`, `"all"`, `[1]`} {
		answer := s.operate("POST", "/held/release"+at, body, 400, "")
		if strings.Contains(answer, "Go ") || strings.Contains(answer, "struct") {
			t.Errorf("%s: the answer shows a Go type: %s", body, answer)
		}
	}
	s.operate("POST", "/held/drop"+at, `{"all":true}`, 404, "/held/drop")
	if n := len(held()); n != 10 {
		t.Errorf("%d accounts are held, want 10", n)
	}
	s.operate("POST", "/held/release"+at, `{"all":true}`, 200, `{"accounts":10}`)
	active := 0
	for _, a := range s.accounts() {
		if a.Status == policy.StatusActive {
			active++
		}
	}
	if active != 1 || len(held()) != 0 {
		t.Errorf("%d accounts are active, %d held; want one, canceled, and none", active, len(held()))
	}
}

func TestHostGroupEndpoints(t *testing.T) {
	s := startWith(t, `{"defaultGroups":["everyone"]}`)
	const at = "?connection=gate"
	s.operate("GET", "/host-groups"+at, "", 200, "[]")
	s.scim("POST", "/Users", newUser)
	s.operate("POST", "/host-groups"+at, `[{"id":"17","name":"Everyone"}]`, 200, `[{"id":"17","name":"Everyone"}]`)
	if a := s.accounts()[0]; len(a.Groups) != 1 || a.Groups[0].ID != "17" {
		t.Errorf("groups %v, want 17", a.Groups)
	}
	s.operate("POST", "/host-groups"+at, `[{"id":"17"}]`, 400, "name")
	s.operate("POST", "/host-groups"+at, `null`, 400, "array")
	s.operate("GET", "/host-groups"+at, "", 200, "Everyone")
}

// What was refused is listed with address and cause.
func TestRefusalsEndpoint(t *testing.T) {
	s := startWith(t, `{}`)
	for range 3 {
		_, _ = s.do("GET", "/scim/gate/v2/Users", "wrong", "")
	}
	_, _ = s.do("GET", "/scim/v2/Users", "wrong", "")
	_, _ = s.do("GET", "/accounts?connection=gate", "wrong", "")
	_, _ = s.do("POST", "/scim/v2/Users", gateToken, `{`)
	got := s.operate("GET", "/refusals?connection=gate", "", 200, `"address":"127.0.0.1","cause":"unauthenticated","count":3}`)
	if !strings.Contains(got, `"cause":"invalidSyntax","count":1}`) {
		t.Errorf("of the connection: %s, want an invalid body", got)
	}
	got = s.operate("GET", "/refusals", "", 200, `"cause":"unauthenticated","count":1}`)
	if !strings.Contains(got, `"cause":"operatorToken","count":1}`) {
		t.Errorf("of no connection: %s, want the operator's token", got)
	}
	s.operate("GET", "/refusals?since=2099-01-01T00:00:00Z", "", 200, "[]")
	s.operate("GET", "/refusals?since=yesterday", "", 400, "since")
	s.operate("GET", "/refusals?connection=x", "", 404, "x")
}

// Parked events are listed, tried again and skipped.
func TestParkedEndpoints(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	engine := &provision.Engine{Store: memory.New(), Logger: logger}
	actor := provision.Actor{Kind: "operator", ID: "test"}
	if _, err := engine.Directory("gate").As(actor).UpdateConnection(t.Context(), with(provision.Connection{ID: "gate"})); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(newHandler(newAPI(engine, operatorToken)))
	defer server.Close()
	s := &running{t: t, base: server.URL}

	const at = "?connection=gate&consumer=host"
	s.operate("GET", "/parked"+at, "", 404, "consumer")
	s.operate("POST", "/redrive"+at, "", 404, "consumer")
	host := engine.Consumer("host")
	if err := host.Register(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.operate("GET", "/parked"+at, "", 200, "[]")
	s.operate("POST", "/redrive"+at, "", 200, `{"accounts":0}`)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		no := func(context.Context, provision.Delivery) error { return errors.New("no") }
		done <- host.Deliver(ctx, no, provision.DeliveryOptions{Attempts: 1})
	}()
	deadline := time.After(20 * time.Second)
	for s.operate("GET", "/parked"+at, "", 200, "") == "[]\n" {
		select {
		case <-deadline:
			t.Fatal("nothing is parked")
		case <-time.After(time.Millisecond):
		}
	}
	stop()
	<-done
	s.operate("GET", "/parked"+at, "", 200, `"account":"","sequence":1,`)
	s.operate("GET", "/parked"+at, "", 200, `"lastError":"no"`)
	s.operate("GET", "/parked?connection=gate", "", 404, "consumer") // "log" has not begun
	s.operate("POST", "/redrive"+at+"&account=nobody", "", 404, "nobody")
	s.operate("POST", "/redrive"+at, "", 200, `{"accounts":1}`)
	s.operate("GET", "/parked"+at, "", 200, `"redriven":true`)
	s.operate("POST", "/redrive"+at+"&skip=true&account=", "", 200, `{"accounts":1}`)
	s.operate("GET", "/parked"+at, "", 200, "[]")
}
