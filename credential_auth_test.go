package provision_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// countedViews is a store that counts how often it is read.
type countedViews struct {
	store.Store
	views atomic.Int32
}

func (s *countedViews) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	s.views.Add(1)
	return s.Store.View(ctx, scope, fn)
}

// What another process changes of a credential or a connection counts for the
// next request here.
func TestCredentialOnReplicas(t *testing.T) {
	changes := []struct {
		name string
		do   func(there *provision.Engine, cred provision.Credential, c *clock) error
		want bool // still accepted
	}{
		{"nothing", func(*provision.Engine, provision.Credential, *clock) error { return nil }, true},
		{"credential revoked", func(there *provision.Engine, cred provision.Credential, _ *clock) error {
			return there.RevokeCredential(t.Context(), "acme", cred.ID, tester)
		}, false},
		{"all revoked", func(there *provision.Engine, _ provision.Credential, _ *clock) error {
			return there.RevokeCredentials(t.Context(), "acme", tester)
		}, false},
		{"replaced", func(there *provision.Engine, _ provision.Credential, _ *clock) error {
			secret := provision.Secret{Token: "another-token-of-at-least-32-characters"}
			_, err := there.SetCredential(t.Context(), "acme", secret, time.Time{}, tester)
			return err
		}, false},
		{"expires sooner", func(there *provision.Engine, cred provision.Credential, c *clock) error {
			_, err := there.ExtendCredential(t.Context(), "acme", cred.ID, c.Now().Add(time.Millisecond), tester)
			c.add(time.Millisecond)
			return err
		}, false},
		{"expires later", func(there *provision.Engine, cred provision.Credential, c *clock) error {
			_, err := there.ExtendCredential(t.Context(), "acme", cred.ID, c.Now().Add(9000*time.Hour), tester)
			return err
		}, true},
		{"connection disabled", func(there *provision.Engine, _ provision.Credential, _ *clock) error {
			_, err := there.SaveConnection(t.Context(), provision.Connection{ID: "acme", Disabled: true}, tester)
			return err
		}, false},
		{"connection renamed", func(there *provision.Engine, _ provision.Credential, _ *clock) error {
			_, err := there.SaveConnection(t.Context(), provision.Connection{ID: "acme", Name: "New"}, tester)
			return err
		}, true},
		{"another connection's", func(there *provision.Engine, _ provision.Credential, _ *clock) error {
			_, err := there.SaveConnection(t.Context(), provision.Connection{ID: "other", Disabled: true}, tester)
			return err
		}, true},
	}
	for _, change := range changes {
		t.Run(change.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{}`)
				there := &provision.Engine{Store: st, Now: tn.clock.Now}
				token, cred, err := tn.engine.IssueToken(t.Context(), "acme", time.Time{}, tester)
				if err != nil {
					t.Fatal(err)
				}
				secret := provision.Secret{Token: token}
				if _, _, err := tn.engine.Authenticate(t.Context(), secret); err != nil {
					t.Fatal(err)
				}
				if err := change.do(there, cred, tn.clock); err != nil {
					t.Fatal(err)
				}
				for range 2 {
					_, conn, err := tn.engine.Authenticate(t.Context(), secret)
					if change.want && err != nil || !change.want && !errors.Is(err, provision.ErrUnauthenticated) {
						t.Errorf("accepted: error %v, want accepted %t", err, change.want)
					}
					if change.name == "connection renamed" && conn.Name != "New" {
						t.Errorf("the connection is %q, want what was saved", conn.Name)
					}
				}
			})
		})
	}
}

// A remembered credential costs one view, and none where this Engine alone
// writes the store; there, what it changes itself still counts at once.
func TestAuthenticateExclusive(t *testing.T) {
	for _, exclusive := range []bool{false, true} {
		st := &countedViews{Store: memory.New()}
		tn := newTenant(t, st, `{}`)
		tn.engine.Exclusive = exclusive
		token, cred, err := tn.engine.IssueToken(t.Context(), "acme", time.Time{}, tester)
		if err != nil {
			t.Fatal(err)
		}
		accepted := func() bool {
			_, _, err := tn.engine.Authenticate(t.Context(), provision.Secret{Token: token})
			return err == nil
		}
		if !accepted() {
			t.Fatal("refused")
		}
		at, want := st.views.Load(), int32(10)
		if exclusive {
			want = 0
		}
		for range 10 {
			if !accepted() {
				t.Error("refused")
			}
		}
		if got := st.views.Load() - at; got != want {
			t.Errorf("exclusive %t: ten requests cost %d views, want %d", exclusive, got, want)
		}
		for _, lifetime := range []time.Duration{time.Millisecond, time.Hour} {
			if _, err := tn.engine.ExtendCredential(t.Context(), "acme", cred.ID, tn.clock.Now().Add(lifetime), tester); err != nil {
				t.Fatal(err)
			}
			tn.clock.add(time.Millisecond)
			if want := lifetime > time.Millisecond; accepted() != want {
				t.Errorf("exclusive %t: accepted %t a millisecond after it was set to expire in %v", exclusive, !want, lifetime)
			}
		}
		if err := tn.engine.RevokeCredential(t.Context(), "acme", cred.ID, tester); err != nil {
			t.Fatal(err)
		}
		if accepted() {
			t.Errorf("exclusive %t: accepted after it was revoked", exclusive)
		}
	}
}

// BenchmarkAuthenticate shows that a credential costs the same among ten
// thousand connections as alone: remembered, looked up, and refused.
func BenchmarkAuthenticate(b *testing.B) {
	for _, connections := range []int{1, 10_000} {
		c := newClock()
		e := &provision.Engine{Store: memory.New(), Now: c.Now}
		secret := provision.Secret{}
		for i := range connections {
			id := fmt.Sprintf("c%d", i)
			if _, err := e.SaveConnection(b.Context(), provision.Connection{ID: id}, tester); err != nil {
				b.Fatal(err)
			}
			token, _, err := e.IssueToken(b.Context(), id, time.Time{}, tester)
			if err != nil {
				b.Fatal(err)
			}
			secret.Token = token
		}
		name := fmt.Sprintf("connections=%d/", connections)
		b.Run(name+"remembered", func(b *testing.B) {
			for b.Loop() {
				if _, _, err := e.Authenticate(b.Context(), secret); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"remembered, exclusive", func(b *testing.B) {
			e.Exclusive = true
			defer func() { e.Exclusive = false }()
			for b.Loop() {
				if _, _, err := e.Authenticate(b.Context(), secret); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"looked up", func(b *testing.B) {
			for b.Loop() {
				c.add(time.Second)
				if _, _, err := e.Authenticate(b.Context(), secret); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"refused", func(b *testing.B) {
			for b.Loop() {
				if _, _, err := e.Authenticate(b.Context(), provision.Secret{Token: "wrong"}); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}
