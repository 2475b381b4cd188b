package provision_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// loginAs logs somebody in to the connection of a tenant.
func loginAs(tn *tenant, id provision.Identity) (*provision.Account, error) {
	return tn.engine.Directory("acme").Login(tn.t.Context(), id)
}

func mustLogin(t *testing.T, tn *tenant, id provision.Identity) *provision.Account {
	t.Helper()
	a, err := loginAs(tn, id)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// asserted returns groups whose values are their names.
func asserted(names ...string) []provision.IdentityGroup {
	var out []provision.IdentityGroup
	for _, name := range names {
		out = append(out, provision.IdentityGroup{Value: name})
	}
	return out
}

// everything lists what a connection has stored, but the events login.denied and
// the keys that say when they may be told again.
func everything(t *testing.T, st store.Store) []string {
	t.Helper()
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	err := st.View(t.Context(), "acme", func(_ context.Context, r store.Reader) error {
		page, err := r.Query(store.Query{Limit: 1000, With: store.WithMembers})
		if err != nil {
			return err
		}
		for _, x := range page.Resources {
			add("resource %s %s %d %s %s %s %v", x.Type, x.ID, x.Version, x.Source, x.Modified, x.Document, x.Members)
		}
		accounts, err := r.Accounts(store.AccountQuery{})
		if err != nil {
			return err
		}
		for _, a := range accounts {
			add("account %s %s %s %s", mustEncode(t, a), a.ResourceID, a.Modified, mustEncode(t, a.Facts))
		}
		for _, kind := range []string{"conflict", "default", "deletion", "evidence", "guard", "identity", "jit", "job", "lapse", "sync"} {
			records, err := r.Records(kind, "", 0)
			if err != nil {
				return err
			}
			for _, rec := range records {
				add("%s %q %d %s", kind, rec.Key, rec.Version, rec.Value)
			}
		}
		events, err := r.Events(0, 0)
		if err != nil {
			return err
		}
		for _, ev := range events {
			if ev.Type != store.LoginDenied {
				add("event %s", mustEncode(t, ev))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func mustEncode(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestRefusedLoginChangesNothing refuses logins for every reason, some of them
// after much was written.
func TestRefusedLoginChangesNothing(t *testing.T) {
	tests := []struct {
		name string
		id   provision.Identity
		want policy.Denial
	}{
		{"the gate is lost, with a new name and new groups", provision.Identity{ID: "1", UserName: "ann.kim", Email: "kim@example.com", Groups: asserted("New", "More"), NameID: provision.NameID{Value: "n", Format: jit.NameIDPersistent}}, policy.DeniedNotAdmitted},
		{"the gate is lost, with a taken address", provision.Identity{ID: "1", UserName: "ann", Email: "off@example.com"}, policy.DeniedNotAdmitted},
		{"disabled, with new groups", provision.Identity{ID: "2", UserName: "off2", Email: "ann@example.com", Groups: asserted("Staff", "Later")}, policy.DeniedDisabled},
		{"unknown and not admitted", provision.Identity{ID: "9", UserName: "new", Groups: asserted("Later", "A", "B")}, policy.DeniedNotAdmitted},
		{"a password, not the first time", provision.Identity{ID: "8", UserName: "new name", Groups: asserted("Staff", "Contractors", "Later")}, policy.DeniedPassword},
		{"a likeness", provision.Identity{ID: "9", UserName: "new", Email: "ann@example.com", Groups: asserted("Staff")}, policy.DeniedConflict},
		{"another id", provision.Identity{ID: "9", UserName: "ann", Groups: asserted("Staff")}, policy.DeniedRecycled},
		{"staged", provision.Identity{ID: "x", UserName: "scim", Groups: asserted("Admins")}, policy.DeniedNotAdmitted},
		{"a deleted user", provision.Identity{UserName: "gone", Groups: asserted("Staff", "Later")}, policy.DeniedDisabled},
		{"no name", provision.Identity{ID: "7", Groups: asserted("Staff", "Later")}, policy.DeniedIncomplete},
		{"a NUL in a group", provision.Identity{ID: "1", UserName: "ann", Groups: asserted("Staff", "a\x00b")}, policy.DeniedIncomplete},
	}
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"provisionOnFirstLogin":true,"requiredGroups":"Staff","siteAdminGroups":"Admins","passwordGroups":"Contractors","defaultGroups":["Later"],"externalIdImmutable":true}`)
		mustLogin(t, tn, provision.Identity{ID: "0", UserName: "boss", Groups: asserted("Staff", "Admins")})
		mustLogin(t, tn, provision.Identity{ID: "1", UserName: "ann", Email: "ann@example.com", Groups: asserted("Staff", "Wiki")})
		off := mustLogin(t, tn, provision.Identity{ID: "2", UserName: "off", Email: "off@example.com", Groups: asserted("Staff")})
		if err := tn.engine.Directory("acme").As(tester).Disable(t.Context(), off.ID); err != nil {
			t.Fatal(err)
		}
		tn.user(`{"userName":"scim","externalId":"x"}`)
		tn.remove("User", tn.user(`{"userName":"gone","externalId":"y"}`))
		if _, err := loginAs(tn, provision.Identity{ID: "8", UserName: "temp", Groups: asserted("Staff", "Contractors")}); err == nil {
			t.Fatal("somebody with a password was let in")
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				before := everything(t, st)
				_, err := loginAs(tn, test.id)
				var refused *provision.DeniedError
				if !errors.As(err, &refused) || refused.Code != test.want {
					t.Errorf("error %v, want code %s", err, test.want)
				}
				if diff := cmp.Diff(before, everything(t, st)); diff != "" {
					t.Errorf("the store changed (-before +after):\n%s", diff)
				}
			})
		}
	})
}

// TestManyFirstLogins logs many people in for the first time, at once, with the
// same new groups; SCIM creates some of them at the same moment.
func TestManyFirstLogins(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"provisionOnFirstLogin":true}`)
		const people = 24
		var wg sync.WaitGroup
		for i := range people {
			name := fmt.Sprintf("user%d@example.com", i)
			for range 2 {
				wg.Go(func() {
					if _, err := loginAs(tn, provision.Identity{ID: name, UserName: name, Groups: asserted("New", "Other")}); err != nil {
						t.Error(err)
					}
				})
			}
			if i%2 == 0 {
				c := content(t, "User", `{"userName":"`+name+`"}`)
				wg.Go(func() {
					_, err := tn.dir.Create(t.Context(), "User", 0, func(d *provision.Draft) error {
						d.Write(c)
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		list, err := tn.dir.Accounts(t.Context(), store.AccountQuery{})
		if err != nil || len(list) != people {
			t.Errorf("%d accounts, want %d; error %v", len(list), people, err)
		}
		page, err := tn.dir.Query(t.Context(), store.Query{Types: []string{"Group"}, Limit: 10, With: store.WithMembers})
		if err != nil || len(page.Resources) != 2 {
			t.Fatalf("%d groups, want 2; error %v", len(page.Resources), err)
		}
		for _, g := range page.Resources {
			if len(g.Members) != people {
				t.Errorf("group %q has %d members, want %d", g.Display, len(g.Members), people)
			}
		}
	})
}

// TestLoginBeforeJob logs somebody in whom a job is still to derive.
func TestLoginBeforeJob(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"roles":[{"groups":["Big"],"role":"reader"}]}`)
		tn.engine.Limits.Inline = 5
		var ids []string
		for i := range 20 {
			ids = append(ids, tn.user(fmt.Sprintf(`{"userName":"u%d"}`, i)))
		}
		tn.group("Big", ids...)
		before := tn.lastEvent()
		a := mustLogin(t, tn, provision.Identity{UserName: "u7"})
		if diff := cmp.Diff([]string{"reader"}, a.Roles); diff != "" {
			t.Errorf("roles (-want +got):\n%s", diff)
		}
		for more := true; more; {
			var err error
			if more, err = provision.Work(tn.engine, t.Context(), "acme"); err != nil {
				t.Fatal(err)
			}
		}
		events, err := tn.dir.Events(t.Context(), before, 0)
		if err != nil {
			t.Fatal(err)
		}
		told := 0
		for _, ev := range events {
			if ev.AccountID == a.ID {
				told++
			}
		}
		if told != 1 {
			t.Errorf("%d events tell of the account, want 1", told)
		}
	})
}

// TestDeletedLoginLeavesNothing deletes a person in every way and looks for what
// is left of them beside the events.
func TestDeletedLoginLeavesNothing(t *testing.T) {
	ways := map[string]func(t *testing.T, tn *tenant, a *provision.Account){
		"scim": func(_ *testing.T, tn *tenant, a *provision.Account) { tn.remove("User", a.ResourceID) },
		"operator": func(t *testing.T, tn *tenant, a *provision.Account) {
			if err := tn.engine.Directory("acme").As(tester).DeleteAccount(t.Context(), a.ID); err != nil {
				t.Fatal(err)
			}
		},
		"inactive, then deleted": func(_ *testing.T, tn *tenant, a *provision.Account) {
			tn.set(a.ResourceID, `{"userName":"secret-new","active":false}`)
			tn.remove("User", a.ResourceID)
		},
	}
	for name, remove := range ways {
		t.Run(name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{"provisionOnFirstLogin":true,"deprovisionMethod":"delete"}`)
				mustLogin(t, tn, provision.Identity{ID: "2", UserName: "bob", Email: "bob@example.com"})
				id := provision.Identity{
					ID: "secret-id", UserName: "secret-name", Email: "secret@example.com", GivenName: "secret", Groups: asserted("Wiki"),
					NameID: provision.NameID{Value: "secret-subject", Format: jit.NameIDPersistent},
				}
				a := mustLogin(t, tn, id)
				id.Email = "bob@example.com"
				mustLogin(t, tn, id)
				remove(t, tn, a)
				for _, line := range everything(t, st) {
					kind, _, _ := strings.Cut(line, " ")
					if kind != "event" && (strings.Contains(line, "secret") || kind != "account" && strings.Contains(line, a.ID)) {
						t.Errorf("left: %s", line)
					}
				}
			})
		})
	}
}

// TestRandomLogins mixes logins with requests of SCIM about few names, addresses
// and ids, and looks for people who come to what is not theirs.
func TestRandomLogins(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			policies := []string{`"siteAdminGroups":"Admins"`, `"externalIdImmutable":true`, `"requiredGroups":"Staff"`, `"deprovisionMethod":"delete"`}
			st := memory.New()
			m := &loginMix{
				tenant: newTenant(t, st, `{"provisionOnFirstLogin":true,`+policies[seed%4]+`}`), st: st,
				rng: rand.New(rand.NewPCG(seed, 1)), owners: map[string]string{},
			}
			for range 14 {
				m.step()
			}
			m.versions()
		})
	}
}

// loginMix is a connection in which anything may happen.
type loginMix struct {
	*tenant
	st     store.Store
	rng    *rand.Rand
	owners map[string]string // the immutable id of an account's logins
	users  []string
}

func (m *loginMix) pick(list ...string) string { return list[m.rng.IntN(len(list))] }

func (m *loginMix) step() {
	m.t.Helper()
	switch m.rng.IntN(6) {
	case 0, 1, 2:
		m.login()
	case 3:
		m.create("User", fmt.Sprintf(`{"userName":%q,"externalId":%q,"emails":[{"value":%q}]}`,
			m.pick("a", "b", "c@x", "d"), m.pick("1", "2", "3"), m.pick("a@x", "b@x", "d@x")))
	case 4:
		m.create("Group", fmt.Sprintf(`{"displayName":%q}`, m.pick("Staff", "Wiki", "Admins")))
	case 5:
		if len(m.users) == 0 {
			return
		}
		err := m.dir.Delete(m.t.Context(), "User", m.pick(m.users...), nil)
		var guard *provision.GuardError
		if err != nil && !errors.Is(err, provision.ErrNotFound) && !errors.As(err, &guard) {
			m.t.Error(err)
		}
	}
}

func (m *loginMix) create(typ, body string) {
	m.t.Helper()
	c := content(m.t, typ, body)
	r, err := m.dir.Create(m.t.Context(), typ, 0, func(d *provision.Draft) error {
		d.Write(c)
		return nil
	})
	var conflict *store.ConflictError
	var refused *provision.DeniedError // an admin is not adopted by an address
	switch {
	case err != nil && !errors.As(err, &conflict) && !errors.As(err, &refused):
		m.t.Error(err)
	case err == nil && typ == "User":
		m.users = append(m.users, r.ID)
	}
}

// login logs somebody in twice.
func (m *loginMix) login() {
	m.t.Helper()
	id := provision.Identity{ID: m.pick("1", "2", "3", ""), UserName: m.pick("a", "b", "c@x"), Email: m.pick("a@x", "b@x", "c@x", "")}
	if m.rng.IntN(3) == 0 {
		id.NameID = provision.NameID{Value: m.pick("p", "q"), Format: jit.NameIDPersistent}
	}
	id.Groups = asserted([]string{"Staff", "Wiki", "Admins"}[m.rng.IntN(3):]...)
	before := everything(m.t, m.st)
	a, err := loginAs(m.tenant, id)
	var refused *provision.DeniedError
	if errors.As(err, &refused) {
		if diff := cmp.Diff(before, everything(m.t, m.st)); diff != "" {
			m.t.Errorf("%+v was refused (%s), and the store changed:\n%s", id, refused.Cause, diff)
		}
		return
	}
	if err != nil {
		m.t.Fatal(err)
	}
	if owner := m.owners[a.ID]; id.ID != "" && owner != "" && owner != id.ID {
		m.t.Errorf("%+v came to the account of %q", id, owner)
	}
	if id.ID != "" {
		m.owners[a.ID] = id.ID
	}
	between := everything(m.t, m.st)
	again, err := loginAs(m.tenant, id)
	if err != nil || again.ID != a.ID {
		m.t.Fatalf("%+v again: %v, error %v; want account %q", id, again, err, a.ID)
	}
	if diff := cmp.Diff(between, everything(m.t, m.st)); diff != "" {
		m.t.Errorf("%+v again changed the store:\n%s", id, diff)
	}
}

// versions checks that no two events tell of the same version of an account.
func (m *loginMix) versions() {
	m.t.Helper()
	list, err := m.dir.Events(m.t.Context(), 0, 0)
	if err != nil {
		m.t.Fatal(err)
	}
	last := map[string]int64{}
	for _, ev := range list {
		if ev.Account == nil || ev.Type == store.GuardBlocked { // told of with the change itself
			continue
		}
		if ev.Account.Version <= last[ev.AccountID] {
			m.t.Errorf("event %d, %s, has version %d after %d", ev.Sequence, ev.Type, ev.Account.Version, last[ev.AccountID])
		}
		last[ev.AccountID] = ev.Account.Version
	}
}
