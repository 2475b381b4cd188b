package oauth_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/scim/oauth"
)

// A token opens the directory of its connection and no other.
func TestTwoTenants(t *testing.T) {
	ours, others := newKey("1"), newKey("2")
	s := newService(t, verifiers(t, ours, others)...)
	acmeToken := ours.sign(t, nil, claims())
	secondToken := ours.sign(t, nil, claims().with(object{"aud": "https://app.example/second"}))
	otherToken := others.sign(t, nil, claims().with(object{"iss": "https://other.example", "aud": "https://app.example/other"}))

	mux := http.NewServeMux()
	mux.Handle("/scim/{connection}/v2/{resource...}", s.scim)
	mux.Handle("/all/", http.StripPrefix("/all", s.scim))
	send := func(method, path, token, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Authorization", "bearer "+token)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	created := send("POST", "/all/Users", acmeToken, `{"userName":"ada@example.com"}`)
	var user struct{ ID string }
	if err := json.Unmarshal(created.Body.Bytes(), &user); err != nil || created.Code != 201 {
		t.Fatalf("%d %s", created.Code, created.Body)
	}
	for _, test := range []struct {
		name, path, token string
		want              int
	}{
		{"own", "/all/Users/" + user.ID, acmeToken, 200},
		{"same issuer, other audience", "/all/Users/" + user.ID, secondToken, 404},
		{"other issuer", "/all/Users/" + user.ID, otherToken, 404},
		{"own path", "/scim/acme/v2/Users/" + user.ID, acmeToken, 200},
		{"path of another tenant", "/scim/acme/v2/Users/" + user.ID, otherToken, 404},
		{"path of another tenant, list", "/scim/acme/v2/Users", secondToken, 404},
		{"own list", "/scim/other/v2/Users", otherToken, 200},
	} {
		if got := send("GET", test.path, test.token, ""); got.Code != test.want {
			t.Errorf("%s: %d, want %d: %s", test.name, got.Code, test.want, got.Body)
		}
	}
	events, err := s.engine.Directory("acme").Events(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	last := events[len(events)-1]
	if want := (provision.Actor{Kind: "scim", ID: "oauth:idp-client"}); last.Actor != want {
		t.Errorf("event %s by %+v, want %+v", last.Type, last.Actor, want)
	}
}

// The credentials of the store work beside tokens, or not at all.
func TestOtherwise(t *testing.T) {
	key := newKey("1")
	s := newService(t, verifiers(t, key, newKey("2"))...)
	stored, _, err := s.engine.Directory("second").As(operator).IssueToken(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	dotted := base64url([]byte(`{"typ":"secret"}`)) + ".of-at-least.32-characters"
	if _, err := s.engine.Directory("other").As(operator).SetCredential(t.Context(), provision.Secret{Token: dotted}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	issued, _, err := s.engine.Directory("acme").As(operator).IssueCredential(t.Context(), provision.NewCredential{Method: "basic"})
	if err != nil {
		t.Fatal(err)
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(issued.UserName+":"+issued.Password))
	good := key.sign(t, nil, claims())
	s.scim.Address = func(r *http.Request) string { return r.Header.Get("Authorization") } // none fails often
	const ask, invalid = `Bearer realm="scim"`, `Bearer realm="scim", error="invalid_token"`
	for _, test := range []struct {
		name, authorization string
		alone, both         int
		challenge           string // alone
	}{
		{"access token", "Bearer " + good, 200, 200, ""},
		{"bad access token", "Bearer " + good[:len(good)-4] + "AAAA", 401, 401, invalid},
		{"stored token", "Bearer " + stored, 401, 200, invalid},
		{"stored token with dots", "Bearer " + dotted, 401, 200, invalid},
		{"unknown token", "Bearer " + stored + "x", 401, 401, invalid},
		{"password", basic, 401, 200, ask},
		{"nothing", "", 401, 401, ask},
		{"bearer without a token", "Bearer ", 401, 401, ask},
		{"token without a scheme", good, 401, 401, ask},
		{"token under another scheme", "DPoP " + good, 401, 401, ask},
	} {
		s.auth.Otherwise = nil
		w := s.get(test.authorization)
		if w.Code != test.alone {
			t.Errorf("%s: %d, want %d", test.name, w.Code, test.alone)
		}
		if got := w.Header().Values("WWW-Authenticate"); w.Code == 401 && !cmp.Equal(got, []string{test.challenge}) {
			t.Errorf("%s: challenge %q, want %q", test.name, got, test.challenge)
		}
		s.auth.Otherwise = scim.Credentials(s.engine)
		if w := s.get(test.authorization); w.Code != test.both {
			t.Errorf("%s: %d beside the store's credentials, want %d", test.name, w.Code, test.both)
		}
	}
}

// Otherwise never sees a JWT, whatever is wrong with it.
func TestOtherwiseSeesNoJWT(t *testing.T) {
	key := newKey("1")
	s := newService(t, verifiers(t, key, newKey("2"))...)
	s.auth.Otherwise = func(r *http.Request) (scim.Principal, error) {
		t.Errorf("asked about %.40q", r.Header.Get("Authorization"))
		return scim.Principal{Connection: "acme"}, nil
	}
	for _, token := range []string{
		key.sign(t, nil, claims().with(object{"iss": "https://unknown.example"})),
		encrypted(t, key.sign(t, nil, claims())),
		base64url([]byte(`{"alg":"none"}`)) + "." + base64url(encode(t, claims())) + ".",
		key.sign(t, object{"x": strings.Repeat("x", 2*oauth.MaxToken)}, claims()),
	} {
		s.clock.add(time.Second)
		s.expect(t, token, scim.Principal{}, " ")
	}
}

// Clients are not told what is wrong, and no token is logged.
func TestRefusalsLookAlike(t *testing.T) {
	key := newKey("1")
	s := newService(t, verifiers(t, key, newKey("2"))...)
	tokens := []string{
		key.sign(t, nil, claims().with(object{"exp": 1})),
		key.sign(t, nil, claims().with(object{"aud": "x"})),
		key.sign(t, nil, claims().with(object{"scope": "x"})),
		newKey("1").sign(t, nil, claims()),
		key.sign(t, object{"kid": "9"}, claims()),
	}
	want := s.get("Bearer " + tokens[0])
	if want.Code != 401 || !strings.Contains(want.Body.String(), `"status":"401"`) {
		t.Fatalf("%d %s", want.Code, want.Body)
	}
	for _, token := range tokens[1:] {
		got := s.get("Bearer " + token)
		if got.Code != want.Code || got.Body.String() != want.Body.String() || !cmp.Equal(got.Header(), want.Header()) {
			t.Errorf("%d %v %s\nwant %d %v %s", got.Code, got.Header(), got.Body, want.Code, want.Header(), want.Body)
		}
	}
	log := s.log.take()
	for _, token := range tokens {
		for _, part := range strings.Split(token, ".")[1:] {
			if strings.Contains(log, part) {
				t.Errorf("the log holds a part of a token: %s", log)
			}
		}
	}
}

// A disabled connection is closed at once, one that is gone too.
func TestConnectionState(t *testing.T) {
	key := newKey("1")
	s := newService(t,
		oauth.Verifier{Connection: "acme", Issuer: issuer, Audience: audience, Keys: static(t, key)},
		oauth.Verifier{Connection: "unknown", Issuer: issuer, Audience: "unknown", Keys: static(t, key)},
		oauth.Verifier{Connection: "entra", Issuer: issuer, Audience: "entra", Keys: static(t, key)})
	token := key.sign(t, nil, claims())
	s.expect(t, token, acme, "")
	if _, err := s.engine.Directory("acme").As(operator).UpdateConnection(t.Context(), with(provision.Connection{ID: "acme", Disabled: true})); err != nil {
		t.Fatal(err)
	}
	s.expect(t, token, acme, "disabled")
	s.expect(t, key.sign(t, nil, claims().with(object{"aud": "unknown"})), acme, "no such connection")
	if _, err := s.engine.Directory("entra").As(operator).UpdateConnection(t.Context(), with(provision.Connection{ID: "entra", Dialect: "entra"})); err != nil {
		t.Fatal(err)
	}
	want := scim.Principal{Connection: "entra", Credential: "oauth:idp-client", Dialect: "entra", Subject: "subject"}
	s.expect(t, key.sign(t, nil, claims().with(object{"aud": "entra"})), want, "")
}

// Requests are counted by client, whatever tokens it has; refusals by address.
func TestCounting(t *testing.T) {
	key := newKey("1")
	s := newService(t, verifiers(t, key, newKey("2"))...)
	s.scim.Limits.Rate = 0.2
	for _, step := range []struct {
		name   string
		claims object
		want   int
	}{
		{"first", object{"jti": "1"}, 200},
		{"another token of the client", object{"jti": "2"}, 429},
		{"another client", object{"client_id": "second-client"}, 200},
		{"another connection", object{"aud": "https://app.example/second"}, 200},
	} {
		if w := s.get("Bearer " + key.sign(t, nil, claims().with(step.claims))); w.Code != step.want {
			t.Errorf("%s: %d, want %d", step.name, w.Code, step.want)
		}
	}
	bad := "Bearer " + key.sign(t, nil, claims().with(object{"exp": 1}))
	for i := 1; i <= 10; i++ {
		if got, want := s.get(bad).Code, 401+28*(i/10); got != want {
			t.Errorf("failure %d: %d, want %d", i, got, want)
		}
	}
}

// A flood of refusals fills no disk, and its size is told.
func TestLogOfFlood(t *testing.T) {
	key := newKey("1")
	s := newService(t, verifiers(t, key, newKey("2"))...)
	bad := request("Bearer " + key.sign(t, nil, claims().with(object{"iss": strings.Repeat("é", 2000)})))
	refuse := func() {
		if _, err := s.auth.Authenticate(bad); !errors.Is(err, provision.ErrUnauthenticated) {
			t.Fatal(err)
		}
	}
	for range 1000 {
		refuse()
	}
	log := s.log.take()
	if lines := strings.Count(log, "\n"); lines != 10 || len(log) > 10_000 {
		t.Errorf("%d lines of %d bytes in all, want 10 lines", lines, len(log))
	}
	s.clock.add(time.Second)
	refuse()
	if log := s.log.take(); !strings.Contains(log, `"unlogged":990`) {
		t.Errorf("the log does not say how many were left out: %s", log)
	}
}

func TestNewRefuses(t *testing.T) {
	keys := static(t, newKey("1"))
	good := oauth.Verifier{Connection: "acme", Issuer: issuer, Audience: audience, Keys: keys}
	with := func(change func(*oauth.Verifier)) []oauth.Verifier {
		v := good
		change(&v)
		return []oauth.Verifier{v}
	}
	for _, test := range []struct {
		name      string
		verifiers []oauth.Verifier
		want      string
	}{
		{"no connection", with(func(v *oauth.Verifier) { v.Connection = "" }), "Connection is missing"},
		{"no issuer", with(func(v *oauth.Verifier) { v.Issuer = "" }), "Issuer is missing"},
		{"no audience", with(func(v *oauth.Verifier) { v.Audience = "" }), "Audience is missing"},
		{"no keys", with(func(v *oauth.Verifier) { v.Keys = nil }), "Keys is missing"},
		{"leeway", with(func(v *oauth.Verifier) { v.Leeway = time.Minute + 1 }), "more than 1m0s"},
		{"same twice", []oauth.Verifier{good, good}, "same issuer and audience"},
	} {
		if _, err := oauth.New(&provision.Engine{}, test.verifiers...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
	}
	if _, err := oauth.New(&provision.Engine{}, good); err != nil {
		t.Error(err)
	}
}
