package scim_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// TestPace has requests work by a clock of their own and looks how long they take.
func TestPace(t *testing.T) {
	const work = 20 * time.Millisecond
	steps := func(p *scim.Pace, step time.Duration) {
		for range work / step {
			time.Sleep(step) // stands for work
			p.GiveWay()
		}
	}
	for _, test := range []struct {
		name string
		do   func(*scim.Turns)
		want time.Duration
	}{
		{"alone", func(turns *scim.Turns) { steps(turns.Begin("a"), time.Millisecond) }, work},
		{"beside its own", func(turns *scim.Turns) {
			turns.Begin("a")
			steps(turns.Begin("a"), time.Millisecond)
		}, work},
		{"beside another", func(turns *scim.Turns) {
			turns.Begin("b")
			steps(turns.Begin("a"), time.Millisecond)
		}, 2 * work},
		{"another after it", func(turns *scim.Turns) {
			p := turns.Begin("a")
			turns.Begin("b")
			turns.Begin("b")
			steps(p, 4*time.Millisecond)
		}, 2 * work},
		{"another between its own", func(turns *scim.Turns) {
			p := turns.Begin("a")
			turns.Begin("b")
			turns.Begin("a")
			steps(p, time.Millisecond)
		}, 2 * work},
		{"after another", func(turns *scim.Turns) {
			turns.Begin("b")
			time.Sleep(200 * time.Millisecond)
			steps(turns.Begin("a"), time.Millisecond)
		}, 200*time.Millisecond + work},
		{"a slice that is long", func(turns *scim.Turns) {
			turns.Begin("b")
			steps(turns.Begin("a"), work)
		}, work + 10*time.Millisecond},
		{"inside a transaction", func(turns *scim.Turns) {
			turns.Begin("b")
			p := turns.Begin("a")
			p.Inside(true)
			steps(p, time.Millisecond)
		}, work},
		{"a short one", func(turns *scim.Turns) {
			turns.Begin("b")
			p := turns.Begin("a")
			time.Sleep(time.Millisecond)
			p.GiveWay()
		}, time.Millisecond},
		{"two of a connection", func(turns *scim.Turns) {
			turns.Begin("b")
			var wg sync.WaitGroup
			for range 2 {
				p := turns.Begin("a")
				wg.Go(func() { steps(p, 2*time.Millisecond) })
			}
			wg.Wait()
		}, 4 * work},
		{"two connections", func(turns *scim.Turns) {
			var wg sync.WaitGroup
			for _, connection := range []string{"a", "b"} {
				p := turns.Begin(connection)
				wg.Go(func() { steps(p, 2*time.Millisecond) })
			}
			wg.Wait()
		}, 2 * work},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				test.do(&scim.Turns{})
				if took := time.Since(began); took != test.want {
					t.Errorf("took %v, want %v", took, test.want)
				}
			})
		})
	}
}

// Connections that rest no more are forgotten.
func TestTurnsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := &scim.Turns{}
		for i := range 5000 {
			p := turns.Begin(fmt.Sprint(i))
			time.Sleep(2 * time.Millisecond)
			p.GiveWay()
		}
		if n := turns.Noted(); n == 0 || n > 1024 {
			t.Errorf("%d connections are noted, want at most 1024", n)
		}
	})
}

// slow is a store whose transactions take time.
type slow struct {
	store.Store
	takes time.Duration
}

func (s *slow) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	time.Sleep(s.takes)
	return s.Store.View(ctx, scope, fn)
}

func (s *slow) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	time.Sleep(s.takes)
	return s.Store.Update(ctx, scope, fn)
}

// TestHeavyRequestsRest has requests alone and beside those of another connection: what
// is heavy takes at most twice as long there, and what is not takes as long as alone.
func TestHeavyRequestsRest(t *testing.T) {
	for _, test := range []struct {
		name, method, path, body string
		heavy                    bool
	}{
		{"GET of a user", http.MethodGet, "/Users/<user>", "", false},
		{"GET of a few", http.MethodGet, "/Users?filter=userName+eq+%22u%22", "", false},
		{"PATCH of a user", http.MethodPatch, "/Users/<user>", patchRequest(`{"op":"replace","path":"title","value":"x"}`), false},
		{"PATCH of a member", http.MethodPatch, "/Groups/<group>", patchRequest(`{"op":"remove","path":"members[value eq \"member000000\"]"}`), false},
		{"GET of a group", http.MethodGet, "/Groups/<group>", "", true},
		{"PATCH of a group", http.MethodPatch, "/Groups/<group>", removeNamed(0), true},
		{"bulk", http.MethodPost, "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[` + strings.TrimSuffix(strings.Repeat(
			`{"method":"PATCH","path":"/Users/<user>","data":`+patchRequest(`{"op":"replace","path":"title","value":"x"}`)+`},`, 10), ",") + `]}`, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := &slow{Store: memory.New()}
				c := newCrowded(t, st, 3500)
				user := c.must("POST", "/Users", `{`+coreUser+`"userName":"u"}`)
				names := strings.NewReplacer("<user>", user, "<group>", c.group)
				took := func() time.Duration {
					st.takes = 3 * time.Millisecond
					defer func() { st.takes = 0 }()
					began := time.Now()
					if a := c.do(test.method, names.Replace(test.path), acmeToken, names.Replace(test.body)); a.status >= 300 {
						t.Errorf("%d %.300s", a.status, a.body)
					}
					return time.Since(began)
				}
				time.Sleep(time.Second)
				alone := took()
				c.do(http.MethodGet, "/Users", otherToken, "")
				beside := took()
				if test.heavy && beside < alone*3/2 || !test.heavy && beside > alone || beside > 2*alone {
					t.Errorf("%v alone, %v beside others", alone, beside)
				}
			})
		})
	}
}

// slowWriter is a client for which each write is work.
type slowWriter struct {
	*httptest.ResponseRecorder
	writes int
}

func (w *slowWriter) Write(p []byte) (int, error) {
	w.writes++
	time.Sleep(3 * time.Millisecond)
	return w.ResponseRecorder.Write(p)
}

// A large page is written piece by piece, between which it rests.
func TestLargePagesRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &slow{Store: memory.New()}
		s := newService(t, st, "okta")
		for i := range 20 {
			s.must("POST", "/Users", fmt.Sprintf(`{%s"userName":"large%d","nickName":%q}`, coreUser, i, strings.Repeat("x", 60_000)))
		}
		get := func() (string, time.Duration) {
			r := httptest.NewRequest(http.MethodGet, "/Users", nil)
			r.Header.Set("Authorization", "Bearer "+acmeToken)
			w, began := &slowWriter{ResponseRecorder: httptest.NewRecorder()}, time.Now()
			s.handler.ServeHTTP(w, r)
			if w.Header().Get("Content-Length") != fmt.Sprint(w.Body.Len()) || w.writes < 5 {
				t.Errorf("%d bytes in %d writes, Content-Length %s", w.Body.Len(), w.writes, w.Header().Get("Content-Length"))
			}
			return w.Body.String(), time.Since(began)
		}
		time.Sleep(time.Second)
		page, alone := get()
		s.do(http.MethodGet, "/ServiceProviderConfig", otherToken, "")
		other, beside := get()
		if page != other || beside < alone*3/2 || beside > 2*alone {
			t.Errorf("%v alone, %v beside others; the same page: %t", alone, beside, page == other)
		}
	})
}
