package scim_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store/memory"
)

// handClock is a time that tests move by hand.
type handClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// timedService is a service whose time a test moves.
func timedService(t *testing.T) (*service, *handClock) {
	t.Helper()
	c := &handClock{now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	st := memory.New()
	st.Now = c.Now
	s := newService(t, st, "")
	s.engine.Now = c.Now
	return s, c
}

// from sends a request with an Authorization header from an address.
func (s *service) from(address, authorization string, headers ...string) reply {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodGet, "https://sp.example/Users", nil)
	r.RemoteAddr = address
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return reply{w.Code, w.Header(), w.Body.String()}
}

// fail sends failing requests from an address, and returns the status of the
// last.
func (s *service) fail(n int, address string) int {
	s.t.Helper()
	last := 0
	for range n {
		last = s.from(address, "Bearer wrong").status
	}
	return last
}

func (s *service) expectRetry(a reply, want string) {
	s.t.Helper()
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") != want {
		s.t.Errorf("status %d, Retry-After %q, want 429, %q", a.status, a.header.Get("Retry-After"), want)
	}
	checkError(s.t, a, "", "try again later")
}

// Whatever is wrong with a credential, the answer is the same.
func TestRefusedCredentialsLookAlike(t *testing.T) {
	s, c := timedService(t)
	ctx, operator := t.Context(), provision.Actor{Kind: "operator", ID: "test"}
	issue := func(connection string, expires time.Time) (string, provision.Credential) {
		if err := s.engine.Directory(connection).As(operator).RevokeCredentials(ctx); err != nil {
			t.Fatal(err)
		}
		token, cred, err := s.engine.Directory(connection).As(operator).IssueToken(ctx, expires)
		if err != nil {
			t.Fatal(err)
		}
		if a := s.from("192.0.2.1:1", "Bearer "+token); a.status != 200 {
			t.Fatalf("a new token: %d %s", a.status, a.body)
		}
		return token, cred
	}
	revoked, cred := issue("acme", time.Time{})
	if err := s.engine.Directory("acme").As(operator).RevokeCredential(ctx, cred.ID); err != nil {
		t.Fatal(err)
	}
	expired, _ := issue("acme", c.Now().Add(time.Hour))
	disabled, _ := issue("other", time.Time{})
	if _, err := s.engine.Directory("other").As(operator).UpdateConnection(ctx, with(provision.Connection{ID: "other", Disabled: true})); err != nil {
		t.Fatal(err)
	}
	c.add(time.Hour)
	want := s.from("192.0.2.1:1", "")
	if want.status != 401 || len(want.header["Www-Authenticate"]) != 2 {
		t.Errorf("no header: %d %v", want.status, want.header)
	}
	checkError(t, want, "", "")
	for name, authorization := range map[string]string{
		"unknown token":   "Bearer " + acmeToken + "x",
		"unknown user":    "Basic " + base64.StdEncoding.EncodeToString([]byte("nobody:"+acmeToken)),
		"token as user":   "Basic " + base64.StdEncoding.EncodeToString([]byte(acmeToken+":")),
		"unknown scheme":  "Digest " + acmeToken,
		"revoked":         "Bearer " + revoked,
		"expired":         "Bearer " + expired,
		"disabled":        "Bearer " + disabled,
		"replaced by new": "Bearer " + acmeToken,
	} {
		if diff := cmp.Diff(want, s.from("192.0.2.1:1", authorization), cmp.AllowUnexported(reply{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for _, secret := range []string{revoked, expired, disabled, acmeToken} {
		if strings.Contains(s.log.String(), secret) {
			t.Error("the log holds a secret")
		}
	}
}

func TestFailedAuthentications(t *testing.T) {
	s, c := timedService(t)
	const here, there = "192.0.2.1:1000", "192.0.2.2:1000"
	for i := 1; i <= 9; i++ {
		if a := s.from(here, "Bearer wrong"); a.status != 401 || len(a.header["Www-Authenticate"]) != 2 {
			t.Fatalf("failure %d: %d %v", i, a.status, a.header)
		}
		c.add(time.Second)
	}
	s.expectRetry(s.from(here, "Bearer wrong"), "51")
	s.expectRetry(s.from("192.0.2.1:2000", "Basic d3Jvbmc6d3Jvbmc="), "52") // another port, another method
	for name, a := range map[string]struct {
		address, authorization string
		want                   int
	}{
		"a valid credential is served": {here, "Bearer " + acmeToken, 200},
		"another connection's too":     {here, "Bearer " + otherToken, 200},
		"no header is a plain 401":     {here, "", 401},
		"another address is not meant": {there, "Bearer wrong", 401},
	} {
		if got := s.from(a.address, a.authorization).status; got != a.want {
			t.Errorf("%s: %d, want %d", name, got, a.want)
		}
	}
	// Nine of the eleven failures count: those of seconds 2 to 9. A minute
	// after the oldest the address is as free as any, and not a second before.
	c.add(53*time.Second - time.Second) // the third failure is 59 s ago
	s.expectRetry(s.from(here, "Bearer wrong"), "1")
	c.add(time.Minute)
	if got := s.fail(9, here); got != 401 {
		t.Errorf("after a quiet minute: %d", got)
	}
	if got := s.fail(1, here); got != 429 {
		t.Errorf("the tenth after a quiet minute: %d", got)
	}
}

// The window is a minute before each failure, not a minute of the clock.
func TestFailedAuthenticationsWindow(t *testing.T) {
	tests := []struct {
		name string
		wait time.Duration
		want int
	}{
		{"a second before a minute has passed", 59 * time.Second, 429},
		{"a minute", 60 * time.Second, 401},
	}
	for _, test := range tests {
		s, c := timedService(t)
		s.fail(1, "192.0.2.1:1")
		c.add(test.wait)
		s.fail(8, "192.0.2.1:1")
		if got := s.fail(1, "192.0.2.1:1"); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

func TestMissingHeaderIsNotCounted(t *testing.T) {
	s, _ := timedService(t)
	for range 30 {
		if a := s.from("192.0.2.1:1", ""); a.status != 401 {
			t.Fatalf("status %d", a.status)
		}
	}
	if got := s.fail(9, "192.0.2.1:1"); got != 401 {
		t.Errorf("the ninth failure: %d", got)
	}
	// An empty scheme is a failed attempt, not a missing one.
	s.expectRetry(s.from("192.0.2.1:1", "Bearer "), "60")
}

func TestFailedAuthenticationAddress(t *testing.T) {
	proxy := func(r *http.Request) string { return r.Header.Get("X-Real-Ip") }
	tests := []struct {
		name          string
		address       func(*http.Request) string
		first, second string
		headers       [2]string // X-Real-Ip of the nine, and of the tenth
		want          int
	}{
		{"a header that nobody configured", nil, "192.0.2.1:1", "192.0.2.1:1", [2]string{"192.0.2.7", "192.0.2.8"}, 429},
		{"a configured proxy, one client", proxy, "192.0.2.1:1", "192.0.2.2:1", [2]string{"192.0.2.7", "192.0.2.7"}, 429},
		{"a configured proxy, two clients", proxy, "192.0.2.1:1", "192.0.2.1:1", [2]string{"192.0.2.7", "192.0.2.8"}, 401},
		{"IPv4 in IPv6", nil, "192.0.2.1:1", "[::ffff:192.0.2.1]:1", [2]string{}, 429},
		{"one IPv6 network", nil, "[2001:db8::1]:1", "[2001:db8::ffff:2]:1", [2]string{}, 429},
		{"two IPv6 networks", nil, "[2001:db8::1]:1", "[2001:db8:0:1::1]:1", [2]string{}, 401},
		{"no port", nil, "@", "@", [2]string{}, 429},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, _ := timedService(t)
			s.handler.(*scim.Handler).Address = test.address
			for range 9 {
				s.from(test.first, "Bearer wrong", "X-Real-Ip", test.headers[0])
			}
			if got := s.from(test.second, "Bearer wrong", "X-Real-Ip", test.headers[1]).status; got != test.want {
				t.Errorf("status %d, want %d", got, test.want)
			}
		})
	}
}

// A flood of addresses keeps no valid credential out and does not make the handler forget an address that fails.
func TestFailedAuthenticationFlood(t *testing.T) {
	s, c := timedService(t)
	s.fail(10, "192.0.2.1:1")
	for i := range 20_000 {
		s.fail(1, fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255))
	}
	if got := s.fail(1, "192.0.2.1:1"); got != 429 {
		t.Errorf("the flood made the handler forget an address: %d", got)
	}
	if got := s.from("192.0.2.9:1", "Bearer "+acmeToken).status; got != 200 {
		t.Errorf("the flood keeps a valid credential out: %d", got)
	}
	c.add(time.Minute)
	if got := s.fail(1, "192.0.2.9:1"); got != 401 {
		t.Errorf("a minute after the flood: %d", got)
	}
}

// A refusal of the host's own function counts, a fault of it does not.
func TestFailedHostAuthentication(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want int
	}{
		{"refused", fmt.Errorf("no such session: %w", provision.ErrUnauthenticated), 429},
		{"fault", &scim.Error{Status: 503, Detail: "try again", Err: errors.New("directory is away")}, 503},
	} {
		s, _ := timedService(t)
		s.handler.(*scim.Handler).Authenticate = func(*http.Request) (scim.Principal, error) { return scim.Principal{}, test.err }
		if got := s.fail(10, "192.0.2.1:1"); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

// A bucket holds five seconds' worth and fills again by the engine's clock.
func TestRateLimitRefills(t *testing.T) {
	s, c := timedService(t)
	s.handler.(*scim.Handler).Limits.Rate = 0.4
	get := func() reply { return s.do("GET", "/Users", acmeToken, "") }
	for i := range 2 {
		if a := get(); a.status != 200 {
			t.Fatalf("request %d: %d", i, a.status)
		}
	}
	s.expectRetry(get(), "3")
	c.add(2 * time.Second)
	s.expectRetry(get(), "1") // rounded up: half a second early would be refused again
	c.add(500 * time.Millisecond)
	if a := get(); a.status != 200 {
		t.Errorf("after Retry-After: %d", a.status)
	}
	if a := s.do("GET", "/Users", "wrong", ""); a.status != 401 {
		t.Errorf("a wrong token is not limited by credential: %d", a.status)
	}
}

// A host may name the credentials of two connections alike.
func TestRateLimitOfConnection(t *testing.T) {
	s, _ := timedService(t)
	h := s.handler.(*scim.Handler)
	h.Limits.Rate = 0.2
	h.Authenticate = func(r *http.Request) (scim.Principal, error) {
		return scim.Principal{Connection: r.Header.Get("X-Connection"), Credential: "token"}, nil
	}
	for _, step := range []struct {
		connection string
		want       int
	}{{"acme", 200}, {"acme", 429}, {"other", 200}} {
		if got := s.do("GET", "/Users", "", "", "X-Connection", step.connection).status; got != step.want {
			t.Errorf("%s: %d, want %d", step.connection, got, step.want)
		}
	}
}

// Credentials come and go; their buckets do not stay, unless they are in use.
func TestRateLimitForgets(t *testing.T) {
	s, c := timedService(t)
	h := s.handler.(*scim.Handler)
	h.Limits.Rate = 0.2
	n := 0
	h.Authenticate = func(r *http.Request) (scim.Principal, error) {
		if r.Header.Get("X-Busy") != "" {
			return scim.Principal{Connection: "acme", Credential: "busy"}, nil
		}
		n++
		return scim.Principal{Connection: "acme", Credential: strconv.Itoa(n % 5000)}, nil
	}
	for i := range 3000 {
		s.do("GET", "/Users", "", "")
		busy := s.do("GET", "/Users", "", "", "X-Busy", "1").status
		if first := i%500 == 0; (busy == 200) != first {
			t.Fatalf("request %d of a busy credential: %d", i, busy)
		}
		c.add(10 * time.Millisecond)
	}
	if kept := scim.CountedCredentials(h); kept > 1100 {
		t.Errorf("%d buckets are kept, about 500 are in use at a time", kept)
	}
}
