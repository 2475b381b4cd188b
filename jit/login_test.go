package jit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// faultyStore fails or panics instead of writing.
type faultyStore struct {
	provision.Store
	err   error
	panic any
}

func (s *faultyStore) Update(ctx context.Context, conn string, fn func(context.Context, store.Tx) error) error {
	if s.panic != nil {
		panic(s.panic)
	}
	if s.err != nil {
		return s.err
	}
	return s.Store.Update(ctx, conn, fn)
}

// service is a login handler whose connection "acme" creates people.
type service struct {
	handler *jit.LoginHandler
	store   *faultyStore
	log     *bytes.Buffer
	logins  []string // "userName returnTo" of each call of OnLogin
	denials []*jit.Denial
}

func newService(t *testing.T, edit func(*provision.Connection)) *service {
	t.Helper()
	s := &service{store: &faultyStore{Store: memory.New()}, log: &bytes.Buffer{}}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	engine := &provision.Engine{Store: s.store, Now: func() time.Time { return now }}
	conn := provision.Connection{ID: "acme"}
	if edit != nil {
		edit(&conn)
	}
	if _, err := engine.Directory(conn.ID).As(provision.Actor{Kind: "operator"}).UpdateConnection(t.Context(), with(conn)); err != nil {
		t.Fatal(err)
	}
	s.handler = &jit.LoginHandler{
		Engine: engine,
		OnLogin: func(w http.ResponseWriter, _ *http.Request, a *provision.Account, returnTo string) {
			s.logins = append(s.logins, strings.TrimSpace(a.UserName+" "+returnTo))
			w.WriteHeader(http.StatusNoContent)
		},
		Logger: slog.New(slog.NewTextHandler(s.log, nil)),
	}
	return s
}

// record makes the host take refusals itself.
func (s *service) record() {
	s.handler.OnDenied = func(w http.ResponseWriter, _ *http.Request, d *jit.Denial) {
		s.denials = append(s.denials, d)
		w.WriteHeader(d.Status)
	}
}

func (s *service) login(t *testing.T, connection string, id provision.Identity, returnTo string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	s.handler.Login(w, httptest.NewRequestWithContext(t.Context(), "POST", "/saml/acme/acs", nil), connection, id, returnTo)
	return w
}

var ada = provision.Identity{ID: "1", UserName: "ada", Email: "ada@example.com"}

func TestLogin(t *testing.T) {
	s := newService(t, nil)
	for _, returnTo := range []string{"/files?a=b", "//evil.example", "https://evil.example/", ""} {
		if w := s.login(t, "acme", ada, returnTo); w.Code != http.StatusNoContent {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
	}
	if diff := cmp.Diff([]string{"ada /files?a=b", "ada", "ada", "ada"}, s.logins); diff != "" {
		t.Errorf("logins (-want +got):\n%s", diff)
	}
	if s.log.Len() > 0 {
		t.Errorf("a login is logged as a refusal: %s", s.log)
	}
	events, err := s.handler.Engine.Directory("acme").Events(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	created := 0
	for _, e := range events {
		if e.Type == store.AccountCreated {
			created++
			if e.Actor.Kind != "jit" {
				t.Errorf("the actor is %q", e.Actor.Kind)
			}
		}
	}
	if created != 1 {
		t.Errorf("%d accounts were created", created)
	}
}

// Every path that a mapping may have is one that a login takes.
func TestLoginTakesAllPaths(t *testing.T) {
	overrides := jit.Overrides{}
	var paths []string
	for _, path := range []string{
		"nickName", "title", "userType", "preferredLanguage", "locale", enterprise + "employeeNumber",
		enterprise + "costCenter", enterprise + "division", enterprise + "department",
	} {
		overrides[path] = "all"
		paths = append(paths, path)
	}
	s := newService(t, func(c *provision.Connection) { c.Attributes = paths })
	id, err := newMapping(t, "okta", overrides).Identity(jit.Assertion{
		NameID: provision.NameID{Value: "ada@example.com"}, Attributes: []jit.Attribute{attribute("all", "x")},
	})
	if err != nil || len(id.Attributes) != len(paths) {
		t.Fatalf("%d attributes, error %v", len(id.Attributes), err)
	}
	if w := s.login(t, "acme", id, ""); w.Code != http.StatusNoContent {
		t.Fatalf("status %d: %s", w.Code, s.log)
	}
	accounts, err := s.handler.Engine.Directory("acme").Accounts(t.Context(), store.AccountQuery{})
	if err != nil || len(accounts) != 1 {
		t.Fatalf("%d accounts, error %v", len(accounts), err)
	}
	for _, path := range paths {
		if got := string(accounts[0].Attributes[path]); got != `"x"` {
			t.Errorf("%s is %s", path, got)
		}
	}
}

const publicDenied = "You cannot be logged in to this application. Please ask your administrator."

func TestDenials(t *testing.T) {
	secret := errors.New("SQL secret detail")
	tests := []struct {
		name       string
		edit       func(*service)
		connection string
		err        error // for Fail; Login where nil
		status     int
		code       string
		retryAfter string
		public     string
		cause      string
		level      string
	}{
		{name: "nobody is created", connection: "scim", status: 403, code: "not_provisioned", public: publicDenied, cause: "provisionOnFirstLogin", level: "WARN"},
		{name: "disabled connection", connection: "closed", status: 403, code: "connection_disabled", public: publicDenied, cause: "disabled", level: "WARN"},
		{name: "unknown connection", connection: "nowhere", status: 404, code: "connection", public: "There is no login at this address. Please check it, or ask your administrator.", cause: "not found", level: "WARN"},
		{name: "busy store", edit: fault(&store.UnavailableError{RetryAfter: 1500 * time.Millisecond, Err: secret}), status: 503, code: "unavailable", retryAfter: "2", public: "The application is busy. Please wait a moment, then start again from the application.", cause: "SQL secret", level: "ERROR"},
		{name: "busy store without a time", edit: fault(&store.UnavailableError{Err: secret}), status: 503, code: "unavailable", retryAfter: "1", public: "The application is busy. Please wait a moment, then start again from the application.", cause: "SQL secret", level: "ERROR"},
		{name: "canceled", edit: fault(fmt.Errorf("SQL secret: %w", context.Canceled)), status: 503, code: "unavailable", retryAfter: "1", public: "The application is busy. Please wait a moment, then start again from the application.", cause: "SQL secret", level: "ERROR"},
		{name: "broken store", edit: fault(secret), status: 500, code: "internal", public: "Something went wrong. Please start again from the application, or ask your administrator.", cause: "SQL secret", level: "ERROR"},
		{name: "panic", edit: func(s *service) { s.store.panic = "SQL secret panic" }, status: 500, code: "internal", public: "Something went wrong. Please start again from the application, or ask your administrator.", cause: "SQL secret panic", level: "ERROR"},
		{name: "no engine", edit: func(s *service) { s.handler.Engine = nil }, status: 500, code: "internal", public: "Something went wrong. Please start again from the application, or ask your administrator.", cause: "the Engine is nil", level: "ERROR"},
		{name: "no OnLogin", edit: func(s *service) { s.handler.OnLogin = nil }, status: 500, code: "internal", public: "Something went wrong. Please start again from the application, or ask your administrator.", cause: "OnLogin is not set", level: "ERROR"},
		{name: "bad attribute", err: fmt.Errorf("reading: %w", &jit.AttributeError{Field: "email", Attribute: "mail", Problem: jit.Ambiguous}), status: 403, code: "attribute", public: publicDenied, cause: "several different values", level: "WARN"},
		{name: "wrapped denial", err: errors.Join(&provision.DeniedError{Code: policy.DeniedRecycled, Cause: "SQL secret"}, secret), status: 403, code: "recycled", public: publicDenied, cause: "SQL secret", level: "WARN"},
	}
	for _, test := range tests {
		for _, host := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/host=%v", test.name, host), func(t *testing.T) {
				s := newService(t, nil)
				for _, c := range []provision.Connection{
					{ID: "scim", SCIM: true}, {ID: "closed", Disabled: true},
				} {
					if _, err := s.handler.Engine.Directory(c.ID).As(provision.Actor{Kind: "operator"}).UpdateConnection(t.Context(), with(c)); err != nil {
						t.Fatal(err)
					}
				}
				if test.edit != nil {
					test.edit(s)
				}
				if host {
					s.record()
				}
				connection := test.connection
				if connection == "" {
					connection = "acme"
				}
				w := httptest.NewRecorder()
				r := httptest.NewRequestWithContext(t.Context(), "POST", "/saml/acme/acs", nil)
				if test.err != nil {
					s.handler.Fail(w, r, connection, test.err)
				} else {
					s.handler.Login(w, r, connection, ada, "/files")
				}
				if len(s.logins) > 0 {
					t.Error("somebody was logged in")
				}
				if w.Code != test.status || w.Header().Get("Retry-After") != test.retryAfter || w.Header().Get("Cache-Control") != "no-store" {
					t.Errorf("status %d, header %v", w.Code, w.Header())
				}
				id := s.checkLog(t, connection, test.status, test.code, test.cause, test.level)
				if host {
					s.checkDenial(t, id, test.status, test.code, test.public)
					return
				}
				checkPage(t, w, id, test.public, test.cause, test.code)
			})
		}
	}
}

func fault(err error) func(*service) {
	return func(s *service) { s.store.err = err }
}

// checkLog returns the id of the one line of the log.
func (s *service) checkLog(t *testing.T, connection string, status int, code, cause, level string) string {
	t.Helper()
	line := s.log.String()
	if strings.Count(line, "\n") != 1 {
		t.Errorf("the log is %q", line)
	}
	for _, want := range []string{
		"level=" + level, `msg="login denied"`, "connection=" + connection, fmt.Sprintf("status=%d", status), "code=" + code, cause,
	} {
		if !strings.Contains(line, want) {
			t.Errorf("the log has no %q: %s", want, line)
		}
	}
	id := regexp.MustCompile(` id=([A-Z2-7]{26}) `).FindStringSubmatch(line)
	if id == nil {
		t.Fatalf("the log has no id: %s", line)
	}
	return id[1]
}

func (s *service) checkDenial(t *testing.T, id string, status int, code, public string) {
	t.Helper()
	if len(s.denials) != 1 {
		t.Fatalf("%d calls of OnDenied", len(s.denials))
	}
	got := *s.denials[0]
	if got.Cause == nil {
		t.Error("no cause")
	}
	got.Cause = nil
	if diff := cmp.Diff(jit.Denial{ID: id, Status: status, Public: public, Code: code}, got); diff != "" {
		t.Errorf("denial (-want +got):\n%s", diff)
	}
}

// checkPage checks that the page is safe, and says the public text and the id
// and nothing of the cause.
func checkPage(t *testing.T, w *httptest.ResponseRecorder, id, public, cause, code string) {
	t.Helper()
	want := map[string]string{
		"Content-Type":            "text/html; charset=utf-8",
		"Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		"Referrer-Policy":         "no-referrer",
		"X-Content-Type-Options":  "nosniff",
	}
	for name, value := range want {
		if got := w.Header().Get(name); got != value {
			t.Errorf("%s is %q", name, got)
		}
	}
	body := w.Body.String()
	if !strings.Contains(body, "<p>"+public+"</p>") || !strings.Contains(body, "<code>"+id+"</code>") {
		t.Errorf("the page lacks the text or the id: %s", body)
	}
	body = strings.Replace(body, id, "", 1) // it may contain anything
	for _, private := range []string{"<script", "<style", "SQL", "acme", "ada", cause, ">" + code + "<", "_"} {
		if strings.Contains(body, private) {
			t.Errorf("the page shows %q: %s", private, body)
		}
	}
}

// Every refusal has its own id, and one kind has one text.
func TestDenialsOfAKindAreAlike(t *testing.T) {
	s := newService(t, func(c *provision.Connection) { c.SCIM = true })
	a, b := s.login(t, "acme", ada, ""), s.login(t, "acme", provision.Identity{UserName: "bob"}, "/x")
	code := regexp.MustCompile(`<code>[A-Z2-7]{26}</code>`)
	idA, idB := code.FindString(a.Body.String()), code.FindString(b.Body.String())
	if idA == "" || idA == idB {
		t.Errorf("the ids are %q and %q", idA, idB)
	}
	if diff := cmp.Diff(code.ReplaceAllString(a.Body.String(), ""), code.ReplaceAllString(b.Body.String(), "")); diff != "" {
		t.Errorf("pages differ:\n%s", diff)
	}
	if diff := cmp.Diff(a.Header(), b.Header()); diff != "" {
		t.Errorf("headers differ:\n%s", diff)
	}
}

func TestDeny(t *testing.T) {
	tests := []struct {
		status     int
		cause      error
		public     string
		retryAfter string
	}{
		{400, errors.New("x"), "This login cannot be completed. Please start again from the application.", ""},
		{403, errors.New("x"), publicDenied, ""},
		{403, nil, publicDenied, ""},
		{503, errors.New("x"), "The application is busy. Please wait a moment, then start again from the application.", "1"},
		{418, errors.New("x"), "Something went wrong. Please start again from the application, or ask your administrator.", ""},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.status), func(t *testing.T) {
			s := newService(t, nil)
			w := httptest.NewRecorder()
			s.handler.Deny(w, httptest.NewRequestWithContext(t.Context(), "POST", "/", nil), "acme", test.status, "signature", test.cause)
			if w.Code != test.status || w.Header().Get("Retry-After") != test.retryAfter {
				t.Errorf("status %d, header %v", w.Code, w.Header())
			}
			checkPage(t, w, regexp.MustCompile(`[A-Z2-7]{26}`).FindString(s.log.String()), test.public, "signature", "signature")
		})
	}
}

// Whoever sends a message cannot fill the log by it.
func TestLongCauses(t *testing.T) {
	long := strings.Repeat("é", 50<<10)
	for status, most := range map[int]int{400: 2 << 10, 403: 2 << 10, 500: 20 << 10} {
		s := newService(t, nil)
		s.handler.Deny(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "POST", "/", nil), "acme", status, "x", errors.New("x"+long))
		if n := s.log.Len(); n > most || n < most/2 {
			t.Errorf("status %d: %d bytes", status, n)
		}
		if !utf8.Valid(s.log.Bytes()) || strings.Contains(s.log.String(), `\x`) {
			t.Errorf("status %d: a letter is cut", status)
		}
	}
}

// The host's own panics, and aborted requests, are not ours to answer.
func TestPanicsPass(t *testing.T) {
	tests := []struct {
		name string
		edit func(*service)
		want any
	}{
		{"aborted", func(s *service) { s.store.panic = http.ErrAbortHandler }, http.ErrAbortHandler},
		{"OnLogin", func(s *service) {
			s.handler.OnLogin = func(http.ResponseWriter, *http.Request, *provision.Account, string) { panic("host") }
		}, "host"},
		{"OnDenied", func(s *service) {
			s.store.err = errors.New("x")
			s.handler.OnDenied = func(http.ResponseWriter, *http.Request, *jit.Denial) { panic("host") }
		}, "host"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t, nil)
			test.edit(s)
			defer func() {
				if got := recover(); got != test.want {
					t.Errorf("the panic is %v, want %v", got, test.want)
				}
			}()
			s.login(t, "acme", ada, "")
		})
	}
}

// Everybody of the recorded shapes logs in, and again to the same account:
// nothing that changes from login to login, such as a transient NameID, is a
// key.
func TestPresetsLogIn(t *testing.T) {
	for _, file := range readPresets(t) {
		for _, c := range file.Cases {
			if c.Identity == nil {
				continue
			}
			t.Run(file.Preset+"/"+c.Name, func(t *testing.T) {
				s := newService(t, nil)
				m := newMapping(t, file.Preset, file.Overrides)
				want := http.StatusNoContent
				if c.Identity.UserName+c.Identity.Email == "" {
					want = http.StatusForbidden // nothing to create an account with
				}
				for i := range 2 {
					assertion := c.Assertion.assertion()
					if assertion.NameID.Format == jit.NameIDTransient {
						assertion.NameID.Value = fmt.Sprintf("_%d", i)
					}
					id, err := m.Identity(assertion)
					if err != nil {
						t.Fatal(err)
					}
					if w := s.login(t, "acme", id, ""); w.Code != want {
						t.Errorf("login %d: status %d: %s", i, w.Code, s.log)
					}
				}
				accounts, err := s.handler.Engine.Directory("acme").Accounts(t.Context(), store.AccountQuery{})
				if err != nil {
					t.Fatal(err)
				}
				if logins := len(s.logins); want == http.StatusNoContent && len(accounts) != 1 || logins != 2*len(accounts) {
					t.Errorf("%d accounts after %d logins", len(accounts), logins)
				}
				for _, a := range accounts {
					if diff := cmp.Diff(c.groupNames(), accountGroups(a)); diff != "" {
						t.Errorf("groups (-want +got):\n%s", diff)
					}
				}
			})
		}
	}
}

func (c presetCase) groupNames() []string {
	names := []string{}
	for _, g := range c.Identity.Groups {
		names = append(names, g.Name)
	}
	slices.Sort(names)
	return names
}

func accountGroups(a *provision.Account) []string {
	names := []string{}
	for _, g := range a.Groups {
		names = append(names, g.Name)
	}
	slices.Sort(names)
	return names
}

// Refusals are counted by address and code, logins are not.
func TestRefusalsAreCounted(t *testing.T) {
	s := newService(t, func(c *provision.Connection) { c.SCIM = true })
	eve := provision.Identity{UserName: "eve"}
	s.login(t, "acme", eve, "")
	s.login(t, "acme", eve, "")
	s.handler.Address = func(*http.Request) string { return "2001:db8::1" }
	s.login(t, "acme", eve, "")
	w := httptest.NewRecorder()
	s.handler.Deny(w, httptest.NewRequestWithContext(t.Context(), "POST", "/", nil), "acme", 400, "signature", errors.New("x"))
	got, err := s.handler.Engine.Refusals(t.Context(), "acme", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	minute := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	want := []provision.Refusal{
		{Minute: minute, Address: "192.0.2.1", Cause: "login.not_provisioned", Count: 2},
		{Minute: minute, Address: "2001:db8::1", Cause: "login.not_provisioned", Count: 1},
		{Minute: minute, Address: "2001:db8::1", Cause: "login.signature", Count: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
}

// with replaces all settings of a connection.
func with(c provision.Connection) func(*provision.Connection) error {
	return func(stored *provision.Connection) error {
		*stored = c
		return nil
	}
}
