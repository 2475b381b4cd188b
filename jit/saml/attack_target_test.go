package saml_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/jit/saml"
	"github.com/scimjit/provision/policy"
)

// attackConnections are the settings that rows name.
var attackConnections = map[string]func(*provision.SAML){
	"":              func(*provision.SAML) {},
	"sha1":          func(s *provision.SAML) { s.AllowSHA1 = true },
	"cbc":           func(s *provision.SAML) { s.InsecureAllowCBC = true },
	"idp-initiated": func(s *provision.SAML) { s.AllowIDPInitiated = true },
}

// target is a server under attack.
type target struct {
	engine *provision.Engine
	store  *recorder
	log    *logBuffer
	random *switchedRandom
	logins atomic.Int64
	url    string
	client *http.Client // with connections of its own
}

// newTarget serves a connection "acme" of the identity provider that signed the
// messages. Its members of group "Admins" are site admins.
func newTarget(t *testing.T, connection string) *target {
	t.Helper()
	s := &target{store: newRecorder(), log: &logBuffer{}, random: &switchedRandom{}}
	s.random.fixed.Store(-1)
	logger := slog.New(slog.NewJSONHandler(s.log, nil))
	s.engine = &provision.Engine{Store: s.store, Now: func() time.Time { return attackNow }, Rand: s.random, Logger: logger}
	config := policy.Config{SiteAdminGroups: policy.Patterns{"Admins"}}
	settings := provision.SAML{
		Metadata: string(readFile(t, samlData+"/idp-metadata.xml")),
		Mapping:  map[string]string{"id": "uid"},
	}
	configure, ok := attackConnections[connection]
	if !ok {
		t.Fatalf("no connection %q", connection)
	}
	configure(&settings)
	c := provision.Connection{ID: "acme", Policy: config, SAML: &settings}
	if _, err := s.engine.Directory(c.ID).As(provision.Actor{Kind: "operator"}).UpdateConnection(t.Context(), with(c)); err != nil {
		t.Fatal(err)
	}
	key, cert := testKey(t, "sp")
	handler := &saml.Handler{
		Engine: s.engine,
		Login: &jit.LoginHandler{
			Engine: s.engine,
			OnLogin: func(w http.ResponseWriter, _ *http.Request, _ *provision.Account, _ string) {
				s.logins.Add(1)
				w.WriteHeader(http.StatusNoContent)
			},
			Logger: logger,
		},
		BaseURL: func(connection string) string { return "https://sp.example.com/saml/" + connection },
		Key:     key, Certificate: cert,
		Logger: slog.New(slog.DiscardHandler),
	}
	mux := http.NewServeMux()
	mux.Handle("/saml/{connection}/", handler)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.client = server.Client()
	s.url = server.URL + "/saml/acme/"
	return s
}

// browser returns the form that a browser posts, without the response, and its
// cookies, after it has asked for a login or not.
func (s *target) browser(t *testing.T, which string) (form url.Values, cookies []*http.Cookie) {
	t.Helper()
	own, ownCookies := s.ask(t, 0)
	switch which {
	case "":
		return own, ownCookies
	case "other":
		return s.ask(t, 1)
	case "other-relay-state":
		_, cookies = s.ask(t, 1)
		return own, cookies
	case "lost-relay-state":
		return url.Values{}, ownCookies
	case "none":
		return url.Values{}, nil
	}
	t.Fatalf("no browser %q", which)
	return nil, nil
}

// ask begins a login whose randomness is the same byte over and over, so that
// the ID of the request is known.
func (s *target) ask(t *testing.T, random byte) (url.Values, []*http.Cookie) {
	t.Helper()
	s.random.fixed.Store(int32(random))
	defer s.random.fixed.Store(-1)
	answer := s.get(t, "login", nil)
	to, err := url.Parse(answer.header.Get("Location"))
	if err != nil || answer.status != http.StatusFound || len(answer.cookies) != 1 {
		t.Fatalf("login: status %d, %d cookies, %v", answer.status, len(answer.cookies), err)
	}
	return url.Values{"RelayState": to.Query()["RelayState"]}, answer.cookies
}

// answer is one HTTP response, without following redirects.
type answer struct {
	status  int
	header  http.Header
	cookies []*http.Cookie
	body    string
}

func (s *target) get(t *testing.T, path string, cookies []*http.Cookie) answer {
	t.Helper()
	return s.do(t, http.MethodGet, path, nil, cookies)
}

func (s *target) post(t *testing.T, form url.Values, cookies []*http.Cookie) answer {
	t.Helper()
	return s.do(t, http.MethodPost, "acs", form, cookies)
}

func (s *target) do(t *testing.T, method, path string, form url.Values, cookies []*http.Cookie) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range cookies {
		request.AddCookie(c)
	}
	response, err := s.client.Transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: response.StatusCode, header: response.Header, cookies: response.Cookies(), body: string(body)}
}

// switchedRandom is random, or the same byte over and over.
type switchedRandom struct {
	fixed atomic.Int32 // -1: random
}

func (r *switchedRandom) Read(p []byte) (int, error) {
	fixed := r.fixed.Load()
	if fixed < 0 {
		return rand.Read(p)
	}
	for i := range p {
		p[i] = byte(fixed)
	}
	return len(p), nil
}

// logBuffer keeps the lines of a JSON log.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// refusal is a refused login in the log.
type refusal struct{ ID, Connection, Code, Cause string }

// take returns the refusals since the last call.
func (b *logBuffer) take() []refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.buf.Reset()
	var list []refusal
	for line := range strings.Lines(b.buf.String()) {
		var entry struct {
			Msg string
			refusal
		}
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "login denied" {
			list = append(list, entry.refusal)
		}
	}
	return list
}
