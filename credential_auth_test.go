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
			return there.Directory("acme").As(tester).RevokeCredential(t.Context(), cred.ID)
		}, false},
		{"all revoked", func(there *provision.Engine, _ provision.Credential, _ *clock) error {
			return there.Directory("acme").As(tester).RevokeCredentials(t.Context())
		}, false},
		{"replaced", func(there *provision.Engine, _ provision.Credential, _ *clock) error {
			secret := provision.Secret{Token: "another-token-of-at-least-32-characters"}
			_, err := there.Directory("acme").As(tester).SetCredential(t.Context(), secret, time.Time{})
			return err
		}, false},
		{"expires sooner", func(there *provision.Engine, cred provision.Credential, c *clock) error {
			_, err := there.Directory("acme").As(tester).ExtendCredential(t.Context(), cred.ID, c.Now().Add(time.Millisecond))
			c.add(time.Millisecond)
			return err
		}, false},
		{"expires later", func(there *provision.Engine, cred provision.Credential, c *clock) error {
			_, err := there.Directory("acme").As(tester).ExtendCredential(t.Context(), cred.ID, c.Now().Add(9000*time.Hour))
			return err
		}, true},
		{"connection disabled", func(there *provision.Engine, _ provision.Credential, _ *clock) error {
			_, err := there.Directory("acme").As(tester).UpdateConnection(t.Context(), with(provision.Connection{ID: "acme", Disabled: true}))
			return err
		}, false},
		{"connection renamed", func(there *provision.Engine, _ provision.Credential, _ *clock) error {
			_, err := there.Directory("acme").As(tester).UpdateConnection(t.Context(), with(provision.Connection{ID: "acme", Name: "New"}))
			return err
		}, true},
		{"another connection's", func(there *provision.Engine, _ provision.Credential, _ *clock) error {
			_, err := there.Directory("other").As(tester).UpdateConnection(t.Context(), with(provision.Connection{ID: "other", Disabled: true}))
			return err
		}, true},
	}
	for _, change := range changes {
		t.Run(change.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{}`)
				there := &provision.Engine{Store: st, Now: tn.clock.Now}
				token, cred, err := tn.engine.Directory("acme").As(tester).IssueToken(t.Context(), time.Time{})
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
		tn.engine.SingleProcess = exclusive
		token, cred, err := tn.engine.Directory("acme").As(tester).IssueToken(t.Context(), time.Time{})
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
			if _, err := tn.engine.Directory("acme").As(tester).ExtendCredential(t.Context(), cred.ID, tn.clock.Now().Add(lifetime)); err != nil {
				t.Fatal(err)
			}
			tn.clock.add(time.Millisecond)
			if want := lifetime > time.Millisecond; accepted() != want {
				t.Errorf("exclusive %t: accepted %t a millisecond after it was set to expire in %v", exclusive, !want, lifetime)
			}
		}
		if err := tn.engine.Directory("acme").As(tester).RevokeCredential(t.Context(), cred.ID); err != nil {
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
			if _, err := e.Directory(id).As(tester).UpdateConnection(b.Context(), with(provision.Connection{ID: id})); err != nil {
				b.Fatal(err)
			}
			token, _, err := e.Directory(id).As(tester).IssueToken(b.Context(), time.Time{})
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
			e.SingleProcess = true
			defer func() { e.SingleProcess = false }()
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
