package saml_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/jit/saml"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// application is a server that people log in to.
type application struct {
	engine *provision.Engine
	log    *logBuffer
	url    string // of the connection "acme", with a slash at the end
}

// loggedIn is what the application answers a login with.
type loggedIn struct {
	Account  *provision.Account
	ReturnTo string
}

func newApplication(t *testing.T) *application {
	t.Helper()
	app := &application{engine: &provision.Engine{Store: memory.New()}, log: &logBuffer{}}
	logger := slog.New(slog.NewJSONHandler(app.log, nil))
	key, cert := testKey(t, "sp")
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.Handle("/saml/{connection}/", &saml.Handler{
		Engine: app.engine,
		Login: &jit.LoginHandler{
			Engine: app.engine,
			OnLogin: func(w http.ResponseWriter, _ *http.Request, account *provision.Account, returnTo string) {
				if err := json.NewEncoder(w).Encode(loggedIn{account, returnTo}); err != nil {
					t.Error(err)
				}
			},
			Logger: logger,
		},
		BaseURL: func(connection string) string { return server.URL + "/saml/" + connection },
		Key:     key, Certificate: cert,
		Logger: slog.New(slog.DiscardHandler),
	})
	app.url = server.URL + "/saml/acme/"
	return app
}

// connect saves the connection "acme" of an identity provider.
func (app *application) connect(t *testing.T, metadata string, change func(*provision.SAML)) {
	t.Helper()
	config := policy.Config{
		SiteAdminGroups: policy.Patterns{"Site Admins"},
		Roles:           []policy.RoleGrant{{Groups: policy.Patterns{"Engineering"}, Role: "developer"}},
	}
	settings := provision.SAML{Metadata: metadata, Preset: "auth0"}
	if change != nil {
		change(&settings)
	}
	c := provision.Connection{ID: "acme", Policy: config, SAML: &settings}
	if _, err := app.engine.Directory(c.ID).As(provision.Actor{Kind: "operator"}).UpdateConnection(t.Context(), with(c)); err != nil {
		t.Fatal(err)
	}
}

// walk takes a browser from the login of the application through the form of
// the identity provider to the page that posts the response.
func (app *application) walk(b *browser, user string) page {
	b.t.Helper()
	p := b.get(app.url + "login?return=" + url.QueryEscape("/reports?year=2026"))
	if _, fields := p.form(b.t); fields.Has("SAMLRequest") && !fields.Has("user") {
		p = b.submit(p, nil) // the request goes by POST
	}
	return b.submit(p, url.Values{"user": {user}})
}

// login logs a person in.
func (app *application) login(b *browser, user string) loggedIn {
	b.t.Helper()
	return app.decode(b.t, b.submit(app.walk(b, user), nil))
}

func (app *application) decode(t *testing.T, p page) loggedIn {
	t.Helper()
	var got loggedIn
	if err := json.Unmarshal([]byte(p.body), &got); err != nil || got.Account == nil {
		t.Fatalf("status %d: %s, log %+v", p.status, p.body, app.log.take())
	}
	return got
}

func (app *application) accounts(t *testing.T) int {
	t.Helper()
	list, err := app.engine.Directory("acme").Accounts(t.Context(), store.AccountQuery{})
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestRoundTrip logs three people in by an identity provider of other people's
// code, over HTTP, in each way that messages can be signed, sealed and sent.
func TestRoundTrip(t *testing.T) {
	cert, err := filepath.Abs(samlData + "/testkeys/sp.crt")
	if err != nil {
		t.Fatal(err)
	}
	redirect := regexp.MustCompile(`<SingleSignOnService [^>]*HTTP-Redirect[^>]*>`)
	signed := func(s *provision.SAML) { s.SignRequests = true }
	byPOST := func(s *provision.SAML) { s.Metadata = redirect.ReplaceAllString(s.Metadata, "") }
	tests := []struct {
		name   string
		args   []string // of the identity provider
		change func(*provision.SAML)
	}{
		{"assertion signed", nil, nil},
		{"both signed", []string{"--sign-response"}, nil},
		{"encrypted", []string{"--encrypt-for", cert}, nil},
		{"encrypted in signed response", []string{"--encrypt-for", cert, "--sign-response"}, nil},
		{"signed request", []string{"--signed-by", cert}, signed},
		{"request by POST", nil, byPOST},
		{"signed request by POST", []string{"--signed-by", cert}, func(s *provision.SAML) { signed(s); byPOST(s) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			app := newApplication(t)
			idp := startIDP(t, append(test.args, "--acs", app.url+"acs")...)
			app.connect(t, newBrowser(t).get(idp+"/metadata").body, test.change)
			app.checkPeople(t)
		})
	}
}

func (app *application) checkPeople(t *testing.T) {
	t.Helper()
	group := func(name string) store.AccountGroup { return store.AccountGroup{Name: name, Source: store.SourceJIT} }
	people := []struct {
		user string
		want provision.Account
	}{
		{"ann", provision.Account{
			UserName: "ann@example.com", Email: "ann@example.com", Name: "Ann Adams", DisplayName: "Ann Adams",
			SiteAdmin: true, Roles: []string{"developer"},
			Groups: []store.AccountGroup{group("Engineering"), group("Everyone"), group("Site Admins")},
		}},
		{"ben", provision.Account{
			UserName: "ben@example.com", Email: "ben@example.com", Name: "Ben Brown", DisplayName: "Ben Brown",
			Roles:  []string{"developer"},
			Groups: []store.AccountGroup{group("Engineering"), group("Everyone")},
		}},
		{"eve", provision.Account{
			UserName: "eve@example.com", Email: "eve@example.com", Name: "Eve Élan & <Söhne>", DisplayName: "Eve Élan & <Söhne>",
		}},
	}
	// The identity provider decides these fields; the others are the policy's.
	compared := cmp.Options{
		cmp.FilterPath(func(p cmp.Path) bool {
			switch p.String() {
			case "", "UserName", "Email", "Name", "DisplayName", "SiteAdmin", "Roles", "Groups", "Groups.Name", "Groups.Source":
				return false
			}
			return true
		}, cmp.Ignore()),
		cmpopts.EquateEmpty(),
		cmpopts.SortSlices(func(a, b store.AccountGroup) bool { return a.Name < b.Name }),
	}
	for i, person := range people {
		first := app.login(newBrowser(t), person.user)
		if diff := cmp.Diff(person.want, *first.Account, compared); diff != "" {
			t.Errorf("%s (-want +got):\n%s", person.user, diff)
		}
		if first.ReturnTo != "/reports?year=2026" {
			t.Errorf("%s returns to %q", person.user, first.ReturnTo)
		}
		again := app.login(newBrowser(t), person.user)
		if again.Account.ID != first.Account.ID || app.accounts(t) != i+1 {
			t.Errorf("%s: a second login made %q of %q; %d accounts", person.user, again.Account.ID, first.Account.ID, app.accounts(t))
		}
	}
}

// TestRoundTripOnce: a response counts in the browser that asked for it, and
// once.
func TestRoundTripOnce(t *testing.T) {
	app := newApplication(t)
	idp := startIDP(t, "--acs", app.url+"acs")
	app.connect(t, newBrowser(t).get(idp+"/metadata").body, nil)

	b := newBrowser(t)
	response := app.walk(b, "ann")
	app.refuse(t, "a browser that never asked", newBrowser(t), response, "no_request")
	other := newBrowser(t)
	app.walk(other, "ben")
	app.refuse(t, "a browser that asked for another login", other, response, "no_request")
	if n := app.accounts(t); n != 0 {
		t.Errorf("%d accounts", n)
	}

	thief := newBrowser(t) // of the cookies too
	at, err := url.Parse(app.url + "acs")
	if err != nil {
		t.Fatal(err)
	}
	thief.client.Jar.SetCookies(at, b.client.Jar.Cookies(at))
	app.decode(t, b.submit(response, nil))
	app.refuse(t, "a second time", b, response, "no_request")
	app.refuse(t, "a second time, with the cookies of the first", thief, response, "replay")
}

// refuse posts a response that must not count.
func (app *application) refuse(t *testing.T, who string, b *browser, response page, code string) {
	t.Helper()
	app.log.take()
	p := b.submit(response, nil)
	if p.status != http.StatusBadRequest {
		t.Errorf("%s: status %d: %s", who, p.status, p.body)
	}
	if entries := app.log.take(); len(entries) != 1 || entries[0].Code != code {
		t.Errorf("%s: the log has %+v, want code %q", who, entries, code)
	}
}
