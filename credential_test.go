package provision_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

const secretText = "0123456789abcdef0123456789abcdef"

// accepted reports whether a secret opens the connection acme.
func (tn *tenant) accepted(s provision.Secret) bool {
	tn.t.Helper()
	_, conn, err := tn.engine.Authenticate(tn.t.Context(), s)
	if err != nil && !errors.Is(err, provision.ErrUnauthenticated) {
		tn.t.Fatal(err)
	}
	if err == nil && conn.ID != "acme" {
		tn.t.Errorf("the credential opens %q", conn.ID)
	}
	return err == nil
}

func (tn *tenant) setCredential(s provision.Secret, expires time.Time) {
	tn.t.Helper()
	if _, err := tn.engine.Directory("acme").As(tester).SetCredential(tn.t.Context(), s, expires); err != nil {
		tn.t.Fatal(err)
	}
}

func TestAuthenticate(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		token := provision.Secret{Token: secretText}
		basic := provision.Secret{UserName: "okta", Password: secretText}
		tn.setCredential(token, time.Time{})
		wrong := []provision.Secret{
			{}, {Token: "x"}, {Token: secretText + "x"}, basic,
			{UserName: secretText}, {UserName: "token", Password: secretText}, {Password: secretText},
		}
		for _, s := range wrong {
			if tn.accepted(s) {
				t.Errorf("the secret %q was accepted", s)
			}
		}
		if !tn.accepted(token) {
			t.Error("the token was refused")
		}
		// Switching the method revokes the other at once, also for a credential
		// that was used a moment ago.
		tn.setCredential(basic, time.Time{})
		if tn.accepted(token) || !tn.accepted(basic) {
			t.Error("after a switch to Basic the token still counts, or Basic does not")
		}
		if tn.accepted(provision.Secret{UserName: "Okta", Password: secretText}) {
			t.Error("another user name was accepted")
		}
		if err := tn.engine.Directory("acme").As(tester).RevokeCredentials(t.Context()); err != nil {
			t.Fatal(err)
		}
		if tn.accepted(basic) {
			t.Error("a revoked credential was accepted")
		}
	})
}

func TestCredentialExpiry(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		token := provision.Secret{Token: secretText}
		tn.setCredential(token, tn.clock.Now().Add(time.Hour))
		tn.clock.add(time.Hour - time.Second)
		if !tn.accepted(token) {
			t.Error("refused one second before expiry")
		}
		tn.clock.add(time.Second)
		if tn.accepted(token) {
			t.Error("accepted at expiry")
		}
		tn.setCredential(token, tn.clock.Now().Add(time.Hour)) // extended
		if !tn.accepted(token) {
			t.Error("refused after it was extended")
		}
	})
}

func TestCredentialOfDisabledConnection(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		token := provision.Secret{Token: secretText}
		tn.setCredential(token, time.Time{})
		if !tn.accepted(token) {
			t.Fatal("the token was refused")
		}
		conn, err := tn.engine.Directory("acme").Connection(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, disabled := range []bool{true, false} {
			conn.Disabled = disabled
			if _, err := tn.engine.Directory(conn.ID).As(tester).UpdateConnection(t.Context(), with(conn)); err != nil {
				t.Fatal(err)
			}
			if tn.accepted(token) == disabled {
				t.Errorf("disabled %t, accepted %t", disabled, !disabled)
			}
		}
	})
}

func TestCredentialRules(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		if _, err := tn.engine.Directory("other").As(tester).UpdateConnection(t.Context(), with(provision.Connection{ID: "other"})); err != nil {
			t.Fatal(err)
		}
		tn.setCredential(provision.Secret{Token: secretText}, time.Time{})
		tests := []struct {
			name       string
			connection string
			secret     provision.Secret
			want       string
		}{
			{"short token", "acme", provision.Secret{Token: secretText[1:]}, "at least 32 characters"},
			{"short password", "acme", provision.Secret{UserName: "u", Password: secretText[1:]}, "at least 32 characters"},
			{"no user name", "acme", provision.Secret{Password: secretText}, "user name is missing"},
			{"both", "acme", provision.Secret{Token: secretText, UserName: "u"}, "not both"},
			{"used by another", "other", provision.Secret{Token: secretText}, "another connection uses the same secret"},
		}
		for _, test := range tests {
			_, err := tn.engine.Directory(test.connection).As(tester).SetCredential(t.Context(), test.secret, time.Time{})
			var bad *provision.CredentialError
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), secretText[1:]) {
				t.Errorf("%s: error %v, want one with %q and without the secret", test.name, err, test.want)
			}
		}
		if !tn.accepted(provision.Secret{Token: secretText}) {
			t.Error("a refused credential took the old one away")
		}
		if _, err := tn.engine.Directory("nobody").As(tester).SetCredential(t.Context(), provision.Secret{Token: secretText + "2"}, time.Time{}); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("unknown connection: %v", err)
		}
	})
}

// A reservation that nobody uses is free: one that an unknown connection asked
// for, and one of a connection that uses another secret by now.
func TestStaleReservations(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		first, second := provision.Secret{Token: secretText}, provision.Secret{Token: secretText + "2"}
		if _, err := tn.engine.Directory("typo").As(tester).SetCredential(t.Context(), first, time.Time{}); !errors.Is(err, provision.ErrNotFound) {
			t.Fatalf("unknown connection: %v", err)
		}
		tn.setCredential(first, time.Time{})
		if _, err := tn.engine.Directory("other").As(tester).UpdateConnection(t.Context(), with(provision.Connection{ID: "other"})); err != nil {
			t.Fatal(err)
		}
		tn.setCredential(second, time.Time{})
		if _, err := tn.engine.Directory("other").As(tester).SetCredential(t.Context(), first, time.Time{}); err != nil {
			t.Errorf("a secret that its connection gave up: %v", err)
		}
		if !tn.accepted(second) {
			t.Error("the connection lost its own secret")
		}
	})
}

// Two processes set different secrets at once: one of them counts.
func TestConcurrentSetCredential(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		other := &provision.Engine{Store: tn.engine.Store, Now: tn.clock.Now}
		first, second := provision.Secret{Token: secretText}, provision.Secret{Token: secretText + "2"}
		for range 20 {
			var wg sync.WaitGroup
			for e, s := range map[*provision.Engine]provision.Secret{tn.engine: first, other: second} {
				wg.Go(func() {
					if _, err := e.Directory("acme").As(tester).SetCredential(t.Context(), s, time.Time{}); err != nil && !errors.Is(err, store.ErrVersion) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			fresh := &provision.Engine{Store: tn.engine.Store, Now: tn.clock.Now}
			_, _, err1 := fresh.Authenticate(t.Context(), first)
			_, _, err2 := fresh.Authenticate(t.Context(), second)
			if (err1 == nil) == (err2 == nil) {
				t.Fatalf("the secrets count: %v, %v; want exactly one", err1 == nil, err2 == nil)
			}
		}
	})
}

// A secret is claimed as long as its connection lists it, and no longer.
func TestClaims(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		later := tn.clock.Now().Add(time.Hour)
		set := func(expires time.Time) func() error {
			return func() error {
				_, err := tn.engine.Directory("acme").As(tester).SetCredential(t.Context(), provision.Secret{Token: secretText}, expires)
				return err
			}
		}
		issue := func(expires time.Time) func() error {
			return func() error {
				_, _, err := tn.engine.Directory("acme").As(tester).IssueToken(t.Context(), expires)
				return err
			}
		}
		for _, step := range []struct {
			name    string
			do      func() error
			refused bool
			want    int
		}{
			{"issue", issue(later), false, 1},
			{"issue another", issue(later), false, 2},
			{"issue a third", issue(later), true, 2},
			{"issue one that has expired", issue(tn.clock.Now()), true, 2},
			{"set", set(later), false, 1},
			{"set the same", set(later), false, 1},
			{"set another end", set(time.Time{}), false, 1},
			{"issue beside it", issue(later), false, 2},
			{"revoke one", func() error {
				return tn.engine.Directory("acme").As(tester).RevokeCredential(t.Context(), tn.credentials()[0].ID)
			}, false, 1},
			{"revoke all", func() error { return tn.engine.Directory("acme").As(tester).RevokeCredentials(t.Context()) }, false, 0},
		} {
			if err := step.do(); (err != nil) != step.refused {
				t.Errorf("%s: error %v, want one: %t", step.name, err, step.refused)
			}
			var claims []records.Entry[string]
			err := st.View(t.Context(), store.Global, func(_ context.Context, r store.Reader) (err error) {
				claims, err = records.Secret.List(r, "", 0)
				return err
			})
			if len(claims) != step.want || err != nil {
				t.Errorf("%s: %d claims, %v; want %d", step.name, len(claims), err, step.want)
			}
		}
	})
}

// Of two connections that claim one secret at once, one gets it.
func TestClaimLost(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		secret := provision.Secret{Token: secretText}
		racing := &overtaken{Store: st}
		tn := newTenant(t, racing, `{}`)
		if _, err := tn.engine.Directory("other").As(tester).UpdateConnection(t.Context(), with(provision.Connection{ID: "other"})); err != nil {
			t.Fatal(err)
		}
		racing.first = func() {
			there := &provision.Engine{Store: tn.engine.Store, Now: tn.clock.Now}
			if _, err := there.Directory("other").As(tester).SetCredential(t.Context(), secret, time.Time{}); err != nil {
				t.Error(err)
			}
		}
		if _, err := tn.engine.Directory("acme").As(tester).SetCredential(t.Context(), secret, time.Time{}); !errors.Is(err, provision.ErrVersion) {
			t.Errorf("error %v, want ErrVersion", err)
		}
		_, conn, err := tn.engine.Authenticate(t.Context(), secret)
		if err != nil || conn.ID != "other" || len(tn.credentials()) != 0 {
			t.Errorf("the secret opens %q, %v; want the connection that was first", conn.ID, err)
		}
	})
}

// overtaken is a store on which somebody else does something before the next
// write.
type overtaken struct {
	store.Store
	first func()
}

func (o *overtaken) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if first := o.first; first != nil {
		o.first = nil
		first()
	}
	return o.Store.Update(ctx, scope, fn)
}

// Setting the same credential again is no news.
func TestCredentialUnchanged(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		at := tn.lastEvent()
		for range 2 {
			tn.setCredential(provision.Secret{Token: secretText}, time.Time{})
		}
		if diff := cmp.Diff([]store.EventType{store.CredentialCreated}, tn.events(at)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func TestNoSecretInTheDatabase(t *testing.T) {
	dir := t.TempDir()
	st, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(dir, "test.db")})
	if err != nil {
		t.Fatal(err)
	}
	tn := newTenant(t, st, `{}`)
	tn.setCredential(provision.Secret{Token: secretText}, time.Time{})
	tn.setCredential(provision.Secret{UserName: "okta", Password: secretText}, time.Time{})
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	expectNowhere(t, dir, secretText)
}
