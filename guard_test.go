package provision_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

const graceBody = `{"userName":"grace@example.com","externalId":"2","active":true}`

// siteAdmins returns the user names of the active site admins.
func (tn *tenant) siteAdmins() []string {
	tn.t.Helper()
	list, err := tn.dir.Accounts(tn.t.Context(), store.AccountQuery{SiteAdmin: true, Statuses: []string{"active"}})
	if err != nil {
		tn.t.Fatal(err)
	}
	names := []string{}
	for _, a := range list {
		names = append(names, a.UserName)
	}
	slices.Sort(names)
	return names
}

// A request on the last site admin that takes them out is refused, and nothing
// of it is stored.
func TestLastAdminRefusal(t *testing.T) {
	requests := []struct {
		name string
		do   func(tn *tenant, user, account string) error
	}{
		{"active=false", func(tn *tenant, user, _ string) error {
			c := content(tn.t, "User", adaInactive)
			_, err := tn.dir.Update(tn.t.Context(), "User", user, 0, func(d *provision.Draft) error { d.Write(c); return nil })
			return err
		}},
		{"delete the resource", func(tn *tenant, user, _ string) error { return tn.dir.Delete(tn.t.Context(), "User", user, nil) }},
		{"an operator disables", func(tn *tenant, _, account string) error {
			return tn.operator().Disable(tn.t.Context(), account)
		}},
		{"an operator deletes", func(tn *tenant, _, account string) error {
			return tn.operator().DeleteAccount(tn.t.Context(), account)
		}},
	}
	for _, method := range []string{"disable", "delete"} {
		for _, request := range requests {
			t.Run(method+"/"+request.name, func(t *testing.T) {
				onEveryStore(t, func(t *testing.T, st store.Store) {
					tn := newTenant(t, st, `{"siteAdminGroups":"Admins","deprovisionMethod":"`+method+`"}`)
					id := tn.user(ada)
					group := tn.group("Admins", id)
					account := tn.account("ada@example.com").ID
					at := tn.lastEvent()
					var guard *provision.GuardError
					if err := request.do(tn, id, account); !errors.As(err, &guard) || guard.Account != account {
						t.Errorf("error %v, want a GuardError of %s", err, account)
					}
					if got := tn.events(at); len(got) != 0 {
						t.Errorf("the refused request left events %v", got)
					}
					r, err := tn.dir.Get(t.Context(), "User", id, 0)
					if err != nil || r.Version != 1 || len(tn.members(group)) != 1 {
						t.Errorf("the resource has version %d, %v; the group %v; want them unchanged", r.Version, err, tn.members(group))
					}
					if diff := cmp.Diff([]string{"ada@example.com"}, tn.siteAdmins()); diff != "" {
						t.Errorf("site admins (-want +got):\n%s", diff)
					}
					tn.join(group, tn.user(graceBody))
					if err := request.do(tn, id, account); err != nil {
						t.Errorf("with another admin: %v", err)
					}
					if diff := cmp.Diff([]string{"grace@example.com"}, tn.siteAdmins()); diff != "" {
						t.Errorf("site admins (-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}

// Any other cause counts as a fact, but the last site admin keeps status and
// role until there is another.
func TestLastAdminKept(t *testing.T) {
	causes := []struct {
		name string
		do   func(tn *tenant, group, user string)
		want policy.Status // once there is another admin
	}{
		{"membership removed", func(tn *tenant, group, user string) { tn.leave(group, user) }, policy.StatusDisabled},
		{"group renamed", func(tn *tenant, group, _ string) { tn.rename(group, "Others") }, policy.StatusDisabled},
		{"group deleted", func(tn *tenant, group, _ string) { tn.remove("Group", group) }, policy.StatusDisabled},
		{"gate moved", func(tn *tenant, _, _ string) {
			tn.setPolicy(`{"siteAdminGroups":"Admins,Root","requiredGroups":"Root"}`)
		}, policy.StatusDisabled},
		{"role moved", func(tn *tenant, _, _ string) { tn.setPolicy(`{"siteAdminGroups":"Root"}`) }, policy.StatusActive},
	}
	for _, cause := range causes {
		t.Run(cause.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{"siteAdminGroups":"Admins,Root","requiredGroups":"Admins,Root"}`)
				id := tn.user(ada)
				group := tn.group("Admins", id)
				at := tn.lastEvent()
				cause.do(tn, group, id)
				a := tn.account("ada@example.com")
				if a.Status != policy.StatusActive || !a.SiteAdmin {
					t.Fatalf("the last admin is %s, admin %t; want active, admin", a.Status, a.SiteAdmin)
				}
				if !slices.ContainsFunc(a.Reasons, func(r policy.Reason) bool { return r.Effect == policy.EffectKeptAsLastAdmin }) {
					t.Errorf("the reasons do not tell: %v", a.Reasons)
				}
				// The person changes something else: that is no ground to refuse,
				// nor a second event of the guard.
				tn.set(id, adaActive)
				blocked := 0
				for _, typ := range tn.events(at) {
					if typ == store.GuardBlocked {
						blocked++
					}
				}
				if blocked != 1 {
					t.Errorf("%d events guard.blocked, want 1", blocked)
				}
				tn.group("Root", tn.user(graceBody))
				if diff := cmp.Diff([]string{"grace@example.com"}, tn.siteAdmins()); diff != "" {
					t.Errorf("site admins (-want +got):\n%s", diff)
				}
				tn.expectStatus("ada@example.com", cause.want)
			})
		})
	}
}

// A sync is about everybody: the last site admin is kept as is.
func TestLastAdminKeptFromSync(t *testing.T) {
	for _, method := range []string{"disable", "delete"} {
		onEveryStore(t, func(t *testing.T, st store.Store) {
			tn := newTenant(t, st, `{"siteAdminGroups":"Admins","company":"Acme","deprovisionMethod":"`+method+`","roles":[{"groups":"Admins","role":"editor"}]}`)
			id := tn.user(ada)
			group := tn.group("Admins", id)
			tn.as("sync").set(id, adaInactive)
			a := tn.account("ada@example.com")
			if a.Status != policy.StatusActive || !a.SiteAdmin || a.Company != "Acme" || len(a.Roles) != 1 || len(a.Groups) != 1 {
				t.Errorf("%s: the last admin became %+v", method, a)
			}
			tn.join(group, tn.user(graceBody))
			if got, err := tn.dir.Account(t.Context(), a.ID); err != nil || got.Status == policy.StatusActive {
				t.Errorf("%s: with another admin the account is %s, %v", method, got.Status, err)
			}
		})
	}
}

// hostAdmins is a provision.Guard: admins of the host by connection.
type hostAdmins map[string]int

func (h hostAdmins) OtherAdmins(_ context.Context, connection string) (int, error) {
	return h[connection], nil
}

// Site admins whom only the host knows count, too.
func TestHostAdmins(t *testing.T) {
	for _, test := range []struct {
		name   string
		guard  hostAdmins
		admins int // left
	}{
		{"none", hostAdmins{"other": 1}, 1},
		{"one", hostAdmins{"acme": 1}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{"siteAdminGroups":"Admins"}`)
				tn.engine.Guard = test.guard
				id := tn.user(ada)
				tn.leave(tn.group("Admins", id), id)
				if got := tn.siteAdmins(); len(got) != test.admins {
					t.Errorf("site admins %v, want %d", got, test.admins)
				}
			})
		})
	}
}

// Two admins who lose the role at the same moment leave one.
func TestLastAdminOfTwoAtOnce(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"siteAdminGroups":"Admins"}`)
		users := []string{tn.user(ada), tn.user(graceBody)}
		tn.group("Admins", users...)
		errs := make([]error, len(users))
		var wg sync.WaitGroup
		for i, id := range users {
			wg.Go(func() { errs[i] = tn.dir.Delete(t.Context(), "User", id, nil) })
		}
		wg.Wait()
		var guard *provision.GuardError
		if (errs[0] == nil) == (errs[1] == nil) || !errors.As(errors.Join(errs...), &guard) {
			t.Errorf("errors %v, want one GuardError", errs)
		}
		if admins := tn.siteAdmins(); len(admins) != 1 {
			t.Errorf("site admins %v, want one", admins)
		}
	})
}

// A change of all admins at once leaves one, too.
func TestLastAdminOfGroup(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"siteAdminGroups":"Admins"}`)
		group := tn.group("Admins", tn.user(ada), tn.user(graceBody), tn.user(`{"userName":"joan"}`))
		tn.rename(group, "Others")
		if admins := tn.siteAdmins(); len(admins) != 1 {
			t.Errorf("site admins %v, want one", admins)
		}
		tn.rename(group, "Admins")
		if admins := tn.siteAdmins(); len(admins) != 3 {
			t.Errorf("site admins %v, want three", admins)
		}
	})
}
