package saml_test

import (
	"bytes"
	"compress/flate"
	"crypto/rsa"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/jit/saml"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/postgres"
)

// site is an application with logins, on a store that others may share.
type site struct {
	t        *testing.T
	engine   *provision.Engine
	handler  *saml.Handler
	mux      *http.ServeMux
	now      time.Time
	log      bytes.Buffer
	accounts []string // user names of who logged in, with where they went
}

func newSite(t *testing.T, s store.Store, edit func(*provision.SAML)) *site {
	t.Helper()
	out := &site{t: t, now: noon, mux: http.NewServeMux()}
	logger := slog.New(slog.NewTextHandler(&out.log, nil))
	out.engine = &provision.Engine{Store: s, Now: func() time.Time { return out.now }, Logger: logger}
	out.handler = &saml.Handler{
		Engine: out.engine,
		Login: &jit.LoginHandler{
			Engine: out.engine,
			Logger: logger,
			OnLogin: func(w http.ResponseWriter, _ *http.Request, a *provision.Account, returnTo string) {
				out.accounts = append(out.accounts, a.UserName+" "+returnTo)
				w.WriteHeader(http.StatusNoContent)
			},
		},
		BaseURL:     func(connection string) string { return "https://app.example.com/saml/" + connection },
		Key:         spPair().signer.(*rsa.PrivateKey),
		Certificate: spPair().cert,
		Logger:      logger,
	}
	out.mux.Handle("/saml/{connection}/", out.handler)
	settings := provision.SAML{Metadata: idpMetadata(idpPair().cert), Mapping: map[string]string{"userName": "email"}}
	if edit != nil {
		edit(&settings)
	}
	out.save(provision.Connection{ID: "demo", SAML: &settings})
	return out
}

func (s *site) save(c provision.Connection) {
	s.t.Helper()
	if _, err := s.engine.Directory(c.ID).As(provision.Actor{Kind: "operator"}).UpdateConnection(s.t.Context(), with(c)); err != nil {
		s.t.Fatal(err)
	}
}

// get asks for a path below the connection "demo".
func (s *site) get(path string, cookies ...*http.Cookie) *reply {
	return s.getAt("demo", path, cookies...)
}

func (s *site) getAt(connection, path string, cookies ...*http.Cookie) *reply {
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://internal.example/saml/"+connection+"/"+path, nil)
	return s.do(r, cookies)
}

func (s *site) do(r *http.Request, cookies []*http.Cookie) *reply {
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r)
	return &reply{StatusCode: w.Code, Header: w.Header(), body: w.Body.String()}
}

// reply is what a browser gets.
type reply struct {
	StatusCode int
	Header     http.Header
	body       string
}

func (r *reply) Cookies() []*http.Cookie {
	var out []*http.Cookie
	for _, line := range r.Header["Set-Cookie"] {
		if c, err := http.ParseSetCookie(line); err == nil {
			out = append(out, c)
		}
	}
	return out
}

func (r *reply) Location() (*url.URL, error) { return url.Parse(r.Header.Get("Location")) }

// post posts a response to the connection "demo".
func (s *site) post(xml, relayState string, cookies ...*http.Cookie) *reply {
	form := url.Values{"SAMLResponse": {base64.StdEncoding.EncodeToString([]byte(xml))}, "RelayState": {relayState}}
	return s.postForm(form.Encode(), cookies...)
}

func (s *site) postForm(body string, cookies ...*http.Cookie) *reply {
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://internal.example/saml/demo/acs", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.do(r, cookies)
}

// attempt is a login that was begun.
type attempt struct {
	id, relayState string
	cookie         *http.Cookie
	answer         *reply
	request        *etree.Element
}

// begin begins a login at the connection "demo".
func (s *site) begin(query string, cookies ...*http.Cookie) attempt {
	s.t.Helper()
	return s.beginAt("demo", query, cookies...)
}

func (s *site) beginAt(connection, query string, cookies ...*http.Cookie) attempt {
	s.t.Helper()
	answer := s.getAt(connection, "login"+query, cookies...)
	if answer.StatusCode != http.StatusFound {
		s.t.Fatalf("login: status %d\n%s", answer.StatusCode, s.log.String())
	}
	to, err := answer.Location()
	if err != nil {
		s.t.Fatal(err)
	}
	packed, err := base64.StdEncoding.DecodeString(to.Query().Get("SAMLRequest"))
	if err != nil {
		s.t.Fatal(err)
	}
	doc := etree.NewDocument()
	if _, err := doc.ReadFrom(flate.NewReader(bytes.NewReader(packed))); err != nil {
		s.t.Fatal(err)
	}
	a := attempt{relayState: to.Query().Get("RelayState"), answer: answer, request: doc.Root()}
	a.id = a.request.SelectAttrValue("ID", "")
	for _, c := range answer.Cookies() {
		if c.MaxAge > 0 {
			a.cookie = c
		}
	}
	return a
}

// answerTo is a good response to a request.
func answerTo(id string) shape {
	return shape{assertion: all(sub(requestID, id), sub("_a1", "_a"+id)), response: sub(requestID, id)}
}

// onEveryStore runs a test with a function that opens a store; called again, it is that
// of another process with the same data.
func onEveryStore(t *testing.T, test func(t *testing.T, open func() store.Store)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		st := memory.New()
		test(t, func() store.Store { return st })
	})
	t.Run("postgres", func(t *testing.T) {
		config := postgrestest.Empty(t, 3)
		test(t, func() store.Store {
			st, err := postgres.Open(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = st.Close() })
			return st
		})
	})
}

func TestLogin(t *testing.T) {
	onEveryStore(t, func(t *testing.T, open func() store.Store) { testLogin(t, open()) })
}

func testLogin(t *testing.T, st store.Store) {
	t.Helper()
	s := newSite(t, st, nil)
	a := s.begin("?return=/projects/7%3Ftab=2")
	c := a.cookie
	if c == nil || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteNoneMode || c.MaxAge != 600 || c.Path != "/saml/demo/" {
		t.Fatalf("cookie %v", c)
	}
	if strings.Contains(c.String(), a.id) || len(a.id) < 33 || a.id[0] != '_' {
		t.Errorf("ID %q, cookie %v", a.id, c)
	}
	for attr, want := range map[string]string{
		"Destination":                 "https://idp.example.com/sso?tenant=1",
		"AssertionConsumerServiceURL": spACS,
		"IssueInstant":                "2026-03-04T12:00:00Z",
		"Version":                     "2.0",
	} {
		if got := a.request.SelectAttrValue(attr, ""); got != want {
			t.Errorf("%s is %q", attr, got)
		}
	}
	if got := a.request.SelectElement("Issuer").Text(); got != spEntity {
		t.Errorf("issuer %q", got)
	}
	if to, _ := a.answer.Location(); to.Query().Get("tenant") != "1" || to.Query().Has("Signature") || to.Host != "idp.example.com" {
		t.Errorf("location %v", to)
	}

	answer := s.post(answerTo(a.id).make(t), a.relayState, c)
	if answer.StatusCode != http.StatusNoContent || len(s.accounts) != 1 || s.accounts[0] != "jane@example.com /projects/7?tab=2" {
		t.Fatalf("status %d, logins %q\n%s", answer.StatusCode, s.accounts, s.log.String())
	}
	if cleared := answer.Cookies(); len(cleared) != 1 || cleared[0].Name != c.Name || cleared[0].MaxAge >= 0 || cleared[0].Path != c.Path {
		t.Errorf("cookies %v", cleared)
	}
}

func unsolicited(s *provision.SAML) { s.AllowIDPInitiated = true }

// A response counts in the browser that asked for it, for the request it
// answers, for ten minutes.
func TestBrowserBinding(t *testing.T) {
	s := newSite(t, memory.New(), nil)
	s.save(provision.Connection{ID: "other", SAML: &provision.SAML{Metadata: idpMetadata(idpPair().cert)}})
	a, b := s.begin("?return=/a"), s.begin("?return=/b")
	forged := *a.cookie
	forged.Value = base64.RawURLEncoding.EncodeToString([]byte(`0123456789abcdef{"n":"` + a.relayState + `","i":"` + a.id + `","e":99999999999}`))
	swapped := *b.cookie
	swapped.Name = a.cookie.Name
	elsewhere := s.beginAt("other", "")
	tests := []struct {
		name    string
		id      string
		relay   string
		cookies []*http.Cookie
		after   time.Duration
		want    string // the code, or where the login goes
	}{
		{name: "no cookie", id: a.id, relay: a.relayState, want: "code=no_request"},
		{name: "cookie of another attempt", id: a.id, relay: a.relayState, cookies: []*http.Cookie{b.cookie}, want: "code=no_request"},
		{name: "RelayState of another attempt", id: a.id, relay: b.relayState, cookies: []*http.Cookie{a.cookie, b.cookie}, want: "code=in_response_to"},
		{name: "no RelayState", id: a.id, cookies: []*http.Cookie{a.cookie}, want: "code=no_request"},
		{name: "forged cookie", id: a.id, relay: a.relayState, cookies: []*http.Cookie{&forged}, want: "code=no_request"},
		{name: "cookie under another name", id: b.id, relay: a.relayState, cookies: []*http.Cookie{&swapped}, want: "code=no_request"},
		{name: "cookie of another connection", id: elsewhere.id, relay: elsewhere.relayState, cookies: []*http.Cookie{elsewhere.cookie}, want: "code=no_request"},
		{name: "too late", id: a.id, relay: a.relayState, cookies: []*http.Cookie{a.cookie}, after: 10 * time.Minute, want: "code=no_request"},
		{name: "second tab", id: b.id, relay: b.relayState, cookies: []*http.Cookie{a.cookie, b.cookie}, want: "/b"},
		{name: "first tab", id: a.id, relay: a.relayState, cookies: []*http.Cookie{a.cookie, b.cookie}, after: 5 * time.Minute, want: "/a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.log.Reset()
			s.accounts = nil
			s.now = noon.Add(tt.after)
			answer := s.post(answerTo(tt.id).make(t), tt.relay, tt.cookies...)
			if strings.HasPrefix(tt.want, "/") {
				if len(s.accounts) != 1 || !strings.HasSuffix(s.accounts[0], tt.want) {
					t.Errorf("logins %q\n%s", s.accounts, s.log.String())
				}
				return
			}
			if answer.StatusCode != http.StatusBadRequest || len(s.accounts) != 0 || !strings.Contains(s.log.String(), tt.want) {
				t.Errorf("status %d\n%s", answer.StatusCode, s.log.String())
			}
		})
	}
}

func TestPendingLogins(t *testing.T) {
	s := newSite(t, memory.New(), nil)
	var cookies []*http.Cookie
	for range 5 {
		a := s.begin("", cookies...)
		if n := len(a.answer.Cookies()); n != 1 {
			t.Fatalf("%d cookies", n)
		}
		cookies = append(cookies, a.cookie)
		s.now = s.now.Add(time.Second)
	}
	junk := &http.Cookie{Name: "saml_login_junk", Value: "junk"}
	misnamed := &http.Cookie{Name: "saml_login_x", Value: cookies[1].Value}
	foreign := &http.Cookie{Name: "session", Value: "x"}
	oldest := cookies[0].Name
	slices.Reverse(cookies) // browsers send them in an order of their own
	a := s.begin("", append(cookies, junk, misnamed, foreign)...)
	dropped := map[string]bool{}
	for _, c := range a.answer.Cookies() {
		if c.MaxAge < 0 {
			dropped[c.Name] = true
		}
	}
	if len(dropped) != 3 || !dropped[misnamed.Name] || !dropped[oldest] || !dropped[junk.Name] {
		t.Errorf("dropped %v", dropped)
	}
}

// A login that was begun while the clock was ahead can be ended when it is right, if
// it was ahead by little. Otherwise the person begins again: the cookie does not count
// for years.
func TestPendingLoginsOfTheFuture(t *testing.T) {
	for ahead, want := range map[time.Duration]int{
		15 * time.Second: http.StatusNoContent, time.Hour: http.StatusBadRequest, 3 * 365 * 24 * time.Hour: http.StatusBadRequest,
	} {
		s := newSite(t, memory.New(), nil)
		s.now = noon.Add(ahead)
		a := s.begin("")
		s.now = noon
		if got := s.post(answerTo(a.id).make(t), a.relayState, a.cookie).StatusCode; got != want {
			t.Errorf("ahead by %v: status %d, want %d\n%s", ahead, got, want, s.log.String())
		}
		a = s.begin("", a.cookie)
		if got := s.post(answerTo(a.id).make(t), a.relayState, a.cookie).StatusCode; got != http.StatusNoContent {
			t.Errorf("ahead by %v, begun again: status %d\n%s", ahead, got, s.log.String())
		}
	}
}

func TestReturnPath(t *testing.T) {
	for _, to := range []string{"//evil.example", `/\evil.example`, "https://evil.example", "javascript:alert(1)", "evil", "/a\r\nb", "/" + strings.Repeat("a", 1100), ""} {
		s := newSite(t, memory.New(), unsolicited)
		a := s.begin("?return=" + url.QueryEscape(to))
		s.post(answerTo(a.id).make(t), a.relayState, a.cookie)
		s.post(shape{assertion: unanswered, response: unanswered}.make(t), strings.Repeat(to, 2))
		for _, got := range s.accounts {
			if got != "jane@example.com " {
				t.Errorf("%q: logins %q", to, s.accounts)
			}
		}
		if len(s.accounts) != 2 {
			t.Errorf("%q: %d logins\n%s", to, len(s.accounts), s.log.String())
		}
	}
	s := newSite(t, memory.New(), unsolicited)
	s.post(shape{assertion: unanswered, response: unanswered}.make(t), "/deep/link")
	if len(s.accounts) != 1 || s.accounts[0] != "jane@example.com /deep/link" {
		t.Errorf("logins %q", s.accounts)
	}
}

// A path that is too long for a cookie once it is escaped is dropped, and not
// the login.
func TestLongReturnPath(t *testing.T) {
	for letter, kept := range map[string]bool{"a": true, "é": true, "<": false} {
		s := newSite(t, memory.New(), nil)
		to := "/?" + strings.Repeat(letter, 1020/len(letter))
		a := s.begin("?return=" + url.QueryEscape(to))
		if n := len(a.cookie.Name) + len(a.cookie.Value); n > 4096 {
			t.Errorf("%q: a cookie of %d bytes", letter, n)
		}
		s.post(answerTo(a.id).make(t), a.relayState, a.cookie)
		if !kept {
			to = ""
		}
		if !slices.Equal(s.accounts, []string{"jane@example.com " + to}) {
			t.Errorf("%q: logins %q\n%s", letter, s.accounts, s.log.String())
		}
	}
}

// TestRefusalsAreAlike: a browser cannot tell one refusal from another.
func TestRefusalsAreAlike(t *testing.T) {
	good := base64.StdEncoding.EncodeToString([]byte(shape{}.make(t)))
	escaped := url.QueryEscape(good)
	var deflated bytes.Buffer
	w, err := flate.NewWriter(&deflated, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, shape{}.make(t))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, body, code string }{
		{"nothing", "", "request"},
		{"two responses", "SAMLResponse=" + escaped + "&SAMLResponse=" + escaped, "request"},
		{"two states", "SAMLResponse=" + escaped + "&RelayState=a&RelayState=b", "request"},
		{"not base64", "SAMLResponse=!", "request"},
		{"bad escape", "SAMLResponse=%zz", "request"},
		{"deflated", "SAMLResponse=" + url.QueryEscape(base64.StdEncoding.EncodeToString(deflated.Bytes())), "document"},
		{"large", "SAMLResponse=" + strings.Repeat("A", 256<<10), "too_large"},
		{"stranger", "SAMLResponse=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(shape{key: strangerKey(), assertion: unanswered, response: unanswered}.make(t)))), "signature"},
		{"tampered ciphertext", "SAMLResponse=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(shape{assertion: unanswered, response: unanswered, encrypt: aesGCM, after: sub("</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>", "AAAA</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>")}.make(t)))), "decryption"},
		{"audience", "SAMLResponse=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(shape{assertion: all(unanswered, sub(spEntity, "https://other.example.com")), response: unanswered}.make(t)))), "audience"},
	}
	s := newSite(t, memory.New(), unsolicited)
	var first string
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.log.Reset()
			answer := s.postForm(tt.body)
			if !strings.Contains(s.log.String(), "code="+tt.code+" ") {
				t.Errorf("log %s", s.log.String())
			}
			body := answer.body
			_, id, _ := strings.Cut(s.log.String(), " id=")
			id, _, _ = strings.Cut(id, " ")
			body = strings.ReplaceAll(body, id, "ID")
			if first == "" {
				first = body
			}
			if answer.StatusCode != http.StatusBadRequest || body != first {
				t.Errorf("status %d, body %s", answer.StatusCode, body)
			}
		})
	}
	if len(s.accounts) != 0 {
		t.Errorf("logins %q", s.accounts)
	}
}

func TestContentType(t *testing.T) {
	form := url.Values{"SAMLResponse": {base64.StdEncoding.EncodeToString([]byte(shape{assertion: unanswered, response: unanswered}.make(t)))}}.Encode()
	for media, want := range map[string]int{
		"":                                http.StatusBadRequest,
		"text/plain":                      http.StatusBadRequest,
		"multipart/form-data; boundary=a": http.StatusBadRequest,
		"application/x-www-form-urlencoded; charset=UTF-8": http.StatusNoContent,
	} {
		s := newSite(t, memory.New(), unsolicited)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/saml/demo/acs", strings.NewReader(form))
		r.Header.Set("Content-Type", media)
		if got := s.do(r, nil).StatusCode; got != want {
			t.Errorf("%q: status %d", media, got)
		}
		if refused := strings.Contains(s.log.String(), "content type"); refused != (want != http.StatusNoContent) {
			t.Errorf("%q: log %s", media, s.log.String())
		}
	}
	s := newSite(t, memory.New(), unsolicited)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/saml/demo/acs?"+form, nil)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if got := s.do(r, nil).StatusCode; got != http.StatusBadRequest {
		t.Errorf("response in the query: status %d", got)
	}
}

// White space may stand anywhere in base64 (XML Schema part 2 section 3.2.16).
func TestSpacedBase64(t *testing.T) {
	plain := base64.StdEncoding.EncodeToString([]byte(shape{assertion: unanswered, response: unanswered}.make(t)))
	for _, space := range []string{" ", "\t", "\r\n", "\n  \t"} {
		s := newSite(t, memory.New(), unsolicited)
		form := url.Values{"SAMLResponse": {space + plain[:63] + space + plain[63:] + space}}
		if got := s.postForm(form.Encode()).StatusCode; got != http.StatusNoContent {
			t.Errorf("%q: status %d\n%s", space, got, s.log.String())
		}
	}
}

func TestLimits(t *testing.T) {
	response := shape{assertion: unanswered, response: unanswered}.make(t)
	padded := response + strings.Repeat(" ", 300<<10)
	huge := response + strings.Repeat(" ", 800<<10) // over 1 MiB in base64
	tests := []struct {
		name     string
		body     int64
		response string
		want     int
	}{
		{name: "default", response: padded, want: http.StatusBadRequest},
		{name: "more", body: 1 << 20, response: padded, want: http.StatusNoContent},
		{name: "less", body: 1000, response: response, want: http.StatusBadRequest},
		{name: "more than there is", body: 1 << 30, response: huge, want: http.StatusBadRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, memory.New(), unsolicited)
			s.handler.Limits.Body = tt.body
			if got := s.post(tt.response, "").StatusCode; got != tt.want {
				t.Errorf("status %d\n%s", got, s.log.String())
			}
		})
	}
}

// A changed setting counts from the next request on.
func TestChangedConnection(t *testing.T) {
	s := newSite(t, memory.New(), nil)
	response := shape{assertion: unanswered, response: unanswered}.make(t)
	if got := s.post(response, "").StatusCode; got != http.StatusBadRequest {
		t.Fatalf("status %d", got)
	}
	c, err := s.engine.Directory("demo").Connection(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	settings := *c.SAML
	settings.AllowIDPInitiated = true
	c.SAML = &settings
	s.save(c)
	if got := s.post(response, "").StatusCode; got != http.StatusNoContent {
		t.Errorf("status %d\n%s", got, s.log.String())
	}
	c.Disabled = true
	s.save(c)
	if got := s.get("metadata").StatusCode; got != http.StatusNotFound {
		t.Errorf("disabled: status %d", got)
	}
}

// with replaces all settings of a connection.
func with(c provision.Connection) func(*provision.Connection) error {
	return func(stored *provision.Connection) error {
		*stored = c
		return nil
	}
}
