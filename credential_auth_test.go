package provision_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
				there := &provision.Engine{Store: tn.engine.Store, Now: tn.clock.Now}
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
func TestAuthenticateSingleProcess(t *testing.T) {
	for _, single := range []bool{false, true} {
		st := &countedViews{Store: memory.New()}
		tn := newTenant(t, st, `{}`)
		tn.engine.SingleProcess = single
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
		if single {
			want = 0
		}
		for range 10 {
			if !accepted() {
				t.Error("refused")
			}
		}
		if got := st.views.Load() - at; got != want {
			t.Errorf("single %t: ten requests cost %d views, want %d", single, got, want)
		}
		for _, lifetime := range []time.Duration{time.Millisecond, time.Hour} {
			if _, err := tn.engine.Directory("acme").As(tester).ExtendCredential(t.Context(), cred.ID, tn.clock.Now().Add(lifetime)); err != nil {
				t.Fatal(err)
			}
			tn.clock.add(time.Millisecond)
			if want := lifetime > time.Millisecond; accepted() != want {
				t.Errorf("single %t: accepted %t a millisecond after it was set to expire in %v", single, !want, lifetime)
			}
		}
		if err := tn.engine.Directory("acme").As(tester).RevokeCredential(t.Context(), cred.ID); err != nil {
			t.Fatal(err)
		}
		if accepted() {
			t.Errorf("single %t: accepted after it was revoked", single)
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

const oneDay = 24 * time.Hour

// notices does the work of expiry and returns the days of the notices after a
// sequence.
func (tn *tenant) notices(after int64) []int {
	tn.t.Helper()
	tn.runOnce()
	list, err := tn.dir.Events(tn.t.Context(), after, 0)
	if err != nil {
		tn.t.Fatal(err)
	}
	days := []int{}
	for _, ev := range list {
		if ev.Type == store.ConnectionWarning {
			continue
		}
		if ev.Type != store.CredentialExpiring || ev.Resource.Type != "Credential" || ev.Actor.Kind != "system" {
			tn.t.Errorf("event %+v, want a notice", ev)
			continue
		}
		for _, c := range ev.Changes {
			if c.Attribute == "daysLeft" {
				var n int
				if err := json.Unmarshal(c.After, &n); err != nil {
					tn.t.Fatal(err)
				}
				days = append(days, n)
			}
		}
	}
	return days
}

func TestExpiryNotices(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		counting := &countingStore{Store: st}
		tn := newTenant(t, counting, `{}`)
		tn.engine.Retention = -1 // a year passes
		tn.issue(time.Time{})
		counting.updates = 0
		at, expires := tn.lastEvent(), tn.clock.Now().Add(365*oneDay)
		sent := []int{}
		for _, days := range []int{30, 7, 1} {
			tn.clock.add(expires.Add(-time.Duration(days)*oneDay - time.Second).Sub(tn.clock.Now()))
			if diff := cmp.Diff(sent, tn.notices(at)); diff != "" {
				t.Errorf("a second before %d days (-want +got):\n%s", days, diff)
			}
			tn.clock.add(time.Second)
			sent = append(sent, days)
			// Once only, also after a restart, and on two replicas.
			for range 2 {
				if diff := cmp.Diff(sent, tn.notices(at)); diff != "" {
					t.Errorf("at %d days (-want +got):\n%s", days, diff)
				}
				tn.engine = &provision.Engine{Store: counting, Now: tn.clock.Now, Retention: -1}
			}
		}
		if counting.updates != len(sent)+1 { // and the warning
			t.Errorf("%d writes for %d notices", counting.updates, len(sent))
		}
		tn.clock.add(30 * oneDay)
		if diff := cmp.Diff(sent, tn.notices(at)); diff != "" {
			t.Errorf("after expiry (-want +got):\n%s", diff)
		}
	})
}

func TestExpiryNoticesDue(t *testing.T) {
	tests := []struct {
		name     string
		lifetime time.Duration // 0: never
		pass     time.Duration
		extend   time.Duration // from then on; 0: not
		after    time.Duration // passes after the extension
		want     []int
	}{
		{"never expires", 0, 10_000 * oneDay, 0, 0, []int{}},
		{"late notices are one", 365 * oneDay, 364*oneDay + time.Hour, 0, 0, []int{1}},
		{"never looked at in time", 365 * oneDay, 400 * oneDay, 0, 0, []int{1}},
		{"short from the start", 20 * oneDay, 0, 0, 0, []int{}},
		{"short from the start, a week before", 20 * oneDay, 13 * oneDay, 0, 0, []int{7}},
		{"shorter than a day", time.Hour, 59 * time.Minute, 0, 0, []int{}},
		{"extended", 365 * oneDay, 350 * oneDay, 365 * oneDay, 0, []int{30}},
		{"extended, and near the end again", 365 * oneDay, 350 * oneDay, 365 * oneDay, 336 * oneDay, []int{30, 30}},
		{"extended by a little", 365 * oneDay, 350 * oneDay, 25 * oneDay, 0, []int{30}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{}`)
				expires := time.Time{}
				if test.lifetime != 0 {
					expires = tn.clock.Now().Add(test.lifetime)
				}
				tn.setCredential(provision.Secret{Token: secretText}, expires)
				at := tn.lastEvent()
				tn.clock.add(test.pass)
				got := tn.notices(at)
				if test.extend != 0 {
					id := tn.credentials()[0].ID
					if _, err := tn.engine.Directory("acme").As(tester).ExtendCredential(t.Context(), id, tn.clock.Now().Add(test.extend)); err != nil {
						t.Fatal(err)
					}
					at = tn.lastEvent()
					tn.clock.add(test.after)
					got = append(got, tn.notices(at)...)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("notices (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestExpiryNoticesOfDisabledConnection(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.issue(time.Time{})
		conn, err := tn.engine.Directory("acme").Connection(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conn.Disabled = true
		if _, err := tn.engine.Directory(conn.ID).As(tester).UpdateConnection(t.Context(), with(conn)); err != nil {
			t.Fatal(err)
		}
		at := tn.lastEvent()
		tn.clock.add(364 * oneDay)
		if got := tn.notices(at); len(got) != 0 {
			t.Errorf("notices %v of a connection that is closed", got)
		}
	})
}

// Last use is written at most once a minute, by the background work alone.
func TestLastUsed(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		counting := &countingStore{Store: st}
		tn := newTenant(t, counting, `{}`)
		secret, _ := tn.issue(time.Time{})
		if got := tn.credentials()[0].LastUsed; !got.IsZero() {
			t.Errorf("used at %v before any use", got)
		}
		counting.updates = 0
		at := tn.lastEvent()
		var used time.Time
		for range 119 { // two minutes, a use each second
			used = tn.clock.Now()
			if !tn.accepted(secret) {
				t.Fatal("the token was refused")
			}
			if got := tn.credentials()[0].LastUsed; !got.Equal(used) {
				t.Errorf("used at %v, want %v", got, used)
			}
			tn.notices(at)
			tn.clock.add(time.Second)
		}
		if counting.updates != 2 {
			t.Errorf("%d writes in two minutes, want 2", counting.updates)
		}
		if got := tn.events(at); len(got) != 0 {
			t.Errorf("a use left events: %v", got)
		}
		other := &provision.Engine{Store: tn.engine.Store, Now: tn.clock.Now}
		list, err := other.Directory("acme").Credentials(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if late := used.Sub(list[0].LastUsed); late < 0 || late > time.Minute {
			t.Errorf("another replica reads a last use %v late", late)
		}
	})
}

// A store that refuses writes does not keep anybody out, and the use is written
// when it accepts them again.
func TestLastUsedOfBrokenStore(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		secret, _ := tn.issue(time.Time{})
		broken := &readOnlyStore{Store: st, err: errors.New("disk full")}
		tn.engine = &provision.Engine{Store: broken, Now: tn.clock.Now}
		if !tn.accepted(secret) {
			t.Error("the token was refused")
		}
		if err := tn.engine.RunOnce(t.Context()); !errors.Is(err, broken.err) {
			t.Errorf("error %v, want %v", err, broken.err)
		}
		broken.err = nil
		tn.runOnce()
		fresh := &provision.Engine{Store: tn.engine.Store, Now: tn.clock.Now}
		list, err := fresh.Directory("acme").Credentials(t.Context())
		if err != nil || !list[0].LastUsed.Equal(tn.clock.Now()) {
			t.Errorf("last use %v, error %v", list, err)
		}
	})
}
