package samltest_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/jit/saml"
	"github.com/scimjit/provision/jit/samltest"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// app is an application whose connection "okta" trusts an identity provider.
type app struct {
	*httptest.Server
	t       *testing.T
	engine  *provision.Engine
	handler *saml.Handler
	denied  []string // codes
}

func newApp(t *testing.T, settings provision.SAML, start func(http.Handler) *httptest.Server) *app {
	t.Helper()
	a := &app{t: t, engine: &provision.Engine{Store: memory.New(), Logger: slog.New(slog.DiscardHandler)}}
	a.handler = &saml.Handler{
		Engine:  a.engine,
		BaseURL: func(connection string) string { return a.URL + "/saml/" + connection },
		Logger:  a.engine.Logger,
		Login: &jit.LoginHandler{
			Engine: a.engine,
			Logger: a.engine.Logger,
			OnLogin: func(w http.ResponseWriter, _ *http.Request, account *provision.Account, returnTo string) {
				http.SetCookie(w, &http.Cookie{Name: "session", Value: account.ID, Path: "/"})
				w.Header().Set("Location", "/welcome?to="+returnTo)
				w.WriteHeader(http.StatusSeeOther)
				_, _ = fmt.Fprint(w, account.UserName)
			},
			OnDenied: func(w http.ResponseWriter, _ *http.Request, d *jit.Denial) {
				a.denied = append(a.denied, d.Code)
				http.Error(w, d.Public, d.Status)
			},
		},
	}
	mux := http.NewServeMux()
	mux.Handle("/saml/", a.handler)
	mux.Handle("/projects", http.RedirectHandler("/saml/okta/login?return=/projects", http.StatusFound))
	mux.HandleFunc("/me", func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("session"); err == nil {
			_, _ = fmt.Fprint(w, c.Value)
		}
	})
	a.Server = start(mux)
	t.Cleanup(a.Close)
	a.save("okta", settings)
	return a
}

func (a *app) save(id string, settings provision.SAML, required ...string) {
	a.t.Helper()
	c := provision.Connection{ID: id, SAML: &settings}
	c.Policy.RequiredGroups = required
	if _, err := a.engine.Directory(c.ID).As(provision.Actor{Kind: "operator"}).UpdateConnection(a.t.Context(), func(stored *provision.Connection) error { *stored = c; return nil }); err != nil {
		a.t.Fatal(err)
	}
}

// accounts returns the accounts of the connection, as "userName email name: groups".
func (a *app) accounts() []string {
	a.t.Helper()
	list, err := a.engine.Directory("okta").Accounts(a.t.Context(), store.AccountQuery{})
	if err != nil {
		a.t.Fatal(err)
	}
	out := []string{}
	for _, account := range list {
		var groups []string
		for _, g := range account.Groups {
			groups = append(groups, g.Name)
		}
		slices.Sort(groups)
		out = append(out, fmt.Sprintf("%s %s %s: %s", account.UserName, account.Email, account.DisplayName, strings.Join(groups, " ")))
	}
	return out
}

func TestLogin(t *testing.T) {
	idp := samltest.New(t)
	a := newApp(t, provision.SAML{Metadata: idp.Metadata()}, httptest.NewServer)
	ada := samltest.User{
		ID: "42", UserName: "ada", Email: "ada@example.com", GivenName: "Ada", FamilyName: "King", Name: "Ada King",
		Groups: []string{"Support", "IT"},
	}
	got := idp.Login(t, a.URL+"/saml/okta/login?return=/home", ada)
	if got.Status != http.StatusSeeOther || got.Header.Get("Location") != "/welcome?to=/home" || got.Body != "ada" {
		t.Fatalf("%+v", got)
	}
	if diff := cmp.Diff([]string{"ada ada@example.com Ada King: IT Support"}, a.accounts()); diff != "" {
		t.Errorf("accounts (-want +got):\n%s", diff)
	}
	me, err := got.Browser.Get(a.URL + "/me")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = me.Body.Close() }()
	if me.ContentLength == 0 {
		t.Error("the browser has no session")
	}

	t.Run("the same person, renamed", func(t *testing.T) {
		ada.UserName, ada.Groups = "ada.king", nil
		idp.Login(t, a.URL+"/projects", ada)
		if diff := cmp.Diff([]string{"ada.king ada@example.com Ada King: IT Support"}, a.accounts()); diff != "" {
			t.Errorf("accounts (-want +got):\n%s", diff)
		}
	})
	t.Run("in no group any more", func(t *testing.T) {
		ada.Groups = []string{}
		idp.Login(t, a.URL+"/saml/okta/login", ada)
		if diff := cmp.Diff([]string{"ada.king ada@example.com Ada King: "}, a.accounts()); diff != "" {
			t.Errorf("accounts (-want +got):\n%s", diff)
		}
	})
	if len(a.denied) != 0 {
		t.Errorf("denied: %v", a.denied)
	}
}

func TestRefusals(t *testing.T) {
	idp, other := samltest.New(t), samltest.New(t)
	a := newApp(t, provision.SAML{Metadata: idp.Metadata()}, httptest.NewServer)
	a.save("okta", provision.SAML{Metadata: idp.Metadata()}, "Staff")
	ada := samltest.User{ID: "42", UserName: "ada", Email: "ada@example.com", Groups: []string{"Staff"}}
	impostor := ada
	impostor.ID = "43"
	if got := idp.Login(t, a.URL+"/saml/okta/login", ada); got.Status != http.StatusSeeOther {
		t.Fatalf("%+v", got)
	}
	before := a.accounts()
	tests := []struct {
		name string
		idp  *samltest.IDP
		path string
		user samltest.User
		want int
		code string
	}{
		{name: "denied by the policy", idp: idp, path: "/saml/okta/login", user: samltest.User{Email: "eve@example.com", Groups: []string{"Visitors"}}, want: 403, code: "not_admitted"},
		{name: "somebody else under her user name", idp: idp, path: "/saml/okta/login", user: impostor, want: 403, code: "recycled"},
		{name: "nobody", idp: idp, path: "/saml/okta/login", want: 400, code: "name_id"},
		{name: "person of another identity provider", idp: other, path: "/saml/okta/login", user: ada, want: 302},
		{name: "no such connection", idp: idp, path: "/saml/nobody/login", user: ada, want: 404, code: "connection"},
		{name: "no such page", idp: idp, path: "/nowhere", user: ada, want: 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a.denied = nil
			got := tt.idp.Login(t, a.URL+tt.path, tt.user)
			if got.Status != tt.want || strings.Join(a.denied, " ") != tt.code {
				t.Errorf("status %d, want %d; denied %v, want %q; %s", got.Status, tt.want, a.denied, tt.code, got.Body)
			}
			if diff := cmp.Diff(before, a.accounts()); diff != "" {
				t.Errorf("accounts (-before +after):\n%s", diff)
			}
		})
	}
}

// A response is encrypted for an application with a key, valid by its clock, and
// sent over TLS; a preset reads its own names.
func TestApplications(t *testing.T) {
	idp := samltest.New(t)
	okta := provision.SAML{Metadata: idp.Metadata(), Preset: "okta", Mapping: map[string]string{"id": "oktaId"}}
	ada := samltest.User{
		NameID: "ada@example.com",
		Attributes: map[string][]string{
			"oktaId": {"00u1"}, "email": {"ada@example.com"}, "displayName": {"Ada King"}, "groups": {"IT", "Support"},
		},
	}
	want := []string{"ada@example.com ada@example.com Ada King: IT Support"}
	for _, year := range []int{2001, 2026, 2099} {
		t.Run(fmt.Sprint(year), func(t *testing.T) {
			a := newApp(t, okta, httptest.NewTLSServer)
			now := time.Date(year, 2, 3, 4, 5, 6, 0, time.UTC)
			a.engine.Now = func() time.Time { return now }
			a.handler.Key, a.handler.Certificate = pair(t, now)
			idp := *idp
			idp.Transport = a.Client().Transport
			got := idp.Login(t, a.URL+"/saml/okta/login", ada)
			if got.Status != http.StatusSeeOther {
				t.Fatalf("denied %v: %+v", a.denied, got)
			}
			if diff := cmp.Diff(want, a.accounts()); diff != "" {
				t.Errorf("accounts (-want +got):\n%s", diff)
			}
		})
	}
}

func pair(t *testing.T, now time.Time) (*rsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, certificate
}

// What keeps a response from being made fails the test, with the reason.
func TestFailures(t *testing.T) {
	idp := samltest.New(t)
	sso := strings.TrimSuffix(between(t, idp.Metadata(), `entityID="`, `"`), "metadata") + "sso"
	tests := []struct {
		name  string
		front *http.ServeMux // what it has is answered in the place of the application
		want  string
	}{
		{"no answer", nil, "connection refused"},
		{"no request", at("/saml/okta/login", http.RedirectHandler(sso, http.StatusFound)), "EOF"},
		{"no metadata", at("/saml/okta/metadata", http.NotFoundHandler()), "/saml/okta/metadata: status 404"},
		{"metadata of somebody else", at("/saml/okta/metadata", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, strings.ReplaceAll(idp.Metadata(), "IDPSSO", "SPSSO"))
		})), "the request is from"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newApp(t, provision.SAML{Metadata: idp.Metadata()}, func(app http.Handler) *httptest.Server {
				if tt.front == nil {
					server := httptest.NewServer(app)
					server.Close()
					return server
				}
				tt.front.Handle("/", app)
				return httptest.NewServer(tt.front)
			})
			f := &failing{ctx: t.Context()}
			done := make(chan struct{})
			go func() {
				defer close(done)
				idp.Login(f, a.URL+"/saml/okta/login", samltest.User{UserName: "ada"})
			}()
			<-done
			if !strings.Contains(f.text, tt.want) || !strings.HasPrefix(f.text, "samltest: ") {
				t.Errorf("the test failed with %q, want %q", f.text, tt.want)
			}
		})
	}
}

func at(path string, h http.Handler) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle(path, h)
	return mux
}

func between(t *testing.T, text, before, after string) string {
	t.Helper()
	_, text, ok := strings.Cut(text, before)
	text, _, end := strings.Cut(text, after)
	if !ok || !end {
		t.Fatalf("no %q", before)
	}
	return text
}

// failing is a test that notes how it failed.
type failing struct {
	ctx  context.Context
	text string
}

func (f *failing) Fatalf(format string, args ...any) {
	f.text = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (f *failing) Helper()                  {}
func (f *failing) Context() context.Context { return f.ctx }

// A logout ends the login of the person, and of nobody else.
func TestLogout(t *testing.T) {
	idp := samltest.New(t)
	a := newApp(t, provision.SAML{Metadata: idp.Metadata()}, httptest.NewServer)
	ada, bob := samltest.User{Email: "ada@example.com"}, samltest.User{Email: "bob@example.com", NameID: "b1", NameIDFormat: "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"}
	for _, u := range []samltest.User{ada, bob} {
		if got := idp.Login(t, a.URL+"/saml/okta/login", u); got.Status != http.StatusSeeOther {
			t.Fatalf("status %d", got.Status)
		}
	}
	for _, u := range []samltest.User{bob, ada, {Email: "eve@example.com"}} {
		got := idp.Logout(t, a.URL+"/saml/okta/logout", u, time.Time{})
		if got.Status != http.StatusFound || !strings.Contains(got.Header.Get("Location"), ".idp.example/slo?SAMLResponse=") {
			t.Errorf("status %d, to %s", got.Status, got.Header.Get("Location"))
		}
	}
	list, err := a.engine.Directory("okta").Events(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ended []string
	for _, ev := range list {
		if ev.Type != store.LoginEnded {
			continue
		}
		account, err := a.engine.Directory("okta").Account(t.Context(), ev.AccountID)
		if err != nil {
			t.Fatal(err)
		}
		ended = append(ended, account.UserName)
	}
	if diff := cmp.Diff([]string{"bob@example.com", "ada@example.com"}, ended); diff != "" {
		t.Errorf("ended (-want +got):\n%s", diff)
	}
	if got := samltest.New(t).Logout(t, a.URL+"/saml/okta/logout", ada, time.Time{}); got.Status != http.StatusBadRequest {
		t.Errorf("of another identity provider: status %d", got.Status)
	}
}
