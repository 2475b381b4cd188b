package provision_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// carries compares the names of the groups that an account carries, and where
// they come from.
func (tn *tenant) carries(userName string, want ...string) {
	tn.t.Helper()
	got := []string{}
	for _, g := range tn.account(userName).Groups {
		got = append(got, g.Name+" "+string(g.Source))
	}
	slices.Sort(got)
	if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
		tn.t.Errorf("groups of %q (-want +got):\n%s", userName, diff)
	}
}

// An account gets the default groups when it is created, by folded name, and
// whatever excludedGroups says.
func TestDefaultGroups(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"defaultGroups":["EVERYONE","Staff"],"excludedGroups":"*"}`)
		tn.group("Everyone")
		tn.group("Staff")
		tn.group("Others")
		tn.user(ada)
		tn.carries("ada@example.com", "Everyone default", "Staff default")
	})
}

// A default group is no evidence: it opens no gate and grants nothing.
func TestDefaultGroupsGrantNothing(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"defaultGroups":["Everyone"],"siteAdminGroups":"Everyone","roles":[{"groups":"Everyone","role":"r"}],"groupAdminGroups":"Everyone"}`)
		group := tn.group("Everyone")
		id := tn.user(ada)
		if a := tn.account("ada@example.com"); a.SiteAdmin || len(a.Roles) != 0 || a.Groups[0].Admin {
			t.Errorf("a default group made %+v", a)
		}
		tn.setPolicy(`{"defaultGroups":["Everyone"],"requiredGroups":"Everyone"}`)
		tn.user(graceBody)
		tn.expectStatus("grace@example.com", policy.StatusStaged)
		tn.join(group, id)
		tn.expectStatus("ada@example.com", policy.StatusActive)
		tn.carries("ada@example.com", "Everyone scim")
		tn.leave(group, id)
		tn.carries("ada@example.com", "Everyone default")
	})
}

// What is recorded is added once: neither a removal by an operator nor the end
// of the group is undone.
func TestDefaultGroupsOnce(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"defaultGroups":["Everyone","Staff"]}`)
		everyone, staff := tn.group("Everyone"), tn.group("Staff")
		id := tn.user(ada)
		tn.change(everyone, func(d *provision.Draft) { d.ClearMembers() })
		tn.leave(everyone, id)
		tn.carries("ada@example.com", "Everyone default", "Staff default") // not the identity provider's
		tn.as("operator").leave(everyone, id)
		tn.remove("Group", staff)
		tn.group("Staff")
		tn.set(id, adaActive)
		tn.setPolicy(`{"defaultGroups":["Everyone","Staff"],"company":"Acme"}`)
		tn.carries("ada@example.com")
		tn.setPolicy(`{"defaultGroups":["Everyone","Staff"],"defaultGroupsAt":"login"}`)
		tn.markLoggedIn("ada@example.com")
		tn.carries("ada@example.com")
	})
}

// A name that no group has yet waits for one, which may be created or renamed.
func TestDefaultGroupsPending(t *testing.T) {
	tests := []struct {
		name   string
		appear func(tn *tenant)
		inline int // Limits.Inline
	}{
		{"created", func(tn *tenant) { tn.group("staff/Überall") }, 0},
		{"renamed", func(tn *tenant) { tn.rename(tn.group("Others"), "staff/Überall") }, 0},
		{"created, by a job", func(tn *tenant) {
			tn.group("staff/Überall")
			tn.runUntilSettled()
		}, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{}`)
				tn.user(`{"userName":"before the option"}`)
				tn.setPolicy(`{"defaultGroups":["STAFF/überall","staff"]}`)
				for i := range 3 {
					tn.user(fmt.Sprintf(`{"userName":"u%d"}`, i))
				}
				gone := tn.user(ada)
				tn.remove("User", gone)
				tn.deleteAccount("u2")
				tn.carries("u0")
				tn.engine.Limits.Inline = test.inline
				test.appear(tn)
				tn.carries("u0", "staff/Überall default")
				tn.carries("u1", "staff/Überall default")
				tn.carries("before the option")
				tn.user(ada) // who comes back gets it then
				tn.carries("ada@example.com", "staff/Überall default")
			})
		})
	}
}

// With defaultGroupsAt "login" they are added when the person logs in first.
func TestDefaultGroupsAtLogin(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"defaultGroups":["Everyone"],"defaultGroupsAt":"login"}`)
		group := tn.group("Everyone")
		id := tn.user(ada)
		tn.carries("ada@example.com")
		tn.markLoggedIn("ada@example.com")
		tn.carries("ada@example.com", "Everyone default")
		tn.as("operator").leave(group, id)
		tn.markLoggedIn("ada@example.com")
		tn.carries("ada@example.com")
	})
}

// A change of default memberships is no change of the group for the identity
// provider.
func TestDefaultGroupsKeepVersion(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"defaultGroups":["Everyone"]}`)
		group := tn.group("Everyone")
		tn.user(ada)
		r, err := tn.dir.Get(t.Context(), "Group", group, 0)
		if err != nil || r.Version != 1 {
			t.Errorf("the group has version %d, %v; want 1", r.Version, err)
		}
	})
}

// A login that creates the group is why others get it: their events name the
// group, not the person.
func TestDefaultGroupsByLogin(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"provisionOnFirstLogin":true,"defaultGroups":["Staff"]}`)
		tn.user(ada)
		at := tn.lastEvent()
		grace := mustLogin(t, tn, provision.Identity{UserName: "grace", Groups: asserted("Staff")})
		tn.carries("ada@example.com", "Staff default")
		tn.carries("grace", "Staff jit")
		list, err := tn.dir.Events(t.Context(), at, 0)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]*store.ResourceRef{}
		for _, ev := range list {
			if ev.AccountID != "" {
				got[ev.AccountID] = ev.Resource
			}
		}
		want := map[string]*store.ResourceRef{
			tn.account("ada@example.com").ID: {Type: "Group", ID: grace.Groups[0].ID},
			grace.ID:                         {Type: "User", ID: grace.ResourceID},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("causes by account (-want +got):\n%s", diff)
		}
	})
}
