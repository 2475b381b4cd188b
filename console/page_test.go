package console_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/console"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store/memory"
)

const signInToken = "a-token-that-lets-an-operator-in-here"

// reader is a browser without script, at a console of its own.
type reader struct {
	t      *testing.T
	f      *fixture
	h      *console.Handler
	server *httptest.Server
	client *http.Client
}

func newReader(t *testing.T, f *fixture, set func(*console.Handler)) *reader {
	t.Helper()
	h := &console.Handler{Logger: slog.New(slog.DiscardHandler), API: f.api, SignIn: console.SignInByToken(signInToken, operator)}
	if set != nil {
		set(h)
	}
	mux := http.NewServeMux()
	mux.Handle("/console/", h)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &reader{t, f, h, server, &http.Client{Jar: jar}}
}

// answer is a page as the reader has it, after redirects.
type answer struct {
	status int
	path   string
	header http.Header
	body   string
}

func (r *reader) do(method, path string, form url.Values, header map[string]string) answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for key, value := range header {
		req.Header.Set(key, value)
	}
	res, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	return answer{res.StatusCode, res.Request.URL.RequestURI(), res.Header, readAll(r.t, res)}
}

func (r *reader) get(path string) answer { return r.do(http.MethodGet, path, nil, nil) }

// submit sends a form of a page, with the token that the page has for it.
func (r *reader) submit(page string, form url.Values) answer {
	r.t.Helper()
	form.Set("form", formToken(r.t, r.get(page).body))
	return r.do(http.MethodPost, page, form, nil)
}

func (r *reader) signIn() *reader {
	r.t.Helper()
	if a := r.do(http.MethodPost, "/console/~/sign-in", url.Values{"token": {signInToken}}, nil); a.status != http.StatusOK || a.path != "/console/" {
		r.t.Fatalf("signing in: %d at %s", a.status, a.path)
	}
	return r
}

var formPattern = regexp.MustCompile(`name="form" value="([^"]+)"`)

func formToken(t *testing.T, page string) string {
	t.Helper()
	m := formPattern.FindStringSubmatch(page)
	if m == nil {
		t.Fatal("the page has no form")
	}
	return m[1]
}

// tabs are the pages of a connection.
var tabs = []string{"overview", "set-up", "settings", "people", "groups", "activity", "decisions", "go-live"}

// Each page answers, with the headers that keep others out of it.
func TestPagesAnswer(t *testing.T) {
	r := newReader(t, filled(t), nil).signIn()
	pages := []string{"/console/", "/console/own/people/" + r.f.account[own], "/console/own/people.csv", "/console/own/settings/matches?text=zebra*"}
	for _, tab := range tabs {
		pages = append(pages, "/console/own/"+tab)
	}
	for _, page := range pages {
		a := r.get(page)
		if a.status != http.StatusOK || a.body == "" {
			t.Errorf("%s: %d", page, a.status)
		}
		if len(a.body) > 60<<10 {
			t.Errorf("%s has %d bytes", page, len(a.body))
		}
		for key, want := range map[string]string{
			"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		} {
			if got := a.header.Get(key); got != want {
				t.Errorf("%s: %s is %q", page, key, got)
			}
		}
		policy := a.header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", page, policy)
		}
		if strings.Contains(a.body, "<style") || strings.Contains(a.body, " style=") || strings.Contains(a.body, "onclick") || strings.Contains(a.body, "<no value>") || strings.Contains(a.body, "%!") {
			t.Errorf("%s has what the policy forbids, or a text that lacks a value", page)
		}
	}
	if style := r.get("/console/~/style.css"); style.status != 200 || len(style.body)+len(r.get("/console/~/script.js").body) > 20<<10 {
		t.Errorf("style: %d", style.status)
	}
}

// The first page counts people, and finds providers by a text.
func TestProvidersPage(t *testing.T) {
	r := newReader(t, filled(t), nil).signIn()
	if a := r.get("/console/?q=ZEBRA+OWN"); !strings.Contains(a.body, ">12</td>") || strings.Contains(a.body, "zebra foreign") {
		t.Errorf("%s", a.body)
	}
	if a := r.get("/console/?q=nothing"); !strings.Contains(a.body, "nothing") || strings.Contains(a.body, "zebra") {
		t.Errorf("%s", a.body)
	}
}

// Nobody sees or changes anything without a session, and comes back to the page after it.
func TestPagesNeedASession(t *testing.T) {
	r := newReader(t, filled(t), nil)
	before := r.f.state()
	for _, page := range []string{"/console/", "/console/own/overview", "/console/own/people.csv", "/console/nobody/overview"} {
		if a := r.get(page); !strings.HasPrefix(a.path, "/console/~/sign-in?next=") || strings.Contains(a.body, "zebra") {
			t.Errorf("%s: %d at %s", page, a.status, a.path)
		}
	}
	if a := r.do(http.MethodPost, "/console/own/decisions", url.Values{"action": {"releaseAll"}}, nil); !strings.HasPrefix(a.path, "/console/~/sign-in") {
		t.Errorf("%d at %s", a.status, a.path)
	}
	a := r.do(http.MethodPost, "/console/~/sign-in", url.Values{"token": {signInToken}, "next": {"/console/own/people"}}, nil)
	if a.path != "/console/own/people" {
		t.Errorf("after signing in: %s", a.path)
	}
	if r.f.state() != before {
		t.Error("something has changed")
	}
}

// After signing in a reader goes on to a page of ours alone.
func TestNoOpenRedirect(t *testing.T) {
	r := newReader(t, filled(t), nil)
	for _, next := range []string{
		"https://evil.example/", "//evil.example/", "/console//evil.example", `/console/\evil.example`, "/elsewhere", "javascript:alert(1)",
		"/console/../elsewhere", "/console/\r\nLocation: https://evil.example", "/consolex/", "", "/console",
	} {
		a := r.do(http.MethodPost, "/console/~/sign-in", url.Values{"token": {signInToken}, "next": {next}}, nil)
		if a.path != "/console/" {
			t.Errorf("next %q leads to %s", next, a.path)
		}
	}
}

// A wrong token is slowed down, and a session cannot be made up, kept after its end or
// handed to somebody else.
func TestSessions(t *testing.T) {
	now := time.Now()
	r := newReader(t, filled(t), func(h *console.Handler) { h.Now = func() time.Time { return now } })
	base, err := url.Parse(r.server.URL + "/console/")
	if err != nil {
		t.Fatal(err)
	}
	set := func(value string) {
		r.client.Jar.SetCookies(base, []*http.Cookie{{Name: "provision_console", Value: value, Path: "/console/"}})
	}
	signedOut := func(what string) {
		t.Helper()
		if a := r.get("/console/own/overview"); !strings.HasPrefix(a.path, "/console/~/sign-in") {
			t.Errorf("%s: %d at %s", what, a.status, a.path)
		}
	}
	for _, value := range []string{"", ".", "e30.", "e30." + strings.Repeat("A", 43), "eyJ2aWV3ZXIiOnsiUm9sZSI6Im9wZXJhdG9yIn19.AAAA"} {
		set(value)
		signedOut("made up")
	}
	set("fixed-by-somebody-else")
	r.signIn()
	mine := r.client.Jar.Cookies(base)[0].Value
	if mine == "fixed-by-somebody-else" {
		t.Error("the session was there before")
	}
	head, sum, _ := strings.Cut(mine, ".")
	set(head[:len(head)-2] + "." + sum)
	signedOut("changed")
	set(mine)
	now = now.Add(12*time.Hour - time.Minute)
	if a := r.get("/console/own/overview"); a.status != 200 || a.path != "/console/own/overview" {
		t.Errorf("before its end: %d at %s", a.status, a.path)
	}
	now = now.Add(2 * time.Minute)
	signedOut("after its end")
	r.signIn()
	form := formToken(t, r.get("/console/").body)
	if a := r.do(http.MethodPost, "/console/~/sign-out", url.Values{"form": {form}}, nil); !strings.Contains(a.path, "done=signedOut") {
		t.Errorf("signing out: %s", a.path)
	}
	signedOut("signed out")
	for range 12 {
		r.do(http.MethodPost, "/console/~/sign-in", url.Values{"token": {"guess"}}, nil)
	}
	if a := r.do(http.MethodPost, "/console/~/sign-in", url.Values{"token": {"guess"}}, nil); a.status != http.StatusTooManyRequests {
		t.Errorf("the thirteenth guess: %d", a.status)
	}
	r.signIn() // the right one is served
}

// A form that a page of ours did not make for this reader changes nothing.
func TestForgedForms(t *testing.T) {
	r := newReader(t, filled(t), nil).signIn()
	other := newReader(t, r.f, nil).signIn()
	theirs := formToken(t, other.get("/console/own/decisions").body)
	mine := formToken(t, r.get("/console/own/decisions").body)
	before := r.f.state()
	for name, forge := range map[string]func() answer{
		"no token": func() answer {
			return r.do("POST", "/console/own/decisions", url.Values{"action": {"releaseAll"}}, nil)
		},
		"of another session": func() answer {
			return r.do("POST", "/console/own/decisions", url.Values{"action": {"releaseAll"}, "form": {theirs}}, nil)
		},
		"of another site": func() answer {
			return r.do("POST", "/console/own/decisions", url.Values{"action": {"releaseAll"}, "form": {mine}}, map[string]string{"Origin": "https://evil.example"})
		},
		"sent across sites": func() answer {
			return r.do("POST", "/console/own/decisions", url.Values{"action": {"releaseAll"}, "form": {mine}}, map[string]string{"Sec-Fetch-Site": "cross-site"})
		},
		"to sign out": func() answer { return r.do("POST", "/console/~/sign-out", url.Values{"form": {theirs}}, nil) },
		"by GET":      func() answer { return r.get("/console/own/decisions?action=releaseAll&form=" + mine) },
	} {
		if a := forge(); a.status != http.StatusForbidden && name != "by GET" {
			t.Errorf("%s: %d", name, a.status)
		}
		if r.f.state() != before {
			t.Fatalf("%s has changed something", name)
		}
	}
	if a := r.do("POST", "/console/own/decisions", url.Values{"action": {"drop"}, "form": {mine}}, nil); a.status != http.StatusBadRequest {
		t.Errorf("an action that there is not: %d", a.status)
	}
	if a := r.do("POST", "/console/own/decisions", url.Values{"action": {"releaseAll"}, "form": {mine}, "count": {"3"}}, nil); a.status != http.StatusConflict || r.f.state() != before {
		t.Errorf("a number that nobody has seen: %d", a.status)
	}
	if a := r.do("POST", "/console/own/decisions", url.Values{"action": {"releaseAll"}, "form": {mine}, "count": {"12"}}, nil); a.status != http.StatusOK || r.f.state() == before {
		t.Errorf("the right form: %d", a.status)
	}
}

// Markup that an identity provider or somebody else fills fields with stays text, on every
// page, and so does what comes by an address.
func TestMarkupStaysText(t *testing.T) {
	f := empty(t, memory.New())
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>'`
	d := f.engine.Directory("own")
	config := policy.Config{RequiredGroups: policy.Patterns{"zebra*"}, Company: evil, Roles: []policy.RoleGrant{{Groups: policy.Patterns{"x"}, Role: evil}}}
	if _, err := d.SaveConnection(t.Context(), provision.Connection{ID: "own", Name: evil, SCIM: true, Policy: config}); err != nil {
		t.Fatal(err)
	}
	if err := f.engine.Consumer(consumer).Register(t.Context()); err != nil {
		t.Fatal(err)
	}
	quoted, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	user := f.scim("own", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":`+string(quoted)+`,"displayName":`+string(quoted)+`,"externalId":`+string(quoted)+`,"title":`+string(quoted)+`}`)
	f.scim("own", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":`+string(quoted)+`,"members":[{"value":"`+user+`"}]}`)
	accounts, err := d.Accounts(t.Context(), provision.AccountQuery{})
	if err != nil {
		t.Fatal(err)
	}
	r := newReader(t, f, nil).signIn()
	pages := []string{"/console/", "/console/own/people/" + accounts[0].ID}
	for _, tab := range tabs {
		pages = append(pages, "/console/own/"+tab)
	}
	at := url.QueryEscape(evil)
	pages = append(pages, "/console/?q="+at, "/console/own/people?userName="+at+"&status=active", "/console/own/groups?name="+at, "/console/own/activity?text="+at+"&refusal="+at,
		"/console/own/set-up?for="+at, "/console/"+url.PathEscape(evil)+"/overview", "/console/own/people/"+url.PathEscape(evil), "/console/own/overview?done="+at,
		"/console/~/sign-in?next="+at+"&done="+at, "/console/own/people?after="+at)
	seen := 0
	for _, page := range pages {
		a := r.get(page)
		if strings.Contains(a.body, "<script>alert") || strings.Contains(a.body, "<img src=x") {
			t.Errorf("%s has the markup", page)
		}
		if strings.Contains(a.body, "&lt;script&gt;") {
			seen++
		}
		if a.status >= 500 {
			t.Errorf("%s: %d", page, a.status)
		}
	}
	if seen < 8 {
		t.Errorf("%d pages show the text: the test looks at nothing", seen)
	}
}

// A page of another connection is not there for the customer of one, and buttons that they
// may not press change nothing.
func TestPagesOfCustomers(t *testing.T) {
	r := newReader(t, filled(t), func(h *console.Handler) {
		h.SignIn, h.Who = nil, func(*http.Request) (console.Viewer, error) {
			return customer(own, console.CustomerOperations()...), nil
		}
	})
	before := r.f.state()
	for _, tab := range tabs {
		if a := r.get("/console/" + foreign + "/" + tab); a.status != http.StatusNotFound || strings.Contains(a.body, "zebra") {
			t.Errorf("%s: %d", tab, a.status)
		}
	}
	if a := r.get("/console/own/people"); a.status != 200 {
		t.Errorf("their own people: %d", a.status)
	}
	form := formToken(t, r.get("/console/own/settings").body)
	for page, fields := range map[string]url.Values{
		"/console/own/people/" + r.f.account[own]:     {"action": {"delete"}, "sure": {"true"}},
		"/console/" + foreign + "/settings":           {"action": {"save"}},
		"/console/own/people/" + r.f.account[foreign]: {"action": {"disable"}},
	} {
		fields.Set("form", form)
		if a := r.do("POST", page, fields, nil); a.status != http.StatusNotFound && a.status != http.StatusForbidden {
			t.Errorf("%s: %d", page, a.status)
		}
	}
	if r.f.state() != before {
		t.Error("something has changed")
	}
}

func TestHandlerFaults(t *testing.T) {
	f := empty(t, memory.New())
	for name, h := range map[string]*console.Handler{
		"nobody can get in": {API: f.api},
		"no API":            {SignIn: console.SignInByToken(signInToken, operator)},
		"a short key":       {API: f.api, SignIn: console.SignInByToken(signInToken, operator), Key: []byte("short")},
		"a color":           {API: f.api, SignIn: console.SignInByToken(signInToken, operator), Brand: console.Brand{Colors: map[string]string{"accent": "red;}body{display:none"}}},
	} {
		h.Logger = slog.New(slog.DiscardHandler)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/console/", nil))
		if w.Code != http.StatusInternalServerError {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}
