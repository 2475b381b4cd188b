package oauth_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim/oauth"
	"github.com/scimjit/provision/store"
)

// keyServer publishes keys.
type keyServer struct {
	mu      sync.Mutex
	handler http.HandlerFunc
	fetches int

	url    string
	clock  *clock
	log    *logBuffer
	source *oauth.RemoteKeys
}

func newKeyServer(t *testing.T) *keyServer {
	t.Helper()
	s := &keyServer{clock: &clock{now: start}, log: &logBuffer{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.fetches++
		handler := s.handler
		s.mu.Unlock()
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	source, err := oauth.NewRemoteKeys(server.URL + "/keys")
	if err != nil {
		t.Fatal(err)
	}
	source.Now, source.Logger, source.Client = s.clock.Now, slog.New(slog.NewJSONHandler(s.log, nil)), server.Client()
	s.source = source
	return s
}

func (s *keyServer) answer(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handler = h
}

// publish serves keys from now on.
func (s *keyServer) publish(t *testing.T, cacheControl string, keys ...keyPair) {
	data := keySet(t, keys...)
	s.answer(func(w http.ResponseWriter, _ *http.Request) {
		if cacheControl != "" {
			w.Header().Set("Cache-Control", cacheControl)
		}
		_, _ = w.Write(data)
	})
}

func (s *keyServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetches
}

func (s *keyServer) fail() {
	s.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
}

func TestRemoteKeysAge(t *testing.T) {
	for _, test := range []struct {
		header string
		want   time.Duration
	}{
		{"", 5 * time.Minute},
		{"public, max-age=3600", time.Hour},
		{`MAX-AGE="3600"`, time.Hour},
		{"max-age=1", 5 * time.Minute},
		{"max-age=-1", 5 * time.Minute},
		{"max-age=x", 5 * time.Minute},
		{"max-age=2000000", 24 * time.Hour},
		{"max-age=99999999999999999999", 5 * time.Minute},
		{"max-age=3600, no-cache", 5 * time.Minute},
		{"no-store", 5 * time.Minute},
	} {
		t.Run(test.header, func(t *testing.T) {
			s := newKeyServer(t)
			s.publish(t, test.header, newKey("1"))
			for _, step := range []struct {
				after time.Duration
				want  int
			}{{0, 1}, {test.want - time.Second, 1}, {time.Second, 2}} {
				s.clock.add(step.after)
				ids(t, s.source, "1")
				if got := s.count(); got != step.want {
					t.Fatalf("%d fetches after %s, want %d", got, step.after, step.want)
				}
			}
		})
	}
}

// A new key is found when a token names it, and random names cause no load.
func TestRemoteKeysRotation(t *testing.T) {
	s := newKeyServer(t)
	s.publish(t, "max-age=86400", newKey("1"))
	for _, step := range []struct {
		name    string
		after   time.Duration
		kid     string
		publish string
		want    []string
		fetches int
	}{
		{"first", 0, "1", "", []string{"1"}, 1},
		{"unknown, too early", time.Minute - time.Second, "2", "2", []string{"1"}, 1},
		{"unknown, after a minute", time.Second, "2", "", []string{"2"}, 2},
		{"known", time.Hour, "2", "", []string{"2"}, 2},
		{"no name", 0, "", "", []string{"2"}, 2},
		{"unknown", 0, "x1", "", []string{"2"}, 3},
		{"unknown, another", time.Second, "x2", "", []string{"2"}, 3},
		{"unknown, another", 58 * time.Second, "x3", "", []string{"2"}, 3},
		{"unknown, after another minute", time.Second, "x4", "", []string{"2"}, 4},
	} {
		s.clock.add(step.after)
		if step.publish != "" {
			s.publish(t, "max-age=86400", newKey(step.publish))
		}
		if diff := cmp.Diff(step.want, ids(t, s.source, step.kid)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		if got := s.count(); got != step.fetches {
			t.Errorf("%s: %d fetches, want %d", step.name, got, step.fetches)
		}
	}
}

// When the clock is set back, keys are looked for at once, and those that are known
// serve for a day more while there are none.
func TestRemoteKeysWhenClockIsSetBack(t *testing.T) {
	for _, back := range []time.Duration{15 * time.Second, time.Hour, 3 * 365 * 24 * time.Hour} {
		s := newKeyServer(t)
		s.publish(t, "max-age=86400", newKey("1"))
		ids(t, s.source, "1")
		s.fail()
		s.clock.add(-back)
		for _, step := range []struct {
			after   time.Duration
			ok      bool
			fetches int
		}{{0, true, 2}, {time.Minute - time.Second, true, 2}, {time.Second, true, 3}, {24*time.Hour - time.Minute, false, 4}} {
			s.clock.add(step.after)
			if _, err := s.source.Keys(t.Context(), "1"); (err == nil) != step.ok {
				t.Errorf("back by %v, %v later: %v", back, step.after, err)
			}
			if got := s.count(); got != step.fetches {
				t.Errorf("back by %v, %v later: %d fetches, want %d", back, step.after, got, step.fetches)
			}
		}
	}
}

// Old keys serve while the server is away, but not for ever.
func TestRemoteKeysStale(t *testing.T) {
	s := newKeyServer(t)
	s.publish(t, "", newKey("1"))
	ids(t, s.source, "1")
	s.fail()
	for _, step := range []struct {
		name    string
		after   time.Duration
		kid     string
		ok      bool
		fetches int
	}{
		{"fresh", 5*time.Minute - time.Second, "1", true, 1},
		{"stale", time.Second, "1", true, 2},
		{"within a minute", 59 * time.Second, "1", true, 2},
		{"after a minute", time.Second, "1", true, 3},
		{"a key that nobody knows now", 0, "2", false, 3},
		{"a second before the end", 24*time.Hour - time.Minute - time.Second, "1", true, 4},
		{"the end", time.Second, "1", false, 4},
	} {
		s.clock.add(step.after)
		if _, err := s.source.Keys(t.Context(), step.kid); (err == nil) != step.ok {
			t.Errorf("%s: %v", step.name, err)
		}
		if got := s.count(); got != step.fetches {
			t.Errorf("%s: %d fetches, want %d", step.name, got, step.fetches)
		}
	}
	if log := s.log.take(); strings.Count(log, "502") != 3 {
		t.Errorf("log of three failures: %s", log)
	}
	s.publish(t, "", newKey("1"))
	s.clock.add(time.Minute)
	ids(t, s.source, "1")
}

func TestRemoteKeysRefuses(t *testing.T) {
	good := string(keySet(t, newKey("1")))
	text := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
	}
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"as large as allowed", text(good + strings.Repeat(" ", 1<<20-len(good))), ""},
		{"too large", text(good + strings.Repeat(" ", 1<<20-len(good)+1)), "more than 1048576 bytes"},
		{"no JSON", text("<html>"), "key set"},
		{"no keys", text("{}"), "none of 0 keys"},
		{"error with keys", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(good))
		}, "404"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/keys" {
				http.Redirect(w, r, "/moved", http.StatusFound)
				return
			}
			text(good)(w, r)
		}, "redirects"},
		{"no answer", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "deadline"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newKeyServer(t)
			s.answer(test.handler)
			if strings.Contains(test.want, "deadline") {
				s.source.Timeout = 20 * time.Millisecond
			}
			_, err := s.source.Keys(t.Context(), "1")
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// Those who ask at once wait for one fetch; one that leaves stops only itself.
func TestRemoteKeysConcurrent(t *testing.T) {
	s := newKeyServer(t)
	began, release := make(chan struct{}), make(chan struct{})
	data := keySet(t, newKey("1"))
	s.answer(func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-release
		_, _ = w.Write(data)
	})
	first, leave := context.WithCancel(t.Context())
	results := make(chan error)
	go func() {
		_, err := s.source.Keys(first, "1")
		results <- err
	}()
	<-began
	leave()
	if err := <-results; !errors.Is(err, context.Canceled) {
		t.Errorf("the one that left: %v", err)
	}
	s.clock.add(2 * time.Minute) // a fetch that takes long is still the only one
	const n = 50
	for range n {
		go func() {
			_, err := s.source.Keys(t.Context(), "1")
			results <- err
		}()
	}
	close(release)
	for range n {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if got := s.count(); got != 1 {
		t.Errorf("%d fetches, want 1", got)
	}
}

// deadlines is a transport that sends nothing and tells how long it could have
// taken.
type deadlines struct{ left time.Duration }

func (d *deadlines) RoundTrip(r *http.Request) (*http.Response, error) {
	if at, ok := r.Context().Deadline(); ok {
		d.left = time.Until(at)
	}
	return nil, errors.New("not sent")
}

func TestRemoteKeysTimeout(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{0: 5 * time.Second, time.Hour: time.Hour} {
		s := newKeyServer(t)
		sent := &deadlines{}
		s.source.Client, s.source.Timeout = &http.Client{Transport: sent}, timeout
		if _, err := s.source.Keys(t.Context(), "1"); err == nil {
			t.Error("no error")
		}
		if sent.left > want || sent.left < want/2 {
			t.Errorf("%s are left, want %s", sent.left, want)
		}
	}
}

func TestNewRemoteKeys(t *testing.T) {
	for _, test := range []struct {
		address string
		ok      bool
	}{
		{"https://idp.example/keys?tenant=1", true},
		{"http://localhost:8080/keys", true},
		{"http://127.0.0.1/keys", true},
		{"http://[::1]:8080/keys", true},
		{"http://idp.example/keys", false},
		{"http://localhost.evil.example/keys", false},
		{"http://127.0.0.1.evil.example/keys", false},
		{"http://192.0.2.1/keys", false},
		{"https://user:secret@idp.example/keys", false},
		{"https://user:secret@idp.example:x/keys", false},
		{"file:///etc/keys", false},
		{"https:///keys", false},
		{"/keys", false},
		{"", false},
	} {
		_, err := oauth.NewRemoteKeys(test.address)
		if (err == nil) != test.ok {
			t.Errorf("%q: %v", test.address, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error tells a password: %v", err)
		}
	}
}

// An unknown key is looked for while a request waits, and a server that is away
// is no fault of the client.
func TestRotationThroughHandler(t *testing.T) {
	keys := newKeyServer(t)
	before, after := newKey("1"), newKey("2")
	keys.publish(t, "max-age=86400", before)
	s := newService(t, oauth.Verifier{Connection: "acme", Issuer: issuer, Audience: audience, Keys: keys.source})
	keys.source.Now = s.clock.Now
	get := func(k keyPair) int { return s.get("Bearer " + k.sign(t, nil, claims())).Code }
	if got := get(before); got != 200 {
		t.Errorf("first key: %d", got)
	}
	keys.publish(t, "max-age=86400", before, after)
	s.clock.add(time.Minute)
	if got := get(after); got != 200 {
		t.Errorf("rotated: %d", got)
	}
	keys.publish(t, "max-age=86400", after)
	s.clock.add(time.Minute)
	if got := get(newKey("3")); got != 401 {
		t.Errorf("unknown key: %d", got)
	}
	if got := get(before); got != 401 {
		t.Errorf("withdrawn key: %d", got)
	}
	keys.fail()
	s.clock.add(time.Minute)
	w := s.get("Bearer " + newKey("4").sign(t, nil, claims()))
	if w.Code != 503 || w.Header().Get("Retry-After") != "60" {
		t.Errorf("server away: %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	if got := get(after); got != 200 {
		t.Errorf("server away, known key: %d", got)
	}
	_, err := s.auth.Authenticate(request("Bearer " + newKey("4").sign(t, nil, claims())))
	var unavailable *store.UnavailableError
	if !errors.As(err, &unavailable) || errors.Is(err, provision.ErrUnauthenticated) {
		t.Errorf("error %v", err)
	}
}
