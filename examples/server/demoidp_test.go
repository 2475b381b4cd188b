package main

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
)

// browser is what these tests have for one: cookies, redirects and forms.
type browser struct {
	t      *testing.T
	client http.Client
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, client: http.Client{Jar: jar}}
}

// shown is a page that a browser shows.
type shown struct {
	status int
	url    *url.URL
	header http.Header
	body   string
}

func (b *browser) do(method, address string, fields url.Values) shown {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(fields.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return shown{status: resp.StatusCode, url: resp.Request.URL, header: resp.Header, body: string(body)}
}

var (
	formPattern   = regexp.MustCompile(`<form method="post" action="([^"]*)">`)
	hiddenPattern = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	helpPattern   = regexp.MustCompile(`<code>([A-Z2-7]{26})</code>`)
	idPattern     = regexp.MustCompile(`Account id</th><td>([a-z2-7]+)</td>`)
)

// submit posts the form of a page, with what was clicked.
func (b *browser) submit(p shown, clicked url.Values) shown {
	b.t.Helper()
	m := formPattern.FindStringSubmatch(p.body)
	if m == nil {
		b.t.Fatalf("status %d, no form in %s", p.status, p.body)
	}
	to, err := p.url.Parse(html.UnescapeString(m[1]))
	if err != nil {
		b.t.Fatal(err)
	}
	fields := url.Values{}
	for _, hidden := range hiddenPattern.FindAllStringSubmatch(p.body, -1) {
		fields.Set(html.UnescapeString(hidden[1]), html.UnescapeString(hidden[2]))
	}
	for name, values := range clicked {
		fields[name] = values
	}
	return b.do(http.MethodPost, to.String(), fields)
}

// login goes the whole way to the page after the login. path is where it
// begins.
func (b *browser) login(base, path, person string) shown {
	b.t.Helper()
	choose := b.do(http.MethodGet, base+path, nil)
	if !strings.Contains(choose.body, "Who are you?") {
		b.t.Fatalf("status %d, not the page to choose from: %s", choose.status, choose.body)
	}
	return b.submit(b.submit(choose, url.Values{"person": {person}}), nil)
}

const demoLoginPath = "/saml/demo/login"

// people returns the accounts that the operator sees.
func (r *running) people(connection string) []provision.Account {
	r.t.Helper()
	var list []provision.Account
	body := r.get("/accounts?connection="+connection, operatorToken)
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		r.t.Fatal(err)
	}
	return list
}

func TestDemoLogin(t *testing.T) {
	s := start(t, "-db", ":memory:", "-operator-token", operatorToken, "-demo-idp")
	if got := s.find(`(?m)^Demo login: (.*)$`); got != s.base+demoLoginPath {
		t.Errorf("the address to log in at is printed as %q", got)
	}
	ann := newBrowser(t).login(s.base, demoLoginPath+"?return=/files%3Fa=1", "ann")
	if ann.status != http.StatusOK {
		t.Fatalf("Ann: %d %s", ann.status, ann.body)
	}
	for _, want := range []string{
		"Logged in: Ann Lee", "ann@example.com", "<td>active</td>", "<td>sso</td>", "<li>site admin</li><li>agent</li>",
		"<li>Admins (source: jit)</li><li>Support (source: jit)</li>", "Example Ltd", "Europe/Berlin",
		`<td data-label="Option">siteAdminGroups</td><td data-label="Pattern">Admins</td><td data-label="Group">Admins</td><td data-label="Effect">granted</td>`,
		`<a href="login">`, `<a href="metadata">`, "start its session here and go on to <code>/files?a=1</code>",
	} {
		if !strings.Contains(ann.body, want) {
			t.Errorf("Ann's page lacks %q", want)
		}
	}
	again := newBrowser(t).login(s.base, demoLoginPath, "ann")
	if first, second := idPattern.FindString(ann.body), idPattern.FindString(again.body); first == "" || first != second {
		t.Errorf("Ann's accounts at two logins are %q and %q", first, second)
	}
	bob := newBrowser(t).login(s.base, demoLoginPath, "bob")
	if bob.status != http.StatusOK || !strings.Contains(bob.body, "<td>agent</td>") || strings.Contains(bob.body, "site admin") {
		t.Errorf("Bob: %d %s", bob.status, bob.body)
	}
	if log := s.log.String(); strings.Contains(log, "asked to be replaced") || strings.Contains(log, "expire") {
		t.Errorf("the metadata is old from the start: %s", log)
	}
	list := s.people("demo")
	if len(list) != 2 || list[0].SiteAdmin == list[1].SiteAdmin {
		t.Errorf("two people made these accounts: %v", list)
	}
}

// A refusal says nothing but a number, and the log tells the cause with it.
func TestDemoRefusal(t *testing.T) {
	s := start(t, "-db", ":memory:", "-operator-token", operatorToken, "-demo-idp")
	eve := newBrowser(t).login(s.base, demoLoginPath, "eve")
	if eve.status != http.StatusForbidden {
		t.Fatalf("Eve: %d %s", eve.status, eve.body)
	}
	for _, secret := range []string{"eve", "Eve", "requiredGroups", "Support", "not_admitted"} {
		if strings.Contains(eve.body, secret) {
			t.Errorf("the page of a refusal says %q", secret)
		}
	}
	id := helpPattern.FindStringSubmatch(eve.body)
	if id == nil {
		t.Fatalf("no number to ask for help with in %s", eve.body)
	}
	line := regexp.MustCompile(`(?m)^.*id=` + id[1] + `.*$`).FindString(s.log.String())
	for _, want := range []string{"login denied", "connection=demo", "code=not_admitted", "requiredGroups", `\"eve\"`} {
		if !strings.Contains(line, want) {
			t.Errorf("the line of the log %q lacks %q", line, want)
		}
	}
	if list := s.people("demo"); len(list) != 0 {
		t.Errorf("a refused login made %v", list)
	}
}

// The accounts of logins survive restarts, also one without the identity
// provider. The connection changes only when its settings do.
func TestDemoRestart(t *testing.T) {
	db := filepath.Join(t.TempDir(), "provision.db")
	args := []string{"-db", db, "-operator-token", operatorToken}
	s := start(t, append(args, "-demo-idp")...)
	first := newBrowser(t).login(s.base, demoLoginPath, "ann")
	s.stop()

	s = start(t, args...)
	if got := newBrowser(t).do(http.MethodGet, s.base+demoLoginPath, nil); got.status != http.StatusNotFound {
		t.Errorf("a login without -demo-idp: %d %s", got.status, got.body)
	}
	if list := s.people("demo"); len(list) != 1 || list[0].Company != "" || list[0].Status != policy.StatusActive {
		t.Errorf("the policy without -demo-idp is not the default: %v", list)
	}
	if strings.Contains(s.out.String(), "Demo login") {
		t.Error("a login is promised that is not there")
	}
	s.stop()

	s = start(t, append(args, "-demo-idp")...)
	second := newBrowser(t).login(s.base, demoLoginPath, "ann")
	if a, b := idPattern.FindString(first.body), idPattern.FindString(second.body); a == "" || a != b {
		t.Errorf("Ann's account is %q before a restart, %q after", a, b)
	}
}

// Every page allows the style and the script that it has, and nothing else.
func TestPagesAreClosed(t *testing.T) {
	s := start(t, "-db", ":memory:", "-demo-idp")
	b := newBrowser(t)
	choose := b.do(http.MethodGet, s.base+demoLoginPath, nil)
	post := b.submit(choose, url.Values{"person": {"ann"}})
	account := b.submit(post, nil)
	used := b.submit(post, nil)
	tests := []struct {
		name       string
		page       shown
		status     int
		title      string
		formAction string
	}{
		{"choose", choose, http.StatusOK, "Demo identity provider", "'self'"},
		{"post", post, http.StatusOK, "Back to the application", s.base + "/saml/demo/acs"},
		{"account", account, http.StatusOK, "Logged in", "'none'"},
		{"used twice", used, http.StatusBadRequest, "Login not possible", "'none'"},
		{"nobody chosen", b.submit(choose, nil), http.StatusOK, "Demo identity provider", "'self'"},
		{"somebody unknown", b.submit(choose, url.Values{"person": {"mal"}}), http.StatusOK, "Demo identity provider", "'self'"},
	}
	element := regexp.MustCompile(`(?s)<(style|script)>(.*?)</(?:style|script)>`)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.page.status != test.status || !strings.Contains(test.page.body, "<title>"+test.title+"</title>") {
				t.Fatalf("%d %s", test.page.status, test.page.body)
			}
			policy := test.page.header.Get("Content-Security-Policy")
			for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action " + test.formAction} {
				if !strings.Contains(policy+";", want+";") {
					t.Errorf("policy %q lacks %q", policy, want)
				}
			}
			for _, m := range element.FindAllStringSubmatch(test.page.body, -1) {
				if want := m[1] + "-src '" + contentHash(m[2]) + "'"; !strings.Contains(policy, want) {
					t.Errorf("policy %q lacks %q", policy, want)
				}
			}
			for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
				if got := test.page.header.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if strings.Contains(test.page.body, "http://www.") || strings.Contains(test.page.body, "src=") {
				t.Error("the page loads something")
			}
		})
	}
}

// Whoever types localhost gets to the address whose cookies count.
func TestDemoLocalhost(t *testing.T) {
	s := start(t, "-db", ":memory:", "-demo-idp")
	localhost := strings.Replace(s.base, "127.0.0.1", "localhost", 1)
	if got := newBrowser(t).login(localhost, demoLoginPath+"?return=/x", "bob"); got.status != http.StatusOK || !strings.Contains(got.body, "<code>/x</code>") {
		t.Errorf("a login that began at %s: %d %s", localhost, got.status, got.body)
	}
}

// The demo identity provider answers nobody else.
func TestDemoIsForOneService(t *testing.T) {
	s := start(t, "-db", ":memory:", "-demo-idp")
	b := newBrowser(t)
	choose := b.do(http.MethodGet, s.base+demoLoginPath, nil)
	query := choose.url.Query()
	own := inflate(t, query.Get("SAMLRequest"))
	foreign := strings.Replace(own, s.base+"/saml/demo/metadata", "https://other.example.com", 1)
	stolen := strings.Replace(own, s.base+"/saml/demo/acs", "https://other.example.com/acs", 1)
	if foreign == own || stolen == own {
		t.Fatalf("the request is %s", own)
	}
	for _, request := range []string{"", "!", "PHg+", deflate(t, foreign), deflate(t, stolen)} {
		query.Set("SAMLRequest", request)
		at := *choose.url
		at.RawQuery = query.Encode()
		if got := b.do(http.MethodGet, at.String(), nil); got.status != http.StatusBadRequest {
			t.Errorf("request %q: %d %s", request, got.status, got.body)
		}
	}
}

// inflate undoes the encoding of the HTTP-Redirect binding (SAML bindings section
// 3.4.4.1), and deflate does it.
func inflate(t *testing.T, text string) string {
	t.Helper()
	out, err := io.ReadAll(flate.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(text))))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func deflate(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(out.Bytes())
}
