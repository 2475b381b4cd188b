package provision_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// as returns the tenant with its directory acting as somebody else.
func (tn *tenant) as(kind string) *tenant {
	c := *tn
	c.dir = tn.dir.Via(store.Source(kind)).As(provision.Actor{Kind: kind, ID: "x"})
	return &c
}

// A block belongs to who set active, not to who wrote the resource last.
func TestBlockSource(t *testing.T) {
	const on, off = `{"userName":"ada","active":true}`, `{"userName":"ada","active":false}`
	const onTitle, offTitle = `{"userName":"ada","active":true,"title":"T"}`, `{"userName":"ada","active":false,"title":"T"}`
	tests := []struct {
		name  string
		steps [][2]string // actor kind, body
		want  policy.Status
	}{
		{"scim blocks and lifts", [][2]string{{"scim", off}, {"scim", on}}, policy.StatusActive},
		{"operator edits in between", [][2]string{{"scim", off}, {"operator", offTitle}, {"scim", onTitle}}, policy.StatusActive},
		{"operator blocks and lifts, scim edits", [][2]string{{"operator", off}, {"scim", offTitle}, {"operator", onTitle}}, policy.StatusActive},
		{"scim does not lift an operator's block", [][2]string{{"operator", off}, {"scim", on}}, policy.StatusDisabled},
		{"sync does not lift scim's block", [][2]string{{"scim", off}, {"sync", on}}, policy.StatusDisabled},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{}`)
				id := tn.user(on)
				for _, s := range test.steps {
					tn.as(s[0]).set(id, s[1])
				}
				tn.expectStatus("ada", test.want)
			})
		})
	}
}

// Whoever deleted the resource, a new POST provisions the person again.
func TestPostAfterDeleteByAnyone(t *testing.T) {
	for _, kind := range []string{"scim", "system", "operator"} {
		t.Run(kind, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{}`)
				id := tn.user(ada)
				tn.as(kind).remove("User", id)
				tn.expectStatus("ada@example.com", policy.StatusDisabled)
				tn.user(ada)
				tn.expectStatus("ada@example.com", policy.StatusActive)
			})
		})
	}
}

// What an operator added is not the identity provider's to take, and what the
// identity provider says counts although an operator said it before.
func TestMembershipSources(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"siteAdminGroups":"Ops,Root"}`)
		tn.group("Root", tn.user(`{"userName":"root"}`)) // so that ada is not the last admin
		id := tn.user(`{"userName":"ada"}`)
		group := tn.group("Ops")
		tn.as("operator").join(group, id)
		if a := tn.account("ada"); a.SiteAdmin || len(a.Groups) != 1 {
			t.Errorf("an operator's membership made %t, %v; want no admin, one group", a.SiteAdmin, a.Groups)
		}
		tn.join(group, id)
		if !tn.account("ada").SiteAdmin {
			t.Error("the identity provider's membership did not grant")
		}
		tn.leave(group, id)
		tn.change(group, func(d *provision.Draft) { d.ClearMembers() })
		if a := tn.account("ada"); a.SiteAdmin || len(a.Groups) != 1 {
			t.Errorf("after the identity provider's removal: %t, %v; want no admin, one group", a.SiteAdmin, a.Groups)
		}
		tn.as("operator").leave(group, id)
		if a := tn.account("ada"); len(a.Groups) != 0 {
			t.Errorf("after the operator's removal: %v", a.Groups)
		}
	})
}

// A deprovisioning that is switched off is told once for each cause.
func TestSuppressedOncePerCause(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"deprovisionUsers":false,"requiredGroups":"IT"}`)
		id := tn.user(`{"userName":"ada","active":true}`)
		group := tn.group("IT", id)
		ops := tn.group("Ops")
		tn.as("operator").join(ops, id)
		at := tn.lastEvent()
		suppressed := func() (n int) {
			for _, typ := range tn.events(at) {
				if typ == store.AccountDeprovisionSuppressed {
					n++
				}
			}
			return n
		}
		steps := []struct {
			name string
			do   func()
			want int
		}{
			{"the last required group is lost", func() { tn.leave(group, id) }, 1},
			{"the policy is edited", func() { tn.setPolicy(`{"deprovisionUsers":false,"requiredGroups":"IT","company":"A"}`) }, 1},
			{"the person is edited", func() { tn.set(id, `{"userName":"ada","active":true,"title":"T"}`) }, 1},
			{"the person is deactivated", func() { tn.set(id, `{"userName":"ada","active":false,"title":"T"}`) }, 2},
			{"all is well again", func() { tn.join(group, id); tn.set(id, `{"userName":"ada","active":true,"title":"T"}`) }, 2},
			{"the person is deactivated again", func() { tn.set(id, `{"userName":"ada","active":false,"title":"T"}`) }, 3},
			{"the resource is deleted", func() { tn.remove("User", id) }, 4},
			{"the policy is edited again", func() { tn.setPolicy(`{"deprovisionUsers":false,"requiredGroups":"IT","company":"B"}`) }, 4},
		}
		for _, s := range steps {
			s.do()
			if got := suppressed(); got != s.want {
				t.Errorf("%s: %d events, want %d", s.name, got, s.want)
			}
		}
		if diff := cmp.Diff([]string{"IT", "Ops"}, groupNames(tn.account("ada"))); diff != "" {
			t.Errorf("groups of the surviving account (-want +got):\n%s", diff)
		}
	})
}

// An account that was deleted stays deleted until the person is active again.
func TestDeletedStaysDeleted(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"deprovisionMethod":"delete"}`)
		id := tn.user(`{"userName":"ada","active":true}`)
		tn.set(id, `{"userName":"ada","active":false}`)
		tn.set(id, `{"userName":"ada","active":false,"title":"T"}`)
		if got := tn.accounts("ada"); len(got) != 0 {
			t.Errorf("an edit of an inactive person brought back %v", got)
		}
	})
}

// A group that an operator put into another is no evidence for the other.
func TestOperatorNestsGroups(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"siteAdminGroups":"Admins","roles":[{"groups":"Outer","role":"editor"}]}`)
		id := tn.user(`{"userName":"ada"}`)
		staff := tn.group("Staff", id)
		tn.group("Outer", staff)
		tn.as("operator").join(tn.group("Admins"), staff)
		tn.set(id, `{"userName":"ada","title":"T"}`)
		if a := tn.account("ada"); a.SiteAdmin || !slices.Equal(a.Roles, []string{"editor"}) {
			t.Errorf("site admin %t, roles %v", a.SiteAdmin, a.Roles)
		}
	})
}

// Of several accounts that one name has left, the last is taken over.
func TestRelinkTakesTheLast(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		last := ""
		for i := range 4 {
			id := tn.user(fmt.Sprintf(`{"userName":"ada","externalId":"%d"}`, i))
			for _, a := range tn.accounts("ada") {
				if a.ResourceID == id {
					last = a.ID
				}
			}
			tn.remove("User", id)
			tn.clock.add(time.Minute)
		}
		id := tn.user(`{"userName":"ada"}`)
		a, err := tn.dir.Account(t.Context(), last)
		if err != nil || a.ResourceID != id {
			t.Errorf("the last account has the resource %q, want %q (%v)", a.ResourceID, id, err)
		}
	})
}

func TestOnlyGroupsHaveMembers(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		a, b := tn.user(`{"userName":"a"}`), tn.user(`{"userName":"b"}`)
		_, err := tn.dir.Update(t.Context(), "User", a, 0, func(d *provision.Draft) error {
			d.AddMember(b)
			return nil
		})
		if err == nil {
			t.Error("a user got a member")
		}
	})
}
