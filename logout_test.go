package provision_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// visitor logs in by a session of the identity provider.
func visitor(name, format, index string, until time.Time) provision.Identity {
	n := provision.NameID{Value: name, Format: format}
	return provision.Identity{UserName: "ann@example.com", NameID: n, Session: &provision.Session{Index: index, NameID: n, Until: until}}
}

func (tn *tenant) login(id provision.Identity) *provision.Account {
	tn.t.Helper()
	a, err := tn.engine.Directory("acme").Login(tn.t.Context(), id)
	if err != nil {
		tn.t.Fatal(err)
	}
	return a
}

func (tn *tenant) indexes(account string) (out []string) {
	tn.t.Helper()
	list, err := tn.engine.Directory("acme").Sessions(tn.t.Context(), account)
	if err != nil {
		tn.t.Fatal(err)
	}
	for _, s := range list {
		out = append(out, s.Index)
	}
	return out
}

// A logout names a person by a NameID of any format, for as long as the session.
func TestEndLogin(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"provisionOnFirstLogin":true}`)
		dir := tn.engine.Directory("acme")
		now := tn.clock.Now()
		a := tn.login(visitor("t1", jit.NameIDTransient, "s1", now.Add(time.Hour)))
		tn.login(visitor("t2", jit.NameIDTransient, "s2", time.Time{}))
		tn.login(visitor("ann@example.com", "", "s3", time.Time{}))
		tn.login(visitor("ann@example.com", "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified", "s4", now.AddDate(1, 0, 0)))
		if diff := cmp.Diff([]string{"s1", "s2", "s3", "s4"}, tn.indexes(a.ID)); diff != "" {
			t.Errorf("sessions (-want +got):\n%s", diff)
		}
		end := func(name, format string, indexes ...string) error {
			t.Helper()
			at := tn.lastSequence()
			got, err := dir.EndLogin(t.Context(), provision.Logout{NameID: provision.NameID{Value: name, Format: format}, Indexes: indexes})
			list, eventsErr := dir.Events(t.Context(), at, 0)
			if eventsErr != nil {
				t.Fatal(eventsErr)
			}
			if err != nil {
				if len(list) != 0 {
					t.Errorf("%s: %d events", name, len(list))
				}
				return err
			}
			if got != a.ID || len(list) != 1 || list[0].Type != store.LoginEnded || list[0].AccountID != a.ID || list[0].Account != nil || list[0].Actor.Kind != "jit" || len(list[0].Changes) != len(indexes) {
				t.Errorf("%s: account %q, events %+v", name, got, list)
			}
			for i, index := range indexes {
				if c := list[0].Changes[i]; c.Attribute != "sessionIndex" || string(c.Before) != fmt.Sprintf("%q", index) || c.After != nil && string(c.After) != "null" {
					t.Errorf("%s: change %+v", name, c)
				}
			}
			return nil
		}
		if err := end("t1", jit.NameIDTransient, "s1"); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"s2", "s3", "s4"}, tn.indexes(a.ID)); diff != "" {
			t.Errorf("sessions (-want +got):\n%s", diff)
		}
		if err := end("t1", jit.NameIDPersistent, "s1"); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("of another format: %v", err)
		}
		if err := end("nobody", jit.NameIDTransient); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("of nobody: %v", err)
		}
		tn.clock.add(time.Hour)
		if err := end("t1", jit.NameIDTransient); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("after the session: %v", err)
		}
		tn.clock.add(7 * 24 * time.Hour)
		tn.runOnce()
		if diff := cmp.Diff([]string{"s4"}, tn.indexes(a.ID)); diff != "" {
			t.Errorf("after seven days (-want +got):\n%s", diff)
		}
		if err := end("ann@example.com", ""); err != nil {
			t.Error(err)
		}
		if got := tn.indexes(a.ID); len(got) != 0 {
			t.Errorf("all were ended, and %q are left", got)
		}
		tn.clock.add(30 * 24 * time.Hour)
		if err := end("ann@example.com", ""); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("after thirty days: %v", err)
		}
	})
}

// A persistent NameID is known without a session, and that of a deleted account is
// not.
func TestEndLoginOfPersistent(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"provisionOnFirstLogin":true}`)
		dir := tn.engine.Directory("acme")
		id := visitor("p1", jit.NameIDPersistent, "", time.Time{})
		id.Session = nil
		a := tn.login(id)
		if got, err := dir.EndLogin(t.Context(), provision.Logout{NameID: id.NameID, Indexes: []string{"s9"}}); err != nil || got != a.ID {
			t.Errorf("got %q, %v", got, err)
		}
		tn.login(visitor("p1", jit.NameIDPersistent, "s1", time.Time{}))
		if err := dir.As(tester).DeleteAccount(t.Context(), a.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := dir.EndLogin(t.Context(), provision.Logout{NameID: id.NameID}); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("of a deleted account: %v", err)
		}
	})
}

// Of an account twenty sessions are remembered, each once.
func TestSessionsAreBounded(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"provisionOnFirstLogin":true}`)
		var a *provision.Account
		for i := range 25 {
			_ = tn.login(visitor("p1", jit.NameIDPersistent, fmt.Sprintf("s%d", i), time.Time{}))
			a = tn.login(visitor("p1", jit.NameIDPersistent, fmt.Sprintf("s%d", i), time.Time{}))
		}
		got := tn.indexes(a.ID)
		if len(got) != 20 || got[0] != "s5" || got[19] != "s24" {
			t.Errorf("sessions %q", got)
		}
		a = tn.login(visitor("p1", jit.NameIDPersistent, "a\nb", time.Time{}))
		if got := tn.indexes(a.ID); got[len(got)-1] != "s24" {
			t.Errorf("an index with a line break is kept: %q", got)
		}
	})
}

// Whoever gets a password is refused, and has no session.
func TestNoSessionOfRefused(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"provisionOnFirstLogin":true,"passwordGroups":"Staff"}`)
		id := visitor("p1", jit.NameIDPersistent, "s1", time.Time{})
		id.Groups = []provision.IdentityGroup{{Value: "Staff"}}
		if _, err := loginAs(tn, id); err == nil {
			t.Fatal("logged in")
		}
		if got := tn.indexes(tn.account("ann@example.com").ID); len(got) != 0 {
			t.Errorf("sessions %q", got)
		}
	})
}

// A login that is tried says what would come of it, and nothing comes of it.
func TestTryLogin(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"provisionOnFirstLogin":true,"requiredGroups":"Staff"}`)
		dir := tn.engine.Directory("acme")
		id := visitor("p1", jit.NameIDPersistent, "s1", time.Time{})
		id.Groups = []provision.IdentityGroup{{Value: "Staff"}}
		at := tn.lastSequence()
		tried, err := dir.TryLogin(t.Context(), id)
		if err != nil || tried.UserName != "ann@example.com" || tried.Status != "active" {
			t.Errorf("somebody new: %+v, %v", tried, err)
		}
		var refused *provision.DeniedError
		if _, err := dir.TryLogin(t.Context(), visitor("p2", jit.NameIDPersistent, "", time.Time{})); !errors.As(err, &refused) || refused.Code != "not_admitted" {
			t.Errorf("somebody who is not admitted: %v", err)
		}
		if _, err := tn.engine.Directory("nobody").TryLogin(t.Context(), id); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("at an unknown connection: %v", err)
		}
		if got := tn.told(at); got != "" || len(tn.accounts("ann@example.com")) != 0 || len(tn.indexes(tried.ID)) != 0 {
			t.Errorf("stored: events %q", got)
		}
		a := tn.login(id)
		if a.ID == tried.ID {
			t.Error("the made-up id was kept")
		}
		at = tn.lastSequence()
		id.DisplayName = "Ann"
		if tried, err = dir.TryLogin(t.Context(), id); err != nil || tried.ID != a.ID || tried.DisplayName != "Ann" {
			t.Errorf("somebody known: %+v, %v", tried, err)
		}
		if got, err := dir.Account(t.Context(), a.ID); err != nil || got.DisplayName != "" || tn.told(at) != "" {
			t.Errorf("changed: %+v, %v, events %q", got, err, tn.told(at))
		}
	})
}

// Somebody who is created and refused, for a password, is refused when tried, and not
// created.
func TestTryLoginOfSomebodyWithAPassword(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"passwordGroups": "Guests"}`)
		c, err := tn.engine.Directory("acme").Connection(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c.SCIM = false
		if _, err := tn.engine.Directory("acme").As(tester).UpdateConnection(t.Context(), with(c)); err != nil {
			t.Fatal(err)
		}
		at := tn.lastSequence()
		id := visitor("p1", jit.NameIDPersistent, "", time.Time{})
		id.Groups, id.Evidence = []provision.IdentityGroup{{Value: "Guests", Name: "Guests"}}, policy.EvidenceKnown
		var refused *provision.DeniedError
		if _, err := tn.engine.Directory("acme").TryLogin(t.Context(), id); !errors.As(err, &refused) || refused.Code != policy.DeniedPassword {
			t.Errorf("tried: %v", err)
		}
		if got := tn.told(at); got != "" {
			t.Errorf("told %q", got)
		}
		if _, err := tn.engine.Directory("acme").Login(t.Context(), id); !errors.As(err, &refused) || refused.Code != policy.DeniedPassword {
			t.Errorf("logged in: %v", err)
		}
	})
}
