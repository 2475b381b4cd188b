package saml_test

import (
	"errors"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit/saml"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store/memory"
)

// state is all that a login could change: events and accounts.
func (s *site) state() string {
	s.t.Helper()
	dir := s.engine.Directory("demo")
	events, err := dir.Events(s.t.Context(), 0, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	accounts, err := dir.Accounts(s.t.Context(), provision.AccountQuery{})
	if err != nil {
		s.t.Fatal(err)
	}
	var out strings.Builder
	for _, a := range accounts {
		out.WriteString(a.UserName + " " + string(a.Status) + "\n")
	}
	for _, e := range events {
		out.WriteString(string(e.Type) + "\n")
	}
	return out.String()
}

// beginTest follows a link to a test login.
func (s *site) beginTest() attempt {
	s.t.Helper()
	link, err := s.handler.TestLink(s.t.Context(), "demo")
	if err != nil {
		s.t.Fatal(err)
	}
	path, ok := strings.CutPrefix(link, spBase+"/")
	if !ok {
		s.t.Fatalf("link %q", link)
	}
	return s.beginPath(path)
}

// beginPath begins a login by a path of the connection.
func (s *site) beginPath(path string) attempt {
	s.t.Helper()
	return attemptOf(s.t, s.get(path))
}

func attemptOf(t *testing.T, answer *reply) attempt {
	t.Helper()
	to, err := answer.Location()
	if err != nil || answer.StatusCode != http.StatusFound {
		t.Fatalf("status %d, %v", answer.StatusCode, err)
	}
	a := attempt{relayState: to.Query().Get("RelayState"), answer: answer, request: inflate(t, to.Query().Get("SAMLRequest"))}
	a.id = a.request.SelectAttrValue("ID", "")
	for _, c := range answer.Cookies() {
		if c.MaxAge > 0 {
			a.cookie = c
		}
	}
	return a
}

// An administrator sees what would become of a login, and nothing comes of it.
func TestTestLogin(t *testing.T) {
	tests := []struct {
		name   string
		shape  func(shape) shape
		edit   func(*provision.SAML)
		policy policy.Config
		code   string
		has    []string // on the page
		claims bool
	}{
		{name: "good", claims: true, has: []string{"The login would go through", "jane@example.com", "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent", "nothing is known of the groups", "active"}},
		{name: "refused by the policy", policy: policy.Config{RequiredGroups: policy.Patterns{"Staff"}}, claims: true, code: "not_admitted", has: []string{"would be refused", "not_admitted", "jane@example.com"}},
		{name: "a claim that cannot be", shape: func(s shape) shape {
			s.assertion = all(s.assertion, sub(">jane@example.com<", ">jane\u200b@example.com<"))
			return s
		}, claims: true, code: "attribute", has: []string{"U+200B"}},
		{name: "not for us", shape: func(s shape) shape {
			s.assertion = all(s.assertion, sub(spEntity, "https://other.example.com"))
			return s
		}, code: "audience", has: []string{"https://other.example.com"}},
		{name: "a stranger", shape: func(s shape) shape { s.key = strangerKey(); return s }, code: "signature"},
		{name: "markup", shape: func(s shape) shape {
			s.assertion = all(s.assertion, sub(`<saml:Attribute Name="email">`, `<saml:Attribute Name="&lt;script&gt;x"><saml:AttributeValue>&lt;b&gt;y</saml:AttributeValue></saml:Attribute><saml:Attribute Name="email">`))
			return s
		}, claims: true, has: []string{"&lt;script&gt;x", "&lt;b&gt;y"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, memory.New(), tt.edit)
			s.save(provision.Connection{ID: "demo", SAML: &provision.SAML{Metadata: idpMetadata(idpPair().cert), Mapping: map[string]string{"userName": "email"}}, Policy: tt.policy})
			before := s.state()
			var result *saml.TestLogin
			for _, hook := range []bool{false, true} {
				if hook {
					s.handler.OnTestLogin = func(w http.ResponseWriter, _ *http.Request, r *saml.TestLogin) { result = r }
				}
				a := s.beginTest()
				response := answerTo(a.id)
				if tt.shape != nil {
					response = tt.shape(response)
				}
				answer := s.post(response.make(t), a.relayState, a.cookie)
				if answer.StatusCode != http.StatusOK || len(s.accounts) != 0 {
					t.Fatalf("status %d, logins %q\n%s", answer.StatusCode, s.accounts, s.log.String())
				}
				for _, text := range tt.has {
					if !hook && !strings.Contains(answer.body, text) && !strings.Contains(html.UnescapeString(answer.body), text) {
						t.Errorf("the page lacks %q:\n%s", text, answer.body)
					}
				}
				if strings.Contains(answer.body, "<script") {
					t.Error("the page runs a script")
				}
			}
			if result == nil || result.Code() != tt.code || (result.Assertion != nil) != tt.claims || (result.Account != nil) != (tt.code == "") || result.Connection != "demo" {
				t.Errorf("result %+v", result)
			}
			if diff := cmp.Diff(before, s.state()); diff != "" {
				t.Errorf("changed (-before +after):\n%s", diff)
			}
		})
	}
}

// Who is known is tried as they are, and stays as they are.
func TestTestLoginOfKnown(t *testing.T) {
	s := afterLogin(t, nil)
	before := s.state()
	var result *saml.TestLogin
	s.handler.OnTestLogin = func(_ http.ResponseWriter, _ *http.Request, r *saml.TestLogin) { result = r }
	a := s.beginTest()
	response := answerTo(a.id)
	response.assertion = all(response.assertion, sub("<saml:AttributeStatement>", `<saml:AttributeStatement><saml:Attribute Name="displayName"><saml:AttributeValue>Jane</saml:AttributeValue></saml:Attribute>`))
	s.post(response.make(t), a.relayState, a.cookie)
	if result == nil || result.Err != nil || result.Account.DisplayName != "Jane" {
		t.Fatalf("result %+v", result)
	}
	accounts, err := s.engine.Directory("demo").Accounts(t.Context(), provision.AccountQuery{})
	if err != nil || len(accounts) != 1 || accounts[0].ID != result.Account.ID || accounts[0].DisplayName != "" {
		t.Errorf("accounts %+v, %v", accounts, err)
	}
	if diff := cmp.Diff(before, s.state()); diff != "" {
		t.Errorf("changed (-before +after):\n%s", diff)
	}
}

// A response to a test logs nobody in later, and the host begins a test without a
// link.
func TestTestLoginIsNoLogin(t *testing.T) {
	s := newSite(t, memory.New(), nil)
	w := httptest.NewRecorder()
	s.handler.TestLogin(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://internal.example/admin/test", nil), "demo")
	a := attemptOf(t, &reply{StatusCode: w.Code, Header: w.Header()})
	message := answerTo(a.id).make(t)
	for range 2 {
		s.post(message, a.relayState, a.cookie)
	}
	s.post(message, a.relayState)
	b := s.begin("")
	s.post(message, b.relayState, b.cookie)
	s.post(message, a.relayState, a.cookie, b.cookie)
	if len(s.accounts) != 0 {
		t.Errorf("logins %q", s.accounts)
	}
}

// A link is good once, for ten minutes, for its connection.
func TestTestLink(t *testing.T) {
	s := newSite(t, memory.New(), nil)
	s.save(provision.Connection{ID: "other", SAML: &provision.SAML{Metadata: idpMetadata(idpPair().cert)}})
	s.save(provision.Connection{ID: "plain"})
	link := func() string {
		t.Helper()
		link, err := s.handler.TestLink(t.Context(), "demo")
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimPrefix(link, spBase+"/")
	}
	once := link()
	if got := s.get(once).StatusCode; got != http.StatusFound {
		t.Errorf("status %d", got)
	}
	late := link()
	s.now = noon.AddDate(3, 0, 0)
	future := link()
	s.now = noon
	for name, tt := range map[string]struct {
		connection, path string
		after            time.Duration
	}{
		"again":                 {"demo", once, 0},
		"of another connection": {"other", link(), 0},
		"forged":                {"demo", "test?ticket=" + url.QueryEscape("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), 0},
		"nothing":               {"demo", "test", 0},
		"late":                  {"demo", late, 10 * time.Minute},
		"of a clock ahead":      {"demo", future, 0},
	} {
		s.now = noon.Add(tt.after)
		if got := s.getAt(tt.connection, tt.path).StatusCode; got != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, got)
		}
	}
	if _, err := s.handler.TestLink(t.Context(), "nobody"); !errors.Is(err, provision.ErrNotFound) {
		t.Errorf("of nobody: %v", err)
	}
	if _, err := s.handler.TestLink(t.Context(), "plain"); codeOf(err) != saml.CodeConnection {
		t.Errorf("without SAML: %v", err)
	}
}
