package provision_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// TestLapse takes from people whom no login has told the groups of for 30 days
// what rests on logins alone, and only that.
func TestLapse(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"provisionOnFirstLogin":true,"siteAdminGroups":["Admins"],"requiredGroups":["Staff"],"roles":[{"groups":["Wiki"],"role":"editor"}]}`)
		login := func(name string, evidence policy.Evidence, groups ...string) {
			t.Helper()
			id := provision.Identity{UserName: name, Evidence: evidence}
			for _, g := range groups {
				id.Groups = append(id.Groups, provision.IdentityGroup{Value: g})
			}
			if _, err := tn.engine.Directory("acme").Login(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		type rights struct {
			Status policy.Status
			Admin  bool
			Roles  []string
			Groups []string
		}
		expect := func(when, name string, want rights) {
			t.Helper()
			a := tn.account(name)
			got := rights{a.Status, a.SiteAdmin, a.Roles, groupNames(a)}
			for _, list := range []*[]string{&got.Groups, &want.Groups} {
				*list = sorted(*list)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", when, name, diff)
			}
		}
		all := []string{"Admins", "Staff", "Wiki"}
		tn.clock.add(-tn.clock.Now().Sub(tn.clock.Now().Truncate(24*time.Hour)) - time.Minute) // a minute to midnight
		login("ann", policy.EvidenceKnown, all...)
		login("boss", policy.EvidenceKnown, all...)
		ada := tn.user(`{"userName":"ada"}`)
		tn.group("Site team", ada)
		login("ada", policy.EvidenceKnown, "Staff", "Wiki")

		tn.clock.add(30*24*time.Hour + time.Minute - time.Millisecond)
		login("boss", policy.EvidenceKnown, all...)
		login("ann", policy.EvidenceAbsent) // tells nothing
		tn.runOnce()
		expect("after 30 days less a moment", "ann", rights{policy.StatusActive, true, []string{"editor"}, all})

		tn.clock.add(time.Millisecond)
		before := tn.lastEvent()
		tn.runOnce()
		tn.runOnce()
		expect("after 30 days", "ann", rights{policy.StatusActive, false, []string{}, all})
		expect("after 30 days", "boss", rights{policy.StatusActive, true, []string{"editor"}, all})
		if got := tn.events(before); len(got) != 2 {
			t.Errorf("events %v, want one for ann and one for ada", got)
		}

		tn.setPolicy(`{"roleEvidenceMaxAgeDays":60,"provisionOnFirstLogin":true,"siteAdminGroups":["Admins"],"requiredGroups":["Staff"],"roles":[{"groups":["Wiki"],"role":"editor"}]}`)
		tn.runOnce()
		expect("with 60 days", "ann", rights{policy.StatusActive, true, []string{"editor"}, all})
		tn.clock.add(30 * 24 * time.Hour)
		tn.runOnce()
		expect("after 60 days", "ann", rights{policy.StatusActive, false, []string{}, all})

		login("ann", policy.EvidenceKnown, all...)
		expect("after another login", "ann", rights{policy.StatusActive, true, []string{"editor"}, all})
	})
}

// TestLapseOfRightsBySCIM keeps a right that SCIM tells of, too.
func TestLapseOfRightsBySCIM(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"provisionOnFirstLogin":true,"roles":[{"groups":["Wiki"],"role":"editor"},{"groups":["Inner"],"role":"insider"}]}`)
		a, err := tn.engine.Directory("acme").Login(t.Context(), provision.Identity{
			UserName: "ann", Groups: []provision.IdentityGroup{{Value: "Wiki"}, {Value: "Inner"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		tn.group("Wiki", a.ResourceID)
		tn.clock.add(31 * 24 * time.Hour)
		tn.runOnce()
		if diff := cmp.Diff([]string{"editor"}, tn.account("ann").Roles); diff != "" {
			t.Errorf("roles (-want +got):\n%s", diff)
		}
		explanation, err := tn.dir.Explain(t.Context(), a.ID)
		if err != nil {
			t.Fatal(err)
		}
		if explanation.Reasons == nil || tn.account("ann").Reasons == nil {
			t.Error("nothing says why")
		}
	})
}

func sorted(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return out
}
