package provision_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

// issue generates a token of the connection acme.
func (tn *tenant) issue(expires time.Time) (provision.Secret, provision.Credential) {
	tn.t.Helper()
	token, cred, err := tn.engine.Directory("acme").As(tester).IssueToken(tn.t.Context(), expires)
	if err != nil {
		tn.t.Fatal(err)
	}
	return provision.Secret{Token: token}, cred
}

func (tn *tenant) credentials() []provision.Credential {
	tn.t.Helper()
	list, err := tn.engine.Directory("acme").Credentials(tn.t.Context())
	if err != nil {
		tn.t.Fatal(err)
	}
	return list
}

func TestIssueToken(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		at := tn.lastEvent()
		secret, cred := tn.issue(time.Time{})
		if !strings.HasPrefix(secret.Token, "scimjit_") || len(secret.Token) < len("scimjit_")+52 {
			t.Errorf("the token %q has no prefix, or less than 256 bits", secret.Token)
		}
		want := provision.Credential{
			ID: cred.ID, Connection: "acme", Method: "token",
			Created: tn.clock.Now(), Expires: tn.clock.Now().Add(365 * 24 * time.Hour),
		}
		if diff := cmp.Diff(want, cred); diff != "" {
			t.Errorf("credential (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]provision.Credential{want}, tn.credentials()); diff != "" {
			t.Errorf("credentials (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]store.EventType{store.CredentialCreated}, tn.events(at)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		tn.expectTerms(at, `method "token"`, `expires "2031-01-02T03:04:05Z"`)
		if !tn.accepted(secret) {
			t.Error("the token was refused")
		}
		tn.clock.add(365*24*time.Hour - time.Second)
		if !tn.accepted(secret) {
			t.Error("refused one second before expiry")
		}
		tn.clock.add(time.Second)
		if tn.accepted(secret) {
			t.Error("accepted at expiry")
		}
	})
}

// A third live credential is refused; what has expired makes room.
func TestCredentialRotation(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		old, oldCred := tn.issue(tn.clock.Now().Add(time.Hour))
		fresh, freshCred := tn.issue(time.Time{})
		if !tn.accepted(old) || !tn.accepted(fresh) {
			t.Error("the two tokens of a rotation do not both work")
		}
		at := tn.lastEvent()
		_, _, err := tn.engine.Directory("acme").As(tester).IssueToken(t.Context(), time.Time{})
		var bad *provision.CredentialError
		if !errors.As(err, &bad) {
			t.Errorf("a third credential: %v", err)
		}
		if got := tn.events(at); len(got) != 0 || !tn.accepted(old) || !tn.accepted(fresh) {
			t.Errorf("a refused credential changed the others: %v", got)
		}
		tn.clock.add(time.Hour)
		third, thirdCred := tn.issue(time.Time{})
		if diff := cmp.Diff([]store.EventType{store.CredentialRevoked, store.CredentialCreated}, tn.events(at)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		ids := []string{}
		for _, c := range tn.credentials() {
			ids = append(ids, c.ID)
		}
		if diff := cmp.Diff([]string{freshCred.ID, thirdCred.ID}, ids); diff != "" {
			t.Errorf("credentials (-want +got), %s has expired:\n%s", oldCred.ID, diff)
		}
		if !tn.accepted(fresh) { // and remembered
			t.Error("the newer token was refused")
		}
		if err := tn.engine.Directory("acme").As(tester).RevokeCredential(t.Context(), freshCred.ID); err != nil {
			t.Fatal(err)
		}
		if tn.accepted(fresh) || !tn.accepted(third) {
			t.Error("revoking one credential did not end it alone")
		}
		if err := tn.engine.Directory("acme").As(tester).RevokeCredential(t.Context(), freshCred.ID); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("revoking it again: %v", err)
		}
	})
}

// However many are asked for at once, two live.
func TestIssueTokenAtOnce(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, _, err := tn.engine.Directory("acme").As(tester).IssueToken(t.Context(), time.Time{})
				var bad *provision.CredentialError
				if err != nil && !errors.As(err, &bad) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := len(tn.credentials()); n != 2 {
			t.Errorf("%d credentials, want 2", n)
		}
	})
}

func TestIssueSwitchesMethod(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		one, _ := tn.issue(time.Time{})
		two, _ := tn.issue(time.Time{})
		at := tn.lastEvent()
		basic, cred, err := tn.engine.Directory("acme").As(tester).IssueCredential(t.Context(), provision.NewCredential{Method: "basic"})
		if err != nil {
			t.Fatal(err)
		}
		again, other, err := tn.engine.Directory("acme").As(tester).IssueCredential(t.Context(), provision.NewCredential{Method: "basic"})
		if err != nil || again.UserName == basic.UserName || again.Password == basic.Password {
			t.Errorf("two credentials, %q and %q, %v", basic.UserName, again.UserName, err)
		}
		if basic.UserName == "" || strings.ContainsRune(basic.UserName, ':') || !strings.HasPrefix(basic.Password, "scimjit_") {
			t.Errorf("user name %q, password %q", basic.UserName, basic.Password)
		}
		if list := tn.credentials(); cred.UserName != basic.UserName || len(list) != 2 || list[0].UserName == list[1].UserName || !strings.Contains(basic.UserName+again.UserName, list[0].UserName) {
			t.Errorf("listed %+v", list)
		}
		tn.expectTerms(at, `method "basic"`, fmt.Sprintf("userName %q", basic.UserName), `expires "2031-01-02T03:04:05Z"`)
		if err := tn.operator().RevokeCredential(t.Context(), other.ID); err != nil {
			t.Fatal(err)
		}
		if cred.Method != "basic" || !tn.accepted(basic) || tn.accepted(one) || tn.accepted(two) {
			t.Error("a password did not take the place of the tokens")
		}
		if tn.accepted(provision.Secret{Token: basic.Password}) {
			t.Error("the password was accepted as a token")
		}
		token, _ := tn.issue(time.Time{})
		if tn.accepted(basic) || !tn.accepted(token) || len(tn.credentials()) != 1 {
			t.Error("a token did not take the place of the password")
		}
	})
}

// expectTerms compares what the first credential.created after a sequence tells.
func (tn *tenant) expectTerms(after int64, want ...string) {
	tn.t.Helper()
	list, err := tn.dir.Events(tn.t.Context(), after, 0)
	if err != nil {
		tn.t.Fatal(err)
	}
	for _, ev := range list {
		if ev.Type != store.CredentialCreated {
			continue
		}
		var got []string
		for _, c := range ev.Changes {
			got = append(got, strings.TrimSpace(c.Attribute+" "+string(c.After)))
		}
		expectSame(tn.t, "what the event tells", want, got)
		return
	}
	tn.t.Error("no event tells of a credential")
}

func TestExtendCredential(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		secret, cred := tn.issue(tn.clock.Now().Add(time.Hour))
		if !tn.accepted(secret) {
			t.Fatal("the token was refused")
		}
		at := tn.lastEvent()
		until := tn.clock.Now().Add(2 * time.Hour)
		for range 2 { // the second changes nothing
			got, err := tn.engine.Directory("acme").As(tester).ExtendCredential(t.Context(), cred.ID, until)
			if err != nil {
				t.Fatal(err)
			}
			if got.ID != cred.ID || !got.Expires.Equal(until) {
				t.Errorf("extended to %+v", got)
			}
		}
		if diff := cmp.Diff([]store.EventType{store.ConnectionUpdated}, tn.events(at)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		tn.clock.add(2*time.Hour - time.Second)
		if !tn.accepted(secret) {
			t.Error("refused one second before the new expiry")
		}
		tn.clock.add(time.Second)
		if tn.accepted(secret) {
			t.Error("accepted at the new expiry")
		}
		// It counts again when somebody extends it late.
		got, err := tn.engine.Directory("acme").As(tester).ExtendCredential(t.Context(), cred.ID, time.Time{})
		if err != nil || !got.Expires.Equal(tn.clock.Now().Add(365*24*time.Hour)) || !tn.accepted(secret) {
			t.Errorf("extended late: %+v, %v", got, err)
		}
		// An earlier end counts at once, also for a secret just used.
		if _, err := tn.engine.Directory("acme").As(tester).ExtendCredential(t.Context(), cred.ID, tn.clock.Now().Add(time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		tn.clock.add(time.Millisecond)
		if tn.accepted(secret) {
			t.Error("accepted after it was cut short")
		}
	})
}

func TestCredentialRefusals(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		if _, err := tn.engine.Directory("other").As(tester).UpdateConnection(t.Context(), with(provision.Connection{ID: "other"})); err != nil {
			t.Fatal(err)
		}
		secret, cred := tn.issue(time.Time{})
		ctx, now, e := t.Context(), tn.clock.Now(), tn.engine
		issue := func(connection string, expires time.Time) error {
			_, _, err := e.Directory(connection).As(tester).IssueToken(ctx, expires)
			return err
		}
		basic := func(userName string) error {
			_, err := e.Directory("acme").As(tester).SetCredential(ctx, provision.Secret{UserName: userName, Password: secretText}, time.Time{})
			return err
		}
		extend := func(connection, id string, until time.Time) error {
			_, err := e.Directory(connection).As(tester).ExtendCredential(ctx, id, until)
			return err
		}
		list := func(connection string) error {
			_, err := e.Directory(connection).Credentials(ctx)
			return err
		}
		tests := []struct {
			name string
			err  error
			want string // of a CredentialError; empty: ErrNotFound
		}{
			{"issue at an unsaved connection", issue("nobody", time.Time{}), ""},
			{"issue outside any connection", issue("", time.Time{}), ""},
			{"issue expired", issue("acme", now), "future"},
			{"no user name", basic(""), "userName"},
			{"a user name with a colon", basic("a:b"), "\"a:b\" has a colon"},
			{"extend into the past", extend("acme", cred.ID, now), "future"},
			{"extend an unknown one", extend("acme", "x", time.Time{}), ""},
			{"extend a foreign one", extend("other", cred.ID, time.Time{}), ""},
			{"revoke a foreign one", e.Directory("other").As(tester).RevokeCredential(ctx, cred.ID), ""},
			{"revoke nothing", e.Directory("acme").As(tester).RevokeCredential(ctx, ""), ""},
			{"list of nobody", list("nobody"), ""},
			{"list of all", list(""), ""},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				var bad *provision.CredentialError
				switch {
				case test.want == "" && !errors.Is(test.err, provision.ErrNotFound):
					t.Errorf("error %v, want not found", test.err)
				case test.want != "" && (!errors.As(test.err, &bad) || !strings.Contains(bad.Error(), test.want) || bad.Code == "" || bad.Connection == ""):
					t.Errorf("error %v, want one with %q", test.err, test.want)
				}
			})
		}
		if diff := cmp.Diff([]provision.Credential{cred}, tn.credentials()); diff != "" || !tn.accepted(secret) {
			t.Errorf("a refusal changed the credentials (-want +got):\n%s", diff)
		}
	})
}

// countingStore counts the transactions of each kind.
type countingStore struct {
	store.Store
	views, updates int
}

func (c *countingStore) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	c.views++
	return c.Store.View(ctx, scope, fn)
}

func (c *countingStore) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	c.updates++
	return c.Store.Update(ctx, scope, fn)
}

// An unknown user costs what a wrong password costs, and no refusal and no use
// writes anything.
func TestAuthenticateWork(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		counting := &countingStore{Store: st}
		tn := newTenant(t, counting, `{}`)
		secret := provision.Secret{UserName: "okta", Password: secretText}
		tn.setCredential(secret, time.Time{})
		counting.updates = 0
		for _, s := range []provision.Secret{
			{UserName: "nobody", Password: secretText},
			{UserName: "okta", Password: "wrong" + secretText},
			{UserName: "okta", Password: ""},
			{Token: secretText},
		} {
			counting.views = 0
			if tn.accepted(s) || counting.views != 1 {
				t.Errorf("%q costs %d reads, want 1", s, counting.views)
			}
		}
		counting.views = 0
		for range 10 {
			if !tn.accepted(secret) {
				t.Error("the password was refused")
			}
		}
		if counting.views != 11 || counting.updates != 0 { // two for the first, one for each of the others
			t.Errorf("ten uses cost %d reads and %d writes, want 11 and none", counting.views, counting.updates)
		}
	})
}

// An issued credential survives a restart, with its expiry, and its secret is
// not in the database.
func TestIssuedCredentialIsDurable(t *testing.T) {
	dir := t.TempDir()
	config := sqlite.Config{Path: filepath.Join(dir, "test.db")}
	open := func() store.Store {
		st, err := sqlite.Open(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	st := open()
	tn := newTenant(t, st, `{}`)
	secret, cred := tn.issue(tn.clock.Now().Add(time.Hour))
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	expectNowhere(t, dir, secret.Token)
	st = open()
	defer func() { _ = st.Close() }()
	tn.engine = &provision.Engine{Store: st, Now: tn.clock.Now}
	tn.dir = tn.engine.Directory("acme")
	if !tn.accepted(secret) {
		t.Error("the token was refused after a restart")
	}
	got := tn.credentials()
	got[0].LastUsed = time.Time{}
	if diff := cmp.Diff([]provision.Credential{cred}, got); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
	tn.clock.add(time.Hour)
	if tn.accepted(secret) {
		t.Error("accepted at expiry")
	}
}

// readOnlyStore refuses writes while err is set.
type readOnlyStore struct {
	store.Store
	err error
}

func (r *readOnlyStore) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if r.err != nil {
		return r.err
	}
	return r.Store.Update(ctx, scope, fn)
}

// expectNowhere fails when a file of a folder holds a secret.
func expectNowhere(t *testing.T, dir, secret string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(secret)) {
			t.Errorf("%s holds the secret", f.Name())
		}
	}
}
